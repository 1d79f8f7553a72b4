"""The public pages: clear to a stranger, free for the database, true in their numbers.

Knows the factories, the board and what the pages print.
"""

import gzip
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from avatars.models import Attempt, Quality, State, Style
from avatars.models.attempts import Breaker, Outcome, Service
from avatars.views import board
from tests import factories

TEXTS = ["safety", "privacy", "face_data", "terms", "help"]


def text(response) -> str:
    return response.content.decode()


def draw(ada, seconds: float, times: int) -> None:
    """So many finished pictures that took so long from sending."""
    for _time in range(times):
        done = factories.create_request_in(State.READY, ada)
        Attempt.objects.create(
            request=done,
            number=1,
            outcome=Outcome.DONE,
            sent_at=done.ended_at - timedelta(seconds=seconds),
            ended_at=done.ended_at,
        )


@pytest.mark.django_db
def test_a_strangers_landing_page_asks_the_database_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/")
    assert response.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["styles", *TEXTS])
def test_public_texts_ask_the_database_nothing(client, django_assert_num_queries, name):
    with django_assert_num_queries(0):
        assert client.get(reverse(name)).status_code == 200


@pytest.mark.django_db
def test_the_landing_page_says_what_it_is_what_it_costs_and_what_is_promised(client, settings):
    settings.WELCOME_CREDITS = 4
    page = text(client.get("/"))
    assert "Your face, five ways." in page
    assert "4 avatars free." in page
    assert "No card needed. Your photo stays private." in page
    assert page.count("A picture or your credits back, by a time we show you.") == 2
    assert "deleted 30 days after you last use it" in page
    assert f'href="{reverse("account_signup")}"' in page


@pytest.mark.django_db
def test_the_landing_page_has_one_filled_button(client):
    assert text(client.get("/")).count("c-button--filled") == 1


@pytest.mark.django_db
def test_the_landing_page_shows_all_five_styles_as_samples(client):
    page = text(client.get("/"))
    for style in Style:
        assert f"img/samples/{style.value}-256.webp" in page
        assert f'alt="{style.label} sample"' in page


@pytest.mark.django_db
def test_the_landing_page_weighs_at_most_fourteen_kilobytes(client):
    assert len(gzip.compress(client.get("/").content)) <= 14_000


def test_who_is_signed_in_is_led_to_create(client, ada):
    client.force_login(ada)
    page = text(client.get("/"))
    assert "Open Create" in page
    assert f'href="{reverse("account_signup")}"' not in page


@pytest.mark.django_db
def test_each_style_leads_to_create_with_itself_and_its_words(client):
    page = text(client.get(reverse("styles")))
    assert f"{reverse('create')}?style=anime&amp;preset=pirate" in page


@pytest.mark.django_db
def test_the_status_page_says_that_too_few_were_drawn_to_know(client):
    page = text(client.get(reverse("status")))
    assert "Drawing works as usual." in page
    assert "about a minute" in page
    assert "too few drawn yet to say" in page


def test_the_status_page_measures_the_last_pictures(client, ada):
    ada.quota.max_per_day = 1000
    ada.quota.save(update_fields=["max_per_day"])
    draw(ada, 20, times=10)
    factories.create_request(ada)
    page = text(client.get(reverse("status")))
    assert "20 seconds" in page
    assert board.waiting() == 1


@pytest.mark.django_db
def test_the_status_page_says_when_drawing_is_paused(client):
    Breaker.of(Service.FACE_GEN).pause(timezone.now() + timedelta(minutes=5), "a test")
    assert "Drawing is paused for a moment." in text(client.get(reverse("status")))


@pytest.mark.django_db
def test_the_status_page_says_when_drawing_is_slow(client):
    cache.set(f"board:expected:{Style.REALISTIC}:{Quality.STANDARD}", 241.0, 60)
    page = text(client.get(reverse("status")))
    assert "Drawing is slow." in page
    assert "about 5 minutes" in page


@pytest.mark.django_db
def test_the_status_page_is_asked_of_the_database_once_in_a_while(
    client, django_assert_num_queries
):
    client.get(reverse("status"))
    with django_assert_num_queries(0):
        client.get(reverse("status"))


@pytest.mark.django_db
def test_the_policy_names_the_same_numbers_as_the_code(client, settings):
    settings.DEFAULT_FROM_EMAIL = "Likeness <care@example.org>"
    page = text(client.get(reverse("face_data")))
    assert "30 days after you last use it, 24 hours after you last use it" in page
    assert "up to 10 MB" in page
    assert "at most 15 minutes" in page
    assert 'href="mailto:care@example.org"' in page


@pytest.mark.django_db
def test_the_terms_name_prices_and_the_promise_from_the_code(client):
    page = text(client.get(reverse("terms")))
    assert "Fast 1, Standard 1, Fine 2" in page
    assert "between 15 and 60 minutes ahead" in page


def test_the_privacy_page_names_every_cookie_we_set(client, db):
    page = client.get(reverse("privacy")).text
    assert "keep you signed in, protect forms, carry a short message to the next page" in page
    assert "remember light or dark and your time zone" in page
