"""Attending: what staff do for one person beside money: delete their photos, send a letter again.

Knows the nouns and safekeeping. Each act and its Decision are one transaction; an act that finds
nothing to do says so by False and writes nothing.
"""

from datetime import datetime

from django.db import models, transaction
from django.db.models import Q

from accounts.models import User, decide
from avatars import safekeeping
from avatars.models import AvatarRequest, Gone, ReviewItem, ReviewKind, ReviewOutcome
from avatars.models.avatar_requests import TOLD

LETTERS_OFFERED = 10
# Decisions of the desk that a letter tells.
WRITTEN = Q(outcome__in=[ReviewOutcome.REMOVED, ReviewOutcome.GIFTED]) | Q(
    kind=ReviewKind.APPEAL, outcome__in=[ReviewOutcome.GRANTED, ReviewOutcome.DENIED]
)


def delete_photos(person: User, *, actor: User, reason: str) -> bool:
    """All of them, for good: a person asked, or their face is somebody else's."""
    with transaction.atomic():
        photos = safekeeping.erase_all(person, Gone.STAFF)
        if not photos:
            return False
        decide(actor, "photos_deleted", person=person, reason=reason, after={"photos": photos})
    return True


def endings(person: User) -> "models.QuerySet[AvatarRequest]":
    """Requests whose end a letter told, or will tell."""
    return AvatarRequest.objects.filter(user=person, state__in=TOLD).order_by("-pk")


def verdicts(person: User) -> "models.QuerySet[ReviewItem]":
    """Decisions of the desk that a letter told, or will tell."""
    return ReviewItem.objects.filter(WRITTEN, person=person).order_by("-pk")


def resend(person: User, letter: str, *, actor: User, reason: str, now: datetime) -> bool:
    """Send once more how a request ended ("request:<row>") or what the desk decided
    ("review:<row>"). False when it is on its way, or no such letter was ever owed to them.
    """
    kind, _colon, number = letter.partition(":")
    rows: models.QuerySet[AvatarRequest] | models.QuerySet[ReviewItem]
    rows = endings(person) if kind == "request" else verdicts(person)
    with transaction.atomic():
        if not rows.order_by().filter(pk=number, mail_due_at=None).update(mail_due_at=now):
            return False
        decide(actor, "letter_resent", person=person, subject=(kind, number), reason=reason)
    return True
