"""Two actors on one payment, in every order of their steps: one credit, one refund, honest books.

Knows the till, the verbs and the pairs' stage. Stripe's stand-in answers over real HTTP, each call
one step. Each test names all the endings that keep the promise.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest
import stripe
from django.db import transaction
from django.utils import timezone

from accounts import auditing, billing, reconciling, refunding
from accounts.models import (
    Kind,
    NotEnoughCredits,
    NothingToRefund,
    Purchase,
    Refund,
    Transfer,
    User,
)
from tests import factories
from tests.faults.pairs import play_on
from tests.faults.stage import Act, Stage
from tests.till import Till, pockets

pytestmark = pytest.mark.django_db(transaction=True)

State = Purchase.State
CREDITS, CENTS = 60, 900
MOST = 24  # orders of each pair per commit: each asks Stripe a dozen times


class Scene:
    """One pack of somebody new, in every order anew."""

    def __init__(self, stage: Stage, till: Till) -> None:
        self.stage, self.till = stage, till
        self.pack = factories.create_pack(credits=CREDITS, price_cents=CENTS)
        self.orders = 0

    def pay(self) -> Purchase:
        self.eve = factories.create_user()
        self.purchase = self.till.pay(self.eve, self.pack)
        return self.purchase

    def buy(self) -> Purchase:
        self.eve = factories.create_user()
        self.purchase = self.till.buy(self.eve, self.pack)
        return self.purchase

    def refund_at_stripe(self, cents: int = CENTS) -> str:
        chosen = {"payment_intent": self.till.intent(self.purchase), "amount": cents}
        return self.till.shop.api.refunds.create(chosen).id

    def dispute_at_stripe(self) -> None:
        self.till.shop.control("disputes", charge=self.till.charge(self.purchase))

    def left(self) -> tuple[int, int, int]:
        return pockets(self.eve)

    def money_back(self) -> list[int]:
        """Cents of all refunds of this payment at Stripe that stand."""
        chosen = {"payment_intent": self.till.intent(self.purchase)}
        rows = self.till.shop.api.refunds.list(chosen).data
        return sorted(row.amount for row in rows if row.status != "failed")

    def play(
        self, set_up: Callable[[], list[Act]], outcome: Callable[..., object], legal: set[object]
    ) -> None:
        self.orders += play_on(self.stage, set_up, outcome, legal, self.judge, MOST)

    def judge(self) -> None:
        """The books add up; and whoever reads Stripe once more finds nothing left to do."""
        assert auditing.findings() == []
        before = self.left()
        if self.purchase.payment_intent or self.purchase.state == State.PAID:
            billing.claw_back(self.till.intent(self.purchase))
        assert self.left() == before


@pytest.fixture
def scene(monkeypatch, request, till):
    stage = Stage(monkeypatch)
    asks = stripe.RequestsClient.request

    def step_and_ask(client, method, url, *rest):
        stage.step(f"Stripe: {method} {url}")
        return asks(client, method, url, *rest)

    monkeypatch.setattr(stripe.RequestsClient, "request", step_and_ask)
    scene = Scene(stage, till)
    yield scene
    stage.close()
    request.node.user_properties.append(("orders", scene.orders))


def fulfilling(purchase: Purchase, session_id: str = "") -> Act:
    return lambda: billing.fulfil(session_id or str(purchase.session_id)).state


def clawing_back(scene: Scene) -> Act:
    payment = scene.till.intent(scene.purchase)
    return lambda: billing.claw_back(payment)


def asking_back(purchase: Purchase) -> Act:
    def act() -> str:
        own = Purchase.objects.get(pk=purchase.pk)
        try:
            return refunding.ask_refund(own, timezone.now()).state
        except (NothingToRefund, NotEnoughCredits, billing.Refused) as no:
            return type(no).__name__

    return act


def spending(scene: Scene, credits: int) -> Act:
    def act() -> str:
        try:
            User.objects.get(pk=scene.eve.pk).wallet.hold(credits, f"wish-{scene.eve.pk}")
        except NotEnoughCredits:
            return "refused"
        return "spent"

    return act


# ── Money that comes ────────────────────────────────────────────────────────────────────────────


def test_two_who_fulfil_credit_once(scene):
    def set_up() -> list[Act]:
        purchase = scene.pay()
        return [fulfilling(purchase), fulfilling(purchase)]

    def outcome(*states: object) -> object:
        return states, scene.left()

    scene.play(set_up, outcome, {((State.PAID, State.PAID), (CREDITS, 0, 0))})


def test_a_checkout_we_never_noted_is_fulfilled_once_by_two(scene):
    """F21, then an event and a look at the same moment."""

    def set_up() -> list[Act]:
        purchase = scene.pay()
        Purchase.objects.filter(pk=purchase.pk).update(session_id=None)
        return [fulfilling(purchase), fulfilling(purchase)]

    def outcome(*states: object) -> object:
        return states, scene.left()

    scene.play(set_up, outcome, {((State.PAID, State.PAID), (CREDITS, 0, 0))})


def test_a_checkout_given_up_while_its_payment_is_told_is_credited(scene):
    def set_up() -> list[Act]:
        purchase = scene.pay()
        session_id = str(purchase.session_id)
        Purchase.objects.filter(pk=purchase.pk).update(
            session_id=None, created_at=timezone.now() - timedelta(hours=26)
        )
        return [
            lambda: reconciling.look_at_open(timezone.now()),
            fulfilling(purchase, session_id),
        ]

    def outcome(_looked: object, state: object) -> object:
        scene.purchase.refresh_from_db()
        return state, scene.purchase.state, scene.left()

    scene.play(set_up, outcome, {(State.PAID, State.PAID, (CREDITS, 0, 0))})


def test_two_checkouts_paid_for_one_purchase_credit_one_of_them_at_most(scene):
    """Crediting and setting aside at once: a person looks, and nobody gets both."""

    def set_up() -> list[Act]:
        purchase = scene.pay()
        Purchase.objects.filter(pk=purchase.pk).update(session_id=None)
        number = {"purchase": str(purchase.public_id)}
        other = scene.till.shop.paid(metadata=number)[0].id
        return [fulfilling(purchase), fulfilling(purchase, other)]

    def outcome(*_states: object) -> object:
        scene.purchase.refresh_from_db()
        return scene.purchase.state, scene.left()

    legal = {(State.PAID, (CREDITS, 0, 0)), (State.ODD, (0, 0, 0))}
    scene.play(set_up, outcome, legal)


def test_a_payment_and_its_refund_told_at_once_end_with_nothing_left(scene):
    def set_up() -> list[Act]:
        purchase = scene.pay()
        scene.refund_at_stripe()
        return [fulfilling(purchase), clawing_back(scene)]

    def outcome(state: object, _clawed: object) -> object:
        return state, scene.left()

    scene.play(set_up, outcome, {(State.PAID, (CREDITS, 0, CREDITS))})


# ── Money that goes ─────────────────────────────────────────────────────────────────────────────


def test_a_refund_and_a_wish_at_once_share_no_credit(scene):
    def set_up() -> list[Act]:
        purchase = scene.buy()
        return [asking_back(purchase), spending(scene, CREDITS)]

    def outcome(refunded: object, spent: object) -> object:
        return refunded == "sent", spent, scene.left(), tuple(scene.money_back())

    legal = {
        (True, "refused", (CREDITS, 0, CREDITS), (CENTS,)),
        (False, "spent", (0, CREDITS, 0), ()),
    }
    scene.play(set_up, outcome, legal)


def test_two_presses_of_refund_send_the_money_once(scene):
    def set_up() -> list[Act]:
        purchase = scene.buy()
        return [asking_back(purchase), asking_back(purchase)]

    def outcome(*states: object) -> object:
        return states, scene.left(), tuple(scene.money_back())

    legal = {(("sent", "sent"), (CREDITS, 0, CREDITS), (CENTS,))}
    scene.play(set_up, outcome, legal)


def test_two_who_send_a_waiting_refund_send_it_once(scene):
    def set_up() -> list[Act]:
        refund = scene.buy().open_refund(timezone.now())

        def send() -> None:
            refunding.send_refund(Refund.objects.get(pk=refund.pk))

        return [send, send]

    def outcome(*_results: object) -> object:
        state = scene.purchase.refunds.get().state
        return state, scene.left(), tuple(scene.money_back())

    scene.play(set_up, outcome, {("sent", (CREDITS, 0, CREDITS), (CENTS,))})


def test_two_purchases_asked_back_at_once_give_what_is_there(scene):
    """50 of 120 are held: 70 may go back, in whatever shares."""

    def set_up() -> list[Act]:
        first = scene.buy()
        eve, second = scene.eve, scene.till.buy(scene.eve, scene.pack)
        eve.wallet.refresh_from_db()
        eve.wallet.hold(50, f"wish-{eve.pk}")
        scene.first = first
        return [asking_back(first), asking_back(second)]

    def outcome(*_states: object) -> object:
        available, reserved, owed = scene.left()
        rows = Purchase.objects.filter(user=scene.eve)
        sent = sum(refund.credits for row in rows for refund in row.refunds.all())
        return available >= owed, reserved, sent == owed

    scene.play(set_up, outcome, {(True, 50, True)})


def test_a_refund_asked_back_while_a_dispute_is_told_leaves_nothing_to_spend(scene):
    """Stripe refuses to refund what the bank has taken: the credits go to the dispute."""

    def set_up() -> list[Act]:
        purchase = scene.buy()
        scene.dispute_at_stripe()
        return [asking_back(purchase), clawing_back(scene)]

    def outcome(_asked: object, _clawed: object) -> object:
        standing = scene.purchase.refunds.exclude(state="undone").exists()
        disputed = Transfer.objects.filter(wallet=scene.eve.wallet, kind=Kind.DISPUTE).count()
        return standing, disputed, scene.left(), tuple(scene.money_back())

    scene.play(set_up, outcome, {(False, 1, (CREDITS, 0, CREDITS), ())})


def test_a_refund_by_staff_told_while_its_owner_asks_takes_no_credit_twice(scene):
    def set_up() -> list[Act]:
        purchase = scene.buy()
        scene.refund_at_stripe(310)
        return [asking_back(purchase), clawing_back(scene)]

    def outcome(_asked: object, _clawed: object) -> object:
        return scene.left(), tuple(scene.money_back())

    legal = {
        ((CREDITS, 0, CREDITS), (310, 585)),  # told first: what is left goes back too
        ((CREDITS, 0, 21), (310,)),  # asked first: Stripe has less than all and refuses
    }
    scene.play(set_up, outcome, legal)


def test_a_refund_that_fails_while_it_is_read_is_given_back(scene):
    """The touch of the row: whoever read Stripe before the failure reads again."""

    def set_up() -> list[Act]:
        scene.buy()
        refund = scene.refund_at_stripe()
        claw_back = clawing_back(scene)

        def fail() -> None:
            scene.stage.step("the bank refuses the refund")
            scene.till.shop.control(f"refunds/{refund}/settle", outcome="failed")
            claw_back()

        return [claw_back, fail]

    def outcome(*_results: object) -> object:
        scene.purchase.refresh_from_db()
        return scene.purchase.credits_back, scene.left(), tuple(scene.money_back())

    scene.till.shop.switch(refunds="pending")
    scene.play(set_up, outcome, {(0, (CREDITS, 0, 0), ())})


def test_a_wish_while_the_money_goes_back_is_held_or_refused(scene):
    def set_up() -> list[Act]:
        scene.buy()
        scene.refund_at_stripe()
        return [spending(scene, CREDITS), clawing_back(scene)]

    def outcome(spent: object, _clawed: object) -> object:
        return spent, scene.left()

    legal = {("spent", (0, CREDITS, CREDITS)), ("refused", (CREDITS, 0, CREDITS))}
    scene.play(set_up, outcome, legal)


# ── Controls: a guard removed is caught ─────────────────────────────────────────────────────────


def test_control_a_settling_that_believes_an_old_reading_is_caught(scene, monkeypatch):
    settle = Purchase.settle

    def naive(purchase: Purchase, reversals: list, *, touches: int) -> list:
        purchase.refresh_from_db()
        return settle(purchase, reversals, touches=purchase.touches)

    monkeypatch.setattr(Purchase, "settle", naive)
    with pytest.raises(AssertionError, match="not legal"):
        test_a_refund_that_fails_while_it_is_read_is_given_back(scene)


def test_control_a_refund_that_counts_before_it_locks_is_caught(scene, monkeypatch):
    def naive(purchase: Purchase, now: object) -> Refund:
        credits = purchase.unused()
        if not credits:
            raise NothingToRefund
        with transaction.atomic():
            cents = purchase.cents_for(credits)
            refund = purchase.refunds.create(credits=credits, amount_cents=cents)
            purchase._take(Kind.REFUND, credits, refund.key)
        return refund

    monkeypatch.setattr(Purchase, "open_refund", naive)
    with pytest.raises(AssertionError, match="not legal"):
        test_a_refund_and_a_wish_at_once_share_no_credit(scene)
