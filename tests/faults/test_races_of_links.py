"""Two at once about one picture: whoever wins, no link outlives it and nothing is done twice.

Knows the verbs and the pages; real threads on a real database.
"""

import time

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Kind, Transfer
from avatars import sharing, takedowns
from avatars.models import Avatar, Category, Period, Removal, Share, Takedown
from tests import factories
from tests.avatars.hanging import hang
from tests.faults.test_races import at_once, books

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 8


def shared(avatar: Avatar) -> str:
    """Try to share; "" or why not."""
    own = Avatar.objects.select_related("user", "file").get(pk=avatar.pk)
    try:
        sharing.share(own, period=Period.WEEK, with_words=False, now=timezone.now())
    except sharing.ShareRefused as refused:
        return refused.code
    return ""


def removed(avatar: Avatar, mo, **fields) -> bool:
    notice = factories.create_takedown(avatar)
    named = {"category": Category.SEXUAL, "reason": "", "give_back": True, **fields}
    return takedowns.accept(notice, actor=mo, checked=[], now=timezone.now(), **named) == 1


def visible(avatar: Avatar) -> bool:
    return Share.objects.visible(timezone.now()).filter(avatar=avatar).exists()


def test_removing_and_sharing_at_once_leave_no_link(ada, mo):
    for number in range(ROUNDS):
        # A file of its own: what was removed before must not be why it gets no link.
        file = factories.create_file(ada, "avatars", "webp", f"master {number}".encode())
        avatar = hang(ada, file=file)

        def act(index: int, avatar: Avatar = avatar) -> object:
            return removed(avatar, mo) if index else shared(avatar)

        why, is_removed = at_once(2, act)
        assert (why in ("", "gone", "blocked"), is_removed) == (True, True)
        assert not visible(avatar)
        assert not Share.objects.filter(avatar=avatar).open().exists()
    assert books() == []


def test_trashing_and_sharing_at_once_leave_no_link(ada):
    for _ in range(ROUNDS):
        avatar = hang(ada)

        def act(index: int, avatar: Avatar = avatar) -> object:
            return avatar.trash(timezone.now()) if index else shared(avatar)

        at_once(2, act)
        avatar.restore()
        assert not visible(avatar)


def test_reporting_a_grave_thing_and_sharing_at_once_leave_no_link_to_see(ada):
    for _ in range(ROUNDS):
        avatar = hang(ada)

        def act(index: int, avatar: Avatar = avatar) -> object:
            if index:
                return factories.create_takedown(avatar, kind="intimate").pk
            return shared(avatar)

        at_once(2, act)
        assert not visible(avatar)


def test_eight_presses_of_create_link_make_one(ada):
    avatar = hang(ada)
    assert at_once(8, lambda _index: shared(avatar)) == [""] * 8
    assert Share.objects.count() == 1


def test_removed_by_two_at_once_it_goes_once_and_is_paid_back_once(ada, mo):
    for _ in range(ROUNDS):
        avatar = hang(ada)
        results = at_once(2, lambda _index, avatar=avatar: removed(avatar, mo))
        assert sorted(results) == [False, True]
    assert Removal.objects.count() == ROUNDS
    assert Transfer.objects.filter(kind=Kind.GOODWILL).count() == ROUNDS
    assert books() == []


def test_accepting_and_refusing_at_once_decide_once(ada, mo):
    for _ in range(ROUNDS):
        avatar = hang(ada)
        takedown = factories.create_takedown(avatar)

        def act(index: int, pk: int = takedown.pk) -> str:
            own = Takedown.objects.get(pk=pk)
            now = timezone.now()
            try:
                if index:
                    takedowns.refuse(own, actor=mo, reason="No.", now=now)
                    return "refused"
                takedowns.accept(
                    own,
                    actor=mo,
                    category=Category.SEXUAL,
                    reason="",
                    give_back=False,
                    checked=[],
                    now=now,
                )
            except takedowns.DecidedMeanwhile:
                return "too late"
            return "removed"

        done = set(at_once(2, act))
        takedown.refresh_from_db()
        avatar.refresh_from_db()
        assert done == {"too late", takedown.state}
        assert avatar.hidden == (takedown.state == Takedown.State.REMOVED)
    assert books() == []


def test_whoever_asks_after_a_stop_sees_nothing(ada):
    for _ in range(ROUNDS):
        share = factories.create_share(hang(ada))
        stopped_at: list[float] = []

        def act(index: int, share: Share = share, stopped_at: list[float] = stopped_at) -> object:
            if index == 0:
                sharing.stop(share.avatar, timezone.now())
                stopped_at.append(time.monotonic())
                return []
            seen = []
            for _look in range(6):
                begun = time.monotonic()
                seen.append((begun, Client().get(f"/s/{share.token}/picture.webp").status_code))
            return seen

        looks = [look for seen in at_once(3, act) for look in seen]
        late = {status for begun, status in looks if begun >= stopped_at[0]}
        assert late <= {410}
        assert {status for _begun, status in looks} <= {200, 410}
        assert Client().get(f"/s/{share.token}/").status_code == 410
