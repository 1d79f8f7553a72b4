"""The stand-in's own time: real time plus an offset that tests advance; a day takes a moment.

Knows the standard library alone.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable

LONGEST_NAP = 3600.0  # seconds; threads refuse to wait for centuries, so they look again


class Clock:
    """Seconds since 1970 as the stand-in sees them; makes calls and wakes threads when due."""

    def __init__(self, offset: float = 0.0) -> None:
        # perf_counter cannot be moved by a test that moves the product's time in this process.
        self._wall_at_start = time.time() - time.perf_counter()
        self._offset = offset
        self._calls: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()  # calls due at one moment run in the order they were given
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="standin-clock", daemon=True)
        self._thread.start()

    def wall(self) -> float:
        """The real time."""
        return self._wall_at_start + time.perf_counter()

    def now(self) -> float:
        """The virtual time, never before the real one."""
        return self.wall() + self._offset

    def advance(self, seconds: float) -> None:
        """Moves the virtual time ahead. Raises ValueError for a negative or infinite step."""
        if not 0 <= seconds < float("inf"):
            raise ValueError("The clock moves forward only, by a finite number of seconds.")
        with self._changed:
            self._offset += seconds
            self._changed.notify_all()

    def at(self, moment: float, call: Callable[[], object]) -> None:
        """Calls `call` in the clock's thread once `moment` has come; it must not take long."""
        with self._changed:
            heapq.heappush(self._calls, (moment, next(self._order), call))
            self._changed.notify_all()

    def wait_until(self, moment: float) -> bool:
        """Blocks the caller until `moment`: True. False when the clock was closed before."""
        with self._changed:
            while not self._closed and (left := moment - self.now()) > 0:
                self._changed.wait(min(left, LONGEST_NAP))
            return not self._closed

    def close(self) -> None:
        """Forgets the calls that are not due yet and frees whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not (self._calls and self._calls[0][0] <= self.now()):
                    left = self._calls[0][0] - self.now() if self._calls else LONGEST_NAP
                    self._changed.wait(min(max(left, 0), LONGEST_NAP))
                if self._closed:
                    return
                _, _, call = heapq.heappop(self._calls)
            call()
