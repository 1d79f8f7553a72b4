"""Settings → Privacy, the record of a deletion and its letter.

Knows the pages, the verbs, the factories.
"""

import gzip
import hashlib
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import Consent, ConsentText
from avatars import generation, notices, safekeeping, storage, words
from avatars.models import Attempt, FacePhoto, Keep, KeepDefault, State
from tests import factories

pytestmark = pytest.mark.django_db
PRIVACY = "/settings/privacy/"


def text(response) -> str:
    return response.content.decode().replace("&#x27;", "'")


def agree(client) -> Consent:
    client.post(reverse("face_consent"), {"agree": "on", "person": "on"}, REMOTE_ADDR="192.0.2.7")
    return Consent.objects.get(kind=Consent.Kind.FACE, withdrawn_at=None)


# ── The page ────────────────────────────────────────────────────────────────────────────────────


def test_the_page_lists_photos_with_countdowns_and_records_of_deleted_ones(client, ada, ben):
    photo, gone = factories.create_photo(ada), factories.create_photo(ada)
    bens = factories.create_photo(ben)
    safekeeping.erase(gone)
    client.force_login(ada)
    page = text(client.get(PRIVACY))
    assert "We keep <strong>1 photo</strong> of yours" in page
    assert "Deletes on" in page
    assert reverse("face", args=[photo.public_id]) in page
    assert reverse("face", args=[gone.public_id]) in page
    assert str(bens.public_id) not in page


def test_a_newcomer_sees_that_there_is_nothing(client, ben):
    client.force_login(ben)
    page = text(client.get(PRIVACY))
    assert "We keep no photo of yours." in page
    assert "Nothing yet. We ask before your first photo." in page
    assert "No member of our staff has opened a photo of yours." in page
    assert "Withdraw" not in page


def test_the_page_costs_the_same_for_one_photo_and_for_many(
    client, ada, django_assert_max_num_queries
):
    client.force_login(ada)
    for count in (1, 12):
        for _photo in range(count):
            safekeeping.erase(factories.create_photo(ada))
            factories.create_photo(ada)
        with django_assert_max_num_queries(10):
            response = client.get(PRIVACY)
    assert len(gzip.compress(response.content)) <= 12_000


def test_the_tab_stands_in_settings(client, ada):
    client.force_login(ada)
    page = text(client.get(reverse("appearance")))
    assert f'<a href="{PRIVACY}">Privacy</a>' in page


# ── Consent ─────────────────────────────────────────────────────────────────────────────────────


def test_a_consent_is_shown_with_version_date_address_and_the_words_as_agreed(client, ada):
    client.force_login(ada)
    given = agree(client)
    page = text(client.get(PRIVACY))
    assert f"Version {generation.FACE_CONSENT_VERSION}, agreed on" in page
    assert "from the network address 192.0.2.7" in page
    assert given.text_hash in page
    for paragraph in words.consent_text().split("\n\n"):
        assert paragraph.strip() in page


def test_the_words_of_an_older_version_are_shown_as_they_were_read(client, ada):
    Consent.objects.give(ada, Consent.Kind.FACE, "2020-01", text="As it was then.", address=None)
    client.force_login(ada)
    page = text(client.get(PRIVACY))
    assert "As it was then." in page
    assert "Version 2020-01" in page
    assert hashlib.sha256(b"As it was then.").hexdigest() in page


def test_one_text_is_kept_once_however_many_agree(client, ada, ben):
    for person in (ada, ben):
        client.force_login(person)
        client.post(reverse("face_consent"), {"agree": "on", "person": "on"})
    assert (Consent.objects.count(), ConsentText.objects.count()) == (2, 1)
    agreed = ConsentText.objects.get().text
    assert "I agree to this use of my face photo" in agreed
    assert "they are 18 or older" in agreed


def test_withdrawing_asks_once_and_says_what_goes(client, ada):
    photo = factories.create_photo(ada)
    factories.create_request(ada, photo)
    factories.create_request_in(State.GENERATING, ada, photo=photo)
    client.force_login(ada)
    page = text(client.get(reverse("consent_withdraw")))
    assert "1 photo is deleted for good" in page
    assert "1 avatar in line is cancelled" in page
    assert "1 avatar being drawn is not kept" in page
    assert Consent.objects.standing().filter(user=ada).exists()
    photo.refresh_from_db()
    assert photo.deleted_at is None


def test_withdrawing_takes_all_of_it_and_says_so(client, ada):
    photo = factories.create_photo(ada)
    factories.create_request(ada, photo)
    factories.create_request_in(State.GENERATING, ada, photo=photo)
    client.force_login(ada)
    response = client.post(reverse("consent_withdraw"), follow=True)
    page = text(response)
    assert response.redirect_chain == [(PRIVACY, 302)]
    assert "Your consent is withdrawn. 1 photo is deleted." in page
    assert "Your 2 credits are back (balance 12). You were not charged." in page
    assert "Withdrawn on" in page
    assert "We keep no photo of yours." in page
    assert reverse("consent_withdraw") not in page
    assert "Before your first photo" in text(client.get(reverse("face_new")))


def test_the_page_of_a_cancelled_request_says_why(client, ada):
    asked = factories.create_request_in(State.GENERATING, ada)
    safekeeping.withdraw(ada)
    client.force_login(ada)
    page = text(client.get(reverse("job", args=[asked.public_id])))
    assert "You withdrew your consent, so we stopped and kept nothing." in page


def test_without_a_consent_there_is_nothing_to_withdraw(client, ben):
    client.force_login(ben)
    assert client.get(reverse("consent_withdraw")).url == PRIVACY
    assert client.post(reverse("consent_withdraw")).url == PRIVACY


def test_agreeing_again_is_a_new_consent_and_the_old_one_stays_told(client, ada):
    client.force_login(ada)
    agree(client)
    client.post(reverse("consent_withdraw"))
    agree(client)
    assert Consent.objects.filter(user=ada).count() == 2
    page = text(client.get(PRIVACY))
    assert page.count("agreed on") == 2
    assert page.count("Withdrawn on") == 1


# ── Retention ───────────────────────────────────────────────────────────────────────────────────


def test_the_default_for_new_photos_is_chosen_here_and_offered_there(client, ada):
    client.force_login(ada)
    agree(client)
    response = client.post(reverse("keep_default"), {"keep": "24h"})
    assert response.url == PRIVACY
    assert KeepDefault.of(ada) == Keep.DAY
    for address in (PRIVACY, reverse("face_new")):
        page = text(client.get(address))
        assert 'value="24h"' in page
        checked = page[page.index('value="24h"') :][:120]
        assert "checked" in checked


def test_an_odd_default_is_refused_and_changes_nothing(client, ada):
    client.force_login(ada)
    page = text(client.post(reverse("keep_default"), {"keep": "for ever"}, follow=True))
    assert "Choose how long we keep your photos." in page
    assert not KeepDefault.objects.exists()


def test_photos_that_are_here_keep_their_dates(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    client.post(reverse("keep_default"), {"keep": "24h"})
    before = (photo.keep, photo.delete_at)
    photo.refresh_from_db()
    assert (photo.keep, photo.delete_at) == before


# ── Where is my face? ───────────────────────────────────────────────────────────────────────────


def test_a_photo_that_went_nowhere_says_so(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    page = text(client.get(reverse("face", args=[photo.public_id])))
    assert "It has not been sent to anybody." in page


def test_the_timeline_tells_who_fetched_it_when_the_link_closed_and_what_was_asked(client, ada):
    asked = factories.create_request_in(State.STORING, ada)
    now = timezone.now()
    Attempt.objects.update(
        face_hits=2,
        face_read_at=now,
        erase_answered_at=now,
        erased=True,
        sent_at=now - timedelta(seconds=5),
    )
    client.force_login(ada)
    page = text(client.get(reverse("face", args=[asked.photo.public_id])))
    assert "It went to ModelsLab once, on" in page
    assert f"Fetched by that link 2 times, last at {timezone.localtime(now):%H:%M}." in page
    assert f"Closed for good at {timezone.localtime(now):%H:%M}." in page
    assert "ModelsLab asked to erase its result for “as a lighthouse" in page
    assert "It says it has." in page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"erased": False, "erase_answered_at": timezone.now()}, "It says there is none to erase"),
        ({"erase_due_at": timezone.now()}, "ModelsLab is being asked to erase its result for"),
        ({"erase_tries": 7}, "evening storm” and never answered."),
    ],
)
def test_what_the_provider_said_to_the_erasure_is_told(client, ada, fields, sentence):
    asked = factories.create_request_in(State.STORING, ada)
    safekeeping.withdraw(ada)
    Attempt.objects.update(**{"erase_due_at": None, **fields})
    client.force_login(ada)
    assert sentence in text(client.get(reverse("face", args=[asked.photo.public_id])))


@pytest.mark.parametrize("bucket", ["", "likeness"])
def test_the_place_of_the_storage_is_named_when_it_is_not_this_machine(client, ada, bucket):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    with override_settings(S3_BUCKET=bucket, S3_REGION="eu-central-1"):
        page = text(client.get(reverse("face", args=[photo.public_id])))
    assert ("Kept in our private storage (eu-central-1)." in page) == bool(bucket)


def test_my_photo_can_be_downloaded_while_it_is_there(client, ada, ben):
    photo = factories.create_photo(ada)
    address = reverse("face_download", args=[photo.public_id])
    client.force_login(ada)
    file = client.get(address)
    assert file.content == storage.read(photo.file.key)
    assert file.headers["Content-Disposition"] == 'attachment; filename="likeness-photo.jpg"'
    assert file.headers["Cache-Control"] == "private, no-store"
    assert client.get(reverse("face_record", args=[photo.public_id])).status_code == 404
    client.force_login(ben)
    assert client.get(address).status_code == 404
    safekeeping.erase(photo)
    client.force_login(ada)
    assert client.get(address).status_code == 404


def test_a_storage_that_is_away_loses_nothing(client, ada, monkeypatch):
    photo = factories.create_photo(ada)

    def away(key: str) -> bytes:
        raise storage.StorageAway("test")

    monkeypatch.setattr(storage, "read", away)
    client.force_login(ada)
    response = client.get(reverse("face_download", args=[photo.public_id]), follow=True)
    assert "We can't fetch this photo right now. Nothing is lost." in text(response)


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (lambda ada, photo: safekeeping.erase(photo), "You deleted it, for good."),
        (lambda ada, photo: safekeeping.withdraw(ada), "You withdrew your consent: deleted"),
        (
            lambda ada, photo: FacePhoto.objects.update(delete_at=timezone.now()),
            "Its date had come: deleted, for good.",
        ),
    ],
)
def test_the_record_says_why_it_went_and_can_be_downloaded(client, ada, end, sentence):
    photo = factories.create_photo(ada, b"some photo")
    small = photo.thumb.sha256
    end(ada, photo)
    safekeeping.erase_due()
    client.force_login(ada)
    assert sentence in text(client.get(reverse("face", args=[photo.public_id])))
    record = client.get(reverse("face_record", args=[photo.public_id]))
    told = record.content.decode()
    assert record.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert f"likeness-deletion-{photo.public_id}.txt" in record.headers["Content-Disposition"]
    for expected in (sentence, photo.sha256, small, "The last of its files left our storage."):
        assert expected in told
    assert "&" not in told


def test_bens_record_is_not_adas(client, ada, ben):
    photo = factories.create_photo(ada)
    safekeeping.erase(photo)
    client.force_login(ben)
    assert client.get(reverse("face_record", args=[photo.public_id])).status_code == 404


# ── The letter ──────────────────────────────────────────────────────────────────────────────────


def test_one_letter_tells_of_all_photos_that_went_together(client, ada, ben):
    photos = [factories.create_photo(ada) for _ in range(3)]
    safekeeping.withdraw(ada)
    safekeeping.erase_due()
    assert notices.send_records() == 0  # not within the first minute
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert (notices.send_records(), notices.send_records()) == (1, 0)
    [letter] = mail.outbox
    assert (letter.to, letter.subject) == ([ada.email], "3 of your photos are deleted")
    for photo in photos:
        assert f"/faces/{photo.public_id}/" in letter.body
    assert "Fingerprint (SHA-256): " in letter.body
    assert len(letter.body) < 30_000


def test_the_letter_waits_until_the_last_object_is_gone(ada):
    safekeeping.erase(factories.create_photo(ada))
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert notices.send_records() == 0
        safekeeping.erase_due()
        assert notices.send_records() == 1
    assert mail.outbox[0].subject == "Your photo is deleted"


def test_a_letter_survives_a_post_office_that_is_closed(ada, settings):
    safekeeping.erase(factories.create_photo(ada))
    safekeeping.erase_due()
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        with override_settings(
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_PORT=9
        ):
            assert notices.send_records() == 0
        assert notices.send_records() == 1


def test_two_who_send_at_once_send_one_letter(ada):
    safekeeping.erase(factories.create_photo(ada))
    safekeeping.erase_due()
    FacePhoto.objects.update(record_due_at=timezone.now())
    first, second = ([FacePhoto.objects.select_related("user").get()] for _ in range(2))
    post = mail.get_connection()
    assert (notices.send_record(first, post), notices.send_record(second, post)) == (True, False)
    assert len(mail.outbox) == 1


def test_a_doubtful_photo_that_gives_way_to_another_is_no_news(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    client.post(reverse("face_delete", args=[photo.public_id]), {"next": "face_new"})
    photo.refresh_from_db()
    assert (photo.deleted_at is not None, photo.record_due_at) == (True, None)
