"""Share, open as a stranger, report, remove, dead: in a real browser, by button and by key.

Knows what a person sees, the command line, and axe.
"""

import re
import uuid

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import pages

WAIT = 20_000  # milliseconds


@pytest.fixture(scope="module")
def pictures(demo_site) -> list[str]:
    """Three of Ada's avatars: two to be taken down, the third of another style, because a link to
    one that looks like those would first wait for a person.
    """
    rows = demo_site.rows(
        "select max(public_id) from avatars_avatar where style in ('comic', '3d', 'chibi')"
        " and hidden = 0 and trashed_at is null group by style order by style desc"
    )
    return [str(uuid.UUID(row[0])) for row in rows]


def complaints(page: Page) -> list[object]:
    """What axe finds serious, and whether the page scrolls sideways on a narrow phone."""
    found = [
        (page.url, violation["id"], [node["html"][:120] for node in violation["nodes"]][:3])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    wide = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 700})
    over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.set_viewport_size(wide)
    return [*found, *([(page.url, "sideways", over)] if over > 0 else [])]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_shared_seen_reported_and_removed(demo_site, open_context, pictures, scheme):
    site, wrong = demo_site, []
    avatar = f"{site.url}/gallery/{pictures[scheme == 'dark']}/"
    ada = pages.sign_in(
        open_context(
            color_scheme=scheme,
            bypass_csp=True,
            reduced_motion="reduce",
            permissions=["clipboard-write"],
        ),
        site,
        pages.ADA,
    )
    ada.goto(avatar)
    ada.keyboard.press("s")
    dialog = ada.locator("dialog[open]")
    expect(dialog.get_by_text("Only you see this picture.")).to_be_visible()
    wrong += complaints(ada)
    dialog.get_by_role("button", name="Create link").click()
    expect(ada.get_by_text("Anyone with the link sees this picture until")).to_be_visible()
    ada.get_by_role("button", name="Copy").click()
    expect(ada.get_by_role("button", name="Copied")).to_be_visible()
    wrong += complaints(ada)
    link = ada.get_by_label("The link").input_value()

    stranger = open_context(
        color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
    ).new_page()
    stranger.goto(link)
    expect(stranger.get_by_text("by a Likeness user")).to_be_visible()
    assert stranger.evaluate("document.querySelector('main img').naturalWidth") == 512
    wrong += complaints(stranger)
    stranger.get_by_role("link", name="Report", exact=True).click()
    expect(stranger.get_by_label("Link to the picture")).to_have_value(link)
    stranger.get_by_role("button", name="Send report").click()
    expect(stranger.get_by_text("Please look at these again:")).to_be_visible()
    wrong += complaints(stranger)
    stranger.get_by_label("This is me and I did not agree").check()
    stranger.get_by_label("What is wrong with it?").fill("This is me.")
    stranger.get_by_label("Your e-mail").fill("cleo@example.org")
    stranger.get_by_label("Your full name, as a signature").fill("Cleo Doe")
    stranger.get_by_label(re.compile("in good faith")).check()
    stranger.get_by_role("button", name="Send report").click()
    expect(stranger.get_by_role("heading", name="We have your report.")).to_be_visible()
    status = stranger.url
    wrong += complaints(stranger)

    mo = pages.sign_in(
        open_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"), site, pages.MO
    )
    mo.goto(f"{site.url}/admin/takedowns/")
    wrong += complaints(mo)
    mo.get_by_role("link", name=re.compile("In time")).first.click()
    wrong += complaints(mo)
    mo.get_by_text("Show or hide the picture").click()
    for tick in ("The link leads to", "The notice says what", "Whoever sent it may"):
        mo.get_by_label(re.compile(tick)).check()
    mo.get_by_label("Reason", exact=False).first.select_option("people")
    mo.get_by_role("button", name="Remove the picture").click()
    expect(mo.get_by_text("1 picture removed.")).to_be_visible()

    stranger.goto(link)
    expect(stranger.get_by_text("This link no longer shows a picture.")).to_be_visible()
    wrong += complaints(stranger)
    stranger.goto(status)
    expect(stranger.get_by_role("heading", name="We removed what you reported.")).to_be_visible()
    wrong += complaints(stranger)
    ada.goto(avatar)
    reason = "We removed this picture: it is about a real person who may not have agreed."
    expect(ada.get_by_role("heading", name=reason)).to_be_visible()
    wrong += complaints(ada)
    assert wrong == []


def test_a_link_is_made_and_stopped_without_scripts(demo_site, open_context, pictures):
    site = demo_site
    page = pages.sign_in(open_context(java_script_enabled=False), site, pages.ADA)
    page.goto(f"{site.url}/gallery/{pictures[2]}/")
    page.get_by_role("link", name="Share", exact=True).click()
    page.get_by_label("When I stop it").check()
    page.get_by_label("Show the description too").check()
    page.get_by_role("button", name="Create link").click()
    link = page.get_by_label("The link").input_value()
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()
    stranger = open_context(java_script_enabled=False).new_page()
    stranger.goto(link)
    expect(stranger.get_by_role("heading", name="Description")).to_be_visible()
    page.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_text("Only you see this picture.")).to_be_visible()
    stranger.reload()
    expect(stranger.get_by_text("This link no longer shows a picture.")).to_be_visible()


def test_the_devices_own_sharing_is_offered_where_there_is_one(demo_site, open_context, pictures):
    site = demo_site
    context = open_context()
    context.add_init_script(
        "navigator.share = (what) => { window.sent = what; return Promise.resolve(); };"
    )
    page = pages.sign_in(context, site, pages.ADA)
    page.goto(f"{site.url}/gallery/{pictures[2]}/share/")
    page.get_by_role("button", name="Create link").click()
    page.get_by_role("button", name="Send…").click()
    assert page.evaluate("window.sent.url") == page.get_by_label("The link").input_value()
    page.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_text("Its last link was stopped on")).to_be_visible(timeout=WAIT)
