"""A worker or site that dies, or falls asleep, at the crossing a test has named in a file.

`celery -A tests.faults.doomed worker …` and `gunicorn tests.faults.doomed:application` are the
product's own, with the doors watched. Knows the crossings, the Celery app and the WSGI entry.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery.signals import task_postrun, task_prerun

from config.celery import app as app  # what `celery -A` looks for
from config.wsgi import application as site  # sets Django up, so it comes before the crossings
from tests.faults.crossings import watched_doors
from tests.faults.marks import DOOM, MET, OVER

LOCAL = Path(os.environ["LOCAL_DIR"])
PART = os.environ["PART"]

# What others see of the request at that moment, read on a connection of its own; or of the newest
# purchase of whose address is the mark: its state, whether Stripe's number is known, what went
# back, its refund.
SEEN = """
    SELECT request.state, attempt.sent_at IS NOT NULL, attempt.provider_job_id IS NOT NULL
    FROM avatars_avatarrequest request LEFT JOIN avatars_attempt attempt
    ON attempt.request_id = request.id WHERE request.prompt LIKE '%%' || %s || '%%'
"""
SEEN_OF_MONEY = """
    SELECT purchase.state, purchase.session_id IS NOT NULL, purchase.credits_back, refund.state
    FROM accounts_purchase purchase JOIN accounts_user buyer ON buyer.id = purchase.user_id
    LEFT JOIN accounts_refund refund ON refund.purchase_id = purchase.id
    WHERE buyer.email = %s ORDER BY purchase.id DESC, refund.id DESC LIMIT 1
"""

here = threading.local()  # `act`: what this thread is doing; empty between two acts
passed: list[str] = []  # crossings of the doomed act and name, in this process


def wanted(name: str) -> dict[str, Any] | None:
    """The doom of this part, act and crossing, while nobody has met it."""
    try:
        doom = json.loads((LOCAL / DOOM).read_text())
    except FileNotFoundError:
        return None
    mine = PART.startswith(doom["part"]) and getattr(here, "act", "") == doom["act"]
    return doom if mine and doom["crossing"] == name else None


def meet_doom(name: str) -> bool:
    """Called at every crossing. Whoever dies here says nothing more; who slept goes on."""
    doom = wanted(name)
    if doom is None:
        return False
    passed.append(name)
    if len(passed) < doom["nth"]:
        return False
    passed.clear()
    (LOCAL / DOOM).unlink()
    with psycopg.connect(os.environ["DATABASE_URL"]) as looking:
        asked = SEEN_OF_MONEY if "@" in doom["mark"] else SEEN
        seen = looking.execute(asked, [doom["mark"]]).fetchone()
    half = LOCAL / f"{MET}.half"
    half.write_text(json.dumps({"pid": os.getpid(), "seen": seen}))
    half.rename(LOCAL / MET)
    os.kill(os.getpid(), signal.SIGSTOP if doom["sleeps"] else signal.SIGKILL)
    here.has_slept = True
    return False


def is_acting() -> bool:
    return bool(getattr(here, "act", ""))


doors = watched_doors(pytest.MonkeyPatch())
doors.is_last = meet_doom  # a death of the whole process instead of an exception
forever = ExitStack()
forever.enter_context(doors.dying_at(None, is_acting))


@task_prerun.connect
def begin_task(task: Any, **_: object) -> None:
    here.act = task.name


@task_postrun.connect
def end_task(**_: object) -> None:
    here.act = ""
    if getattr(here, "has_slept", False):
        here.has_slept = False
        (LOCAL / OVER).touch()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The site; an act is a method and the first part of a path: "POST /create"."""
    here.act = f"{environ['REQUEST_METHOD']} /{environ['PATH_INFO'].split('/')[1]}"
    try:
        return site(environ, start_response)
    finally:
        here.act = ""
