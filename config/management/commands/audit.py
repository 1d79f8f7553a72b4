"""`audit [--json] [--files] [--contents] [--look]`: the books and rows of both apps; 1 if wrong.

Knows the audits of both apps. A wallet that does not add up is frozen and staff are called.
"""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import auditing as accounts_auditing
from avatars import auditing as avatars_auditing
from avatars.storage import StorageAway


class Command(BaseCommand):
    help = "Check every invariant; print each finding with its rows; exit 1 when there is one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON list on stdout")
        parser.add_argument(
            "--files", action="store_true", help="also compare the storage with its journal"
        )
        parser.add_argument(
            "--contents", action="store_true", help="also read every object and compare its hash"
        )
        parser.add_argument(
            "--look", action="store_true", help="only look: freeze no wallet and call nobody"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's contract
        deep = {name: options[name] for name in ("files", "contents")}
        try:
            if options["look"]:
                found = [*accounts_auditing.findings(), *avatars_auditing.findings(**deep)]
            else:
                found = [*accounts_auditing.check_books(), *avatars_auditing.check_books(**deep)]
        except StorageAway as error:
            raise CommandError(
                f"The storage does not answer ({error}): audit without --files and --contents, "
                "or later."
            ) from error
        if options["json"]:
            self.stdout.write(json.dumps([finding.as_dict() for finding in found], default=str))
        else:
            for finding in found:
                self.stdout.write(f"{finding.invariant}  {finding.sentence}: {finding.rows}")
            self.stdout.write("Everything adds up." if not found else f"{len(found)} findings.")
        if found:
            sys.exit(1)
