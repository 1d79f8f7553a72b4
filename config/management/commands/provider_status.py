"""`provider_status [--json] [--offline]`: how it stands with the provider; exit 1 when it is bad.

Knows watching. For whoever is on call: one screen instead of six queries.
"""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from avatars import watching


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
        figures = watching.status(timezone.now(), offline=options["offline"])
        if options["json"]:
            self.stdout.write(json.dumps(figures, default=str))
        else:
            self.stdout.write("\n".join(lines(figures)))
        if figures["attention"]:
            sys.exit(1)
