"""What is agreed to is what was read; when it changes, it is asked anew before the next avatar.

Knows the pages and the factories.
"""

import pytest
from django.urls import reverse

from accounts.models import Consent
from avatars import generation, words
from tests import factories

pytestmark = pytest.mark.django_db
AGREED = {"agree": "on", "person": "on"}


@pytest.fixture
def changed(monkeypatch):
    """The text has a new wording from now on."""

    def change() -> None:
        monkeypatch.setattr(generation, "FACE_CONSENT_VERSION", "2027-01")
        monkeypatch.setattr(words, "consent_body", lambda: "We ask you something new.")
        monkeypatch.setattr(words, "consent_text", lambda: "We ask you something new. I agree.")

    return change


def shown(page: str) -> str:
    return page.partition('name="text" value="')[2][:64]


def test_a_new_text_is_asked_before_the_next_avatar_and_the_old_photo_serves_again(
    client, ada, changed
):
    photo = factories.create_photo(ada)
    changed()
    with pytest.raises(generation.ConsentMissing):
        generation.submit(ada, factories.wish(photo))
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (10, 0)
    client.force_login(ada)
    page = client.get(reverse("face_consent")).text
    assert "The text has changed since you agreed to it on" in page
    assert "We ask you something new." in page
    client.post(reverse("face_consent"), AGREED | {"text": shown(page)})
    assert generation.submit(ada, factories.wish(photo)).state == "queued"


def test_a_text_that_changed_while_it_was_read_is_not_agreed_to(client, ada, changed):
    client.force_login(ada)
    read = shown(client.get(reverse("face_consent")).text)
    changed()
    answer = client.post(reverse("face_consent"), AGREED | {"text": read})
    assert answer.status_code == 409
    assert "We ask you something new." in answer.text
    assert " checked" not in answer.text
    assert not Consent.objects.filter(kind=Consent.Kind.FACE).exists()
    client.post(reverse("face_consent"), AGREED | {"text": shown(answer.text)})
    assert Consent.objects.get(kind=Consent.Kind.FACE).version == "2027-01"


def test_withdrawing_ends_every_version_and_the_photos_of_each(client, ada, changed):
    old = factories.create_photo(ada)
    changed()
    new = factories.create_photo(ada)
    client.force_login(ada)
    client.post(reverse("consent_withdraw"))
    assert not Consent.objects.standing().filter(user=ada).exists()
    for photo in (old, new):
        photo.refresh_from_db()
        assert photo.deleted_at is not None
