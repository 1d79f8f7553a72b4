"""The one process that runs a clone: started, killed, started again, stopped; the engine in it.

Real processes on loopback ports of their own, each with a `.local` of its own.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from celery.worker import state as worker_state
from django.conf import settings

from avatars.models import Heartbeat
from config import embedded
from config.celery import app

START_SECONDS = 60  # a loaded machine; four are usual
STOP_SECONDS = 12
POLL_SECONDS = 0.05


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(POLL_SECONDS)


def status(url: str) -> int:
    """0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def three_free_ports() -> int:
    while True:
        with socket.create_server((embedded.HOST, 0)) as chosen:
            port = chosen.getsockname()[1]
        if port < 65000 and all(map(embedded.port_is_free, range(port, port + 3))):
            return port


class Clone:
    """A clone's `.local`, and `manage.py` run on it with an otherwise empty environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = three_free_ports()
        self.url = f"http://{embedded.HOST}:{self.port}"
        self.output = folder / "output.txt"
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=settings.BASE_DIR,
                env={"PATH": os.environ["PATH"], "LOCAL_DIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def up(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = self.run("up", "--no-browser", "--no-demo", *arguments)
        until(lambda: self.is_ready(process), START_SECONDS, "ready")
        return process

    def is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.said()
        return "Likeness is at" in self.said() and status(f"{self.url}/livez") == 200

    def said(self) -> str:
        return self.output.read_text()

    def sweeps(self) -> bool:
        return status(f"{self.url}/readyz") == 200

    def standins_answer(self) -> bool:
        return all(status(f"http://{embedded.HOST}:{self.port + one}/") == 200 for one in (1, 2))

    def ports_are_free(self) -> bool:
        return all(map(embedded.port_is_free, range(self.port, self.port + 3)))

    def holder(self) -> int:
        return int((self.folder / "engine.lock").read_text().split()[0])


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    with Clone(tmp_path) as made:
        yield made


def child_of(pid: int) -> int:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=True, text=True
    )
    return int(listed.stdout)


def test_up_serves_sweeps_and_stops_cleanly_on_ctrl_c(clone: Clone) -> None:
    process = clone.up("--port", str(clone.port))
    assert clone.said().count("http://") == 1
    assert f"Likeness is at {clone.url}/\n" in clone.said()
    until(clone.sweeps, START_SECONDS, "a first sweep")
    assert clone.standins_answer()

    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group

    assert process.wait(STOP_SECONDS) == 0
    assert clone.said().endswith("\nStopped. What was under way goes on at the next start.\n")
    assert "Traceback" not in clone.said()
    assert clone.ports_are_free()


def test_a_killed_up_starts_again_where_it_was_and_ends_on_sigterm(clone: Clone) -> None:
    killed = clone.up("--port", str(clone.port))
    os.kill(killed.pid, signal.SIGKILL)  # the master alone: its child has to notice

    again = clone.up()  # no port named, and no pause

    assert again.pid != killed.pid
    assert clone.holder() == again.pid
    until(clone.sweeps, START_SECONDS, "a sweep after the kill")
    assert clone.standins_answer()
    again.terminate()
    assert again.wait(STOP_SECONDS) == 0
    assert "Traceback" not in clone.said()
    assert clone.ports_are_free()


def test_a_killed_child_is_replaced_with_its_engine(clone: Clone) -> None:
    process = clone.up("--port", str(clone.port))
    child = child_of(process.pid)

    os.kill(child, signal.SIGKILL)
    until(lambda: child_of(process.pid) != child, START_SECONDS, "another child")
    until(clone.standins_answer, START_SECONDS, "stand-ins in the new child")

    assert status(f"{clone.url}/livez") == 200
    assert clone.holder() == process.pid
    assert clone.said().count("Likeness is at") == 1


def test_a_closed_terminal_ends_it(clone: Clone) -> None:
    process = clone.up("--port", str(clone.port))
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(STOP_SECONDS) == 0
    until(clone.ports_are_free, STOP_SECONDS, "free ports")


def test_a_second_up_names_the_address_of_the_first(clone: Clone, tmp_path: Path) -> None:
    first = clone.up("--port", str(clone.port))
    clone.output = tmp_path / "second.txt"

    second = clone.run("up", "--no-browser", "--port", str(three_free_ports()))

    assert second.wait(START_SECONDS) == 1
    assert f"Likeness already runs at {clone.url}/ (process {first.pid})." in clone.said()
    assert status(f"{clone.url}/livez") == 200


def test_up_names_the_port_that_is_taken_and_three_that_are_free(clone: Clone) -> None:
    with socket.create_server((embedded.HOST, clone.port + 2)):
        process = clone.run("up", "--no-browser", "--port", str(clone.port))
        assert process.wait(START_SECONDS) == 1
    said = clone.said()
    assert f"Cannot have port {clone.port + 2} (for the stripe stand-in):" in said
    offered = int(said.rpartition("--port ")[2])
    assert all(map(embedded.port_is_free, range(offered, offered + 3)))
    assert not (clone.folder / "port").exists()


def test_up_refuses_a_port_without_room_for_the_stand_ins(clone: Clone) -> None:
    process = clone.run("up", "--no-browser", "--port", "65534")
    assert process.wait(START_SECONDS) == 1
    assert clone.said().endswith("--port must be between 1 and 65533; 65534 is not.\n")


@pytest.mark.parametrize("name", ["face_gen", "stripe"])
def test_a_stand_in_runs_alone_until_ctrl_c(clone: Clone, name: str) -> None:
    process = clone.run("standin", name, "--port", str(clone.port))
    until(lambda: status(f"{clone.url}/") == 200, START_SECONDS, "an answer")
    assert (clone.folder / "standins" / f"{name}-{clone.port}").is_dir()

    process.send_signal(signal.SIGINT)

    assert process.wait(STOP_SECONDS) == 0
    assert "Traceback" not in clone.said()
    assert embedded.port_is_free(clone.port)


# ── The engine itself, in this process ──────────────────────────────────────────────────────────


@pytest.fixture
def own_ports(settings, tmp_path: Path, monkeypatch) -> None:
    port = three_free_ports()
    settings.LOCAL_DIR = tmp_path
    settings.SITE_PORT = port
    settings.FACE_GEN_STANDIN_PORT, settings.STRIPE_STANDIN_PORT = port + 1, port + 2
    settings.FACE_GEN_URL = f"http://{embedded.HOST}:{port + 1}/api/"
    settings.STRIPE_API_URL = f"http://{embedded.HOST}:{port + 2}"
    monkeypatch.setitem(app.conf.beat_schedule["sweep"], "schedule", 3600)


@pytest.mark.usefixtures("own_ports")
def test_the_first_act_of_an_engine_is_a_sweep(transactional_db) -> None:
    engine = embedded.Engine(owner=os.getpid())
    try:
        until(lambda: Heartbeat.objects.filter(name="sweep").exists(), 10, "a sweep")
    finally:
        engine.stop()
    assert not worker_state.active_requests


@pytest.mark.usefixtures("own_ports")
def test_a_stopped_engine_has_given_back_lock_and_ports(settings, transactional_db) -> None:
    engine = embedded.Engine(owner=4711)
    assert embedded.running() == (4711, f"http://{embedded.HOST}:{settings.SITE_PORT}")
    with pytest.raises(embedded.AlreadyRunning, match=r"^4711 "):
        embedded.take_lock(0.1)

    engine.stop()

    assert embedded.running() is None
    ports = range(settings.SITE_PORT, settings.SITE_PORT + 3)
    assert all(map(embedded.port_is_free, ports))


def test_an_address_that_is_not_ours_starts_no_stand_in(settings) -> None:
    settings.SITE_PORT, settings.FACE_GEN_STANDIN_PORT, settings.STRIPE_STANDIN_PORT = 8, 9, 10
    settings.FACE_GEN_URL = "https://modelslab.com/api/"
    settings.STRIPE_API_URL = f"http://{embedded.HOST}:12111"
    assert embedded.standins() == {}
    settings.STRIPE_API_URL = f"http://{embedded.HOST}:10"
    assert embedded.standins() == {"stripe": 10}
