"""A moderator by keyboard alone: three descriptions and a picture, blurred first; both themes.

Knows what a person sees, and the command line that reports a picture.
"""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import pages
from tests.site import Site

HELD = "as Taylor Swift, number"
REPORT = (
    "from avatars import moderation; from avatars.models import Avatar, ReviewKind;"
    "moderation.put_on_desk(ReviewKind.REPORT, avatar=Avatar.objects.shown().first(),"
    " why='This is me and I did not agree', category='people')"
)


def ask(page: Page, site: Site, number: int) -> None:
    """A description that the rules hold."""
    page.goto(f"{site.url}/create/")
    page.get_by_label("Describe the scene").fill(f"{HELD} {number}")
    page.get_by_role("button", name=re.compile("^Make avatar")).click()
    page.wait_for_url("**/jobs/**")
    expect(
        page.get_by_text("A person reads this one first, usually within an hour.")
    ).to_be_visible()
    expect(page.get_by_text("If nobody has decided by")).to_be_visible()


@pytest.fixture(scope="module")
def busy_site(demo_site, chromium) -> Site:
    """Three held descriptions of Ada's, and one reported picture."""
    context = chromium.new_context()
    ada = pages.sign_in(context, demo_site, pages.ADA)
    for number in range(1, 4):
        ask(ada, demo_site, number)
    context.close()
    reported = demo_site.command("shell", "--verbosity", "0", "-c", REPORT)
    assert reported.returncode == 0, reported.stderr
    return demo_site


def wait(site: Site) -> int:
    return site.rows("select count(*) from avatars_reviewitem where outcome = ''")[0][0]


def blur(page: Page) -> str:
    return page.eval_on_selector(".p-desk__picture img", "e => getComputedStyle(e).filter")


def desk(context: BrowserContext, site: Site) -> Page:
    page = pages.sign_in(context, site, pages.MO)
    page.goto(f"{site.url}/admin/moderation/")
    return page


def press(page: Page, *keys: str) -> None:
    page.wait_for_load_state()  # its words are there before its script listens
    for key in keys:
        page.keyboard.press(key)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_desk_is_accessible_and_fits(busy_site, open_context, scheme, width):
    # axe is put into the page as a script of its own, which our policy forbids: bypassed here.
    shape = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    page = desk(open_context(bypass_csp=True, **shape), busy_site)
    kinds = {
        kind: busy_site.rows(f"select public_id from avatars_reviewitem where kind = '{kind}'")
        for kind in ("description", "report")
    }
    items = [f"/admin/moderation/{rows[0][0]}/" for rows in kinds.values()]
    paths = ["/admin/moderation/", *items, "/admin/avatars/screeningrule/try/"]
    axe = Axe()
    found = {}
    for path in paths:
        page.goto(busy_site.url + re.sub(r"/([0-9a-f]{8})([0-9a-f]{24})/", r"/\1\2/", path))
        serious = [
            (violation["id"], [node["html"][:120] for node in violation["nodes"]][:3])
            for violation in axe.run(page).response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if serious or over > 0:
            found[path] = (serious, over)
    assert found == {}


def test_a_moderator_decides_by_keyboard_alone(busy_site, open_context):
    page = desk(open_context(), busy_site)
    assert wait(busy_site) == 4
    press(page, "j")
    expect(page.get_by_text("Yours until")).to_be_visible()
    expect(page.locator("mark")).to_have_text("Taylor Swift")
    # Typing is typing: none of these letters is a key.
    press(page, "n")
    page.keyboard.type("1 2 looked her up, e h j")
    press(page, "Escape", "1")
    expect(page.get_by_text("Approved: it joins the line.")).to_be_visible()
    press(page, "2")
    expect(page.get_by_text("Now the reason, 1 to 9")).to_be_visible()
    press(page, "Escape")
    assert wait(busy_site) == 3
    press(page, "2", "6")
    expect(page.get_by_text("Rejected: the credits are back.")).to_be_visible()
    press(page, "2", "3")
    expect(page.get_by_role("heading", name="Reported once: a real person")).to_be_visible()
    assert wait(busy_site) == 1

    assert "blur" in blur(page)
    page.keyboard.down("Space")
    assert blur(page) == "none"
    page.keyboard.up("Space")
    assert "blur" in blur(page)
    press(page, "b")
    assert blur(page) == "none"
    press(page, "?")
    expect(page.locator("[data-help] tr")).to_have_count(page.locator("[data-key]").count())
    press(page, "3", "1")
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    press(page, "u")
    expect(page.get_by_text("Undone: it is on the desk again.")).to_be_visible()
    assert "blur" in blur(page)
    press(page, "1")
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    reasons = busy_site.rows(
        "select act, category from accounts_decision where subject like 'request:%' order by id"
    )
    assert reasons == [
        ("description_approved", ""),
        ("description_rejected", "deception"),
        ("description_rejected", "people"),
    ]


def test_without_script_every_button_works(busy_site, open_context, chromium):
    ada = pages.sign_in(open_context(), busy_site, pages.ADA)
    ask(ada, busy_site, 4)
    context = open_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{busy_site.url}/accounts/login/")
    page.get_by_label(re.compile("E-?mail")).fill(pages.MO)
    page.get_by_label("Password", exact=True).fill(pages.PASSWORD)
    page.get_by_role("button", name=re.compile("^Sign in$")).click()
    page.goto(f"{busy_site.url}/admin/moderation/")
    page.get_by_role("button", name="Start with the most urgent").click()
    page.get_by_label("Hate").check()
    page.get_by_role("button", name=re.compile("Reject credits return")).click()
    expect(page.get_by_text("Nothing waits.")).to_be_visible()
    ada.reload()
    expect(
        ada.get_by_role("heading", name="A reviewer said no: it spreads hate or shows its symbols.")
    ).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_rejection_is_appealed_on_a_phone(busy_site, open_context, scheme):
    shape = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme}
    ada = pages.sign_in(open_context(bypass_csp=True, **shape), busy_site, pages.ADA)
    ask(ada, busy_site, 5)
    mo = desk(open_context(), busy_site)
    press(mo, "j")
    expect(mo.get_by_text("Yours until")).to_be_visible()
    press(mo, "2", "4")
    expect(mo.get_by_text("Rejected: the credits are back.")).to_be_visible()

    ada.reload()
    ada.get_by_role("link", name="Appeal").click()
    expect(ada.get_by_text("A reviewer said no: it spreads hate")).to_be_visible()
    words = ada.get_by_label("Why is the decision wrong?")
    ada.get_by_role("button", name="Send appeal").click()
    expect(ada.get_by_text("Tell us in a few words why it is wrong.")).to_be_visible()
    words.fill("It is my own stage name.")
    assert serious_faults(ada) == []
    ada.get_by_role("button", name="Send appeal").click()
    expect(ada.get_by_text("A different person will read it")).to_be_visible()
    assert serious_faults(ada) == []
    assert ada.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0

    mo.goto(f"{busy_site.url}/admin/moderation/")
    expect(mo.get_by_text("Nothing waits.")).to_be_visible()  # not for whoever decided first


def serious_faults(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [each["id"] for each in found if each["impact"] in ("serious", "critical")]
