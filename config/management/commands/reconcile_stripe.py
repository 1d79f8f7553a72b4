"""`reconcile_stripe [--json]`: the last four days' books with Stripe; exit 1 if they differ.

Knows reconciling. Mends what it can (a payment nobody told us of is credited); staff are called.
"""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import billing, reconciling


class Command(BaseCommand):
    help = "Compare payments, refunds and disputes with Stripe; print what differs; exit 1 then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON list on stdout")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's contract
        try:
            found = reconciling.reconcile(timezone.now())
        except (billing.Unavailable, billing.Refused) as trouble:
            raise CommandError(f"Stripe could not be read: {trouble}.") from trouble
        if options["json"]:
            self.stdout.write(json.dumps([each.as_dict() for each in found], default=str))
        else:
            for each in found:
                self.stdout.write(f"{each.invariant}  {each.sentence}: {each.rows}")
            self.stdout.write("Stripe agrees." if not found else f"{len(found)} findings.")
        if found:
            sys.exit(1)
