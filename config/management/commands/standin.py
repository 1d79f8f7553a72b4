"""`manage.py standin face_gen --port N`: one understudy alone in the foreground, until Ctrl-C.

Knows embedded, which opens them.
"""

import signal
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import embedded
from config.standins import serve

STOPS = {signal.SIGINT, signal.SIGTERM}


class Command(BaseCommand):
    help = "Runs the stand-in of one outside service alone, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=("face_gen", "stripe"))
        parser.add_argument("--port", type=int, required=True)

    def handle(self, *, name: str, port: int, **options: object) -> None:
        # Both switches are off outside DEBUG.
        if not {"face_gen": settings.FACE_GEN_STANDIN, "stripe": settings.STRIPE_STANDIN}[name]:
            raise CommandError(f"The settings name the real {name}: nobody would call a stand-in.")
        if not embedded.port_is_free(port):
            raise CommandError(f"Port {port} cannot be had: choose another one.")
        # Waited for, not handled: a handler may need a lock that the code it interrupts holds.
        # Before the first thread, which would otherwise be given the signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        understudy = embedded.open_standin(name, port)
        with serve(understudy, port) as server:
            self.stdout.write(f"The {name} stand-in is at {server.url}/ (Ctrl-C stops it)")
            self.stdout.flush()
            signal.sigwait(STOPS)
        understudy.close()
