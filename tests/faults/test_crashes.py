"""A death at every crossing of a request's life: a picture or the credit back, once, and no orphan.

Knows the verbs, the stand-in and its books, and the crossings. The worker dies before or after
each commit, HTTP exchange and storage call, and its leases run out; then the sweep goes on.
"""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import Kind, Transfer, User
from avatars import auditing as avatars_auditing
from avatars import download, face_gen, generation, safekeeping, storage
from avatars.models import Attempt, Avatar, AvatarRequest, FacePhoto, State
from avatars.models.avatar_requests import UNDER_WAY
from tests import engine, factories
from tests.faults.crossings import Killed

pytest_plugins = ["tests.faults.crossings"]
pytestmark = pytest.mark.django_db(transaction=True)

# CRASHES=all tries every moment of every behaviour; CRASHES=pairs kills the one who takes over too.
DEPTH = os.environ.get("CRASHES", "")
ROUNDS = 14  # sweeps, each as if all waits were over, before the promise runs out
CREDITS = 2
MOST_MOMENTS = 400
BELL_SECONDS = 5.0
# Beyond every late look (20 h) and every forgotten upload (1 h).
LATER = timedelta(hours=25)
FIRST_LATE_LOOK = timedelta(minutes=6)


@dataclass(frozen=True)
class Behaviour:
    """How the provider plays, in the words of its stand-in; `every` tries only each so-manieth
    moment per commit.
    """

    words: str
    every: int = 3
    linked: bool = True
    busy_once: bool = False
    always_ready: bool = False

    def __str__(self) -> str:
        return self.words or "usual"


# `always_ready`: the provider draws and rings, so one death must not cost the picture.
BEHAVIOURS = (
    Behaviour("", every=1, always_ready=True),
    Behaviour("sync]] [[hook-on-sync=on", every=2, always_ready=True),
    Behaviour("hook=never"),
    Behaviour("hook=early", always_ready=True),
    Behaviour("hook=twice", always_ready=True),
    Behaviour("drop-after", always_ready=True),
    Behaviour("drop-after]] [[hook=never"),
    Behaviour("html524", always_ready=True),
    Behaviour("html524]] [[hook=early", always_ready=True),
    Behaviour("face=at-start"),
    Behaviour("html524]] [[face=at-start"),
    Behaviour("fail"),
    Behaviour("fail]] [[hook=never"),
    Behaviour("late404=5", always_ready=True),
    Behaviour("black"),
    Behaviour("late=500"),
    Behaviour("usual, once busy", busy_once=True, always_ready=True),
    Behaviour("usual, inline", linked=False),
    Behaviour("drop-after]] [[base64=bare", linked=False),
    Behaviour("fail", linked=False),
)


@pytest.fixture
def outside(settings, live_server, provider, monkeypatch, tmp_path):
    """The provider's stand-in, and a storage of this test's own."""
    settings.STORAGES = {
        **settings.STORAGES,
        "private": {
            "BACKEND": "avatars.storage.PrivateFileStorage",
            "OPTIONS": {"location": str(tmp_path / "media")},
        },
    }
    settings.PUBLIC_BASE_URL = live_server.url
    monkeypatch.setattr(download, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(face_gen, "LOOK_SECONDS", 2.0)
    return provider


@pytest.fixture(scope="module")
def face() -> bytes:
    return factories.portrait()


class Life:
    """One request from the click to its end, and the provider's side of it."""

    def __init__(self, provider, behaviour: Behaviour, face: bytes) -> None:
        provider.reset()
        if behaviour.busy_once:
            provider.switch(**{"429": True})
        self.provider, self.behaviour = provider, behaviour
        self.ada: User = factories.create_user(credits=CREDITS)
        self.photo = factories.create_photo(self.ada, face)
        words = behaviour.words.startswith("usual") or behaviour.words
        told = "" if words is True else f" [[{words}]]" if words else ""
        self.wish = factories.wish(
            self.photo, prompt=f"a lighthouse keeper{told}", number=uuid.uuid4()
        )

    def submit(self) -> None:
        """Press the button. Pressed again, with the same number, it is the same request."""
        generation.submit(User.objects.get(pk=self.ada.pk), self.wish)

    def row(self) -> AvatarRequest:
        return AvatarRequest.objects.select_related("resolution").get(public_id=self.wish.number)

    def go_on(self) -> bool:
        """One round of sweeping, the provider's time and bells. True once the request has ended."""
        engine.hurry()
        engine.step()
        if self.behaviour.busy_once and self.provider.switches.is_on("429"):
            self.provider.switch(**{"429": False})
        self.provider.advance(2)
        self.hear_the_bells()
        return not self.row().is_open()

    def hear_the_bells(self) -> None:
        """Wait until the provider has rung for every job that has ended, if it rings at all."""
        silent = not self.behaviour.linked or "hook=" in self.behaviour.words
        give_up_at = time.monotonic() + BELL_SECONDS
        while not silent and time.monotonic() < give_up_at:
            rung = {line["job"] for line in self.provider.books.lines("webhook")}
            ended = {line["job"] for line in self.provider.books.lines("generated", "failed")}
            if ended <= rung:
                return
            time.sleep(0.005)
        assert silent, "the stand-in did not ring"

    def work(self) -> None:
        """What the product does for this request, until it ends or its promise runs out."""
        self.submit()
        if not any(self.go_on() for _ in range(ROUNDS)):
            engine.promise_runs_out()
            engine.step()

    def leases_run_out(self) -> None:
        """The dead worker's memory and connection are gone, and its claims with time."""
        connection.close()
        now = timezone.now()
        claimed = [*UNDER_WAY, State.FAILED]
        AvatarRequest.objects.filter(state__in=claimed, due_at__gt=now).update(due_at=now)


def books() -> list[object]:
    return [*accounts_auditing.findings(), *avatars_auditing.findings(files=True)]


def promise_is_kept(life: Life, *, deaths: int) -> None:
    """By our rows, by the audits, and by the provider's own books."""
    row, provider = life.row(), life.provider
    cost = row.cost
    wallet = User.objects.get(pk=life.ada.pk).wallet
    is_ready = row.state == State.READY
    pictures = list(Avatar.objects.filter(request=row).values_list("gift", flat=True))
    resolutions = Transfer.objects.filter(reference=f"resolve:{row.public_id}")
    assert list(resolutions.values_list("kind", "amount")) == [
        (Kind.CAPTURE if is_ready else Kind.RELEASE, cost)
    ]
    assert (wallet.available, wallet.reserved) == (CREDITS - cost * is_ready, 0)
    assert pictures == ([False] if is_ready else []) or (not is_ready and pictures == [True])
    assert bool(row.reason) is not is_ready
    assert not Attempt.objects.live().exists()
    if life.behaviour.always_ready and deaths < 2:
        assert (row.state, row.reason) == (State.READY, "")
    jobs = provider.books.jobs()
    assert sum(job.generated for job in jobs) <= 1, "two pictures were drawn for one request"
    # A second order may follow only one that can draw no more.
    assert [job.generated for job in jobs[:-1]] == [0] * len(jobs[:-1])
    assert len(jobs) <= (2 if life.behaviour.linked else 1 + sum(bool(j.failed) for j in jobs))
    assert provider.books.violations() == []
    assert [line for line in provider.books.strays() if line["key_seen"]] == []


def nothing_is_left_over(life: Life) -> None:
    """A day later: no journal row but of what is kept, no object without one; then all is erased."""
    with time_machine.travel(timezone.now() + FIRST_LATE_LOOK):
        engine.step()
    with time_machine.travel(timezone.now() + LATER):
        engine.step()
        safekeeping.erase_due()
        assert books() == []
        kept = {life.photo.file.key, life.photo.thumb.key}
        for avatar in Avatar.objects.filter(request=life.row()):
            kept |= {avatar.master_key, avatar.thumb_key}
        assert objects() == kept
        erase_everything(life)
        safekeeping.erase_due()
        assert objects() == set()
        assert books() == []


def objects() -> set[str]:
    return storage.keys("photos") | storage.keys("avatars")


def erase_everything(life: Life) -> None:
    safekeeping.erase(FacePhoto.objects.get(pk=life.photo.pk))
    for avatar in Avatar.objects.filter(request=life.row()):
        safekeeping.purge(avatar)


def dies(crossings, moment: int | None, work: Callable[[], None]) -> bool:
    """Whether the death came: there may be fewer moments than that."""
    try:
        with crossings.dying_at(moment):
            work()
    except Killed:
        return True
    return False


def survives(outside, crossings, behaviour, face, moment: int, second: int | None = None) -> bool:
    """One life with a death at `moment` (and one of its successor at `second`), checked to the
    last object. False when nobody died any more.
    """
    life = Life(outside, behaviour, face)
    deaths = int(dies(crossings, moment, life.work))
    if deaths:
        life.leases_run_out()
        if dies(crossings, second, life.work):
            deaths += 1
            life.leases_run_out()
            life.work()
    promise_is_kept(life, deaths=deaths)
    nothing_is_left_over(life)
    return deaths == (1 if second is None else 2)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=str)
def test_a_worker_that_dies_at_any_crossing_costs_neither_picture_nor_credit(
    outside, settings, crossings, behaviour, face
):
    if not behaviour.linked:
        settings.PUBLIC_BASE_URL = ""
    stride = 1 if DEPTH else behaviour.every
    moment, tried = 1, 0
    while survives(outside, crossings, behaviour, face, moment):
        moment, tried = moment + stride, tried + 1
        assert moment < MOST_MOMENTS
    assert tried >= 20 // stride
    print(f"{behaviour}: {moment} {tried} {len(crossings.names)}")
