"""The crowd of the soak: people who ask for avatars, and press again until they are told something.

Knows the plant's clerk and its visitors.
"""

import queue
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.faults.marks import mark
from tests.faults.plant import Away, Plant, Refused
from tests.faults.visitor import NoAnswer, Visitor

PEOPLE = 40
BY_HTTP = 3  # every third wish goes through the form
VISITORS = 4  # at once
PRESS_AGAIN_SECONDS = 0.5
# The promise is 15 minutes here; what ends with it is told only while that comes before the end.
LONG_STORY_SECONDS = 16 * 60

# What the provider does, in the words of its stand-in, with weights.
USUAL = {
    "": 740,
    "[[hook=never]]": 40,
    "[[hook=twice]]": 30,
    "[[hook=early]]": 30,
    "[[hook=forged]]": 10,
    "[[hook=garbage]]": 10,
    "[[sync]]": 20,
    "[[drop-after]]": 15,
    "[[html524]]": 15,
    "[[500-after]]": 10,
    "[[truncated]]": 10,
    "[[no-id]]": 5,
    "[[html524]] [[hook=early]]": 10,
    "[[hang-after=2]]": 5,
    "[[fail]]": 15,
    "[[late=5]]": 10,
    "[[late404=2]]": 20,
    "[[not-found=3]]": 10,
    "[[black]]": 15,
    "[[short=2]]": 5,
    "[[drop-before]]": 2,
}
# Stories that end with the promise: told only while there is time for that before the end.
LONG = {"[[stuck]]": 1, "[[drop-after]] [[hook=never]]": 1, "[[late=930]]": 1, "[[gone]]": 2}


@dataclass(frozen=True)
class Wish:
    mark: str
    person: dict[str, Any]
    prompt: str
    by_http: bool


class Crowd:
    """People who ask for avatars, and press again until they are told something."""

    def __init__(self, plant: Plant, seed: str, ends_at: float) -> None:
        self.plant, self.ends_at = plant, ends_at
        self.confirmed: list[str] = []
        self.refused: Counter[str] = Counter()
        self.asked = self.pressed_again = 0
        self._chance = random.Random(f"{seed} wishes")
        self._people = [plant.ask("person") for _ in range(PEOPLE)]
        self._by_http: queue.Queue[Wish] = queue.Queue()
        self._by_verb: queue.Queue[Wish] = queue.Queue()
        self._leaving = threading.Event()
        self._abandoned = threading.Event()
        self._pool = ThreadPoolExecutor(VISITORS + 1)
        desks = [(self._by_http, self._ask_site)] * VISITORS + [(self._by_verb, self._ask_verb)]
        self._threads: list[Future[None]] = [
            self._pool.submit(self._serve, line, ask) for line, ask in desks
        ]

    def wish(self) -> None:
        """One more wish of somebody. Raises whatever a thread of ours died of."""
        for thread in self._threads:
            if thread.done():
                thread.result()
        self.asked += 1
        marked = mark(self.asked)
        stories = USUAL | (LONG if self.ends_at - time.monotonic() > LONG_STORY_SECONDS else {})
        story = self._chance.choices(list(stories), list(stories.values()))[0]
        person = self._chance.choice(self._people)
        prompt = f"as a lighthouse keeper, {marked} {story}".strip()
        by_http = self.asked % BY_HTTP == 0
        line = self._by_http if by_http else self._by_verb
        line.put(Wish(marked, person, prompt, by_http))

    def backlog(self) -> int:
        return self._by_http.qsize() + self._by_verb.qsize()

    def leave(self) -> None:
        """Everybody gets their answer first."""
        self._leaving.set()
        self._pool.shutdown()
        for thread in self._threads:
            thread.result()

    def abandon(self) -> None:
        """Nobody waits for an answer any more."""
        self._abandoned.set()
        self._pool.shutdown()

    def _serve(self, line: "queue.Queue[Wish]", ask: Callable[[Wish], None]) -> None:
        while not (self._abandoned.is_set() or (self._leaving.is_set() and line.empty())):
            try:
                ask(line.get(timeout=0.2))
            except queue.Empty:
                continue

    def _until_told(self, wish: Wish, press: Callable[[], str]) -> None:
        """`press` returns nothing when the wish is in line, else why it was refused."""
        while not self._abandoned.is_set():
            try:
                no = press()
            except (Away, NoAnswer):
                self.pressed_again += 1
                time.sleep(PRESS_AGAIN_SECONDS)
                continue
            if no:
                self.refused[no] += 1
            else:
                self.confirmed.append(wish.mark)
            return

    def _ask_verb(self, wish: Wish) -> None:
        number = str(uuid.uuid4())
        words = {"user": wish.person["user"], "number": number, "prompt": wish.prompt}

        def press() -> str:
            try:
                self.plant.ask("submit", **words)
            except Refused as no:
                return str(no)
            return ""

        self._until_told(wish, press)

    def _ask_site(self, wish: Wish) -> None:
        visitor = Visitor(self.plant.port, wish.person["cookie"], wish.person["photo"])
        forms = []

        def press() -> str:
            if not forms:
                forms.append(visitor.load())
            status = visitor.press(forms[0], wish.prompt)
            if status >= 500:
                raise NoAnswer(str(status))
            return "" if status == 302 else f"HTTP {status}"

        self._until_told(wish, press)
