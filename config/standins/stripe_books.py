"""What the Stripe stand-in remembers: one journal on disk, replayed at start, and its switches.

Knows the standard library and the modules beside it. A turn, with every record, event and kept
answer it made, is one line: after a crash it happened whole or not at all.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from config.standins.stripe_parameters import Refusal
from config.standins.stripe_shapes import Record

# name: (default, what it may be). Set, later beats earlier, by default → environment
# (STANDIN_STRIPE="hook=twice clock=-400") → constructor → control route.
SWITCHES = {
    # how each turn's events are told; late=n: after n seconds; reorder: last first
    "hook": ("once", r"once|twice|late=\d+(\.\d+)?|reorder|never|wrong-signature"),
    "clock": ("0", r"[+-]?\d+"),  # seconds this service is ahead of the machine
    # down: 500 and nothing happens; busy: 429; lost: a POST is done, its answer never arrives
    "api": ("up", r"up|down|busy|lost"),
    "discount": ("0", r"\d+"),  # cents a promotion code takes off, where the session allows codes
    "livemode": ("off", r"on|off"),  # what new sessions say of themselves
    "refunds": ("succeeded", r"succeeded|pending"),  # how a new refund starts
    "retry": ("1", r"\d+(\.\d+)?"),  # seconds to the second telling of an unheard event
}
KEY_SECONDS = 24 * 3600  # docs.stripe.com/api/idempotent_requests: keys are kept at least a day
NOBODY: Record = {"id": None, "idempotency_key": None}  # an event no API request caused


def checked_switches(wanted: Mapping[str, object]) -> dict[str, str]:
    """The same as strings. Raises Refusal naming an unknown switch or a value it cannot have."""
    for name, value in wanted.items():
        if name not in SWITCHES:
            raise Refusal(f"No such switch: {name}. There are: {', '.join(SWITCHES)}.", param=name)
        if not re.fullmatch(SWITCHES[name][1], str(value)):
            raise Refusal(f"{name}={value}: must be {SWITCHES[name][1]}.", param=name)
    return {name: str(value) for name, value in wanted.items()}


def environment_switches() -> dict[str, str]:
    pairs = (word.partition("=") for word in os.environ.get("STANDIN_STRIPE", "").split())
    return checked_switches({name: value for name, _, value in pairs})


class Books:
    """Every record by kind and id, in memory and on disk. Records are never changed, only replaced.

    Raises ValueError at start if a line of the journal is unreadable; a last line cut short by a
    crash never happened and is removed.
    """

    def __init__(self, path: Path, given: Mapping[str, object]) -> None:
        self._given = environment_switches() | checked_switches(given)
        self._lock = threading.RLock()
        self._draft: Record | None = None
        self._path = path
        self.tell: Callable[[list[Record]], None] = lambda events: None
        self.request = NOBODY
        self._forget()
        self._seq = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._replay()
        self._journal = path.open("ab")

    def _forget(self) -> None:
        self.tables: dict[str, dict[str, Record]] = {}
        self.answers: dict[str, Record] = {}
        self._set: dict[str, str] = {}

    def _replay(self) -> None:
        if not self._path.exists():
            return
        whole, _, torn = self._path.read_bytes().rpartition(b"\n")
        if torn:
            os.truncate(self._path, len(whole) + bool(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
                self._seq = entry["seq"]
                self._apply(entry)
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{self._path}, line {number}: unreadable ({error}).") from error

    def _apply(self, entry: Record) -> None:
        if entry.get("reset"):
            self._forget()
        for record in entry.get("records", ()):
            self.tables.setdefault(record["object"], {})[record["id"]] = record
        self.answers |= entry.get("answer", {})
        self._set |= entry.get("switches", {})
        if event := self.find(entry.get("told", "")):
            self.tables["event"][event["id"]] = {**event, "pending_webhooks": 0}

    @contextmanager
    def turn(self, request: Record = NOBODY) -> Iterator[Record]:
        """All that is written inside becomes one line, on disk when this ends; one turn at a time.

        A turn inside a turn is part of it. Events are told after the line is written.
        """
        with self._lock:
            if self._draft is not None:
                yield self._draft
                return
            draft: Record = {}
            self._draft, self.request = draft, request
            try:
                yield draft
            finally:
                self._draft = None
                if draft:
                    self._append(draft)
                    self.tell([row for row in draft.get("records", ()) if row["object"] == "event"])

    def write(self, act: str, *records: Record, **facts: object) -> None:
        """Notes what happened and the records as they are now."""
        with self.turn() as draft:
            draft.setdefault("acts", []).append({"act": act, **facts})
            draft.setdefault("records", []).extend(records)
            self._apply({"records": records})

    def keep(self, **kept: object) -> None:
        """Writes `answer`, `switches`, `told` or `reset`, see `_apply`; each once in a turn."""
        with self.turn() as draft:
            draft |= kept
            self._apply(kept)

    def _append(self, draft: Record) -> None:
        self._seq += 1
        entry = {"seq": self._seq, "wall": round(time.time(), 3), "now": self.now(), **draft}
        self._journal.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._journal.flush()

    def log(self, since: int) -> list[Record]:
        """The journal's lines with a greater `seq`, from the last reset on."""
        with self._lock:
            lines = [json.loads(line) for line in self._path.read_bytes().splitlines()]
        resets = [entry["seq"] for entry in lines if entry.get("reset")]
        start = max([since, *(seq - 1 for seq in resets)])
        return [entry for entry in lines if entry["seq"] > start]

    def switch(self, name: str) -> str:
        return self._set.get(name) or self._given.get(name) or SWITCHES[name][0]

    def switches(self) -> dict[str, str]:
        return {name: self.switch(name) for name in SWITCHES}

    def now(self) -> int:
        """Seconds since 1970 by this service's own clock."""
        return int(time.time()) + int(self.switch("clock"))

    def rows(self, kind: str) -> list[Record]:
        """Newest first."""
        with self._lock:
            rows = list(self.tables.get(kind, {}).values())
        return sorted(rows, key=lambda row: row["created"])[::-1]

    def find(self, number: str) -> Record | None:
        with self._lock:
            return next((rows[number] for rows in self.tables.values() if number in rows), None)

    def get(self, kind: str, number: str, param: str = "id") -> Record:
        """The record. Raises Stripe's 404 when there is none of this kind and id."""
        with self._lock:
            record = self.tables.get(kind, {}).get(number)
        if record is None:
            raise Refusal(
                f"No such {kind}: '{number}'", status=404, code="resource_missing", param=param
            )
        return record

    def answer(self, key: str) -> Record | None:
        """What was answered to this idempotency key within the last day."""
        kept = self.answers.get(key)
        return kept if kept and kept["at"] > self.now() - KEY_SECONDS else None

    def close(self) -> None:
        with self._lock:
            self._journal.close()
