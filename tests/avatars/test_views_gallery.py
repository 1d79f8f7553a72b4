"""The viewer, favourites, the trash and downloads, as a person meets them.

Knows the factories; Ben's things are there whenever we say that Ada's page shows only hers.
"""

import io
import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from avatars import imaging, storage
from avatars.models import Avatar, FileState, Quality, State, StoredFile, Style
from avatars.views.wall import PAGE
from tests import factories
from tests.avatars.hanging import MARK, hang, hang_drawn, shown

pytestmark = pytest.mark.django_db


@pytest.fixture
def adas(client, ada):
    """Ada's browser."""
    client.force_login(ada)
    return client


@pytest.fixture
def bens(ben) -> Avatar:
    """One of Ben's, in the trash too, and one of his in line: nothing of it is ever Ada's."""
    factories.create_request(ben)
    hang(ben, "bens trash", trashed_at=timezone.now())
    return hang(ben, "bens secret", favourite=True)


# ── One avatar ──────────────────────────────────────────────────────────────────────────────────


def test_the_viewer_says_everything_about_an_avatar(adas, ada, django_assert_num_queries):
    newer_than = hang(ada)
    wish = factories.create_request_in(
        State.READY, ada, prompt="<b>pirate</b>", quality=Quality.FINE, style=Style.COMIC
    )
    avatar = factories.create_avatar(ada, wish)
    newest = hang(ada)
    with django_assert_num_queries(6):
        response = adas.get(f"/gallery/{avatar.public_id}/")
    for expected in (
        "Comic avatar",
        "&lt;b&gt;pirate&lt;/b&gt;",
        "Fine",
        "2 credits",
        "512 × 768",
        f'href="/jobs/{wish.public_id}/receipt/"',
        f'href="/faces/{wish.photo.public_id}/"',
        "More like this · 2 credits",
        f'rel="prev" href="/gallery/{newest.public_id}/"',
        f'rel="next" href="/gallery/{newer_than.public_id}/"',
    ):
        assert expected in response.text
    assert "<b>pirate" not in response.text


def test_the_neighbours_are_adas_own_and_not_in_the_trash(adas, ada, ben):
    oldest = hang(ada)
    hang(ada, trashed_at=timezone.now())
    hang(ben)
    avatar = hang(ada)
    hang(ben)
    response = adas.get(f"/gallery/{avatar.public_id}/")
    assert response.context["previous"] is None
    assert response.context["next"] == oldest.public_id


def test_a_gift_was_free_and_a_deleted_photo_is_told(adas, ada):
    photo = factories.create_photo(ada)
    late = factories.create_request_in(State.FAILED, ada, photo=photo)
    avatar = factories.create_avatar(ada, late, gift=True)
    type(photo).objects.filter(pk=photo.pk).update(
        deleted_at=datetime(2026, 11, 12, 8, tzinfo=UTC), file=None, thumb=None
    )
    text = adas.get(f"/gallery/{avatar.public_id}/").text
    assert "It arrived after all. It's on us." in text
    assert "free ·" in text
    assert "deleted on 12 November 2026" in text


def test_a_trashed_avatar_can_be_looked_at_and_brought_back(adas, ada):
    avatar = hang(ada, trashed_at=datetime(2026, 11, 22, 8, tzinfo=UTC))
    text = adas.get(f"/gallery/{avatar.public_id}/").text
    assert "It goes for good on 22 December 2026." in text
    assert f'action="/gallery/{avatar.public_id}/restore/"' in text
    assert "Download" not in text


@pytest.mark.parametrize("fields", [{"hidden": True}, {"file": None, "thumb": None}])
def test_what_was_taken_down_or_purged_is_not_found(adas, ada, fields):
    avatar = hang(ada, trashed_at=timezone.now(), **fields)
    assert adas.get(f"/gallery/{avatar.public_id}/").status_code == 404


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("avatar", "get"),
        ("avatar_favourite", "post"),
        ("avatar_delete", "post"),
        ("avatar_restore", "post"),
        ("avatar_purge", "post"),
        ("avatar_download", "get"),
    ],
)
def test_everything_of_bens_is_a_404_for_ada_and_stays_as_it_is(adas, ben, name, method):
    trashed_at = timezone.now() if name in ("avatar_restore", "avatar_purge") else None
    avatar = hang_drawn(ben, trashed_at=trashed_at)
    before = Avatar.objects.filter(pk=avatar.pk).values().get()
    form = ["jpeg"] if name == "avatar_download" else []
    response = getattr(adas, method)(reverse(name, args=[avatar.public_id, *form]))
    assert response.status_code == 404
    assert Avatar.objects.filter(pk=avatar.pk).values().get() == before


@pytest.mark.parametrize("act", ["favourite", "delete", "restore", "purge"])
def test_every_change_is_a_post(adas, ada, act):
    assert adas.get(f"/gallery/{hang(ada).public_id}/{act}/").status_code == 405


# ── Favourites ──────────────────────────────────────────────────────────────────────────────────


def test_a_heart_turns_and_turns_back_and_the_page_comes_back_to_it(adas, ada):
    avatar = hang(ada)
    for expected in (True, False):
        response = adas.post(
            f"/gallery/{avatar.public_id}/favourite/",
            headers={"Referer": "http://testserver/gallery/?style=anime#top"},
        )
        avatar.refresh_from_db()
        assert avatar.favourite is expected
    assert response["Location"] == (
        f"http://testserver/gallery/?style=anime#avatar-{avatar.public_id}"
    )


def test_an_address_of_another_site_is_not_gone_back_to(adas, ada):
    avatar = hang(ada)
    response = adas.post(
        f"/gallery/{avatar.public_id}/favourite/", headers={"Referer": "https://evil.example/"}
    )
    assert response["Location"] == f"/gallery/#avatar-{avatar.public_id}"


@pytest.mark.parametrize("word", ["foo", "job", "gallery"])
def test_a_bare_word_for_where_one_came_from_is_no_name_of_a_view(adas, ada, word):
    avatar = hang(ada)
    response = adas.post(f"/gallery/{avatar.public_id}/favourite/", headers={"Referer": word})
    assert response.status_code == 302
    assert response["Location"] == f"{word}#avatar-{avatar.public_id}"


def test_a_script_gets_the_turned_heart_in_both_shapes(adas, ada):
    avatar = hang(ada)
    response = adas.post(f"/gallery/{avatar.public_id}/favourite/", headers={"HX-Request": "true"})
    assert (
        f'id="avatar-{avatar.public_id}-heart" type="submit" aria-pressed="true"' in response.text
    )
    assert 'id="heart" type="submit" aria-pressed="true"' in response.text
    assert "<html" not in response.text


# ── The trash ───────────────────────────────────────────────────────────────────────────────────


def test_delete_moves_to_the_trash_and_offers_undo(adas, ada):
    avatar = hang(ada)
    response = adas.post(f"/gallery/{avatar.public_id}/delete/", follow=True)
    assert shown(response) == []
    assert "Moved to the trash." in response.text
    assert f'form="undo" formaction="/gallery/{avatar.public_id}/restore/"' in response.text
    assert '<form id="undo" method="post" hidden>' in response.text
    adas.post(f"/gallery/{avatar.public_id}/restore/")
    assert shown(adas.get("/gallery/")) == [avatar.public_id]


def test_deleted_again_it_keeps_its_first_date(adas, ada):
    deleted_at = timezone.now() - timedelta(days=3)
    avatar = hang(ada, trashed_at=deleted_at)
    adas.post(f"/gallery/{avatar.public_id}/delete/")
    avatar.refresh_from_db()
    assert avatar.trashed_at == deleted_at


def test_the_trash_says_when_each_goes_for_good(adas, ada, bens, django_assert_num_queries):
    hang(ada)
    trashed = hang(ada, trashed_at=datetime(2026, 11, 22, 8, tzinfo=UTC))
    with django_assert_num_queries(4):
        response = adas.get("/gallery/trash/")
    assert shown(response) == [trashed.public_id]
    assert "22 December 2026" in response.text
    assert "stay here for 30 days" in response.text
    assert "bens" not in response.text


def test_an_empty_trash_leads_back_to_the_gallery(adas, bens):
    text = adas.get("/gallery/trash/").text
    assert "The trash is empty." in text
    assert "To the gallery" in text


def test_the_trash_has_pages_too(adas, ada):
    for _number in range(PAGE + 1):
        hang(ada, trashed_at=timezone.now())
    first = adas.get("/gallery/trash/")
    assert len(shown(adas.get(first.context["next"]))) == 1


def test_deleted_for_good_its_files_are_ordered_to_go(adas, ada):
    avatar = hang(ada, trashed_at=timezone.now())
    files = [avatar.file_id, avatar.thumb_id]
    for _press in range(2):
        response = adas.post(f"/gallery/{avatar.public_id}/purge/")
        assert response["Location"] == "/gallery/trash/"
    avatar.refresh_from_db()
    assert (avatar.file, avatar.thumb) == (None, None)
    assert set(StoredFile.objects.filter(pk__in=files).values_list("state", flat=True)) == {
        FileState.DOOMED
    }
    assert shown(adas.get("/gallery/trash/")) == []


def test_what_hangs_on_the_wall_cannot_be_deleted_for_good(adas, ada):
    avatar = hang(ada)
    assert adas.post(f"/gallery/{avatar.public_id}/purge/").status_code == 404
    avatar.refresh_from_db()
    assert avatar.file is not None


# ── Downloads ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("form", "content_type", "suffix", "size"),
    [
        ("jpeg", "image/jpeg", "jpg", (512, 768)),
        ("webp", "image/webp", "webp", (512, 768)),
        ("png", "image/png", "png", (512, 768)),
        ("square", "image/jpeg", "square.jpg", (512, 512)),
    ],
)
def test_every_download_is_named_typed_and_marked(adas, ada, form, content_type, suffix, size):
    avatar = hang_drawn(
        ada, prompt="Pirate at dusk", created_at=datetime(2026, 11, 22, 8, tzinfo=UTC)
    )
    response = adas.get(f"/gallery/{avatar.public_id}/download/{form}/")
    assert response.status_code == 200
    assert response["Content-Type"] == content_type
    assert response["Content-Disposition"] == (
        f'attachment; filename="likeness-anime-pirate-at-dusk-2026-11-22.{suffix}"'
    )
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, no-store"
    assert imaging.read_mark(response.content) == MARK
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.size == size


def test_an_unknown_form_is_not_found(adas, ada):
    avatar = hang_drawn(ada)
    assert adas.get(f"/gallery/{avatar.public_id}/download/gif/").status_code == 404


def test_while_the_storage_is_away_the_page_says_so(adas, ada, monkeypatch):
    avatar = hang_drawn(ada)

    def away(key):
        raise storage.StorageAway("down")

    monkeypatch.setattr(storage, "read", away)
    response = adas.get(f"/gallery/{avatar.public_id}/download/jpeg/", follow=True)
    assert "We can&#x27;t fetch this picture right now. Nothing is lost." in response.text


def test_a_damaged_file_is_not_handed_out_and_calls_staff(adas, ada, caplog):
    unmarked = hang(ada)
    with caplog.at_level(logging.ERROR, logger="likeness.staff"):
        response = adas.get(f"/gallery/{unmarked.public_id}/download/webp/", follow=True)
    assert "This file is damaged. Our staff have been told." in response.text
    assert [record.getMessage() for record in caplog.records] == [
        f"avatar {unmarked.pk} cannot be downloaded: PictureBroken"
    ]
