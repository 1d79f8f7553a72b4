"""`manage.py up`: from a fresh clone to a running site in one command.

Knows embedded and one_process, and the other commands by name.
"""

import os
import sys
import time
from argparse import ArgumentParser

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config import demo, embedded, roles
from config.one_process import DEMO_DONE, LOGIN, OPEN_BROWSER, SEED_DEMO

HIGHEST_PORT = 65535 - 2  # the stand-ins take the next two
GONE_SECONDS = 2  # a child whose master was killed ends ten times as fast
POLL_SECONDS = 0.1


class Command(BaseCommand):
    help = "Runs site, worker, clock and stand-ins in one process, and prints the address."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port",
            type=int,
            default=settings.SITE_PORT,
            help="the site's, kept for the next start; the two after it are the stand-ins'",
        )
        parser.add_argument("--no-browser", action="store_true", help="only print the address")
        parser.add_argument("--no-demo", action="store_true", help="no people, no gallery")
        parser.add_argument("--reload", action="store_true", help="start over when code changes")

    def handle(
        self, *, port: int, no_browser: bool, no_demo: bool, reload: bool, **options: object
    ) -> None:
        if not settings.EMBEDDED:
            raise CommandError(
                "CELERY_BROKER_URL names a broker, and `up` is the way to run without one. Unset "
                "it, or start the parts: gunicorn config.wsgi and celery -A config worker -B."
            )
        self.wait_for_the_last_run()
        self.check_ports(port)
        (settings.LOCAL_DIR / "port").write_text(str(port))
        call_command("migrate", verbosity=0, interactive=False)
        roles.set_up()
        demo.packs()
        asked = [] if no_browser or not sys.stdout.isatty() else [f"{OPEN_BROWSER}=1"]
        asked += [] if no_demo else self.ask_for_demo()
        arguments = ["-m", "gunicorn", "--config", "python:config.one_process"]
        for wish in asked:
            arguments += ["--env", wish]
        if reload:
            arguments.append("--reload")
            for path in (settings.BASE_DIR / "templates").rglob("*.*"):
                arguments += ["--reload-extra-file", str(path)]
        # A new program, not a call: gunicorn forks, and what Django has opened here must not be
        # in two processes. Checked here already, so the worker need not check again.
        os.environ.update(SITE_PORT=str(port), CELERY_SKIP_CHECKS="1")
        os.chdir(settings.BASE_DIR)
        self.stdout.flush()
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - ours, fixed

    def ask_for_demo(self) -> list[str]:
        """Demo people are made on a clone of nobody's, and by a stand-in: a real provider would
        be paid for their gallery.
        """
        login = f"{LOGIN}=Sign in as {demo.ADA} with the password {demo.PASSWORD}"
        users = get_user_model().objects
        if (
            not settings.FACE_GEN_STANDIN
            or users.exclude(email__in=(demo.ADA, demo.BEN, demo.MO)).exists()
        ):
            return [login] if users.filter(email=demo.ADA).exists() else []
        return [login] if DEMO_DONE.exists() else [login, f"{SEED_DEMO}=1"]

    def wait_for_the_last_run(self) -> None:
        """Two engines on one clone would fight for the stand-ins' ports and books."""
        deadline = time.monotonic() + GONE_SECONDS
        while other := embedded.running():
            if time.monotonic() >= deadline:
                pid, url = other
                raise CommandError(
                    f"Likeness already runs at {url}/ (process {pid}). Open that address, or end "
                    f"it with `kill {pid}`. A second one needs a place of its own: "
                    "LOCAL_DIR=/some/folder manage.py up --port …"
                )
            time.sleep(POLL_SECONDS)

    def check_ports(self, port: int) -> None:
        if not 1 <= port <= HIGHEST_PORT:
            raise CommandError(f"--port must be between 1 and {HIGHEST_PORT}; {port} is not.")
        uses = {port: "the site"}
        for name, standard in embedded.standins().items():
            uses[port + standard - settings.SITE_PORT] = f"the {name} stand-in"
        taken = [number for number in uses if not embedded.port_is_free(number)]
        if taken:
            words = " and ".join(f"{number} (for {uses[number]})" for number in taken)
            raise CommandError(
                f"Cannot have port {words}: another program has it, or this user may not. "
                f"Choose three others: manage.py up --port {free_neighbour(port)}"
            )


def free_neighbour(port: int) -> int:
    """A port that is free now, with the two after it."""
    offered = range(max(port, 1024) + 10, HIGHEST_PORT, 10)
    free = (one for one in offered if all(map(embedded.port_is_free, range(one, one + 3))))
    return next(free, settings.SITE_PORT)
