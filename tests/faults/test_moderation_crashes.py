"""A death at every crossing of a decision, an appeal and its answer: whoever comes next finishes
it, once, and the books add up at every moment between.

Knows the verbs of the desk, the engine's clock and the crossings.
"""

import contextlib
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import Decision, Kind, Transfer, User
from avatars import appealing, auditing, generation, moderation, reviewing
from avatars.models import AvatarRequest, Category, ReviewItem, State
from avatars.models.avatar_requests import LEASES
from avatars.models.reviews import CLAIM_PERIOD
from tests import factories
from tests.faults.crossings import Crossings, watched_doors
from tests.faults.test_crashes import dies, moments

pytestmark = pytest.mark.django_db(transaction=True)

Act = Callable[[ReviewItem, User], object]


@pytest.fixture
def crossings(monkeypatch) -> Crossings:
    return watched_doors(monkeypatch)


@pytest.fixture
def ada(db) -> User:
    return factories.create_user("ada@example.org")


@pytest.fixture
def sam(db) -> User:
    return factories.create_moderator()


@pytest.fixture
def lee(db) -> User:
    return factories.create_moderator("lee@example.org", lead=True)


def findings() -> list[object]:
    return [*accounts_auditing.findings(), *auditing.findings()]


def approve(item: ReviewItem, moderator: User) -> object:
    return moderation.approve(item, moderator)


def reject(item: ReviewItem, moderator: User) -> object:
    return moderation.reject(item, moderator, Category.HATE, stop_sharing=True)


def remove(item: ReviewItem, moderator: User) -> object:
    return moderation.remove(item, moderator, Category.SPAM, gift=True)


def once_more(act: Act, item: ReviewItem, moderator: User) -> None:
    """By a colleague, when the dead one's claim has run out; told when it was done already."""
    later = timezone.now() + CLAIM_PERIOD + timedelta(seconds=1)
    with time_machine.travel(later), contextlib.suppress(reviewing.Stale):
        act(item, moderator)


@pytest.mark.parametrize(
    ("make", "act", "outcome", "state"),
    [
        (factories.create_held, approve, "approved", State.QUEUED),
        (factories.create_held, reject, "rejected", State.REJECTED),
        (factories.create_reported, remove, "gifted", State.READY),
    ],
)
def test_a_moderator_who_dies_leaves_a_decision_or_none(
    ada, sam, lee, crossings, make, act, outcome, state
):
    def is_decided(moment: int) -> bool:
        item = make(ada)
        died = dies(crossings, moment, lambda: act(item, sam))
        connection.close()
        assert findings() == []
        item.refresh_from_db()
        wish = item.avatar.request if item.avatar else item.request
        acts = Decision.objects.filter(subject__endswith=reviewing.subject_of(item)[1])
        # Wholly or not at all.
        assert acts.count() == bool(item.outcome)
        once_more(act, item, lee)
        item.refresh_from_db()
        assert (item.outcome, acts.count()) == (outcome, 1)
        assert AvatarRequest.objects.get(pk=wish.pk).state == state
        given = Transfer.objects.filter(reference=f"goodwill:{wish.reference}")
        assert given.count() == (act is remove)
        assert findings() == []
        generation.cancel(AvatarRequest.objects.get(pk=wish.pk))
        return died

    assert moments(is_decided, 1) >= 2


def test_a_sweep_that_dies_at_a_reviews_deadline_returns_the_credits_once(ada, crossings):
    def is_returned(moment: int) -> bool:
        item = factories.create_held(ada)
        late = timedelta(hours=settings.REVIEW_HOURS, seconds=1)
        with time_machine.travel(timezone.now() + late):
            died = dies(crossings, moment, lambda: generation.advance(item.request_id))
            connection.close()
            assert findings() == []
        with time_machine.travel(timezone.now() + late + LEASES[State.HELD]):
            for pk in generation.sweep():
                generation.advance(pk)
        item.refresh_from_db()
        wish = AvatarRequest.objects.get(pk=item.request_id)
        assert (wish.state, wish.reason, item.outcome) == (State.FAILED, "review_late", "late")
        resolved = Transfer.objects.get(reference=f"resolve:{wish.reference}")
        assert (resolved.kind, resolved.amount) == (Kind.RELEASE, wish.cost)
        assert findings() == []
        return died

    assert moments(is_returned, 1) >= 4


def test_an_appeal_and_its_answer_survive_any_death(ada, sam, lee, crossings):
    def is_answered(moment: int) -> bool:
        item = factories.create_reported(ada)
        moderation.remove(item, sam, Category.SPAM)
        wish = item.avatar.request

        def work() -> None:
            sent = appealing.appeal(appealing.about(ada, wish), "It is my own shop")
            moderation.answer(sent, lee, granted=True)

        died = dies(crossings, moment, work)
        connection.close()
        assert findings() == []
        appeal = ReviewItem.objects.filter(kind="appeal", avatar=item.avatar_id).first()
        item.avatar.refresh_from_db()
        assert item.avatar.hidden is not (appeal is not None and appeal.outcome == "granted")
        if appeal is None or appeal.is_open:
            with time_machine.travel(timezone.now() + CLAIM_PERIOD + timedelta(seconds=1)):
                work()
        assert ReviewItem.objects.get(kind="appeal", avatar=item.avatar_id).outcome == "granted"
        item.avatar.refresh_from_db()
        assert not item.avatar.hidden
        return died

    assert moments(is_answered, 1) >= 4
