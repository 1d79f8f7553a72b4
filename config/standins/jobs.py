"""The face_gen stand-in's jobs: what each is, who has how many unfinished, their restoring.

Knows the switches and the shape of log lines; nothing of HTTP or drawing.
"""

import math
import secrets
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from config.standins.books import Line
from config.standins.switches import Switches

FIRST_NUMBER = 91_753_437  # the id in the provider's recorded samples
LONGEST_NUMBER = 18  # digits; nobody makes us convert a number of megabytes
LARGEST_SEED = 2**32 - 1
LIFETIME = 24 * 3600.0  # seconds; then outputs vanish, and a stuck job is given up

WAITING, READY, FAILED, DROPPED = "waiting", "ready", "failed", "dropped"


@dataclass
class Job:
    """One accepted submission. Moments are virtual time; `ready_at` is infinite if never."""

    number: int
    account: str
    order: dict[str, Any]
    switches: Switches
    origin: str  # where the caller reaches this service, for links in a webhook
    face_mode: str  # inline, url, portrait (not ours to fetch) or unread
    accepted_at: float
    start_at: float
    ready_at: float
    charged: float
    seed: int = field(default_factory=lambda: 1 + secrets.randbelow(LARGEST_SEED))
    prefix: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: str = WAITING
    ended_at: float | None = None
    empty_looks: int = 0  # answered with a success without output
    deleted: bool = False

    @property
    def names(self) -> list[str]:
        """Its files. At 512×768 one comes even if two were asked for, as documented."""
        full_size = (self.order["width"], self.order["height"]) == (512, 768)
        count = 1 if full_size else self.order["samples"]
        if self.switches.is_on("two"):
            count = 2
        kind = "base64" if self.order["base64"] else "png"
        return [f"{self.prefix}-{index}.{kind}" for index in range(count)]

    @property
    def generation_time(self) -> float:
        """Seconds from acceptance to the end, as far as it got."""
        ended = self.ended_at if self.ended_at is not None else self.accepted_at
        return round(ended - self.accepted_at, 2)

    def recorded(self) -> dict[str, Any]:
        """The facts of its `accepted` line: all that `restored` needs, no image, no key."""
        return {
            "track_id": self.order["track_id"],
            "style": self.order["style"],
            "steps": self.order["num_inference_steps"],
            "seed": self.seed,
            "face": self.face_mode,
            "charged": self.charged,
            "order": self.order,
            "scenario": self.switches.scenario(),
            "origin": self.origin,
            "prefix": self.prefix,
            "times": [
                self.accepted_at,
                *(
                    None if moment == math.inf else moment
                    for moment in (self.start_at, self.ready_at)
                ),
            ],
        }


def restored(line: Line) -> Job:
    """The job of an `accepted` line, as it was when it was written."""
    accepted_at, *later = line["times"]
    start_at, ready_at = (math.inf if moment is None else moment for moment in later)
    return Job(
        number=line["job"],
        account=line["account"],
        order=line["order"],
        switches=Switches().over(line["scenario"]),
        origin=line["origin"],
        face_mode=line["face"],
        accepted_at=accepted_at,
        start_at=start_at,
        ready_at=ready_at,
        charged=line["charged"],
        seed=line["seed"],
        prefix=line["prefix"],
    )


class Jobs:
    """All jobs, and per account those that are unfinished. Safe to use from any thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._jobs: dict[int, Job] = {}
        self._by_file: dict[str, Job] = {}
        self._unfinished: dict[str, dict[int, Job | None]] = {}  # None: reserved, not accepted yet
        self._next = FIRST_NUMBER

    def replay(self, lines: Iterable[Line]) -> None:
        """Restores what the log tells."""
        for line in lines:
            event, number = line["event"], line["job"]
            if number is not None or line.get("reset"):
                self._next = max(self._next, (line["last"] if number is None else number) + 1)
            if event == "accepted":
                self.add(restored(line))
                continue
            if (job := self._jobs.get(number)) is None:
                continue
            if event in ("generated", "failed"):
                self.end(job, READY if event == "generated" else FAILED, line["virtual"])
            elif event == "looked" and line["answer"] == "empty":
                job.empty_looks += 1
            elif event == "deleted":
                job.deleted = True

    @property
    def last(self) -> int:
        """The highest number given to anybody so far."""
        return self._next - 1

    def reserve(self, account: str, cap: int) -> int | None:
        """A number for a job to be, which counts against the account's cap from now on.

        None if the account has that many unfinished already. Ends in `add` or `give_back`.
        """
        with self.changed:
            unfinished = self._unfinished.setdefault(account, {})
            if len(unfinished) >= cap:
                return None
            number = self._next
            self._next += 1
            unfinished[number] = None
            return number

    def give_back(self, account: str, number: int) -> None:
        with self.changed:
            del self._unfinished[account][number]

    def times(self, account: str, switches: Switches, now: float) -> tuple[float, float]:
        """When a job accepted now starts and is ready, behind the account's others.

        At most `parallel` are drawn at once, in the order they came.
        """
        with self.changed:
            ends = sorted(job.ready_at for job in self._unfinished[account].values() if job)
        lanes = len(ends) + 1 if switches["parallel"] == "cap" else int(switches["parallel"])
        start = now if len(ends) < lanes else max(now, ends[len(ends) - lanes])
        if switches.is_on("stuck"):
            return start, math.inf
        if switches["fail"] not in ("on", "off"):
            return start, start + switches.seconds("fail")
        if switches.is_on("sync") or switches.is_on("failed-now"):
            return now, now
        return start, start + switches.seconds("delay") + switches.seconds("late")

    def add(self, job: Job) -> None:
        with self.changed:
            self._jobs[job.number] = job
            self._unfinished.setdefault(job.account, {})[job.number] = job
            self._by_file.update(dict.fromkeys(job.names, job))

    def end(self, job: Job, state: str, moment: float) -> bool:
        """Ends a waiting job, once: False if it had ended, or was dropped, before."""
        with self.changed:
            if job.state != WAITING:
                return False
            job.state, job.ended_at = state, moment
            del self._unfinished[job.account][job.number]
            self.changed.notify_all()
            return True

    def drop_all(self) -> list[Job]:
        """Forgets every job; a drawing under way comes to nothing. Numbers go on rising."""
        with self.changed:
            dropped = list(self._jobs.values())
            for job in dropped:
                job.state = DROPPED
            self._jobs.clear()
            self._by_file.clear()
            for account, unfinished in self._unfinished.items():
                self._unfinished[account] = {
                    number: job for number, job in unfinished.items() if job is None
                }
            self.changed.notify_all()
            return dropped

    def wait_for_due(self, now: float, seconds: float) -> bool:
        """Waits until no job that is due at `now` is unfinished; False after so many seconds."""
        with self.changed:
            return self.changed.wait_for(
                lambda: not any(job.ready_at <= now for job in self.waiting()), seconds
            )

    def find(self, number: str, account: str) -> Job | None:
        """An account's own job, by the id as it stands in an address."""
        with self.changed:
            known = number.isdecimal() and len(number) <= LONGEST_NUMBER
            job = self._jobs.get(int(number)) if known else None
        return job if job is not None and job.account == account else None

    def of_file(self, name: str) -> Job | None:
        with self.changed:
            return self._by_file.get(name)

    def unfinished(self, account: str) -> int:
        with self.changed:
            return len(self._unfinished.get(account, {}))

    def waiting(self) -> list[Job]:
        with self.changed:
            return [job for jobs in self._unfinished.values() for job in jobs.values() if job]

    def all(self, account: str | None = None) -> list[Job]:
        """Oldest first; those of one account, or everybody's."""
        with self.changed:
            jobs = sorted(self._jobs.values(), key=lambda job: job.number)
        return [job for job in jobs if account is None or job.account == account]
