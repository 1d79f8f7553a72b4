"""Somebody takes everything back while the engine works, in every order of their steps: one ending.

Knows the verbs and the pairs. Each test names all the endings that keep the promise.
"""

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Consent, NotEnoughCredits, User, Wallet
from avatars import face_check, generation, imaging, safekeeping, sending
from avatars.face_check import Verdict
from avatars.imaging import CleanPhoto
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
from avatars.storage import StorageAway
from tests import factories
from tests.faults.pairs import (
    Scene,
    advancing,
    nothing_starts,
    play,
    running_out,
    slots_are_free,
)
from tests.faults.stage import Act

pytestmark = pytest.mark.django_db(transaction=True)


def withdrawing(scene: Scene) -> Act:
    return lambda: safekeeping.withdraw(User.objects.get(pk=scene.ada.pk)).requests


def anew(scene: Scene) -> None:
    """Ada has agreed again, and has a photo again."""
    scene.photo = factories.create_photo(scene.ada)


def left(scene: Scene) -> tuple[bool, int, bool, bool]:
    """Whether any photo or kept object, how many credits are held, whether a slot is taken or a
    face link is open, and whether a consent stands.
    """
    scene.ada.wallet.refresh_from_db()
    kept = StoredFile.objects.exclude(state=FileState.DOOMED).filter(user=scene.ada)
    busy = Attempt.objects.live().filter(request__user=scene.ada).exists()
    faces = FacePhoto.objects.filter(user=scene.ada, deleted_at=None).exists()
    standing = Consent.objects.standing().filter(user=scene.ada).exists()
    return faces or kept.exists(), scene.ada.wallet.reserved, busy, standing


NOTHING = (False, 0, False, False)


def test_what_is_submitted_while_its_owner_withdraws_is_cancelled_or_refused(scene):
    def set_up() -> list[Act]:
        anew(scene)
        factories.give(scene.ada, 1)
        wish = factories.wish(scene.photo)

        def submit() -> str:
            ada = User.objects.select_related("wallet", "quota").get(pk=scene.ada.pk)
            try:
                return str(generation.submit(ada, wish).public_id)
            except (NotEnoughCredits, generation.SubmitRefused) as refusal:
                return type(refusal).__name__

        return [submit, withdrawing(scene)]

    def outcome(taken: object, cancelled: object) -> object:
        requests = AvatarRequest.objects.filter(photo=scene.photo)
        is_refused = taken in ("ConsentMissing", "PhotoGone")
        return is_refused, cancelled, tuple(requests.values_list("state", "reason")), left(scene)

    legal = {
        (True, 0, (), NOTHING),
        (False, 1, ((State.CANCELLED, Reason.CONSENT),), NOTHING),
    }
    play(scene, set_up, outcome, legal)


def test_what_is_dispatched_while_its_owner_withdraws_is_cancelled_and_frees_its_slot(scene):
    def set_up() -> list[Act]:
        anew(scene)
        pk = scene.enter(State.QUEUED)
        slots_are_free()
        return [lambda: pk in sending.dispatch(), withdrawing(scene)]

    def outcome(started: object, cancelled: object) -> object:
        orders = scene.now().attempts.values_list("outcome", "slot_no")
        return started, cancelled, scene.row.state, tuple(orders), left(scene)

    legal = {
        (True, 1, State.CANCELLED, ((Outcome.WITHDRAWN, None),), NOTHING),
        (False, 1, State.CANCELLED, (), NOTHING),
    }
    play(scene, set_up, outcome, legal)


def test_what_is_sent_while_its_owner_withdraws_is_cancelled_and_known_for_its_erasure(scene):
    def set_up() -> list[Act]:
        anew(scene)
        pk = scene.enter(State.QUEUED)
        slots_are_free()
        assert sending.dispatch() == [pk]
        nothing_starts()
        return [withdrawing(scene), advancing(pk)]

    def outcome(cancelled: object, _advanced: object) -> object:
        order = scene.now().attempts.get()
        is_owed = order.erase_due_at is not None
        return cancelled, scene.row.state, scene.posts, is_owed, left(scene)

    legal = {
        (1, State.CANCELLED, 0, False, NOTHING),
        (1, State.CANCELLED, 1, True, NOTHING),
    }
    play(scene, set_up, outcome, legal)
    named = Attempt.objects.filter(erase_due_at__isnull=False, provider_job_id__isnull=False)
    assert named.filter(outcome=Outcome.WITHDRAWN, accepted_at=None).exists()


def test_a_picture_stored_while_its_owner_withdraws_is_paid_or_not_kept(scene):
    def set_up() -> list[Act]:
        anew(scene)
        pk = scene.enter(State.STORING)
        return [withdrawing(scene), advancing(pk)]

    def outcome(cancelled: object, _advanced: object) -> object:
        avatars = Avatar.objects.filter(request=scene.row)
        photo_and_hold = left(scene)[1:]
        kept = StoredFile.objects.filter(
            user=scene.ada, state=FileState.KEPT, created_at__gte=scene.began
        )
        return cancelled, scene.now().state, avatars.count(), kept.count(), photo_and_hold

    legal = {
        (1, State.CANCELLED, 0, 0, NOTHING[1:]),
        (0, State.READY, 1, 2, NOTHING[1:]),
    }
    play(scene, set_up, outcome, legal)


def test_a_late_picture_found_while_its_owner_withdraws_is_given_before_or_never(scene):
    def set_up() -> list[Act]:
        anew(scene)
        pk = scene.enter(State.GENERATING)
        now = timezone.now()
        assert sending.give_up(scene.row, Reason.LATE, now, outcome=Outcome.UNCERTAIN)
        AvatarRequest.objects.filter(pk=pk).update(due_at=now)
        return [withdrawing(scene), advancing(pk)]

    def outcome(cancelled: object, _advanced: object) -> object:
        given = Avatar.objects.filter(request=scene.now(), gift=True).count()
        return cancelled, scene.row.state, given, scene.row.due_at, left(scene)[1:]

    legal = {
        (0, State.FAILED, 0, None, NOTHING[1:]),
        (0, State.FAILED, 1, None, NOTHING[1:]),
    }
    play(scene, set_up, outcome, legal)


def test_withdrawing_two_as_the_promise_of_one_runs_out_returns_each_credit_once(scene):
    def set_up() -> list[Act]:
        anew(scene)
        scene.enter(State.QUEUED)
        pk = scene.enter(State.GENERATING)
        return [withdrawing(scene), running_out(pk)]

    def outcome(cancelled: object, _ran_out: object) -> object:
        return cancelled, scene.now().state, scene.row.due_at, left(scene)

    legal = {(2, State.CANCELLED, None, NOTHING), (1, State.FAILED, None, NOTHING)}
    play(scene, set_up, outcome, legal)


def test_control_without_the_wallets_lock_the_two_wait_for_each_other(scene, monkeypatch):
    """The guard removed: whoever ends the second request holds the name of its transfer and waits
    for the wallet, whose holder waits for that name. SQLite lets one in at a time, lock or not.
    """
    monkeypatch.setattr(Wallet, "lock", lambda _wallet: None)
    two = test_withdrawing_two_as_the_promise_of_one_runs_out_returns_each_credit_once
    if connection.vendor == "postgresql":
        with pytest.raises(AssertionError, match="somebody tripped"):
            two(scene)
    else:
        two(scene)


def test_a_photo_that_arrives_while_its_owner_withdraws_is_refused_or_deleted(scene, monkeypatch):
    clean = CleanPhoto(b"photo", b"thumb", 512, 512, 512, 512, "0" * 64, "0" * 64, "0" * 16)
    verdict = Verdict(1, (150, 90, 210, 260), None, (), 512, 512)
    monkeypatch.setattr(imaging, "clean_photo", lambda _upload: clean)
    monkeypatch.setattr(face_check, "check", lambda _jpeg, **_size: verdict)

    def set_up() -> list[Act]:
        anew(scene)
        consent = factories.create_consent(scene.ada)

        def upload() -> bool:
            try:
                return bool(safekeeping.accept(scene.ada, b"upload", consent=consent))
            except (safekeeping.ConsentGone, StorageAway):
                return False

        return [upload, withdrawing(scene)]

    def outcome(taken: object, cancelled: object) -> object:
        written = StoredFile.objects.filter(user=scene.ada, state=FileState.KEPT)
        return taken, cancelled, written.count(), left(scene)[1:]

    legal = {(True, 0, 0, NOTHING[1:]), (False, 0, 0, NOTHING[1:])}
    play(scene, set_up, outcome, legal)


def test_two_who_withdraw_return_each_credit_once(scene):
    def set_up() -> list[Act]:
        anew(scene)
        scene.enter(State.QUEUED)
        scene.enter(State.UNCERTAIN)
        return [withdrawing(scene), withdrawing(scene)]

    def outcome(one: object, other: object) -> object:
        return one, other, scene.now().state, left(scene)

    legal = {(2, 0, State.CANCELLED, NOTHING), (0, 2, State.CANCELLED, NOTHING)}
    play(scene, set_up, outcome, legal)


def test_erasing_a_photo_and_withdrawing_end_its_request_once(scene):
    def set_up() -> list[Act]:
        anew(scene)
        scene.enter(State.QUEUED)
        photo = FacePhoto.objects.get(pk=scene.photo.pk)
        return [lambda: safekeeping.erase(photo), withdrawing(scene)]

    def outcome(erased: object, cancelled: object) -> object:
        return erased, cancelled, scene.now().state, left(scene)

    legal = {
        (True, 1, State.CANCELLED, NOTHING),
        (True, 0, State.CANCELLED, NOTHING),
        (False, 1, State.CANCELLED, NOTHING),
    }
    play(scene, set_up, outcome, legal)
