"""Consent before the first upload, clear verdicts, and a photo that goes when its owner says so.

Knows the pages, the factories and real pictures.
"""

import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from accounts.models import Consent
from avatars import generation, moderation, safekeeping, storage
from avatars.face_check import Verdict
from avatars.imaging import UPLOAD_BYTES
from avatars.models import FacePhoto, Keep, State, StoredFile
from avatars.views import photos
from tests import factories

PICTURES = Path(__file__).parent.parent / "photos"
NEW = "/faces/new/"


def text(response) -> str:
    return response.content.decode().replace("&#x27;", "'")


def upload(client, name: str, keep: str = "30d", **extra):
    with (PICTURES / name).open("rb") as photo:
        return client.post(NEW, {"photo": photo, "keep": keep}, **extra)


def agreed(client, user):
    client.force_login(user)
    return factories.create_consent(user)


# ── Consent ─────────────────────────────────────────────────────────────────────────────────────


def test_consent_is_asked_before_the_first_photo_with_empty_boxes(client, ada):
    client.force_login(ada)
    page = text(client.get(NEW))
    assert "Before your first photo" in page
    assert "checked" not in page
    assert 'type="file"' not in page
    assert f'href="{reverse("styles")}"><span>Not now</span>' in page


def test_a_photo_sent_without_consent_is_not_taken(client, ada):
    client.force_login(ada)
    assert "Before your first photo" in text(upload(client, "portrait_astronaut.png"))
    assert FacePhoto.objects.count() == 0
    assert StoredFile.objects.count() == 0


@pytest.mark.parametrize("given", [{}, {"agree": "on"}, {"person": "on"}])
def test_both_boxes_are_needed(client, ada, given):
    client.force_login(ada)
    response = client.post(reverse("face_consent"), given)
    assert response.status_code == 422
    assert Consent.objects.count() == 0


def test_a_consent_keeps_version_hash_of_the_text_time_and_address(client, ada):
    client.force_login(ada)
    now = timezone.now().replace(microsecond=0)
    with time_machine.travel(now, tick=False):
        response = client.post(
            reverse("face_consent"), {"agree": "on", "person": "on"}, REMOTE_ADDR="192.0.2.7"
        )
    assert response.url == NEW
    given = Consent.objects.get()
    assert (given.user, given.kind, given.version) == (
        ada,
        Consent.Kind.FACE,
        generation.FACE_CONSENT_VERSION,
    )
    assert given.text_hash == hashlib.sha256(photos.consent_text().encode()).hexdigest()
    assert (given.address, given.given_at, given.withdrawn_at) == ("192.0.2.7", now, None)


def test_the_text_agreed_to_is_the_text_that_was_shown(client, ada):
    client.force_login(ada)
    page = text(client.get(NEW))
    for paragraph in photos.consent_text().split("\n\n"):
        assert paragraph.strip() in page


def test_agreeing_twice_is_one_consent(client, ada):
    client.force_login(ada)
    for _press in range(2):
        client.post(reverse("face_consent"), {"agree": "on", "person": "on"})
    assert Consent.objects.count() == 1


def test_an_older_text_is_not_enough(client, ada):
    client.force_login(ada)
    consent = factories.create_consent(ada)
    Consent.objects.filter(pk=consent.pk).update(version="2020-01")
    assert "Before your first photo" in text(client.get(NEW))


def test_a_withdrawn_consent_is_asked_for_again(client, ada):
    agreed(client, ada).withdraw(timezone.now())
    assert "Before your first photo" in text(client.get(NEW))


def test_whoever_came_from_create_goes_back_there(client, ada):
    client.force_login(ada)
    page = text(client.get(f"{reverse('face_consent')}?next=create"))
    assert '<input type="hidden" name="next" value="create">' in page
    response = client.post(
        reverse("face_consent"), {"agree": "on", "person": "on", "next": "create"}
    )
    assert response.url == reverse("create")


def test_nobody_is_sent_elsewhere_after_agreeing(client, ada):
    client.force_login(ada)
    response = client.post(
        reverse("face_consent"), {"agree": "on", "person": "on", "next": "//evil.example"}
    )
    assert response.url == NEW


# ── Upload and verdict ──────────────────────────────────────────────────────────────────────────


def test_guidance_stands_before_the_picker(client, ada):
    agreed(client, ada)
    page = text(client.get(NEW))
    assert page.index("Sunglasses") < page.index('type="file"')
    assert 'accept="image/jpeg,image/png,image/webp,image/heic,image/heif,.heic,.heif"' in page
    assert "up to 10 MB" in page


def test_a_good_photo_is_kept_and_shown_with_its_face(client, ada):
    consent = agreed(client, ada)
    response = upload(client, "portrait_astronaut.png", keep="24h")
    photo = FacePhoto.objects.get()
    assert (photo.user, photo.consent, photo.keep) == (ada, consent, Keep.DAY)
    assert response.url == f"{NEW}?photo={photo.public_id}"
    page = text(client.get(response.url))
    assert "Great photo." in page
    x, y, width, height = photo.verdict["box"]
    assert f'<rect x="{x}" y="{y}" width="{width}" height="{height}"' in page
    assert storage.link(photo.file.key).replace("&", "&amp;") in page
    assert "Use this photo" in page
    assert 'id="choose-another"' not in page


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("blurred.jpg", "It looks blurred."),
        ("cut_at_chin.jpg", "The shoulders are cut off; the likeness may suffer."),
        ("head_only_small.jpg", "The shoulders are cut off; the likeness may suffer."),
    ],
)
def test_a_doubtful_photo_asks_its_owner(client, ada, name, sentence):
    agreed(client, ada)
    page = text(client.get(upload(client, name).url))
    assert sentence in page
    assert "Use anyway" in page
    assert "c-button--filled" not in page


def test_choosing_another_erases_the_doubtful_one(client, ada):
    agreed(client, ada)
    verdict_page = upload(client, "blurred.jpg").url
    photo = FacePhoto.objects.get()
    address = reverse("face_delete", args=[photo.public_id])
    assert f'<form id="choose-another" method="post" action="{address}">' in text(
        client.get(verdict_page)
    )
    assert client.post(address, {"next": "face_new"}).url == NEW
    photo.refresh_from_db()
    assert (photo.file, photo.thumb) == (None, None)


def doubtful_photo(user, **fields) -> FacePhoto:
    verdict = Verdict(1, (150, 90, 210, 260), None, ("blurred",), 512, 512).as_dict()
    return factories.create_photo(user, verdict=verdict, **fields)


def test_choosing_another_leaves_a_photo_that_was_used_where_it_is(client, ada):
    photo = doubtful_photo(ada)
    client.force_login(ada)
    verdict_page = f"{NEW}?photo={photo.public_id}"
    assert 'id="choose-another"' in text(client.get(verdict_page))
    factories.create_request(ada, photo)
    FacePhoto.objects.used(photo.pk, timezone.now())
    page = text(client.get(verdict_page))
    assert 'id="choose-another"' not in page
    assert f'href="{NEW}"><span>Choose another</span>' in page


def test_a_page_from_before_its_use_asks_before_a_photo_goes(client, ada):
    photo = doubtful_photo(ada, last_used_at=timezone.now())
    client.force_login(ada)
    address = reverse("face_delete", args=[photo.public_id])
    assert client.post(address, {"next": "face_new"}).url == address
    photo.refresh_from_db()
    assert photo.deleted_at is None
    assert client.post(address).url == reverse("faces")
    photo.refresh_from_db()
    assert photo.deleted_at is not None


def test_there_is_an_end_to_how_many_photos_are_kept(client, ada, monkeypatch):
    monkeypatch.setattr(photos, "PHOTOS_KEPT", 2)
    agreed(client, ada)
    factories.create_photo(ada)
    last = factories.create_photo(ada)
    said = "You have 2 photos here, the most we keep at once. Delete one first."
    page = text(client.get(NEW))
    assert f'{said} <a href="{reverse("faces")}">My photos</a>' in page
    assert 'type="file"' not in page
    response = upload(client, "portrait_astronaut.png")
    assert response.status_code == 409
    assert said in text(response)
    assert FacePhoto.objects.count() == 2
    safekeeping.erase(last)
    assert upload(client, "portrait_astronaut.png").status_code == 302


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("cat.png", "We couldn't find a face in this photo."),
        ("coffee.png", "We couldn't find a face in this photo."),
        ("two_people.jpg", "We found two faces. Crop to just yours."),
    ],
)
def test_a_photo_without_one_clear_face_is_not_kept(client, ada, name, sentence):
    agreed(client, ada)
    response = upload(client, name)
    assert response.status_code == 422
    assert sentence in text(response)
    assert (FacePhoto.objects.count(), StoredFile.objects.count()) == (0, 0)


def test_the_chosen_retention_survives_a_refused_photo(client, ada):
    agreed(client, ada)
    page = text(upload(client, "cat.png", keep="24h"))
    assert 'value="24h" required id="id_keep_1" checked' in page


def test_what_is_no_picture_is_said_to_be_none(client, ada):
    agreed(client, ada)
    for content in (b"", b"hello", b"<svg onload=alert(1)>"):
        photo = SimpleUploadedFile("me.jpg", content, content_type="image/jpeg")
        response = client.post(NEW, {"photo": photo, "keep": "30d"})
        assert response.status_code == 422
        assert "This file isn't a picture we can read." in text(response)


def test_no_file_at_all_is_asked_for(client, ada):
    agreed(client, ada)
    response = client.post(NEW, {"keep": "30d"})
    assert response.status_code == 422
    assert "Choose a photo first." in text(response)


def test_a_file_over_the_limit_is_told_its_size(client, ada):
    agreed(client, ada)
    photo = SimpleUploadedFile("me.jpg", bytes(UPLOAD_BYTES + 4 * 1024 * 1024))
    response = client.post(NEW, {"photo": photo, "keep": "30d"})
    assert response.status_code == 422
    assert "This file is 14 MB; the limit is 10 MB." in text(response)
    assert StoredFile.objects.count() == 0


def test_a_form_that_is_no_form_is_answered_with_a_sentence(client, ada):
    agreed(client, ada)
    response = client.post(NEW, b"not a form", content_type="text/plain")
    assert response.status_code == 422
    assert "Choose a photo first." in text(response)


def test_the_twenty_first_upload_of_an_hour_is_told_when_to_try_again(client, ada):
    agreed(client, ada)
    for _upload in range(20):
        client.post(NEW, {"keep": "30d"})
    response = client.post(NEW, {"keep": "30d"})
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 3600
    assert client.get(NEW).status_code == 200


def test_a_storage_that_is_away_says_that_nothing_was_lost(client, ada, settings, tmp_path):
    agreed(client, ada)
    blocked = tmp_path / "a file where a folder should be"
    blocked.write_text("")
    storages = {**settings.STORAGES}
    storages["private"] = {
        "BACKEND": "avatars.storage.PrivateFileStorage",
        "OPTIONS": {"location": str(blocked)},
    }
    settings.STORAGES = storages
    response = upload(client, "portrait_astronaut.png")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "30"
    assert "We can't take photos right now; nothing was lost." in text(response)
    assert FacePhoto.objects.count() == 0


def test_ben_cannot_see_the_verdict_on_adas_photo(client, ada, ben):
    photo = factories.create_photo(ada)
    client.force_login(ben)
    assert client.get(NEW, {"photo": photo.public_id}).status_code == 404
    assert client.get(NEW, {"photo": "no id at all"}).status_code == 404


# ── Saved photos ────────────────────────────────────────────────────────────────────────────────


def test_saved_photos_are_ones_own_and_only_those_still_there(client, ada, ben):
    kept = factories.create_photo(ada)
    gone = factories.create_photo(ada)
    late = factories.create_photo(ada, delete_at=timezone.now() - timedelta(seconds=1))
    bens = factories.create_photo(ben)
    safekeeping.erase(gone)
    client.force_login(ada)
    page = text(client.get(reverse("faces")))
    shown = [photo for photo in (kept, gone, late, bens) if str(photo.public_id) in page]
    assert shown == [kept]


def test_a_saved_photo_says_what_it_was_used_for_and_when_it_goes(client, ada):
    photo = factories.create_photo(ada)
    factories.create_request_in(State.READY, ada, photo=photo)
    factories.create_request_in(State.FAILED, ada, photo=photo)
    client.force_login(ada)
    page = text(client.get(reverse("faces")))
    assert "used for 1 avatar<" in page
    assert "Deletes on " in page


def test_an_empty_library_names_a_way_out(client, ada):
    client.force_login(ada)
    page = text(client.get(reverse("faces")))
    assert "No photos here." in page
    assert f'href="{NEW}"' in page


@pytest.mark.parametrize("count", [3, 30])
def test_the_library_costs_the_same_with_three_and_thirty_photos(
    client, ada, count, django_assert_num_queries
):
    for _photo in range(count):
        factories.create_photo(ada)
    client.force_login(ada)
    client.get(reverse("faces"))
    with django_assert_num_queries(4):  # session, person, photos, tray
        client.get(reverse("faces"))


# ── Where is my face? ───────────────────────────────────────────────────────────────────────────


def test_the_first_line_answers_where_the_photo_is(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    page = text(client.get(reverse("face", args=[photo.public_id])))
    assert "Your photo is in <strong>1 place</strong>: our private storage." in page
    assert "We cannot see inside ModelsLab." in page


def test_the_timeline_tells_how_the_photo_travelled(client, ada):
    photo = factories.create_photo(ada)
    by_link = factories.create_request_in(State.GENERATING, ada, photo=photo)
    by_link.attempts.update(face_hits=1, face_read_at=timezone.now())
    inside = factories.create_request_in(State.GENERATING, ada, photo=photo)
    inside.attempts.update(face_hash=None, face_open=False)
    client.force_login(ada)
    page = text(client.get(reverse("face", args=[photo.public_id])))
    assert "Offered to ModelsLab by a private link" in page
    assert "Fetched by that link, once." in page
    assert "Sent to ModelsLab inside the order" in page


def test_a_deleted_photo_leaves_a_record_and_nothing_else(client, ada):
    photo = factories.create_photo(ada)
    safekeeping.erase(photo)
    client.force_login(ada)
    page = text(client.get(reverse("face", args=[photo.public_id])))
    assert "Your photo is in <strong>no place of ours</strong> any more." in page
    assert "Deleted, for good." in page
    assert photo.sha256 in page
    assert "<img" not in page


def test_a_look_by_staff_stands_in_the_timeline_with_its_reason(client, ada, ben):
    item = factories.create_held(ada)
    photo = item.request.photo
    other = factories.create_photo(ada)
    moderation.open_photo(item, factories.create_moderator(), "is it the same person?")
    client.force_login(ada)
    said = "Opened by a moderator of ours: is it the same person?"
    assert said in client.get(reverse("face", args=[photo.public_id])).text
    assert said not in client.get(reverse("face", args=[other.public_id])).text


def test_where_is_my_face_costs_at_most_five_queries(client, ada, django_assert_max_num_queries):
    photo = factories.create_photo(ada)
    for _time in range(3):
        factories.create_request_in(State.GENERATING, ada, photo=photo)
    client.force_login(ada)
    with django_assert_max_num_queries(5):
        response = client.get(reverse("face", args=[photo.public_id]))
    assert len(gzip.compress(response.content)) <= 9_000


def test_deleting_asks_once_and_says_what_goes_with_it(client, ada):
    photo = factories.create_photo(ada)
    factories.create_request(ada, photo)
    factories.create_request_in(State.GENERATING, ada, photo=photo)
    client.force_login(ada)
    page = text(client.get(reverse("face_delete", args=[photo.public_id])))
    assert "1 avatar in line is cancelled and its credits return." in page
    assert "One being drawn may still arrive." in page
    photo.refresh_from_db()
    assert photo.deleted_at is None


def test_delete_now_erases_and_gives_the_credits_back(client, ada):
    photo = factories.create_photo(ada)
    waiting = factories.create_request(ada, photo)
    ada.wallet.refresh_from_db()
    balance = ada.wallet.available
    client.force_login(ada)
    response = client.post(reverse("face_delete", args=[photo.public_id]))
    assert response.url == reverse("faces")
    photo.refresh_from_db()
    waiting.refresh_from_db()
    ada.wallet.refresh_from_db()
    assert (photo.file, waiting.state) == (None, State.CANCELLED)
    assert ada.wallet.available == balance + waiting.cost


def test_another_retention_is_counted_from_the_upload(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    response = client.post(reverse("face_keep", args=[photo.public_id]), {"keep": "24h"})
    assert response.url == reverse("face", args=[photo.public_id])
    photo.refresh_from_db()
    assert (photo.keep, photo.delete_at) == (Keep.DAY, photo.created_at + timedelta(hours=24))


@pytest.mark.parametrize("keep", ["24h", "ready"])
@pytest.mark.parametrize("next_page", ["", "verdict"])
def test_a_retention_that_is_over_already_asks_before_the_photo_goes(client, ada, keep, next_page):
    photo = factories.create_photo(ada, created_at=timezone.now() - timedelta(days=2))
    client.force_login(ada)
    response = client.post(
        reverse("face_keep", args=[photo.public_id]), {"keep": keep, "next": next_page}, follow=True
    )
    assert response.redirect_chain == [(reverse("face_delete", args=[photo.public_id]), 302)]
    assert "Delete this photo now?" in text(response)
    assert "By that choice this photo would go at once." in text(response)
    before = photo.delete_at
    photo.refresh_from_db()
    assert (photo.keep, photo.delete_at, photo.deleted_at) == (Keep.MONTH, before, None)


def test_an_old_photo_used_today_may_be_kept_for_24_hours_more(client, ada):
    used_at = timezone.now() - timedelta(hours=1)
    photo = factories.create_photo(
        ada, created_at=timezone.now() - timedelta(days=2), last_used_at=used_at
    )
    client.force_login(ada)
    client.post(reverse("face_keep", args=[photo.public_id]), {"keep": "24h"})
    photo.refresh_from_db()
    assert photo.delete_at == used_at + timedelta(hours=24)


@pytest.mark.parametrize(
    ("keep", "on_its_page", "on_its_card"),
    [
        (
            Keep.READY,
            "It is deleted when your avatar is ready, on <strong>22 November 2026, 10:25</strong>"
            " at the latest.",
            "Deletes when your avatar is ready",
        ),
        (
            Keep.DAY,
            "It is deleted on <strong>22 November 2026, 10:25</strong>.",
            "Deletes on 22 November, 10:25<",
        ),
        (
            Keep.MONTH,
            "It is deleted on <strong>22 November 2026</strong>.",
            "Deletes on 22 November<",
        ),
    ],
)
def test_each_retention_says_as_exactly_as_it_is_when_a_photo_goes(
    client, ada, keep, on_its_page, on_its_card
):
    ends_at = datetime(2026, 11, 22, 10, 25, tzinfo=UTC)
    photo = factories.create_photo(ada, keep=keep, delete_at=ends_at)
    with time_machine.travel(ends_at - timedelta(hours=2), tick=False):
        client.force_login(ada)
        assert on_its_page in text(client.get(reverse("face", args=[photo.public_id])))
        assert on_its_card in text(client.get(reverse("faces")))


def test_a_retention_that_does_not_exist_changes_nothing(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    response = client.post(
        reverse("face_keep", args=[photo.public_id]), {"keep": "for ever"}, follow=True
    )
    assert "Choose how long we keep the photo." in text(response)
    photo.refresh_from_db()
    assert photo.keep == Keep.MONTH


@pytest.mark.parametrize(
    ("name", "method"), [("face", "get"), ("face_delete", "post"), ("face_keep", "post")]
)
def test_ben_cannot_touch_adas_photo(client, ada, ben, name, method):
    photo = factories.create_photo(ada)
    client.force_login(ben)
    address = reverse(name, args=[photo.public_id])
    assert getattr(client, method)(address, {"keep": "24h"}).status_code == 404
    photo.refresh_from_db()
    assert (photo.deleted_at, photo.keep) == (None, Keep.MONTH)
