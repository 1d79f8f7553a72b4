"""Two actors on one request, in every order of their steps: one winner, and the books add up.

Knows the verbs and the stage. The provider, the download and the pixels are replaced by answers
that take one step; nothing of ours is.
"""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import NotEnoughCredits, Transfer, User
from avatars import auditing as avatars_auditing
from avatars import delivery, download, face_gen, generation, imaging, safekeeping, sending
from avatars.face_gen import Answer
from avatars.face_gen import Outcome as Seen
from avatars.imaging import Renditions
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Breaker,
    FacePhoto,
    FileState,
    Reason,
    State,
    StoredFile,
)
from avatars.models.attempts import Outcome, Service
from tests import factories
from tests.faults.stage import Act, every_order, playing

pytestmark = pytest.mark.django_db(transaction=True)

# INTERLEAVINGS=60000 plays that many orders a pair, however often they turn away.
LONG = int(os.environ.get("INTERLEAVINGS", "0"))
TURNS = None if LONG else 2
MOST = LONG or (60 if os.environ.get("TEST_DATABASE") == "postgres" else 300)

PICTURE = Renditions(b"master", b"thumb", 512, 768, 3, "0" * 16)
OUTPUT = "http://127.0.0.1:9/temp/x-0.png"
DONE = Answer(Seen.DONE, outputs=(OUTPUT,))


@dataclass
class Scene:
    """What a pair plays on: Ada, her photo, one request, and what the outside will answer."""

    ada: User
    photo: FacePhoto
    row: AvatarRequest | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    played: int = 0

    def of(self, state: State, **fields: object) -> int:
        """A request of Ada's in that state, due now."""
        self.row = factories.create_request_in(state, self.ada, photo=self.photo, **fields)
        return self.row.pk

    def now(self) -> AvatarRequest:
        self.row.refresh_from_db()
        return self.row


@pytest.fixture
def scene(monkeypatch, settings):
    """The actors are on the stage; the outside answers at once, but each answer is a step."""
    settings.PUBLIC_BASE_URL = "http://127.0.0.1:9"
    ada = factories.create_user()
    ada.quota.max_per_day = 1_000_000
    ada.quota.save()
    scene = Scene(ada, factories.create_photo(ada))
    with playing(monkeypatch) as stage:

        def answering(name: str) -> Callable[..., object]:
            def answer(*_args: object, **_options: object) -> object:
                stage.step()
                return scene.answers[name]

            return answer

        scene.answers = {"look": DONE, "submit": Answer(Seen.ACCEPTED, job_id="77")}
        monkeypatch.setattr(face_gen, "look", answering("look"))
        monkeypatch.setattr(face_gen, "submit", answering("submit"))
        monkeypatch.setattr(download, "fetch", lambda _address: stage.step())
        monkeypatch.setattr(imaging, "render_avatar", lambda _content, **_options: PICTURE)
        scene.stage = stage
        yield scene


def findings() -> list[object]:
    return [*accounts_auditing.findings(), *avatars_auditing.findings()]


def play(
    scene: Scene, set_up: Callable[[], list[Act]], check: Callable[[object, object], None]
) -> None:
    """Every order of the two acts that `set_up` returns: nobody trips, their results are as
    `check` wants, and the books add up.
    """
    for run in every_order(scene.stage, set_up, turns=TURNS, most=MOST):
        scene.played += 1
        try:
            for result in run.results:
                if isinstance(result, BaseException):
                    raise AssertionError("somebody tripped") from result
            check(*run.results)
            assert findings() == []
        except AssertionError as error:
            error.add_note(f"the steps were {run.chosen}, the results {run.results!r}")
            raise
        clear()


def clear() -> None:
    """The next scene finds an empty line, free slots and a provider that draws nothing new."""
    for avatar_request in AvatarRequest.objects.open().select_related("hold__wallet"):
        assert sending.give_up(avatar_request, Reason.LATE, timezone.now())
    AvatarRequest.objects.update(due_at=None)


def nothing_starts() -> None:
    """A paused breaker keeps the scene to its two actors."""
    Breaker.of(Service.FACE_GEN).pause(timezone.now() + timedelta(hours=1), "the scene")


def due_again(pk: int) -> None:
    """The lease of whoever claimed it has run out."""
    AvatarRequest.objects.filter(pk=pk, due_at__isnull=False).update(due_at=timezone.now())


def promise_comes(pk: int) -> None:
    now = timezone.now()
    AvatarRequest.objects.open().filter(pk=pk).update(deadline_at=now, due_at=now)


def is_taken_or_refused(act: Act) -> object:
    try:
        return act()
    except (NotEnoughCredits, generation.SubmitRefused) as refusal:
        return type(refusal).__name__


def test_doorbell_and_look(scene):
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.GENERATING)

        def ring() -> None:
            delivery.answer_doorbell(f"doorbell-{pk}", f"9175{pk}", "")
            generation.advance(pk)

        return [ring, lambda: generation.advance(pk)]

    def check(*_results: object) -> None:
        assert scene.now().state in (State.STORING, State.READY)
        attempt = scene.row.attempts.get()
        assert (attempt.outcome, attempt.slot_no, attempt.outputs) == ("done", None, [[OUTPUT]])

    play(scene, set_up, check)


def test_store_and_store(scene):
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.STORING)

        def take_over() -> None:
            due_again(pk)
            generation.advance(pk)

        return [take_over, lambda: generation.advance(pk)]

    def check(*_results: object) -> None:
        assert scene.now().state == State.READY
        kept = StoredFile.objects.filter(key__startswith="avatars/", state=FileState.KEPT)
        avatar = Avatar.objects.get(request=scene.row)
        assert {avatar.file_id, avatar.thumb_id} <= set(kept.values_list("pk", flat=True))
        assert kept.count() == 2 * Avatar.objects.count()
        assert not StoredFile.objects.filter(state=FileState.WRITING).exists()

    play(scene, set_up, check)


def test_promise_and_store(scene):
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.STORING)

        def run_out() -> None:
            promise_comes(pk)
            generation.advance(pk)

        return [run_out, lambda: generation.advance(pk)]

    def check(*_results: object) -> None:
        pictures = Avatar.objects.filter(request=scene.row, gift=False).count()
        assert (scene.now().state, pictures) in ((State.READY, 1), (State.FAILED, 0))
        assert not StoredFile.objects.filter(state=FileState.WRITING).exists()

    play(scene, set_up, check)


def test_late_picture_and_late_picture(scene):
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.STORING)
        assert sending.give_up(scene.row, Reason.UNSAVED, timezone.now())

        def look_late() -> None:
            due_again(pk)
            generation.advance(pk)

        due = AvatarRequest.objects.filter(pk=pk)
        due.update(due_at=timezone.now())
        return [look_late, lambda: generation.advance(pk)]

    def check(*_results: object) -> None:
        assert scene.now().state == State.FAILED
        assert [avatar.gift for avatar in Avatar.objects.filter(request=scene.row)] == [True]
        assert not StoredFile.objects.filter(state=FileState.WRITING).exists()

    play(scene, set_up, check)


def test_cancel_and_dispatch(scene):
    def set_up() -> list[Act]:
        pk = scene.of(State.QUEUED)
        return [
            lambda: generation.cancel(AvatarRequest.objects.get(pk=pk)),
            lambda: pk in sending.dispatch(),
        ]

    def check(cancelled: object, sent: object) -> None:
        assert (cancelled, sent, scene.now().state) in (
            (True, False, State.CANCELLED),
            (False, True, State.SENDING),
        )
        assert scene.row.attempts.count() == sent

    play(scene, set_up, check)


def test_dispatch_and_dispatch(scene):
    def set_up() -> list[Act]:
        pks = [scene.of(State.QUEUED) for _ in range(2)]
        return [lambda: sending.dispatch(), lambda: sending.dispatch(), pks][:2]

    def check(one: object, other: object) -> None:
        assert len({*one, *other}) == len(one) + len(other) == 2
        assert sorted(Attempt.objects.live().values_list("slot_no", flat=True)) == [1, 2]

    play(scene, set_up, check)


def submits(scene: Scene, *wishes: generation.Wish) -> list[Act]:
    def act(wish: generation.Wish) -> object:
        ada = User.objects.select_related("wallet", "quota").get(pk=scene.ada.pk)
        return is_taken_or_refused(lambda: str(generation.submit(ada, wish).public_id))

    return [lambda wish=wish: act(wish) for wish in wishes]


def credits_are(scene: Scene, amount: int) -> None:
    scene.ada.wallet.refresh_from_db()
    scene.ada.wallet.correct_down(
        scene.ada.wallet.available, f"adjust:{uuid.uuid4()}", actor=None, note="for the next scene"
    ) if scene.ada.wallet.available else None
    factories.give(scene.ada, amount)


def test_submit_and_submit_of_one_number(scene):
    def set_up() -> list[Act]:
        credits_are(scene, 2)
        wish = factories.wish(scene.photo)
        return submits(scene, wish, wish)

    def check(one: object, other: object) -> None:
        assert one == other == str(AvatarRequest.objects.latest("pk").public_id)
        assert Transfer.objects.filter(reference=f"hold:{one}").count() == 1
        scene.ada.wallet.refresh_from_db()
        assert (scene.ada.wallet.available, scene.ada.wallet.reserved) == (1, 1)

    play(scene, set_up, check)


def test_submit_and_submit_of_one_number_when_it_is_the_last_that_may_be_open(scene):
    type(scene.ada.quota).objects.filter(user=scene.ada).update(max_open=1)

    def set_up() -> list[Act]:
        credits_are(scene, 2)
        wish = factories.wish(scene.photo)
        return submits(scene, wish, wish)

    def check(one: object, other: object) -> None:
        assert one == other == str(AvatarRequest.objects.latest("pk").public_id)

    play(scene, set_up, check)


def test_submit_and_submit_on_one_credit(scene):
    def set_up() -> list[Act]:
        credits_are(scene, 1)
        return submits(scene, factories.wish(scene.photo), factories.wish(scene.photo))

    def check(*results: object) -> None:
        assert sum(result == "NotEnoughCredits" for result in results) == 1
        assert AvatarRequest.objects.open().count() == 1

    play(scene, set_up, check)


def test_submit_and_erase(scene):
    def set_up() -> list[Act]:
        credits_are(scene, 1)
        scene.photo = factories.create_photo(scene.ada)
        wish = factories.wish(scene.photo)
        return [
            *submits(scene, wish),
            lambda: safekeeping.erase(FacePhoto.objects.get(pk=scene.photo.pk)),
        ]

    def check(taken: object, erased: object) -> None:
        assert erased
        states = AvatarRequest.objects.filter(photo=scene.photo).values_list("state", flat=True)
        assert list(states) == ([] if taken == "PhotoGone" else [State.CANCELLED])

    play(scene, set_up, check)


def test_serve_and_revoke(scene):
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.UNCERTAIN)
        return [
            lambda: Attempt.objects.serve_face(f"face-{pk}", timezone.now()),
            lambda: generation.advance(pk),
        ]

    def check(served: object, _advanced: object) -> None:
        attempt = scene.now().attempts.get()
        assert (served, scene.row.state, attempt.outcome) in (
            (True, State.UNCERTAIN, ""),
            (False, State.QUEUED, Outcome.UNREAD),
        )

    play(scene, set_up, check)


def test_doorbell_and_settling(scene):
    """The provider reads the face, then rings; whoever settles comes before, between or after."""
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.UNCERTAIN)

        def read_and_ring() -> bool:
            read = Attempt.objects.serve_face(f"face-{pk}", timezone.now())
            if read:
                delivery.answer_doorbell(f"doorbell-{pk}", f"88{pk}", "")
            return read

        return [read_and_ring, lambda: generation.advance(pk)]

    def check(read: object, _advanced: object) -> None:
        attempt = scene.now().attempts.get()
        if read:
            assert scene.row.state in (State.UNCERTAIN, State.GENERATING)
            assert attempt.provider_job_id == f"88{scene.row.pk}"
        else:
            assert (scene.row.state, attempt.outcome) == (State.QUEUED, Outcome.UNREAD)

    play(scene, set_up, check)


def test_doorbell_and_an_answer_that_says_full(scene):
    """A doorbell proves that the provider has it, whatever its answer says: never ordered again."""
    scene.answers["submit"] = Answer(Seen.FULL)
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.SENDING)
        attempt = scene.row.attempts.get()
        assert scene.row.claim(timezone.now())

        def hear() -> None:
            attempt.refresh_from_db()
            sending.record(scene.row, attempt, scene.answers["submit"])

        return [lambda: delivery.answer_doorbell(f"doorbell-{pk}", f"66{pk}", "") and None, hear]

    def check(*_results: object) -> None:
        attempts = scene.now().attempts.all()
        knew = [attempt.provider_job_id for attempt in attempts]
        assert (scene.row.state, knew) in (
            (State.GENERATING, [f"66{scene.row.pk}"]),
            (State.QUEUED, []),
        )

    play(scene, set_up, check)


def test_erase_and_send(scene):
    nothing_starts()

    def set_up() -> list[Act]:
        scene.photo = factories.create_photo(scene.ada)
        pk = scene.of(State.QUEUED)
        scene.answers["submit"] = Answer(Seen.ACCEPTED, job_id=f"77{pk}")
        Breaker.objects.update(paused_until=None)
        assert sending.dispatch() == [pk]
        nothing_starts()
        return [
            lambda: safekeeping.erase(FacePhoto.objects.get(pk=scene.photo.pk)),
            lambda: generation.advance(pk),
        ]

    def check(erased: object, _advanced: object) -> None:
        assert erased
        if scene.now().state == State.SENDING:  # put off, because there is no face to send
            assert generation.advance(scene.row.pk) == []
        assert (scene.now().state, scene.row.reason) in (
            (State.FAILED, Reason.PHOTO_DELETED),
            (State.GENERATING, ""),
        )
        assert not scene.row.attempts.filter(face_open=True).exists()

    play(scene, set_up, check)


def test_doorbell_and_a_look_at_a_failed_job(scene):
    """Back in line nobody is due before the deadline, however late the bell is heard."""
    scene.answers["look"] = Answer(Seen.FAILED)
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.GENERATING)
        return [
            lambda: delivery.answer_doorbell(f"doorbell-{pk}", f"9175{pk}", "") and None,
            lambda: generation.advance(pk),
        ]

    def check(*_results: object) -> None:
        assert scene.now().state in (State.QUEUED, State.GENERATING)
        assert scene.row.state == State.GENERATING or scene.row.due_at == scene.row.deadline_at

    play(scene, set_up, check)


def test_doorbell_and_the_promise_running_out(scene):
    nothing_starts()

    def set_up() -> list[Act]:
        pk = scene.of(State.GENERATING)

        def run_out() -> None:
            promise_comes(pk)
            generation.advance(pk)

        return [
            lambda: delivery.answer_doorbell(f"doorbell-{pk}", f"9175{pk}", "") and None,
            run_out,
        ]

    def check(*_results: object) -> None:
        assert scene.now().state == State.FAILED
        assert scene.row.due_at is not None

    play(scene, set_up, check)
