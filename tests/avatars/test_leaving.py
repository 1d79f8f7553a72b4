"""What goes with a person who closes their account, at once and afterwards, and what stays.

Knows the verbs of both rooms, the provider's stand-in and a whole life.
"""

from datetime import timedelta

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts import closing, notices
from accounts.models import Closing, Consent, Decision, Kind, Purchase, Transfer, User, Wallet
from accounts.models.closings import LEASE, Step, key_hash
from avatars import auditing as avatars_auditing
from avatars import (
    delivery,
    erasing,
    exporting,
    generation,
    leaving,
    safekeeping,
    screening,
    sending,
    storage,
    tasks,
)
from avatars.models import (
    Attempt,
    AvatarRequest,
    Export,
    FacePhoto,
    FileState,
    Reason,
    State,
    StoredFile,
)
from avatars.models.avatar_requests import OPEN
from tests import engine, factories, lives

pytestmark = pytest.mark.django_db

DRAWN = OPEN - {State.HELD}  # factories bring them there by themselves


def findings() -> list[object]:
    return [*accounts_auditing.findings(), *avatars_auditing.findings(files=True)]


@pytest.fixture
def grace(provider, db):
    return lives.live()


@pytest.fixture
def beside(db):
    """Ben has as much, and keeps all of it."""
    return lives.live(email="ben.beside@example.org", states=[State.QUEUED, State.STORING])


def everything(life) -> tuple[object, ...]:
    return (
        list(life.requests.order_by("pk").values_list("pk", "state", "due_at", "lease_no")),
        list(life.avatars.order_by("pk").values_list("pk", "file")),
        list(life.photos.order_by("pk").values_list("pk", "file", "deleted_at")),
        list(StoredFile.objects.filter(user=life.user).order_by("pk").values_list("pk", "state")),
        list(Consent.objects.filter(user=life.user).values_list("withdrawn_at")),
        Wallet.objects.filter(user=life.user).values_list("available", "reserved", "owed").get(),
        Closing.objects.filter(user=life.user).count(),
    )


# ── At once ─────────────────────────────────────────────────────────────────────────────────────


def test_everything_open_is_cancelled_with_its_credit_back_and_its_slot_free(grace, beside):
    before = everything(beside)
    wallet = grace.user.wallet
    wallet.refresh_from_db()
    reserved, available = wallet.reserved, wallet.available
    assert reserved == len(OPEN)
    late = factories.create_request_in(State.GENERATING, grace.user)
    assert late.finish(State.FAILED, Reason.LATE, now=timezone.now(), look_again_at=timezone.now())
    closing.close(grace.user, timezone.now())
    wallet.refresh_from_db()
    assert (wallet.reserved, wallet.available) == (0, available + reserved + 1)
    stopped = grace.requests.filter(reason=Reason.CLOSED)
    assert [each.state for each in stopped] == [State.CANCELLED] * len(OPEN)
    assert not grace.requests.open().exists()
    assert not grace.requests.exclude(due_at=None).exists()
    live = Attempt.objects.filter(request__user=grace.user)
    assert not live.filter(ended_at=None).exists()
    assert not live.exclude(slot_no=None).exists()
    assert not live.filter(face_open=True).exists()
    assert everything(beside) == before
    assert findings() == []


def test_photos_and_exports_are_ordered_to_go_and_avatars_wait(grace):
    files = StoredFile.objects.filter(user=grace.user)
    gone = files.exclude(key__startswith="avatars/")
    photos = set(gone.values_list("key", flat=True))
    avatars = files.filter(key__startswith="avatars/", state=FileState.KEPT)
    kept = set(avatars.values_list("key", flat=True))
    started = closing.close(grace.user, timezone.now())
    assert set(files.filter(state=FileState.KEPT).values_list("key", flat=True)) == kept
    assert not grace.photos.filter(deleted_at=None).exists()
    assert [each.state for each in Export.objects.filter(user=grace.user)] == ["expired"]
    started.refresh_from_db()
    assert started.counts["photos"] == 1
    assert set(started.key_hashes) == {key_hash(key) for key in photos}
    safekeeping.erase_due()
    assert lives.objects() == kept
    assert findings() == []


def test_no_photo_is_taken_from_a_person_who_closed_their_account_while_it_was_read(grace):
    agreed = factories.create_consent(grace.user)
    read = factories.portrait()
    closing.close(grace.user, timezone.now())
    agreed.refresh_from_db()
    with pytest.raises(ValueError, match="standing consent"):
        safekeeping.accept(grace.user, read, consent=agreed)
    agreed.withdrawn_at = None  # as whoever read it before the closing has it in hand
    with pytest.raises(safekeeping.ConsentGone):
        safekeeping.accept(grace.user, read, consent=agreed)
    assert not grace.photos.filter(deleted_at=None).exists()
    assert not StoredFile.objects.filter(user=grace.user, state=FileState.WRITING).exists()


def test_a_wish_submitted_with_what_was_read_before_the_closing_is_refused(grace):
    photo = grace.photos.get(deleted_at=None)
    wish = factories.wish(photo)
    closing.close(grace.user, timezone.now())
    now = timezone.now()
    checked = generation.Checked("words", "", screening.Opinion("pass"))
    with pytest.raises(generation.PhotoGone), transaction.atomic():
        generation.hold_and_join(grace.user, wish, checked, wish.number, now, 20.0)
    assert findings() == []


@pytest.mark.parametrize("state", sorted(DRAWN))
def test_a_worker_in_mid_flight_commits_nothing(state, db):
    ada = factories.create_user()
    working = factories.create_request_in(state, ada)
    now = timezone.now()
    if state != State.QUEUED:
        assert working.claim(now)
    closing.close(ada, now)
    assert not working.move(State.GENERATING)
    assert not working.finish(State.READY, now=now)
    assert not sending.give_up(working, Reason.LATE, now)
    assert not working.wait(now)
    row = AvatarRequest.objects.get(pk=working.pk)
    assert (row.state, row.reason, row.due_at) == (State.CANCELLED, Reason.CLOSED, None)
    assert findings() == []


def test_a_late_picture_is_not_given_to_a_person_who_leaves(provider, ada):
    failed = factories.create_request_in(State.GENERATING, ada)
    now = timezone.now()
    assert sending.give_up(failed, Reason.LATE, now, look_again_at=now)
    closing.close(ada, now)
    AvatarRequest.objects.filter(pk=failed.pk).update(due_at=now)  # its doorbell rings after all
    generation.advance(failed.pk)
    failed.refresh_from_db()
    assert (failed.due_at, failed.avatars.count()) == (None, 0)
    assert provider.books.lines("look") == []


def test_the_doorbell_of_a_stopped_request_changes_nothing(ada):
    stopped = factories.create_request_in(State.GENERATING, ada)
    closing.close(ada, timezone.now())
    bell = delivery.answer_doorbell(f"doorbell-{stopped.pk}", f"9175{stopped.pk}", "")
    assert bell is not None
    assert not bell.is_news


def test_stopping_twice_returns_the_credits_once(ada):
    for _wish in range(3):
        factories.create_request(ada)
    ada.wallet.refresh_from_db()
    before = ada.wallet.available
    assert safekeeping.stop_everything(ada, Reason.CLOSED).requests == 3
    assert safekeeping.stop_everything(ada, Reason.CLOSED).requests == 0
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (before + 3, 0)
    assert Transfer.objects.filter(kind=Kind.RELEASE).count() == 3


# ── When the days are over ──────────────────────────────────────────────────────────────────────


def test_a_closed_account_leaves_no_row_and_no_object_and_a_ledger_without_a_name(
    grace, beside, mailoutbox
):
    kept = everything(beside)
    pk, wallet = grace.user.pk, grace.user.wallet
    purchases = set(Purchase.objects.filter(user=grace.user).values_list("pk", flat=True))
    transfers = Transfer.objects.filter(wallet=wallet).count()
    files = set(StoredFile.objects.filter(user=grace.user).values_list("key", flat=True))
    assert set(lives.traces(lives.EMAIL))
    begun = closing.close(grace.user, timezone.now(), at_once=True)
    lives.leave_for_good()
    begun.refresh_from_db()
    assert (begun.step, begun.user) == (Step.GONE, None)
    assert not User.objects.filter(pk=pk).exists()
    assert lives.references(pk) == []
    theirs = set(StoredFile.objects.filter(user=beside.user).values_list("key", flat=True))
    doomed = StoredFile.objects.filter(user=beside.user, state=FileState.DOOMED)
    assert set(StoredFile.objects.values_list("key", flat=True)) == theirs
    assert lives.objects() >= theirs - set(doomed.values_list("key", flat=True))
    assert not lives.objects() & files
    assert everything(beside) == kept
    wallet.refresh_from_db()
    assert (wallet.user, wallet.reserved, wallet.spendable) == (None, 0, 0)
    assert set(Purchase.objects.filter(user=None).values_list("pk", flat=True)) == purchases
    stopped = len(OPEN)
    assert Transfer.objects.filter(wallet=wallet).count() == transfers + stopped + 1
    assert Transfer.objects.get(kind=Kind.LAPSE).reference == f"close:{wallet.pk}"
    assert Decision.objects.filter(person=None, act="credits_given").count() == 1
    assert findings() == []


def test_no_column_of_no_table_names_the_person_once_the_last_letter_is_out(grace, mailoutbox):
    from_before = lives.traces(*lives.MARKS)
    assert {line.partition(": ")[2] for line in from_before} == set(lives.MARKS)
    closing.close(grace.user, timezone.now(), at_once=True)
    lives.leave_for_good()
    assert lives.traces(*lives.MARKS) == [f"accounts_closing.letter_to: {lives.EMAIL}"]
    notices.tell_of_closings(timezone.now() + timedelta(hours=1))
    assert lives.traces(*lives.MARKS) == []
    assert [letter.to for letter in mailoutbox] == [[lives.EMAIL]]


def test_the_receipt_counts_what_went_and_fingerprints_every_object(grace):
    shown = grace.avatars.filter(file__isnull=False).count()
    asked = grace.requests.count()
    kept = StoredFile.objects.filter(user=grace.user, state=FileState.KEPT)
    keys = set(kept.values_list("key", flat=True))
    begun = closing.close(grace.user, timezone.now())
    safekeeping.erase_due()  # the photos' rows are gone long before the rest
    lives.leave_for_good()
    begun.refresh_from_db()
    photos = 1
    assert begun.counts == {
        "photos": photos,
        "avatars": shown,
        "requests": asked,
        "credits": begun.counts["credits"],
    }
    assert {key_hash(key) for key in keys} <= set(begun.key_hashes)


def test_a_storage_that_is_away_makes_it_wait_and_loses_nothing(grace, monkeypatch):
    def away(_key: str) -> None:
        raise storage.StorageAway("away")

    begun = closing.close(grace.user, timezone.now(), at_once=True)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "remove", away)
        lives.leave_for_good()
    begun.refresh_from_db()
    assert begun.step == Step.EMPTYING
    assert grace.avatars.exists()
    assert findings() == []
    lives.leave_for_good()
    begun.refresh_from_db()
    assert begun.step == Step.GONE
    assert lives.objects() == set()


def test_a_file_somebody_still_writes_is_waited_for(ada):
    begun = closing.close(ada, timezone.now(), at_once=True)
    StoredFile.objects.begin("avatars", "webp", b"late", user=ada, now=timezone.now())
    lives.leave_for_good(after=timedelta())
    begun.refresh_from_db()
    assert begun.step == Step.EMPTYING
    lives.leave_for_good()
    begun.refresh_from_db()
    assert begun.step == Step.GONE
    assert findings() == []


def test_rows_that_a_sleeper_adds_before_the_end_go_the_same_way(ada):
    begun = closing.close(ada, timezone.now(), at_once=True)
    lives.hurry_closings()
    closing.go_on(timezone.now())
    leaving.go_on()
    begun.refresh_from_db()
    assert begun.step == Step.ENDING
    sleeper = User.objects.get(pk=ada.pk)
    factories.create_photo(sleeper)
    lives.hurry_closings()
    closing.go_on(timezone.now())
    begun.refresh_from_db()
    assert begun.step == Step.EMPTYING
    lives.leave_for_good()
    begun.refresh_from_db()
    assert begun.step == Step.GONE
    assert lives.objects() == set()


def test_an_object_that_a_sleeper_announces_before_the_end_is_waited_for_too(ada):
    """Whoever fetched a picture all the while begins to write it as the person goes."""
    begun = closing.close(ada, timezone.now(), at_once=True)
    lives.hurry_closings()
    closing.go_on(timezone.now())
    leaving.go_on()
    begun.refresh_from_db()
    assert begun.step == Step.ENDING
    file = StoredFile.objects.begin("avatars", "webp", b"late", user=ada, now=timezone.now())
    storage.put(file.key, b"late")
    lives.hurry_closings()
    closing.go_on(timezone.now())
    begun.refresh_from_db()
    assert begun.step == Step.EMPTYING
    for minutes in (11, 22):  # it may still be at it: five minutes more
        lives.leave_for_good(after=timedelta(minutes=minutes))
    begun.refresh_from_db()
    assert (begun.step, lives.objects()) == (Step.GONE, set())
    assert key_hash(file.key) in begun.key_hashes


# ── The provider ────────────────────────────────────────────────────────────────────────────────


def job_of(provider, ada, **fields):
    """A picture that the provider has drawn, known to us by its number."""
    done = factories.create_request_in(State.STORING, ada)
    attempt = done.attempts.get()
    Attempt.objects.filter(pk=attempt.pk).update(**fields)
    return attempt


def test_the_provider_deletes_each_picture_of_the_last_day_and_is_asked_once(
    provider, settings, ada
):
    settings.PUBLIC_BASE_URL = ""
    photo = factories.create_photo(ada, factories.portrait())
    drawn = [factories.create_request(ada, photo) for _wish in range(2)]
    engine.finish()
    young, old = (each.attempts.get() for each in drawn)
    long_ago = timezone.now() - timedelta(hours=25)
    Attempt.objects.filter(pk=old.pk).update(sent_at=long_ago)
    begun = closing.close(ada, timezone.now(), at_once=True)
    lives.hurry_closings()
    closing.go_on(timezone.now())
    for _again in range(2):
        leaving.empty(Closing.objects.get(pk=begun.pk))
        erasing.ask_due()
    deleted = [str(line["job"]) for line in provider.books.lines("deleted")]
    assert deleted == [young.provider_job_id]
    young.refresh_from_db()
    assert young.erased
    lives.leave_for_good()
    begun.refresh_from_db()
    assert begun.step == Step.GONE


def test_a_provider_that_is_away_is_asked_again_and_keeps_no_file_of_ours_alive(settings, ada):
    settings.FACE_GEN_URL = "http://127.0.0.1:9/api/"
    factories.create_avatar(ada)
    attempt = job_of(None, ada, provider_job_id="77003")
    begun = closing.close(ada, timezone.now(), at_once=True)
    lives.leave_for_good()
    begun.refresh_from_db()
    assert begun.step == Step.EMPTYING
    assert lives.objects() == set()
    assert Attempt.objects.get(pk=attempt.pk).erased is None
    for hours in (23, 25):  # all its day long, and then it is over for them too
        with time_machine.travel(timezone.now() + timedelta(hours=hours)):
            assert accounts_auditing.findings() == []
    lives.leave_for_good(after=timedelta(hours=24))
    begun.refresh_from_db()
    assert begun.step == Step.GONE


def test_a_job_that_was_stopped_while_drawn_is_asked_for_until_its_drawing_is_over(provider, ada):
    drawing = factories.create_request_in(State.GENERATING, ada)
    begun = closing.close(ada, timezone.now(), at_once=True)
    lives.leave_for_good(after=timedelta())
    begun.refresh_from_db()
    assert (begun.step, drawing.attempts.get().erased) == (Step.EMPTYING, False)
    lives.leave_for_good()
    begun.refresh_from_db()
    assert begun.step == Step.GONE


def test_control_without_the_lock_on_consent_a_photo_outlives_its_account(ada, monkeypatch):
    """The guard removed: whoever believes what was read before keeps a face nobody asked for."""
    monkeypatch.setattr(Consent, "lock", lambda self: True)
    agreed = factories.create_consent(ada)
    closing.close(ada, timezone.now())
    safekeeping.accept(ada, factories.portrait(), consent=agreed)
    assert FacePhoto.objects.filter(user=ada, deleted_at=None).exists()


def test_the_one_who_empties_is_stopped_before_another_follows():
    assert timedelta(seconds=tasks.leave.time_limit) < LEASE


def test_an_export_asked_for_as_the_account_closed_is_not_made(ada):
    closing.close(ada, timezone.now())
    export = exporting.ask(ada, timezone.now())
    assert exporting.prepare_due() == 0
    export.refresh_from_db()
    assert (export.state, export.file) == ("expired", None)


def test_an_export_that_was_being_built_is_thrown_away(ada):
    export = exporting.ask(ada, timezone.now())
    assert export.claim(timezone.now())
    closing.close(ada, timezone.now())
    assert not exporting.prepare(export)
    export.refresh_from_db()
    assert (export.state, export.file) == ("expired", None)
    assert not StoredFile.objects.filter(user=ada).exclude(state=FileState.DOOMED).exists()
