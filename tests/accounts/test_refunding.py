"""Money that goes back through the Stripe stand-in: refunds by staff, by their owner, disputes.

Knows the till, the verbs and the models.
"""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import auditing, billing, refunding, tasks
from accounts.models import (
    Kind,
    NotEnoughCredits,
    NothingToRefund,
    Purchase,
    Refund,
    Transfer,
    Wallet,
)
from tests import factories
from tests.standin_stripe import DAY
from tests.till import PAID, Crash, dying_after, pockets

pytestmark = pytest.mark.django_db

State = Refund.State


@pytest.fixture
def eve(db):
    """Nothing but what she buys."""
    return factories.create_user("eve@example.org")


@pytest.fixture(autouse=True)
def _honest_books(db):
    """Whatever a test does, the audit has nothing to say afterwards."""
    yield
    assert auditing.findings() == []


def spend(user, credits: int) -> None:
    number = f"spent-{Transfer.objects.count()}"
    user.wallet.hold(credits, number)
    user.wallet.capture(credits, number)


def back(purchase: Purchase) -> int:
    purchase.refresh_from_db()
    return purchase.credits_back


def sent(till) -> list[tuple[int, str]]:
    """Refunds at Stripe, oldest first: cents and status."""
    return [(row.amount, row.status) for row in till.shop.api.refunds.list().data][::-1]


# ── By staff at Stripe ──────────────────────────────────────────────────────────────────────────


def test_a_refund_at_stripe_takes_its_share_of_the_credits_rounded_up(till, client, eve, pack):
    purchase = till.buy(eve, pack)
    till.shop.api.refunds.create({"payment_intent": purchase.payment_intent, "amount": 310})
    assert till.bring(client, PAID + 2) == [200] * 4
    assert (pockets(eve), back(purchase)) == ((60, 0, 21), 21)  # 60 × 310 ÷ 900 = 20.67


def test_a_refund_told_thrice_is_taken_once(till, client, eve, pack):
    purchase = till.buy(eve, pack)
    till.shop.switch(hook="twice")
    till.shop.api.refunds.create({"payment_intent": purchase.payment_intent, "amount": 310})
    till.bring(client, PAID + 4)
    billing.claw_back(purchase.payment_intent)
    assert (pockets(eve), back(purchase)) == ((60, 0, 21), 21)


def test_many_small_refunds_never_take_more_than_was_bought(till, eve, pack):
    purchase = till.buy(eve, pack)
    for cents in (301, 301, 298):
        till.shop.api.refunds.create({"payment_intent": purchase.payment_intent, "amount": cents})
    billing.claw_back(purchase.payment_intent)
    amounts = Transfer.objects.filter(kind=Kind.REFUND).order_by("pk").values_list("amount")
    assert ([n for (n,) in amounts], pockets(eve)) == ([21, 21, 18], (60, 0, 60))


def test_a_refund_told_before_its_payment_is_fulfilled_first(till, client, eve, pack):
    purchase = till.pay(eve, pack)
    completed = till.heard(PAID)
    till.shop.api.refunds.create({"payment_intent": till.intent(purchase)})
    till.bring(client, 2)
    assert (pockets(eve), back(purchase)) == ((60, 0, 60), 60)
    assert purchase.state == Purchase.State.PAID
    till.shop.site.heard += completed
    assert till.bring(client, PAID) == [200, 200]
    assert pockets(eve) == (60, 0, 60)


def test_a_refund_that_fails_gives_its_credits_back_once(till, client, eve, pack):
    purchase = till.buy(eve, pack)
    till.shop.switch(refunds="pending")
    refund = till.shop.api.refunds.create({"payment_intent": purchase.payment_intent})
    till.bring(client, PAID + 2)
    assert pockets(eve) == (60, 0, 60)
    till.shop.control(f"refunds/{refund.id}/settle", outcome="failed")
    till.bring(client, 2)
    assert (pockets(eve), back(purchase)) == ((60, 0, 0), 0)


def test_whoever_has_spent_what_is_refunded_owes_it_and_cannot_spend(till, eve, pack):
    purchase = till.buy(eve, pack)
    spend(eve, 50)
    till.shop.api.refunds.create({"payment_intent": purchase.payment_intent})
    billing.claw_back(purchase.payment_intent)
    assert (pockets(eve), eve.wallet.debt) == ((10, 0, 60), 50)
    with pytest.raises(NotEnoughCredits):
        eve.wallet.hold(1, "wish")
    till.buy(eve, factories.create_pack(credits=150, price_cents=1900))
    eve.wallet.refresh_from_db()
    assert (eve.wallet.spendable, eve.wallet.debt) == (100, 0)


def test_money_back_of_somebody_elses_payment_is_left_alone(till, client, eve):
    _, intent, _ = till.shop.paid()
    till.shop.api.refunds.create({"payment_intent": intent.id})
    assert till.bring(client, PAID + 2) == [200] * 4
    assert pockets(eve) == (0, 0, 0)


# ── Disputes ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("outcome", "owed"), [("lost", 60), ("won", 0)])
def test_a_dispute_takes_all_and_gives_it_back_when_won(till, client, eve, pack, outcome, owed):
    purchase = till.buy(eve, pack)
    dispute = till.shop.control("disputes", charge=till.charge(purchase), amount="500")
    till.bring(client, PAID + 1)
    assert pockets(eve) == (60, 0, 60)
    till.shop.control(f"disputes/{dispute['id']}/close", outcome=outcome)
    till.bring(client, 1)
    assert (pockets(eve), back(purchase)) == ((60, 0, owed), owed)


def test_a_dispute_after_a_refund_takes_the_rest(till, eve, pack):
    purchase = till.buy(eve, pack)
    till.shop.api.refunds.create({"payment_intent": purchase.payment_intent, "amount": 310})
    till.shop.control("disputes", charge=till.charge(purchase))
    billing.claw_back(purchase.payment_intent)
    amounts = Transfer.objects.filter(kind__in=[Kind.REFUND, Kind.DISPUTE]).order_by("pk")
    assert [(t.kind, t.amount) for t in amounts] == [("refund", 21), ("dispute", 39)]


def test_a_refund_that_fails_while_the_bank_holds_the_money_waits_for_the_dispute(till, eve, pack):
    purchase = till.buy(eve, pack)
    till.shop.switch(refunds="pending")
    refund = till.shop.api.refunds.create(
        {"payment_intent": purchase.payment_intent, "amount": 310}
    )
    dispute = till.shop.control("disputes", charge=till.charge(purchase))
    billing.claw_back(purchase.payment_intent)
    till.shop.control(f"refunds/{refund.id}/settle", outcome="failed")
    billing.claw_back(purchase.payment_intent)
    assert pockets(eve)[2] == 60
    till.shop.control(f"disputes/{dispute['id']}/close", outcome="won")
    billing.claw_back(purchase.payment_intent)
    assert (pockets(eve), back(purchase)) == ((60, 0, 0), 0)


# ── By their owner ──────────────────────────────────────────────────────────────────────────────


def test_unused_credits_go_back_to_money_and_leave_the_wallet_first(till, client, eve, pack):
    purchase = till.buy(eve, pack)
    spend(eve, 19)
    refund = refunding.ask_refund(purchase, timezone.now())
    assert (refund.credits, refund.amount_cents, refund.state) == (41, 615, State.SENT)
    assert (sent(till), pockets(eve), back(purchase)) == ([(615, "succeeded")], (41, 0, 41), 41)
    assert eve.wallet.spendable == 0
    reference = Transfer.objects.get(kind=Kind.REFUND).reference
    assert reference == f"refund:{refund.public_id}"
    till.bring(client, PAID + 2)  # its webhook completes the same row and posts nothing
    assert (pockets(eve), back(purchase), Refund.objects.count()) == ((41, 0, 41), 41, 1)
    assert till.shop.api.refunds.retrieve(refund.refund_id).amount == 615


def test_the_cents_are_rounded_down_and_never_more_than_was_paid(till, eve, settings):
    settings.STRIPE_PROMOTION_CODES = True
    till.shop.switch(discount=100)
    purchase = till.buy(eve, factories.create_pack(credits=7, price_cents=200))
    spend(eve, 4)
    refund = refunding.ask_refund(purchase, timezone.now())
    assert (refund.credits, refund.amount_cents) == (3, 42)  # 100 × 3 ÷ 7 = 42.86


def test_asked_twice_it_is_sent_once(till, eve, pack):
    purchase = till.buy(eve, pack)
    refunds = [refunding.ask_refund(purchase, timezone.now()) for _ in range(2)]
    assert (refunds[0], len(sent(till)), pockets(eve)) == (refunds[1], 1, (60, 0, 60))


def test_what_is_left_belongs_to_the_newest_purchase(till, eve, pack):
    first, second = till.buy(eve, pack), till.buy(eve, pack)
    spend(eve, 70)
    assert (first.unused(), second.unused()) == (0, 50)
    with pytest.raises(NothingToRefund):
        refunding.ask_refund(first, timezone.now())
    assert refunding.ask_refund(second, timezone.now()).credits == 50
    assert sent(till) == [(750, "succeeded")]


def test_what_was_refunded_at_stripe_is_not_refunded_again(till, eve, pack):
    purchase = till.buy(eve, pack)
    till.shop.api.refunds.create({"payment_intent": purchase.payment_intent, "amount": 310})
    billing.claw_back(purchase.payment_intent)
    refund = refunding.ask_refund(purchase, timezone.now())
    assert (refund.credits, refund.amount_cents) == (39, 585)
    assert pockets(eve) == (60, 0, 60)


@pytest.mark.parametrize("days", [13, 15])
def test_the_door_closes_after_fourteen_days(till, eve, pack, days):
    purchase = till.buy(eve, pack)
    later = timezone.now() + timedelta(days=days)
    if days == 13:
        assert refunding.ask_refund(purchase, later).state == State.SENT
    else:
        with pytest.raises(NothingToRefund):
            refunding.ask_refund(purchase, later)
        assert (sent(till), pockets(eve)) == ([], (60, 0, 0))


def test_nothing_unused_unpaid_owed_or_frozen_is_refunded(till, ada, eve, pack):
    with pytest.raises(NothingToRefund):
        refunding.ask_refund(till.begin(ada, pack), timezone.now())
    purchase = till.buy(eve, pack)
    spend(eve, 59)
    eve.wallet.hold(1, "wish")
    with pytest.raises(NothingToRefund):
        refunding.ask_refund(purchase, timezone.now())
    eve.wallet.release(1, "wish")
    Wallet.objects.filter(user=eve).update(frozen=True)
    with pytest.raises(NothingToRefund):
        refunding.ask_refund(purchase, timezone.now())
    assert (sent(till), Refund.objects.count()) == ([], 0)


def test_while_stripe_is_away_the_credits_are_gone_and_the_money_follows(till, eve, pack):
    purchase = till.buy(eve, pack)
    till.shop.switch(api="busy")
    refund = refunding.ask_refund(purchase, timezone.now())
    assert (refund.state, pockets(eve)) == (State.ASKED, (60, 0, 60))
    till.shop.switch(api="up")
    tasks.look_at_open()
    refund.refresh_from_db()
    assert (refund.state, sent(till), pockets(eve)) == (
        State.SENT,
        [(900, "succeeded")],
        (60, 0, 60),
    )


@pytest.mark.parametrize("age", [0, DAY + 1])
def test_a_refund_whose_answer_was_lost_is_sent_once_even_when_its_key_is_forgotten(
    till, eve, pack, age
):
    purchase = till.buy(eve, pack)
    till.shop.switch(api="lost")
    refund = refunding.ask_refund(purchase, timezone.now())
    assert (refund.state, refund.refund_id) == (State.ASKED, None)
    till.shop.switch(api="up", clock=age)
    tasks.look_at_open()
    refund.refresh_from_db()
    assert (refund.state, sent(till)) == (State.SENT, [(900, "succeeded")])
    assert (pockets(eve), back(purchase)) == ((60, 0, 60), 60)


def test_a_refund_stripe_refuses_gives_the_credits_back_and_may_be_asked_again(
    till, caplog, eve, pack
):
    purchase = till.buy(eve, pack)
    dispute = till.shop.control("disputes", charge=till.charge(purchase))
    refund = purchase.open_refund(timezone.now())  # the dispute is not known here yet
    with pytest.raises(billing.Refused):
        refunding.ask_refund(purchase, timezone.now())
    assert (pockets(eve), back(purchase)) == ((60, 0, 60), 60)  # they are the dispute's
    tasks.look_at_open()  # nothing is left to send
    refund.refresh_from_db()
    assert (refund.state, refund.refund_id) == (State.UNDONE, None)
    assert [r.getMessage() for r in caplog.records if r.name == "likeness.staff"] == [
        f"refund {refund.public_id} was refused by Stripe: charge_disputed"
    ]
    till.shop.control(f"disputes/{dispute['id']}/close", outcome="won")
    billing.claw_back(purchase.payment_intent)
    assert (pockets(eve), back(purchase)) == ((60, 0, 0), 0)


def test_a_refund_stripe_cannot_read_waits_and_keeps_no_other_waiting(till, caplog, eve, pack):
    lost, good = till.buy(eve, pack), till.buy(eve, pack)
    refunds = [purchase.open_refund(timezone.now()) for purchase in (good, lost)]
    Purchase.objects.filter(pk=lost.pk).update(payment_intent="pi_gone")
    till.shop.switch(api="busy")
    tasks.look_at_open()
    assert [r.state for r in Refund.objects.order_by("pk")] == [State.ASKED, State.ASKED]
    till.shop.switch(api="up")
    tasks.look_at_open()
    assert [r.state for r in Refund.objects.order_by("pk")] == [State.SENT, State.UNDONE]
    assert [r.getMessage() for r in caplog.records if r.name == "likeness.staff"] == [
        f"refund {refunds[1].public_id} was refused by Stripe: resource_missing payment_intent"
    ]
    assert pockets(eve) == (120, 0, 60)


def test_a_sent_refund_that_fails_later_is_undone(till, client, eve, pack):
    purchase = till.buy(eve, pack)
    till.shop.switch(refunds="pending")
    refund = refunding.ask_refund(purchase, timezone.now())
    assert refund.state == State.SENT
    till.shop.control(f"refunds/{refund.refund_id}/settle", outcome="failed")
    till.bring(client, PAID + 2 + 2)
    refund.refresh_from_db()
    assert (refund.state, pockets(eve), back(purchase)) == (State.UNDONE, (60, 0, 0), 0)
    again = refunding.ask_refund(purchase, timezone.now())
    assert (again.state, again.pk == refund.pk) == (State.SENT, False)


def test_the_database_keeps_one_standing_refund_of_a_purchase(till, eve, pack):
    purchase = till.buy(eve, pack)
    purchase.open_refund(timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        purchase.refunds.create(credits=1, amount_cents=15)


def test_an_old_reading_of_stripe_is_not_believed(till, eve, pack):
    """Read, then somebody else settles: the row has been touched and the reading is dropped."""
    purchase = till.buy(eve, pack)
    refund = till.shop.api.refunds.create({"payment_intent": purchase.payment_intent})
    stale = billing.read_reversals(purchase)
    till.shop.control(f"refunds/{refund.id}/settle", outcome="failed")
    billing.claw_back(purchase.payment_intent)
    assert purchase.settle(stale, touches=purchase.touches) is None
    assert (pockets(eve), back(purchase)) == ((60, 0, 0), 0)


def test_a_refund_that_stands_again_after_it_was_given_back_calls_staff(till, caplog, eve, pack):
    purchase = till.buy(eve, pack)
    refund = purchase.open_refund(timezone.now())
    assert purchase.undo_refund(refund)
    assert not purchase.undo_refund(refund)
    asked = {**refunding.refund_parameters(refund)}
    made = till.shop.api.refunds.create(asked)
    billing.claw_back(purchase.payment_intent)
    messages = [r.getMessage() for r in caplog.records if r.name == "likeness.staff"]
    assert messages == [f"{made.id} stands again after it was given back"]
    assert pockets(eve) == (60, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_crash_at_any_statement_of_a_refund_ends_in_both_or_neither(till, pack):
    """Credits and money: stopped before the first statement, the second, … then the next look."""
    endings = []
    for survived in range(100):
        eve = factories.create_user()
        purchase = till.buy(eve, pack)
        try:
            with dying_after(survived):
                refunding.ask_refund(purchase, timezone.now())
            has_ended = True
        except Crash:
            has_ended = False
        tasks.look_at_open()
        refunds = till.shop.api.refunds.list({"payment_intent": purchase.payment_intent}).data
        endings.append((sum(row.amount for row in refunds), pockets(eve)[2], back(purchase)))
        if has_ended:
            break
    assert set(endings) == {(0, 0, 0), (900, 60, 60)}
    assert (endings[0], endings[-1], len(endings) > 10) == ((0, 0, 0), (900, 60, 60), True)
