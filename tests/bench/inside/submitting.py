"""Submitting as fast as one process can, beside a bare conditional UPDATE and a naive spender.

Knows `generation.submit`, the audits and the models.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from accounts import auditing as accounts_auditing
from accounts.models import NotEnoughCredits, User, Wallet
from avatars import auditing as avatars_auditing
from avatars import generation
from avatars.models import AvatarRequest, FacePhoto
from tests import factories
from tests.bench.inside import making

RAW = "UPDATE accounts_wallet SET available = available - 1 WHERE id = %s AND available >= 1"
PLENTY = 1_000_000_000


def prepare(clients: int, people: int) -> dict[str, Any]:
    """People of each client, one person whom all share, and a wallet of nobody's for each."""
    return {
        "own": [making.people(people, credits=1_000_000) for _ in range(clients)],
        "shared": making.person(credits=1_000_000),
        "bare": [Wallet.objects.create(available=PLENTY).pk for _ in range(clients)],
    }


def be_ready() -> None:
    """Everything loaded and connected before the first window opens."""
    connection.ensure_connection()


def submits(own: list[int], start_at: float, seconds: float, threads: int = 1) -> dict[str, Any]:
    """Submits by these people in turn, from `start_at` on (monotonic) for so many seconds."""
    people = _people(own)

    def submit(turn: int) -> None:
        user, photo = people[turn % len(people)]
        generation.submit(user, factories.wish(photo))

    return _counted(submit, start_at, seconds, threads)


def updates(wallet: int, start_at: float, seconds: float) -> dict[str, Any]:
    """The floor: the one statement without which nothing is spent, written as the product writes
    its own, each in its own transaction.
    """

    def update(_turn: int) -> None:
        enough = Wallet.objects.filter(pk=wallet, available__gte=1)
        assert enough.update(available=F("available") - 1) == 1

    return _counted(update, start_at, seconds, 1)


def raw_updates(wallet: int, start_at: float, seconds: float) -> dict[str, Any]:
    """The same statement as a ready text: what the database alone can do."""

    def update(_turn: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(RAW, [wallet])

    return _counted(update, start_at, seconds, 1)


def statements(own: list[int]) -> int:
    """How many statements one submit is, those that begin and end transactions included."""
    ((user, photo),) = _people(own[:1])
    with CaptureQueriesContext(connection) as asked:
        generation.submit(user, factories.wish(photo))
    clear(own[:1])
    return len(asked)


def clear(own: list[int]) -> int:
    """Cancel what these people have in line."""
    waiting = AvatarRequest.objects.filter(user__in=own).open().select_related("hold__wallet")
    return sum(generation.cancel(avatar_request) for avatar_request in waiting)


def spend_all(own: list[int], start_at: float, threads: int) -> dict[str, Any]:
    """One person's submits from several threads at once, until the wallet refuses."""
    ((user_pk, photo),) = [(user.pk, photo) for user, photo in _people(own)]

    def spend(_turn: int) -> None:
        user = User.objects.select_related("wallet", "quota").get(pk=user_pk)
        generation.submit(user, factories.wish(photo))

    return _counted(spend, start_at, 60, threads, until=NotEnoughCredits)


class Spent(Exception):
    """The naive spender saw an empty wallet."""


def spend_naively(wallet: int, start_at: float, threads: int) -> dict[str, Any]:
    """What everybody writes first: read, check, save."""

    def spend(_turn: int) -> None:
        row = Wallet.objects.get(pk=wallet)
        if row.available < 1:
            raise Spent
        row.available -= 1
        row.save(update_fields=["available"])

    return _counted(spend, start_at, 60, threads, until=Spent)


def purse(credits: int) -> dict[str, int]:
    """A person with exactly so many credits, and a wallet of nobody's with as many."""
    bare = Wallet.objects.create(available=credits)
    return {"person": making.person(credits=credits), "bare": bare.pk}


def findings() -> list[str]:
    """What the audit says about everything that happened; wallets of nobody's left out, which
    were changed without any transfer.
    """
    Wallet.objects.filter(user=None).delete()
    found = [*accounts_auditing.findings(), *avatars_auditing.findings()]
    return [str(one) for one in found]


def deadlocks() -> int:
    """PostgreSQL's own count for this database."""
    time.sleep(1.5)  # it is told of each process's within a second
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def _people(own: list[int]) -> list[tuple[User, FacePhoto]]:
    users = User.objects.select_related("wallet", "quota").in_bulk(own)
    photos = {photo.user_id: photo for photo in FacePhoto.objects.filter(user__in=own)}
    return [(users[pk], photos[pk]) for pk in own]


def _counted(
    act: Callable[[int], None],
    start_at: float,
    seconds: float,
    threads: int,
    until: type[Exception] = Spent,
) -> dict[str, Any]:
    """How often the act was done, in how many seconds, and what went wrong, over all threads."""
    errors: Counter[str] = Counter()
    lock = threading.Lock()
    end_at = start_at + seconds

    def work(index: int) -> int:
        done = 0
        time.sleep(max(0.0, start_at - time.monotonic()))
        while time.monotonic() < end_at:
            try:
                act(index + done)
            except until:
                break
            except (DatabaseError, generation.SubmitRefused) as error:
                with lock:
                    errors[f"{type(error).__name__}: {error}"[:120]] += 1
            else:
                done += 1
        return done

    def work_apart(index: int) -> int:
        try:
            return work(index)
        finally:
            connection.close()

    if threads == 1:
        done = work(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            done = sum(pool.map(work_apart, range(threads)))
    return {"done": done, "seconds": time.monotonic() - start_at, "errors": errors}
