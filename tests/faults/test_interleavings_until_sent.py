"""Two actors on one request until its order is sent, in every order of their steps: one winner.

Knows the verbs and the pairs. Each test names all the endings that keep the promise.
"""

import uuid

import pytest

from accounts.models import NotEnoughCredits, Transfer, User
from avatars import generation, safekeeping, sending
from avatars.models import Attempt, AvatarRequest, FacePhoto, Reason, State
from tests import factories
from tests.faults.pairs import (
    Scene,
    advancing,
    nothing_starts,
    play,
    running_out,
    slots_are_free,
    taking_over,
)
from tests.faults.stage import Act

pytestmark = pytest.mark.django_db(transaction=True)


def erasing(scene: Scene) -> Act:
    return lambda: safekeeping.erase(FacePhoto.objects.get(pk=scene.photo.pk))


# ── Submitting ──────────────────────────────────────────────────────────────────────────────────


def submitting(scene: Scene, wish: generation.Wish) -> Act:
    def act() -> str:
        ada = User.objects.select_related("wallet", "quota").get(pk=scene.ada.pk)
        try:
            return str(generation.submit(ada, wish).public_id)
        except (NotEnoughCredits, generation.SubmitRefused) as refusal:
            return type(refusal).__name__

    return act


def credits_are(scene: Scene, amount: int) -> None:
    wallet = scene.ada.wallet
    wallet.refresh_from_db()
    if wallet.available:
        reference = f"adjust:{uuid.uuid4()}"
        wallet.correct_down(wallet.available, reference, actor=None, note="for the next scene")
    factories.give(scene.ada, amount)


@pytest.mark.parametrize("max_open", [1, 10])
def test_a_double_click_is_one_request_even_when_no_second_may_be_open(scene, max_open):
    type(scene.ada.quota).objects.filter(user=scene.ada).update(max_open=max_open)

    def set_up() -> list[Act]:
        credits_are(scene, 2)
        wish = factories.wish(scene.photo)
        return [submitting(scene, wish), submitting(scene, wish)]

    def outcome(one: object, other: object) -> object:
        scene.row = AvatarRequest.objects.latest("pk")
        scene.ada.wallet.refresh_from_db()
        is_one = one == other == scene.row.reference
        return is_one, scene.ada.wallet.available, scene.ada.wallet.reserved

    play(scene, set_up, outcome, {(True, 1, 1)})


@pytest.mark.parametrize(
    ("credits", "max_open", "refusal"), [(1, 10, "NotEnoughCredits"), (2, 1, "TooManyOpen")]
)
def test_of_two_submits_for_one_credit_or_one_place_one_is_taken(scene, credits, max_open, refusal):
    type(scene.ada.quota).objects.filter(user=scene.ada).update(max_open=max_open)

    def set_up() -> list[Act]:
        credits_are(scene, credits)
        return [submitting(scene, factories.wish(scene.photo)) for _ in range(2)]

    def outcome(one: object, other: object) -> object:
        taken = str(AvatarRequest.objects.open().get().public_id)
        return ["first", "second"][[one, other].index(taken)], refusal in (one, other)

    play(scene, set_up, outcome, {("first", True), ("second", True)})


def test_a_photo_erased_while_it_is_submitted_leaves_nothing_waiting(scene):
    def set_up() -> list[Act]:
        credits_are(scene, 1)
        scene.photo = factories.create_photo(scene.ada)
        return [submitting(scene, factories.wish(scene.photo)), erasing(scene)]

    def outcome(taken: object, erased: object) -> object:
        states = AvatarRequest.objects.filter(photo=scene.photo).values_list("state", flat=True)
        return taken == "PhotoGone", erased, tuple(states)

    play(scene, set_up, outcome, {(True, True, ()), (False, True, (State.CANCELLED,))})


# ── Waiting and sending ─────────────────────────────────────────────────────────────────────────


def dispatching(pk: int) -> Act:
    return lambda: pk in sending.dispatch()


def test_cancelling_and_dispatching_have_one_winner(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.QUEUED)
        slots_are_free()
        cancelled = AvatarRequest.objects.filter(pk=pk)
        return [lambda: generation.cancel(cancelled.get()), dispatching(pk)]

    def outcome(cancelled: object, sent: object) -> object:
        return cancelled, sent, scene.now().state, scene.row.attempts.count()

    legal = {(True, False, State.CANCELLED, 0), (False, True, State.SENDING, 1)}
    play(scene, set_up, outcome, legal)


def test_cancelling_as_the_promise_runs_out_returns_the_credits_once(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.QUEUED)
        waiting = AvatarRequest.objects.filter(pk=pk)
        return [lambda: generation.cancel(waiting.get()), running_out(pk)]

    def outcome(cancelled: object, _ran_out: object) -> object:
        released = Transfer.objects.filter(reference=f"resolve:{scene.row.reference}").count()
        return cancelled, scene.now().state, released

    play(scene, set_up, outcome, {(True, State.CANCELLED, 1), (False, State.FAILED, 1)})


def test_two_who_dispatch_give_out_each_slot_and_each_request_once(scene):
    def set_up() -> list[Act]:
        scene.enter(State.QUEUED)
        scene.enter(State.QUEUED)
        slots_are_free()
        return [sending.dispatch, sending.dispatch]

    def outcome(one: list[int], other: list[int]) -> object:
        assert len({*one, *other}) == len(one) + len(other)
        taken = Attempt.objects.live().order_by("slot_no").values_list("slot_no", flat=True)
        return len(one), len(other), tuple(taken)

    play(scene, set_up, outcome, {(2, 0, (1, 2)), (1, 1, (1, 2)), (0, 2, (1, 2))})


def under_way(scene: Scene) -> int:
    """In SENDING by the real dispatch, nothing sent yet."""
    pk = scene.enter(State.QUEUED)
    slots_are_free()
    assert sending.dispatch() == [pk]
    nothing_starts()
    return pk


def test_two_who_send_post_once(scene):
    def set_up() -> list[Act]:
        pk = under_way(scene)
        return [taking_over(pk), advancing(pk)]

    def outcome(*_results: object) -> object:
        return scene.posts, scene.now().state

    # Overtaken before its answer is recorded, the first one's answer is void: in doubt. Overtaken
    # afterwards, the second one already looks.
    legal = {(1, State.GENERATING), (1, State.UNCERTAIN), (1, State.STORING)}
    play(scene, set_up, outcome, legal)


# ── Erasing ─────────────────────────────────────────────────────────────────────────────────────


def test_a_photo_erased_before_its_order_leaves_is_not_sent(scene):
    def set_up() -> list[Act]:
        scene.photo = factories.create_photo(scene.ada)
        pk = under_way(scene)
        return [erasing(scene), advancing(pk)]

    def outcome(erased: object, _advanced: object) -> object:
        is_open = scene.now().attempts.filter(face_open=True).exists()
        return erased, scene.row.state, scene.row.reason, scene.posts, is_open

    legal = {
        (True, State.FAILED, Reason.PHOTO_DELETED, 0, False),
        (True, State.SENDING, "", 0, False),  # put off, to end at once for want of a photo
        (True, State.GENERATING, "", 1, False),
    }
    play(scene, set_up, outcome, legal)


def test_a_photo_erased_as_its_request_is_dispatched_ends_it(scene):
    def set_up() -> list[Act]:
        scene.photo = factories.create_photo(scene.ada)
        pk = scene.enter(State.QUEUED)
        slots_are_free()
        return [erasing(scene), dispatching(pk)]

    def outcome(erased: object, started: object) -> object:
        return erased, started, scene.now().state

    # What was started ends for want of a photo when it is sent.
    legal = {(True, False, State.CANCELLED), (True, True, State.SENDING)}
    play(scene, set_up, outcome, legal)
