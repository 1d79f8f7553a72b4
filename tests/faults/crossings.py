"""Crossings: the moments at which work leaves its process, and a death at the k-th of them.

Knows the doors of the product (database, HTTP, storage) from outside; it needs no hook inside.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import stripe
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from avatars import download, face_gen, storage

WRITES = ("INSERT", "UPDATE", "DELETE")


class Killed(BaseException):
    """The process is gone in the middle of its work. No code of ours may catch this."""


class Crossings:
    """Counts the moments before and after every commit, HTTP exchange and storage call of one
    actor, and stops the actor at the one that was asked for.

    A moment lies before or after something lasting; nothing lasting happens between two of them,
    so dying at each of them is dying anywhere. A put has a third one: half of its bytes written.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._stop_at: int | None = None
        self._is_actor: Callable[[], bool] = lambda: False

    @contextmanager
    def dying_at(
        self, moment: int | None, is_actor: Callable[[], bool] | None = None
    ) -> Iterator[None]:
        """Within the block the actor (default: this thread) dies at its `moment`-th moment,
        counted from 1; None or one beyond the last: it lives.
        """
        me = threading.get_ident()
        self.names, self._stop_at = [], moment
        self._is_actor = is_actor or (lambda: threading.get_ident() == me)
        try:
            yield
        finally:
            self._is_actor = lambda: False

    def comes_here(self) -> bool:
        return self._is_actor()

    def is_last(self, name: str) -> bool:
        """Note one moment; True when it is the one to die at."""
        self.names.append(name)
        return len(self.names) == self._stop_at

    def pass_by(self, name: str) -> None:
        if self.is_last(name):
            raise Killed(name)

    def around(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        """`act` with a moment before and one after it."""

        def crossing(*args: Any, **kwargs: Any) -> Any:
            if not self.comes_here():
                return act(*args, **kwargs)
            self.pass_by(f"before {name}")
            result = act(*args, **kwargs)
            self.pass_by(f"after {name}")
            return result

        return crossing


def watched_doors(monkeypatch: pytest.MonkeyPatch) -> Crossings:
    """The doors of this process, watched until the test ends."""
    watched = Crossings()
    commit, execute, put = BaseDatabaseWrapper._commit, CursorWrapper.execute, storage.put

    def commit_or_die(wrapper: BaseDatabaseWrapper) -> None:
        if not watched.comes_here():
            commit(wrapper)
            return
        if watched.is_last("before a commit"):
            # A dead process commits nothing; Django's own way out would, on SQLite.
            wrapper._rollback()
            raise Killed("before a commit")
        commit(wrapper)
        watched.pass_by("after a commit")

    def execute_or_die(cursor: CursorWrapper, sql: str, params: object = None) -> object:
        alone = not cursor.db.in_atomic_block and sql.lstrip().upper().startswith(WRITES)
        if not (alone and watched.comes_here()):
            return execute(cursor, sql, params)
        return watched.around(f"{sql.split()[0]} by itself", execute)(cursor, sql, params)

    def put_or_die(key: str, content: bytes) -> None:
        if watched.comes_here() and watched.is_last("half of a put"):
            put(key, content[: len(content) // 2])
            raise Killed("half of a put")
        watched.around("a put", put)(key, content)

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", commit_or_die)
    monkeypatch.setattr(CursorWrapper, "execute", execute_or_die)
    monkeypatch.setattr(storage, "put", put_or_die)
    for name in ("read", "remove", "put_file", "pieces"):
        monkeypatch.setattr(storage, name, watched.around(f"a {name}", getattr(storage, name)))
    for client, name in ((face_gen, "a call to the provider"), (download, "a download")):
        monkeypatch.setattr(client, "exchange", watched.around(name, client.exchange))
    asks = stripe.RequestsClient.request
    monkeypatch.setattr(stripe.RequestsClient, "request", watched.around("a call to Stripe", asks))
    return watched
