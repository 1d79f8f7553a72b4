"""Leaving: what a person has here goes with them, when their account closes.

Knows the nouns, `accounts.signals` and `safekeeping`. The plot: `let_go` at once, inside the
transaction of the closing; `go_on` when its days are over: `empty` the storage here and at the
provider, then `scrub` the rows. Wallet and login are accounts' own.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import Closing, User
from accounts.models.closings import Step
from accounts.signals import account_closing
from avatars import safekeeping
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Evidence,
    Export,
    FacePhoto,
    Reason,
    Share,
    StoredFile,
)
from avatars.models.attempts import SLOT_LIMIT

logger = logging.getLogger("likeness.closing")

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
    stopped = safekeeping.stop_everything(user, Reason.CLOSED)
    # Avatars may yet be kept, so they are not written into the receipt before they go.
    going = StoredFile.objects.filter(user=user).exclude(key__startswith="avatars/")
    closing.note({"photos": stopped.photos}, going.values_list("key", flat=True))
    Export.objects.filter(user=user).end(now)
    Share.objects.filter(user=user).stop(now)


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
    files = StoredFile.objects.filter(user=user)
    gone = safekeeping.empty_bins(files.doomed(timezone.now())[:FILES_AT_ONCE])
    now = timezone.now()
    if gone == FILES_AT_ONCE:
        closing.wait(now)
    elif files.exists():
        closing.wait(now + LOOK_AGAIN)
    elif not is_provider_told(user):
        closing.wait(now + ASK_AGAIN)
    else:
        closing.move(Step.SCRUBBING, due_at=now)


def order_everything_to_go(user: User, closing: Closing) -> None:
    """In one transaction with the receipt. What went at once is ordered once more: a worker may
    have been asleep.
    """
    now = timezone.now()
    with transaction.atomic():
        safekeeping.stop_everything(user, Reason.CLOSED)
        shown = Avatar.objects.filter(user=user, file__isnull=False)
        # A touch that locks them: what a lead finds now is found before, or finds no file.
        shown.update(hidden=F("hidden"))
        evidence = keep_evidence(user, now)
        counts = {
            "avatars": shown.count(),
            "requests": AvatarRequest.objects.filter(user=user).count(),
        } | ({"evidence": evidence} if evidence else {})
        closing.note(counts, StoredFile.objects.filter(user=user).values_list("key", flat=True))
        shown.update(file=None, thumb=None, trashed_at=now)
        Export.objects.filter(user=user).end(now)
        StoredFile.objects.filter(user=user).doom(now)
        # By their own numbers: an answer that comes just now is not asked for again.
        requests = AvatarRequest.objects.filter(user=user)
        Attempt.objects.filter(request__in=requests).owe_erasure(now)


def keep_evidence(user: User, now: datetime) -> int:
    """What a lead found to show somebody under 18 stays for its period, out of the account's reach,
    with what a report about it names and nothing else. Returns how many pictures.
    """
    kept = 0
    for avatar in Avatar.objects.evidence(now).filter(user=user).select_related("file", "request"):
        file, keep_until = avatar.file, avatar.evidence_until
        if file is None or keep_until is None:
            continue
        Evidence.objects.create(
            number=avatar.public_id,
            file=file,
            address=user.email,
            words=avatar.request.prompt,
            made_at=avatar.created_at,
            keep_until=keep_until,
        )
        StoredFile.objects.filter(pk=file.pk).update(user=None)
        Avatar.objects.filter(pk=avatar.pk).update(file=None, thumb=None, trashed_at=now)
        kept += 1
    return kept


def is_provider_told(user: User) -> bool:
    """Nothing is left to ask the provider (`erasing` asks). A job that was stopped while it was
    drawn is asked about until its drawing is surely over; so is one whose number may yet come.
    """
    still_drawn = Q(sent_at__gt=timezone.now() - SLOT_LIMIT)
    unanswered = Q(erase_answered_at=None, provider_job_id__isnull=False)
    owed = Attempt.objects.filter(request__user=user, erase_due_at__isnull=False)
    return not owed.filter(unanswered | still_drawn).exists()


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
