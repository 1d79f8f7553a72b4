"""Taking everything back: photos, what waits, what is drawn; one act, whatever it meets.

Knows the verbs, the factories and real files.
"""

import itertools
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import Consent, Transfer, User
from avatars import auditing, delivery, generation, safekeeping, sending, storage
from avatars.face_gen import Answer
from avatars.face_gen import Outcome as Seen
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    FacePhoto,
    FileState,
    Gone,
    Reason,
    State,
    StoredFile,
)
from avatars.models.attempts import Outcome
from avatars.models.avatar_requests import OPEN
from tests import factories
from tests.faults.crossings import Killed, watched_doors

pytestmark = pytest.mark.django_db
UNDER_WAY = (State.QUEUED, State.SENDING, State.UNCERTAIN, State.GENERATING, State.STORING)
PHOTOS = Path(__file__).parent.parent / "photos"


def findings() -> list[object]:
    return [*accounts_auditing.findings(), *auditing.findings(files=True)]


def test_everything_open_ends_with_its_credits_back_and_every_photo_goes(ada, ben):
    asked = [factories.create_request_in(state, ada) for state in UNDER_WAY]
    bens = factories.create_request_in(State.QUEUED, ben)
    stopped = safekeeping.withdraw(ada)
    assert stopped == safekeeping.Stopped(photos=5, requests=5, credits=5)
    rows = AvatarRequest.objects.filter(pk__in=[row.pk for row in asked])
    assert set(rows.values_list("state", "reason", "due_at", "mail_due_at")) == {
        (State.CANCELLED, Reason.CONSENT, None, None)
    }
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (15, 0)
    assert not Attempt.objects.live().exists()
    assert not Attempt.objects.filter(face_open=True).exists()
    bens.refresh_from_db()
    assert (bens.state, bens.photo.is_present(timezone.now())) == (State.QUEUED, True)
    assert set(FacePhoto.objects.filter(user=ada).values_list("gone_because")) == {(Gone.CONSENT,)}
    safekeeping.erase_due()
    assert storage.keys("photos") == {bens.photo.file.key, bens.photo.thumb.key}
    assert findings() == []


def test_avatars_stay_and_so_do_endings(ada):
    avatar = factories.create_avatar(ada)
    failed = factories.create_request_in(State.FAILED, ada)
    safekeeping.withdraw(ada)
    safekeeping.erase_due()
    avatar.refresh_from_db()
    failed.refresh_from_db()
    assert (avatar.file.state, avatar.request.state) == (FileState.KEPT, State.READY)
    assert failed.state == State.FAILED
    assert findings() == []


def test_nothing_is_made_until_the_owner_agrees_again(ada):
    photo = factories.create_photo(ada)
    safekeeping.withdraw(ada)
    with pytest.raises(generation.ConsentMissing):  # as the page was loaded before
        generation.submit(ada, factories.wish(photo))
    photo.refresh_from_db()
    with pytest.raises(generation.PhotoGone):
        generation.submit(ada, factories.wish(photo))
    with pytest.raises(ValueError, match="consent"):
        safekeeping.accept(ada, b"x", consent=photo_consent(photo))
    assert not Consent.objects.standing().filter(user=ada).exists()
    again = factories.create_photo(ada)  # with a new consent
    assert generation.submit(ada, factories.wish(again)).state == State.QUEUED


def photo_consent(photo: FacePhoto) -> Consent:
    return Consent.objects.get(pk=photo.consent_id)


def test_withdrawing_twice_changes_nothing_more(ada):
    factories.create_request_in(State.GENERATING, ada)
    safekeeping.withdraw(ada)
    before = (Transfer.objects.count(), list(FacePhoto.objects.values_list("deleted_at")))
    assert safekeeping.withdraw(ada) == safekeeping.Stopped(0, 0, 0)
    assert (Transfer.objects.count(), list(FacePhoto.objects.values_list("deleted_at"))) == before


def test_a_closing_account_stops_everything_with_its_own_reason(ada):
    asked = factories.create_request_in(State.GENERATING, ada)
    safekeeping.stop_everything(ada, Reason.CLOSED)
    asked.refresh_from_db()
    assert (asked.state, asked.reason) == (State.CANCELLED, Reason.CLOSED)
    assert FacePhoto.objects.get().gone_because == Gone.CLOSED


def test_a_worker_whose_answer_comes_too_late_commits_nothing_but_the_jobs_number(ada):
    asked = factories.create_request_in(State.SENDING, ada)
    order = asked.attempts.get()
    safekeeping.withdraw(ada)
    sending.record(asked, order, Answer(Seen.ACCEPTED, "700123"))
    asked.refresh_from_db()
    order.refresh_from_db()
    assert (asked.state, order.outcome, order.slot_no) == (State.CANCELLED, Outcome.WITHDRAWN, None)
    assert (order.provider_job_id, order.accepted_at) == ("700123", None)
    assert order.erase_due_at is not None


def test_a_doorbell_that_rings_too_late_names_the_job_and_wakes_nobody(ada):
    asked = factories.create_request_in(State.UNCERTAIN, ada)
    safekeeping.withdraw(ada)
    bell = delivery.answer_doorbell(f"doorbell-{asked.pk}", "700124", "")
    assert (bell.request, bell.is_news) == (asked.pk, False)
    assert asked.attempts.get().provider_job_id == "700124"


def test_no_late_picture_is_given_after_a_withdrawal(ada):
    asked = factories.create_request_in(State.GENERATING, ada)
    now = timezone.now()
    sending.give_up(
        asked, Reason.LATE, now, outcome=Outcome.UNCERTAIN, look_again_at=now + timedelta(minutes=5)
    )
    safekeeping.withdraw(ada)
    asked.refresh_from_db()
    assert (asked.state, asked.due_at) == (State.FAILED, None)
    # A bell may still wake it; then nobody looks, and it sleeps again.
    delivery.answer_doorbell(f"doorbell-{asked.pk}", f"9175{asked.pk}", "")
    generation.advance(asked.pk)
    asked.refresh_from_db()
    assert (asked.due_at, Avatar.objects.count()) == (None, 0)


def test_what_a_writer_has_begun_goes_once_no_writer_can_be_at_it(ada):
    begun = StoredFile.objects.begin("avatars", "webp", b"x", user=ada, now=timezone.now())
    storage.put(begun.key, b"x")
    safekeeping.withdraw(ada)
    safekeeping.erase_due()
    assert storage.keys("avatars") == {begun.key}
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        safekeeping.erase_due()
    assert storage.keys("avatars") == set()


def test_a_photo_that_arrives_after_the_withdrawal_is_refused(ada, monkeypatch):
    """The upload was checked before, and is stored afterwards."""
    consent = factories.create_consent(ada)
    put, first = storage.put, itertools.count()

    def withdrawn_meanwhile(key: str, content: bytes) -> None:
        put(key, content)
        if next(first) == 0:
            Consent.objects.filter(pk=consent.pk).update(withdrawn_at=timezone.now())

    monkeypatch.setattr(storage, "put", withdrawn_meanwhile)
    with pytest.raises(safekeeping.ConsentGone):
        safekeeping.accept(ada, (PHOTOS / "portrait_astronaut.png").read_bytes(), consent=consent)
    assert FacePhoto.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_death_at_any_moment_of_a_withdrawal_leaves_all_of_it_or_none(monkeypatch):
    crossings = watched_doors(monkeypatch)
    for moment in itertools.count(1):
        ada = factories.create_user(f"ada{moment}@example.org")
        asked = [factories.create_request_in(state, ada) for state in UNDER_WAY]
        try:
            with crossings.dying_at(moment):
                safekeeping.withdraw(User.objects.get(pk=ada.pk))
                safekeeping.erase_due()
        except Killed:
            connection.close()
        else:
            break
        states = set(
            AvatarRequest.objects.filter(pk__in=[row.pk for row in asked]).values_list(
                "state", flat=True
            )
        )
        photos = FacePhoto.objects.filter(user=ada, deleted_at=None).count()
        consents = Consent.objects.standing().filter(user=ada).count()
        ada.wallet.refresh_from_db()
        assert (states, photos, consents, ada.wallet.reserved) in (
            (set(UNDER_WAY), 5, 1, 5),
            ({State.CANCELLED}, 0, 0, 0),
        )
        if not photos:  # the sweep finishes what is left: the objects
            safekeeping.erase_due()
            assert not StoredFile.objects.filter(user=ada).exists()
            assert not FacePhoto.objects.filter(user=ada, emptied_at=None).exists()
        safekeeping.withdraw(ada)
        safekeeping.erase_due()
        assert findings() == []
    assert moment > 20  # nine crossings at least, and two for each of ten objects
    assert storage.keys("photos") == set()


@pytest.mark.django_db(transaction=True)
def test_a_death_at_any_moment_of_a_purge_is_finished_by_the_next_one(monkeypatch):
    crossings = watched_doors(monkeypatch)
    for moment in itertools.count(1):
        ada = factories.create_user()
        photo = factories.create_photo(ada)
        factories.create_request_in(State.CANCELLED, ada, photo=photo)
        FacePhoto.objects.filter(pk=photo.pk).update(delete_at=timezone.now())
        try:
            with crossings.dying_at(moment):
                safekeeping.erase_due()
        except Killed:
            connection.close()
        else:
            break
        safekeeping.erase_due()
        photo.refresh_from_db()
        assert (photo.file, photo.gone_because) == (None, Gone.DATE)
        assert photo.emptied_at is not None
        assert (storage.keys("photos"), StoredFile.objects.count()) == (set(), 0)
        assert findings() == []
    assert moment > 5


@pytest.mark.parametrize("state", sorted(OPEN - {State.HELD}))
def test_whatever_state_it_is_in_it_can_be_cancelled_and_never_again_afterwards(ada, state):
    asked = factories.create_request_in(state, ada)
    safekeeping.withdraw(ada)
    asked.refresh_from_db()
    assert asked.state == State.CANCELLED
    with pytest.raises(IntegrityError, match="request_moves_as_planned"), transaction.atomic():
        asked.move(State.QUEUED)


def test_the_record_is_owed_a_letter_and_notes_what_went(ada):
    photo = factories.create_photo(ada, b"photo " + uuid.uuid4().bytes)
    noted = [[file.key, file.sha256] for file in (photo.file, photo.thumb)]
    safekeeping.withdraw(ada)
    photo.refresh_from_db()
    assert photo.objects_gone == noted
    assert photo.record_due_at > timezone.now()
    assert photo.emptied_at is None
    safekeeping.erase_due()
    photo.refresh_from_db()
    assert photo.emptied_at is not None


def test_a_record_stays_open_while_the_storage_is_away(ada, monkeypatch):
    photo = factories.create_photo(ada)
    safekeeping.erase(photo)

    def away(key: str) -> None:
        raise storage.StorageAway("test")

    monkeypatch.setattr(storage, "remove", away)
    safekeeping.erase_due()
    photo.refresh_from_db()
    assert photo.emptied_at is None
    monkeypatch.undo()
    safekeeping.erase_due()
    photo.refresh_from_db()
    assert photo.emptied_at is not None


def test_the_audit_finds_a_photo_that_outlived_its_consent(ada):
    photo = factories.create_photo(ada)
    photo.consent.withdraw(timezone.now())
    [found] = auditing.findings()
    assert (found.sentence, list(found.rows)) == (
        "a photo whose consent is withdrawn",
        [photo.public_id],
    )


def test_a_request_whose_money_is_already_spent_stops_the_withdrawal_and_nothing_has_moved(ada):
    asked = factories.create_request_in(State.GENERATING, ada)
    asked.hold.wallet.capture(asked.cost, asked.reference)
    with pytest.raises(RuntimeError, match="cannot be ended"):
        safekeeping.withdraw(ada)
    assert Consent.objects.standing().filter(user=ada).exists()
    assert FacePhoto.objects.get().deleted_at is None
