"""Buying credits through the Stripe stand-in: the official client on one side, our webhook on the
other, real HTTP between them. Refunds and disputes have a file of their own.

Knows the till, billing, reconciling and the models.
"""

import io
import json
from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts import auditing, billing, reconciling, tasks
from accounts.models import CreditPack, Decision, Kind, NothingToRefund, Purchase, Transfer
from tests.standin_stripe import line
from tests.till import ADDRESS, PAID, Crash, dying_after, pockets, tell

pytestmark = pytest.mark.django_db

State = Purchase.State


def calls(caplog) -> list[str]:
    """What staff were called about."""
    return [r.getMessage() for r in caplog.records if r.name == "likeness.staff"]


def state_of(purchase: Purchase) -> str:
    purchase.refresh_from_db()
    return purchase.state


def test_a_paid_pack_becomes_credits_once_its_event_arrives(till, client, ada, pack):
    purchase = till.pay(ada, pack)
    assert (state_of(purchase), pockets(ada)) == (State.OPEN, (10, 0, 0))
    assert till.bring(client, PAID) == [200, 200]
    assert (state_of(purchase), pockets(ada)) == (State.PAID, (70, 0, 0))
    transfer = Transfer.objects.get(kind=Kind.PURCHASE)
    assert (transfer.reference, purchase.transfer) == (f"purchase:{purchase.session_id}", transfer)
    assert (purchase.paid_cents, purchase.payment_intent) == (900, till.intent(purchase))
    assert auditing.findings() == []


def test_the_checkout_is_asked_for_at_our_price_and_carries_our_number(till, ada, pack, settings):
    settings.SITE_URL = "https://likeness.example/"
    purchase = till.pay(ada, pack)
    session = till.shop.sessions.retrieve(purchase.session_id, {"expand": ["payment_intent"]})
    number = str(purchase.public_id)
    assert (session.amount_total, session.currency) == (900, "usd")
    assert (session.client_reference_id, session.customer_email) == (number, "ada@example.org")
    assert session.metadata.to_dict() == {"purchase": number}
    assert session.payment_intent.metadata.to_dict() == {"purchase": number}
    assert session.invoice_creation.enabled is True
    assert (session.allow_promotion_codes, session.automatic_tax.enabled) == (None, False)
    back = "https://likeness.example/credits/return/"
    assert (session.success_url, session.cancel_url) == (
        f"{back}?session={{CHECKOUT_SESSION_ID}}",
        f"{back}?cancelled={number}",
    )


def test_promotion_codes_and_taxes_are_asked_for_when_set(till, ada, pack, settings):
    settings.STRIPE_PROMOTION_CODES = settings.STRIPE_AUTOMATIC_TAX = True
    session = till.shop.sessions.retrieve(till.begin(ada, pack).session_id)
    assert (session.allow_promotion_codes, session.automatic_tax.enabled) == (True, True)


def test_our_version_of_the_api_is_sent_with_every_call(till):
    answer = billing.client().v1.checkout.sessions.list().last_response
    assert answer.headers["Stripe-Version"] == billing.API_VERSION == "2026-10-28.endive"


def test_a_retired_pack_begins_nothing(till, ada, pack):
    pack.active = False
    with pytest.raises(billing.NotForSale):
        billing.start_checkout(ada, pack)
    assert Purchase.objects.count() == 0


def test_a_purchase_keeps_its_price_when_the_pack_changes(till, client, ada, pack):
    purchase = till.pay(ada, pack)
    type(pack).objects.update(credits=1, price_cents=1)
    till.bring(client, PAID)
    assert (state_of(purchase), pockets(ada)) == (State.PAID, (70, 0, 0))


def test_the_same_events_again_and_again_change_nothing(till, client, ada, pack):
    till.pay(ada, pack)
    events = till.heard(PAID)
    assert [tell(client, *event) for event in events * 3] == [200] * 6
    assert pockets(ada) == (70, 0, 0)


def test_an_unpaid_checkout_stays_open_and_an_expired_one_ends(till, client, ada, pack):
    purchase = till.begin(ada, pack)
    till.press(purchase, "decline")
    billing.fulfil(purchase.session_id)
    assert state_of(purchase) == State.OPEN
    till.shop.sessions.expire(purchase.session_id)
    assert till.bring(client, 1) == [200]
    assert (state_of(purchase), pockets(ada)) == (State.EXPIRED, (10, 0, 0))


@pytest.mark.parametrize(
    ("outcome", "events", "state", "available"),
    [("succeeded", 2, State.PAID, 70), ("failed", 1, State.EXPIRED, 10)],
)
def test_a_bank_payment_counts_when_the_bank_has_answered(
    till, client, ada, pack, outcome, events, state, available
):
    purchase = till.begin(ada, pack)
    till.press(purchase, "bank")
    till.bring(client, 1)
    assert (state_of(purchase), pockets(ada)) == (State.OPEN, (10, 0, 0))
    till.shop.control(f"sessions/{purchase.session_id}/settle", outcome=outcome)
    till.bring(client, events)
    assert (state_of(purchase), pockets(ada)) == (state, (available, 0, 0))


def foreign(till, purchase, **change) -> str:
    """A paid checkout that names the purchase and was not made by us."""
    number = str(purchase.public_id)
    return till.shop.paid(metadata={"purchase": number}, **change)[0].id


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"line_items": line(unit_amount=90)}, "its price is 90 and ours 900"),
        ({"line_items": line(currency="eur")}, "its currency is eur"),
    ],
)
def test_a_payment_of_another_price_credits_nothing_and_calls_staff(
    till, client, caplog, ada, pack, change, why
):
    purchase = till.begin(ada, pack)
    Purchase.objects.update(session_id=None)
    session_id = foreign(till, purchase, **change)
    assert till.bring(client, PAID) == [200, 200]
    assert (state_of(purchase), pockets(ada)) == (State.ODD, (10, 0, 0))
    billing.fulfil(session_id)
    assert calls(caplog) == [f"paid and not credited: {session_id}, because {why}"]


def test_a_second_checkout_paid_for_one_purchase_credits_nothing_more(
    till, client, caplog, ada, pack
):
    purchase = till.buy(ada, pack)
    session_id = foreign(till, purchase)
    till.bring(client, 2 * PAID)
    assert (state_of(purchase), pockets(ada)) == (State.PAID, (70, 0, 0))
    why = "its purchase has another checkout"
    assert calls(caplog) == [f"paid and not credited: {session_id}, because {why}"]


def test_a_payment_of_a_closed_account_is_set_aside(till, client, ada, pack):
    purchase = till.pay(ada, pack)
    Purchase.objects.update(user=None)
    till.bring(client, PAID)
    assert state_of(purchase) == State.ODD


def test_a_payment_in_live_mode_is_nothing_to_a_test_key(till, client, caplog, ada, pack):
    till.shop.switch(livemode="on")
    purchase = till.pay(ada, pack)
    assert till.bring(client, PAID) == [200, 200]
    assert (state_of(purchase), pockets(ada)) == (State.OPEN, (10, 0, 0))
    billing.fulfil(purchase.session_id)
    assert (state_of(purchase), pockets(ada)) == (State.ODD, (10, 0, 0))
    assert "another mode" in calls(caplog)[0]


@pytest.mark.parametrize("metadata", [{}, {"purchase": "4711"}])
def test_a_checkout_of_somebody_else_on_the_account_is_left_alone(
    till, client, caplog, ada, metadata
):
    till.shop.paid(metadata=metadata)
    assert till.bring(client, PAID) == [200, 200]
    assert (pockets(ada), calls(caplog)) == ((10, 0, 0), [])


def test_a_discount_that_was_allowed_is_credited_and_remembered(till, ada, pack, settings):
    settings.STRIPE_PROMOTION_CODES = True
    till.shop.switch(discount=100)
    purchase = till.buy(ada, pack)
    assert (purchase.amount_cents, purchase.paid_cents, pockets(ada)) == (900, 800, (70, 0, 0))


def test_a_code_that_leaves_nothing_to_pay_brings_the_credits_and_no_money_back(
    till, client, ada, pack, settings
):
    settings.STRIPE_PROMOTION_CODES = True
    till.shop.switch(discount=pack.price_cents)
    purchase = till.pay(ada, pack)
    assert till.bring(client, 1) == [200]
    purchase.refresh_from_db()
    assert (purchase.state, purchase.paid_cents, purchase.payment_intent) == ("paid", 0, None)
    assert (pockets(ada), auditing.findings()) == ((70, 0, 0), [])
    assert reconciling.reconcile(timezone.now()) == []
    with pytest.raises(NothingToRefund):
        purchase.open_refund(timezone.now())


def test_two_free_checkouts_do_not_collide(till, ada, ben, pack, settings):
    settings.STRIPE_PROMOTION_CODES = True
    till.shop.switch(discount=pack.price_cents)
    assert {till.buy(person, pack).paid_cents for person in (ada, ben)} == {0}


def test_forged_old_and_meaningless_calls_change_nothing(till, client, ada, pack):
    till.shop.switch(hook="wrong-signature")
    till.pay(ada, pack)
    assert till.bring(client, PAID) == [400, 400]
    till.shop.switch(hook="once", clock=-400)
    till.pay(ada, pack)
    old = till.heard(PAID)
    assert [tell(client, *event) for event in old] == [400, 400]
    till.shop.switch(clock=0)
    till.pay(ada, pack)
    body, signature = till.heard(PAID)[1]
    assert tell(client, body.replace(b"complete", b"open"), signature) == 400
    assert [tell(client, body, wrong) for wrong in ("", "t=1", "nonsense", "t=x,v1=y")] == [400] * 4
    assert tell(client, b"\xff", signature) == 400
    assert client.get(ADDRESS).status_code == 405
    assert (pockets(ada), Purchase.objects.open().count()) == ((10, 0, 0), 3)


def test_an_event_may_be_five_minutes_old_but_no_older(till, client, ada, pack):
    till.pay(ada, pack)
    event = till.heard(PAID)[1]
    told = int(event[1].partition(",")[0].removeprefix("t="))
    with time_machine.travel(told + billing.SIGNATURE_SECONDS + 2):
        assert tell(client, *event) == 400
    with time_machine.travel(told + billing.SIGNATURE_SECONDS - 2):
        assert tell(client, *event) == 200
    assert pockets(ada) == (70, 0, 0)


def test_while_stripe_is_down_an_event_is_answered_500_and_told_again(till, client, ada, pack):
    till.pay(ada, pack)
    events = till.heard(PAID)
    till.shop.switch(api="down")
    assert [tell(client, *event) for event in events] == [200, 500]
    till.shop.switch(api="up")
    assert [tell(client, *event) for event in events] == [200, 200]
    assert pockets(ada) == (70, 0, 0)


def test_unknown_types_are_answered_200(till, client):
    till.shop.paid()
    assert till.bring(client, PAID) == [200, 200]  # payment_intent.succeeded is one


# ── What no event told ──────────────────────────────────────────────────────────────────────────


def test_the_look_at_open_purchases_finds_a_payment_nobody_told_of(till, ada, ben, pack):
    paid, waiting = till.pay(ada, pack), till.begin(ben, pack)
    tasks.look_at_open()
    assert (state_of(paid), state_of(waiting)) == (State.PAID, State.OPEN)
    assert (pockets(ada), pockets(ben)) == ((70, 0, 0), (0, 0, 0))


def test_a_look_while_stripe_is_away_changes_nothing(till, ada, pack):
    purchase = till.pay(ada, pack)
    till.shop.switch(api="busy")
    tasks.look_at_open()
    assert state_of(purchase) == State.OPEN


def test_one_checkout_stripe_has_lost_keeps_no_other_waiting(till, caplog, ada, pack):
    lost, paid = till.begin(ada, pack), till.pay(ada, pack)
    Purchase.objects.filter(pk=lost.pk).update(session_id="cs_test_gone")
    tasks.look_at_open()
    assert (state_of(lost), state_of(paid)) == (State.OPEN, State.PAID)
    assert calls(caplog) == ["checkout cs_test_gone cannot be read: resource_missing session"]


def test_a_checkout_made_and_never_saved_is_credited_when_it_was_paid(till, client, ada, pack):
    """F21: the answer was lost, or we died before noting it."""
    till.shop.switch(api="lost")
    with pytest.raises(billing.Unavailable):
        billing.start_checkout(ada, pack)
    till.shop.switch(api="up")
    (session,) = till.shop.sessions.list().data  # asked three times, made once
    purchase = Purchase.objects.get()
    assert (purchase.state, purchase.session_id) == (State.OPEN, None)
    till.shop.press(session, "card")
    till.bring(client, PAID)
    assert (state_of(purchase), purchase.session_id) == (State.PAID, session.id)
    assert pockets(ada) == (70, 0, 0)


def test_a_checkout_nobody_ever_saw_ends_after_a_day_and_is_credited_if_paid_after_all(
    till, client, ada, pack
):
    purchase = till.begin(ada, pack)
    session_id, purchase.session_id = purchase.session_id, None
    Purchase.objects.update(session_id=None)
    reconciling.look_at_open(timezone.now())
    assert state_of(purchase) == State.OPEN
    reconciling.look_at_open(timezone.now() + timedelta(hours=26))
    assert state_of(purchase) == State.EXPIRED
    purchase.session_id = session_id
    till.press(purchase, "card")
    till.bring(client, PAID)
    assert (state_of(purchase), pockets(ada)) == (State.PAID, (70, 0, 0))


@pytest.mark.django_db(transaction=True)
def test_a_crash_at_any_statement_of_fulfil_leaves_all_or_nothing(till, ada, pack):
    """F22: stopped before its first statement, its second, … until it runs through."""
    purchase = till.pay(ada, pack)
    for survived in range(100):
        try:
            with dying_after(survived):
                billing.fulfil(purchase.session_id)
        except Crash:
            credited = Transfer.objects.filter(kind=Kind.PURCHASE).count()
            assert credited == (state_of(purchase) == State.PAID)
            assert auditing.findings() == []
        else:
            break
    assert survived > 5
    assert (state_of(purchase), pockets(ada)) == (State.PAID, (70, 0, 0))


def test_the_nightly_books_mend_what_was_missed_and_agree(till, ada, ben, pack):
    paid, refunded = till.pay(ada, pack), till.buy(ben, pack)
    till.shop.api.refunds.create({"payment_intent": refunded.payment_intent, "amount": 300})
    out = io.StringIO()
    call_command("reconcile_stripe", stdout=out)
    assert out.getvalue() == "Stripe agrees.\n"
    assert (state_of(paid), pockets(ada), pockets(ben)) == (State.PAID, (70, 0, 0), (60, 0, 20))


def test_the_nightly_books_find_money_without_credits_and_credits_without_money(
    till, caplog, ada, pack
):
    odd = till.begin(ada, pack)
    Purchase.objects.update(session_id=None)
    paid = foreign(till, odd, line_items=line(unit_amount=90))
    free = till.begin(ada, pack)
    free.credit(billing.Payment(free.session_id, "pi_never", 900))
    Purchase.objects.filter(pk=free.pk).update(created_at=timezone.now() + timedelta(hours=2))
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile_stripe", "--json", stdout=out)
    assert ended.value.code == 1
    assert [(f["sentence"], f["rows"]) for f in json.loads(out.getvalue())] == [
        ("paid at Stripe and not credited here", [paid]),
        ("credited here and not paid at Stripe", [free.session_id]),
    ]
    assert len(calls(caplog)) == 3


def test_a_dispute_won_long_after_is_found_by_the_nightly_books(till, client, ada, pack):
    purchase = till.buy(ada, pack)
    dispute = till.shop.control("disputes", charge=till.charge(purchase))
    till.bring(client, PAID + 1)
    assert pockets(ada) == (70, 0, 60)
    till.shop.switch(clock=30 * 24 * 3600)
    till.shop.control(f"disputes/{dispute['id']}/close", outcome="won")
    assert reconciling.reconcile(timezone.now() + timedelta(days=30)) == []
    assert pockets(ada) == (70, 0, 0)


# ── What the database and the audit promise ─────────────────────────────────────────────────────


@pytest.mark.parametrize("change", [{"state": "paid"}, {"credits_back": 61}, {"credits": 0}])
def test_the_database_refuses_a_purchase_that_cannot_be(ada, pack, change):
    purchase = Purchase.objects.create(
        user=ada, pack=pack, credits=60, amount_cents=900, currency="usd"
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        Purchase.objects.filter(pk=purchase.pk).update(**change)


def test_a_paid_purchase_cannot_lose_its_credits(till, ada, pack):
    purchase = till.buy(ada, pack)
    for change in ({"state": "open"}, {"transfer": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Purchase.objects.filter(pk=purchase.pk).update(**change)


def test_the_audit_finds_and_freezes_what_was_given_back_without_the_ledger(till, ada, pack):
    purchase = till.buy(ada, pack)
    Purchase.objects.filter(pk=purchase.pk).update(credits_back=5)
    assert [(f.invariant, f.rows) for f in auditing.check_books()] == [("I6", [ada.wallet.pk])]
    ada.wallet.refresh_from_db()
    assert ada.wallet.frozen


def test_the_audit_finds_credits_of_another_amount_and_credits_without_a_purchase(till, ada, pack):
    purchase = till.buy(ada, pack)
    Purchase.objects.filter(pk=purchase.pk).update(credits=61)
    ada.wallet.buy(5, "cs_nobody")
    assert [(f.sentence, f.rows) for f in auditing.findings()] == [
        ("a paid purchase without its own credits", [purchase.pk]),
        ("bought credits without a purchase", ["purchase:cs_nobody"]),
    ]


def test_a_pack_is_changed_while_unsold_and_retired_afterwards(till, client, mo, ada, pack):
    client.force_login(mo)
    address = reverse("admin:accounts_creditpack_change", args=[pack.pk])
    form = {"name": "Ninety", "credits": 90, "price_cents": 1200, "currency": "usd", "position": 1}
    assert client.post(address, {**form, "active": "on"}).status_code == 200
    form["why"] = "Summer"
    assert client.post(address, {**form, "active": "on"}).status_code == 302
    pack.refresh_from_db()
    assert (pack.name, pack.credits, pack.active) == ("Ninety", 90, True)
    till.begin(ada, pack)
    assert client.post(address, {**form, "credits": 1}).status_code == 302
    pack.refresh_from_db()
    assert (pack.credits, pack.price_cents, pack.active) == (90, 1200, False)
    acts = Decision.objects.about("pack", pack.pk).values_list("act", "actor", "reason", "after")
    was = {"name": "Ninety", "credits": 90, "price_cents": 1200, "position": 1}
    assert list(acts) == [
        ("pack_changed", mo.pk, "Summer", was),
        ("pack_changed", mo.pk, "Summer", {"active": False}),
    ]


def test_a_new_pack_says_why_and_what_a_credit_of_it_costs(client, mo):
    client.force_login(mo)
    add = reverse("admin:accounts_creditpack_add")
    form = {"name": "Ten", "credits": 10, "price_cents": 150, "currency": "usd", "position": 1}
    assert "js/pack.js" in client.get(add).text
    client.post(add, {**form, "why": "A small one"})
    pack = CreditPack.objects.get(name="Ten")
    assert "15¢" in client.get(reverse("admin:accounts_creditpack_change", args=[pack.pk])).text
    [added] = Decision.objects.about("pack", pack.pk)
    assert (added.act, added.reason, added.before) == ("pack_added", "A small one", {})
    assert added.after["price_cents"] == 150
