"""A town around a plant: Ada, her wishes, what she was promised, and the dooms of processes.

Knows the plant, its clerk and its visitors.
"""

import itertools
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.marks import DOOM, MET, OVER, mark
from tests.faults.plant import Plant
from tests.faults.visitor import Form, NoAnswer, Visitor

END_SECONDS = 40
POLL_SECONDS = 0.05
NUDGE_SECONDS = 0.5
# A doorbell that came before the answer leaves the look to the sweep; it comes to this one.
LATE_NUDGE_SECONDS = 2.5
ENDED = {"ready", "failed"}
numbers = itertools.count(1)


@dataclass(frozen=True)
class Point:
    """Where a process of a part dies: in which act, at which passing of which crossing."""

    part: str
    act: str
    crossing: str
    nth: int = 1


@dataclass
class Town:
    """The plant, Ada in it, and what she has been promised."""

    plant: Plant
    ada: dict[str, Any]
    confirmed: list[str]

    @property
    def local(self) -> Path:
        return self.plant.folder / "local"

    def prompt(self, story: str = "") -> tuple[str, str]:
        """A new mark, and a prompt that carries it."""
        marked = mark(next(numbers))
        return marked, f"as a lighthouse keeper, {marked} {story}".strip()

    def wish(self, story: str = "", **words: Any) -> str:
        """One through the verb; its mark."""
        marked, prompt = self.prompt(story)
        self.submit(marked, prompt, **words)
        return marked

    def submit(self, marked: str, prompt: str, **words: Any) -> None:
        number = str(uuid.uuid4())
        self.plant.ask("submit", user=self.ada["user"], number=number, prompt=prompt, **words)
        self.confirmed.append(marked)

    def visitor(self) -> Visitor:
        return Visitor(self.plant.port, self.ada["cookie"], self.ada["photo"])

    def press_until_told(self, visitor: Visitor, form: Form, marked: str, prompt: str) -> None:
        """As a person does whose browser said that the site could not be reached."""
        give_up_at = time.monotonic() + END_SECONDS
        while True:
            try:
                assert visitor.press(form, prompt) == 302
            except NoAnswer:
                assert time.monotonic() < give_up_at, self.plant.said("web")
                time.sleep(POLL_SECONDS)
                continue
            self.confirmed.append(marked)
            return

    def timed_press(self) -> tuple[float, str]:
        """Seconds a press took, and the mark of its wish."""
        marked, prompt = self.prompt()
        visitor = self.visitor()
        form = visitor.load()
        pressed_at = time.monotonic()
        assert visitor.press(form, prompt) == 302
        self.confirmed.append(marked)
        return time.monotonic() - pressed_at, marked

    def row(self, marked: str) -> dict[str, Any]:
        return self.plant.ask("request", mark=marked)

    def states(self, *marked: str) -> set[str]:
        return {self.row(one)["state"] for one in marked}

    def has_ended(self, *marked: str) -> bool:
        return self.states(*marked) <= ENDED

    def doom(self, marked: str, point: Point, *, sleeps: bool = False) -> None:
        """Whoever comes to that point next dies there, or sleeps. Messages about earlier wishes
        are forgotten: their readers would come to points too.
        """
        self.plant.flush_broker()
        doom = {"mark": marked, "sleeps": sleeps, **asdict(point)}
        for name in (MET, OVER):
            (self.local / name).unlink(missing_ok=True)
        (self.local / DOOM).write_text(json.dumps(doom))

    def await_doom(self, nudge: Callable[[], object]) -> tuple[int, list[Any] | None]:
        """Who has met it, and what was to be seen then: state, sent, job number known."""
        self.until((self.local / MET).exists, nudge, LATE_NUDGE_SECONDS)
        met = json.loads((self.local / MET).read_text())
        return met["pid"], met["seen"]

    def until(
        self,
        condition: Callable[[], object],
        nudge: Callable[[], object],
        period: float = NUDGE_SECONDS,
    ) -> None:
        """Bounded polling of real processes, with a nudge each `period` seconds."""
        nudged_at = time.monotonic()
        give_up_at = nudged_at + END_SECONDS
        while not condition():
            now = time.monotonic()
            assert now < give_up_at, f"{self.plant.ask('count')}\n{self.plant.said()}"
            if now - nudged_at > period:
                nudged_at = now
                nudge()
            time.sleep(POLL_SECONDS)

    def recover(self) -> None:
        """Leases have run out, and somebody sweeps."""
        self.plant.ask("hurry")
        self.plant.ask("sweep")

    def end(self, *marked: str) -> None:
        """Until these have ended, as if all leases and waits were over; and nothing is wrong."""
        self.until(lambda: self.has_ended(*marked), self.recover)
        self.nothing_is_wrong()

    def nothing_is_wrong(self) -> None:
        judged = self.plant.ask("verdict", confirmed=self.confirmed)
        wrong = {name: judged[name] for name in ("lost", "double", "violations")}
        assert wrong == {"lost": [], "double": [], "violations": []}
