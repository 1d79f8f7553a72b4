"""Sweeps among thousands of rows: their time, their one query for what is due, their memory.

Knows generation, the tasks and the models.
"""

import threading
import time
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from avatars import generation, sending, tasks
from avatars.models import Attempt, AvatarRequest


def fill_places() -> int:
    """Every place at the provider taken, as it is while anybody waits; nothing of it is due."""
    taken = sending.dispatch()
    now = timezone.now()
    for avatar_request in AvatarRequest.objects.filter(pk__in=taken):
        avatar_request.claim(now)
    return len(taken)


def with_a_free_place() -> float:
    """Seconds of a sweep that finds one free place and gives it to the line."""
    leaving = Attempt.objects.live().select_related("request").latest("pk")
    assert sending.back_in_line(leaving.request, leaving, timezone.now())
    began_at = time.perf_counter()
    started = generation.sweep()
    seconds = time.perf_counter() - began_at
    assert len(started) == 1, started
    assert AvatarRequest.objects.get(pk=started[0]).claim(timezone.now())
    return seconds


def idle() -> float:
    """Seconds of the whole tick when nothing is to be done: sweep and letters."""
    began_at = time.perf_counter()
    tasks.sweep()
    return time.perf_counter() - began_at


def due_queries() -> list[dict[str, str]]:
    """How an idle sweep asks for rows that are due, and how the database finds them."""
    with CaptureQueriesContext(connection) as asked:
        assert generation.sweep() == []
    told = [query["sql"] for query in asked.captured_queries]
    due = [sql for sql in told if '"avatars_avatarrequest"."due_at" <=' in sql]
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    plans = []
    with connection.cursor() as cursor:
        for sql in due:
            cursor.execute(explain + sql)
            plan = " | ".join(str(row[-1]).strip() for row in cursor.fetchall())
            plans.append({"for": sql[sql.index("WHERE") :][:160], "plan": plan})
    return plans


def wait_in_threads(number: int) -> dict[str, Any]:
    """The naive worker: a task for each request that waits, asking now and then whether it is its
    turn. Memory (KiB, resident) and threads it holds with so many waiting.
    """
    over = threading.Event()

    def task() -> None:
        while not over.wait(1):
            pass

    waiting = [threading.Thread(target=task, daemon=True) for _ in range(number)]
    for thread in waiting:
        thread.start()
    held = {"memory": resident(), "threads": threading.active_count()}
    over.set()
    for thread in waiting:
        thread.join()
    return held


def resident() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
