"""The same payment from all sides at once: exactly one credit, exactly one money back.

Knows the till, the verbs and the models; real threads on a real database, real HTTP.
"""

import os
import threading

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import auditing, refunding
from accounts.models import Kind, NotEnoughCredits, NothingToRefund, Purchase, Transfer, User
from tests import factories
from tests.till import PAID, at_once, pockets, tell

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = int(os.environ.get("ROUNDS", "10"))  # 100 is the long run


def test_one_event_told_eight_times_at_once_credits_once(till, ada, pack):
    till.pay(ada, pack)
    event = till.heard(PAID)[1]
    assert at_once(8, lambda _index: tell(Client(), *event)) == [200] * 8
    assert (pockets(ada), Transfer.objects.filter(kind=Kind.PURCHASE).count()) == ((70, 0, 0), 1)
    assert auditing.findings() == []


def test_the_webhook_and_the_return_page_at_once_credit_once(till, ada, pack):
    browsers = [Client(), Client()]
    for browser in browsers:
        browser.force_login(ada)
    for round_ in range(1, ROUNDS + 1):
        cache.clear()  # pages may ask Stripe so often an hour
        purchase = till.pay(ada, pack)
        event = till.heard(PAID)[1]

        def act(index: int, purchase=purchase, event=event) -> object:
            if index % 2:
                return tell(Client(), *event)
            page = browsers[index // 2].get(f"/credits/return/?session={purchase.session_id}")
            return page.status_code, "60 credits added" in page.text

        assert at_once(4, act) == [(200, True), 200, (200, True), 200]
        assert pockets(ada) == ledger_of(ada) == (10 + 60 * round_, 0, 0)
    assert Transfer.objects.filter(kind=Kind.PURCHASE).count() == ROUNDS
    assert auditing.findings() == []


def test_six_purchases_at_once_give_the_exact_sum_round_after_round(till, ada):
    packs = [factories.create_pack(credits=n, price_cents=100 * n) for n in (1, 2, 3, 5, 8, 13)]
    for round_ in range(1, ROUNDS + 1):
        purchases = [till.pay(ada, pack) for pack in packs]
        events = till.heard(6 * PAID)
        assert (
            at_once(12, lambda index, events=events: tell(Client(), *events[index])) == [200] * 12
        )
        assert pockets(ada) == ledger_of(ada) == (10 + 32 * round_, 0, 0)
        for purchase in purchases:
            purchase.refresh_from_db()
        assert [purchase.state for purchase in purchases] == [Purchase.State.PAID] * 6
        assert auditing.findings() == []
    assert Transfer.objects.filter(kind=Kind.PURCHASE).count() == 6 * ROUNDS


def ledger_of(user: User) -> tuple[int, ...]:
    """What the transfers alone make of the three pockets."""
    rows = Transfer.objects.filter(wallet__user=user).values_list("source", "target", "amount")
    names = ("available", "reserved", "owed")
    signs = (1, 1, -1)  # a debt grows by what leaves through it
    return tuple(
        sign
        * sum(((target == name) - (source == name)) * amount for source, target, amount in rows)
        for name, sign in zip(names, signs, strict=True)
    )


def test_a_refund_and_its_payment_told_at_once_end_with_nothing_left(till, ada, pack):
    purchase = till.pay(ada, pack)
    till.shop.api.refunds.create({"payment_intent": till.intent(purchase)})
    events = till.heard(PAID + 2)
    assert at_once(8, lambda index: tell(Client(), *events[index % 4])) == [200] * 8
    assert pockets(ada) == (70, 0, 60)
    assert auditing.findings() == []


def test_spending_while_the_refund_is_asked_gives_one_of_the_two_never_both(till, pack):
    outcomes = set()
    for round_ in range(ROUNDS):
        eve = factories.create_user()
        purchase = till.buy(eve, pack)

        def act(index: int, eve=eve, purchase=purchase, round_=round_) -> str:
            try:
                if index:
                    User.objects.get(pk=eve.pk).wallet.hold(60, f"wish-{round_}")
                    return "spent"
                refunding.ask_refund(Purchase.objects.get(pk=purchase.pk), timezone.now())
            except (NotEnoughCredits, NothingToRefund):
                return "refused"
            return "refunded"

        outcomes.add(tuple(at_once(2, act)))
        available, reserved, owed = pockets(eve)
        assert (available, reserved, owed) == ledger_of(eve)
        assert available - owed == 0
        assert (reserved, owed) in {(60, 0), (0, 60)}
    assert outcomes <= {("refunded", "refused"), ("refused", "spent")}
    assert len([*till.shop.api.refunds.list({"limit": 100}).auto_paging_iter()]) == (
        Transfer.objects.filter(kind=Kind.REFUND).count()
    )
    assert auditing.findings() == []


def test_credits_spent_between_counting_and_taking_are_not_refunded_as_well(till, pack):
    """PostgreSQL lets the spender in between, SQLite makes it wait: one of the two wins, never
    both.
    """
    eve = factories.create_user()
    purchase = till.buy(eve, pack)
    said: list[str] = []

    def spend() -> None:
        try:
            User.objects.get(pk=eve.pk).wallet.hold(60, "wish")
            said.append("spent")
        except NotEnoughCredits:
            said.append("refused")
        finally:
            connection.close()

    spender = threading.Thread(target=spend)

    def let_in(execute, sql, parameters, many, context):
        """The unused credits have been counted when the refund's row is written."""
        if sql.startswith('INSERT INTO "accounts_refund"'):
            spender.start()
            spender.join(1.0)
        return execute(sql, parameters, many, context)

    try:
        with connection.execute_wrapper(let_in):
            purchase.open_refund(timezone.now())
        refunded = True
    except NotEnoughCredits:
        refunded = False
    spender.join(30)
    assert (refunded, said) == (
        (False, ["spent"]) if connection.vendor == "postgresql" else (True, ["refused"])
    )
    assert pockets(eve) == ((60, 0, 60) if refunded else (0, 60, 0))
    assert auditing.findings() == []


def test_four_presses_of_refund_send_the_money_once(till, pack):
    eve = factories.create_user()
    purchase = till.buy(eve, pack)

    def ask(_index: int) -> str:
        own = Purchase.objects.get(pk=purchase.pk)
        return str(refunding.ask_refund(own, timezone.now()).public_id)

    assert len(set(at_once(4, ask))) == 1
    refunds = till.shop.api.refunds.list().data
    assert ([row.amount for row in refunds], pockets(eve)) == ([900], (60, 0, 60))
    assert auditing.findings() == []


def test_two_refunds_of_two_purchases_at_once_never_give_back_more_than_is_there(till, pack):
    eve = factories.create_user()
    purchases = [till.buy(eve, pack), till.buy(eve, pack)]
    eve.wallet.hold(50, "wish")

    def ask(index: int) -> int:
        own = Purchase.objects.get(pk=purchases[index].pk)
        try:
            return refunding.ask_refund(own, timezone.now()).credits
        except (NotEnoughCredits, NothingToRefund):
            return 0

    given = sum(at_once(2, ask))
    available, reserved, owed = pockets(eve)
    assert (given, reserved, owed) == (owed, 50, given)
    assert available >= owed
    assert auditing.findings() == []
