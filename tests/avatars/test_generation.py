"""Submit and cancel: what is taken, what is refused, and that nothing moves when it is.

Knows the verbs and the factories.
"""

import uuid
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import Consent, NotEnoughCredits, Quota, ReferenceTaken, Transfer
from avatars import generation
from avatars.models import AvatarRequest, FacePhoto, Quality, Reason, State
from avatars.models.attempts import Breaker, Service
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_wish_holds_its_price_and_joins_the_line(ada):
    avatar_request = generation.submit(
        ada, factories.wish(factories.create_photo(ada), quality=Quality.FINE)
    )
    ada.wallet.refresh_from_db()
    assert (avatar_request.state, avatar_request.cost) == (State.QUEUED, 2)
    assert (ada.wallet.available, ada.wallet.reserved) == (8, 2)


def test_the_promise_is_fifteen_minutes_when_the_line_is_empty(ada):
    with time_machine.travel("2026-11-22 10:00:00Z", tick=False):
        avatar_request = factories.create_request(ada)
        assert avatar_request.deadline_at == timezone.now() + timedelta(minutes=15)
        assert avatar_request.due_at == avatar_request.deadline_at


def test_the_same_number_twice_is_one_request_and_one_hold(ada):
    asked = factories.wish(factories.create_photo(ada))
    first, second = generation.submit(ada, asked), generation.submit(ada, asked)
    ada.wallet.refresh_from_db()
    assert first.pk == second.pk
    assert (ada.wallet.available, ada.wallet.reserved) == (9, 1)


def refused(user, asked, error) -> None:
    """The wish is refused with `error`, and no row or credit tells of it."""
    before = Transfer.objects.count()
    with pytest.raises(error):
        generation.submit(user, asked)
    user.wallet.refresh_from_db()
    assert user.wallet.reserved == 0
    assert Transfer.objects.count() == before
    assert not AvatarRequest.objects.filter(public_id=asked.number).exists()


def test_a_wish_without_credits_is_refused(ben):
    refused(ben, factories.wish(factories.create_photo(ben)), NotEnoughCredits)


@pytest.mark.parametrize("prompt", ["", "   ", "\x00\x07", "x" * 501])
def test_words_outside_one_to_five_hundred_are_refused(ada, prompt):
    asked = factories.wish(factories.create_photo(ada), prompt=prompt)
    refused(ada, asked, generation.WordsMissing)


def test_refused_words_name_their_category(ada):
    asked = factories.wish(factories.create_photo(ada), prompt="completely nude, explicit porn")
    with pytest.raises(generation.WordsRefused) as caught:
        generation.submit(ada, asked)
    assert caught.value.category == "sexual"
    refused(ada, asked, generation.WordsRefused)


def test_another_persons_photo_is_refused(ada, ben):
    refused(ada, factories.wish(factories.create_photo(ben)), generation.PhotoGone)


def test_a_photo_past_its_date_is_refused(ada):
    photo = factories.create_photo(ada, delete_at=timezone.now())
    refused(ada, factories.wish(photo), generation.PhotoGone)


def test_a_photo_deleted_since_the_page_was_read_is_refused(ada):
    photo = factories.create_photo(ada)
    asked = factories.wish(photo)
    FacePhoto.objects.filter(pk=photo.pk).update(deleted_at=timezone.now(), file=None, thumb=None)
    refused(ada, asked, generation.PhotoGone)


def test_without_a_standing_consent_nothing_is_made(ada):
    photo = factories.create_photo(ada)
    Consent.objects.filter(user=ada).get().withdraw(timezone.now())
    refused(ada, factories.wish(photo), generation.ConsentMissing)


def test_a_price_that_moved_is_told_and_not_taken(ada):
    asked = factories.wish(factories.create_photo(ada), quality=Quality.FINE, shown_cost=1)
    refused(ada, asked, generation.PriceMoved)


def test_a_suspended_person_makes_nothing(ada):
    photo = factories.create_photo(ada)
    ada.suspended_at = timezone.now()
    refused(ada, factories.wish(photo), generation.Suspended)


def test_the_limit_of_open_requests_is_kept(ada):
    Quota.objects.filter(user=ada).update(max_open=1)
    ada.quota.refresh_from_db()
    photo = factories.create_photo(ada)
    generation.submit(ada, factories.wish(photo))
    with pytest.raises(generation.TooManyOpen):
        generation.submit(ada, factories.wish(photo))
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (9, 1)


def test_the_limit_of_a_day_is_kept_until_midnight(ada):
    Quota.objects.filter(user=ada).update(max_per_day=1)
    ada.quota.refresh_from_db()
    with time_machine.travel("2026-11-22 23:50:00Z", tick=False):
        photo = factories.create_photo(ada)
        generation.cancel(generation.submit(ada, factories.wish(photo)))
        with pytest.raises(generation.TooManyToday) as caught:
            generation.submit(ada, factories.wish(photo))
        assert caught.value.again_at.isoformat() == "2026-11-23T00:00:00+00:00"
    with time_machine.travel("2026-11-23 00:00:01Z", tick=False):
        assert generation.submit(ada, factories.wish(photo)).state == State.QUEUED


def test_the_months_free_credits_come_with_the_first_wish(ben):
    Quota.objects.filter(user=ben).update(monthly_free=2)
    ben.quota.refresh_from_db()
    generation.submit(ben, factories.wish(factories.create_photo(ben)))
    ben.wallet.refresh_from_db()
    assert (ben.wallet.available, ben.wallet.reserved) == (1, 1)


def test_a_wait_no_promise_could_cover_is_refused(ada, ben):
    Breaker.of(Service.FACE_GEN)
    Breaker.objects.update(width=1, narrowed_at=timezone.now())
    Quota.objects.update(max_open=200)
    ben.quota.refresh_from_db()
    photo = factories.create_photo(ben)
    for _ in range(44):
        factories.create_request(ben, photo)
    factories.give(ben, 1)
    with pytest.raises(generation.LineTooLong):
        generation.submit(ben, factories.wish(photo))
    assert ben.wallet.reserved == 44
    newcomer = generation.submit(ada, factories.wish(factories.create_photo(ada)))
    assert newcomer.state == State.QUEUED  # a fair turn: second in line, whoever came before


def test_cancelling_in_line_returns_the_credits(ada):
    avatar_request = factories.create_request(ada)
    assert generation.cancel(avatar_request)
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)
    assert (avatar_request.state, avatar_request.reason) == (State.CANCELLED, Reason.OWNER)


def test_cancelling_what_is_being_drawn_is_refused(ada):
    avatar_request = factories.create_request_in(State.SENDING, ada)
    assert not generation.cancel(avatar_request)
    ada.wallet.refresh_from_db()
    assert ada.wallet.reserved == 1


def test_cancelling_loses_against_a_dispatch_that_was_faster(ada):
    avatar_request = factories.create_request(ada)
    faster = AvatarRequest.objects.get(pk=avatar_request.pk)
    assert faster.move(State.SENDING, due_at=timezone.now())
    assert not generation.cancel(avatar_request)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.QUEUED, Reason.LINE_LATE),
        (State.SENDING, Reason.LATE),
        (State.UNCERTAIN, Reason.UNCONFIRMED),
        (State.GENERATING, Reason.LATE),
        (State.STORING, Reason.UNSAVED),
    ],
)
def test_at_the_promised_moment_the_credits_return_whatever_the_state(ada, state, reason):
    avatar_request = factories.create_request_in(state, ada)
    with time_machine.travel(avatar_request.deadline_at + timedelta(seconds=1), tick=False):
        generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    ada.wallet.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, reason)
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)
    assert not avatar_request.attempts.live().exists()


def test_a_row_claimed_in_vain_five_times_before_sending_returns_its_credits(ada):
    avatar_request = factories.create_request_in(State.SENDING, ada)
    avatar_request.attempts.update(sent_at=None, doorbell_hash=None, face_hash=None)
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(tries=5)
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.OURS)


def test_advancing_what_does_not_exist_is_harmless(db):
    assert generation.advance(424242) == []


def test_another_persons_number_is_not_somebody_elses_request(ada, ben):
    number = uuid.uuid4()
    generation.submit(ada, factories.wish(factories.create_photo(ada), number=number))
    factories.give(ben, 1)
    with pytest.raises(ReferenceTaken):
        generation.submit(ben, factories.wish(factories.create_photo(ben), number=number))
    ben.wallet.refresh_from_db()
    assert (ben.wallet.available, ben.wallet.reserved) == (1, 0)


def test_the_second_half_of_a_double_click_at_the_limit_finds_the_first(ada):
    Quota.objects.filter(user=ada).update(max_open=1)
    ada.quota.refresh_from_db()
    asked = factories.wish(factories.create_photo(ada))
    now = timezone.now()
    first = generation.submit(ada, asked)
    checked = generation.check_wish(ada, asked, now)
    # As if it had looked before the first half committed.
    with pytest.raises(generation.TooManyOpen):
        generation.hold_and_join(ada, asked, checked, asked.number, now, 60.0)
    assert generation.submit(ada, asked).pk == first.pk
