"""One program with all its processes: started, killed, stopped, continued, started again.

Knows the operating system alone.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from tests.site import ROOT

GONE_SECONDS = 20
POLL_SECONDS = 0.02


class Part:
    """One program of the plant with all its processes, in a process group of its own.

    A leader that died is not reaped before the rest of its group has been killed: as long as it
    is a zombie its number is nobody else's, so no stranger is ever hit.
    """

    def __init__(
        self,
        name: str,
        command: Iterable[str],
        environment: dict[str, str],
        folder: Path,
        *,
        user: str | None = None,
    ) -> None:
        self.name, self.command = name, list(command)
        self.environment, self.log = environment, folder / f"{name}.log"
        self.starts = 0
        self._user = user
        self._leader: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._leader is not None, f"{self.name} was never started"
        return self._leader.pid

    def start(self, **pipes: Any) -> subprocess.Popen[bytes]:
        """Start it, after burying whatever is left of an earlier one."""
        self.kill()
        with self.log.open("ab") as log:
            self._leader = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                user=self._user,
                start_new_session=True,
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **pipes},
            )
        self.starts += 1
        return self._leader

    def is_running(self) -> bool:
        """Whether the leader lives. Looks without reaping."""
        if self._leader is None:
            return False
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self._leader.pid, options) is None

    def children(self) -> list[int]:
        """Numbers of the living processes below the leader, the oldest first."""
        if not self.is_running():
            return []
        try:
            below = psutil.Process(self.pid).children(recursive=True)
            return [one.pid for one in below if is_alive(one)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """`kill -9` of the whole group, and of whoever below left it (PostgreSQL's do)."""
        if self._leader is None:
            return
        below = []
        if self.is_running():
            below = psutil.Process(self.pid).children(recursive=True)
        os.killpg(self.pid, signal.SIGKILL)
        for one in filter(is_alive, below):
            one.kill()
        self._leader.wait(GONE_SECONDS)
        give_up_at = time.monotonic() + GONE_SECONDS
        while any(map(is_alive, below)):
            assert time.monotonic() < give_up_at, f"{self.name} cannot be killed"
            time.sleep(POLL_SECONDS)
        self._leader = None

    def kill_leader(self) -> None:
        """`kill -9` of the leader alone: its children are orphans until `start` or `kill`."""
        if self.is_running():
            os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """SIGSTOP of the group."""
        if self.is_running():
            os.killpg(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT of the group."""
        if self.is_running():
            os.killpg(self.pid, signal.SIGCONT)


def is_alive(process: psutil.Process) -> bool:
    """Not gone, and no zombie that somebody has not buried yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
