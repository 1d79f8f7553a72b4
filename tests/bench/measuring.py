"""Measures: rounds of floor and candidate in turn, medians, goals, and the one line about each.

Knows nothing of ours.
"""

import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Side = Callable[[], float]


@dataclass(frozen=True)
class Goal:
    """A bound on the `ratio` to the floor, or on the `value` itself."""

    side: Literal["at most", "at least"]
    bound: float
    of: Literal["ratio", "value"] = "ratio"
    unit: str = ""

    def __str__(self) -> str:
        times = "×" if self.of == "ratio" else f" {self.unit}".rstrip()
        return f"{'≤' if self.side == 'at most' else '≥'} {self.bound:.4g}{times}"

    def is_met(self, value: float, ratio: float | None) -> bool:
        """What could not be measured (NaN, or a ratio without a floor) meets nothing."""
        judged = value if self.of == "value" else ratio
        if judged is None or math.isnan(judged):
            return False
        return judged <= self.bound if self.side == "at most" else judged >= self.bound


def at_most(bound: float, of: Literal["ratio", "value"] = "ratio", unit: str = "") -> Goal:
    return Goal("at most", bound, of, unit)


def at_least(bound: float, of: Literal["ratio", "value"] = "ratio", unit: str = "") -> Goal:
    return Goal("at least", bound, of, unit)


@dataclass(frozen=True)
class Result:
    """One judged clause of a goal. `naive` is what a naive implementation gets in the same run."""

    name: str
    what: str
    value: float
    floor: float | None
    ratio: float | None
    unit: str
    goal: str
    passed: bool
    rounds: int
    load: float  # average of the last minute, a core: above 1 the machine was not ours alone
    naive: Any = None
    details: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        told = {name: value for name, value in asdict(self).items() if value not in (None, {}, "")}
        told |= {"floor": self.floor, "ratio": self.ratio}
        return json.dumps(rounded(told), ensure_ascii=False)


def judged(
    name: str,
    what: str,
    goal: Goal,
    *,
    value: float,
    rounds: int,
    floor: float | None = None,
    unit: str = "",
    naive: Any = None,
    **details: Any,
) -> Result:
    """The clause with its verdict. `unit` is that of value and floor."""
    ratio = value / floor if floor else None
    return Result(
        name=name,
        what=what,
        value=value,
        floor=floor,
        ratio=ratio,
        unit=unit or goal.unit,
        goal=str(goal),
        passed=goal.is_met(value, ratio),
        rounds=rounds,
        load=os.getloadavg()[0] / (os.cpu_count() or 1),
        naive=naive,
        details=details,
    )


def rounded(told: Any) -> Any:
    """Four digits that mean something; the rest is noise of the machine."""
    if isinstance(told, bool) or not isinstance(told, float | dict | list | tuple):
        return told
    if isinstance(told, dict):
        return {name: rounded(value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [rounded(value) for value in told]
    return None if math.isnan(told) else float(f"{told:.4g}")


def in_turn(rounds: int, times: int = 1, **sides: Side) -> dict[str, list[float]]:
    """Each side's median of `times` runs a round. The sides take turns run by run, always in the
    same order (ABAB), so that a slow moment of the machine hits all of them.
    """
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(1, rounds + 1):
        runs = [{name: side() for name, side in sides.items()} for _ in range(times)]
        for name, values in seen.items():
            values.append(median(run[name] for run in runs))
        latest = ", ".join(f"{name} {values[-1]:.4g}" for name, values in seen.items())
        say(f"round {number} of {rounds}: {latest}")
    return seen


def medians(rounds: int, times: int = 1, **sides: Side) -> dict[str, float]:
    return {name: median(values) for name, values in in_turn(rounds, times, **sides).items()}


def median(values: Iterable[float]) -> float:
    known = list(values)
    return statistics.median(known) if known else math.nan


def share(values: Sequence[float], at: float) -> float:
    """The value that a share `at` (0 to 1) of them does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(at * len(ranked)) - 1)] if ranked else math.nan


def say(progress: str) -> None:
    sys.stderr.write(f"  {progress}\n")
    sys.stderr.flush()
