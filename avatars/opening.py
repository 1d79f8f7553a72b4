"""Opening: a member of staff looks at a person's own photo, with a reason that the person reads.

Knows the nouns. The decision is written and committed before the first byte is sent; without a
fresh one of one's own, nothing is.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import Decision, User, decide
from accounts.models.decisions import DecisionQuerySet
from avatars.models import FacePhoto

ACT = "photo_opened"
SUBJECT = "photo"
# Long enough to judge a complaint, too short to come back later without a new reason.
OPEN_FOR = timedelta(minutes=10)


class PhotoIsGone(Exception):
    """There is nothing to open any more."""


def open_photo(photo: FacePhoto, actor: User, reason: str) -> Decision:
    """Write down that `actor` opens this photo, and why. Raises PhotoIsGone, ValueError without a
    reason.
    """
    if not reason.strip():
        raise ValueError("a photo is opened for a reason")
    with transaction.atomic():
        # A touch that locks the row: its deletion comes wholly before or wholly after.
        if not FacePhoto.objects.filter(pk=photo.pk, deleted_at=None).update(deleted_at=None):
            raise PhotoIsGone
        return decide(
            actor,
            ACT,
            person=photo.user,
            subject=(SUBJECT, photo.public_id),
            reason=reason,
            after={"role": role_of(actor)},
        )


def role_of(actor: User) -> str:
    """What this member of staff is here, by the name of their group; empty without one."""
    group = actor.groups.order_by("name").first()
    return "lead" if actor.is_superuser else group.name if group else ""


def ends_at(photo: FacePhoto, actor: User, now: datetime) -> datetime | None:
    """Until when this photo is open to this member of staff; None when it is not."""
    mine = openings(photo).filter(actor=actor, created_at__gt=now - OPEN_FOR).last()
    return mine.created_at + OPEN_FOR if mine and photo.is_present(now) else None


def is_open(photo: FacePhoto, actor: User) -> bool:
    return ends_at(photo, actor, timezone.now()) is not None


def openings(photo: FacePhoto) -> DecisionQuerySet:
    """Every time staff opened this photo, oldest first."""
    return Decision.objects.about(SUBJECT, photo.public_id).filter(act=ACT)


def openings_of(person: User) -> DecisionQuerySet:
    """Every time staff opened one of this person's photos, newest first."""
    return Decision.objects.filter(person=person, act=ACT).newest_first()
