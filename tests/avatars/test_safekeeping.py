"""Photos in, checked and clean; whatever must go is gone for good.

Knows the verbs, the factories and real pictures.
"""

import io
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone
from PIL import Image

from accounts.models import Transfer
from avatars import auditing, generation, imaging, safekeeping, storage
from avatars.models import (
    Attempt,
    Avatar,
    Breaker,
    FacePhoto,
    FileState,
    Keep,
    Reason,
    State,
    StoredFile,
)
from avatars.models.attempts import Service
from tests import factories

pytestmark = pytest.mark.django_db
PHOTOS = Path(__file__).parent.parent / "photos"


def accept(user, name: str, **fields) -> FacePhoto:
    consent = factories.create_consent(user)
    return safekeeping.accept(user, (PHOTOS / name).read_bytes(), consent=consent, **fields)


def objects() -> set[str]:
    return storage.keys("photos") | storage.keys("avatars")


def test_a_good_photo_is_kept_clean_with_its_verdict(ada):
    photo = accept(ada, "portrait_astronaut.png")
    image = Image.open(io.BytesIO(storage.read(photo.file.key)))
    assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (512, 512), {})
    assert (photo.verdict["faces"], photo.verdict["warnings"]) == (1, [])
    assert {photo.file.state, photo.thumb.state} == {FileState.KEPT}
    assert photo.delete_at - photo.created_at == timedelta(days=30)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("cat.png", "no_face"), ("coffee.png", "no_face"), ("two_people.jpg", "many_faces")],
)
def test_a_photo_without_one_face_is_refused_and_nothing_is_stored(ada, name, blocks):
    with pytest.raises(safekeeping.NoClearFace) as caught:
        accept(ada, name)
    assert caught.value.verdict.blocks == blocks
    assert (FacePhoto.objects.count(), StoredFile.objects.count(), objects()) == (0, 0, set())


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"GIF89a" + b"\x00" * 50, b"\xff\xd8\xff\xe0 cut"]
)
def test_what_is_no_picture_is_refused_and_nothing_is_stored(ada, content):
    with pytest.raises(imaging.PhotoRefused):
        safekeeping.accept(ada, content, consent=factories.create_consent(ada))
    assert (StoredFile.objects.count(), objects()) == (0, set())


def test_a_photo_needs_its_owners_standing_consent(ada, ben):
    with pytest.raises(ValueError, match="consent"):
        safekeeping.accept(ben, b"x", consent=factories.create_consent(ada))


def test_storage_that_is_away_leaves_only_a_journal_row_that_dooms_itself(ada, monkeypatch):
    def away(key: str, content: bytes) -> None:
        raise storage.StorageAway("test")

    monkeypatch.setattr(storage, "put", away)
    with pytest.raises(storage.StorageAway):
        accept(ada, "portrait_astronaut.png")
    monkeypatch.undo()
    assert FacePhoto.objects.count() == 0
    for later in (timedelta(hours=2), timedelta(hours=2, minutes=6)):  # doomed, then gone
        with time_machine.travel(timezone.now() + later):
            safekeeping.erase_due()
    assert (StoredFile.objects.count(), objects()) == (0, set())


def test_after_three_failures_in_a_minute_the_storage_rests_for_half_a_minute(ada, monkeypatch):
    asked = []

    def away(key: str, content: bytes) -> None:
        asked.append(key)
        raise storage.StorageAway("test")

    monkeypatch.setattr(storage, "put", away)
    for _upload in range(5):
        with pytest.raises(storage.StorageAway):
            accept(ada, "portrait_astronaut.png")
    assert len(asked) == 3  # the fourth and the fifth were not even tried
    monkeypatch.undo()
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        assert accept(ada, "portrait_astronaut.png").file.state == FileState.KEPT


def test_failures_that_lie_apart_do_not_make_the_storage_rest(ada):
    breaker = Breaker.of(Service.STORAGE)
    now = timezone.now()
    for minutes in (0, 2, 4, 6):
        breaker.failure(now + timedelta(minutes=minutes))
    breaker.refresh_from_db()
    assert (breaker.paused_until, breaker.strikes) == (None, 1)


def test_an_erased_photo_is_gone_and_its_waiting_request_gets_its_credit_back(ada):
    photo = factories.create_photo(ada)
    waiting = factories.create_request(ada, photo)
    assert safekeeping.erase(photo)
    safekeeping.erase_due()
    waiting.refresh_from_db()
    photo.refresh_from_db()
    ada.wallet.refresh_from_db()
    assert (waiting.state, waiting.reason) == (State.CANCELLED, Reason.PHOTO_DELETED)
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)
    assert (photo.file, photo.thumb, photo.deleted_at is not None) == (None, None, True)
    assert (StoredFile.objects.count(), objects()) == (0, set())


def test_erasing_twice_changes_nothing_more(ada):
    photo = factories.create_photo(ada)
    factories.create_request(ada, photo)
    safekeeping.erase(photo)
    before = Transfer.objects.count()
    assert not safekeeping.erase(photo)
    assert Transfer.objects.count() == before


def test_an_unread_face_link_dies_with_its_photo(ada):
    sending = factories.create_request_in(State.SENDING, ada)
    safekeeping.erase(sending.photo)
    assert not Attempt.objects.serve_face(f"face-{sending.pk}", timezone.now())


def test_a_photo_goes_when_its_time_has_come(ada, ben):
    due = factories.create_photo(ada, delete_at=timezone.now())
    kept = factories.create_photo(ben)
    safekeeping.erase_due()
    due.refresh_from_db()
    kept.refresh_from_db()
    assert (due.deleted_at is not None, kept.deleted_at) == (True, None)


def test_a_photo_in_use_is_not_due(ada):
    photo = factories.create_photo(ada)
    avatar_request = factories.create_request(ada, photo)
    FacePhoto.objects.update(delete_at=timezone.now())
    safekeeping.erase_due()
    photo.refresh_from_db()
    assert photo.deleted_at is None
    avatar_request.finish(State.CANCELLED, Reason.OWNER, now=timezone.now())
    photo.refresh_from_db()
    assert photo.delete_at > timezone.now() + timedelta(days=29)  # an ending is a use
    FacePhoto.objects.update(delete_at=timezone.now())
    safekeeping.erase_due()
    photo.refresh_from_db()
    assert photo.deleted_at is not None


def test_a_photo_used_as_its_date_comes_stays_with_its_request(ada, monkeypatch):
    """Seen as due by the sweep, which then goes to delete it; meanwhile its owner pressed Make."""
    photo = factories.create_photo(ada)
    asked = factories.create_request(ada, photo)
    assert generation.cancel(asked)
    FacePhoto.objects.update(delete_at=timezone.now())
    erase, made = safekeeping.erase, []

    def used_first(due, **arguments):
        if not made:
            assert FacePhoto.objects.used(due.pk, timezone.now())
            made.append(factories.create_request(ada, FacePhoto.objects.get(pk=due.pk)))
        return erase(due, **arguments)

    monkeypatch.setattr(safekeeping, "erase", used_first)
    safekeeping.erase_due()
    photo.refresh_from_db()
    made[0].refresh_from_db()
    assert (photo.deleted_at, made[0].state) == (None, State.QUEUED)


def test_another_retention_counts_from_the_last_use(ada):
    photo = factories.create_photo(ada, last_used_at=timezone.now())
    safekeeping.change_keep(photo, Keep.DAY)
    photo.refresh_from_db()
    assert photo.delete_at == photo.last_used_at + timedelta(hours=24)


def test_trash_is_emptied_after_thirty_days(ada):
    avatar = factories.create_avatar(ada)
    avatar.trash(timezone.now())
    safekeeping.erase_due()
    avatar.refresh_from_db()
    assert avatar.file is not None
    with time_machine.travel(timezone.now() + timedelta(days=30, minutes=1)):
        safekeeping.erase_due()
    avatar.refresh_from_db()
    assert (avatar.file, avatar.thumb, avatar.restore()) == (None, None, False)
    assert not storage.keys("avatars")


def test_a_purged_avatar_leaves_its_row_and_a_silent_audit(ada):
    avatar = factories.create_avatar(ada)
    assert safekeeping.purge(avatar)
    assert not safekeeping.purge(Avatar.objects.get(pk=avatar.pk))
    safekeeping.erase_due()
    assert auditing.findings(files=True) == []


def test_an_object_that_cannot_be_deleted_now_waits(ada, monkeypatch):
    photo = factories.create_photo(ada)
    safekeeping.erase(photo)

    def away(key: str) -> None:
        raise storage.StorageAway("test")

    monkeypatch.setattr(storage, "remove", away)
    assert safekeeping.erase_due() == 0
    monkeypatch.undo()
    assert safekeeping.erase_due() == 2


def test_one_object_that_cannot_be_deleted_does_not_keep_the_others(ada, monkeypatch):
    stuck, other = factories.create_photo(ada), factories.create_photo(ada)
    remove = storage.remove

    def refuses_one(key: str) -> None:
        if key == stuck.file.key:
            raise storage.StorageAway("locked")
        remove(key)

    monkeypatch.setattr(storage, "remove", refuses_one)
    for photo in (stuck, other):
        safekeeping.erase(photo)
    assert safekeeping.erase_due() == 3
    assert objects() == {stuck.file.key}
    other.refresh_from_db()
    assert other.emptied_at is not None


def test_the_audit_finds_strangers_anywhere_and_missing_objects(ada):
    photo = factories.create_photo(ada)
    strangers = ("another/deep/stranger.bin", "photos/stranger.jpg", "stranger.txt")
    for key in strangers:
        storage.put(key, b"x")
    storage.remove(photo.file.key)
    found = {(f.sentence, tuple(f.rows)) for f in auditing.findings(files=True)}
    assert found == {
        ("an object without a row", strangers),
        ("a kept row without an object", (photo.file.key,)),
    }


def test_the_audit_is_silent_about_what_comes_and_goes_while_it_lists(ada, monkeypatch):
    goes = factories.create_photo(ada)
    listed, keys = [], storage.keys

    def while_the_site_goes_on() -> set[str]:
        found = keys()
        if not listed:
            factories.create_photo(ada)
            safekeeping.erase(goes)
            safekeeping.erase_due()
        listed.append(found)
        return found

    monkeypatch.setattr(storage, "keys", while_the_site_goes_on)
    assert auditing.findings(files=True) == []
    assert goes.file.key in listed[0]


def test_an_avatar_restored_meanwhile_is_not_emptied_out(ada):
    avatar = factories.create_avatar(ada)
    avatar.trash(timezone.now())
    stale = Avatar.objects.get(pk=avatar.pk)
    assert avatar.restore()
    assert not safekeeping.purge(stale)
    assert Avatar.objects.get(pk=avatar.pk).file.state == FileState.KEPT
