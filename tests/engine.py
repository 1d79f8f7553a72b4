"""Running the engine by hand in tests: sweep and advance until nothing is open, without waiting.

Knows the verbs. Looks and retries are made due at once, as if their time had come.
"""

import time

from django.db.models import F
from django.utils import timezone

from avatars import generation
from avatars.models import AvatarRequest, State
from avatars.models.attempts import Breaker

WAITING = [State.UNCERTAIN, State.GENERATING, State.STORING]


def hurry() -> None:
    """The next look of everything under way is now, and no breaker pauses."""
    now = timezone.now()
    AvatarRequest.objects.filter(state__in=WAITING, due_at__gt=now).update(due_at=now)
    Breaker.objects.update(paused_until=None)


def step() -> None:
    """One sweep, and every id it names advanced as far as it goes."""
    ids = generation.sweep()
    while ids:
        ids = [more for pk in ids for more in generation.advance(pk)]


def finish(seconds: float = 20.0) -> None:
    """Until every request has ended; AssertionError when that takes longer than `seconds`."""
    give_up_at = time.monotonic() + seconds
    while AvatarRequest.objects.open().exists():
        still_open = list(AvatarRequest.objects.open().values_list("pk", "state", "tries"))
        assert time.monotonic() < give_up_at, still_open
        hurry()
        step()
        time.sleep(0.02)


def promise_runs_out() -> None:
    """The promised moment of everything open is now."""
    now = timezone.now()
    AvatarRequest.objects.open().update(deadline_at=now, due_at=now, lease_no=F("lease_no") + 1)
