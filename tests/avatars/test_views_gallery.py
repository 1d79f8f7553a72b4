"""The gallery, the viewer, favourites, the trash and downloads, as a person meets them.

Knows the factories; Ben's things are there whenever we say that Ada's page shows only hers.
"""

import io
import logging
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from avatars import imaging, storage
from avatars.models import Avatar, FileState, Quality, State, StoredFile, Style
from avatars.views.wall import PAGE
from tests import factories

pytestmark = pytest.mark.django_db

MARK = "0123456789abcdef0123456789abcdef"


def hang(user, prompt="as a lighthouse keeper", **fields) -> Avatar:
    """One avatar on somebody's wall, made by a request of that style and description."""
    style = fields.pop("style", Style.ANIME)
    wish = factories.create_request_in(State.READY, user, prompt=prompt, style=style)
    alt = f"{style.label} avatar: {prompt}"
    return factories.create_avatar(user, wish, **{"alt": alt, **fields})


def drawn() -> bytes:
    """A master as the delivery stores it, with its mark."""
    stripes = Image.linear_gradient("L").resize((512, 768)).convert("RGB")
    raw = io.BytesIO()
    stripes.save(raw, "PNG")
    return imaging.render_avatar(raw.getvalue(), mark_id=MARK).master


def hang_drawn(user, **fields) -> Avatar:
    return hang(user, file=factories.create_file(user, "avatars", "webp", drawn()), **fields)


def shown(response) -> list[uuid.UUID]:
    return [tile["avatar"]["public_id"] for tile in response.context["tiles"]]


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


# ── The wall ────────────────────────────────────────────────────────────────────────────────────


def test_ada_sees_hers_newest_first_and_nothing_of_bens(adas, ada, bens):
    first, second = hang(ada), hang(ada)
    response = adas.get("/gallery/")
    assert shown(response) == [second.public_id, first.public_id]
    assert response.context["requests"] == []
    assert "bens" not in response.text
    assert response["Cache-Control"] == "private, no-store"
    assert "HX-Request" in response["Vary"]


def test_what_is_trashed_purged_or_taken_down_does_not_hang(adas, ada):
    hang(ada, trashed_at=timezone.now())
    hang(ada, hidden=True)
    hang(ada, file=None, thumb=None, trashed_at=timezone.now())
    there = hang(ada)
    assert shown(adas.get("/gallery/")) == [there.public_id]


@pytest.mark.parametrize("pictures", [3, PAGE])
def test_a_wall_of_any_size_costs_four_queries(
    adas, ada, bens, pictures, django_assert_num_queries
):
    for _number in range(pictures):
        hang(ada)
    factories.create_request(ada)
    factories.create_request_in(State.FAILED, ada)
    with django_assert_num_queries(4):
        response = adas.get("/gallery/")
    assert (len(shown(response)), len(response.context["requests"])) == (pictures, 2)


def test_the_next_page_goes_on_where_the_first_one_ended(adas, ada, bens):
    all_of_them = [hang(ada).public_id for _number in range(PAGE + 2)][::-1]
    first = adas.get("/gallery/")
    second = adas.get(first.context["next"])
    assert shown(first) + shown(second) == all_of_them
    assert second.context["next"] == ""
    assert f'href="/gallery/?before={all_of_them[PAGE - 1]}"' in first.text
    assert "Back to the newest" in second.text


def test_exactly_one_page_has_no_next_one(adas, ada):
    for _number in range(PAGE):
        hang(ada)
    response = adas.get("/gallery/")
    assert response.context["next"] == ""
    assert "That is all." in response.text


def test_bens_avatar_is_no_place_in_adas_list(adas, ada, bens):
    hang(ada)
    response = adas.get(f"/gallery/?before={bens.public_id}")
    assert (response.status_code, response["Location"]) == (302, "/gallery/")


def test_a_place_that_cannot_be_one_is_not_found(adas):
    assert adas.get("/gallery/?before=first").status_code == 404


def test_a_script_gets_the_next_tiles_and_their_pager_without_the_page_around(adas, ada):
    for _number in range(PAGE + 1):
        hang(ada)
    address = adas.get("/gallery/").context["next"]
    from_the_first = {"HX-Request": "true", "HX-Current-URL": "http://testserver/gallery/"}
    response = adas.get(address, headers=from_the_first)
    assert response.text.count("<article") == 1
    assert 'id="pager"' in response.text
    assert "<html" not in response.text


def test_from_the_second_press_the_list_goes_on_by_itself(adas, ada):
    for _number in range(2 * PAGE + 1):
        hang(ada)
    address = adas.get("/gallery/").context["next"]
    pressed_on_the_first = {"HX-Request": "true", "HX-Current-URL": "http://testserver/gallery/"}
    assert "revealed" not in adas.get(address, headers=pressed_on_the_first).text
    pressed_again = pressed_on_the_first | {"HX-Current-URL": f"http://testserver{address}"}
    assert "revealed" in adas.get(address, headers=pressed_again).text


def test_a_tile_names_its_picture_and_leads_to_its_page(adas, ada):
    avatar = hang(ada, "pirate at dusk", favourite=True, gift=True)
    text = adas.get("/gallery/").text
    assert 'alt="Anime avatar: pirate at dusk"' in text
    assert f'href="/gallery/{avatar.public_id}/"' in text
    assert f'href="/create/?from={avatar.public_id}"' in text
    assert 'aria-pressed="true"' in text
    assert "Gift" in text


# ── Finding ─────────────────────────────────────────────────────────────────────────────────────


def test_filters_stand_in_the_address_and_narrow_together(adas, ada, bens):
    wanted = hang(ada, "pirate at dusk", style=Style.COMIC, favourite=True)
    hang(ada, "pirate at dusk", style=Style.COMIC)
    hang(ada, "pirate at dusk", favourite=True)
    hang(ada, "baker", style=Style.COMIC, favourite=True)
    response = adas.get("/gallery/?style=comic&favourites=yes&q=PIRATE+dusk")
    assert shown(response) == [wanted.public_id]


def test_every_word_must_be_there_in_description_or_alternative_text(adas, ada):
    avatar = hang(ada, "pirate at dusk", alt="Me with a parrot")
    assert shown(adas.get("/gallery/?q=parrot+pirate")) == [avatar.public_id]
    assert shown(adas.get("/gallery/?q=parrot+baker")) == []


def test_a_filter_that_makes_no_sense_is_as_if_not_asked(adas, ada):
    avatar = hang(ada)
    assert shown(adas.get("/gallery/?style=cubist&q=%00")) == [avatar.public_id]


def test_a_chip_keeps_the_other_filters_and_turns_itself_off(adas, ada):
    hang(ada, "pirate")
    chips = {
        str(chip["label"]): (chip["current"], chip["href"])
        for chip in adas.get("/gallery/?style=anime&q=pirate").context["styles"]
    }
    assert chips["Anime"] == (True, "/gallery/?q=pirate")
    assert chips["Comic"] == (False, "/gallery/?style=comic&q=pirate")
    assert chips["Favourites"] == (False, "/gallery/?style=anime&favourites=yes&q=pirate")


def test_the_next_page_of_a_search_is_of_the_same_search(adas, ada):
    for _number in range(PAGE + 1):
        hang(ada, "pirate")
    hang(ada, "baker")
    first = adas.get("/gallery/?q=pirate")
    assert len(shown(adas.get(first.context["next"]))) == 1


def test_three_kinds_of_nothing_are_told_apart(adas, ada):
    assert "Your first avatar will hang here." in adas.get("/gallery/").text
    avatar = hang(ada)
    nothing = adas.get("/gallery/?style=comic&favourites=1&q=zebra").text
    assert "Nothing matches Comic + favourites + “zebra”." in nothing
    assert "Clear filters" in nothing
    avatar.trash(timezone.now())
    assert "The wall is empty." in adas.get("/gallery/").text


# ── What is in the making ───────────────────────────────────────────────────────────────────────


def test_open_requests_come_first_with_their_clock(adas, ada, bens):
    ada.time_zone = "Europe/Berlin"
    ada.save(update_fields=["time_zone"])
    waiting = factories.create_request(ada, prompt="gardener at noon")
    waiting.wait(timezone.now(), deadline_at=datetime(2026, 11, 22, 9, 25, tzinfo=UTC))
    response = adas.get("/gallery/")
    assert [tile["href"] for tile in response.context["requests"]] == [
        f"/jobs/{waiting.public_id}/"
    ]
    assert "In line" in response.text
    assert "Picture or credits back by 10:25" in response.text
    assert "Anime: gardener at noon" in response.text


def test_failures_follow_until_they_are_dismissed(adas, ada):
    failed = factories.create_request_in(State.FAILED, ada)
    drawing = factories.create_request_in(State.GENERATING, ada)
    response = adas.get("/gallery/")
    assert [tile["href"] for tile in response.context["requests"]] == [
        reverse("job", args=[wish.public_id]) for wish in (drawing, failed)
    ]
    assert "Failed, credits returned" in response.text
    assert "This took too long, so we stopped." in response.text
    adas.post(response.context["requests"][1]["dismiss_url"])
    assert len(adas.get("/gallery/").context["requests"]) == 1


@pytest.mark.parametrize("state", [State.READY, State.CANCELLED, State.REJECTED])
def test_other_endings_are_no_tiles(adas, ada, state):
    factories.create_request_in(state, ada)
    assert adas.get("/gallery/").context["requests"] == []


def test_a_failure_made_good_by_a_late_picture_is_no_tile(adas, ada):
    late = factories.create_request_in(State.FAILED, ada)
    gift = factories.create_avatar(ada, late, gift=True)
    response = adas.get("/gallery/")
    assert (response.context["requests"], shown(response)) == ([], [gift.public_id])


def test_only_the_first_page_of_the_whole_wall_shows_them(adas, ada):
    avatar = hang(ada)
    hang(ada)
    factories.create_request(ada)
    assert "In line" in adas.get("/gallery/").text
    assert "In line" not in adas.get("/gallery/?style=anime").text
    assert "In line" not in adas.get(f"/gallery/?before={Avatar.objects.last().public_id}").text
    assert avatar.public_id in shown(adas.get("/gallery/"))


def test_the_tray_of_the_wall_is_the_tray_of_every_page(adas, ada, bens):
    factories.create_request(ada)
    factories.create_request_in(State.UNCERTAIN, ada)
    factories.create_request_in(State.FAILED, ada)
    tray = adas.get("/gallery/").context["tray"]
    assert tray["count"] == 2
    assert adas.get(f"/jobs/tray/?v={tray['revision']}").status_code == 204


def test_a_changed_tray_brings_what_became_ready_since(adas, ada, bens):
    old = hang(ada)
    factories.create_request(ada)
    page = adas.get("/gallery/")
    assert f'hx-get="/gallery/?after={old.public_id}"' in page.text
    new = hang(ada)
    response = adas.get(f"/gallery/?after={old.public_id}", headers={"HX-Request": "true"})
    assert shown(response) == [new.public_id]
    assert "In line" in response.text
    assert f'hx-get="/gallery/?after={old.public_id}"' in response.text
    assert "<html" not in response.text


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
