"""A whole Likeness in processes of its own: `manage.py up` in a folder of its own, for journeys.

Knows nothing of ours but the command line; tests speak to it over HTTP and read its database file.
"""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 30


def three_free_ports() -> int:
    """The first of three neighbouring ports that are free now."""
    for _try in range(50):
        # Below the ports that the kernel gives to whoever asks for any.
        port = random.randrange(20_000, 32_000)
        if all(map(is_free, range(port, port + 3))):
            return port
    raise AssertionError("no three neighbouring ports are free")


def is_free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


class Site:
    def __init__(self, folder: Path, *, switches: str = "delay=0.3") -> None:
        self.folder = folder
        self.port = three_free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LOCAL_DIR": str(folder),
            "SITE_PORT": str(self.port),
            "STANDIN_FACE_GEN": switches,
            # Mo is led to no second factor; the journeys about it shut the door themselves.
            "STAFF_SECOND_FACTOR": "0",
            "PYTHONUNBUFFERED": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        """`up`, until the site answers."""
        log = (self.folder / "up.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--no-browser", "--no-demo", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # As in a terminal, even when the tests themselves run under nohup.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
        self.wait_for(lambda: self.status("/readyz") == 200, START_SECONDS)

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def wait_for(self, condition: Any, seconds: float) -> None:
        give_up_at = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up_at, self.log()[-3000:]
            time.sleep(0.05)

    def log(self) -> str:
        return (self.folder / "up.log").read_text(errors="replace")

    def kill(self) -> None:
        """`kill -9` of everything this `up` started: nobody gets to say goodbye."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ctrl-C. Returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def command(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the site's own database."""
        with sqlite3.connect(self.folder / "likeness.sqlite3", timeout=20) as database:
            return database.execute(sql).fetchall()

    def letters(self) -> list[str]:
        """Every mail sent so far, oldest first, raw."""
        return [path.read_text() for path in sorted((self.folder / "mail").glob("*.eml"))]
