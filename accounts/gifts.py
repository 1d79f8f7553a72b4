"""Credits nobody paid for: the welcome, the monthly top-up, gifts by staff with a reason.

Knows the models. Each is one ledger row with a reference of its own, so saying it twice gives once.
"""

import logging
from datetime import datetime

from django.conf import settings
from django.db import transaction
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
    or ValueError for an amount below one.
    """
    if not reason.strip():
        raise ReasonMissing
    if amount < 1:
        raise ValueError("a gift is at least one credit")
    note = nameless(reason).strip()
    with transaction.atomic():
        transfer = user.wallet.grant(
            Kind.ADJUST_UP, amount, f"adjust:{number}", actor=actor, note=note
        )
        if transfer.note != note:
            raise ReferenceTaken(transfer.reference)
        if not Decision.objects.about("gift", number).exists():
            about, after = ("gift", number), {"credits": amount}
            decide(actor, "credits_given", person=user, subject=about, reason=note, after=after)
    logger.info("credits given", extra={"to": user.pk, "by": actor.pk, "credits": amount})
    return transfer
