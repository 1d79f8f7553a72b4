"""Auditing: what must always be true of wallets and transfers (engine.md §14).

Knows the models. A finding freezes the wallets it is about: stopping beats going on wrong.
"""

from collections.abc import Iterator

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from accounts.models import Transfer, Wallet, triggers, wallets
from accounts.models.findings import Finding, finding, report


def findings() -> list[Finding]:
    """Everything that does not add up; an empty list is the good answer."""
    return [*pockets(), *locks()]


def check_books() -> None:
    """The nightly pass: findings call staff and freeze the wallets concerned."""
    found = findings()
    report(found)
    for broken in found:
        if broken.invariant == "I2":
            Wallet.objects.filter(pk__in=broken.rows).update(frozen=True)


def flow(field: str, pocket: str) -> Coalesce:
    return Coalesce(Sum("amount", filter=Q(**{field: pocket})), 0)


def pockets() -> Iterator[Finding]:
    """I2 and I3: every pocket is the sum of its transfers and none is below zero. I1 (credits are
    conserved) follows: every transfer has one source, one target and one amount.
    """
    sums = (
        Transfer.objects.order_by()
        .values("wallet")
        .annotate(
            available=flow("target", "available") - flow("source", "available"),
            reserved=flow("target", "reserved") - flow("source", "reserved"),
            owed=flow("source", "owed") - flow("target", "owed"),
        )
        .values_list("wallet", "available", "reserved", "owed")
    )
    summed = {pk: (available, reserved, owed) for pk, available, reserved, owed in sums}
    shown = Wallet.objects.values_list("pk", "available", "reserved", "owed")
    wrong = [pk for pk, *now in shown.iterator() if tuple(now) != summed.get(pk, (0, 0, 0))]
    yield from finding("I2", "a pocket is not the sum of its transfers", wrong)
    below = Wallet.objects.filter(Q(available__lt=0) | Q(reserved__lt=0) | Q(owed__lt=0))
    yield from finding("I3", "a pocket is below zero", below.values_list("pk", flat=True))


def locks() -> Iterator[Finding]:
    """I12: the triggers that forbid rewriting the ledger stand in the database."""
    wanted = set(wallets.triggers_of("default"))
    yield from finding(
        "I12", "a trigger is missing", sorted(wanted - triggers.installed("default", wanted))
    )
