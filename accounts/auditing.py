"""Auditing: what must always be true of wallets and transfers (engine.md §14).

Knows the models. A finding freezes the wallets it is about: stopping beats going on wrong.
"""

from collections.abc import Iterator

from django.db import connection
from django.db.models import Q

from accounts.models import Transfer, Wallet, triggers, wallets
from accounts.models.findings import Finding, finding, report


def findings() -> list[Finding]:
    """Everything that does not add up; an empty list is the good answer."""
    return [*pockets(), *locks()]


def check_books() -> list[Finding]:
    """The nightly pass: findings call staff and freeze the wallets concerned, all of them."""
    found = findings()
    report(found)
    Wallet.objects.filter(pk__in=unbalanced()).update(frozen=True)
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


def locks() -> Iterator[Finding]:
    """I12: the triggers that forbid rewriting the ledger stand in the database."""
    wanted = set(wallets.triggers_of("default"))
    yield from finding(
        "I12", "a trigger is missing", sorted(wanted - triggers.installed("default", wanted))
    )
