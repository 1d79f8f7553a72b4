"""A person's afternoon in a real browser: sign up, photo, one avatar in each style, gallery.

Knows what a person sees, and the command line.
"""

import io
import re
from pathlib import Path

import numpy
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from avatars import face_check, imaging
from tests.site import Site

PHOTO = Path(__file__).parent.parent / "photos" / "portrait_astronaut.png"
STYLES = ["realistic", "anime", "3d", "chibi", "comic"]
PASSWORD = "a long and honest phrase"
WAIT = 60_000  # milliseconds


def sign_up(page: Page, site: Site, email: str) -> None:
    """From the landing page to a proved address, the code read from the local mailbox."""
    page.goto(site.url)
    page.get_by_role("link", name="Make my avatar").first.click()
    page.get_by_label(re.compile("E-?mail")).fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("sign up|create|continue", re.IGNORECASE)).click()
    page.wait_for_url("**/confirm-email/**")
    mailbox = page.context.new_page()
    mailbox.goto(f"{site.url}/dev/mail/")
    code = re.search(r"\b\d{6}\b", mailbox.inner_text("main"))
    assert code
    mailbox.close()
    page.get_by_label("Code").fill(code.group())
    if "confirm-email" in page.url:
        page.keyboard.press("Enter")
    page.wait_for_url("**/create/**")


def agree_and_upload(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/faces/new/")
    boxes = page.get_by_role("checkbox")
    assert [boxes.nth(n).is_checked() for n in range(boxes.count())] == [False, False]
    for number in range(boxes.count()):
        boxes.nth(number).check()
    page.get_by_role("button", name=re.compile("agree", re.IGNORECASE)).click()
    page.set_input_files("input[type=file]", str(PHOTO))
    page.get_by_role("button", name=re.compile("check|upload", re.IGNORECASE)).click()
    expect(page.get_by_text("Great photo")).to_be_visible(timeout=WAIT)
    page.get_by_role("link", name="Use this photo").or_(
        page.get_by_role("button", name="Use this photo")
    ).first.click()
    page.wait_for_url("**/create/**")


def make(page: Page, site: Site, style: str, prompt: str) -> bytes:
    """One avatar through the pages; returns the file that Download gives."""
    page.goto(f"{site.url}/create/")
    page.locator(f"input[name=style][value='{style}']").check(force=True)
    page.get_by_label("Describe the scene").fill(prompt)
    page.get_by_role("button", name="Make avatar · 1 credit").click()
    page.wait_for_url("**/jobs/**")
    expect(page.get_by_role("heading", name="Your avatar is ready")).to_be_visible(timeout=WAIT)
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^Download")).first.click()
    return Path(download.value.path()).read_bytes()


def test_a_newcomer_signs_up_and_sees_themself_in_five_styles(site, open_context):
    page = open_context().new_page()
    sign_up(page, site, "newcomer@example.org")
    agree_and_upload(page, site)
    given = site.command(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from accounts.models import *; u = User.objects.get(email='newcomer@example.org'); "
        "u.wallet.grant(Kind.ADJUST_UP, 2, 'adjust:journey', note='for the fourth and fifth')",
    )
    assert given.returncode == 0, given.stderr
    pictures = {}
    for style in STYLES:
        content = make(page, site, style, "as a lighthouse keeper, evening storm")
        image = Image.open(io.BytesIO(content)).convert("RGB")
        assert image.size == (512, 768)
        assert imaging.read_mark(content)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=92)
        assert face_check.check(buffer.getvalue()).faces == 1
        pictures[style] = numpy.asarray(image).astype(int)
    for number, style in enumerate(STYLES):
        for other in STYLES[number + 1 :]:
            assert numpy.abs(pictures[style] - pictures[other]).mean() >= 20, (style, other)
    page.goto(f"{site.url}/gallery/")
    expect(page.locator("main a[href^='/gallery/'] img")).to_have_count(5)
    page.goto(f"{site.url}/credits/")
    expect(page.locator("main")).to_contain_text("0 credits")
    assert site.command("audit", "--files").returncode == 0


def test_everything_works_without_scripts(site, open_context):
    page = open_context(java_script_enabled=False).new_page()
    sign_up_without_script(page, site, "plain@example.org")
    agree_and_upload(page, site)
    page.goto(f"{site.url}/create/")
    page.locator("input[name=style][value='comic']").check(force=True)
    page.get_by_label("Describe the scene").fill("detective under a street lamp")
    page.get_by_role("button", name=re.compile("^Make avatar")).click()
    page.wait_for_url("**/jobs/**")
    for _reload in range(30):
        if page.get_by_role("heading", name="Your avatar is ready").count():
            break
        page.wait_for_timeout(1000)
        page.reload()
    expect(page.get_by_role("heading", name="Your avatar is ready")).to_be_visible()
    page.goto(f"{site.url}/gallery/")
    page.locator("main a[href^='/gallery/']").filter(has=page.locator("img")).first.click()
    page.get_by_role("button", name=re.compile("delete", re.IGNORECASE)).first.click()
    expect(page.get_by_text("Moved to the trash")).to_be_visible()
    page.get_by_role("button", name="Undo").first.click()
    page.goto(f"{site.url}/gallery/")
    expect(page.locator("main a[href^='/gallery/'] img")).to_have_count(1)


def sign_up_without_script(page: Page, site: Site, email: str) -> None:
    page.goto(f"{site.url}/accounts/signup/")
    page.get_by_label(re.compile("E-?mail")).fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("sign up|create|continue", re.IGNORECASE)).click()
    code = re.search(r"\b\d{6}\b", site.letters()[-1])
    assert code
    page.get_by_label("Code").fill(code.group())
    page.get_by_role("button", name=re.compile("confirm|continue", re.IGNORECASE)).first.click()
    page.wait_for_url("**/create/**")


def test_a_double_click_on_make_is_one_avatar_and_one_credit(site, open_context):
    page = open_context().new_page()
    sign_up(page, site, "double@example.org")
    agree_and_upload(page, site)
    page.goto(f"{site.url}/create/")
    page.get_by_role("button", name=re.compile("^Make avatar")).dblclick()
    page.wait_for_url("**/jobs/**")
    made = site.rows(
        "select count(*) from avatars_avatarrequest r join accounts_user u on u.id = r.user_id "
        "where u.email = 'double@example.org'"
    )
    assert made == [(1,)]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cat.png", "We couldn't find a face in this photo."),
        ("two_people.jpg", "We found two faces. Crop to just yours."),
        ("SOURCES.md", "This file isn't a picture we can read."),
    ],
)
def test_a_photo_that_cannot_serve_says_why(site, open_context, name, sentence):
    page = open_context().new_page()
    sign_up(page, site, f"{name.split('.')[0]}@example.org")
    page.goto(f"{site.url}/faces/new/")
    for number in range(2):
        page.get_by_role("checkbox").nth(number).check()
    page.get_by_role("button", name=re.compile("agree", re.IGNORECASE)).click()
    page.set_input_files("input[type=file]", str(PHOTO.parent / name))
    page.get_by_role("button", name=re.compile("check|upload", re.IGNORECASE)).click()
    expect(page.locator("main")).to_contain_text(sentence)
