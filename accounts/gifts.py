"""Credits nobody paid for: the welcome, the monthly top-up, gifts by staff with a reason.

Knows the models. Each is one ledger row with a reference of its own, so saying it twice gives once.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from accounts.models import (
    Decision,
    Kind,
    Quota,
    ReferenceTaken,
    Transfer,
    User,
    decide,
    nameless,
)

logger = logging.getLogger("likeness.money")


class ReasonMissing(Exception):
    """A gift or correction by staff says why, in words the person will read."""


class TooMuch(Exception):
    """More than this member of staff may give today; nothing was given."""


@dataclass(frozen=True)
class Allowance:
    """Credits that may be given within a day: to one person by all staff together, so that neither
    pressing again nor asking a colleague is a way round; and by one giver to everybody.
    """

    to_one: int
    in_all: int


SUPPORT = Allowance(to_one=50, in_all=500)
LEAD = Allowance(to_one=1000, in_all=10_000)
DAY = timedelta(days=1)


def allowance_of(actor: User) -> Allowance:
    return LEAD if actor.has_perm("accounts.give_more") else SUPPORT


def left_today(person: User, actor: User, now: datetime) -> int:
    """Credits `actor` may still give to `person`."""
    allowance, given = allowance_of(actor), Transfer.objects.given_by_staff(now - DAY)
    to_one = given.filter(wallet=person.wallet).aggregate(all=Sum("amount"))["all"] or 0
    in_all = given.filter(actor=actor).aggregate(all=Sum("amount"))["all"] or 0
    return max(0, min(allowance.to_one - to_one, allowance.in_all - in_all))


def welcome(user: User) -> None:
    """The first proved address of a person brings the welcome credits, once for ever."""
    unproved = User.objects.filter(pk=user.pk, verified_at=None)
    is_first = unproved.update(verified_at=timezone.now())
    if is_first and settings.WELCOME_CREDITS:
        user.wallet.grant(Kind.WELCOME, settings.WELCOME_CREDITS, f"welcome:{user.pk}")


def top_up_everybody(now: datetime) -> int:
    """The month's free credits for everybody who has any; may run as often as one likes."""
    given = 0
    quotas = Quota.objects.filter(
        monthly_free__gt=0, user__verified_at__isnull=False, user__is_active=True
    )
    for quota in quotas.select_related("user__wallet").iterator():
        given += quota.top_up(now) is not None
    return given


def give(user: User, amount: int, *, actor: User, reason: str, number: str) -> Transfer:
    """Staff give credits. `number` is the confirm page's form number: pressed twice, given once.
    Raises ReasonMissing, ReferenceTaken when this number gave something else or for another reason,
    TooMuch, or ValueError for an amount below one.
    """
    if not reason.strip():
        raise ReasonMissing
    if amount < 1:
        raise ValueError("a gift is at least one credit")
    note = nameless(reason).strip()
    with transaction.atomic():
        # Locks, and the wallet's lock comes with it: of two gifts at once the second counts the
        # first.
        User.objects.filter(pk=actor.pk).update(is_staff=F("is_staff"))
        user.wallet.lock()
        left = left_today(user, actor, timezone.now())
        transfer = user.wallet.grant(
            Kind.ADJUST_UP, amount, f"adjust:{number}", actor=actor, note=note
        )
        if transfer.note != note:
            raise ReferenceTaken(transfer.reference)
        if not Decision.objects.about("gift", number).exists():
            if amount > left:
                raise TooMuch
            about, after = ("gift", number), {"credits": amount}
            decide(actor, "credits_given", person=user, subject=about, reason=note, after=after)
    logger.info("credits given", extra={"to": user.pk, "by": actor.pk, "credits": amount})
    return transfer
