"""Two actors on one request once its order was sent, in every order of their steps: one winner.

Knows the verbs and the pairs. Each test names all the endings that keep the promise.
"""

import math

import pytest
from django.utils import timezone

from avatars import delivery, generation, sending
from avatars.face_gen import Answer
from avatars.face_gen import Outcome as Seen
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    FacePhoto,
    FileState,
    Reason,
    State,
    StoredFile,
)
from avatars.models.attempts import Outcome
from tests.faults.pairs import Scene, advancing, play, running_out, taking_over
from tests.faults.stage import Act, every_order

pytestmark = pytest.mark.django_db(transaction=True)


def ringing(pk: int, job_id: str = "") -> Act:
    return lambda: delivery.answer_doorbell(f"doorbell-{pk}", job_id or f"9175{pk}", "")


# ── In doubt ────────────────────────────────────────────────────────────────────────────────────


def test_a_doorbell_proves_an_answer_wrong_that_says_full(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.SENDING)
        attempt = scene.row.attempts.get()
        assert scene.row.claim(timezone.now())

        def hear() -> None:
            attempt.refresh_from_db()
            sending.record(scene.row, attempt, Answer(Seen.FULL))

        return [ringing(pk), hear]

    def outcome(*_results: object) -> object:
        attempts = scene.now().attempts.values_list("provider_job_id", flat=True)
        return scene.row.state, [f"9175{scene.row.pk}"] == list(attempts), len(attempts)

    # A bell that comes after the commit finds nothing to ring for.
    play(scene, set_up, outcome, {(State.GENERATING, True, 1), (State.QUEUED, False, 0)})


def test_serving_and_revoking_a_face_have_one_winner(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.UNCERTAIN)
        return [lambda: Attempt.objects.serve_face(f"face-{pk}", timezone.now()), advancing(pk)]

    def outcome(served: object, _advanced: object) -> object:
        return served, scene.now().state, scene.row.attempts.get().outcome

    legal = {(True, State.UNCERTAIN, ""), (False, State.QUEUED, Outcome.UNREAD)}
    play(scene, set_up, outcome, legal)


def test_a_provider_that_reads_and_rings_while_the_doubt_is_settled_is_believed(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.UNCERTAIN)
        ring = ringing(pk)

        def read_and_ring() -> bool:
            read = Attempt.objects.serve_face(f"face-{pk}", timezone.now())
            return bool(read and ring())

        return [read_and_ring, advancing(pk)]

    def outcome(read: object, _advanced: object) -> object:
        attempt = scene.now().attempts.get()
        return read, scene.row.state, attempt.provider_job_id is not None, attempt.outcome

    legal = {
        (True, State.UNCERTAIN, True, ""),
        (True, State.GENERATING, True, ""),
        (False, State.QUEUED, False, Outcome.UNREAD),
    }
    play(scene, set_up, outcome, legal)


def test_two_doorbells_name_one_job(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.UNCERTAIN)
        return [ringing(pk, f"88{pk}"), ringing(pk, f"99{pk}")]

    def outcome(*_results: object) -> object:
        attempt = scene.now().attempts.get()
        return attempt.provider_job_id.removesuffix(str(scene.row.pk)), attempt.rings

    play(scene, set_up, outcome, {("88", 2), ("99", 2)})


# ── Looking and storing ─────────────────────────────────────────────────────────────────────────


def pictures(scene: Scene) -> tuple[bool, ...]:
    """Of each picture of the request whether it is a gift; every file kept is a picture's."""
    written = StoredFile.objects.filter(key__startswith="avatars/")
    assert not written.filter(state=FileState.WRITING).exists()
    hung = {pk for pair in Avatar.objects.values_list("file", "thumb") for pk in pair}
    assert set(written.filter(state=FileState.KEPT).values_list("pk", flat=True)) == hung
    return tuple(avatar.gift for avatar in Avatar.objects.filter(request=scene.row))


def test_a_doorbell_and_a_look_find_the_picture_once(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.GENERATING)
        ring = ringing(pk)
        return [lambda: [ring(), generation.advance(pk)], advancing(pk)]

    def outcome(*_results: object) -> object:
        attempt = scene.now().attempts.get()
        return scene.row.state, attempt.outcome, attempt.slot_no

    legal = {(State.STORING, Outcome.DONE, None), (State.READY, Outcome.DONE, None)}
    play(scene, set_up, outcome, legal)


def test_a_doorbell_heard_late_does_not_wake_a_request_that_is_back_in_line(scene):
    scene.look = Answer(Seen.FAILED)

    def set_up() -> list[Act]:
        pk = scene.enter(State.GENERATING)
        return [ringing(pk), advancing(pk)]

    def outcome(*_results: object) -> object:
        waits = scene.now().due_at == scene.row.deadline_at
        return scene.row.state, waits, scene.row.attempts.get().outcome

    play(scene, set_up, outcome, {(State.QUEUED, True, Outcome.FAILED)})


def test_two_who_store_hang_up_one_picture(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.STORING)
        return [taking_over(pk), advancing(pk)]

    def outcome(*_results: object) -> object:
        return scene.now().state, pictures(scene)

    play(scene, set_up, outcome, {(State.READY, (False,))})


def test_a_picture_stored_as_the_promise_runs_out_is_paid_or_not_there(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.STORING)
        return [running_out(pk), advancing(pk)]

    def outcome(*_results: object) -> object:
        return scene.now().state, pictures(scene)

    play(scene, set_up, outcome, {(State.READY, (False,)), (State.FAILED, ())})


def test_a_look_as_the_promise_runs_out_ends_once(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.GENERATING)
        assert scene.row.claim(timezone.now())
        return [running_out(pk), lambda: delivery.look(scene.row)]

    def outcome(*_results: object) -> object:
        return scene.now().state, scene.row.attempts.get().outcome

    legal = {
        (State.FAILED, Outcome.UNCERTAIN),  # nobody had found the picture
        (State.FAILED, Outcome.DONE),  # found, too late to be stored: a gift later
        (State.STORING, Outcome.DONE),  # likewise; its next step, due now, ends it
    }
    play(scene, set_up, outcome, legal)


def test_a_doorbell_as_the_promise_runs_out_still_leads_to_a_late_look(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.GENERATING)
        return [ringing(pk), running_out(pk)]

    def outcome(*_results: object) -> object:
        return scene.now().state, scene.row.due_at is not None

    play(scene, set_up, outcome, {(State.FAILED, True)})


def failed_with_a_picture_to_come(scene: Scene) -> int:
    pk = scene.enter(State.GENERATING)
    now = timezone.now()
    assert sending.give_up(scene.row, Reason.LATE, now, outcome=Outcome.UNCERTAIN)
    AvatarRequest.objects.filter(pk=pk).update(due_at=now)
    return pk


def test_two_who_find_a_late_picture_give_it_once(scene):
    def set_up() -> list[Act]:
        pk = failed_with_a_picture_to_come(scene)
        return [taking_over(pk), advancing(pk)]

    def outcome(*_results: object) -> object:
        return scene.now().state, pictures(scene)

    play(scene, set_up, outcome, {(State.FAILED, (True,))})


def test_a_doorbell_and_a_late_look_give_one_picture(scene):
    def set_up() -> list[Act]:
        pk = failed_with_a_picture_to_come(scene)
        ring = ringing(pk)
        return [lambda: [ring(), generation.advance(pk)], advancing(pk)]

    def outcome(*_results: object) -> object:
        return scene.now().state, pictures(scene)

    play(scene, set_up, outcome, {(State.FAILED, (True,))})


# ── The stage itself ────────────────────────────────────────────────────────────────────────────


def test_the_stage_plays_every_order_of_three_and_three_steps_once(scene):
    def read_twice() -> None:
        for _ in range(2):
            AvatarRequest.objects.exists()

    runs = every_order(scene.stage, lambda: [read_twice, read_twice], turns=None, most=100)
    orders = [tuple(run.chosen) for run in runs]
    assert len(orders) == len(set(orders)) == math.comb(6, 3)


def test_control_a_check_before_the_write_is_caught(scene, monkeypatch):
    """The guard removed: whether the face was read is known from before the UPDATE."""

    def naive(attempt: Attempt) -> bool:
        if not attempt.face_hits:
            Attempt.objects.filter(pk=attempt.pk).update(face_open=False)
        return not attempt.face_hits

    monkeypatch.setattr(Attempt, "revoke_unread", naive)
    with pytest.raises(AssertionError, match=r"not legal: \(True, .*queued"):
        test_serving_and_revoking_a_face_have_one_winner(scene)


def test_control_a_guard_that_a_join_moves_into_a_subselect_is_caught(scene):
    """As it was once: a photo erased while the sender waited for its row was touched again."""

    def set_up() -> list[Act]:
        pk = scene.enter(State.QUEUED)
        photo = FacePhoto.objects.filter(requests=pk, deleted_at=None)
        return [lambda: photo.update(deleted_at=None), advancing(pk)]

    with pytest.raises(AssertionError, match=r'UPDATE "avatars_facephoto" .* IN \(SELECT'):
        play(scene, set_up, lambda *_results: "", {""})
