"""The engine inside the serving process: worker, beat and stand-ins as threads, one per clone.

Knows the Celery app, settings and the stand-ins; `up` starts it in gunicorn's worker and stops it.
"""

import contextlib
import fcntl
import logging
import socket
import threading
import time
from typing import TextIO
from urllib.parse import urlsplit

from celery.beat import EmbeddedService
from celery.worker import WorkController
from django.conf import settings

from config.celery import app
from config.standins import serve
from config.standins.face_gen import FaceGen
from config.standins.stripe import StripeStandIn

HOST = "127.0.0.1"  # this machine alone: a clone has play money and a printed password
WORKER = "embedded@localhost"
SWEEP = "avatars.tasks.sweep"
TAKE_OVER = "avatars.tasks.take_over"
LOCK_SECONDS = 10  # the process before us gives the lock back within three
LOCK_POLL_SECONDS = 0.05
STOP_SECONDS = 4  # for threads that are idle or in a short task; one was measured


class AlreadyRunning(Exception):
    """Another process is the engine of this clone."""


def site_url() -> str:
    """Where a browser on this machine finds the site, whatever address a tunnel gives it."""
    return f"http://{HOST}:{settings.SITE_PORT}"


def standins() -> dict[str, int]:
    """Names and ports of those to start. An address that is not our own names the real service,
    or a stand-in that somebody runs alone.
    """
    known = (
        ("face_gen", settings.FACE_GEN_URL, settings.FACE_GEN_STANDIN_PORT),
        ("stripe", settings.STRIPE_API_URL, settings.STRIPE_STANDIN_PORT),
    )
    return {name: port for name, url, port in known if urlsplit(url).netloc == f"{HOST}:{port}"}


def open_standin(name: str, port: int) -> FaceGen | StripeStandIn:
    """Its books go with its port: that has one holder, so nobody writes in another's books."""
    folder = name if standins().get(name) == port else f"{name}-{port}"
    directory = settings.LOCAL_DIR / "standins" / folder
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
    with contextlib.suppress(OSError), socket.create_server((HOST, port)):
        return True
    return False


def take_lock(seconds: float) -> TextIO:
    """The kernel takes the lock back when its holder ends, however it ends: none can be stale.
    Raises AlreadyRunning, naming the holder, when somebody keeps it for `seconds`.
    """
    lock = (settings.LOCAL_DIR / "engine.lock").open("a+")
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                with lock:
                    lock.seek(0)
                    raise AlreadyRunning(lock.read()) from None
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return lock


def running() -> tuple[int, str] | None:
    """The process to end and the site's address, while this clone has an engine; else None."""
    try:
        take_lock(0).close()
    except AlreadyRunning as other:
        pid, _, url = str(other).partition(" ")
        return int(pid or 0), url or site_url()
    return None


class Engine:
    """Runs from its making until `stop()`. Raises AlreadyRunning, or OSError if a port is taken.

    memory:// forgets all with its process, so the first act is a sweep: what a kill left under
    way is found by its rows. Beat keeps no file: nothing depends on when it last ticked.
    `owner` is the process whose end ends this one: gunicorn's master.
    """

    def __init__(self, owner: int) -> None:
        self._lock = take_lock(LOCK_SECONDS)
        self._lock.truncate(0)
        self._lock.write(f"{owner} {site_url()}")
        self._lock.flush()
        opened = [(open_standin(name, port), port) for name, port in standins().items()]
        self._standins = [(serve(understudy, port), understudy) for understudy, port in opened]
        self._ready = threading.Event()
        # The lock says that nobody else is at work here: what a kill left need not wait for the
        # dead one's lease.
        app.send_task(TAKE_OVER)
        # Not the `celery worker` program: that takes over signals, logging and streams.
        worker = WorkController(
            app=app,
            hostname=WORKER,
            pool_cls="threads",
            concurrency=settings.ENGINE_THREADS,
            queues=["look", "store"],
            without_heartbeat=True,
            without_gossip=True,
            without_mingle=True,
            ready_callback=lambda consumer: self._ready.set(),
        )
        self._working = threading.Thread(target=worker.start, name="worker", daemon=True)
        self._working.start()
        self._beat = EmbeddedService(app, thread=True, scheduler_cls="celery.beat:Scheduler")
        self._beat.start()

    def stop(self) -> None:
        """Frees ports and lock. A task that outlasts `STOP_SECONDS` is left to its lease."""
        self._beat.service.stop()
        self._ready.wait(STOP_SECONDS)  # nobody hears the next message before
        # A message wakes the worker at once; it looks at its stop flags every 2 s only.
        logging.getLogger("celery.worker.control").setLevel(logging.ERROR)
        app.control.shutdown(destination=[WORKER])
        self._working.join(STOP_SECONDS)
        self._beat.join(STOP_SECONDS)
        for server, understudy in self._standins:
            server.close()
            understudy.close()
        if not self._working.is_alive():  # else it ends with the process: nobody may take over yet
            self._lock.close()
