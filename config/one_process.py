"""gunicorn's settings for `up`, read by their names: one serving process with the engine inside.

Knows embedded, and commands by name. gunicorn's master reads it too, and no app is loaded there.
"""

import os
import signal
import sys
import threading
import time
import urllib.request
import webbrowser

from django.conf import settings
from django.core.management import call_command
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from config import embedded
from config.celery import app

# What `up` asks for, through gunicorn's --env.
OPEN_BROWSER = "LIKENESS_BROWSER"
SEED_DEMO = "LIKENESS_SEED"
LOGIN = "LIKENESS_LOGIN"  # a sentence
DEMO_DONE = settings.LOCAL_DIR / "demo_done"  # written last: a seeding cut short begins again
ANSWER_SECONDS = 60  # a slow first start gets its address late rather than never
POLL_SECONDS = 0.05
ORPHAN_SECONDS = 0.2
EXIT_SECONDS = 5  # idle threads need one; whoever talks longer is left to its lease
UNDER_NOHUP = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN

wsgi_app = "config.wsgi:application"
bind = f"{embedded.HOST}:{settings.SITE_PORT}"
workers = 1  # memory:// reaches one process
worker_class = "gthread"
threads = 8
timeout = 120  # seconds without a sign of life; a laptop may be busy
graceful_timeout = 10  # seconds for a page under way, and longer than EXIT_SECONDS
loglevel = "warning"  # the terminal shows one address, not nine lines about workers
control_socket_disable = True  # its thread in the master would be there at the next fork


def when_ready(server: Arbiter) -> None:
    """A closed terminal ends the run; by default gunicorn would start over, unseen."""
    end = signal.SIG_IGN if UNDER_NOHUP else lambda *_: server.signal(signal.SIGTERM, None)
    signal.signal(signal.SIGHUP, end)


def post_worker_init(worker: ThreadWorker) -> None:
    """Threads do not survive a fork, so the engine starts here, after it, in the one child."""
    # A terminal sends Ctrl-C to master and child, and the master sends the child SIGQUIT besides.
    # gunicorn's handler of both waits for a lock of the thread pool, which the very thread that it
    # interrupts may hold, in that handler or in accepting a page: 4 of 69 stops hung, measured.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, lambda *_: sys.exit(0))
    threading.Thread(target=end_with, args=(worker.ppid,), daemon=True).start()
    try:
        worker.engine = embedded.Engine(owner=worker.ppid)
    except embedded.AlreadyRunning as other:
        worker.log.error("Another process is the engine of this clone: %s", other)
        sys.exit(Arbiter.WORKER_BOOT_ERROR)
    if worker.age == 1:  # its successors, after a crash or a reload, have nothing to announce
        threading.Thread(target=welcome, args=(worker.cfg.env,), daemon=True).start()


def end_with(master: int) -> None:
    """`kill -9` of the master is one of everything: gunicorn would say goodbye for up to ten
    seconds, and the next `up` would find ports and lock taken.
    """
    while os.getppid() == master:
        time.sleep(ORPHAN_SECONDS)
    os._exit(1)


def worker_exit(server: Arbiter, worker: ThreadWorker) -> None:
    # Another exit inside this one would leave the engine half stopped. Handlers that do nothing:
    # with SIG_IGN, Python reports a signal caught in between as an error.
    for one in (signal.SIGQUIT, signal.SIGTERM):
        signal.signal(one, lambda *_: None)
    if engine := getattr(worker, "engine", None):
        stopping = threading.Thread(target=engine.stop, daemon=True)
        stopping.start()
        stopping.join(EXIT_SECONDS)
        sys.stdout.flush()
        # Python would wait for the pool's threads, and those for a service that may be silent.
        os._exit(0)


def on_exit(server: Arbiter) -> None:
    sys.stdout.write("\nStopped. What was under way goes on at the next start.\n")


def welcome(asked: dict[str, str]) -> None:
    """The address as soon as it answers; then, on a fresh clone, the demo: it goes through the
    real verbs and needs this engine.
    """
    url = f"{embedded.site_url()}/"
    if not answers(f"{url}livez"):
        return
    lines = ["", f"  Likeness is at {url}"]
    if LOGIN in asked:
        lines.append(f"  {asked[LOGIN]}")
    if settings.STAND_IN:
        lines.append("  Local demo: pictures are drawn by a stand-in, payments are play money.")
    lines += ["  Ctrl-C stops it; nothing under way is lost.", "", ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
    if OPEN_BROWSER in asked:
        open_browser(url)
    if SEED_DEMO in asked:
        app.tasks[embedded.SWEEP]()  # its heartbeat shows the command that an engine runs
        call_command("seed_demo")
        DEMO_DONE.touch()


def answers(url: str) -> bool:
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=ANSWER_SECONDS).close()  # noqa: S310 - our own
            return True
        except OSError:  # as every refusal of urllib is
            time.sleep(POLL_SECONDS)
    return False


def open_browser(url: str) -> None:
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return  # none on this machine: the address is on the screen
    if type(browser) is not webbrowser.GenericBrowser:  # those would take over this terminal
        browser.open(url)
