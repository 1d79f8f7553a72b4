"""Two or ten at once: exactly as many win as there are credits, slots and turns.

Knows the verbs, the stand-in and its own books; real threads on a real database.
"""

import uuid
from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import NotEnoughCredits, Transfer, User
from avatars import auditing as avatars_auditing
from avatars import generation, sending
from avatars.models import Attempt, AvatarRequest, Reason, State
from tests import engine, factories, till

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(number: int, act: Callable[[int], object]) -> list[object]:
    """`number` threads do the act at the same moment; their results or refusals."""

    def heard(index: int) -> object:
        try:
            return act(index)
        except (generation.SubmitRefused, NotEnoughCredits) as refusal:
            return refusal

    return till.at_once(number, heard)


def books() -> list[object]:
    return [*accounts_auditing.findings(), *avatars_auditing.findings()]


def test_ten_submits_on_credits_for_three_make_three_jobs_and_three_provider_calls(
    provider, settings
):
    settings.PUBLIC_BASE_URL = ""
    ada = factories.create_user(credits=3)
    photo = factories.create_photo(ada, factories.portrait())

    def submit(_index: int) -> AvatarRequest:
        own = User.objects.select_related("wallet", "quota").get(pk=ada.pk)
        return generation.submit(own, factories.wish(photo))

    results = at_once(10, submit)
    taken = [result for result in results if isinstance(result, AvatarRequest)]
    refused = [result for result in results if isinstance(result, NotEnoughCredits)]
    assert (len(taken), len(refused)) == (3, 7)
    engine.finish()
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (0, 0)
    assert set(AvatarRequest.objects.values_list("state", flat=True)) == {State.READY}
    assert provider.books.accepted() == 3
    assert provider.books.violations() == []
    assert books() == []


def test_a_double_click_pressed_ten_times_is_one_job(db):
    ada = factories.create_user(credits=10)
    asked = factories.wish(factories.create_photo(ada))
    results = at_once(10, lambda _index: generation.submit(ada, asked).pk)
    ada.wallet.refresh_from_db()
    assert len(set(results)) == 1
    assert (ada.wallet.available, ada.wallet.reserved) == (9, 1)
    assert books() == []


def test_two_tabs_cannot_both_pass_the_limit_of_open_requests(db):
    ada = factories.create_user(credits=10)
    type(ada.quota).objects.filter(user=ada).update(max_open=5)
    photo = factories.create_photo(ada)

    def submit(_index: int) -> AvatarRequest:
        own = User.objects.select_related("wallet", "quota").get(pk=ada.pk)
        return generation.submit(own, factories.wish(photo, number=uuid.uuid4()))

    results = at_once(8, submit)
    assert sum(isinstance(result, AvatarRequest) for result in results) == 5
    assert sum(isinstance(result, generation.TooManyOpen) for result in results) == 3
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (5, 5)


def test_eight_dispatchers_never_give_out_a_slot_twice(settings):
    settings.FACE_GEN_SLOTS = 3
    ada = factories.create_user()
    for _ in range(8):
        factories.create_request(ada)
    started = [pk for pks in at_once(8, lambda _index: sending.dispatch()) for pk in pks]
    slots = sorted(Attempt.objects.values_list("slot_no", flat=True))
    assert (len(started), slots) == (3, [1, 2, 3])
    assert AvatarRequest.objects.filter(state=State.SENDING).count() == 3


def test_capture_and_release_at_once_leave_exactly_one_resolution(db):
    ada = factories.create_user()
    for _ in range(10):
        storing = factories.create_request_in(State.STORING, ada)

        def end(index: int, pk: int = storing.pk) -> bool:
            row = AvatarRequest.objects.select_related("hold__wallet").get(pk=pk)
            to, reason = (State.READY, "") if index % 2 else (State.FAILED, Reason.LATE)
            return row.finish(to, reason, now=timezone.now())

        assert sorted(at_once(4, end)) == [False, False, False, True]
        assert Transfer.objects.filter(reference=f"resolve:{storing.public_id}").count() == 1
    ada.wallet.refresh_from_db()
    ready = AvatarRequest.objects.filter(state=State.READY).count()
    assert (ada.wallet.available, ada.wallet.reserved) == (10 - ready, 0)


def test_serving_and_revoking_a_face_at_once_never_both_win(db):
    ada = factories.create_user()
    for _ in range(10):
        avatar_request = factories.create_request_in(State.UNCERTAIN, ada)
        attempt = avatar_request.attempts.get()
        token = f"face-{avatar_request.pk}"

        def act(index: int, attempt: Attempt = attempt, token: str = token) -> bool:
            if index:
                return attempt.revoke_unread()
            return Attempt.objects.serve_face(token, timezone.now())

        assert sorted(at_once(2, act)) == [False, True]


def test_cancelling_and_dispatching_at_once_have_one_winner(db):
    ada = factories.create_user()
    for _ in range(10):
        avatar_request = factories.create_request(ada)

        def act(index: int, pk: int = avatar_request.pk) -> bool:
            if index:
                return pk in sending.dispatch()
            return generation.cancel(AvatarRequest.objects.get(pk=pk))

        assert sorted(at_once(2, act)) == [False, True]
        Attempt.objects.all().delete()
        AvatarRequest.objects.filter(state=State.SENDING).update(state=State.UNCERTAIN)
