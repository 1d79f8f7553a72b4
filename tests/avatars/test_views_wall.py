"""The gallery's wall: what hangs there, how it is searched and paged, what is in the making.

Knows the factories; Ben's things are there whenever we say that Ada's page shows only hers.
"""

from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from avatars.models import Avatar, AvatarRequest, State, Style
from avatars.views.wall import PAGE
from tests import factories
from tests.avatars.hanging import hang, shown

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
    adas.get("/gallery/")  # the letters about what is seen here are taken back once
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


@pytest.mark.parametrize("state", [State.READY, State.CANCELLED])
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


def letters_owed(user) -> int:
    return AvatarRequest.objects.filter(user=user, mail_due_at__isnull=False).count()


def test_whoever_sees_an_ending_arrive_on_the_wall_gets_no_letter(adas, ada, bens):
    adas.get("/gallery/")
    hang(ada)
    factories.create_request_in(State.FAILED, ada)
    assert letters_owed(ada) == 2
    adas.get("/gallery/?after=", headers={"HX-Request": "true"})
    assert letters_owed(ada) == 0
    assert letters_owed(bens.user) == 2


def test_the_whole_wall_takes_back_the_letters_about_what_it_shows(adas, ada):
    hang(ada)
    hang(ada, trashed_at=timezone.now())
    factories.create_request_in(State.FAILED, ada)
    adas.get("/gallery/")
    assert letters_owed(ada) == 1
