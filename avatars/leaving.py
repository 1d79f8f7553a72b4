"""Leaving: what a person has here goes with them, when their account closes.

Knows the nouns, `accounts.signals`, `stopping`, `safekeeping` and the client `face_gen`. The plot:
`let_go` at once, inside the transaction of the closing; `go_on` when its days are over: `empty`
the storage here and at the provider, then `scrub` the rows. Wallet and login are accounts' own.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import Closing, Consent, User
from accounts.models.closings import Step
from accounts.signals import account_closing
from avatars import face_gen, safekeeping, stopping
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Export,
    FacePhoto,
    FileState,
    Reason,
    StoredFile,
)
from avatars.models.attempts import SLOT_LIMIT, Outcome

logger = logging.getLogger("likeness.closing")

# The provider's own files end by themselves (its documentation: 24 h).
PROVIDER_KEEPS = timedelta(hours=24)
JOBS_AT_ONCE = 20
FILES_AT_ONCE = 500
ROWS_AT_ONCE = 200
ASK_AGAIN = timedelta(minutes=1)
LOOK_AGAIN = timedelta(seconds=30)


# ── At once ─────────────────────────────────────────────────────────────────────────────────────


@receiver(account_closing)
def let_go(user: User, closing: Closing, now: datetime, **_signal: Any) -> None:  # noqa: ANN401 - a signal's arguments
    """Inside the transaction of the closing: everything in the making stops, photos and exports
    go, whoever is writing a file for this person writes it in vain, and no new photo is taken.
    """
    stopping.stop_everything(user, Reason.CLOSED)
    # Before the photos are read: whoever keeps one holds its consent, and is waited for.
    faces_agreed = Consent.objects.standing().filter(user=user, kind=Consent.Kind.FACE)
    faces_agreed.update(withdrawn_at=now)
    photos = FacePhoto.objects.filter(user=user, deleted_at=None)
    # Avatars may yet be kept, so they are not written into the receipt before they go.
    going = StoredFile.objects.filter(user=user).exclude(key__startswith="avatars/")
    closing.note({"photos": photos.count()}, going.values_list("key", flat=True))
    for photo in photos:
        safekeeping.erase(photo, Reason.CLOSED)
    Export.objects.filter(user=user).end(now)
    StoredFile.objects.filter(user=user, state=FileState.WRITING).doom(now)


# ── When the days are over ──────────────────────────────────────────────────────────────────────


def go_on() -> None:
    """Every closing that is at a step of ours, as far as it goes. Harmless when run twice at
    once; whoever dies in it is followed by the next.
    """
    for pk in list(Closing.objects.due(STEPS, timezone.now()).values_list("pk", flat=True)):
        while (closing := Closing.objects.claimed(pk, STEPS, timezone.now())) is not None:
            STEPS[Step(closing.step)](closing)


def empty(closing: Closing) -> None:
    """Every object of this person goes, and the provider is asked to delete what it has. On only
    when no StoredFile is left.
    """
    user = closing.user
    if user is None:
        return
    order_everything_to_go(user, closing)
    is_told = tell_provider(user)
    files = StoredFile.objects.filter(user=user)
    gone = safekeeping.empty_bins(files.doomed(timezone.now())[:FILES_AT_ONCE])
    now = timezone.now()
    if gone == FILES_AT_ONCE:
        closing.wait(now)
    elif files.exists():
        closing.wait(now + LOOK_AGAIN)
    elif not is_told:
        closing.wait(now + ASK_AGAIN)
    else:
        closing.move(Step.SCRUBBING, due_at=now)


def order_everything_to_go(user: User, closing: Closing) -> None:
    """In one transaction with the receipt. What went at once is ordered once more: a worker may
    have been asleep.
    """
    now = timezone.now()
    with transaction.atomic():
        stopping.stop_everything(user, Reason.CLOSED)
        shown = Avatar.objects.filter(user=user, file__isnull=False)
        counts = {
            "avatars": shown.count(),
            "requests": AvatarRequest.objects.filter(user=user).count(),
        }
        closing.note(counts, StoredFile.objects.filter(user=user).values_list("key", flat=True))
        shown.update(file=None, thumb=None, trashed_at=now)
        for photo in FacePhoto.objects.filter(user=user, deleted_at=None):
            safekeeping.erase(photo, Reason.CLOSED)
        Export.objects.filter(user=user).end(now)
        StoredFile.objects.filter(user=user).doom(now)


def tell_provider(user: User) -> bool:
    """Ask for the deletion of every picture it may still have; True when nothing is left to ask. A
    job that was stopped while it was drawn is asked for until its drawing is surely over.
    """
    now = timezone.now()
    known = Attempt.objects.filter(
        request__user=user,
        provider_job_id__isnull=False,
        sent_at__gt=now - PROVIDER_KEEPS,
        erased_at=None,
    )
    for attempt in known[:JOBS_AT_ONCE]:
        try:
            is_deleted = face_gen.delete_image(attempt.provider_job_id or "")
        except face_gen.Unavailable as away:
            logger.warning("the provider was not told", extra={"why": str(away)})
            return False
        may_still_draw = attempt.outcome == Outcome.STOPPED and (
            attempt.sent_at is not None and attempt.sent_at > now - SLOT_LIMIT
        )
        if is_deleted or not may_still_draw:
            Attempt.objects.filter(pk=attempt.pk).update(erased_at=now)
    return not known.exists()


def scrub(closing: Closing) -> None:
    """The rows, some at a time: a picture with its request, which would be wrong without it."""
    while pks := first_of(AvatarRequest.objects.filter(user=closing.user)):
        with transaction.atomic():
            Avatar.objects.filter(request__in=pks).delete()
            AvatarRequest.objects.filter(pk__in=pks).delete()
    FacePhoto.objects.filter(user=closing.user).delete()
    Export.objects.filter(user=closing.user).delete()
    closing.move(Step.ENDING, due_at=timezone.now())


def first_of(requests: Any) -> list[int]:  # noqa: ANN401 - a queryset
    return list(requests.order_by("pk").values_list("pk", flat=True)[:ROWS_AT_ONCE])


STEPS: dict[Step, Callable[[Closing], None]] = {Step.EMPTYING: empty, Step.SCRUBBING: scrub}
