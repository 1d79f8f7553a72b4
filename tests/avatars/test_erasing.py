"""The provider is asked to erase its results of a photo that is gone, until it answers or they end.

Knows the verbs, the factories and the provider's stand-in.
"""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from avatars import delivery, erasing, generation, moderation, safekeeping
from avatars.models import (
    Attempt,
    AvatarRequest,
    Category,
    FacePhoto,
    Reason,
    ReviewKind,
    State,
)
from tests import engine, factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def drawn(ada, provider, settings) -> AvatarRequest:
    """A picture that the stand-in drew and we delivered."""
    settings.PUBLIC_BASE_URL = ""
    asked = factories.create_request(ada, factories.create_photo(ada, factories.portrait()))
    engine.finish()
    asked.refresh_from_db()
    assert asked.state == State.READY
    return asked


def order(asked: AvatarRequest) -> Attempt:
    return asked.attempts.latest("pk")


def deleted(provider) -> list[str]:
    return [str(line["job"]) for line in provider.books.lines("deleted")]


def test_a_deleted_photos_result_is_erased_at_the_provider_once(provider, drawn):
    safekeeping.erase(drawn.photo)
    assert (erasing.ask_due(), erasing.ask_due()) == (1, 0)
    assert deleted(provider) == [order(drawn).provider_job_id]
    assert (order(drawn).erased, order(drawn).erase_due_at) == (True, None)
    assert order(drawn).erase_answered_at is not None


@pytest.mark.parametrize("way", ["by a notice", "at the desk"])
def test_a_picture_that_is_taken_down_is_erased_at_the_provider_too(provider, drawn, ada, mo, way):
    avatar = drawn.avatars.get()
    if way == "at the desk":
        item = moderation.put_on_desk(ReviewKind.REPORT, avatar=avatar, why="mine")
        assert moderation.remove(item, mo, Category.SPAM)
    else:
        assert factories.take_down(avatar, mo)
    assert erasing.ask_due() == 1
    assert deleted(provider) == [order(drawn).provider_job_id]


def test_a_photo_that_stays_leaves_the_provider_alone(provider, drawn):
    assert erasing.ask_due() == 0
    assert deleted(provider) == []


def test_a_provider_that_is_away_is_asked_again_and_the_waits_grow(provider, drawn, settings):
    safekeeping.erase(drawn.photo)
    address, settings.FACE_GEN_URL = settings.FACE_GEN_URL, "http://127.0.0.1:9/api/"
    waits = []
    for _try in range(3):
        now = timezone.now()
        assert erasing.ask_due() == 0
        waits.append(round((order(drawn).erase_due_at - now).total_seconds()))
        Attempt.objects.update(erase_due_at=timezone.now())
    assert waits == [30, 60, 120]
    assert (order(drawn).erase_answered_at, order(drawn).erased) == (None, None)
    settings.FACE_GEN_URL = address
    assert erasing.ask_due() == 1
    assert deleted(provider) == [order(drawn).provider_job_id]


def test_a_provider_that_is_away_is_asked_about_one_only(provider, ada, settings):
    settings.FACE_GEN_URL = "http://127.0.0.1:9/api/"
    for _request in range(3):
        factories.create_request_in(State.GENERATING, ada)
    safekeeping.withdraw(ada)
    erasing.ask_due()
    assert sorted(Attempt.objects.values_list("erase_tries", flat=True)) == [0, 0, 1]


def test_after_24_hours_nobody_asks_any_more(provider, drawn, settings):
    safekeeping.erase(drawn.photo)
    settings.FACE_GEN_URL = "http://127.0.0.1:9/api/"
    erasing.ask_due()
    with time_machine.travel(timezone.now() + timedelta(hours=24, minutes=1)):
        assert erasing.ask_due() == 0
    assert (order(drawn).erase_due_at, order(drawn).erased) == (None, None)


def test_a_result_that_is_gone_already_is_the_last_word(provider, drawn):
    provider.advance(25 * 3600)
    FacePhoto.objects.update()
    safekeeping.erase(drawn.photo)
    asked = erasing.ask_due()
    told = order(drawn)
    assert (asked, told.erase_due_at) == (1, None)
    assert told.erased in (True, False)


def test_a_picture_still_being_drawn_from_a_deleted_photo_is_waited_for_first(
    provider, ada, settings
):
    asked = factories.create_request_in(State.GENERATING, ada)
    safekeeping.erase(asked.photo)
    assert erasing.ask_due() == 0
    assert order(asked).erase_due_at > timezone.now() + timedelta(minutes=4)
    assert order(asked).erase_tries == 0


def test_a_job_withdrawn_while_it_was_drawn_is_asked_about_until_it_is_there(
    provider, ada, settings
):
    asked = factories.create_request_in(State.GENERATING, ada)  # a job the stand-in does not know
    safekeeping.withdraw(ada)
    assert erasing.ask_due() == 0
    told = order(asked)
    assert (told.erased, told.erase_answered_at is not None) == (False, True)
    assert told.erase_due_at is not None


def test_an_order_whose_job_nobody_named_costs_no_call(provider, ada):
    asked = factories.create_request_in(State.UNCERTAIN, ada)
    safekeeping.withdraw(ada)
    assert erasing.ask_due() == 0
    assert order(asked).erase_answered_at is None
    delivery.answer_doorbell(f"doorbell-{asked.pk}", "700125", "")
    Attempt.objects.update(erase_due_at=timezone.now())
    erasing.ask_due()
    assert order(asked).erase_answered_at is not None


def test_two_who_ask_at_once_ask_once(provider, drawn):
    safekeeping.erase(drawn.photo)
    first, second = (Attempt.objects.select_related("request").get() for _ in range(2))
    now = timezone.now()
    assert (erasing.ask(first, now), erasing.ask(second, now)) == (True, False)
    assert len(deleted(provider)) == 1


def test_a_late_picture_of_a_deleted_photo_is_waited_for_too(provider, ada):
    asked = factories.create_request_in(State.GENERATING, ada)
    now = timezone.now()
    assert generation.sending.give_up(
        asked, Reason.LATE, now, look_again_at=now + timedelta(minutes=5)
    )
    safekeeping.erase(asked.photo)
    assert erasing.ask_due() == 0
    assert order(asked).erase_tries == 0
