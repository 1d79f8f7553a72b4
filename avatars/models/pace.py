"""Pace: how long drawing takes just now, read from the last fifty real pictures.

Knows attempts and requests. Seconds throughout.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Q, Subquery

from avatars.models.attempts import Attempt, Breaker, Outcome, Service
from avatars.models.avatar_requests import AvatarRequest, State

SAMPLES = 50
ENOUGH_SAMPLES = 10
# What we say before we know: "about a minute".
UNKNOWN_SECONDS = 60.0
PROMISE_FACTOR = 3
PROMISE_SHORTEST = timedelta(minutes=15)
PROMISE_LONGEST = timedelta(minutes=60)
# Beyond this shown wait the promise could not be kept, so it is not made.
WAIT_LIMIT = timedelta(minutes=45)
PLACES_COUNTED = 100


@dataclass(frozen=True)
class Pace:
    """Seconds from sending to a stored picture; `known` says whether there were enough samples."""

    known: bool
    p50: float
    p80: float
    p90: float
    p95: float


def pace(style: str, quality: str) -> Pace:
    """The pace of the last fifty finished pictures of that style and quality."""
    sent_at = Attempt.objects.filter(request=OuterRef("pk"), outcome=Outcome.DONE)
    finished = (
        AvatarRequest.objects.filter(state=State.READY, style=style, quality=quality)
        .order_by("-pk")
        .annotate(sent_at=Subquery(sent_at.values("sent_at")[:1]))
        .values_list("sent_at", "ended_at")[:SAMPLES]
    )
    seconds = sorted((ended - sent).total_seconds() for sent, ended in finished if sent and ended)
    if len(seconds) < ENOUGH_SAMPLES:
        unknown = UNKNOWN_SECONDS
        return Pace(known=False, p50=unknown, p80=unknown, p90=unknown, p95=unknown)

    def at(share: float) -> float:
        return seconds[min(len(seconds) - 1, math.ceil(share * len(seconds)) - 1)]

    return Pace(known=True, p50=at(0.5), p80=at(0.8), p90=at(0.9), p95=at(0.95))


def place_in_line(avatar_request: AvatarRequest) -> int | None:
    """1 for the next to be drawn, in the dispatcher's own order; None when not in line. Counted to
    one past PLACES_COUNTED, so that the price of asking stays small however long the line.
    """
    if avatar_request.state != State.QUEUED:
        return None
    ahead = AvatarRequest.objects.filter(
        Q(turn__lt=avatar_request.turn) | Q(turn=avatar_request.turn, pk__lte=avatar_request.pk),
        state=State.QUEUED,
    )
    return ahead[: PLACES_COUNTED + 1].count()


def wait_seconds(place: int, drawing: float, now: datetime) -> float:
    """How long until a slot is free for whoever stands at `place`."""
    width = max(1, Breaker.of(Service.FACE_GEN).width_now(now))
    return math.ceil(place / width) * drawing


def promise(shown_wait_seconds: float, now: datetime) -> datetime:
    """The moment printed on the page: three times the shown wait, 15 to 60 minutes ahead."""
    period = timedelta(seconds=PROMISE_FACTOR * shown_wait_seconds)
    return now + min(PROMISE_LONGEST, max(PROMISE_SHORTEST, period))


def busy_slots() -> int:
    return Attempt.objects.filter(slot_no__isnull=False).count()


def line_length() -> int:
    return AvatarRequest.objects.filter(state=State.QUEUED)[: PLACES_COUNTED + 1].count()
