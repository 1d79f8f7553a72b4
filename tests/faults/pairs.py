"""Pairs of actors on one request: where they play, and what must be true after each order.

Knows the stage, the verbs and both audits. Of the outside each answer is one step; nothing of ours
is replaced.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Case, Count, F, Q, Value, When
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import Transfer, User, Wallet
from avatars import auditing as avatars_auditing
from avatars import download, face_gen, generation, imaging, sending
from avatars.face_gen import Answer
from avatars.face_gen import Outcome as Seen
from avatars.imaging import Renditions
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Breaker,
    FacePhoto,
    Reason,
    State,
    StoredFile,
)
from avatars.models.attempts import Outcome, Service
from tests import engine, factories
from tests.faults.stage import Act, Stage, every_order

# INTERLEAVINGS=3000 plays up to that many orders of each pair, however often they turn away; per
# commit it is those with the fewest turns. A pair has more orders on PostgreSQL, but slower ones.
LONG = int(os.environ.get("INTERLEAVINGS", "0"))
TURNS = None if LONG else 2
MOST = {"sqlite": LONG or 60, "postgresql": LONG or 40}

OUTPUT = "http://127.0.0.1:9/temp/x-0.png"
DRAWN = Answer(Seen.DONE, outputs=(OUTPUT,))
PICTURE = Renditions(b"master", b"thumb", 512, 768, 3, "0" * 16)
job_numbers = itertools.count(700_000_000)


@dataclass
class Scene:
    """What a pair plays on: Ada, her photo, one request, and what the provider says to a look."""

    stage: Stage
    ada: User
    photo: FacePhoto
    row: AvatarRequest | None = None
    look: Answer = DRAWN
    posts: int = 0
    orders: int = 0
    began: datetime | None = None

    def enter(self, state: State) -> int:
        """A request of Ada's in that state, due now; nothing else will start."""
        nothing_starts()
        self.row = factories.create_request_in(state, self.ada, photo=self.photo)
        self.posts = 0
        return self.row.pk

    def now(self) -> AvatarRequest:
        self.row.refresh_from_db()
        return self.row

    def answer_look(self, _job_id: str) -> Answer:
        self.stage.step("a look at the provider")
        return self.look

    def answer_submit(self, _order: face_gen.Order) -> Answer:
        self.stage.step("a POST to the provider")
        self.posts += 1
        return Answer(Seen.ACCEPTED, job_id=str(next(job_numbers)))


def nothing_starts() -> None:
    """A paused breaker keeps the scene to its two actors."""
    Breaker.of(Service.FACE_GEN).pause(timezone.now() + timedelta(hours=1), "the scene")


def slots_are_free() -> None:
    Breaker.objects.update(paused_until=None)


def advancing(pk: int) -> Act:
    return lambda: generation.advance(pk) and None


def taking_over(pk: int) -> Act:
    """The lease of whoever claimed it has run out, and a second worker comes."""

    def act() -> None:
        AvatarRequest.objects.filter(pk=pk, due_at__isnull=False).update(due_at=timezone.now())
        generation.advance(pk)

    return act


def running_out(pk: int) -> Act:
    """The promised moment comes, and a second worker sees it."""

    def act() -> None:
        now = timezone.now()
        AvatarRequest.objects.open().filter(pk=pk).update(deadline_at=now, due_at=now)
        generation.advance(pk)

    return act


@contextmanager
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """The stage with Ada on it. Of the outside each answer is one step; nothing of ours is
    replaced.
    """
    ada = factories.create_user()
    ada.quota.max_per_day = 1_000_000
    ada.quota.save()
    stage = Stage(monkeypatch)
    scene = Scene(stage, ada, factories.create_photo(ada))
    monkeypatch.setattr(settings, "PUBLIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(face_gen, "look", scene.answer_look)
    monkeypatch.setattr(face_gen, "submit", scene.answer_submit)
    monkeypatch.setattr(download, "fetch", lambda _address: stage.step("a download"))
    monkeypatch.setattr(imaging, "render_avatar", lambda _content, **_options: PICTURE)
    try:
        yield scene
    finally:
        stage.close()


def play(
    scene: Scene,
    set_up: Callable[[], Sequence[Act]],
    outcome: Callable[..., object],
    legal: set[object],
) -> None:
    """Play the two acts that `set_up` returns in every order. Nobody trips, what `outcome` makes
    of their results is one of `legal`, the books add up and all comes to an end; and each of
    `legal` was seen.
    """

    traces = set()

    def begin() -> Sequence[Act]:
        scene.began = timezone.now()
        return set_up()

    def judge() -> None:
        if (trace := what_is_left(scene)) not in traces:
            traces.add(trace)
            books_add_up()
            all_comes_to_an_end()
        clear()

    scene.orders += play_on(scene.stage, begin, outcome, legal, judge)
    books_add_up()  # of all orders: no row is ever taken away


def play_on(
    stage: Stage,
    set_up: Callable[[], Sequence[Act]],
    outcome: Callable[..., object],
    legal: set[object],
    judge: Callable[[], None],
    most: int = 0,
) -> int:
    """The same on any stage, with a `judge` of what each order has left, and at `most` so many per
    commit. Returns how many there were.
    """
    endings, orders = set(), 0
    most = LONG or most or MOST[connection.vendor]
    for run in every_order(stage, set_up, turns=TURNS, most=most):
        orders += 1
        try:
            for result in run.results:
                if isinstance(result, BaseException):
                    raise AssertionError("somebody tripped") from result
            endings.add(ending := outcome(*run.results))
            assert ending in legal, f"not legal: {ending}"
            judge()
        except AssertionError as error:
            error.add_note(f"the order of steps was\n{run.told()}")
            raise
    assert endings == legal, f"never seen: {legal - endings}"
    assert not stage.loose_guards, "\n".join({*stage.loose_guards})
    return orders


def what_is_left(scene: Scene) -> str:
    """All that the audits and the next step of the engine can tell one ending from another by. What
    looks the same goes on the same, so it is followed to its end only once a pair.
    """
    now = timezone.now()
    requests = AvatarRequest.objects.filter(created_at__gte=scene.began).order_by("pk")
    due = Case(
        When(due_at=None, then=Value("never")),
        When(due_at__lte=now, then=Value("now")),
        When(due_at=F("deadline_at"), then=Value("at its deadline")),
        default=Value("later"),
    )
    attempts = Attempt.objects.filter(request__in=requests).order_by("pk")
    known = attempts.annotate(
        job=Q(provider_job_id__isnull=False), sent=Q(sent_at__isnull=False), live=Q(ended_at=None)
    )
    files = StoredFile.objects.filter(created_at__gte=scene.began).order_by("state")
    left = (
        requests.annotate(due=due).values_list("state", "due", "tries", "setbacks", "reason"),
        known.values_list(
            "number",
            "slot_no",
            "face_open",
            "face_hits",
            "outcome",
            "job",
            "sent",
            "live",
            "outputs",
        ),
        Transfer.objects.filter(created_at__gte=scene.began).order_by("pk").values_list("kind"),
        Avatar.objects.filter(request__in=requests).values_list("gift"),
        files.values_list("state"),
        Wallet.objects.filter(user=scene.ada).values_list("reserved"),
    )
    return repr([list(rows) for rows in left])


def books_add_up() -> None:
    found = [*accounts_auditing.findings(), *avatars_auditing.findings()]
    assert not found, found
    spent = [Outcome.UNREAD, Outcome.FAILED, Outcome.REFUSED, Outcome.RETURNED]
    may_draw = Attempt.objects.filter(sent_at__isnull=False).exclude(outcome__in=spent)
    twice = may_draw.values("request").annotate(orders=Count("pk")).filter(orders__gt=1)
    assert list(twice) == [], "two pictures may be drawn for one request"


def all_comes_to_an_end() -> None:
    """The provider takes orders again and all waits are over; then the promise runs out."""
    for wait_is_over in (engine.hurry, engine.promise_runs_out):
        wait_is_over()
        engine.step()
        books_add_up()
    assert not AvatarRequest.objects.open().exists()
    assert not Attempt.objects.live().exists()


def clear() -> None:
    """The next scene finds free slots, an empty line and nothing to look at."""
    for avatar_request in AvatarRequest.objects.open().select_related("hold__wallet"):
        assert sending.give_up(avatar_request, Reason.LATE, timezone.now())
    AvatarRequest.objects.filter(due_at__isnull=False).update(due_at=None)
