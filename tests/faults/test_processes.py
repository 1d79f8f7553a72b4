"""Real processes, really killed: worker, site, clock, broker and database, at every failpoint.

Knows the plant and the town around it. Collected on PostgreSQL only, because the plant brings its
own; waits that only time would end are ended by the clerk's `hurry`.
"""

import os
import signal

import pytest

from tests.faults.marks import OVER
from tests.faults.part import Part
from tests.faults.plant import Away, Plant
from tests.faults.town import ENDED, Point, Town
from tests.faults.visitor import NoAnswer

SLOW_SUBMIT_SECONDS = 0.6  # what a dead broker may add to a press (engine.md §12)
GO_ON, LEAVE = "accounts.tasks.go_on_closing", "avatars.tasks.leave"
LOOK, SWEEP, ERASE = (f"avatars.tasks.{name}" for name in ("advance_request", "sweep", "erase_due"))


@pytest.fixture(scope="module")
def town():
    """Workers and a site that can be doomed. No clock runs, so that states stand still: the tests
    say when somebody sweeps.
    """
    doomed = "tests.faults.doomed"
    with Plant(
        switches="delay=0.1 draw=plain cap=64 strict=on",
        app=doomed,
        web_app=f"{doomed}:application",
        look_hands=1,
        store_hands=2,
    ) as plant:
        plant.parts["beat"].kill()
        plant.parts["look2"].kill()
        yield Town(plant, plant.ask("person"), [])


@pytest.fixture(scope="module")
def running(town):
    """The same with its clock and its second look worker: nobody needs to be told to sweep."""
    town.plant.start("beat", "look2")
    return town


# ── Killed at a failpoint ───────────────────────────────────────────────────────────────────────

# Name and point (engine.md §15), what is to be seen then: state, sent, job number known.
FAILPOINTS = {
    "F3 rung, before dispatch": (Point("look", LOOK, "before a commit"), ["queued", False, False]),
    "F4 SENDING, not claimed": (Point("look", LOOK, "after a commit"), ["sending", False, False]),
    "F5 written ahead, not posted": (
        Point("look", LOOK, "before a call to the provider"),
        ["sending", True, False],
    ),
    "F7 reply read, not recorded": (
        Point("look", LOOK, "after a call to the provider"),
        ["sending", True, False],
    ),
    "F8 GENERATING recorded": (
        Point("look", LOOK, "after a commit", 3),
        ["generating", True, True],
    ),
    "F10 look read, not recorded": (
        Point("look", LOOK, "after a call to the provider", 2),
        ["generating", True, True],
    ),
    "F11 STORING recorded": (Point("look", LOOK, "after a commit", 4), ["storing", True, True]),
    "F12 bytes fetched": (Point("store", LOOK, "after a download"), ["storing", True, True]),
    "F13 one of two files put": (Point("store", LOOK, "after a put"), ["storing", True, True]),
    "F14 all put": (Point("store", LOOK, "after a put", 2), ["storing", True, True]),
    "F15 inside the last transaction": (
        Point("store", LOOK, "before a commit"),
        ["storing", True, True],
    ),
    "F16 READY, before mail": (Point("store", LOOK, "after a commit"), ["ready", True, True]),
}


@pytest.mark.parametrize("name", FAILPOINTS)
def test_a_worker_killed_at_a_failpoint_costs_nothing(town, name):
    point, seen = FAILPOINTS[name]
    marked, prompt = town.prompt()
    town.doom(marked, point)
    town.submit(marked, prompt)
    assert town.await_doom(lambda: town.plant.ask("ring", mark=marked))[1] == seen
    town.end(marked)
    assert (town.row(marked)["state"], town.row(marked)["pictures"]) == ("ready", 1)


def test_a_worker_killed_while_the_provider_has_its_order_does_not_order_again(town):
    """F6: the body is sent, the reply is not there yet."""
    marked = town.wish("[[hang-after=1.5]]")
    town.until(lambda: town.plant.orders(marked), lambda: None)
    os.kill(town.plant.parts["look1"].children()[0], signal.SIGKILL)
    town.end(marked)
    row = town.row(marked)
    assert (row["state"], row["attempts"], town.plant.orders(marked)) == ("ready", 1, 1)


def test_a_worker_killed_inside_a_release_returns_the_credit_once(town):
    """F17."""
    marked, prompt = town.prompt("[[black]]")
    town.doom(marked, Point("store", LOOK, "before a commit"))
    town.submit(marked, prompt)
    seen = town.await_doom(lambda: town.plant.ask("ring", mark=marked))[1]
    assert seen == ["storing", True, True]
    town.end(marked)
    assert (town.row(marked)["state"], town.row(marked)["reason"]) == ("failed", "blocked")


def test_a_sweep_killed_half_done_is_done_by_the_next(town):
    """F18: a slot was given out, and nobody was told."""
    marked, prompt = town.prompt()
    town.doom(marked, Point("look", SWEEP, "before UPDATE by itself"))
    town.submit(marked, prompt, rings=False)
    town.plant.ask("sweep", by_worker=True)
    assert town.await_doom(lambda: None)[1] == ["sending", False, False]
    town.end(marked)
    assert town.row(marked)["state"] == "ready"


@pytest.mark.parametrize("crossing", ["before a remove", "after a remove"])
def test_an_erasure_killed_beside_the_object_is_finished_by_the_next(town, crossing):
    """F19 and F20: the file is doomed; its object is gone, the row not yet."""
    marked = town.wish()
    town.end(marked)
    town.doom(marked, Point("look", ERASE, crossing))
    town.plant.ask("throw_away", mark=marked)
    assert town.plant.ask("doomed_files") == 2
    town.plant.ask("erase")
    town.await_doom(lambda: None)
    assert town.plant.ask("doomed_files") == 2
    town.until(lambda: town.plant.ask("doomed_files") == 0, lambda: town.plant.ask("erase"))
    town.nothing_is_wrong()


@pytest.mark.parametrize(
    ("crossing", "seen"),
    [("before a commit", None), ("after a commit", ["queued", False, False])],
    ids=["F1 inside submit", "F2 submitted, before the doorbell"],
)
def test_a_site_killed_during_a_press_has_one_request_after_the_next_press(town, crossing, seen):
    marked, prompt = town.prompt()
    visitor = town.visitor()
    form = visitor.load()
    town.doom(marked, Point("web", "POST /create", crossing))
    with pytest.raises(NoAnswer):
        visitor.press(form, prompt)
    assert town.await_doom(lambda: None)[1] == seen
    town.press_until_told(visitor, form, marked, prompt)
    town.end(marked)
    assert (town.row(marked)["state"], town.row(marked)["same"]) == ("ready", 1)


def test_a_site_killed_when_it_has_written_down_a_job_number_has_not_lost_it(town):
    """F9: the answer to the order said nothing, so the doorbell's number is all there is."""
    marked, prompt = town.prompt("[[html524]] [[hook=late=1]]")
    town.doom(marked, Point("web", "POST /webhooks", "after a commit"))
    town.submit(marked, prompt)
    assert town.await_doom(lambda: None)[1] == ["uncertain", True, True]
    town.end(marked)
    assert (town.row(marked)["state"], town.plant.orders(marked)) == ("ready", 1)


# F23: the room at whose task it dies, the crossing, and the rooms that came before it.
STEPS_OF_A_CLOSING = {
    "its days are over": (GO_ON, "before a commit", 1, []),
    "nobody comes back in": (GO_ON, "after a commit", 1, []),
    "claimed for emptying": (LEAVE, "after UPDATE by itself", 1, ["accounts"]),
    "files ordered to go": (LEAVE, "after a commit", 1, ["accounts"]),
    "beside the first object": (LEAVE, "before a remove", 1, ["accounts"]),
    "an object gone, its row not": (LEAVE, "after a remove", 2, ["accounts"]),
    "rows half gone": (LEAVE, "after a commit", 6, ["accounts"]),
    "inside the last transaction": (GO_ON, "before a commit", 1, ["accounts", "avatars"]),
    "gone, the letter not": (GO_ON, "after a commit", 1, ["accounts", "avatars"]),
}


@pytest.mark.parametrize("name", STEPS_OF_A_CLOSING)
def test_a_worker_killed_at_any_step_of_a_closing_is_followed_by_the_next(town, name):
    """F23."""
    act, crossing, nth, before = STEPS_OF_A_CLOSING[name]
    town.plant.flush_broker()
    user = town.plant.ask("leaver")

    def step() -> str:
        return town.plant.ask("closing_step", user=user)

    def nudge(room: str) -> None:
        town.plant.ask("go_on_leaving", room=room)

    for room, reached in zip(before, ["emptying", "ending"], strict=False):
        town.until(lambda reached=reached: step() == reached, lambda room=room: nudge(room))
    town.doom("nobody's", Point("look", act, crossing, nth))
    town.await_doom(lambda: nudge("accounts" if act == GO_ON else "avatars"))
    town.until(lambda: step() == "gone", lambda: [nudge("accounts"), nudge("avatars")])
    assert town.plant.ask("left_behind", user=user) == []
    town.nothing_is_wrong()


# ── Asleep beyond its lease ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "point",
    [
        Point("look", LOOK, "after a call to the provider"),
        Point("store", LOOK, "after a put", 2),
    ],
    ids=["in a POST", "in a store"],
)
def test_a_worker_that_wakes_after_its_lease_changes_nothing(running, point):
    marked, prompt = running.prompt()
    running.doom(marked, point, sleeps=True)
    running.submit(marked, prompt)
    sleeper, _seen = running.await_doom(lambda: running.plant.ask("ring", mark=marked))
    running.end(marked)
    before = running.row(marked)
    assert (before["state"], before["pictures"]) == ("ready", 1)
    os.kill(sleeper, signal.SIGCONT)
    running.until((running.local / OVER).exists, lambda: None)
    assert running.row(marked) == before
    assert running.plant.orders(marked) == 1
    running.nothing_is_wrong()


# ── Without this or that ────────────────────────────────────────────────────────────────────────


def test_doorbells_that_a_broker_forgets_cost_only_a_sweep(running):
    plant = running.plant
    for name in ("look1", "look2"):
        plant.parts[name].stop()
    wishes = [running.wish() for _ in range(4)]
    assert plant.waiting_messages("look") > 0
    plant.flush_broker()
    for name in ("look1", "look2"):
        plant.parts[name].go_on()
    running.until(lambda: running.has_ended(*wishes), lambda: None)
    assert running.states(*wishes) == {"ready"}
    running.nothing_is_wrong()


def test_a_broker_that_is_away_slows_a_press_by_little_and_loses_nothing(running):
    with_broker = [running.timed_press() for _ in range(2)]
    with running.plant.without("valkey"):
        without = [running.timed_press() for _ in range(2)]
    fastest, slowed = (min(took for took, _ in tries) for tries in (with_broker, without))
    assert slowed - fastest <= SLOW_SUBMIT_SECONDS
    wishes = [marked for _took, marked in with_broker + without]
    # kombu 5.7 cannot give back what it holds when its broker dies, and takes the worker along.
    running.until(
        lambda: running.has_ended(*wishes),
        lambda: running.plant.revive("beat", "look1", "look2", "store"),
    )
    assert running.states(*wishes) == {"ready"}
    running.nothing_is_wrong()


def test_a_database_killed_under_load_loses_nothing_that_it_confirmed(running):
    wishes = [running.wish() for _ in range(6)]
    with running.plant.without("postgres"), pytest.raises(Away):
        running.wish()
    # The answer to an order, and its one doorbell, may both have met a dead database. Then nobody
    # knows whether it was taken: it is not ordered again, and the credit returns as promised.
    running.until(lambda: running.states(*wishes) <= {*ENDED, "uncertain"}, running.recover)
    running.plant.ask("end_doubts")
    running.end(*wishes)
    rows = [running.row(one) for one in wishes]
    assert {(row["state"], row["reason"]) for row in rows} <= {
        ("ready", ""),
        ("failed", "unconfirmed"),
    }


def test_a_site_without_its_database_says_that_it_cannot_work(running):
    assert running.plant.status("/readyz") == 200
    with running.plant.without("postgres"):
        assert (running.plant.status("/livez"), running.plant.status("/readyz")) == (200, 503)
    running.until(lambda: running.plant.status("/readyz") == 200, lambda: None)


def test_two_clocks_do_no_more_than_one(running):
    first = running.plant.parts["beat"]
    command = [*first.command, "-s", str(running.local / "beat2")]
    second = Part("beat2", command, first.environment, running.plant.folder)
    second.start()
    try:
        running.until(lambda: list(running.local.glob("beat2*")), lambda: None)
        wishes = [running.wish() for _ in range(3)]
        running.until(lambda: running.has_ended(*wishes), lambda: None)
        assert (first.is_running(), second.is_running()) == (True, True)
    finally:
        second.kill()
    assert [(running.row(one)["state"], running.plant.orders(one)) for one in wishes] == [
        ("ready", 1)
    ] * 3
    running.nothing_is_wrong()


def test_health_is_a_fresh_sweep_and_the_sweeper_alone_is_a_whole_engine(running):
    plant = running.plant
    for name in ("beat", "look1", "look2", "store", "valkey"):
        plant.parts[name].kill()
    plant.ask("forget_heartbeat")
    assert plant.status("/livez") == 200
    assert plant.status("/readyz") == 503
    plant.start("sweeper")
    running.until(lambda: plant.status("/readyz") == 200, lambda: None)
    wishes = [running.wish(story) for story in ("", "[[hook=never]]", "[[black]]")]
    running.until(lambda: running.has_ended(*wishes), lambda: None)
    assert [running.row(one)["state"] for one in wishes] == ["ready", "ready", "failed"]
    running.nothing_is_wrong()


def test_control_the_verdict_sees_what_is_lost(town):
    judged = town.plant.ask("verdict", confirmed=["wish-999999"])
    assert "wish-999999: confirmed, but there is no request" in judged["lost"]
