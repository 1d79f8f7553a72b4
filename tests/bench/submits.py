"""P5 and P6: submits a second against a bare conditional UPDATE, and one wallet under a crowd.

Knows worlds and measuring.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench import worlds
from tests.bench.measuring import Result, at_least, at_most, judged, medians, say
from tests.bench.worlds import World, all_call

CLIENTS = 8
PEOPLE = 10  # of each client: one person's own history stays as short as a real one's
CROWD = 32  # clients at one wallet: eight processes of four threads
CREDITS = 40
SETTLE_SECONDS = 0.3  # until every client has heard when to begin
# Room for what a window leaves in line: with five places a longer line is not promised anything.
PLACES = "64"


class Bank:
    """Clients in processes of their own at one database, and what went wrong at any time."""

    def __init__(self, world: World, seconds: float) -> None:
        self.clients = world.clients(CLIENTS)
        self.seconds = seconds
        self.errors: Counter[str] = Counter()
        made = self.clients[0].call("submitting.prepare", clients=CLIENTS, people=PEOPLE)
        all_call(self.clients, "submitting.be_ready")
        self.own: list[list[int]] = made["own"]
        self.shared: int = made["shared"]
        self.bare: list[int] = made["bare"]

    def at_once(self, number: int, call: str, given: Callable[[int], dict[str, Any]]) -> float:
        """What the first `number` clients do in the same seconds, each a second."""
        at_work = self.clients[:number]
        start_at = time.monotonic() + SETTLE_SECONDS
        for index, client in enumerate(at_work):
            client.send(call, start_at=start_at, **given(index))
        rate = 0.0
        for client in at_work:
            told = client.receive()
            rate += told["done"] / told["seconds"]
            self.errors.update(told["errors"])
        return rate

    def updates(self, number: int, how: str = "updates") -> float:
        return self.at_once(
            number,
            f"submitting.{how}",
            lambda index: {"wallet": self.bare[index], "seconds": self.seconds},
        )

    def submits(self, number: int) -> float:
        rate = self.at_once(
            number,
            "submitting.submits",
            lambda index: {"own": self.own[index], "seconds": self.seconds},
        )
        for index, client in enumerate(self.clients[:number]):
            client.send("submitting.clear", own=self.own[index])
        for client in self.clients[:number]:
            client.receive()
        return rate

    def shared_submits(self, number: int) -> float:
        """All of one person, from `number` connections."""
        processes = min(number, CLIENTS)
        given = {
            "own": [self.shared],
            "seconds": self.seconds,
            "threads": number // processes,
        }
        rate = self.at_once(processes, "submitting.submits", lambda _index: given)
        self.clients[0].call("submitting.clear", own=[self.shared])
        return rate

    def overdrafts(self) -> dict[str, Any]:
        """Accepted beyond the credits there were: of ours, and of check-before-save."""
        purse = self.clients[0].call("submitting.purse", credits=CREDITS)
        threads = CROWD // CLIENTS

        def over(call: str, given: dict[str, Any]) -> int:
            start_at = time.monotonic() + SETTLE_SECONDS
            told = all_call(self.clients, call, start_at=start_at, threads=threads, **given)
            for one in told:
                self.errors.update(one["errors"])
            return sum(one["done"] for one in told) - CREDITS

        ours = over("submitting.spend_all", {"own": [purse["person"]]})
        naive = over("submitting.spend_naively", {"wallet": purse["bare"]})
        findings = self.clients[0].call("submitting.findings")
        return {"ours": ours, "naive": naive, "findings": findings}


@contextlib.contextmanager
def bank(*, quick: bool, **environment: str) -> Iterator[Bank]:
    with worlds.world(FACE_GEN_SLOTS=PLACES, **environment) as world:
        say("making people")
        yield Bank(world, 0.5 if quick else 2.0)


def against_the_floor(name: str, bank: Bank, rounds: int) -> list[Result]:
    """Submits of 1 and of 8 clients, each beside the bare UPDATE of as many."""
    seen = medians(
        rounds,
        floor_1=lambda: bank.updates(1),
        submits_1=lambda: bank.submits(1),
        floor_8=lambda: bank.updates(CLIENTS),
        submits_8=lambda: bank.submits(CLIENTS),
        raw_1=lambda: bank.updates(1, "raw_updates"),
        raw_8=lambda: bank.updates(CLIENTS, "raw_updates"),
    )
    statements = bank.clients[0].call("submitting.statements", own=bank.own[0])
    return [
        judged(
            name,
            f"submits of {number} client{'s' * (number > 1)} against bare conditional UPDATEs",
            at_least(0.10),
            value=seen[f"submits_{number}"],
            floor=seen[f"floor_{number}"],
            unit="a second",
            rounds=rounds,
            statements_of_one=statements,
            same_update_as_ready_sql=seen[f"raw_{number}"],
        )
        for number in (1, CLIENTS)
    ]


def overdrafts(name: str, bank: Bank) -> Result:
    seen = bank.overdrafts()
    return judged(
        name,
        f"overdrafts of one wallet of {CREDITS} credits under {CROWD} clients",
        at_most(0, "value"),
        value=abs(seen["ours"]) + len(seen["findings"]),
        rounds=1,
        naive={"check before save": seen["naive"]},
        audit_findings=seen["findings"],
    )


def submit_postgres(*, rounds: int, quick: bool) -> Iterator[Result]:
    name = "submit_postgres"
    with (
        worlds.postgres() as database,
        bank(quick=quick, DATABASE_URL=database("bench")) as at_work,
    ):
        yield from against_the_floor(name, at_work, rounds)
        shared = medians(
            rounds,
            one=lambda: at_work.shared_submits(1),
            crowd=lambda: at_work.shared_submits(CROWD),
        )
        yield judged(
            name,
            f"one wallet: submits of {CROWD} clients against those of one",
            at_least(0.5),
            value=shared["crowd"],
            floor=shared["one"],
            unit="a second",
            rounds=rounds,
        )
        yield overdrafts(name, at_work)
        dead: int = at_work.clients[0].call("submitting.deadlocks")
        yield judged(
            name,
            "deadlocks and other errors of the database",
            at_most(0, "value"),
            value=dead + sum(at_work.errors.values()),
            rounds=rounds,
            deadlocks=dead,
            errors=dict(at_work.errors),
        )


def submit_sqlite(*, rounds: int, quick: bool) -> Iterator[Result]:
    name = "submit_sqlite"
    with bank(quick=quick) as at_work:
        measured = against_the_floor(name, at_work, rounds)
        yield from measured
        one, eight = (result.value for result in measured)
        yield judged(
            name,
            f"submits of {CLIENTS} processes against those of one",
            at_least(0.7),
            value=eight,
            floor=one,
            unit="a second",
            rounds=rounds,
        )
        yield overdrafts(name, at_work)
        yield judged(
            name,
            "“database is locked”, and other errors of the database",
            at_most(0, "value"),
            value=sum(at_work.errors.values()),
            rounds=rounds,
            errors=dict(at_work.errors),
        )
