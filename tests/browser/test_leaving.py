"""Somebody takes everything along and leaves: export, closing, keeping after all, gone for good.

Knows what a person sees, the local mailbox and the command line.
"""

import email
import email.policy
import re
import zipfile

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.test_first_avatar import PASSWORD, agree_and_upload, make, sign_up
from tests.site import Site

WHO = "leaver@example.org"
GONE_SECONDS = 120
SIZES = ((1280, 800), (360, 800))


def seen(page: Page, name: str) -> None:
    """axe is content in both themes, and nothing scrolls sideways on a desk or a phone."""
    expect(page.locator(".c-messages__toast")).to_have_count(0, timeout=15_000)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        result = Axe().run(page)
        serious = [
            (violation["id"], [node["html"][:120] for node in violation["nodes"]][:3])
            for violation in result.response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == [], name
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert over <= 0, f"{name} scrolls sideways at {width}"
    page.set_viewport_size({"width": 1280, "height": 800})


def letters(site: Site, subject: str) -> list[str]:
    """The texts of the letters of that subject, oldest first."""
    parsed = [email.message_from_string(raw, policy=email.policy.default) for raw in site.letters()]
    return [
        letter.get_body().get_content()
        for letter in parsed
        if letter["Subject"].startswith(subject) and WHO in letter["To"]
    ]


def sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/accounts/login/")
    page.get_by_label(re.compile("E-?mail")).fill(WHO)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def close(page: Page, site: Site, when: str) -> None:
    page.goto(f"{site.url}/settings/data/")
    page.get_by_role("link", name="Close my account…").click()
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text(re.compile("Is it you|Close your account"))
    if title.inner_text() == "Is it you?":
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()
    page.get_by_label(re.compile(when)).check()
    page.get_by_label("Type CLOSE").fill("CLOSE")
    page.get_by_role("button", name="Close my account").click()


@pytest.fixture
def page(open_context) -> Page:
    # axe is put into the page as a script of its own, which our policy forbids: bypassed here.
    return open_context(bypass_csp=True, reduced_motion="reduce").new_page()


def test_somebody_takes_everything_along_and_leaves(site, page):
    sign_up(page, site, WHO)
    agree_and_upload(page, site)
    make(page, site, "anime", "as the captain of a paper boat")

    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Your data").click()
    seen(page, "data")
    page.get_by_role("button", name="Make an export").click()
    expect(page.get_by_text("Being put together")).to_be_visible()
    seen(page, "data--preparing")
    site.wait_for(lambda: letters(site, "Your data is ready"), 60)
    [letter] = letters(site, "Your data is ready")
    [address] = re.findall(r"http\S+/settings/data/exports/\S+/", letter)
    page.goto(f"{site.url}/settings/data/")
    seen(page, "data--ready")
    assert page.get_by_role("link", name="Download").get_attribute("href") in address
    page.get_by_role("link", name="Download").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    with page.expect_download() as download:
        page.get_by_role("button", name="Confirm").click()
    box = zipfile.ZipFile(download.value.path())
    assert sorted({name.split("/")[0] for name in box.namelist() if "/" in name}) == [
        "avatars",
        "photos",
    ]
    assert b"paper boat" in box.read("requests.json")

    page.goto(f"{site.url}/settings/data/close/")
    seen(page, "close")
    page.get_by_label("Type CLOSE").fill("yes")
    page.get_by_role("button", name="Close my account").click()
    expect(page.get_by_text("Type CLOSE to go on.").first).to_be_visible()
    seen(page, "close--wrong-word")
    close(page, site, "In 7 days")
    expect(page.get_by_text(re.compile("Your account closes on"))).to_be_visible()
    site.wait_for(lambda: letters(site, "Your account closes on"), 60)
    kept = f"""select count(*) from avatars_facephoto join accounts_user person
        on person.id = user_id where deleted_at is null and email = '{WHO}'"""
    assert site.rows(kept) == [(0,)]

    sign_in(page, site)
    expect(page.get_by_role("heading", name="Your account is closing")).to_be_visible()
    seen(page, "closing")
    page.goto(f"{site.url}/gallery/")
    expect(page.get_by_role("heading", name="Your account is closing")).to_be_visible()
    page.get_by_role("button", name="Keep my account").click()
    expect(page.get_by_text(re.compile("Your account stays"))).to_be_visible()
    page.goto(f"{site.url}/gallery/")
    expect(page.get_by_role("img", name=re.compile("paper boat"))).to_be_visible()

    close(page, site, "Now; there is no way back")
    expect(page.get_by_text(re.compile("is being closed"))).to_be_visible()
    site.wait_for(lambda: letters(site, "Your account is closed"), GONE_SECONDS)
    [receipt] = letters(site, "Your account is closed")
    assert "1 avatar\n" in receipt
    assert "What stays: the invoices" in receipt
    sign_in(page, site)
    expect(page.get_by_text("The e-mail address or the password is not right.")).to_be_visible()
    assert site.rows(f"select count(*) from accounts_user where email = '{WHO}'") == [(0,)]
    assert site.rows("select count(*) from accounts_closing where letter_to <> ''") == [(0,)]
    assert site.rows("select count(*) from avatars_storedfile where user_id is null") == [(0,)]
    audited = site.command("audit", "--files", "--look")
    assert audited.returncode == 0, audited.stdout
