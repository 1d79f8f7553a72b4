"""A death at every crossing of a payment's life: as many credits as were paid for, as many back as
was sent, and no loose end.

Knows the till, the accounts' verbs and the crossings. Whoever works dies before or after each
commit and each call to Stripe; then people press again, Stripe tells again, and the looks go on.
"""

import contextlib
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import auditing, billing, reconciling, refunding
from accounts.models import CreditPack, Kind, NothingToRefund, Purchase, Refund, Transfer
from tests import factories
from tests.faults.crossings import Crossings, Killed, watched_doors
from tests.till import Till, pockets, tell

pytestmark = pytest.mark.django_db(transaction=True)

# CRASHES=all tries every moment of every story; CRASHES=pairs kills the successor as well.
DEPTH = os.environ.get("CRASHES", "")
MOST_MOMENTS = 300
CREDITS, CENTS = 60, 900
SPENT = 40
DAY_AFTER = 26  # hours: beyond the life of every checkout


class Life:
    """One person's dealings. What they and Stripe have done stays done, whoever of us dies."""

    def __init__(self, till: Till, pack: CreditPack) -> None:
        self.till, self.pack = till, pack
        till.shop.switch(refunds="succeeded")
        self.told = len(self.news())
        self.eve = factories.create_user()
        self.checkout = ""
        self.deeds: set[str] = set()

    # Ours: any of these may die, and is done again

    def buy(self) -> None:
        """The person presses until they see a pay page, and pays once."""
        if not self.checkout:
            address = billing.start_checkout(self.eve, self.pack)
            self.checkout = address.rpartition("/")[2]
            self.till.press(Purchase(session_id=self.checkout), "card")

    def hear(self) -> None:
        """Stripe tells all that has happened, what was heard before once more."""
        for body, signature in self.news()[self.told :]:
            assert tell(Client(), body, signature) == 200

    def news(self) -> list[tuple[bytes, str]]:
        """All events there are, of this life and earlier ones."""
        rows = [row for entry in self.till.shop.log() for row in entry.get("records", ())]
        made = sum(row["object"] == "event" for row in rows)
        assert len(self.till.shop.site.wait_for(made)) == made
        return list(self.till.shop.site.heard)

    def come_back(self) -> None:
        billing.fulfil(self.checkout)

    def look(self) -> None:
        reconciling.look_at_open(timezone.now())

    def ask_back(self) -> None:
        """The press on Refund until there is an answer; a no when the bank was faster."""
        if "answered" not in self.deeds:
            purchase = Purchase.objects.get(session_id=self.checkout)
            with contextlib.suppress(billing.Refused, NothingToRefund):
                refunding.ask_refund(purchase, timezone.now())
            self.deeds.add("answered")

    # The outside: these happen once, and nobody of ours dies in them

    def once(self, name: str, act: Callable[[], object]) -> None:
        if name not in self.deeds:
            self.deeds.add(name)
            act()

    def payment(self) -> str:
        return self.till.intent(Purchase(session_id=self.checkout))

    def refunds(self) -> list:
        return self.till.shop.api.refunds.list({"payment_intent": self.payment()}).data

    def spend(self) -> None:
        def act() -> None:
            self.eve.wallet.hold(SPENT, f"wish-{self.eve.pk}")
            self.eve.wallet.capture(SPENT, f"wish-{self.eve.pk}")

        self.once("spend", act)

    def staff_refund(self) -> None:
        chosen = {"payment_intent": self.payment(), "amount": 310}
        self.once("refund", lambda: self.till.shop.api.refunds.create(chosen))

    def refund_fails(self) -> None:
        def act() -> None:
            (refund,) = self.refunds()
            self.till.shop.control(f"refunds/{refund.id}/settle", outcome="failed")

        self.once("failure", act)

    def pending_refunds(self) -> None:
        self.till.shop.switch(refunds="pending")

    def dispute(self) -> None:
        charge = self.till.charge(Purchase(session_id=self.checkout))
        self.once("dispute", lambda: self.till.shop.control("disputes", charge=charge))

    def dispute_won(self) -> None:
        def act() -> None:
            chosen = {"payment_intent": self.payment()}
            (dispute,) = self.till.shop.api.disputes.list(chosen).data
            self.till.shop.control(f"disputes/{dispute.id}/close", outcome="won")

        self.once("won", act)


OUTSIDE = {"spend", "staff_refund", "refund_fails", "pending_refunds", "dispute", "dispute_won"}


@dataclass(frozen=True)
class Story:
    """Acts of a Life in their order; then what is owed and what Stripe has sent back (cents). Per
    commit only each `stride`-th moment is tried.
    """

    acts: str
    owed: int = 0
    sent: tuple[int, ...] = ()
    stride: int = 1

    def __str__(self) -> str:
        return self.acts.replace(" ", "-")


STORIES = (
    Story("buy hear"),
    Story("buy come_back hear", stride=2),
    Story("buy look"),
    Story("buy come_back ask_back", CREDITS, (CENTS,), stride=2),
    Story("buy come_back spend ask_back look", CREDITS - SPENT, (300,), stride=2),
    Story("buy come_back ask_back hear look", CREDITS, (CENTS,), stride=3),
    Story("buy staff_refund hear", 21, (310,), stride=2),
    Story("buy hear staff_refund hear ask_back hear", CREDITS, (310, 585), stride=8),
    Story("buy come_back pending_refunds ask_back refund_fails hear", 0, (), stride=6),
    Story("buy come_back dispute ask_back hear", CREDITS, (), stride=4),
    Story("buy come_back dispute hear dispute_won hear", 0, (), stride=6),
)


@pytest.fixture
def crossings(monkeypatch) -> Crossings:
    return watched_doors(monkeypatch)


def live(life: Life, story: Story, crossings: Crossings, moment: int | None) -> int:
    """All acts of the story, by somebody of ours who dies at that moment. Returns how many moments
    came before the end.
    """
    passed = 0
    for act in story.acts.split():
        if act in OUTSIDE:
            getattr(life, act)()
            continue
        try:
            with crossings.dying_at(None if moment is None else moment - passed):
                getattr(life, act)()
        finally:
            passed += len(crossings.names)
    return passed


def dies(life: Life, story: Story, crossings: Crossings, moment: int) -> bool:
    try:
        live(life, story, crossings, moment)
    except Killed:
        connection.close()  # a dead process has no connection
        return True
    return False


def all_is_settled(life: Life, story: Story) -> None:
    """A day later, by our rows, by the audit and by Stripe's own books."""
    life.till.shop.switch(clock=DAY_AFTER * 3600)
    reconciling.look_at_open(timezone.now() + timedelta(hours=DAY_AFTER))
    life.till.shop.switch(clock=0)
    assert auditing.findings() == []
    own = Purchase.objects.filter(user=life.eve)
    states = sorted(own.values_list("state", flat=True))
    assert states in ([Purchase.State.PAID], [Purchase.State.EXPIRED, Purchase.State.PAID])
    bought = Transfer.objects.filter(wallet=life.eve.wallet, kind=Kind.PURCHASE)
    assert [transfer.amount for transfer in bought] == [CREDITS]
    assert not Refund.objects.filter(purchase__in=own, state=Refund.State.ASKED).exists()
    left = CREDITS - SPENT * ("spend" in life.deeds)
    assert pockets(life.eve) == (left, 0, story.owed)
    standing = [row.amount for row in life.refunds() if row.status != "failed"]
    assert sorted(standing) == sorted(story.sent)


def deaths_in(story: Story, till: Till, crossings: Crossings, stride: int) -> int:
    """Tries one moment after the other until nobody dies any more. Returns how many deaths there
    were.
    """
    pack = factories.create_pack(credits=CREDITS, price_cents=CENTS)

    def survived(*moments: int) -> bool:
        life = Life(till, pack)
        died = all(dies(life, story, crossings, moment) for moment in moments)
        live(life, story, crossings, None)
        all_is_settled(life, story)
        return died

    deaths = 0
    for moment in range(1, MOST_MOMENTS, stride):
        if not survived(moment):
            assert reconciling.reconcile(timezone.now()) == []
            return deaths
        deaths += 1
        if DEPTH == "pairs":
            seconds = range(1, MOST_MOMENTS, stride)
            deaths += sum(1 for _ in itertools.takewhile(partial(survived, moment), seconds))
    raise AssertionError("work without an end")


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_whoever_dies_at_any_crossing_of_a_payment_costs_neither_money_nor_credit(
    till, crossings, story
):
    stride = 1 if DEPTH else story.stride
    assert deaths_in(story, till, crossings, stride) >= 10 // stride


def test_control_a_refund_that_is_not_looked_for_before_it_is_asked_again_is_caught(
    till, crossings, monkeypatch
):
    """The guards removed: whoever neither reads what stands there nor says its number twice."""

    def naive(refund: Refund) -> None:
        billing.client().v1.refunds.create(
            {"payment_intent": refund.purchase.payment_intent or "", "amount": refund.amount_cents}
        )
        Refund.objects.filter(pk=refund.pk).update(state=Refund.State.SENT)

    monkeypatch.setattr(refunding, "send_refund", naive)
    story = Story("buy come_back spend ask_back", CREDITS - SPENT, (300,))
    with pytest.raises(AssertionError, match=r"\[300, 300\]"):
        deaths_in(story, till, crossings, 1)
