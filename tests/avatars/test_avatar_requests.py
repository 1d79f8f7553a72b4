"""The state machine: every legal move, every other one refused by the database itself.

Knows the models and the factories.
"""

import itertools
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from accounts.models import Kind
from avatars.models import MOVES, AvatarRequest, Reason, State
from avatars.models.avatar_requests import ENDED, LEASES, OPEN
from tests import factories

pytestmark = pytest.mark.django_db

PAIRS = [(a, b) for a, b in itertools.permutations(State, 2)]


def in_state(user, state: State) -> AvatarRequest:
    """A row in any of the ten states. HELD is born so: nothing leads there."""
    if state == State.HELD:
        asked = factories.create_request(user)
        hold = user.wallet.hold(1, "held-by-hand")
        return AvatarRequest.objects.create(
            user=user,
            photo=asked.photo,
            prompt=asked.prompt,
            style=asked.style,
            quality=asked.quality,
            cost=1,
            state=State.HELD,
            hold=hold,
            due_at=asked.due_at,
            deadline_at=asked.deadline_at,
        )
    if state == State.REJECTED:
        held = in_state(user, State.HELD)
        assert held.finish(State.REJECTED, Reason.REVIEW_NO, now=timezone.now())
        return held
    return factories.create_request_in(state, user)


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda state: str(state.value))
def test_the_database_allows_exactly_the_planned_moves(ada, source, target):
    avatar_request = in_state(ada, source)
    fields = {"state": target, "reason": "" if target == State.READY else Reason.LATE}
    if target in ENDED and source in OPEN:
        resolve = ada.wallet.capture if target == State.READY else ada.wallet.release
        fields |= {"resolution": resolve(1, avatar_request.reference), "due_at": None}
    elif target in OPEN and source in ENDED:
        now = timezone.now()
        fields |= {"resolution": None, "due_at": now, "deadline_at": now}
    row = AvatarRequest.objects.filter(pk=avatar_request.pk)
    if target in MOVES[source]:
        assert row.update(**fields) == 1
    else:
        with pytest.raises(DatabaseError), transaction.atomic():
            row.update(**fields)


def test_an_ending_without_a_resolution_cannot_be_stored(ada):
    avatar_request = factories.create_request(ada)
    with pytest.raises(IntegrityError), transaction.atomic():
        AvatarRequest.objects.filter(pk=avatar_request.pk).update(
            state=State.FAILED, reason=Reason.LATE
        )


def test_an_open_request_without_a_next_look_cannot_be_stored(ada):
    avatar_request = factories.create_request(ada)
    with pytest.raises(IntegrityError), transaction.atomic():
        AvatarRequest.objects.filter(pk=avatar_request.pk).update(due_at=None)


def test_a_failure_without_a_reason_cannot_be_stored(ada):
    avatar_request = factories.create_request(ada)
    with pytest.raises(IntegrityError), transaction.atomic():
        avatar_request.finish(State.FAILED, "", now=timezone.now())


@pytest.mark.parametrize("field", ["cost", "hold_id", "resolution_id"])
def test_an_ended_request_keeps_its_money(ada, field):
    ended = factories.create_request_in(State.READY, ada)
    other = factories.create_request(ada)
    value = {"cost": 9, "hold_id": other.hold_id, "resolution_id": other.hold_id}[field]
    with pytest.raises(DatabaseError), transaction.atomic():
        AvatarRequest.objects.filter(pk=ended.pk).update(**{field: value})


def test_ready_captures_and_every_other_ending_releases(ada):
    ready = factories.create_request_in(State.READY, ada)
    failed = factories.create_request_in(State.FAILED, ada)
    assert (ready.resolution.kind, failed.resolution.kind) == (Kind.CAPTURE, Kind.RELEASE)
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)


def test_a_second_ending_changes_nothing(ada):
    avatar_request = factories.create_request(ada)
    stale = AvatarRequest.objects.get(pk=avatar_request.pk)
    now = timezone.now()
    assert avatar_request.finish(State.FAILED, Reason.LATE, now=now)
    assert not stale.finish(State.CANCELLED, Reason.OWNER, now=now)
    stale.refresh_from_db()
    assert (stale.state, stale.resolution.kind) == (State.FAILED, Kind.RELEASE)


def test_a_capture_after_a_release_rolls_back_whole(ada):
    storing = factories.create_request_in(State.STORING, ada)
    stale = AvatarRequest.objects.get(pk=storing.pk)
    now = timezone.now()
    assert storing.finish(State.FAILED, Reason.UNSAVED, now=now)
    assert not stale.finish(State.READY, now=now)
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)


def test_a_row_is_claimed_by_one_of_two(ada):
    avatar_request = factories.create_request_in(State.GENERATING, ada)
    rival = AvatarRequest.objects.get(pk=avatar_request.pk)
    now = timezone.now()
    assert (avatar_request.claim(now), rival.claim(now)) == (True, False)


def test_a_row_that_is_not_due_is_not_claimed(ada):
    avatar_request = factories.create_request(ada)
    assert not avatar_request.claim(timezone.now())


def test_a_worker_that_slept_through_its_lease_commits_nothing(ada):
    sleeper = factories.create_request_in(State.GENERATING, ada)
    now = timezone.now()
    assert sleeper.claim(now)
    awake = AvatarRequest.objects.get(pk=sleeper.pk)
    assert awake.claim(now + LEASES[State.GENERATING] + timedelta(seconds=1))
    assert not sleeper.move(State.STORING, due_at=now)
    assert not sleeper.finish(State.FAILED, Reason.LOST, now=now)
    assert not sleeper.wait(now)
    assert awake.move(State.STORING, due_at=now)


def test_waiting_never_outlasts_the_promise(ada):
    avatar_request = factories.create_request_in(State.GENERATING, ada)
    assert avatar_request.wait(timezone.now() + timedelta(days=1))
    assert avatar_request.due_at == avatar_request.deadline_at


def test_the_nth_wish_of_a_person_stands_in_round_n(ada, ben):
    turns = [factories.create_request(ada).turn for _ in range(3)]
    newcomer = factories.create_request(ben)
    assert (turns, newcomer.turn) == ([0, 1, 2], 0)
    in_line = list(AvatarRequest.objects.in_line().values_list("user__email", flat=True))
    assert in_line == [ada.email, ben.email, ada.email, ada.email]


def test_the_head_of_the_line_is_never_overtaken(ada, ben):
    for _ in range(3):
        factories.create_request(ada)
    AvatarRequest.objects.filter(user=ada, turn=0).update(state=State.SENDING)
    assert factories.create_request(ben).turn == 1
