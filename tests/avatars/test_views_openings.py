"""Staff and a person's own photo: a reason first, a line for its owner before the first byte.

Knows the pages, the factories and the trail of decisions.
"""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import Decision
from avatars import opening, safekeeping, storage
from avatars.models import FacePhoto
from tests import factories

pytestmark = pytest.mark.django_db
REASON = "A report says this is somebody else's face."


@pytest.fixture
def photo(ada) -> FacePhoto:
    return factories.create_photo(ada)


@pytest.fixture
def lena(db):
    """On the staff, with the right to open photos and nothing else."""
    lena = factories.create_user("lena@example.org", is_staff=True)
    group = Group.objects.create(name="Moderators")
    group.permissions.add(Permission.objects.get(codename="open_facephoto"))
    lena.groups.add(group)
    return lena


def page_of(photo: FacePhoto) -> str:
    return reverse("photo_open", args=[photo.public_id])


def picture_of(photo: FacePhoto) -> str:
    return reverse("photo_picture", args=[photo.public_id])


def test_nothing_is_shown_before_a_reason_is_given(client, lena, photo):
    client.force_login(lena)
    page = client.get(page_of(photo))
    assert picture_of(photo) not in page.content.decode()
    assert client.get(picture_of(photo)).status_code == 403
    assert Decision.objects.count() == 0


def test_the_line_is_written_before_the_first_byte_and_its_owner_reads_it(client, lena, ada, photo):
    client.force_login(lena)
    response = client.post(page_of(photo), {"reason": REASON})
    assert response.url == page_of(photo)
    decision = Decision.objects.get()
    assert (decision.actor, decision.person, decision.act) == (lena, ada, "photo_opened")
    assert (decision.subject, decision.reason) == (f"photo:{photo.public_id}", REASON)
    assert decision.after == {"role": "Moderators"}
    assert picture_of(photo) in client.get(page_of(photo)).content.decode()
    picture = client.get(picture_of(photo))
    assert picture.content == storage.read(photo.file.key)
    assert picture.headers["Cache-Control"] == "private, no-store"
    assert picture.headers["X-Content-Type-Options"] == "nosniff"
    client.force_login(ada)
    for name, arguments in (("face", [photo.public_id]), ("privacy_settings", [])):
        told = client.get(reverse(name, args=arguments)).content.decode()
        assert "Moderators" in told
        assert "A report says this is somebody else&#x27;s face." in told
        assert "lena" not in told


@pytest.mark.parametrize("reason", ["", "   ", "why not", "x" * 301])
def test_without_a_real_reason_nothing_opens(client, lena, photo, reason):
    client.force_login(lena)
    response = client.post(page_of(photo), {"reason": reason})
    assert response.status_code == 422
    assert "Nothing was opened." in response.content.decode()
    assert Decision.objects.count() == 0


def test_after_ten_minutes_it_asks_again(client, lena, photo):
    client.force_login(lena)
    client.post(page_of(photo), {"reason": REASON})
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        client.force_login(lena)
        assert client.get(picture_of(photo)).status_code == 403
        assert 'name="reason"' in client.get(page_of(photo)).content.decode()


def test_a_reason_is_good_for_whoever_gave_it_and_for_this_photo_alone(
    client, lena, mo, ada, photo
):
    opening.open_photo(photo, lena, REASON)
    other = factories.create_photo(ada)
    client.force_login(mo)
    assert client.get(picture_of(photo)).status_code == 403
    client.force_login(lena)
    assert client.get(picture_of(photo)).status_code == 200
    assert client.get(picture_of(other)).status_code == 403


def test_staff_without_the_right_do_not_even_learn_whether_it_exists(client, photo):
    client.force_login(factories.create_user(is_staff=True))
    for address in (page_of(photo), picture_of(photo)):
        assert client.get(address).status_code == 403
        missing = address.replace(str(photo.public_id), "00000000-0000-4000-8000-000000000000")
        assert client.get(missing).status_code == 403
    assert client.post(page_of(photo), {"reason": REASON}).status_code == 403
    assert Decision.objects.count() == 0


def test_a_right_without_the_staff_is_none(client, ben, photo):
    ben.user_permissions.add(Permission.objects.get(codename="open_facephoto"))
    client.force_login(ben)
    assert client.get(page_of(photo)).status_code == 403


def test_a_deleted_photo_cannot_be_opened_however_good_the_reason(client, lena, photo):
    opening.open_photo(photo, lena, REASON)
    safekeeping.erase(photo)
    client.force_login(lena)
    assert client.get(picture_of(photo)).status_code == 404
    response = client.post(page_of(photo), {"reason": REASON}, follow=True)
    assert "There is nothing to open." in response.content.decode()
    assert Decision.objects.count() == 1
    with pytest.raises(opening.PhotoIsGone):
        opening.open_photo(FacePhoto.objects.get(), lena, REASON)


def test_a_verb_without_a_reason_opens_nothing(lena, photo):
    with pytest.raises(ValueError, match="reason"):
        opening.open_photo(photo, lena, "  ")


def test_no_other_page_of_staff_shows_or_links_a_photo(client, mo, ada, photo):
    factories.create_avatar(ada)
    client.force_login(mo)
    for model in ("facephoto", "avatar", "avatarrequest", "attempt", "storedfile"):
        pages = [reverse(f"admin:avatars_{model}_changelist")]
        first = FacePhoto.objects.get(pk=photo.pk) if model == "facephoto" else None
        if first:
            pages.append(reverse("admin:avatars_facephoto_change", args=[first.pk]))
        for page in pages:
            content = client.get(page).content.decode()
            assert "/m/signed/photos/" not in content
            assert picture_of(photo) not in content
    user = client.get(reverse("admin:accounts_user_change", args=[ada.pk])).content.decode()
    assert "/m/signed/" not in user


def test_openings_are_limited_by_the_hour(client, lena, photo):
    client.force_login(lena)
    answers = [client.get(page_of(photo)).status_code for _ in range(31)]
    assert answers == [200] * 31
    posts = [client.post(page_of(photo), {"reason": REASON}).status_code for _ in range(31)]
    assert posts[-1] == 429
