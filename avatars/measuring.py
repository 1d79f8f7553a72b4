"""Measuring: how fast the provider draws, what went wrong, which orders hang, what a day cost.

Knows the nouns and accounts.models. Reads only, a handful of queries for a whole page.
"""

import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from accounts.models import Kind, Transfer
from avatars.models import Attempt, AvatarRequest, Quality, State, Style
from avatars.models.attempts import Outcome
from avatars.models.avatar_requests import UNDER_WAY
from avatars.models.pace import SAMPLES

WEEK = timedelta(days=7)
FINISHED_READ = 1500  # enough for fifty of each style and quality
BELLS_READ = 200
ROWS_SHOWN = 50
# Before fifty were drawn: longer than the provider ever took in its own examples.
UNKNOWN_P99 = 300.0


@dataclass(frozen=True)
class Speed:
    """Seconds from sending to a stored picture, over the last `samples` of one kind."""

    style: str
    quality: str
    samples: int
    p50: float
    p95: float
    p99: float


def share_of(seconds: list[float], share: float) -> float:
    """The value that so large a share of `seconds` (sorted) stays below or meets."""
    return seconds[min(len(seconds) - 1, int(share * len(seconds)))]


def speeds() -> list[Speed]:
    """Of every style and quality that was drawn lately."""
    finished = (
        Attempt.objects.filter(
            outcome=Outcome.DONE, request__state=State.READY, sent_at__isnull=False
        )
        .order_by("-pk")
        .values_list("request__style", "request__quality", "sent_at", "request__ended_at")
    )
    kinds: dict[tuple[str, str], list[float]] = {}
    for style, quality, sent, ended in finished[:FINISHED_READ]:
        seconds = kinds.setdefault((style, quality), [])
        if sent and ended and len(seconds) < SAMPLES:
            seconds.append((ended - sent).total_seconds())
    found = []
    for style in Style:
        for quality in Quality:
            if seconds := sorted(kinds.get((style, quality), [])):
                shares = [round(share_of(seconds, share), 1) for share in (0.5, 0.95, 0.99)]
                found.append(Speed(str(style.label), str(quality.label), len(seconds), *shares))
    return found


def hanging(known: list[Speed], now: datetime) -> list[dict[str, Any]]:
    """Orders in doubt, and those under way longer than 99 of 100 of their kind take."""
    limits = {
        (speed.style, speed.quality): speed.p99 for speed in known if speed.samples >= SAMPLES
    }
    latest = Attempt.objects.filter(request=OuterRef("pk")).order_by("-pk")
    rows = (
        AvatarRequest.objects.filter(state__in=UNDER_WAY)
        .select_related("user")
        .defer("prompt", "avoid")
        .annotate(sent_at=Subquery(latest.values("sent_at")[:1]))
        .order_by("pk")
    )
    found = []
    for row in rows[: 2 * settings.FACE_GEN_SLOTS + ROWS_SHOWN]:
        seconds = (now - row.sent_at).total_seconds() if row.sent_at else 0.0
        limit = limits.get((row.get_style_display(), row.get_quality_display()), UNKNOWN_P99)
        if row.state == State.UNCERTAIN or seconds > limit:
            found.append({"row": row, "state": row.state, "seconds": round(seconds)})
    return found


def errors(now: datetime) -> list[dict[str, Any]]:
    """Why requests failed in the last week: how often, first, last, and one of them."""
    failed = AvatarRequest.objects.filter(ended_at__gt=now - WEEK, state=State.FAILED)
    return list(seen(failed.values("reason"), "ended_at"))


def provider_words(now: datetime) -> list[dict[str, Any]]:
    """What the provider said to orders that came to nothing in the last week."""
    sent = Attempt.objects.filter(pk__gt=before(Attempt, "sent_at", now - WEEK))
    said = sent.exclude(detail="").values("outcome", "detail")
    return list(seen(said, "sent_at", sample="request")[:ROWS_SHOWN])


def seen(rows: QuerySet[Any, Any], moment: str, sample: str = "pk") -> QuerySet[Any, Any]:
    found = rows.order_by().annotate(
        count=Count("pk"), first=Min(moment), last=Max(moment), sample=Max(sample)
    )
    return found.order_by("-count")


@dataclass(frozen=True)
class Bells:
    """Of pictures that came lately with a doorbell: how often it rang before we found them by
    looking, and how many seconds later we had found them (median; None when it never was first).
    """

    first: int
    pictures: int
    lag: float | None


def bells() -> Bells:
    done = Attempt.objects.filter(outcome=Outcome.DONE, doorbell_hash__isnull=False)
    rows = list(done.order_by("-pk").values_list("rung_at", "ended_at")[:BELLS_READ])
    both = [(rung, ended) for rung, ended in rows if rung and ended]
    lags = [(ended - rung).total_seconds() for rung, ended in both if rung <= ended]
    return Bells(len(lags), len(rows), round(statistics.median(lags), 1) if lags else None)


# ── A day ───────────────────────────────────────────────────────────────────────────────────────


def before(model: Any, field: str, moment: datetime) -> Any:  # noqa: ANN401 - an expression
    """The last row that is older than `moment`. Read backwards along the key, so that what is
    counted after it costs what there is since then, however long the table, without an index.
    """
    older = model.objects.filter(**{f"{field}__lt": moment}).order_by("-pk").values("pk")[:1]
    return Coalesce(Subquery(older), 0)


def moved_since(moment: datetime) -> dict[str, int]:
    """Credits by kind of movement."""
    rows = Transfer.objects.filter(pk__gt=before(Transfer, "created_at", moment))
    return dict(rows.order_by().values_list("kind").annotate(total=Sum("amount")))


@dataclass(frozen=True)
class Cost:
    """Of one day (UTC): pictures the provider took on, their price in its own currency (None when
    unknown), and credits sold.
    """

    accepted: int
    price: float | None
    sold: int


def cost_since(midnight: datetime) -> Cost:
    taken = Attempt.objects.filter(pk__gt=before(Attempt, "sent_at", midnight))
    accepted = taken.filter(accepted_at__gte=midnight).count()
    price = accepted * settings.FACE_GEN_PRICE if settings.FACE_GEN_PRICE else None
    return Cost(accepted, price, moved_since(midnight).get(Kind.PURCHASE, 0))
