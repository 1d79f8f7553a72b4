"""Watching: how it stands with the provider just now, in figures for people on call.

Knows the nouns, measuring and reconciling. Reads only. The command, the staff's page and the
dashboard ask here, so that they never differ.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Min, Q
from django.utils import timezone

from avatars import reconciling
from avatars.measuring import before
from avatars.models import Attempt, Avatar, AvatarRequest, Breaker, Heartbeat, State
from avatars.models.attempts import Outcome, Service
from avatars.models.pace import busy_slots
from avatars.reconciling import Account

DAY = timedelta(days=1)
SWEEP_STALE_SECONDS = 15.0  # as /readyz sees it
OVERDUE_SECONDS = 6.0  # three sweeps
UNCLEAR_SHARE = 0.005  # of a day's orders (engine.md §12)
ROWS_NAMED = 20
FEW_ORDERS = 20  # below that a share says nothing


def status(now: datetime, *, offline: bool) -> dict[str, Any]:
    """Every figure by its name; seconds and counts. `attention` is a list of sentences."""
    paid = reconciling.undelivered(now)
    figures = {
        "provider": settings.FACE_GEN_URL,
        "stand_in": settings.FACE_GEN_STANDIN,
        "breakers": [breaker(service, now) for service in Service],
        "slots": {"busy": busy_slots(), "all": settings.FACE_GEN_SLOTS},
        "open": by_state(now),
        "sweep_seconds_ago": since(Heartbeat.objects.filter(name="sweep"), "seen_at", now),
        "overdue_seconds": since(AvatarRequest.objects.due(now), "due_at", now) or 0.0,
        "day": last_day(now),
        "not_delivered": [str(row.public_id) for row in paid.filter(due_at=None)[:ROWS_NAMED]],
        "still_watched": paid.filter(due_at__isnull=False).count(),
    }
    if not offline:
        account = reconciling.read_account()
        ours = Attempt.objects.live().filter(sent_at__isnull=False).count()
        figures["account"] = {
            "processing": account.processing,
            "ours": ours,
            "balance": account.balance,
            "unavailable": account.unavailable,
        }
        figures["attention"] = [*attention(figures), *reconciling.alarms(account, now)]
    else:
        figures["attention"] = attention(figures)
    return figures


def since(rows: Any, field: str, now: datetime) -> float | None:  # noqa: ANN401 - any queryset
    """Seconds since the oldest; None when there is none."""
    oldest = rows.aggregate(oldest=Min(field))["oldest"]
    return round((now - oldest).total_seconds(), 1) if oldest else None


def breaker(service: Service, now: datetime) -> dict[str, Any]:
    row = Breaker.of(service)
    return {
        "service": service.value,
        "paused_seconds": round((row.pauses_until - now).total_seconds())
        if row.pauses_until and row.is_pausing(now)
        else 0,
        "is_stopped": row.is_stopped(now),
        "width": row.width_now(now) if service == Service.FACE_GEN else None,
        "strikes": row.strikes,
        "reason": "by staff" if row.is_stopped(now) else row.reason,
    }


def by_state(now: datetime) -> dict[str, dict[str, Any]]:
    rows = (
        AvatarRequest.objects.open()
        .order_by()
        .values("state")
        .annotate(number=Count("pk"), oldest=Min("created_at"))
    )
    return {
        row["state"]: {
            "count": row["number"],
            "oldest_seconds": round((now - row["oldest"]).total_seconds()),
        }
        for row in rows
    }


def last_day(now: datetime) -> dict[str, int]:
    since = now - DAY
    sent = Attempt.objects.filter(pk__gt=before(Attempt, "sent_at", since), sent_at__gt=since)
    pictures = Avatar.objects.filter(pk__gt=before(Avatar, "created_at", since))
    ended = AvatarRequest.objects.filter(ended_at__gt=since)
    uncertain = Q(outcome=Outcome.UNCERTAIN)
    return {
        **sent.aggregate(
            ordered=Count("pk"),
            accepted=Count("pk", filter=Q(accepted_at__isnull=False)),
            unclear=Count("pk", filter=uncertain | Q(outcome=Outcome.UNREAD)),
            never_confirmed=Count("pk", filter=uncertain & Q(provider_job_id=None)),
        ),
        **pictures.aggregate(
            delivered=Count("pk", filter=Q(gift=False)), gifts=Count("pk", filter=Q(gift=True))
        ),
        "returned": ended.exclude(state=State.READY).count(),
    }


def attention(figures: dict[str, Any]) -> list[str]:
    """What somebody should look at now, a sentence each."""
    sentences = []
    swept = figures["sweep_seconds_ago"]
    if swept is None or swept > SWEEP_STALE_SECONDS:
        sentences.append("Nobody sweeps: is a worker with beat, or `sweep --forever`, running?")
    if figures["overdue_seconds"] > OVERDUE_SECONDS:
        sentences.append(f"The oldest request has been due for {figures['overdue_seconds']} s.")
    sentences += [
        f"{row['service']} pauses for {row['paused_seconds']} s: {row['reason']}."
        for row in figures["breakers"]
        if row["paused_seconds"]
    ]
    day = figures["day"]
    if day["ordered"] >= FEW_ORDERS and day["unclear"] > UNCLEAR_SHARE * day["ordered"]:
        sentences.append(f"{day['unclear']} of {day['ordered']} orders were never confirmed.")
    if figures["not_delivered"] and "account" not in figures:
        sentences.append(f"Paid and not delivered: {len(figures['not_delivered'])}.")
    return sentences


# ── For pages ───────────────────────────────────────────────────────────────────────────────────

# Asked every five minutes by the clock, because a page must not wait for a provider that hangs.
ACCOUNT_KEY = "watching:account"
ACCOUNT_KEPT_SECONDS = 3600


def note_account() -> None:
    """Ask the provider for its own books and keep the answer for the pages."""
    noted = {"account": reconciling.read_account(), "at": timezone.now()}
    cache.set(ACCOUNT_KEY, noted, ACCOUNT_KEPT_SECONDS)


def noted_account() -> tuple[Account, datetime | None]:
    """The last answer and when it came; empty books when there is none of the last hour."""
    noted = cache.get(ACCOUNT_KEY)
    return (noted["account"], noted["at"]) if noted else (Account(), None)
