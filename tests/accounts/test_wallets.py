"""The ledger: every credit moves once, by a row that is never edited.

Knows accounts.models and the factories.
"""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from accounts import auditing, gifts
from accounts.models import (
    Kind,
    NotEnoughCredits,
    Quota,
    ReferenceTaken,
    Transfer,
    Wallet,
    WalletFrozen,
)
from accounts.models.wallets import _post
from tests import factories

pytestmark = pytest.mark.django_db


def pockets(wallet: Wallet) -> tuple[int, int, int]:
    wallet.refresh_from_db()
    return wallet.available, wallet.reserved, wallet.owed


def test_a_hold_sets_credits_aside(ada):
    ada.wallet.hold(3, "wish")
    assert pockets(ada.wallet) == (7, 3, 0)


def test_a_hold_said_twice_is_done_once(ada):
    first, second = ada.wallet.hold(3, "wish"), ada.wallet.hold(3, "wish")
    assert first.pk == second.pk
    assert pockets(ada.wallet) == (7, 3, 0)


def test_a_hold_beyond_the_credits_is_refused_and_nothing_moves(ada):
    before = Transfer.objects.count()
    with pytest.raises(NotEnoughCredits):
        ada.wallet.hold(11, "wish")
    assert (pockets(ada.wallet), Transfer.objects.count()) == ((10, 0, 0), before)


def test_a_frozen_wallet_spends_nothing(ada):
    Wallet.objects.filter(pk=ada.wallet.pk).update(frozen=True)
    with pytest.raises(WalletFrozen):
        ada.wallet.hold(1, "wish")
    assert pockets(ada.wallet) == (10, 0, 0)


def test_capture_spends_what_was_held(ada):
    ada.wallet.hold(2, "wish")
    ada.wallet.capture(2, "wish")
    assert pockets(ada.wallet) == (8, 0, 0)


def test_release_gives_back_what_was_held(ada):
    ada.wallet.hold(2, "wish")
    ada.wallet.release(2, "wish")
    assert pockets(ada.wallet) == (10, 0, 0)


def test_release_after_capture_is_refused(ada):
    ada.wallet.hold(2, "wish")
    ada.wallet.capture(2, "wish")
    with pytest.raises(ReferenceTaken):
        ada.wallet.release(2, "wish")
    assert pockets(ada.wallet) == (8, 0, 0)


def test_capture_after_release_is_refused(ada):
    ada.wallet.hold(2, "wish")
    ada.wallet.release(2, "wish")
    with pytest.raises(ReferenceTaken):
        ada.wallet.capture(2, "wish")
    assert pockets(ada.wallet) == (10, 0, 0)


def test_a_reference_cannot_serve_two_wallets(ada, ben):
    factories.give(ben, 5)
    ada.wallet.hold(1, "wish")
    with pytest.raises(ReferenceTaken):
        ben.wallet.hold(1, "wish")
    assert pockets(ben.wallet) == (5, 0, 0)


def test_a_debt_is_set_against_what_is_available(ada):
    _post(ada.wallet, Kind.REFUND, 4, "refund:r1")
    ada.wallet.refresh_from_db()
    assert (ada.wallet.spendable, ada.wallet.debt, pockets(ada.wallet)) == (6, 0, (10, 0, 4))
    with pytest.raises(NotEnoughCredits):
        ada.wallet.hold(7, "wish")


def test_a_debt_beyond_the_credits_is_owed_and_settled_by_the_next_credits(ada):
    _post(ada.wallet, Kind.DISPUTE, 12, "dispute:d1")
    ada.wallet.refresh_from_db()
    assert (ada.wallet.spendable, ada.wallet.debt) == (0, 2)
    factories.give(ada, 5)
    assert (ada.wallet.spendable, ada.wallet.debt) == (3, 0)


def test_only_gifts_can_be_granted(ada):
    with pytest.raises(ValueError, match="not a gift"):
        ada.wallet.grant(Kind.PURCHASE, 5, "purchase:x")


def test_the_database_keeps_a_pocket_from_going_below_zero(ada):
    with pytest.raises(IntegrityError), transaction.atomic():
        Wallet.objects.filter(pk=ada.wallet.pk).update(available=-1)


def test_the_database_refuses_a_transfer_of_nothing(ada):
    with pytest.raises(IntegrityError), transaction.atomic():
        _post(ada.wallet, Kind.WELCOME, 0, "welcome:nothing")


def test_the_database_refuses_a_road_that_is_not_of_its_kind(ada):
    with pytest.raises(IntegrityError), transaction.atomic():
        Transfer.objects.create(
            wallet=ada.wallet,
            kind=Kind.HOLD,
            source="given",
            target="available",
            amount=1,
            reference="hold:odd",
        )


def test_a_gift_by_staff_without_a_reason_is_refused_by_the_database(ada):
    with pytest.raises(IntegrityError), transaction.atomic():
        ada.wallet.grant(Kind.ADJUST_UP, 1, "adjust:1")


@pytest.mark.parametrize("field", ["amount", "kind", "reference", "note", "wallet_id"])
def test_a_transfer_is_never_edited(ada, ben, field):
    transfer = ada.wallet.hold(1, "wish")
    value = {"amount": 9, "wallet_id": ben.wallet.pk}.get(field, "release")
    with pytest.raises(DatabaseError), transaction.atomic():
        Transfer.objects.filter(pk=transfer.pk).update(**{field: value})


def test_a_transfer_may_lose_its_actor_with_the_person(ada, mo):
    transfer = gifts.give(ada, 5, actor=mo, reason="sorry", number="n1")
    Transfer.objects.filter(pk=transfer.pk).update(actor=None)
    transfer.refresh_from_db()
    assert transfer.actor is None


def test_on_postgresql_a_transfer_is_never_deleted(ada):
    """On SQLite it can be: emptying tables between tests deletes rows (see triggers.standing)."""
    transfer = ada.wallet.hold(1, "wish")
    if connection.vendor == "postgresql":
        with pytest.raises(DatabaseError), transaction.atomic():
            Transfer.objects.filter(pk=transfer.pk).delete()
    assert Transfer.objects.filter(pk=transfer.pk).exists()


def test_the_welcome_is_given_once_even_when_its_amount_changes(settings):
    newcomer = factories.create_user(verified=False)
    gifts.welcome(newcomer)
    settings.WELCOME_CREDITS = 9
    gifts.welcome(newcomer)
    assert pockets(newcomer.wallet) == (3, 0, 0)


def test_a_gift_pressed_twice_is_given_once(ada, mo):
    for _press in range(2):
        gifts.give(ada, 5, actor=mo, reason="yesterday's outage", number="form-1")
    assert pockets(ada.wallet) == (15, 0, 0)


def test_a_gift_without_a_reason_is_refused(ada, mo):
    with pytest.raises(gifts.ReasonMissing):
        gifts.give(ada, 5, actor=mo, reason="  ", number="form-1")
    assert pockets(ada.wallet) == (10, 0, 0)


def test_the_monthly_top_up_comes_once_a_month(ada):
    Quota.objects.filter(user=ada).update(monthly_free=4)
    ada.quota.refresh_from_db()
    now = timezone.now()
    ada.quota.top_up(now)
    Quota.objects.filter(user=ada).update(monthly_free=9)
    ada.quota.refresh_from_db()
    ada.quota.top_up(now)
    assert pockets(ada.wallet) == (14, 0, 0)


def test_the_monthly_top_up_waits_for_a_proved_address(db):
    stranger = factories.create_user(verified=False)
    Quota.objects.filter(user=stranger).update(monthly_free=4)
    assert gifts.top_up_everybody(timezone.now()) == 0
    assert pockets(stranger.wallet) == (0, 0, 0)


def test_top_up_for_everybody_reaches_whoever_has_one(ada, ben):
    Quota.objects.filter(user=ben).update(monthly_free=4)
    for _pass in range(2):
        assert gifts.top_up_everybody(timezone.now()) == 1
    assert (pockets(ada.wallet), pockets(ben.wallet)) == ((10, 0, 0), (4, 0, 0))


def test_the_audit_is_silent_about_honest_books(ada):
    ada.wallet.hold(2, "wish")
    ada.wallet.capture(2, "wish")
    assert auditing.findings() == []


def test_the_audit_finds_and_freezes_a_wallet_that_does_not_add_up(ada, ben):
    Wallet.objects.filter(pk=ada.wallet.pk).update(available=11)
    assert [(f.invariant, f.rows) for f in auditing.findings()] == [("I2", [ada.wallet.pk])]
    auditing.check_books()
    ada.wallet.refresh_from_db()
    ben.wallet.refresh_from_db()
    assert (ada.wallet.frozen, ben.wallet.frozen) == (True, False)


def test_the_audit_misses_a_trigger(ada):
    with connection.cursor() as cursor:
        table = ' ON "accounts_transfer"' if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER transfer_is_never_edited{table}")
    assert [(f.invariant, f.rows) for f in auditing.findings()] == [
        ("I12", ["transfer_is_never_edited"])
    ]
