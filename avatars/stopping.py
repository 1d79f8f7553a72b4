"""Stopping: everything that one person has in the making comes to its end at once (M15).

Knows the nouns. For whoever closes an account or takes a consent back; the caller's transaction
makes it one with the reason.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from avatars.models import Attempt, AvatarRequest, Reason, State
from avatars.models.attempts import Outcome

# One more round for each wish that was submitted at the very same moment.
ROUNDS = 5


class StillOpen(Exception):
    """New wishes kept coming; nothing was stopped. Saying it again will do."""


def stop_everything(user: User, reason: Reason) -> int:
    """Every open request of this person → CANCELLED, whatever its state, with its credits back, its
    slot free and its face link closed; nobody looks for late pictures any more. A worker in
    mid-flight finds its fencing number gone and commits nothing. Safe to repeat; returns how many
    were stopped now. Raises StillOpen.

    The wallet is locked until the caller's transaction ends: a submit comes wholly before, and is
    stopped, or wholly after.
    """
    now = timezone.now()
    for _round in range(ROUNDS):
        with transaction.atomic():
            stopped = stop_those_open(user, reason, now)
            if not AvatarRequest.objects.open().filter(user=user).exists():
                end_the_rest(user, now)
                return stopped
            # Submitted between our reading and our locking: its reference must come first too.
            transaction.set_rollback(True)
    raise StillOpen


def stop_those_open(user: User, reason: Reason, now: datetime) -> int:
    """Order of locks: references, wallet, requests."""
    open_now = list(AvatarRequest.objects.open().filter(user=user))
    costs = {avatar_request.reference: avatar_request.cost for avatar_request in open_now}
    released = user.wallet.release_all(costs)
    stopped = 0
    for avatar_request in open_now:
        resolution = released.get(avatar_request.reference)
        if resolution is None:
            continue  # it ended by itself; its transaction was first
        # Only who holds the reference can end it, so neither state nor fencing number is asked.
        stopped += AvatarRequest.objects.filter(pk=avatar_request.pk, resolution=None).update(
            state=State.CANCELLED,
            reason=reason,
            resolution=resolution,
            ended_at=now,
            due_at=None,
            mail_due_at=None,
            tries=0,
            lease_no=F("lease_no") + 1,
        )
    return stopped


def end_the_rest(user: User, now: datetime) -> None:
    """Slots, face links and late looks. The wallet is locked by now."""
    live = Attempt.objects.live().filter(request__user=user)
    for attempt in live:
        attempt.end(Outcome.STOPPED, now)
    waiting = AvatarRequest.objects.filter(user=user, state=State.FAILED, due_at__isnull=False)
    waiting.update(due_at=None, lease_no=F("lease_no") + 1)
