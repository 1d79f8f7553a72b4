"""`provider_status [--json] [--offline]`: how it stands with the provider; exit 1 when it is bad.

Knows the nouns, pace and reconciling. For whoever is on call: one screen instead of six queries.
"""

import json
import sys
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Count, Min
from django.utils import timezone

from avatars import reconciling
from avatars.models import Attempt, Avatar, AvatarRequest, Breaker, Heartbeat, State
from avatars.models.attempts import Outcome, Service
from avatars.models.pace import busy_slots

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
        "paused_seconds": round((row.paused_until - now).total_seconds())
        if row.paused_until and row.is_pausing(now)
        else 0,
        "width": row.width_now(now) if service == Service.FACE_GEN else None,
        "strikes": row.strikes,
        "reason": row.reason,
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
    sent = Attempt.objects.filter(sent_at__gt=now - DAY)
    ended = AvatarRequest.objects.filter(ended_at__gt=now - DAY)
    pictures = Avatar.objects.filter(created_at__gt=now - DAY)
    return {
        "ordered": sent.count(),
        "accepted": sent.filter(accepted_at__isnull=False).count(),
        "unclear": sent.filter(outcome__in=[Outcome.UNCERTAIN, Outcome.UNREAD]).count(),
        "never_confirmed": reconciling.unconfirmed(now, DAY).count(),
        "delivered": pictures.filter(gift=False).count(),
        "gifts": pictures.filter(gift=True).count(),
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


def lines(figures: dict[str, Any]) -> list[str]:
    """The same for a terminal."""
    understudy = " (stand-in)" if figures["stand_in"] else ""
    waiting = ", ".join(
        f"{row['count']} {state} (oldest {row['oldest_seconds']} s)"
        for state, row in figures["open"].items()
    )
    swept = figures["sweep_seconds_ago"]
    told = [f"provider   {figures['provider']}{understudy}"]
    told += [
        f"{row['service']:10} "
        + (f"pauses {row['paused_seconds']} s ({row['reason']})" if row["paused_seconds"] else "ok")
        + (f", {row['width']} places wide" if row["width"] else "")
        + f", {row['strikes']} strikes"
        for row in figures["breakers"]
    ]
    told += [
        f"slots      {figures['slots']['busy']} of {figures['slots']['all']} busy",
        f"open       {waiting or 'nothing'}",
        f"sweep      {'never' if swept is None else f'{swept} s ago'}",
        "last day   " + ", ".join(f"{n} {name}" for name, n in figures["day"].items()),
        f"paid, not delivered  {', '.join(figures['not_delivered']) or 'none'}"
        f" ({figures['still_watched']} may still come)",
    ]
    if account := figures.get("account"):
        told.append(
            f"account    {account['processing']} jobs under way ({account['ours']} ours), "
            f"balance {account['balance']}"
        )
        told += [f"           no {name}: {why}" for name, why in account["unavailable"].items()]
    return [*told, *(f"! {sentence}" for sentence in figures["attention"])]


class Command(BaseCommand):
    help = "Show breaker, slots, line, doubts and the provider's own books; exit 1 when bad."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
        parser.add_argument("--offline", action="store_true", help="do not ask the provider")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's contract
        figures = status(timezone.now(), offline=options["offline"])
        if options["json"]:
            self.stdout.write(json.dumps(figures, default=str))
        else:
            self.stdout.write("\n".join(lines(figures)))
        if figures["attention"]:
            sys.exit(1)
