"""Counting: the staff's dashboard in five queries, whatever the tables hold.

Knows the nouns, accounts.models, measuring and reconciling. Reads only.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import TruncHour

from accounts.models import BookCheck, Kind, Purchase, Transfer, User
from accounts.models.wallets import GIFTS
from avatars import measuring, reconciling
from avatars.models import AvatarRequest, Breaker, Reason, ReviewItem, State, Takedown
from avatars.models.attempts import Service

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# Banks may ask a payment back for about so long (Stripe: 120 days for most reasons).
DISPUTE_PERIOD = timedelta(days=120)
# Failures that no provider can help: nobody decided, the line was too long, our own fault.
OURS = frozenset({Reason.REVIEW_LATE, Reason.LINE_LATE, Reason.OURS})
PARTS_OF_BOOKS = 2  # wallets and requests, an audit each


@dataclass
class Line:
    """What waits, in line or at a desk: how many, since when, and the nearest deadline."""

    count: int = 0
    oldest: datetime | None = None
    deadline: datetime | None = None


@dataclass
class Figures:
    at: datetime
    waiting: Line = field(default_factory=Line)
    review: Line = field(default_factory=Line)
    takedowns: Line = field(default_factory=Line)
    under_way: int = 0
    ended_hour: int = 0
    failed_hour: int = 0
    ours_hour: int = 0
    hours: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[tuple[str, int]] = field(default_factory=list)
    credits: dict[str, int] = field(default_factory=dict)
    undelivered: int = 0
    odd_purchases: int = 0
    sign_ups: int = 0
    disputes: int = 0
    paused_until: datetime | None = None
    checked_at: datetime | None = None
    findings: int = 0


def figures(now: datetime) -> Figures:
    """Days are UTC days, as everywhere."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = Figures(at=now)
    count_open(found)
    count_ended(found, now)
    count_elsewhere(found, now, midnight)
    moved = measuring.moved_since(midnight)
    found.credits = {
        "sold": moved.get(Kind.PURCHASE, 0),
        "charged": moved.get(Kind.CAPTURE, 0),
        "returned": moved.get(Kind.RELEASE, 0),
        "gifted": sum(moved.get(kind, 0) for kind in GIFTS),
    }
    return found


def count_open(found: Figures) -> None:
    rows = (
        AvatarRequest.objects.open()
        .order_by()
        .values("state")
        .annotate(n=Count("pk"), oldest=Min("created_at"), deadline=Min("deadline_at"))
    )
    for row in rows:
        line = Line(row["n"], row["oldest"], row["deadline"])
        if row["state"] == State.QUEUED:
            found.waiting = line
        elif row["state"] != State.HELD:  # what is held waits at the desk, and is counted there
            found.under_way += line.count


def count_ended(found: Figures, now: datetime) -> None:
    """The last day by hour and ending; of it the last hour and the reasons."""
    rows = (
        AvatarRequest.objects.filter(ended_at__gt=now - DAY)
        .order_by()
        .annotate(hour=TruncHour("ended_at"))
        .values("hour", "state", "reason")
        .annotate(n=Count("pk"), recent=Count("pk", filter=Q(ended_at__gt=now - HOUR)))
    )
    hours: dict[datetime, dict[str, Any]] = {}
    reasons: dict[str, int] = {}
    for row in rows:
        hour = hours.setdefault(row["hour"], {"hour": row["hour"]})
        hour[row["state"]] = hour.get(row["state"], 0) + row["n"]
        if row["state"] in (State.READY, State.FAILED):
            found.ended_hour += row["recent"]
        if row["state"] == State.FAILED:
            found.failed_hour += row["recent"]
            found.ours_hour += row["recent"] if row["reason"] in OURS else 0
            reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["n"]
    found.hours = [hours[hour] for hour in sorted(hours, reverse=True)]
    found.reasons = sorted(reasons.items(), key=lambda each: -each[1])


def one(rows: QuerySet[Any, Any], what: Any) -> Any:  # noqa: ANN401 - expressions in and out
    """One number about `rows`, as part of another query."""
    return Subquery(rows.order_by().annotate(_=Value(1)).values("_").annotate(n=what).values("n"))


def count_elsewhere(found: Figures, now: datetime, midnight: datetime) -> None:
    """Numbers of other tables, in one trip beside the breaker's row."""
    taken_back = Transfer.objects.filter(created_at__gt=now - DISPUTE_PERIOD)
    new_people = User.objects.filter(pk__gt=measuring.before(User, "date_joined", midnight))
    numbers = {
        "undelivered": one(reconciling.undelivered(now), Count("pk")),
        "odd": one(Purchase.objects.filter(state=Purchase.State.ODD), Count("pk")),
        "sign_ups": one(new_people, Count("pk")),
        "disputed": one(taken_back.filter(reference__startswith="dispute:"), Count("pk")),
        "won": one(taken_back.filter(reference__startswith="dispute-won:"), Count("pk")),
        "notices": one(Takedown.objects.waiting().order_by(), Count("pk")),
        "noticed_at": one(Takedown.objects.waiting().order_by(), Min("created_at")),
        "notice_due": one(Takedown.objects.waiting().order_by(), Min("deadline_at")),
        "reviews": one(ReviewItem.objects.waiting(), Count("pk")),
        "reviewed_since": one(ReviewItem.objects.waiting(), Min("created_at")),
        "review_due": one(ReviewItem.objects.waiting(), Min("deadline_at")),
        "parts": one(BookCheck.objects.all(), Count("pk")),
        "checked_at": one(BookCheck.objects.all(), Min("ran_at")),
        "findings": one(BookCheck.objects.all(), Sum("findings")),
    }
    rows = Breaker.objects.filter(service=Service.FACE_GEN).annotate(
        **{f"n_{name}": number for name, number in numbers.items()}
    )
    row = rows.first()
    if row is None:  # the first look at a new site
        Breaker.of(Service.FACE_GEN)
        row = rows.get()
    told = {name: getattr(row, f"n_{name}") for name in numbers}
    found.undelivered, found.odd_purchases = told["undelivered"] or 0, told["odd"] or 0
    found.sign_ups = told["sign_ups"] or 0
    found.disputes = max(0, (told["disputed"] or 0) - (told["won"] or 0))
    found.review = Line(told["reviews"] or 0, told["reviewed_since"], told["review_due"])
    found.takedowns = Line(told["notices"] or 0, told["noticed_at"], told["notice_due"])
    found.checked_at = told["checked_at"] if told["parts"] == PARTS_OF_BOOKS else None
    found.findings = told["findings"] or 0
    found.paused_until = row.pauses_until if row.is_pausing(now) else None
