"""P15 and P19: the doorbell's answer, broker up and down, and the one call of every open page.

Knows worlds and measuring.
"""

import contextlib
import signal
from collections.abc import Iterator
from functools import partial

from tests.bench import worlds
from tests.bench.measuring import Result, at_most, in_turn, judged, median, say, share
from tests.bench.worlds import World

RINGS = 40  # a round
RINGS_IN_TROUBLE = 5  # each may take half a second
SPARE_RINGS = 40  # to warm up, to count queries, and in trouble


def doorbell(*, rounds: int, quick: bool) -> Iterator[Result]:
    name = "doorbell"
    rings = RINGS // 4 if quick else RINGS
    with (
        worlds.postgres() as database,
        worlds.valkey() as broker,
        worlds.silent_host() as away,
        worlds.world(DATABASE_URL=database("bench"), CELERY_BROKER_URL=broker.url) as world,
    ):
        client = world.client()
        say("jobs at the provider")
        client.call("answering.drawing", number=rounds * rings + SPARE_RINGS)
        asked = client.call("answering.bell_queries")
        yield judged(
            name, "queries of one ring", at_most(3, "value"), value=len(asked), rounds=1, sql=asked
        )
        ring = partial(client.call, "answering.ring_over", port=world.port)
        empty = partial(client.call, "answering.empty_post_over", port=world.port)
        rung: list[float] = []

        def noted() -> float:
            rung.append(ring())
            return rung[-1]

        with serving(world):
            for _ in range(3):
                empty()
                ring()
            seen = in_turn(rounds, rings, empty=empty, ring=noted)
            broker.process.send_signal(signal.SIGSTOP)
            silent = [ring() for _ in range(2)]
            broker.process.send_signal(signal.SIGCONT)
            broker.process.kill()
            broker.process.wait()
            killed = [ring() for _ in range(RINGS_IN_TROUBLE)]
        world.environment["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{away}/0"
        with serving(world):
            first = ring()  # loads the broker's library besides
            dropped = [ring() for _ in range(RINGS_IN_TROUBLE)]
    yield judged(
        name,
        "a ring's answer against that of an empty POST view of the same server",
        at_most(5),
        value=1000 * median(seen["ring"]),
        floor=1000 * median(seen["empty"]),
        unit="ms",
        rounds=rounds,
    )
    yield judged(
        name,
        "p99 of a ring's answer",
        at_most(20, "value", "ms"),
        value=1000 * share(rung, 0.99),
        rounds=rounds,
        rings=len(rung),
    )
    yield judged(
        name,
        "the slowest answer with the broker killed, or its host away",
        at_most(600, "value", "ms"),
        value=1000 * max(*killed, *dropped),
        rounds=RINGS_IN_TROUBLE,
        killed_ms=1000 * max(killed),
        host_away_ms=1000 * max(dropped),
        first_of_a_process_ms=1000 * first,
        stopped_but_connected_ms=1000 * max(silent),
    )


@contextlib.contextmanager
def serving(world: World) -> Iterator[None]:
    """gunicorn at work in that world, with the empty views beside the site's own."""
    bind = f"127.0.0.1:{world.port}"
    wanted = ["tests.bench.inside.serving", "--bind", bind, "--worker-class", "gthread"]
    process = world.run("-m", "gunicorn", *wanted, "--threads", "8", "--workers", "1")
    try:
        worlds.wait_for(lambda: not worlds.is_free(world.port), "gunicorn")
        yield
    finally:
        worlds.end(process)


OPEN = 10  # as many as anybody may have
POLLS = 40  # a round


def status_poll(*, rounds: int, quick: bool) -> Iterator[Result]:
    name = "status_poll"
    polls = POLLS // 4 if quick else POLLS
    for database in ("sqlite", "postgresql"):
        with worlds.on(database) as (world,):
            client = world.client()
            person = client.call("answering.sign_in", open_requests=OPEN)
            cookie = person["cookie"]
            tray = f"/jobs/tray/?v={person['shown']}"
            pages = {"empty": "/bench/page/", "poll": tray}

            sides = {
                side: partial(client.call, "answering.page_seconds", path=path, cookie=cookie)
                for side, path in pages.items()
            }
            for side in sides.values():
                side()
            seen = in_turn(rounds, polls, **sides)
            queries = {
                side: len(client.call("answering.page_queries", path=path, cookie=cookie))
                for side, path in pages.items()
            }
            client.call("answering.change_one")
            client.call("answering.page_seconds", path=tray, cookie=cookie, status=200)
        yield judged(
            name,
            f"unchanged status (204) of {OPEN} requests on {database} against an empty view",
            at_most(1.3),
            value=1000 * median(seen["poll"]),
            floor=1000 * median(seen["empty"]),
            unit="ms",
            rounds=rounds,
        )
        yield judged(
            name,
            f"queries beyond sign-in on {database}",
            at_most(1, "value"),
            value=queries["poll"] - queries["empty"],
            rounds=1,
        )
