"""The killer of the soak: breaks one thing after the other and puts it right again.

Knows the plant and its parts.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable

from tests.faults.plant import Plant

FAULT_PAUSE = (3.0, 12.0)  # seconds between two faults
DOWN = (0.0, 5.0)  # seconds until what was killed is started again
STOPPED = (10.0, 40.0)  # seconds a stopped process sleeps

# Kinds of faults with weights. `kill` is SIGKILL; the others are no kills.
FAULTS = {
    "kill look child": 22,
    "kill look worker": 12,
    "kill look leader alone": 5,
    "kill store child": 10,
    "kill store worker": 6,
    "kill beat": 8,
    "kill web child": 9,
    "kill web": 5,
    "kill valkey": 5,
    "kill postgres child": 3,
    "kill postgres": 2,
    "kill provider": 2,
    "flush broker": 5,
    "stop look child": 4,
    "stop look worker": 2,
    "stop store child": 2,
    "provider is full": 1,
}


class Killer:
    """Breaks one thing after the other and puts it right again, by a seeded chance."""

    def __init__(self, plant: Plant, seed: str) -> None:
        self.plant = plant
        self.done: Counter[str] = Counter()
        self.died: Counter[str] = Counter()  # of themselves
        self._chance = random.Random(f"{seed} faults")
        self._busy: set[str] = set()  # parts that are down, or asleep
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._next_at = time.monotonic()

    @property
    def kills(self) -> int:
        return sum(n for kind, n in self.done.items() if kind.startswith("kill "))

    def tick(self, *, breaks: bool) -> None:
        """Whatever is due: repairs, what died of itself, and the next fault."""
        now = time.monotonic()
        for moment, repair in list(self._later):
            if moment <= now:
                self._later.remove((moment, repair))
                repair()
        watched = [name for name in self.plant.parts if name not in {*self._busy, "sweeper"}]
        for name in self.plant.revive(*watched):
            self.died[name] += 1
            self._note(f"{name} died of itself")
        if breaks and now >= self._next_at:
            self._next_at = now + self._chance.uniform(*FAULT_PAUSE)
            self._break(self._chance.choices(list(FAULTS), list(FAULTS.values()))[0])

    def stop(self) -> None:
        """Everything runs again."""
        for _moment, repair in self._later:
            repair()
        self._later.clear()
        self.plant.switch_provider(**{"429": "off"})

    def _break(self, fault: str) -> None:
        how, _, what = fault.partition(" ")
        if fault == "flush broker":
            if "valkey" in self._busy:
                return
            self.plant.flush_broker()
        elif fault == "provider is full":
            if "provider" in self._busy:
                return
            self.plant.switch_provider(**{"429": "on", "retry_after": 5})
            self._after(2.0, lambda: self.plant.switch_provider(**{"429": "off"}), "provider")
        else:
            name, _, whom = what.partition(" ")
            names = [n for n in self.plant.parts if n.startswith(name) and n not in self._busy]
            if not names or not getattr(self, f"_{how}")(self._chance.choice(names), whom):
                return
        self.done[fault] += 1
        self._note(fault)

    def _note(self, words: str) -> None:
        """For whoever reads the plant's logs afterwards."""
        with (self.plant.folder / "faults.log").open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {words}\n")

    def _kill(self, name: str, whom: str) -> bool:
        part = self.plant.parts[name]
        if whom == "child":
            return self._signal_child(name, signal.SIGKILL) is not None
        if whom == "leader alone":
            part.kill_leader()
        else:
            part.kill()
        self._after(self._chance.uniform(*DOWN), lambda: self.plant.start(name), name)
        return True

    def _stop(self, name: str, whom: str) -> bool:
        part = self.plant.parts[name]
        seconds = self._chance.uniform(*STOPPED)
        if whom != "child":
            part.stop()
            self._after(seconds, part.go_on, name)
            return True
        child = self._signal_child(name, signal.SIGSTOP)
        if child is None:
            return False

        def wake() -> None:
            if child in part.children():
                send(child, signal.SIGCONT)

        self._after(seconds, wake, name)
        return True

    def _signal_child(self, name: str, number: signal.Signals) -> int | None:
        children = self.plant.parts[name].children()
        if not children:
            return None
        child = self._chance.choice(children)
        return child if send(child, number) else None

    def _after(self, seconds: float, repair: Callable[[], None], name: str) -> None:
        def put_right() -> None:
            repair()
            self._busy.discard(name)

        self._busy.add(name)
        self._later.append((time.monotonic() + seconds, put_right))


def send(child: int, number: signal.Signals) -> bool:
    """False when it has just gone by itself."""
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return False
    return True
