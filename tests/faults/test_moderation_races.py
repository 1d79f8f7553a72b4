"""A moderator, an owner and the clock at once: one ending, one resolution, one record.

Knows the verbs of the desk and the engine; real threads on a real database.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import Decision, Kind, Transfer, User
from avatars import appealing, auditing, generation, moderation, reviewing, safekeeping
from avatars.models import (
    Avatar,
    AvatarRequest,
    Category,
    FacePhoto,
    ReviewItem,
    ReviewKind,
    ScreeningRule,
    State,
)
from avatars.models.reviews import CLAIM_PERIOD
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 8
REFUSED = "refused"
Act = Callable[[ReviewItem], object]


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Each act in a thread of its own, at the same moment; REFUSED for who came too late."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> object:
        gate.wait(10)
        try:
            return act()
        except reviewing.NotDecided:
            return REFUSED
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.fixture
def people(db) -> tuple[User, User, User]:
    ada = factories.create_user("ada@example.org")
    return ada, factories.create_moderator(), factories.create_moderator("lee@example.org")


def approve(moderator: User) -> Act:
    return lambda item: moderation.approve(item, moderator)


def reject(moderator: User) -> Act:
    return lambda item: moderation.reject(item, moderator, Category.HATE)


def cancel(_moderator: User) -> Act:
    return lambda item: generation.cancel(AvatarRequest.objects.get(pk=item.request_id)) or REFUSED


def deadline(_moderator: User) -> Act:
    return lambda item: generation.advance(item.request_id) and None


def erase(_moderator: User) -> Act:
    return lambda item: safekeeping.erase(FacePhoto.objects.get(requests=item.request_id)) and None


def suspend(_moderator: User) -> Act:
    return lambda item: User.objects.get(pk=item.person_id).suspend(timezone.now()) and None


def settled(item: ReviewItem) -> State:
    """How the request stands, after everything about it was found to fit together."""
    item = ReviewItem.objects.select_related("request").get(pk=item.pk)
    state = State(item.request.state)
    outcome = {
        State.QUEUED: "approved",
        State.SENDING: "approved",
        State.REJECTED: "rejected",
        State.CANCELLED: "withdrawn",
        State.FAILED: "late",
    }[state]
    resolutions = Transfer.objects.filter(reference=f"resolve:{item.request.reference}")
    ended = state not in (State.QUEUED, State.SENDING)
    acts = Decision.objects.filter(subject=f"request:{item.request.public_id}")
    decided = {"approved": ["description_approved"], "rejected": ["description_rejected"]}
    # Cancelling what was approved a moment ago is the owner's right while it waits in line.
    if state == State.CANCELLED and item.outcome == "approved":
        outcome = "approved"
    assert item.outcome == outcome
    assert resolutions.count() == ended
    assert [act.act for act in acts] == decided.get(outcome, [])
    assert (item.decided_by is None) is (outcome in ("withdrawn", "late"))
    assert [*accounts_auditing.findings(), *auditing.findings()] == []
    return state


@pytest.mark.parametrize(
    "pair", [(approve, reject), (approve, cancel), (reject, cancel), (approve, approve)]
)
def test_of_two_who_end_a_review_one_wins(people, pair):
    ada, *moderators = people
    for _ in range(ROUNDS):
        item = factories.create_held(ada)
        acts = [act(who) for act, who in zip(pair, moderators, strict=True)]
        results = at_once(*(partial(act, item) for act in acts))
        state = settled(item)
        if cancel in pair and state == State.CANCELLED and REFUSED not in results:
            continue  # approved first, cancelled in line
        assert results.count(REFUSED) == 1
        generation.cancel(AvatarRequest.objects.get(pk=item.request_id))


@pytest.mark.parametrize("act", [approve, reject, cancel])
def test_the_deadline_and_whoever_is_late_never_both_end_it(people, act):
    ada, sam, _lee = people
    for _ in range(ROUNDS):
        item = factories.create_held(ada)
        now = timezone.now()
        AvatarRequest.objects.filter(pk=item.request_id).update(deadline_at=now, due_at=now)
        acts = [act(sam), deadline(sam)]
        at_once(*(partial(act, item) for act in acts))
        generation.advance(item.request_id)
        if AvatarRequest.objects.filter(pk=item.request_id, resolution=None).exists():
            # The sweep had claimed it when the other was refused: its lease runs out.
            AvatarRequest.objects.filter(pk=item.request_id).update(due_at=timezone.now())
            generation.advance(item.request_id)
        state = settled(item)
        assert state in (State.FAILED, State.REJECTED, State.CANCELLED)
        if act is approve:
            assert state == State.FAILED


@pytest.mark.parametrize("act", [approve, reject])
def test_a_photo_deleted_while_its_description_is_decided_is_never_drawn(people, act):
    ada, sam, _lee = people
    for _ in range(ROUNDS):
        item = factories.create_held(ada)
        at_once(partial(act(sam), item), partial(erase(sam), item))
        state = settled(item)
        if state == State.QUEUED:
            # The decision came between the deletion's look and its cancelling: the sender sees it.
            generation.advance(item.request_id)
            generation.sweep()
            generation.advance(item.request_id)
            assert AvatarRequest.objects.get(pk=item.request_id).state == State.FAILED
        else:
            assert state in (State.CANCELLED, State.REJECTED)
        ada.wallet.refresh_from_db()
        assert ada.wallet.reserved == 0


@pytest.mark.parametrize("act", [approve, reject, cancel])
def test_a_suspension_changes_nothing_of_what_is_decided_at_the_same_moment(people, act):
    ada, sam, _lee = people
    for _ in range(ROUNDS):
        item = factories.create_held(ada)
        results = at_once(partial(act(sam), item), partial(suspend(sam), item))
        assert REFUSED not in results
        assert settled(item) in (State.QUEUED, State.REJECTED, State.CANCELLED)
        assert User.objects.filter(pk=ada.pk, suspended_at__isnull=False).update(suspended_at=None)
        generation.cancel(AvatarRequest.objects.get(pk=item.request_id))


def test_an_appeal_sent_by_six_tabs_waits_once_and_two_answers_are_one(people):
    ada, sam, lee = people
    kim = factories.create_moderator("kim@example.org")
    for _ in range(ROUNDS):
        item = factories.create_held(ada)
        moderation.reject(item, sam, Category.HATE)
        wish = AvatarRequest.objects.get(pk=item.request_id)
        send = partial(appealing.appeal, appealing.about(ada, wish), "It is my name")
        assert len({sent.pk for sent in at_once(*[send] * 6)}) == 1
        appeal = ReviewItem.objects.get(kind=ReviewKind.APPEAL, request=wish)
        answers = at_once(
            partial(moderation.answer, appeal, lee, granted=True),
            partial(moderation.answer, appeal, kim, granted=False),
        )
        assert answers.count(REFUSED) == 1
        assert Decision.objects.filter(subject=f"request:{wish.public_id}").count() == 2
    assert not Transfer.objects.filter(kind=Kind.GOODWILL).exists()
    assert [*accounts_auditing.findings(), *auditing.findings()] == []


def test_a_suspension_appealed_by_six_tabs_waits_once(people):
    ada, *_ = people
    ada.suspend(timezone.now())
    ada.refresh_from_db()
    sent = at_once(*[partial(appealing.appeal, appealing.about(ada), "It was my brother")] * 6)
    assert {one.pk for one in sent} == {ReviewItem.objects.get().pk}


def test_whoever_slept_past_their_lease_decides_nothing_that_was_decided(people):
    ada, sam, lee = people
    item = factories.create_held(ada)
    assert item.claim(sam, timezone.now() - CLAIM_PERIOD)
    assert at_once(partial(reject(sam), item), partial(approve(lee), item)).count(REFUSED) == 1
    settled(item)


def test_two_removals_with_a_gift_give_once(people):
    ada, sam, lee = people
    for _ in range(ROUNDS):
        item = factories.create_reported(ada)
        results = at_once(
            partial(moderation.remove, item, sam, Category.SPAM, gift=True),
            partial(moderation.remove, item, lee, Category.SEXUAL, gift=True),
        )
        assert results.count(REFUSED) == 1
    assert Transfer.objects.filter(kind=Kind.GOODWILL).count() == ROUNDS
    assert Decision.objects.filter(act="picture_removed").count() == ROUNDS
    assert Avatar.objects.filter(hidden=True).count() == ROUNDS
    assert [*accounts_auditing.findings(), *auditing.findings()] == []


def test_one_item_is_claimed_by_one_of_many(people):
    ada, *_ = people
    readers = [factories.create_moderator(f"reader{n}@example.org") for n in range(4)]
    for _ in range(ROUNDS):
        item = factories.create_held(ada)
        now = timezone.now()
        won = at_once(*(partial(item.claim, who, now) for who in readers))
        assert sorted(won) == [False, False, False, True]


def test_reported_by_many_at_once_is_one_item_that_counts_them(people):
    ada, *_ = people
    avatar = factories.create_avatar(ada)
    ask = moderation.put_on_desk
    at_once(*(lambda: ask(reviewing.ReviewKind.REPORT, avatar=avatar) for _ in range(6)))
    assert ReviewItem.objects.get().times == 6


def test_after_the_tables_were_emptied_the_rules_are_there_again(people):
    assert ScreeningRule.objects.exists()
