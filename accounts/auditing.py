"""Auditing: what must always be true of wallets, transfers and purchases (engine.md §14).

Knows the models. A finding freezes the wallets it is about: stopping beats going on wrong.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connection, models
from django.db.models import Case, F, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, Concat
from django.utils import timezone

from accounts.models import (
    BookCheck,
    Closing,
    Kind,
    Purchase,
    Transfer,
    Wallet,
    decisions,
    triggers,
    wallets,
)
from accounts.models.findings import Finding, finding, report

# A closing is over in minutes; a provider that is away is asked for a day, hourly at last.
CLOSING_LIMIT = timedelta(hours=26)


def findings() -> list[Finding]:
    """Everything that does not add up; an empty list is the good answer."""
    return [*pockets(), *purchases(), *closings(timezone.now()), *locks()]


def check_books() -> list[Finding]:
    """The nightly pass: findings call staff and freeze the wallets concerned, all of them."""
    found = findings()
    report(found)
    wrong = {*unbalanced(), *unreversed()}
    Wallet.objects.filter(pk__in=wrong).update(frozen=True)
    BookCheck.note("wallets", timezone.now(), len(found))
    return found


# By hand, because the sums must be made before the wallets are joined: the other way round, which
# is how the ORM would say it, took three times as long at a million transfers.
UNBALANCED = """
    WITH sums AS (
        SELECT wallet_id, {available} AS available, {reserved} AS reserved, -({owed}) AS owed
        FROM {transfers} GROUP BY wallet_id
    )
    SELECT wallets.id FROM {wallets} wallets LEFT JOIN sums ON sums.wallet_id = wallets.id
    WHERE wallets.available <> COALESCE(sums.available, 0)
    OR wallets.reserved <> COALESCE(sums.reserved, 0)
    OR wallets.owed <> COALESCE(sums.owed, 0)
    ORDER BY wallets.id
"""
FLOW = """
    SUM(CASE WHEN target = '{0}' THEN amount WHEN source = '{0}' THEN -amount ELSE 0 END)
"""


def unbalanced() -> list[int]:
    """Wallets of which a pocket is not the sum of its transfers. One statement, hence one
    snapshot: a transfer that commits meanwhile is either in both sums or in neither.
    """
    flows = {pocket: FLOW.format(pocket) for pocket in ("available", "reserved", "owed")}
    tables = {"transfers": Transfer._meta.db_table, "wallets": Wallet._meta.db_table}
    with connection.cursor() as cursor:
        cursor.execute(UNBALANCED.format(**flows, **tables))
        return [pk for (pk,) in cursor.fetchall()]


def pockets() -> Iterator[Finding]:
    """I2 and I3: every pocket is the sum of its transfers and none is below zero. I1 (credits are
    conserved) follows: every transfer has one source, one target and one amount.
    """
    yield from finding("I2", "a pocket is not the sum of its transfers", unbalanced())
    below = Wallet.objects.filter(Q(available__lt=0) | Q(reserved__lt=0) | Q(owed__lt=0))
    yield from finding("I3", "a pocket is below zero", below.values_list("pk", flat=True))


def unreversed() -> models.QuerySet[Wallet, int]:
    """Wallets whose purchases gave back more or fewer credits than the ledger took for refunds and
    disputes, less what was undone. One statement, for the same reason as above.
    """
    taking, undoing = [*wallets.REVERSALS], [*wallets.REVERSALS.values()]
    flow = Case(When(kind__in=taking, then=F("amount")), default=-F("amount"))
    ledger = Transfer.objects.filter(wallet=OuterRef("pk"), kind__in=[*taking, *undoing])
    taken = ledger.order_by().values("wallet").annotate(total=Sum(flow)).values("total")
    paid = Purchase.objects.paid().filter(transfer__wallet=OuterRef("pk")).order_by()
    back = paid.values("transfer__wallet").annotate(total=Sum("credits_back")).values("total")
    compared = Wallet.objects.annotate(
        taken=Coalesce(Subquery(taken), 0), back=Coalesce(Subquery(back), 0)
    )
    return compared.exclude(taken=F("back")).values_list("pk", flat=True)


def purchases() -> Iterator[Finding]:
    """I6, our half: a PAID purchase has one transfer of its own credits, every such transfer has
    its purchase, and what was given back is what the ledger took. Stripe's half is in `billing`.
    """
    paid = Purchase.objects.paid()
    own = Q(
        transfer__kind=Kind.PURCHASE,
        transfer__amount=F("credits"),
        transfer__reference=Concat(Value("purchase:"), "session_id"),
    )
    yield from finding(
        "I6",
        "a paid purchase without its own credits",
        paid.exclude(own).values_list("pk", flat=True),
    )
    stray = Transfer.objects.filter(kind=Kind.PURCHASE, purchase=None)
    yield from finding(
        "I6", "bought credits without a purchase", stray.values_list("reference", flat=True)
    )
    yield from finding("I6", "credits given back are not those taken", unreversed())


def closings(now: datetime) -> Iterator[Finding]:
    """I13, our half: whoever closed their account is gone a day and a bit later, their address with
    its letter, and the wallet they left holds nothing that could be spent.
    """
    late = Closing.objects.open().filter(start_at__lt=now - CLOSING_LIMIT)
    yield from finding("I13", "a closing has stopped", late.values_list("pk", flat=True))
    known = Closing.objects.exclude(letter_to="").filter(gone_at__lt=now - 2 * CLOSING_LIMIT)
    yield from finding("I13", "an address outlived its letter", known.values_list("pk", flat=True))
    nobodys = Wallet.objects.filter(user=None).filter(Q(reserved__gt=0))
    yield from finding("I13", "nobody holds credits", nobodys.values_list("pk", flat=True))


def locks() -> Iterator[Finding]:
    """I12: the triggers that forbid rewriting ledger and decisions stand in the database."""
    names = (wallets.TRIGGERS, decisions.TRIGGERS)
    wanted = {name for pair in names for name in triggers.standing("default", pair)}
    yield from finding(
        "I12", "a trigger is missing", sorted(wanted - triggers.installed("default", wanted))
    )
