"""From a link to a removal, with everything real but the provider: the site over HTTP as browsers
without script see it, its mailbox, its files and its books.

Knows the site's pages and commands.
"""

import re
from pathlib import Path

import requests

from config import demo
from tests.journeys.test_buying import Visitor

PHOTO = Path(__file__).parent.parent / "photos" / "portrait_official.jpg"
BEGIN = "from config import demo; demo.people()"


def signed_in(site, email: str) -> Visitor:
    visitor = Visitor(site.url)
    visitor.press("/accounts/login/", "/accounts/login/", login=email, password=demo.PASSWORD)
    return visitor


def test_a_reported_picture_goes_for_good_and_both_sides_are_told(site):
    assert site.command("shell", "-v", "0", "-c", BEGIN).returncode == 0
    made = site.command("make_avatar", str(PHOTO), "--style", "comic", "--prompt", "at sea")
    assert made.returncode == 0, made.stderr

    ada = signed_in(site, demo.ADA)
    avatar = re.search(r'href="(/gallery/[0-9a-f-]{36}/)"', ada.open("/gallery/"))[1]
    assert ada.press(f"{avatar}share/", f"{avatar}share/", period="7d").status_code == 302
    link = re.search(rf'value="({site.url}/s/[\w-]+/)"', ada.open(f"{avatar}share/"))[1]
    path = link.removeprefix(site.url)

    stranger = Visitor(site.url)
    assert "Made with AI" in stranger.open(path)
    copied = stranger.browser.get(f"{link}picture.webp", timeout=20)
    assert copied.headers["Cache-Control"] == "private, no-store"
    form = re.search(r'href="(/safety/report/\?link=[^"]+)"', stranger.open(path))[1]
    assert link in stranger.open(form)
    sent = stranger.press(
        form,
        "/safety/report/",
        kind="me",
        links=link,
        what="This is me and I never agreed.",
        contact="cleo@example.org",
        name="Cleo Doe",
        statement="on",
    )
    assert sent.status_code == 302, sent.text
    status = sent.headers["Location"]
    assert "We have your report." in stranger.open(status)

    mo = signed_in(site, demo.MO)
    notice = re.search(r'href="(/admin/takedowns/\d+/)"', mo.open("/admin/takedowns/"))[1]
    ticks = dict.fromkeys(("remove-shows", "remove-fits", "remove-entitled"), "on")
    decided = mo.press(
        notice,
        notice,
        act="remove",
        **ticks,
        **{"remove-category": "people", "remove-give_back": "on"},
    )
    assert decided.status_code == 302, decided.text

    assert stranger.browser.get(link, timeout=20).status_code == 410
    assert stranger.browser.get(f"{link}picture.webp", timeout=20).status_code == 410
    assert "We removed what you reported." in stranger.open(status)
    assert (
        "We removed this picture: it is about a real person who may not have agreed."
        in ada.open(avatar)
    )

    assert site.command("sweep").returncode == 0
    letters = [letter for letter in site.letters() if "removed" in letter]
    assert [re.search(r"^To: (\S+)", letter, re.MULTILINE)[1] for letter in letters] == [
        "cleo@example.org",
        demo.ADA,
    ]

    ben = signed_in(site, demo.BEN)
    agree = {"agree": "on", "person": "on"}
    assert ben.press("/faces/new/", "/faces/consent/", **agree).status_code == 302
    refused = upload(ben, copied.content)
    assert refused.status_code == 422
    assert "it looks the same as a picture that was removed for good" in refused.text

    gone = "select count(*) from avatars_storedfile where key like 'avatars/%'"
    site.wait_for(lambda: site.rows(gone) == [(0,)], 90)
    assert list((site.folder / "media" / "avatars").iterdir()) == []
    audit = site.command("audit", "--files", "--contents")
    assert audit.returncode == 0, audit.stdout


def upload(visitor: Visitor, content: bytes) -> requests.Response:
    page = visitor.open("/faces/new/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    form = {"csrfmiddlewaretoken": token, "keep": "30d"}
    files = {"photo": ("face.webp", content, "image/webp")}
    return visitor.browser.post(f"{visitor.url}/faces/new/", form, files=files, timeout=60)
