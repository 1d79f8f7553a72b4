"""What staff do for one person beside money: photos deleted, a letter sent again.

Knows the factories, the roles and the pages.
"""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts import people
from accounts.models import Decision, User
from avatars import auditing, notices, safekeeping
from avatars.models import AvatarRequest, FacePhoto, Gone, Reason, State, StoredFile
from config import roles
from tests import factories

pytestmark = pytest.mark.django_db
REASON = "Asked for it in a letter"


@pytest.fixture
def support(db) -> User:
    roles.set_up()
    person = factories.create_user()
    people.appoint(person, ["support"], actor=None, reason="for a test")
    return person


@pytest.fixture
def supports(support) -> Client:
    client = Client()
    client.force_login(support)
    return client


def act(client: Client, name: str, person: User, **facts):
    form = {"reason": REASON, "confirmed": "yes", **facts}
    return client.post(reverse(name, args=[person.pk]), form, follow=True)


def told_of(person: User) -> list[tuple]:
    rows = Decision.objects.filter(person=person).order_by("pk")
    return list(rows.values_list("act", "actor", "subject", "reason", "after"))


# ── Photos ──────────────────────────────────────────────────────────────────────────────────────


def test_all_photos_go_with_a_record_and_what_waits_is_paid_back(supports, support, ada, ben):
    waiting = factories.create_request_in(State.QUEUED, ada)
    drawn = factories.create_request_in(State.GENERATING, ada)
    theirs = factories.create_photo(ben)
    page = act(supports, "person_photos", ada).text
    assert "The photos are deleted." in page
    photos = FacePhoto.objects.filter(user=ada)
    assert set(photos.values_list("gone_because", "file", "thumb")) == {(Gone.STAFF, None, None)}
    assert told_of(ada) == [("photos_deleted", support.pk, "", REASON, {"photos": 2})]
    waiting.refresh_from_db()
    drawn.refresh_from_db()
    assert (waiting.state, waiting.reason) == (State.CANCELLED, Reason.PHOTO_DELETED)
    assert drawn.state == State.GENERATING
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 1)
    assert FacePhoto.objects.get(pk=theirs.pk).deleted_at is None
    assert [*accounts_auditing.findings(), *auditing.findings()] == []


def test_a_picture_that_is_being_stored_stays(supports, ada):
    factories.create_photo(ada)
    now = timezone.now()
    begun = StoredFile.objects.begin("avatars", "webp", b"picture", user=ada, now=now)
    act(supports, "person_photos", ada)
    assert StoredFile.objects.keep([begun])


def test_their_owner_reads_who_deleted_them_and_gets_the_record(
    supports, client, ada, mailoutbox, settings
):
    photo = factories.create_photo(ada)
    act(supports, "person_photos", ada)
    FacePhoto.objects.filter(pk=photo.pk).update(record_due_at=timezone.now())
    safekeeping.erase_due()
    StoredFile.objects.all().update(due_at=timezone.now())
    safekeeping.erase_due()
    notices.send_records()
    assert [letter.to for letter in mailoutbox] == [[ada.email]]
    client.force_login(ada)
    text = client.get(reverse("face", args=[photo.public_id])).text
    assert "Our staff deleted it, for good." in text


def test_where_no_photo_is_nothing_is_decided(supports, ada):
    page = act(supports, "person_photos", ada).text
    assert "Nothing changed" in page
    assert told_of(ada) == []


def test_nothing_is_deleted_before_the_look_at_what_it_will_be(supports, ada):
    photo = factories.create_photo(ada)
    page = supports.post(reverse("person_photos", args=[ada.pk]), {"reason": REASON})
    assert 'name="confirmed"' in page.text
    assert 'value="Delete all photos"' in page.text
    photo.refresh_from_db()
    assert photo.deleted_at is None


# ── Letters ─────────────────────────────────────────────────────────────────────────────────────


def test_a_letter_goes_again_once_for_each_press(supports, support, ada, mailoutbox):
    wish = factories.create_request_in(State.FAILED, ada)
    AvatarRequest.objects.filter(pk=wish.pk).update(mail_due_at=None)
    page = supports.get(reverse("person_letter", args=[ada.pk])).text
    assert f'value="request:{wish.pk}"' in page
    act(supports, "person_letter", ada, letter=f"request:{wish.pk}")
    assert (
        "Nothing changed" in act(supports, "person_letter", ada, letter=f"request:{wish.pk}").text
    )
    notices.send_due()
    notices.send_due()
    assert [letter.to for letter in mailoutbox] == [[ada.email]]
    assert told_of(ada) == [("letter_resent", support.pk, f"request:{wish.pk}", REASON, {})]


def test_nobody_elses_letter_and_none_that_was_never_owed(supports, ada, ben):
    bens = factories.create_request_in(State.FAILED, ben)
    queued = factories.create_request_in(State.QUEUED, ada)
    for letter in (f"request:{bens.pk}", f"request:{queued.pk}", "request:x", "purchase:1", ""):
        answer = supports.post(
            reverse("person_letter", args=[ada.pk]),
            {"reason": REASON, "confirmed": "yes", "letter": letter},
        )
        assert answer.status_code == 422
    assert told_of(ada) == told_of(ben) == []


def test_what_the_desk_decided_is_told_again(supports, ada, mailoutbox):
    item = factories.create_reported(ada)
    item = item or ada.reviews.get()
    ada.reviews.filter(pk=item.pk).update(
        outcome="removed", category="spam", decided_at=timezone.now()
    )
    act(supports, "person_letter", ada, letter=f"review:{item.pk}")
    notices.send_due()
    assert [letter.to for letter in mailoutbox] == [[ada.email]]
