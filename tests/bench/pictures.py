"""P8 and P9: what our promises add to the provider's time, and how busy its places are kept.

Knows worlds, measuring, the stand-in and its books.
"""

import contextlib
import random
import time
from collections.abc import Iterator

from config.standins.books import ENDED, Books
from config.standins.face_gen import FaceGen
from tests.bench import worlds
from tests.bench.measuring import Result, at_least, at_most, in_turn, judged, median, say, share
from tests.bench.worlds import Client, World

# ── P8: overhead ────────────────────────────────────────────────────────────────────────────────

PICTURES = 4  # a round, each beside a run of the straight script
UNRUNG = 4  # pictures whose doorbell never rings; each waits for a look
DRAWING = 1.0  # seconds; the drawing itself is done by then, so nobody competes with it
FIRST_LOOK = 2.0  # seconds after the order, the shortest there is
SWEEP = 2.0
# Of its log: the order taken, drawn, asked for, handed over.
PROVIDER = ("accepted", "generated", "looked", "served")
STEPS = (
    ("pressed_at", "taken_at"),
    ("taken_at", "sent_at"),
    ("sent_at", "accepted"),
    ("generated", "looked"),
    ("looked", "served"),
    ("served", "ready_at"),
)


def overhead(*, rounds: int, quick: bool) -> Iterator[Result]:
    pictures, unrung = (2, 2) if quick else (PICTURES, UNRUNG)
    for where, bound in (("embedded", 2.0), ("redis", 1.5)):
        with (
            worlds.provider(delay=DRAWING, draw="full") as (understudy, address),
            product(where, FACE_GEN_URL=address) as client,
        ):
            say(where)
            client.call("clicking.prepare_script")
            client.call("clicking.arrive")
            script = Side(client, understudy.books, "clicking.script")
            click = Side(client, understudy.books, "clicking.click")
            for side in (script, click):
                side.run()
                side.runs.clear()
            in_turn(rounds, pictures, script=script.run, click=click.run)
            understudy.switch(hook="never")
            late = Side(client, understudy.books, "clicking.click")
            for _ in range(unrung):
                late.run()
        yield judged(
            "overhead",
            f"p50 from click to READY beyond the provider's time, {where}, against a script",
            at_most(bound),
            value=1000 * click.at(0.5),
            floor=1000 * script.at(0.5),
            unit="ms",
            rounds=rounds,
            pictures=len(click.runs),
            steps_ms=click.steps(),
        )
        yield judged(
            "overhead",
            f"p99 of the same, {where}",
            at_most(1, "value", "s"),
            value=click.at(0.99),
            rounds=rounds,
            script=script.at(0.99),
        )
        yield judged(
            "overhead",
            f"p99 without any doorbell, {where}: at most one look and one sweep more",
            at_most(click.at(0.99) + FIRST_LOOK + SWEEP, "value", "s"),
            value=late.at(0.99),
            rounds=unrung,
            p50=late.at(0.5),
        )


class Side:
    """Pictures made one way, and by the wall clock when each step of each was done."""

    def __init__(self, client: Client, books: Books, call: str) -> None:
        self._client, self._books, self._call = client, books, call
        self.runs: list[dict[str, float]] = []

    def run(self) -> float:
        """One picture more: seconds but for those between the provider's yes and its drawing."""
        run = self._client.call(self._call)
        job = int(run["job"]) if "job" in run else self._books.jobs(run["attempt"])[0].number
        run |= {line["event"]: line["wall"] for line in self._books.lines(*PROVIDER, job=job)}
        self.runs.append(run)
        return beyond_the_provider(run)

    def at(self, part: float) -> float:
        return share([beyond_the_provider(run) for run in self.runs], part)

    def steps(self) -> dict[str, float]:
        """Median milliseconds of each step of ours."""
        return {
            f"{before} → {after}": 1000 * median(run[after] - run[before] for run in self.runs)
            for before, after in STEPS
        }


def beyond_the_provider(run: dict[str, float]) -> float:
    return run["ready_at"] - run["pressed_at"] - (run["generated"] - run["accepted"])


@contextlib.contextmanager
def product(where: str, **environment: str) -> Iterator[Client]:
    """A running Likeness, in one process or in all its parts, and a client in its world."""
    if where == "embedded":
        with worlds.world(**environment) as world, worlds.site(world):
            yield world.client()
    else:
        with (
            worlds.postgres() as database,
            worlds.valkey() as broker,
            worlds.world(
                DATABASE_URL=database("bench"), CELERY_BROKER_URL=broker.url, **environment
            ) as world,
        ):
            start_parts(world)
            yield world.client()


def start_parts(world: World) -> None:
    """Web, both kinds of workers and the clock, as a deployment has them."""
    bind = f"127.0.0.1:{world.port}"
    serve = ["gunicorn", "config.wsgi", "--bind", bind, "--worker-class", "gthread"]
    world.run("-m", *serve, "--threads", "8", "--workers", "1")
    worker = ["-m", "celery", "-A", "config", "worker", "--without-gossip", "--without-mingle"]
    for queue, processes in (("look", 8), ("store", 2)):
        world.run(*worker, "-Q", queue, "-c", str(processes), "-n", f"{queue}@bench")
    world.run("-m", "celery", "-A", "config", "beat", "-s", str(world.folder / "beat"))
    watcher = world.client()
    worlds.wait_for(lambda: watcher.call("clicking.is_sweeping"), f"the first sweep\n{world.log()}")
    watcher.end()
    worlds.wait_for(lambda: not worlds.is_free(world.port), "the site")


# ── P9: utilisation ─────────────────────────────────────────────────────────────────────────────

PLACES = 5
# Fifteen seconds are what a picture takes; a measure of that would take three times as long. The
# gap between two jobs of one place does not depend on how long they take.
JOB_SECONDS = 5.0
# Not all alike: places that end together also queue for our two cores together.
SPREAD = 1.0
REAL_JOB_SECONDS = 15.0
WINDOW = 40.0  # seconds
WARM_UP = 8.0  # until every place has had its first job


def utilisation(*, rounds: int, quick: bool) -> Iterator[Result]:
    window = 15.0 if quick else WINDOW
    naive = busy("naive", window / 2, rounds)["scaled"]
    for hook, bound, what in (
        ("once", 0.98, "with doorbells"),
        ("never", 0.85, "without any doorbell"),
    ):
        seen = busy(hook, window, rounds)
        yield judged(
            "utilisation",
            f"busy share of {PLACES} places, line never empty, {what}",
            at_least(bound, "value"),
            value=seen["scaled"],
            rounds=rounds,
            naive={"a task that polls every 2 s and blocks until it has stored": naive},
            measured_with_jobs_of_4_to_6_s=seen["measured"],
            refill_gap_ms=1000 * seen["gap"],
            value_is="scaled to jobs of 15 s: 15 / (15 + refill gap)",
            jobs=seen["jobs"],
        )


def busy(hook: str, window: float, rounds: int) -> dict[str, float]:
    """The share of place-seconds in which the provider drew, by its own log."""
    say(f"{window:g} s, {'a naive worker' if hook == 'naive' else f'hook={hook}'}")
    wanted = int(PLACES * (window + 4 * WARM_UP) / JOB_SECONDS)
    chance = random.Random(1)
    lasting = (chance.uniform(JOB_SECONDS - SPREAD, JOB_SECONDS + SPREAD) for _ in range(wanted))
    prompts = [f"a quiet harbour [[delay={seconds:.2f}]]" for seconds in lasting]
    switches = {"draw": "plain"}
    if hook != "naive":
        switches["hook"] = hook
    with (
        worlds.provider(**switches) as (understudy, address),
        worlds.world(FACE_GEN_URL=address) as world,
    ):
        client = world.client()
        if hook == "naive":
            working = window + 2 * WARM_UP
            client.send("clicking.draw_naively", prompts=prompts, threads=PLACES, seconds=working)
            return watched(understudy, window, rounds)
        client.call("clicking.join", prompts=prompts)
        with worlds.site(world):
            return watched(understudy, window, rounds)


def watched(understudy: FaceGen, window: float, rounds: int) -> dict[str, float]:
    """Waits until the window is over; its share of busy place-seconds and mean refill gap."""
    worlds.wait_for(lambda: understudy.books.accepted() >= PLACES, "the first jobs")
    began_at = time.time() + WARM_UP
    time.sleep(WARM_UP + window)
    ended_at = began_at + window
    spans: dict[int, list[float]] = {}
    for line in understudy.books.lines("accepted", *ENDED):
        if line["event"] == "accepted":
            spans[line["job"]] = [line["wall"], ended_at]
        else:
            spans[line["job"]][1] = line["wall"]
    shares = []
    for part in range(rounds):
        start = began_at + part * window / rounds
        end = start + window / rounds
        drawn = sum(max(0.0, min(b, end) - max(a, start)) for a, b in spans.values())
        shares.append(drawn / (PLACES * (end - start)))
    measured = sum(shares) / len(shares)
    gap = JOB_SECONDS * (1 / measured - 1)
    return {
        "measured": measured,
        "gap": gap,
        "scaled": REAL_JOB_SECONDS / (REAL_JOB_SECONDS + gap),
        "jobs": sum(began_at <= span[0] <= ended_at for span in spans.values()),
        "lowest_part": min(shares),
    }
