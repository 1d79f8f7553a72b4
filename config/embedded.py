"""The engine inside the serving process: worker, beat and stand-ins as threads, one per clone.

Knows the Celery app, settings and the stand-ins; `up` starts it in gunicorn's worker and stops it.
"""

import fcntl
import logging
import socket
import threading
import time
from typing import NamedTuple, TextIO
from urllib.parse import urlsplit

from celery.beat import EmbeddedService
from celery.worker import WorkController
from django.conf import settings

from config.celery import app
from config.standins import serve
from config.standins.face_gen import FaceGen
from config.standins.stripe import StripeStandIn

HOST = "127.0.0.1"  # nobody else's machine: a clone has play money and a printed password
QUEUES = ["look", "store"]  # one pool serves both; here the split would only halve the threads
WORKER_NAME = "embedded@localhost"
THREADS_BESIDE_SLOTS = 3  # so that sweeps, letters and storing go on while every slot waits
LOCK_SECONDS = 10  # a process that is being replaced needs about three to give the lock back
LOCK_POLL_SECONDS = 0.05
STOP_SECONDS = 5  # for threads that are idle or in a short task; measured: one


class AlreadyRunning(Exception):
    """Another process is the engine of this clone."""


class Running(NamedTuple):
    """Who holds the lock: `pid` is the process to end, `url` where its site answers."""

    pid: int
    url: str


class Standin(NamedTuple):
    """One understudy as the settings want it. `wanted`: the site's address is the one it gets."""

    wanted: bool
    port: int


def site_url() -> str:
    """Where a browser on this machine finds the site, whatever address a tunnel gives it."""
    return f"http://{HOST}:{settings.SITE_PORT}"


def standins() -> dict[str, Standin]:
    """A stand-in is ours to start only on its own port: one may run alone on another."""
    return {
        name: Standin(active and urlsplit(url).port == port, port)
        for name, active, url, port in (
            (
                "face_gen",
                settings.FACE_GEN_STANDIN,
                settings.FACE_GEN_URL,
                settings.FACE_GEN_STANDIN_PORT,
            ),
            (
                "stripe",
                settings.STRIPE_STANDIN,
                settings.STRIPE_API_URL,
                settings.STRIPE_STANDIN_PORT,
            ),
        )
    }


def open_standin(name: str, port: int) -> FaceGen | StripeStandIn:
    """The understudy with its books. Two processes must not write in the same books, and a port
    has one holder, so only the site's own port gets the site's own books.
    """
    own = standins()[name].port == port
    directory = settings.LOCAL_DIR / "standins" / (name if own else f"{name}-{port}")
    directory.mkdir(parents=True, exist_ok=True)
    if name == "face_gen":
        return FaceGen(directory)
    return StripeStandIn(
        directory,
        webhook_url=f"{site_url()}/webhooks/stripe/",
        webhook_secret=settings.STRIPE_WEBHOOK_SECRET,
        key=settings.STRIPE_SECRET_KEY,
    )


def port_is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def take_lock(seconds: float) -> TextIO:
    """The kernel gives the lock back when its holder ends, however it ends: no stale lock file.
    Raises AlreadyRunning when somebody keeps it for `seconds`.
    """
    settings.LOCAL_DIR.mkdir(parents=True, exist_ok=True)
    lock = (settings.LOCAL_DIR / "engine.lock").open("a+")
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                lock.seek(0)
                holder = lock.read()
                lock.close()
                raise AlreadyRunning(holder) from None
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return lock


def running() -> Running | None:
    """The engine of this clone, or None. Also used to decide whether `up` must be started."""
    try:
        take_lock(0).close()
    except AlreadyRunning as other:
        pid, _, url = str(other).partition(" ")
        return Running(int(pid or 0), url or site_url())
    return None


class Engine:
    """Runs from its making until `stop()`. Raises AlreadyRunning, or OSError if a stand-in's port
    is taken.

    memory:// forgets every message with its process, so the first act is one of each periodic
    task, the sweep first: whatever a kill left behind is found by its row, and a clone that never
    runs for a whole day still has its nightly work done. For the same reason beat keeps no file.
    """

    def __init__(self, owner: int) -> None:
        """`owner` is the process whose end ends this one: gunicorn's master."""
        self._lock = take_lock(LOCK_SECONDS)
        self._lock.truncate(0)
        self._lock.write(f"{owner} {site_url()}")
        self._lock.flush()
        self._standins = []
        for name, standin in standins().items():
            if standin.wanted:
                understudy = open_standin(name, standin.port)
                self._standins.append((serve(understudy, standin.port), understudy))
        for entry in app.conf.beat_schedule.values():
            app.send_task(entry["task"], **entry.get("options", {}))
        # WorkController, not the `celery worker` program: that one takes over the process's
        # signals, logging and streams.
        self._worker = WorkController(
            app=app,
            hostname=WORKER_NAME,
            pool_cls="threads",
            concurrency=settings.FACE_GEN_SLOTS + THREADS_BESIDE_SLOTS,
            queues=QUEUES,
            without_heartbeat=True,
            without_gossip=True,
            without_mingle=True,
        )
        self._working = threading.Thread(target=self._worker.start, name="worker", daemon=True)
        self._working.start()
        self._beat = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")
        self._beat.start()

    def stop(self) -> None:
        """Ends every thread and frees ports and lock. A task that outlasts `STOP_SECONDS` is left
        to its lease, as after a kill. May be repeated.
        """
        self._beat.service.stop()
        # The worker's own message wakes it at once; its stop flags are looked at every 2 s.
        logging.getLogger("celery.worker.control").setLevel(logging.ERROR)
        app.control.shutdown(destination=[WORKER_NAME])
        self._working.join(STOP_SECONDS)
        self._beat.join(STOP_SECONDS)
        for server, understudy in self._standins:
            server.close()
            understudy.close()
        self._lock.close()
