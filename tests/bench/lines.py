"""P7, P10, P16, P17: long lines, fair turns, sweeps and audits among a million rows.

Knows worlds and measuring.
"""

import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench import worlds
from tests.bench.measuring import (
    Result,
    at_most,
    in_turn,
    judged,
    median,
    medians,
    say,
)

# ── P7: waiting costs a row ─────────────────────────────────────────────────────────────────────

MANY, FEW = 10_000, 100
SWEEPS = 20
ENGINE_SECONDS = 9  # four sweeps, and the places filled
NAIVE_WAITING = 1_000  # threads; ten thousand would be the machine's measure
PER_REQUEST = 0.01  # threads; the engine starts its few one by one, as they are needed


def waiting(*, rounds: int, quick: bool) -> Iterator[Result]:
    name, many = "waiting", MANY // 10 if quick else MANY
    switches = {"STANDIN_FACE_GEN": "delay=60 draw=plain"}
    with worlds.world(**switches) as small, worlds.world(**switches) as large:
        few, crowd = small.client(), large.client()
        for client, number in ((few, FEW), (crowd, many)):
            client.call("making.waiting", number=number)
            client.call("sweeping.fill_places")
        seen = medians(
            rounds,
            SWEEPS,
            few=partial(few.call, "sweeping.with_a_free_place"),
            many=partial(crowd.call, "sweeping.with_a_free_place"),
        )
        resting = medians(
            rounds,
            SWEEPS,
            few=partial(few.call, "sweeping.idle"),
            many=partial(crowd.call, "sweeping.idle"),
        )
        yield judged(
            name,
            f"a sweep that fills a place with {many} waiting against {FEW}",
            at_most(1.5),
            value=1000 * seen["many"],
            floor=1000 * seen["few"],
            unit="ms",
            rounds=rounds,
            all_places_taken_ms=[1000 * resting["few"], 1000 * resting["many"]],
        )
        few.end()
        crowd.end()
        engines = {side: running_engine(world) for side, world in (("few", small), ("many", large))}
        naive = naive_worker(small, quick=quick)
    yield judged(
        name,
        f"memory of the running engine with {many} waiting against {FEW}",
        at_most(1.1),
        value=engines["many"]["memory"],
        floor=engines["few"]["memory"],
        unit="KiB",
        rounds=1,
        naive={"a thread for each": naive["many"]["memory"] / naive["few"]["memory"]},
    )
    yield judged(
        name,
        f"threads of the running engine for each of {many - FEW} more that wait",
        at_most(PER_REQUEST, "value"),
        value=(engines["many"]["threads"] - engines["few"]["threads"]) / (many - FEW),
        rounds=1,
        naive={"a thread for each": naive["many"]["threads"] / naive["many"]["waiting"]},
        threads=[engines["few"]["threads"], engines["many"]["threads"]],
    )


def running_engine(world: worlds.World) -> dict[str, int]:
    """Memory (KiB, resident) and threads of `up` at work on that world's rows."""
    with worlds.site(world) as running:
        time.sleep(ENGINE_SECONDS)
        assert running.process is not None
        status = Path(f"/proc/{child_of(running.process.pid)}/status").read_text()
    held = dict(line.split(":", 1) for line in status.splitlines())
    return {"memory": int(held["VmRSS"].split()[0]), "threads": int(held["Threads"])}


def child_of(pid: int) -> int:
    told = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=True, text=True
    )
    return int(told.stdout.split()[0])


def naive_worker(world: worlds.World, *, quick: bool) -> dict[str, dict[str, int]]:
    """The same of a worker whose tasks block until they are drawn, with few and with many."""
    told = {}
    for side, number in (("few", FEW // 10), ("many", NAIVE_WAITING // (10 if quick else 1))):
        client = world.client()
        told[side] = client.call("sweeping.wait_in_threads", number=number) | {"waiting": number}
        client.end()
    return told


# ── P10: fair turns ─────────────────────────────────────────────────────────────────────────────

AT_ONCE = 2  # simulations, one a core: their time is virtual


def turnovers(seeds: range, **line: int) -> list[dict[str, float]]:
    """What the newcomers of each seed's line waited, each line in a world of its own."""
    with worlds.on("sqlite", len(seeds)) as made:
        clients = [world.client() for world in made]
        for client, seed in zip(clients, seeds, strict=True):
            client.send("queueing.newcomers_behind", seed=seed, **line)
        return [client.receive() for client in clients]


def fairness(*, rounds: int, quick: bool) -> Iterator[Result]:
    waiting_before, newcomers = (100, 10) if quick else (500, 50)
    say(f"{newcomers} newcomers behind {waiting_before} requests of one person, {rounds} times")
    told = []
    for seed in range(1, rounds + 1, AT_ONCE):
        seeds = range(seed, min(seed + AT_ONCE, rounds + 1))
        told += turnovers(seeds, waiting=waiting_before, newcomers=newcomers)
        say(f"{told[-len(seeds) :]}")
    yield judged(
        "fairness",
        f"mean start delay of {newcomers} newcomers behind {waiting_before} requests",
        at_most(2.0, "value", "turnovers"),
        value=median(one["turnovers"] for one in told),
        rounds=rounds,
        naive={"arrival order": median(one["arrival_order"] for one in told)},
        each=[one["turnovers"] for one in told],
    )


# ── P16: an idle sweep among a million ──────────────────────────────────────────────────────────

ENDED, ENDED_FEW = 1_000_000, 1_000
TICKS = 20
DUE_INDEX = "requests_due"


def sweep(*, rounds: int, quick: bool) -> Iterator[Result]:
    many = ENDED // 10 if quick else ENDED
    for database in ("sqlite", "postgresql"):
        with worlds.on(database, 2) as made:
            few, crowd = (world.client() for world in made)
            say(f"{database}: {many} ended requests")
            few.call("making.ended", number=ENDED_FEW)
            crowd.call("making.ended", number=many)
            for client in (few, crowd):
                client.call("sweeping.idle")
            seen = medians(
                rounds,
                TICKS,
                few=partial(few.call, "sweeping.idle"),
                many=partial(crowd.call, "sweeping.idle"),
            )
            plans = crowd.call("sweeping.due_queries")
        yield judged(
            "sweep",
            f"an idle sweep on {database} with {many} ended requests against {ENDED_FEW}",
            at_most(1.25),
            value=1000 * seen["many"],
            floor=1000 * seen["few"],
            unit="ms",
            rounds=rounds,
        )
        slow = [plan for plan in plans if DUE_INDEX not in plan["plan"]]
        yield judged(
            "sweep",
            f"queries for due rows on {database} that do not use their index",
            at_most(0, "value"),
            value=len(slow) if plans else float("nan"),
            rounds=1,
            queries=plans,
        )


# ── P17: the audit of a million transfers ───────────────────────────────────────────────────────

TRANSFERS = 1_000_000
AUDIT_GOALS = {"sqlite": 10, "postgresql": 5}


def audit(*, rounds: int, quick: bool) -> Iterator[Result]:
    number = TRANSFERS // 10 if quick else TRANSFERS
    for database, bound in AUDIT_GOALS.items():
        with worlds.on(database) as (world,):
            client = world.client()
            say(f"{database}: {number} transfers")
            client.call("making.ledger", number=number)
            client.call("booking.lift_time_limit")
            seen = in_turn(
                rounds,
                sum=partial(client.call, "booking.add_up"),
                audit=partial(client.call, "booking.audit_pockets"),
            )
            asked: dict[str, Any] = client.call("booking.queries")
        yield judged(
            "audit",
            f"I2 on {database} over {number} transfers against sum(amount)",
            at_most(bound),
            value=median(seen["audit"]),
            floor=median(seen["sum"]),
            unit="s",
            rounds=rounds,
        )
        yield judged(
            "audit",
            f"queries of I2 on {database}",
            at_most(1, "value"),
            value=asked["queries"],
            rounds=1,
        )
