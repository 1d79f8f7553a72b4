"""A death at every crossing of a request's life: a picture or the credit back, once, and no orphan.

Knows the verbs, the stand-in and its books, and the crossings. The worker dies before or after
each commit, HTTP exchange and storage call, and its leases run out; then the sweep goes on.
"""

import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import Kind, Transfer, User
from avatars import auditing as avatars_auditing
from avatars import download, face_gen, generation, safekeeping, sending, storage
from avatars.models import Attempt, Avatar, AvatarRequest, FacePhoto, State
from avatars.models.avatar_requests import UNDER_WAY
from avatars.models.files import WRITER_GRACE
from tests import engine, factories
from tests.faults.crossings import Crossings, Killed, watched_doors

pytestmark = pytest.mark.django_db(transaction=True)

# CRASHES=all tries every moment of every behaviour; CRASHES=pairs kills the successor as well.
DEPTH = os.environ.get("CRASHES", "")
CREDITS = 2
MOST_MOMENTS = 500
BELL_SECONDS = 5.0
LATE_LOOK = timedelta(minutes=6)
# Beyond every late look (20 h), every forgotten upload (1 h) and every promise.
DAY_AFTER = timedelta(hours=25)
PHOTOS = Path(__file__).parent.parent / "photos"


@dataclass(frozen=True)
class Behaviour:
    """How the provider plays, in the words of its stand-in. Per commit only each `stride`-th
    moment is tried; `rounds` sweeps pass, as if all waits were over, before the promise runs out.
    """

    words: str
    stride: int = 3
    rounds: int = 14
    linked: bool = True
    busy_once: bool = False
    # The provider draws and rings, so that one death may not even cost the picture.
    sure: bool = False

    def __str__(self) -> str:
        mode = "link" if self.linked else "inline"
        return f"{mode}:{self.words or 'usual'}{' after 429' * self.busy_once}"


BEHAVIOURS = (
    Behaviour("", stride=1, sure=True),
    Behaviour("sync hook-on-sync=on", stride=2, sure=True),
    Behaviour("hook=never", stride=2),
    Behaviour("hook=early", sure=True),
    Behaviour("hook=twice", sure=True),
    Behaviour("drop-after", stride=2, sure=True),
    Behaviour("drop-after hook=never", rounds=3),
    Behaviour("html524", sure=True),
    Behaviour("html524 hook=early", sure=True),
    Behaviour("face=at-start"),
    Behaviour("html524 face=at-start"),
    Behaviour("fail"),
    Behaviour("fail hook=never"),
    Behaviour("late404=5", sure=True),
    Behaviour("black"),
    Behaviour("late=500", stride=2, rounds=2),
    Behaviour("", busy_once=True, sure=True),
    Behaviour("", linked=False),
    Behaviour("drop-after", linked=False, rounds=3),
    Behaviour("fail", linked=False),
)


@pytest.fixture(scope="module")
def face() -> bytes:
    return factories.portrait()


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


@pytest.fixture
def crossings(monkeypatch) -> Crossings:
    return watched_doors(monkeypatch)


class Life:
    """One request from the click to its end, with the provider's side of it."""

    def __init__(self, provider, behaviour: Behaviour, face: bytes) -> None:
        provider.reset()
        if behaviour.busy_once:
            provider.switch(**{"429": True})
        self.provider, self.behaviour = provider, behaviour
        self.ada: User = factories.create_user(credits=CREDITS)
        self.photo = factories.create_photo(self.ada, face)
        told = "".join(f" [[{word}]]" for word in behaviour.words.split())
        self.wish = factories.wish(
            self.photo, prompt=f"a lighthouse keeper{told}", number=uuid.uuid4()
        )

    def row(self) -> AvatarRequest:
        return AvatarRequest.objects.get(public_id=self.wish.number)

    def work(self) -> None:
        """Everything the product does for this request: from the button (pressed again after a
        death; the same number is the same request) to its end and, if it failed, a late look.
        """
        generation.submit(User.objects.get(pk=self.ada.pk), self.wish)
        if not any(self.go_on() for _ in range(self.behaviour.rounds)):
            engine.promise_runs_out()
            engine.step()
        self.provider.advance(600)
        self.hear_the_bells()
        with time_machine.travel(timezone.now() + LATE_LOOK):
            engine.step()

    def go_on(self) -> bool:
        """One sweep as if all waits were over, with the provider's time and bells. True once the
        request has ended.
        """
        engine.hurry()
        engine.step()
        if self.behaviour.busy_once and self.provider.switches.is_on("429"):
            self.provider.switch(**{"429": False})
        self.provider.advance(2)
        self.hear_the_bells()
        return not self.row().is_open()

    def hear_the_bells(self) -> None:
        """Wait until the provider has rung for each job that has ended, if it rings at all. A bell
        is heard in another thread: none may still be on its way when time is moved.
        """
        words = self.behaviour.words.split()
        if not self.behaviour.linked or {"hook=never", "hook=early"} & set(words):
            return
        give_up_at = time.monotonic() + BELL_SECONDS
        while not self.all_have_rung(2 if "hook=twice" in words else 1):
            assert time.monotonic() < give_up_at, "the stand-in did not ring"
            time.sleep(0.005)

    def all_have_rung(self, times: int) -> bool:
        switches = {job.number: job.switches for job in self.provider.jobs.all()}
        lines = self.provider.books.lines("generated", "failed", "webhook")
        rung = Counter(line["job"] for line in lines if line["event"] == "webhook")
        return all(
            rung[line["job"]] >= times
            for line in lines
            if not switches[line["job"]].is_on("sync")
            or switches[line["job"]].is_on("hook-on-sync")
        )

    def leases_run_out(self) -> None:
        """The dead worker's memory and connection are gone, and with time its claims."""
        connection.close()
        now = timezone.now()
        claimed = [*UNDER_WAY, State.FAILED]
        AvatarRequest.objects.filter(state__in=claimed, due_at__gt=now).update(due_at=now)

    def pictures(self) -> list[Avatar]:
        return list(Avatar.objects.filter(request=self.row()).select_related("file", "thumb"))

    def erase_everything(self) -> None:
        safekeeping.erase(FacePhoto.objects.get(pk=self.photo.pk))
        for avatar in self.pictures():
            safekeeping.purge(avatar)
        safekeeping.erase_due()


def objects() -> set[str]:
    return storage.keys("photos") | storage.keys("avatars")


def findings() -> list[object]:
    return [*accounts_auditing.findings(), *avatars_auditing.findings(files=True)]


def promise_is_kept(life: Life, *, deaths: int) -> None:
    """By our rows and by the provider's own books."""
    row, books = life.row(), life.provider.books
    is_ready = row.state == State.READY
    if life.behaviour.sure and deaths < 2:
        assert (row.state, row.reason) == (State.READY, "")
    resolutions = Transfer.objects.filter(reference=f"resolve:{row.public_id}")
    assert [(t.kind, t.amount) for t in resolutions] == [
        (Kind.CAPTURE if is_ready else Kind.RELEASE, row.cost)
    ]
    wallet = User.objects.get(pk=life.ada.pk).wallet
    assert (wallet.available, wallet.reserved) == (CREDITS - row.cost * is_ready, 0)
    assert [avatar.gift for avatar in life.pictures()] in ([[False]] if is_ready else [[], [True]])
    assert bool(row.reason) is not is_ready
    assert not Attempt.objects.live().exists()
    jobs = books.jobs()
    assert sum(job.generated for job in jobs) <= 1, "two pictures were drawn for one request"
    # Another order may follow only one that can draw no more; inline, only one that is known to.
    assert all(not job.generated for job in jobs[:-1])
    assert len(jobs) <= (2 if life.behaviour.linked else 1 + sum(bool(job.failed) for job in jobs))
    assert books.violations() == []
    assert [line for line in books.strays() if line["key_seen"]] == []


def nothing_is_left_over(life: Life) -> None:
    """A day later every object is a photo's or a picture's; once those are erased there is none."""
    with time_machine.travel(timezone.now() + DAY_AFTER):
        engine.step()
        safekeeping.erase_due()  # dooms what a dead writer left, for a writer that only slept
    with time_machine.travel(timezone.now() + DAY_AFTER + 2 * WRITER_GRACE):
        engine.step()
        safekeeping.erase_due()
        files = [life.photo.file, life.photo.thumb]
        files += [file for avatar in life.pictures() for file in (avatar.file, avatar.thumb)]
        assert objects() == {file.key for file in files}
        assert findings() == []
        life.erase_everything()
        assert objects() == set()
        assert findings() == []


def dies(crossings: Crossings, moment: int | None, work: Callable[[], None]) -> bool:
    """Whether death came: there may be fewer moments than that."""
    try:
        with crossings.dying_at(moment):
            work()
    except Killed:
        return True
    return False


def survives(life: Life, crossings: Crossings, moment: int, second: int | None = None) -> bool:
    """A death at `moment` (and its successor's at `second`), checked to the last object. False
    when nobody came as far as that.
    """
    wanted = 1 if second is None else 2
    deaths = 0
    for at in (moment, second)[:wanted]:
        if not dies(crossings, at, life.work):
            break
        deaths += 1
        life.leases_run_out()
    if deaths == wanted:
        life.work()
    promise_is_kept(life, deaths=deaths)
    nothing_is_left_over(life)
    return deaths == wanted


def moments(tried: Callable[[int], bool], stride: int) -> int:
    """Try 1, 1 + stride, … until nobody dies any more. Returns how many deaths there were."""
    for number, moment in enumerate(range(1, MOST_MOMENTS, stride)):
        if not tried(moment):
            return number
    raise AssertionError("work without an end")


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=str)
def test_a_worker_that_dies_at_any_crossing_costs_neither_picture_nor_credit(
    outside, settings, crossings, behaviour, face
):
    if not behaviour.linked:
        settings.PUBLIC_BASE_URL = ""
    stride = 1 if DEPTH else behaviour.stride

    def life() -> Life:
        return Life(outside, behaviour, face)

    deaths = moments(lambda moment: survives(life(), crossings, moment), stride)
    assert deaths >= 25 // stride
    if DEPTH == "pairs":
        for first in range(1, deaths * stride, stride):
            moments(lambda second, first=first: survives(life(), crossings, first, second), stride)


def web_threads() -> Callable[[], bool]:
    """Whoever answers the provider's calls to us: every thread that runs Django but this one."""
    worker = threading.get_ident()
    return lambda: threading.get_ident() != worker


@pytest.mark.parametrize("words", ["", "drop-after", "html524 hook=early", "face=at-start"])
def test_a_web_process_that_dies_while_it_serves_the_face_or_hears_a_bell_costs_nothing(
    outside, crossings, words, face
):
    def survives_in_the_web(moment: int) -> bool:
        life = Life(outside, Behaviour(words), face)
        with crossings.dying_at(moment, web_threads()):
            life.work()
        life.leases_run_out()
        promise_is_kept(life, deaths=1)
        nothing_is_left_over(life)
        return len(crossings.names) >= moment

    deaths = moments(survives_in_the_web, 1)
    assert deaths >= 4


def test_an_erasure_that_dies_at_any_crossing_is_finished_by_the_next(outside, crossings, face):
    def is_finished(moment: int) -> bool:
        life = Life(outside, Behaviour("sync"), face)
        life.work()
        died = dies(crossings, moment, life.erase_everything)
        connection.close()
        life.erase_everything()
        assert objects() == set()
        assert findings() == []
        return died

    deaths = moments(is_finished, 1)
    assert deaths >= 12


def test_a_photo_whose_upload_dies_at_any_crossing_leaves_no_object(outside, crossings):
    ada = factories.create_user()
    consent = factories.create_consent(ada)
    picture = (PHOTOS / "portrait_astronaut.png").read_bytes()

    def leaves_nothing(moment: int) -> bool:
        died = dies(crossings, moment, lambda: safekeeping.accept(ada, picture, consent=consent))
        connection.close()
        with time_machine.travel(timezone.now() + DAY_AFTER):
            safekeeping.erase_due()
        with time_machine.travel(timezone.now() + DAY_AFTER + 2 * WRITER_GRACE):
            for photo in FacePhoto.objects.present(timezone.now()):
                safekeeping.erase(photo)
            safekeeping.erase_due()
            assert objects() == set()
            assert findings() == []
        return died

    deaths = moments(leaves_nothing, 1)
    assert deaths >= 8


def test_control_an_order_sent_again_in_doubt_is_caught(outside, crossings, face, monkeypatch):
    """The guard removed: whoever takes an unclear answer for "not sent" pays twice."""

    def naive(avatar_request: AvatarRequest, attempt: Attempt, now: object) -> None:
        sending.back_in_line(avatar_request, attempt, now)

    monkeypatch.setattr(sending, "doubt", naive)
    life = Life(outside, Behaviour("drop-after hook=never", rounds=3), face)
    life.work()
    with pytest.raises(AssertionError, match="two pictures"):
        promise_is_kept(life, deaths=0)
