"""Money in a real browser, at the embedded default: buying, turning back, waiting, having it back.

Knows what a person sees, and the stand-in's pay page. Every shopper has a person of their own.
"""

import json
import re

import pytest
import stripe
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import pages
from tests.site import Site

FREE = 3  # credits everybody begins with


@pytest.fixture(scope="module")
def purses(demo_site) -> dict[str, list[str]]:
    """Name of a page → whose it is, and where."""
    made = demo_site.command(
        "shell", "--verbosity", "0", "-c", "from tests.browser import purses; purses.make()"
    )
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout.splitlines()[-1])


@pytest.fixture
def shopper(demo_site, purses, open_context):
    """Opens the credits page of one shopper in a browser of their own."""

    def enter(name: str, **options) -> Page:
        page = pages.sign_in(open_context(**options), demo_site, f"{name}@example.org")
        page.goto(f"{demo_site.url}/credits/")
        return page

    return enter


def till(site: Site) -> str:
    return f"http://127.0.0.1:{site.port + 2}"


def history(page: Page, site: Site) -> list[list[str]]:
    """What, credits and balance of every row, newest first."""
    page.goto(f"{site.url}/credits/")
    rows = page.locator("#history tr").all()
    return [[" ".join(cell.split()) for cell in row.all_inner_texts()] for row in map(cells, rows)]


def cells(row):
    return row.locator(".p-history__what, .p-history__amount, .p-history__balance")


def states(site: Site, name: str) -> list[tuple[str, int]]:
    """State and paid cents of a shopper's purchases, oldest first."""
    return site.rows(
        "select p.state, p.paid_cents from accounts_purchase p join accounts_user u "
        f"on u.id = p.user_id where u.email = '{name}@example.org' order by p.id"
    )


WELCOME = ["Welcome free with your e-mail address", f"+{FREE}", f"{FREE}"]


def test_somebody_buys_each_pack_and_keeps_a_receipt(demo_site, shopper):
    page = shopper("buyer")
    expect(page.get_by_text("No purchases yet. You have 3 free credits.")).to_be_visible()
    expect(page.get_by_text("Test mode. Payments here are play money")).to_be_visible()
    balance, bought = FREE, [WELCOME]
    for credits, dollars in ((20, 4), (60, 9), (150, 19)):
        balance += credits
        page.goto(f"{demo_site.url}/credits/")
        page.get_by_role("button", name=f"Buy for ${dollars}", exact=True).click()
        page.wait_for_url(f"{till(demo_site)}/c/pay/**")
        expect(page.get_by_text("Stand-in: play money.")).to_be_visible()
        page.get_by_role("button", name=f"Pay ${dollars}.00").click()
        expect(page.get_by_role("heading", name=f"{credits} credits added")).to_be_visible()
        expect(page.get_by_text(f"You have {balance} credits now.")).to_be_visible()
        expect(page.locator(".c-nav__credits")).to_have_text(f"{balance} credits")
        page.get_by_role("link", name="Receipt").click()
        expect(page.get_by_role("row", name="Amount")).to_contain_text(f"${dollars}.00")
        bought.insert(0, [f"Purchase ${dollars}", f"+{credits}", f"{balance}"])
    assert history(page, demo_site) == bought
    page.locator("#history").get_by_role("link", name="Receipt").last.click()
    expect(page.get_by_role("row", name="Amount")).to_contain_text("$4.00")


def test_a_declined_card_and_a_way_back_cost_nothing(demo_site, shopper):
    page = shopper("decliner")
    page.get_by_role("button", name="Buy for $9").click()
    page.get_by_role("button", name="Decline card").click()
    expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    page.get_by_role("button", name="Go back").click()
    expect(page.get_by_role("heading", name="No charge was made.")).to_be_visible()
    page.get_by_role("link", name="Back to my draft").click()
    page.wait_for_url("**/create/")
    assert history(page, demo_site) == [WELCOME]
    assert states(demo_site, "decliner") == [("open", 0)]


def test_a_closed_pay_page_changes_nothing_also_when_it_expires(demo_site, shopper):
    page = shopper("leaver")
    page.get_by_role("button", name="Buy for $4").click()
    page.wait_for_url(f"{till(demo_site)}/c/pay/**")
    session = page.url.rpartition("/")[2]
    context = page.context
    page.close()
    page = context.new_page()
    assert history(page, demo_site) == [WELCOME]
    assert states(demo_site, "leaver") == [("open", 0)]
    client = stripe.StripeClient("sk_test_standin", base_addresses={"api": till(demo_site)})
    client.v1.checkout.sessions.expire(session)
    demo_site.wait_for(lambda: states(demo_site, "leaver") == [("expired", 0)], 20)
    assert history(page, demo_site) == [WELCOME]
    page.goto(f"{demo_site.url}/credits/return/?session={session}")
    expect(page.get_by_role("heading", name="This checkout has ended")).to_be_visible()


def test_a_slow_bank_is_told_and_its_answer_comes_by_itself(demo_site, shopper):
    page = shopper("waiter")
    page.get_by_role("button", name="Buy for $9").click()
    page.get_by_role("button", name="Pay later by bank").click()
    expect(page.get_by_role("heading", name="Your bank is confirming")).to_be_visible()
    assert history(page, demo_site) == [WELCOME]
    waits = page.get_by_text("Your bank is confirming a payment of $9.")
    expect(waits).to_be_visible()
    session = demo_site.rows(
        "select session_id from accounts_purchase p join accounts_user u on u.id = p.user_id "
        "where u.email = 'waiter@example.org'"
    )[0][0]
    page.goto(till(demo_site))
    page.get_by_role("row", name=session).get_by_role("button", name="The bank pays").click()
    demo_site.wait_for(lambda: states(demo_site, "waiter") == [("paid", 900)], 20)
    assert history(page, demo_site) == [["Purchase $9", "+60", "63"], WELCOME]
    expect(waits).to_have_count(0)
    # As the clock does every minute.
    letters = "from accounts import tasks; tasks.send_letters()"
    assert demo_site.command("shell", "-c", letters).returncode == 0
    page.goto(f"{demo_site.url}/dev/mail/")
    expect(page.locator("main")).to_contain_text("Your bank has confirmed: 60 credits are yours.")


def test_unused_credits_go_back_to_the_card_at_ones_own_word(demo_site, shopper):
    page = shopper("returner")
    page.get_by_role("button", name="Buy for $9").click()
    page.get_by_role("button", name="Pay $9.00").click()
    expect(page.get_by_role("heading", name="60 credits added")).to_be_visible()
    page.goto(f"{demo_site.url}/credits/")
    page.get_by_role("link", name="Get money back").click()
    page.get_by_role("link", name="Look and confirm").click()
    page.get_by_label("Password", exact=True).fill(pages.PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="$9 back to your card?")).to_be_visible()
    page.get_by_role("button", name="Send $9 back").click()
    expect(page.get_by_text("Sent. Banks take 5 to 10 days.")).to_be_visible()
    expect(page.locator(".c-nav__credits")).to_have_text(f"{FREE} credits")
    refunded = ["Refunded the money went back to you", "−60", f"{FREE}"]
    assert history(page, demo_site) == [refunded, ["Purchase $9", "+60", "63"], WELCOME]
    page.get_by_role("link", name="Get money back").click()
    expect(page.locator("main article")).to_contain_text("$9 sent.")
    page.goto(till(demo_site))
    expect(page.locator("main")).to_contain_text("refunded $9.00")


def test_fields_added_to_the_form_change_neither_price_nor_credits(demo_site, shopper):
    page = shopper("forger")
    page.evaluate(
        """() => {
            const form = document.querySelector("form[action*='/credits/buy/']");
            const wanted = {price: 1, price_cents: 1, amount: 1, quantity: 50, credits: 9000};
            for (const [name, value] of Object.entries(wanted)) {
                const field = document.createElement("input");
                [field.type, field.name, field.value] = ["hidden", name, value];
                form.append(field);
            }
        }"""
    )
    page.get_by_role("button", name="Buy for $4").click()
    page.get_by_role("button", name="Pay $4.00").click()
    expect(page.get_by_role("heading", name="20 credits added")).to_be_visible()
    assert history(page, demo_site) == [["Purchase $4", "+20", "23"], WELCOME]
    assert states(demo_site, "forger") == [("paid", 400)]


def test_the_keyboard_alone_can_buy(demo_site, shopper):
    page = shopper("typist")
    for control, heading in (
        ("Buy for $4", "To pay"),
        ("Pay $4.00", "20 credits added"),
        ("See your credits", "23 credits"),
    ):
        reach(page, control)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()


def reach(page: Page, name: str) -> None:
    """Tab until the control with these words has the focus, and shows it."""
    for _press in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText.trim()") == name:
            outline = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(outline) != "none"
            return
    raise AssertionError(f"{name} cannot be reached by Tab")


def test_money_pages_in_every_state_are_accessible_and_fit_a_small_phone(
    demo_site, purses, open_context
):
    axe, opened, found = Axe(), {}, {}
    small = {"width": 320, "height": 700}
    for name, (who, path) in purses.items():
        if who not in opened:
            # axe is put into the page as a script of its own, which our policy forbids; colours
            # are looked at as soon as the theme has changed, so nothing may fade into it.
            context = open_context(bypass_csp=True, viewport=small, reduced_motion="reduce")
            opened[who] = pages.sign_in(context, demo_site, who)
        page = opened[who]
        page.goto(path if path.startswith("http") else demo_site.url + path)
        if "/reauthenticate/" in page.url:
            page.get_by_label("Password", exact=True).fill(pages.PASSWORD)
            page.get_by_role("button", name="Confirm").click()
            page.wait_for_url(re.compile(re.escape(path)))
        for row in page.locator("summary").all():
            row.click()
        over = [over_the_edge(page)]
        trouble = [*serious(axe, page, "light"), *serious(axe, page, "dark")]
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        page.set_viewport_size({"width": 390, "height": 700})
        over.append(over_the_edge(page))
        page.set_viewport_size(small)
        if trouble or max(over) > 0:
            found[name] = (trouble, over)
    assert found == {}


def serious(axe: Axe, page: Page, scheme: str) -> list[tuple[str, str]]:
    page.emulate_media(color_scheme=scheme)
    return [
        (scheme, violation["id"])
        for violation in axe.run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


def over_the_edge(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def test_a_statement_is_printed_on_white_whatever_the_theme(demo_site, purses, open_context):
    who, path = purses["statement"]
    page = pages.sign_in(open_context(color_scheme="dark"), demo_site, who)
    page.goto(demo_site.url + path)
    shown = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(shown)
    page.emulate_media(media="print")
    assert (dark, page.evaluate(shown)) == ("rgb(20, 19, 17)", "rgb(251, 250, 248)")
    expect(page.get_by_role("link", name="Back to credits")).to_be_hidden()
    expect(page.get_by_text("test mode: play money")).to_be_visible()
