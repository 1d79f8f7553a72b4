"""P18: kill -9 of everything with requests in every state, start again, and see when each moves.

Knows worlds, measuring and the leases of engine.md §6.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.bench import worlds
from tests.bench.measuring import Result, at_most, judged, median, say
from tests.bench.worlds import Client, World, wait_for

LEASES = {"sending": 150.0, "generating": 30.0, "storing": 120.0, "uncertain": 30.0}
QUEUED_SECONDS = 5.0
BEYOND_LEASE = 5.0
RESEND_BEYOND_LEASE = 35.0  # an order in doubt waits its 30 s first
# How to bring one request into each state and keep it there until the kill.
ROADS = {
    "generating": "[[late=6]]",
    "storing": "[[late404=8]]",
    "sending": "[[hang-after=60]]",
}
DOUBTFUL = "[[drop-before]]"  # nobody read its face: it may be sent again
MOVED_SECONDS = 90.0  # long after all of them are due
POLL_SECONDS = 0.05


@dataclass
class Moved:
    """Seconds from the new start until a request of each state had moved on."""

    seconds: dict[str, list[float]] = field(
        default_factory=lambda: {state: [] for state in ("queued", *LEASES)}
    )
    answering: list[float] = field(default_factory=list)


def recovery(*, rounds: int, quick: bool) -> Iterator[Result]:
    moved = Moved()
    with (
        worlds.provider(delay=0.5, draw="plain", cap=64) as (_understudy, address),
        worlds.world(FACE_GEN_URL=address, FACE_GEN_SLOTS="20") as world,
    ):
        client = world.client()
        for number in range(1, rounds + 1):
            one_death(world, client, moved, with_doubt=number == rounds and not quick)
            latest = ", ".join(f"{s} {v[-1]:.2f}" for s, v in moved.seconds.items() if v)
            say(f"round {number} of {rounds}: answers after {moved.answering[-1]:.2f}, {latest}")
    for state, seconds in moved.seconds.items():
        if not seconds:
            continue
        lease = LEASES.get(state, 0.0)
        beyond = RESEND_BEYOND_LEASE if state == "uncertain" else BEYOND_LEASE
        bound = QUEUED_SECONDS if state == "queued" else lease + beyond
        yield judged(
            "recovery",
            f"from the new start until {state.upper()} moves, the slowest",
            at_most(bound, "value", "s"),
            value=max(seconds),
            rounds=len(seconds),
            median=median(seconds),
            site_answers_after=median(moved.answering),
        )


def one_death(world: World, client: Client, moved: Moved, *, with_doubt: bool) -> None:
    waiting: dict[str, int] = {}
    with worlds.site(world) as running:
        for state, token in ROADS.items():
            (waiting[state],) = client.call("clicking.join", prompts=[f"a pier {token}"])
            wait_for(lambda s=state: stands(client, waiting[s]) == s, f"a request in {state}")
        if with_doubt:
            (doubtful,) = client.call("clicking.join", prompts=[f"a pier {DOUBTFUL}"])
            waiting["uncertain"] = doubtful
            wait_for(lambda: stands(client, doubtful) == "uncertain", "an order in doubt")
        running.kill()
    # Committed, but its doorbell died with the process.
    (waiting["queued"],) = client.call("clicking.join", prompts=["a pier"])
    watch_the_new_start(world, client, moved, waiting)


def watch_the_new_start(
    world: World, client: Client, moved: Moved, waiting: dict[str, int]
) -> None:
    """The clock runs from the command, so the time in which the program loads counts too."""
    before = {state: client.call("clicking.states", pks=[pk]) for state, pk in waiting.items()}
    left = dict(waiting)
    again = worlds.site_of(world)
    began_at = time.monotonic()

    def start() -> None:
        again.start()
        moved.answering.append(time.monotonic() - began_at)

    starting = threading.Thread(target=start)
    starting.start()
    try:
        while left:
            for state, pk in list(left.items()):
                if client.call("clicking.states", pks=[pk]) != before[state]:
                    moved.seconds[state].append(time.monotonic() - began_at)
                    del left[state]
            if time.monotonic() - began_at > MOVED_SECONDS:
                raise worlds.Broken(f"these never moved: {left}\n{world.log()}")
            time.sleep(POLL_SECONDS)
    finally:
        starting.join()
        again.kill()


def stands(client: Client, pk: int) -> str:
    return client.call("clicking.states", pks=[pk])[str(pk)][0]
