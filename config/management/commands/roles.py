"""`roles`, `roles add EMAIL ROLE`, `roles remove EMAIL ROLE`: who may do what on the staff.

Knows the table and the verb. Each change leaves a Decision; nobody needs an admin to make one.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import people
from accounts.models import User
from config.roles import ROLES, set_up


class Command(BaseCommand):
    help = "Set up the roles; with add or remove, give one to somebody or take it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", choices=("add", "remove"))
        parser.add_argument("email", nargs="?")
        parser.add_argument("role", nargs="?", choices=ROLES)
        parser.add_argument("--reason", default="by command", help="why, for the trail")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's contract
        set_up()
        if options["act"] is None:
            self.stdout.write(f"Set up: {', '.join(ROLES)}.")
            return
        if options["role"] is None:
            raise CommandError("Say whom and which: roles add someone@example.org support")
        person = User.objects.filter(email__iexact=options["email"]).first()
        if person is None:
            raise CommandError(f"Nobody has the address {options['email']}. Sign up first.")
        wanted = {*people.roles_of(person)} - {options["role"]}
        wanted |= {options["role"]} if options["act"] == "add" else set()
        people.appoint(person, sorted(wanted), actor=None, reason=options["reason"])
        now = ", ".join(people.roles_of(person)) or "not on the staff"
        self.stdout.write(f"{person.email}: {now}.")
