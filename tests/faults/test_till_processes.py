"""Real processes killed in the middle of a payment: one credit for each, one refund, no loose end.

Knows the plant, the town and its customers. Collected on PostgreSQL only, as test_processes is.
"""

import pytest

from tests.faults.customer import Customer
from tests.faults.plant import Plant
from tests.faults.town import Point, Town
from tests.faults.visitor import NoAnswer

CREDITS, CENTS = 60, 900
LOOK = "accounts.tasks.look_at_open"
ASKED = "a call to Stripe"


@pytest.fixture(scope="module")
def town():
    """A site and a worker that can be doomed; no clock runs."""
    doomed = "tests.faults.doomed"
    with Plant(
        app=doomed, web_app=f"{doomed}:application", looks=("look1",), look_hands=1
    ) as plant:
        plant.parts["beat"].kill()
        yield Town(plant, {}, [])


@pytest.fixture
def eve(town):
    customer = Customer(town.plant)
    customer.shop.switch(hook="once")
    return customer


def web(act: str, crossing: str, nth: int = 1) -> Point:
    return Point("web", act, crossing, nth)


def look(town: Town) -> None:
    town.plant.ask("look_at_open")


def all_is_settled(town: Town, eve: Customer, *, bought: int, back: int = 0) -> None:
    """A day later, by our rows, by the audit and by Stripe's own books: as many credits as were
    paid for, as many back as was sent, and nothing that still waits.
    """
    town.plant.ask("look_at_open", hours=26)
    wallet = eve.wallet()
    assert wallet["pockets"] == [bought * CREDITS, 0, back]
    assert wallet["purchases"].count("paid") == bought
    assert set(wallet["purchases"]) <= {"paid", "expired"}
    assert set(wallet["refunds"]) <= {"sent"}
    assert town.plant.ask("reconcile") == []
    assert eve.wallet() == wallet
    town.nothing_is_wrong()


# ── Beginning ───────────────────────────────────────────────────────────────────────────────────

BEGINNINGS = {
    "written down, Stripe not asked": (f"before {ASKED}", ["open", False, 0, None], 0),
    "F21 made at Stripe, not saved": (f"after {ASKED}", ["open", False, 0, None], 1),
    "saved, not answered": ("after UPDATE by itself", ["open", True, 0, None], 1),
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_site_killed_while_it_opens_a_checkout_credits_exactly_what_is_paid(town, eve, name):
    crossing, seen, made = BEGINNINGS[name]
    town.doom(eve.email, web("POST /credits", crossing))
    with pytest.raises(NoAnswer):
        eve.begin()
    assert town.await_doom(lambda: None)[1] == seen
    lost = eve.checkouts()
    assert len(lost) == made
    again = eve.until_told(eve.begin)
    for checkout in (*lost, again):
        eve.pay(checkout)
    town.until(lambda: eve.wallet()["purchases"].count("paid") == made + 1, lambda: None)
    assert eve.until_told(lambda: eve.come_back(again)) == f"{CREDITS} credits added"
    all_is_settled(town, eve, bought=made + 1)


@pytest.mark.parametrize("name", [*BEGINNINGS][:2])
def test_a_checkout_that_a_kill_left_and_nobody_pays_ends_without_credits(town, eve, name):
    crossing, seen, _made = BEGINNINGS[name]
    town.doom(eve.email, web("POST /credits", crossing))
    with pytest.raises(NoAnswer):
        eve.begin()
    assert town.await_doom(lambda: None)[1] == seen
    all_is_settled(town, eve, bought=0)
    assert eve.wallet()["purchases"] == ["expired"]


# ── F22: inside fulfil ──────────────────────────────────────────────────────────────────────────

INSIDE_FULFIL = {
    "Stripe read, nothing written": (f"after {ASKED}", ["open", True, 0, None]),
    "before its commit": ("before a commit", ["open", True, 0, None]),
    "after its commit": ("after a commit", ["paid", True, 0, None]),
}


@pytest.mark.parametrize("name", INSIDE_FULFIL)
def test_a_site_killed_in_a_webhook_hears_it_again_and_credits_once(town, eve, name):
    crossing, seen = INSIDE_FULFIL[name]
    checkout = eve.until_told(eve.begin)
    town.doom(eve.email, web("POST /webhooks", crossing))
    eve.pay(checkout)
    assert town.await_doom(lambda: None)[1] == seen
    town.until(lambda: eve.wallet()["purchases"] == ["paid"], lambda: None)
    all_is_settled(town, eve, bought=1)


@pytest.mark.parametrize("name", INSIDE_FULFIL)
def test_a_site_killed_in_the_return_page_shows_the_credits_when_it_is_loaded_again(
    town, eve, name
):
    crossing, seen = INSIDE_FULFIL[name]
    eve.shop.switch(hook="never")
    checkout = eve.until_told(eve.begin)
    eve.pay(checkout)
    town.doom(eve.email, web("GET /credits", crossing))
    with pytest.raises(NoAnswer):
        eve.come_back(checkout)
    assert town.await_doom(lambda: None)[1] == seen
    assert eve.until_told(lambda: eve.come_back(checkout)) == f"{CREDITS} credits added"
    all_is_settled(town, eve, bought=1)


@pytest.mark.parametrize("name", INSIDE_FULFIL)
def test_a_worker_killed_while_it_looks_is_followed_by_the_next_look(town, eve, name):
    crossing, seen = INSIDE_FULFIL[name]
    eve.shop.switch(hook="never")
    eve.pay(eve.until_told(eve.begin))
    town.doom(eve.email, Point("look", LOOK, crossing))
    nudge = {"by_worker": True}
    town.plant.ask("look_at_open", **nudge)
    assert town.await_doom(lambda: town.plant.ask("look_at_open", **nudge))[1] == seen
    town.until(
        lambda: eve.wallet()["purchases"] == ["paid"],
        lambda: town.plant.ask("look_at_open", **nudge),
    )
    all_is_settled(town, eve, bought=1)


# ── Money back ──────────────────────────────────────────────────────────────────────────────────

# Of a refund: the credits go; refunds and disputes are read; it is made; both are read again.
REFUNDS = {
    "nothing done": (("before a commit", 1), ["paid", True, 0, None], 0),
    "row and credits gone": (("after a commit", 1), ["paid", True, CREDITS, "asked"], 0),
    "before it is made at Stripe": ((f"before {ASKED}", 3), ["paid", True, CREDITS, "asked"], 0),
    "made at Stripe": ((f"after {ASKED}", 3), ["paid", True, CREDITS, "asked"], 1),
    "read back, not recorded": (("before a commit", 3), ["paid", True, CREDITS, "asked"], 1),
    "recorded": (("after a commit", 3), ["paid", True, CREDITS, "sent"], 1),
}


def bought(eve: Customer) -> tuple[str, str]:
    """A checkout that was paid and credited, and our own number of it; Stripe falls silent."""
    checkout = eve.until_told(eve.begin)
    eve.shop.switch(hook="never")
    eve.pay(checkout)
    assert eve.until_told(lambda: eve.come_back(checkout)) == f"{CREDITS} credits added"
    return checkout, eve.wallet()["numbers"][0]


@pytest.mark.parametrize("tells", ["never", "once"])
@pytest.mark.parametrize("name", REFUNDS)
def test_a_site_killed_in_a_refund_sends_the_money_once_or_keeps_the_credits(
    town, eve, name, tells
):
    (crossing, nth), seen, made = REFUNDS[name]
    checkout, number = bought(eve)
    eve.shop.switch(hook=tells)
    town.doom(eve.email, web("POST /credits", crossing, nth))
    with pytest.raises(NoAnswer):
        eve.ask_back(number, CENTS)
    assert town.await_doom(lambda: None)[1] == seen
    assert eve.money_back(checkout) == [CENTS] * made
    if seen[2]:
        town.until(lambda: eve.wallet()["refunds"] == ["sent"], lambda: look(town))
        assert eve.money_back(checkout) == [CENTS]
        all_is_settled(town, eve, bought=1, back=CREDITS)
    else:
        all_is_settled(town, eve, bought=1)
        assert eve.money_back(checkout) == []


def test_a_refund_that_kills_two_in_a_row_is_sent_once(town, eve):
    """The site after taking the credits, then the worker that has just asked Stripe."""
    checkout, number = bought(eve)
    town.doom(eve.email, web("POST /credits", "after a commit"))
    with pytest.raises(NoAnswer):
        eve.ask_back(number, CENTS)
    town.await_doom(lambda: None)
    town.doom(eve.email, Point("look", LOOK, f"after {ASKED}", 3))
    town.plant.ask("look_at_open", by_worker=True)
    seen = town.await_doom(lambda: town.plant.ask("look_at_open", by_worker=True))[1]
    assert seen == ["paid", True, CREDITS, "asked"]
    assert eve.money_back(checkout) == [CENTS]
    town.until(
        lambda: eve.wallet()["refunds"] == ["sent"],
        lambda: town.plant.ask("look_at_open", by_worker=True),
    )
    assert eve.money_back(checkout) == [CENTS]
    all_is_settled(town, eve, bought=1, back=CREDITS)


@pytest.mark.parametrize("crossing", ["before a commit", "after a commit"])
def test_a_site_killed_when_it_hears_of_a_refund_takes_its_credits_once(town, eve, crossing):
    checkout, _number = bought(eve)
    eve.shop.switch(hook="once")
    town.doom(eve.email, web("POST /webhooks", crossing))
    eve.shop.api.refunds.create({"payment_intent": eve.payment(checkout), "amount": 310})
    taken = 21 if crossing == "after a commit" else 0
    assert town.await_doom(lambda: None)[1] == ["paid", True, taken, None]
    town.until(lambda: eve.wallet()["pockets"][2] == 21, lambda: None)
    all_is_settled(town, eve, bought=1, back=21)
