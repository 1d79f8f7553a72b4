"""The benchmarks' command line and their judging of numbers; nothing here measures anything.

Knows tests.bench from outside, by its command, and the judge.
"""

import json
import math
import subprocess
import sys

import pytest

from tests.bench.measuring import at_least, at_most, in_turn, judged, share
from tests.site import ROOT

NAMES = (
    "submit_postgres, submit_sqlite, waiting, overhead, utilisation, fairness, doorbell, sweep, "
    "audit, recovery, status_poll, desk"
)


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_alone_lists_the_benchmarks():
    listed = bench()
    assert listed.returncode == 0
    assert f"The benchmarks: {NAMES}." in " ".join(listed.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["speed"], f"There is no benchmark “speed”: choose {NAMES} or all."),
        (["audit", "--rounds", "0"], "--rounds must be at least 1."),
    ],
)
def test_what_cannot_be_measured_is_refused_with_one_sentence(arguments, sentence):
    refused = bench(*arguments)
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", f"{sentence}\n")


@pytest.mark.parametrize(
    ("goal", "value", "floor", "passed"),
    [
        (at_least(0.1), 10, 100, True),
        (at_least(0.1), 9.9, 100, False),
        (at_most(1.5), 15, 10, True),
        (at_most(1.5), 15.1, 10, False),
        (at_most(1.5), 15, None, False),
        (at_most(600, "value", "ms"), 600, None, True),
        (at_most(600, "value", "ms"), 601, 1000, False),
        (at_least(0.98, "value"), 0.98, None, True),
        (at_least(0.98, "value"), 0.97, 0.1, False),
        (at_most(0, "value"), math.nan, None, False),
    ],
)
def test_a_goal_is_judged_by_its_own_side_and_measure(goal, value, floor, passed):
    assert judged("x", "y", goal, value=value, floor=floor, rounds=1).passed is passed


def test_a_line_holds_what_the_design_asks_for():
    result = judged("sweep", "idle", at_most(1.25), value=1.23456, floor=1.0, unit="ms", rounds=5)
    told = json.loads(result.line())
    assert told.pop("load") >= 0
    assert told == {
        "name": "sweep",
        "what": "idle",
        "value": 1.235,
        "floor": 1.0,
        "ratio": 1.235,
        "unit": "ms",
        "goal": "≤ 1.25×",
        "passed": True,
        "rounds": 5,
    }


def test_sides_take_turns_run_by_run_and_each_round_is_a_median():
    order: list[str] = []

    def side(name: str, values: list[float]) -> float:
        order.append(name)
        return values.pop(0)

    a, b = [1, 9, 2, 5, 5, 5], [4, 4, 4, 8, 7, 100]
    seen = in_turn(2, 3, a=lambda: side("a", a), b=lambda: side("b", b))
    assert order == ["a", "b"] * 6
    assert seen == {"a": [2, 5], "b": [4, 8]}


def test_the_slowest_hundredth_of_few_is_the_slowest():
    assert share([3, 1, 2], 0.99) == 3
    assert share(list(range(1, 201)), 0.99) == 198
