"""The stand-in's ground truth: an append-only log of what happened, and its reader for tests.

Knows the standard library alone.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.standins.clock import Clock

Line = dict[str, Any]

LOG_NAME = "log.jsonl"
ENDED = ("generated", "failed")  # the events after which a job no longer counts against the cap


class Log:
    """Writes one JSON line per event, handed to the system before `write` returns.

    So a line survives the death of this process at any moment; a line cut by it is dropped on the
    next start. No key and no image bytes are ever given to it.
    """

    def __init__(self, path: Path, clock: Clock, last: int) -> None:
        self._clock = clock
        self._seq = last
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, *, job: int | None = None, account: str = "", **facts: Any) -> int:  # noqa: ANN401  # JSON
        """Adds a line and returns its number; after `close` nothing is added and 0 returned."""
        with self._lock:
            if self._file.closed:
                return 0
            self._seq += 1
            line: Line = {
                "seq": self._seq,
                "wall": round(self._clock.wall(), 4),
                "virtual": round(self._clock.now(), 4),
                "event": event,
                "job": job,
                "account": account,
                **facts,
            }
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
            return self._seq

    def close(self) -> None:
        with self._lock:
            self._file.close()


def recover(path: Path) -> list[Line]:
    """The lines of the last run, after dropping one that its death cut short; none without a file.

    Only what came since the last reset is of interest to whoever starts again.
    """
    if not path.exists():
        return []
    with path.open("rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
    return list(since_reset(read(path)))


def read(path: Path) -> Iterator[Line]:
    """Every whole line of a log, oldest first; also while somebody writes to it."""
    with path.open(encoding="utf-8") as file:
        for text in file:
            if text.endswith("\n"):
                yield json.loads(text)


def since_reset(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines from the last reset on, that one included; all of them if there was none."""
    kept: list[Line] = []
    for line in lines:
        if line["event"] == "switched" and line.get("reset"):
            kept.clear()
        kept.append(line)
    return iter(kept)


@dataclass
class Record:
    """What the log says of one job."""

    number: int
    account: str
    track_id: int | str | None
    order: dict[str, Any]
    scenario: dict[str, str]
    generated: int = 0  # times; more than one would be a fault of the stand-in
    failed: str = ""  # why, if it did
    delivered: int = 0  # files handed over to the last byte
    looks: int = 0
    face_reads: int = 0
    webhooks: list[Line] = field(default_factory=list)


class Books:
    """Answers about what happened, read from the log alone. `place`: the directory or the file.

    All questions concern the time since the last reset.
    """

    def __init__(self, place: Path) -> None:
        self.path = place / LOG_NAME if place.is_dir() else place

    def lines(self, *events: str, job: int | None = None, after: int = 0) -> list[Line]:
        """The lines of these events (of all, if none is named), of this job, after this number."""
        return [
            line
            for line in since_reset(read(self.path))
            if line["seq"] > after
            and (not events or line["event"] in events)
            and (job is None or line["job"] == job)
        ]

    def jobs(self, track_id: int | str | None = None) -> list[Record]:
        """Every job really accepted, oldest first; or those one attempt's `track_id` led to."""
        records: dict[int, Record] = {}
        lines = self.lines()
        unsent = {line["of"] for line in lines if line["event"] == "unsent"}
        for line in lines:
            event, number = line["event"], line["job"]
            if event == "accepted":
                order = line["order"]
                records[number] = Record(
                    number, line["account"], order.get("track_id"), order, line["scenario"]
                )
            if (record := records.get(number)) is None:
                continue
            if event == "generated":
                record.generated += 1
            elif event == "failed":
                record.failed = line["why"]
            elif event == "served":
                record.delivered += line["whole"] and line["seq"] not in unsent
            elif event == "looked":
                record.looks += 1
            elif event == "webhook":
                record.webhooks.append(line)
        for line in lines:
            if line["event"] == "face_fetched" and line["job"] in records:
                records[line["job"]].face_reads += 1
        return [
            record
            for record in records.values()
            if track_id is None or str(record.track_id) == str(track_id)
        ]

    def accepted(self, track_id: int | str | None = None) -> int:
        """Jobs made (and charged)."""
        return len(self.jobs(track_id))

    def generated(self, track_id: int | str | None = None) -> int:
        """Pictures really drawn."""
        return sum(record.generated for record in self.jobs(track_id))

    def delivered(self, track_id: int | str | None = None) -> int:
        """Jobs of which a file was handed over to the last byte."""
        return sum(record.delivered > 0 for record in self.jobs(track_id))

    def violations(self) -> list[str]:
        """Every breach of the documented ranges, in the order they came."""
        return [breach for line in self.lines("received") for breach in line["violations"]]

    def strays(self) -> list[Line]:
        """Whatever reached the decoy's port; `key_seen` tells whether an account key was in it."""
        return self.lines("decoy")

    def most_in_flight(self, account: str | None = None) -> int:
        """The most jobs one account (or this one) ever had accepted and unfinished at once."""
        now: Counter[str] = Counter()
        open_jobs: set[int] = set()
        most = 0
        for line in self.lines("accepted", *ENDED):
            holder = line["account"]
            if line["event"] == "accepted":
                open_jobs.add(line["job"])
                now[holder] += 1
            elif line["job"] in open_jobs:
                open_jobs.discard(line["job"])
                now[holder] -= 1
            if account is None or holder == account:
                most = max(most, now[holder])
        return most
