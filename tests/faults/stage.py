"""A stage for two actors of whom one at a time takes its next step, in every order there is.

Knows Django's database connections alone. A step ends before a statement: on PostgreSQL before each
one and each commit; on SQLite, where a writing transaction shuts all others out, before each
statement outside a transaction and before each transaction.
"""

import heapq
import random
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

Act = Callable[[], object]
PATIENCE = 30.0  # seconds; far beyond any step, and beyond the database's own end of a deadlock
GLANCE = 0.002  # seconds until a step that has not ended is asked about at the database
# Django moves a condition that needs a join into a subselect. PostgreSQL (READ COMMITTED) looks
# again at a row it had to wait for, but not at the subselect: what it guards is no longer sure.
LOOSE_GUARD = re.compile(r'(?:UPDATE|DELETE FROM) "(\w+)".* IN \(SELECT .* FROM "\1"')


@dataclass
class Actor:
    """A thread with a database connection of its own, waiting for its next act or step."""

    number: int
    acts: "SimpleQueue[Act | None]" = field(default_factory=SimpleQueue)
    state: str = "idle"  # idle, waiting (before a step), running
    ahead: str = ""  # what its next step begins with
    backend: int = 0  # PostgreSQL's number of its connection
    result: object = None


@dataclass
class Run:
    """One order of steps: who was chosen, and who else could have been, at each of them."""

    chosen: list[int] = field(default_factory=list)
    possible: list[frozenset[int]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    results: list[object] = field(default_factory=list)

    def told(self) -> str:
        """The order for people: one line a step."""
        lines = zip(self.chosen, self.steps, strict=True)
        return "\n".join(f"  {'AB'[number]}  {shortened(step)}" for number, step in lines)


def shortened(sql: str) -> str:
    """Without the columns of a SELECT and the tables of columns."""
    return re.sub(r"SELECT .*? FROM", "SELECT … FROM", re.sub(r'("\w+"|\b\w\d)\.', "", sql))[:200]


def turns_away(chosen: Sequence[int], possible: Sequence[frozenset[int]]) -> int:
    """How often somebody was interrupted who could have gone on."""
    return sum(
        now != before and before in could
        for before, now, could in zip(chosen, chosen[1:], possible[1:], strict=False)
    )


def wait_for_no_disk() -> None:
    """This connection's commits are visible to the other at once, and on the disk later."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET synchronous_commit TO off")


class Stage:
    """Runs two acts against each other, again and again, with other orders of their steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._changed = threading.Condition()
        self._permitted: Actor | None = None
        self._here = threading.local()
        self.loose_guards: list[str] = []
        self.actors = [Actor(number) for number in range(2)]
        self._threads = [
            threading.Thread(target=self._play, args=[actor], daemon=True) for actor in self.actors
        ]
        commit = BaseDatabaseWrapper._commit

        def step_and_commit(wrapper: BaseDatabaseWrapper) -> None:
            if wrapper.vendor == "postgresql":
                self.step("COMMIT")
            commit(wrapper)

        monkeypatch.setattr(BaseDatabaseWrapper, "_commit", step_and_commit)
        wait_for_no_disk()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for actor in self.actors:
            actor.acts.put(None)
        for thread in self._threads:
            thread.join(PATIENCE)

    # In the actors' threads

    def _play(self, actor: Actor) -> None:
        self._here.actor = actor
        wait_for_no_disk()
        if connection.vendor == "postgresql":
            actor.backend = connection.connection.info.backend_pid
        with connection.execute_wrapper(self._before_statement):
            while (act := actor.acts.get()) is not None:
                self.step("enters")
                try:
                    actor.result = act()
                except BaseException as error:
                    actor.result = error
                with self._changed:
                    actor.state = "idle"
                    self._changed.notify_all()
        connection.close()

    def _before_statement(self, execute: Any, sql: str, params: Any, many: bool, context: Any):  # noqa: FBT001 - Django's signature
        if LOOSE_GUARD.match(sql):
            self.loose_guards.append(sql)
        if connection.vendor == "postgresql" or not connection.in_atomic_block:
            self.step(sql)
        return execute(sql, params, many, context)

    def step(self, ahead: str) -> None:
        """A step ends here, before `ahead`. In any other thread this is nothing."""
        actor: Actor | None = getattr(self._here, "actor", None)
        if actor is None:
            return
        with self._changed:
            actor.state, actor.ahead = "waiting", ahead
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._permitted is actor, PATIENCE)
            self._permitted = None
            actor.state = "running"
            self._changed.notify_all()

    # In the test's thread

    def run(self, acts: Sequence[Act], order: Sequence[int]) -> Run:
        """Both acts to their end: as `order` says, then without turning away from whoever runs."""
        run = Run()
        for actor, act in zip(self.actors, acts, strict=True):
            actor.state = "running"
            actor.acts.put(act)
        while possible := self._who_can_go_on():
            wanted = order[len(run.chosen)] if len(run.chosen) < len(order) else None
            if wanted not in possible:
                last = run.chosen[-1] if run.chosen else 0
                wanted = last if last in possible else min(possible)
            run.chosen.append(wanted)
            run.possible.append(possible)
            with self._changed:
                run.steps.append(self.actors[wanted].ahead)
                self._permitted = self.actors[wanted]
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: self._permitted is None, PATIENCE)
        run.results = [actor.result for actor in self.actors]
        return run

    def _who_can_go_on(self) -> frozenset[int]:
        """The actors before a step, once nobody runs but who waits for the other's lock. Empty:
        both are done.
        """
        for _glance in range(int(PATIENCE / GLANCE)):
            with self._changed:
                self._changed.wait_for(lambda: not self._in("running"), GLANCE)
                running, waiting = self._in("running"), self._in("waiting")
            if not running or (waiting and self._are_locked_out(running)):
                return frozenset(actor.number for actor in waiting)
        raise AssertionError(f"stuck: {[actor.state for actor in self.actors]}")

    def _in(self, state: str) -> list[Actor]:
        return [actor for actor in self.actors if actor.state == state]

    def _are_locked_out(self, actors: Sequence[Actor]) -> bool:
        """Whether each of them waits for a lock: asked of the lock table, which knows at once."""
        if connection.vendor != "postgresql":
            return False
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT bool_and(cardinality(pg_blocking_pids(pid)) > 0) FROM unnest(%s) AS pid",
                [[actor.backend for actor in actors]],
            )
            return cursor.fetchone()[0]


def every_order(
    stage: Stage, scene: Callable[[], Sequence[Act]], *, turns: int | None, most: int
) -> Iterator[Run]:
    """Play `scene` (which sets up anew and returns two acts) in every order of its steps that turns
    away at most `turns` times from somebody who could go on (None: any number). Those with the
    fewest turns come first, the others by lot, the same each time; after `most` it is enough.
    """
    lot = random.Random(1)
    ahead: list[tuple[int, float, tuple[int, ...]]] = [(0, 0.0, ())]
    for _run in range(most):
        if not ahead:
            return
        _turns, _lot, order = heapq.heappop(ahead)
        run = stage.run(scene(), order)
        yield run
        for at in range(len(order), len(run.chosen)):
            for other in run.possible[at] - {run.chosen[at]}:
                path = (*run.chosen[:at], other)
                turned = turns_away(path, run.possible[: at + 1])
                if turns is None or turned <= turns:
                    heapq.heappush(ahead, (turned, lot.random(), path))
