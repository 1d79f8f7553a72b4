"""Whether an engine runs beside us; if none does, one is run as a child for as long as we need it.

Knows settings and the heartbeat. Commands that want a picture made stand on this.
"""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from avatars.models import Heartbeat
from config import embedded

# A sweep comes every two seconds; five missed is nobody there.
FRESH = timedelta(seconds=10)
START_SECONDS = 60
STOP_SECONDS = 30


def prepare() -> None:
    """A clone's database is made by whichever command comes first."""
    if settings.EMBEDDED:
        call_command("migrate", verbosity=0, interactive=False)


def is_running() -> bool:
    if settings.EMBEDDED:
        return embedded.running() is not None  # its lock ends with it; a heartbeat lives on a while
    return Heartbeat.objects.filter(name="sweep", seen_at__gte=timezone.now() - FRESH).exists()


@contextlib.contextmanager
def engine() -> Iterator[None]:
    """Something sweeps while the block runs. Raises CommandError when it cannot be started."""
    if is_running():
        yield
        return
    if not settings.EMBEDDED:
        raise CommandError(
            "No worker is running: start one with `celery -A config worker -Q look,store -B`."
        )
    log = settings.LOCAL_DIR / "engine.log"
    with log.open("wb") as written:
        child = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, sys.argv[0], "up", "--no-browser", "--no-demo"],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    try:
        await_start(child, log)
        yield
    finally:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
        child.kill()


def await_start(child: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while not is_running():
        if child.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines() or ["(nothing said)"]
            raise CommandError(f"The engine did not start: {said[-1]}")
        if time.monotonic() > give_up_at:
            raise CommandError(f"The engine did not start within {START_SECONDS} seconds.")
        time.sleep(0.2)
