"""Unused credits back to money by the pages: the offer, the proof, the one press and its answer.

Knows the till, the factories and the pages' addresses.
"""

import re
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from accounts import auditing, refunding
from accounts.models import Purchase, Refund, Transfer
from accounts.views.refunds import recent
from tests import factories
from tests.till import pockets

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def eve(db):
    """Nothing but what she buys."""
    return factories.create_user("eve@example.org")


@pytest.fixture
def eves(client, eve):
    """Eve's browser, who has just said once more who she is."""
    client.force_login(eve)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def spend(user, credits: int) -> None:
    number = str(uuid4())
    user.wallet.hold(credits, number)
    user.wallet.capture(credits, number)


def address(purchase: Purchase) -> str:
    return f"/credits/refund/{purchase.public_id}/"


def title(response) -> str:
    return re.search(r"<h1>([^<]*)</h1>", response.text)[1]


def press(client, purchase: Purchase, cents: int | str, **more):
    return client.post(address(purchase), {"cents": cents, **more}, follow=True)


def sent(till) -> list[int]:
    return [row.amount for row in till.shop.api.refunds.list().data]


# ── What can go back ────────────────────────────────────────────────────────────────────────────


def test_the_offer_is_the_unused_share_rounded_down_to_the_cent(eves, eve):
    purchase = factories.create_purchase(eve)
    spend(eve, 19)
    text = eves.get("/credits/refund/").text
    assert "41 of 60 credits unused: $6.15 back to your card." in text
    assert f'href="{address(purchase)}"' in text


def test_a_fraction_of_a_cent_stays_with_us(eves, eve):
    factories.create_purchase(eve, factories.create_pack(credits=150, price_cents=1900))
    spend(eve, 149)
    assert "1 of 150 credits unused: $0.12 back" in eves.get("/credits/refund/").text  # 12.67


def test_what_is_left_counts_as_of_the_newest_purchase(eve):
    older, newer = factories.create_purchase(eve), factories.create_purchase(eve)
    spend(eve, 70)
    eve.wallet.refresh_from_db()
    offers = {offer.purchase: offer.unused for offer in recent(eve, timezone.now())}
    assert offers == {newer: 50, older: 0} == {newer: newer.unused(), older: older.unused()}


def test_held_credits_wait_and_the_page_says_so(eves, eve):
    factories.create_purchase(eve)
    eve.wallet.hold(2, str(uuid4()))
    text = eves.get("/credits/refund/").text
    assert "58 of 60 credits unused" in text
    assert "2 credits are held" in text


def test_after_fourteen_days_nothing_is_offered_or_sent(eves, eve):
    purchase = factories.create_purchase(eve)
    with time_machine.travel(timezone.now() + timedelta(days=14, seconds=1), tick=False):
        eves.force_login(eve)
        eves.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert "No purchases in the last 14 days." in eves.get("/credits/refund/").text
        assert title(eves.get(address(purchase))) == "Nothing to send back"
        response = press(eves, purchase, 900)
    assert response.status_code == 409
    assert Refund.objects.count() == 0


@pytest.mark.parametrize("purchases", [1, 5])
def test_any_number_of_purchases_costs_the_same(eves, eve, purchases, django_assert_num_queries):
    for _number in range(purchases):
        factories.create_purchase(eve)
    with django_assert_num_queries(5):  # session, person, purchases, their refunds, tray
        eves.get("/credits/refund/")


# ── Who asks ────────────────────────────────────────────────────────────────────────────────────


def test_whoever_asks_proves_once_more_who_they_are(client, eve):
    purchase = factories.create_purchase(eve)
    client.force_login(eve)
    for ask in (client.get, client.post):
        response = ask(address(purchase))
        again = f"/accounts/reauthenticate/?{urlencode({'next': address(purchase)})}"
        assert response["Location"] == again
    assert Refund.objects.count() == 0


def test_a_form_whose_proof_grew_old_is_sent_after_the_password(till, client, eve, pack):
    purchase = till.buy(eve, pack)
    client.force_login(eve)
    client.post(address(purchase), {"cents": "900"})
    again = f"/accounts/reauthenticate/?next={address(purchase)}"
    response = client.post(again, {"password": PASSWORD, "next": address(purchase)}, follow=True)
    assert title(response) == "$9 sent"
    assert sent(till) == [900]


def test_a_stranger_signs_in_first(client, eve):
    purchase = factories.create_purchase(eve)
    assert client.get(address(purchase))["Location"].startswith("/accounts/login/?next=")


def test_somebody_elses_purchase_is_not_found_and_not_refunded(till, eves, ben, pack):
    bens = till.buy(ben, pack)
    assert eves.get(address(bens)).status_code == 404
    assert press(eves, bens, 900).status_code == 404
    assert (pockets(ben), sent(till)) == ((60, 0, 0), [])


def test_a_purchase_nobody_paid_is_not_found(till, eves, eve, pack):
    assert eves.get(address(till.begin(eve, pack))).status_code == 404


# ── One press ───────────────────────────────────────────────────────────────────────────────────


def test_one_press_sends_the_money_and_takes_the_credits(till, eves, eve, pack):
    purchase = till.buy(eve, pack)
    spend(eve, 19)
    page = eves.get(address(purchase))
    assert title(page) == "$6.15 back to your card?"
    assert '<input type="hidden" name="cents" value="615">' in page.text
    response = press(eves, purchase, 615)
    assert response.redirect_chain == [(address(purchase), 302)]
    assert title(response) == "$6.15 sent"
    assert "Banks take 5 to 10 days. 41 credits have left your balance." in response.text
    eve.wallet.refresh_from_db()
    assert (eve.wallet.spendable, sent(till)) == (0, [615])
    assert "$6.15 sent." in eves.get("/credits/refund/").text
    assert auditing.findings() == []


def test_a_second_press_sends_nothing_more(till, eves, eve, pack):
    purchase = till.buy(eve, pack)
    for _number in range(3):
        assert title(press(eves, purchase, 900)) == "$9 sent"
    assert sent(till) == [900]
    assert Transfer.objects.filter(kind="refund").count() == 1


@pytest.mark.parametrize("cents", ["1", "90000", "", "x", "900.0", "-900", "٩٠٠"])
def test_an_amount_of_ones_own_sends_nothing(till, eves, eve, pack, cents):
    purchase = till.buy(eve, pack)
    response = press(eves, purchase, cents, amount=90000, credits=1)
    assert (response.status_code, sent(till)) == (409, [])
    assert "The amount has changed." in response.text
    assert pockets(eve) == (60, 0, 0)


def test_credits_spent_since_the_page_was_shown_are_not_refunded(till, eves, eve, pack):
    purchase = till.buy(eve, pack)
    spend(eve, 10)
    response = press(eves, purchase, 900)
    assert (response.status_code, title(response)) == (409, "$7.50 back to your card?")
    assert sent(till) == []


def test_credits_spent_at_the_moment_of_the_press_are_told(eves, eve, monkeypatch):
    purchase = factories.create_purchase(eve)
    ask = refunding.ask_refund

    def spent_meanwhile(asked, now):
        spend(eve, 60)
        return ask(asked, now)

    monkeypatch.setattr(refunding, "ask_refund", spent_meanwhile)
    response = press(eves, purchase, 900)
    assert (response.status_code, title(response)) == (409, "Nothing to send back")
    assert "Nothing was sent." in response.text


def test_a_stripe_that_is_away_is_asked_again_later(till, eves, eve, pack, settings):
    purchase, url = till.buy(eve, pack), settings.STRIPE_API_URL
    settings.STRIPE_API_URL = "http://127.0.0.1:9"
    response = press(eves, purchase, 900)
    assert title(response) == "$9 asked for"
    assert "you need not press again" in response.text
    settings.STRIPE_API_URL = url
    refunding.send_refund(Refund.objects.get())
    assert title(eves.get(address(purchase))) == "$9 sent"
    assert sent(till) == [900]


def test_a_refusal_is_told_and_no_credit_is_lost(till, eves, eve, pack):
    purchase = till.buy(eve, pack)
    Purchase.objects.filter(pk=purchase.pk).update(payment_intent="pi_nobody_knows")
    response = press(eves, purchase, 900)
    assert "Our staff look at it; no credit is lost." in response.text
    assert (title(response), pockets(eve)) == ("$9 back to your card?", (60, 0, 0))
    assert [(each.state, each.amount_cents) for each in Refund.objects.all()] == [("undone", 900)]


def test_the_eleventh_press_of_an_hour_waits(eves, eve):
    purchase = factories.create_purchase(eve)
    statuses = [eves.post(address(purchase), {"cents": "1"}).status_code for _number in range(11)]
    assert statuses == [409] * 10 + [429]
