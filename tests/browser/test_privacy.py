"""A face comes and goes in a real browser: agree, upload, see where it is, take it all back.

Knows what a person sees, and the command line.
"""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import pages
from tests.browser.test_first_avatar import agree_and_upload, sign_up
from tests.site import Site


def serious(page: Page) -> list[str]:
    """What axe finds on this page."""
    violations = Axe().run(page).response["violations"]
    return [found["id"] for found in violations if found["impact"] in ("serious", "critical")]


def sweep(site: Site) -> None:
    """The minute of the clock that empties the bins and writes the letters."""
    done = site.command(
        "shell",
        "--verbosity",
        "0",
        "-c",
        "from avatars import safekeeping; safekeeping.erase_due()",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_face_comes_is_told_of_and_goes_when_its_owner_says_so(site, open_context, scheme):
    # axe is put into the page as a script of its own, which our policy forbids: bypassed here.
    page = open_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce").new_page()
    sign_up(page, site, f"{scheme}@example.org")
    agree_and_upload(page, site)
    page.goto(f"{site.url}/settings/privacy/")
    expect(page.locator("main")).to_contain_text("We keep 1 photo of yours")
    page.get_by_text("The text you agreed to").first.click()
    expect(page.locator("#consent")).to_contain_text("I agree to this use of my face photo")
    assert serious(page) == []
    page.get_by_role("link", name="Where is my face?").first.click()
    expect(page.locator("main")).to_contain_text("Your photo is in 1 place: our private storage.")
    expect(page.locator("main")).to_contain_text("It has not been sent to anybody.")
    where = page.url
    with page.expect_download() as download:
        page.get_by_role("link", name="Download my photo").click()
    assert download.value.suggested_filename == "likeness-photo.jpg"
    assert serious(page) == []

    page.goto(f"{site.url}/create/")
    page.get_by_role("button", name=re.compile("^Make avatar")).click()
    page.wait_for_url("**/jobs/**")
    made = page.url
    page.goto(f"{site.url}/settings/privacy/withdraw/")
    expect(page.locator("main")).to_contain_text("Your avatars stay.")
    assert serious(page) == []
    page.goto(f"{site.url}/settings/privacy/")
    page.get_by_role("link", name="Withdraw").click()
    page.get_by_role("button", name="Withdraw and delete my photos").click()
    expect(page.locator("body")).to_contain_text("Your consent is withdrawn. 1 photo is deleted.")
    expect(page.locator("main")).to_contain_text("We keep no photo of yours.")
    page.goto(made)
    expect(page.locator("main")).to_contain_text(
        re.compile("You withdrew your consent|Your avatar is ready")
    )

    sweep(site)
    page.goto(where)
    expect(page.locator("main")).to_contain_text("Your photo is in no place of ours any more.")
    expect(page.locator("main")).to_contain_text("You withdrew your consent: deleted, for good.")
    assert serious(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download this record").click()
    assert download.value.suggested_filename.startswith("likeness-deletion-")
    page.goto(f"{site.url}/faces/new/")
    expect(page.get_by_text("Before your first photo")).to_be_visible()
    assert site.command("audit", "--files").returncode == 0


def test_staff_give_a_reason_and_its_owner_reads_it(demo_site, open_context):
    [[photo]] = demo_site.rows(
        "select public_id from avatars_facephoto where deleted_at is null order by id limit 1"
    )
    number = f"{photo[:8]}-{photo[8:12]}-{photo[12:16]}-{photo[16:20]}-{photo[20:]}"
    desk = pages.sign_in(open_context(), demo_site, pages.MO)
    desk.goto(f"{demo_site.url}/admin/photos/{number}/")
    desk.get_by_label("Reason").fill("A report says this is somebody else's face.")
    desk.get_by_role("button", name="Open for 10 minutes").click()
    shown = desk.get_by_alt_text("The photo this person uploaded")
    expect(shown).to_be_visible()
    assert shown.evaluate("picture => picture.naturalWidth") > 0
    page = pages.sign_in(open_context(), demo_site, pages.ADA)
    page.goto(f"{demo_site.url}/faces/{number}/")
    told = "Opened by our staff (lead). Their reason: A report says this is somebody else's face."
    expect(page.locator("main")).to_contain_text(told)
    page.goto(f"{demo_site.url}/settings/privacy/")
    expect(page.locator("#staff")).to_contain_text("A report says this is somebody else's face.")
