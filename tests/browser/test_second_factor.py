"""Passkeys as a browser makes them: staff set one up, come in with it alone, and with it beside the
password. Chromium plays the fingerprint reader.

Knows the pages; the site's door is shut as in production, and its name is localhost: browsers use
no passkey at an address of numbers.
"""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import pages
from tests.site import Site


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("guarded"))
    site.environment["STAFF_SECOND_FACTOR"] = "1"
    site.start()
    made = site.command("shell", "-c", "from config import demo; demo.people()")
    assert made.returncode == 0, made.stderr
    site.url = f"http://localhost:{site.port}"
    yield site
    site.stop()


def reader(context: BrowserContext) -> Page:
    """A page whose device has a fingerprint reader and a thumb on it."""
    page = context.new_page()
    chromium = context.new_cdp_session(page)
    chromium.send("WebAuthn.enable")
    chromium.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return page


def by_password(page: Page, url: str, email: str, to: str = "/admin/") -> None:
    page.goto(f"{url}/accounts/login/?next={to}")
    page.get_by_label(re.compile("E-?mail")).fill(email)
    page.get_by_label("Password", exact=True).fill(pages.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def prove(page: Page) -> None:
    """Once more the password."""
    page.get_by_label("Password", exact=True).fill(pages.PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def sign_out(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/accounts/logout/")
    page.locator("main").get_by_role("button", name="Sign out").click()


def test_staff_come_in_with_a_passkey(guarded, open_context):
    """The whole way, the console silent under the strict policy."""
    page = reader(open_context())
    by_password(page, guarded.url, pages.MO)
    expect(page.get_by_role("heading", name="Two-step sign-in")).to_be_visible()
    page.get_by_role("link", name="Add a passkey").click()
    prove(page)
    page.get_by_label("Name").fill("My laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto(f"{guarded.url}/admin/")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()

    sign_out(page, guarded)
    page.goto(f"{guarded.url}/accounts/login/?next=/admin/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()

    sign_out(page, guarded)
    by_password(page, guarded.url, pages.MO)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_the_way(guarded, open_context, scheme):
    page = open_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce").new_page()
    found = {}

    def look(name: str) -> None:
        page.wait_for_load_state()  # with its style sheets: what they hide has no name
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = [node["html"][:120] for node in violation["nodes"]][:3]
                found[f"{name}: {violation['id']}"] = nodes

    page.goto(f"{guarded.url}/accounts/login/")
    look("sign in")
    by_password(page, guarded.url, pages.BEN, "/accounts/2fa/totp/activate/")
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    look("is it you")
    prove(page)
    expect(page.get_by_role("heading", name="Set up an authenticator app")).to_be_visible()
    look("app")
    for name, path in (
        ("two steps", "2fa/"),
        ("passkey", "2fa/webauthn/add/"),
        ("devices", "sessions/"),
    ):
        page.goto(f"{guarded.url}/accounts/{path}")
        look(name)
    assert found == {}


def test_at_an_address_of_numbers_the_page_says_where_passkeys_work(guarded, open_context):
    numbers = f"http://127.0.0.1:{guarded.port}"
    page = open_context().new_page()
    by_password(page, numbers, pages.ADA, "/accounts/2fa/webauthn/add/")
    prove(page)
    expect(page.locator("[data-passkey-problem]")).to_contain_text("open this page at localhost")
