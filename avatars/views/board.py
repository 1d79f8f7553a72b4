"""The board: how busy drawing is just now, asked of the database once in some seconds for all.

Knows pace, generation and words. For pages only: promises are made by `generation.submit`, afresh.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from accounts.models import User
from avatars import generation, words
from avatars.models import Attempt, AvatarRequest, Pace, Quality, State, Style, pace
from avatars.models.attempts import Outcome
from avatars.models.pace import (
    ENOUGH_SAMPLES,
    SAMPLES,
    busy_slots,
    line_length,
    promise,
    wait_seconds,
)

# A page is asked for every few seconds by everybody who waits; the line moves no faster.
LINE_SECONDS = 5
# A pace is the median of fifty pictures; one more hardly changes it.
PACE_SECONDS = 60
# From here on the pages say that drawing is slow: twice what is usual with the provider.
SLOW_SECONDS = 120


Answer = TypeVar("Answer")


def remembered(name: str, ask: Callable[[], Answer], seconds: int) -> Answer:
    """What `ask` said in the last so many seconds, or says now."""
    return cast("Answer", cache.get_or_set(f"board:{name}", ask, seconds))


def is_paused() -> bool:
    return remembered("paused", lambda: generation.is_paused(timezone.now()), LINE_SECONDS)


def drawing(style: str, quality: str) -> Pace:
    """Seconds from sending to a stored picture."""
    return remembered(f"pace:{style}:{quality}", lambda: pace(style, quality), PACE_SECONDS)


def expected(style: str, quality: str) -> float:
    """Seconds of waiting and drawing for somebody who joined the line now."""
    return remembered(
        f"expected:{style}:{quality}",
        lambda: generation.expected_seconds(style, quality, timezone.now()),
        LINE_SECONDS,
    )


def expected_words(style: str, quality: str) -> str:
    """“about 25 seconds”, or “about a minute” before enough were drawn."""
    return words.about(expected(style, quality), known=drawing(style, quality).known)


def waiting() -> int:
    """How many stand in line, counted to one past PLACES_COUNTED."""
    return remembered("waiting", line_length, LINE_SECONDS)


def wait(place: int, seconds_each: float) -> float:
    """Seconds until whoever stands at `place` gets a slot; none while slots are free."""

    def ask() -> float:
        if place <= settings.FACE_GEN_SLOTS - busy_slots():
            return 0.0
        return wait_seconds(place, seconds_each, timezone.now())

    return remembered(f"wait:{place}:{seconds_each:.1f}", ask, LINE_SECONDS)


@dataclass(frozen=True)
class Recent:
    """Seconds from sending to a stored picture, over the last fifty of all styles; None before
    enough were drawn.
    """

    median: float | None
    p95: float | None


def recent() -> Recent:
    return remembered("recent", measure, PACE_SECONDS)


def measure() -> Recent:
    finished = (
        Attempt.objects.filter(
            outcome=Outcome.DONE, request__state=State.READY, sent_at__isnull=False
        )
        .order_by("-pk")
        .values_list("sent_at", "request__ended_at")[:SAMPLES]
    )
    seconds = [(ended - sent).total_seconds() for sent, ended in finished if sent and ended]
    if len(seconds) < ENOUGH_SAMPLES:
        return Recent(None, None)
    return Recent(
        statistics.median(seconds), statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    )


def promised_minutes(user: User) -> int:
    """Within how many minutes a press made now brings this person a picture or the credits back,
    whatever style and quality are chosen: as `generation.submit` reckons it, for the slowest.
    """
    slowest = max(drawing(style, quality).p50 for style in Style for quality in Quality)

    def ask() -> float:
        turn = AvatarRequest.objects.next_turn(user.pk)
        return generation.wait_behind(turn, slowest, timezone.now())

    wait_first = remembered(f"behind:{user.pk}:{slowest:.1f}", ask, LINE_SECONDS)
    now = timezone.now()
    return math.ceil((promise(wait_first + slowest, now) - now).total_seconds() / 60)


def weather() -> str:
    """normal · slow · paused, in one word for banners and the status page."""
    if is_paused():
        return "paused"
    usual = expected(Style.REALISTIC, Quality.STANDARD)
    return "slow" if usual > SLOW_SECONDS else "normal"
