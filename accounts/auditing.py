"""Auditing: what must always be true of wallets and transfers (engine.md §14).

Knows the models. A finding freezes the wallets it is about: stopping beats going on wrong.
"""

from collections.abc import Iterator

from django.db import models
from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce

from accounts.models import Wallet, triggers, wallets
from accounts.models.findings import Finding, finding, report


def findings() -> list[Finding]:
    """Everything that does not add up; an empty list is the good answer."""
    return [*pockets(), *locks()]


def check_books() -> list[Finding]:
    """The nightly pass: findings call staff and freeze the wallets concerned, all of them."""
    found = findings()
    report(found)
    Wallet.objects.filter(pk__in=list(unbalanced())).update(frozen=True)
    return found


def unbalanced() -> models.QuerySet[Wallet, int]:
    """Wallets of which a pocket is not the sum of its transfers. One statement, hence one
    snapshot: a transfer that commits meanwhile is either in both sums or in neither.
    """
    return (
        Wallet.objects.annotate(
            summed_available=flow("target", "available") - flow("source", "available"),
            summed_reserved=flow("target", "reserved") - flow("source", "reserved"),
            summed_owed=flow("source", "owed") - flow("target", "owed"),
        )
        .exclude(
            available=F("summed_available"),
            reserved=F("summed_reserved"),
            owed=F("summed_owed"),
        )
        .values_list("pk", flat=True)
    )


def flow(field: str, pocket: str) -> Coalesce:
    through = Q(**{f"transfers__{field}": pocket})
    return Coalesce(Sum("transfers__amount", filter=through), 0)


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
