"""`sweep [--forever]`: the whole engine with no broker at all; one process, threads for the waits.

Knows the verbs, beat's schedule and the tasks it names. May run beside workers, or twice.
"""

import logging
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any

from celery.schedules import maybe_schedule
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseTrouble
from django.db import connections
from django.utils import timezone

from avatars import generation, notices, replies, takedowns
from avatars.models import Takedown
from config.celery import app

logger = logging.getLogger("likeness.engine")

SWEEP = "sweep"  # the one entry of beat's schedule that is done here and not by its task


class Hands:
    """Threads that do the work, each piece by one of them at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(settings.ENGINE_THREADS)
        self._under_way: dict[object, Future[None]] = {}
        self._turn = threading.RLock()
        self._closing = False

    def advance(self, pks: Iterable[int]) -> None:
        for pk in pks:
            self.do(pk, partial(self._advance, pk))

    def _advance(self, pk: int) -> None:
        """Step by step, as long as its next step can start at once."""
        more = [pk]
        while pk in more:
            more = generation.advance(pk)
            self.advance(other for other in more if other != pk)

    def do(self, piece: object, work: Callable[[], object]) -> None:
        """Unless this piece is under way, or we are leaving. Whatever it fails with is logged: its
        claim runs out, and the next sweep meets it again.
        """
        with self._turn:
            if not self._closing and piece not in self._under_way:
                self._under_way[piece] = self._pool.submit(self._work, piece, work)
                self._under_way[piece].add_done_callback(complain)

    def _work(self, piece: object, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            connections.close_all()
            with self._turn:
                self._under_way.pop(piece, None)

    def finish(self) -> None:
        """Take nothing new and wait for what is under way; each step has its own deadline."""
        with self._turn:
            self._closing = True
        self._pool.shutdown()

    def finish_all(self) -> None:
        """Wait until nothing that follows from what was given is left to do."""
        while pieces := list(self._under_way.values()):
            for piece in pieces:
                piece.exception()
        self.finish()


def complain(done: Future[None]) -> None:
    if error := done.exception():
        logger.error("a step failed", exc_info=error)


class Tick:
    """One entry of beat's schedule, done here when its time comes."""

    def __init__(self, name: str, entry: dict[str, Any]) -> None:
        self.name = name
        self._task = app.tasks[entry["task"]]
        self._schedule = maybe_schedule(entry["schedule"], app=app)
        self._last: datetime = app.now()

    def do_when_due(self, hands: Hands) -> None:
        if self._schedule.is_due(self._last).is_due:
            self._last = app.now()
            hands.do(self.name, self._task)


class Command(BaseCommand):
    help = "Do everything that is due, once; or with --forever all that worker and beat do."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--forever", action="store_true", help="go on until SIGTERM or Ctrl-C; needs no broker"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's contract
        hands = Hands()
        if not options["forever"]:
            hands.advance(generation.sweep())
            hands.finish_all()
            notices.send_due()
            takedowns.call_staff(timezone.now())
            Takedown.objects.forget_senders(timezone.now())
            replies.send_due()
            return
        leaving = threading.Event()

        def leave(number: int, frame: object) -> None:
            """The first signal lets steps end; a second one ends the process where it stands."""
            signal.signal(number, signal.SIG_DFL)
            leaving.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, leave)
        app.loader.import_default_modules()  # the tasks the schedule names
        entries = settings.CELERY_BEAT_SCHEDULE.items()
        ticks = [Tick(name, entry) for name, entry in entries if name != SWEEP]
        self.stdout.write("Sweeping. Ctrl-C ends it.")
        while not leaving.wait(settings.SWEEP_SECONDS):
            try:
                hands.advance(generation.sweep())
            except DatabaseTrouble as error:  # restarted, or locked for long: the next one may do
                logger.warning("sweep missed", extra={"why": type(error).__name__})
                connections.close_all()
                continue
            hands.do("letters", notices.send_due)
            for tick in ticks:
                tick.do_when_due(hands)
        hands.finish()
