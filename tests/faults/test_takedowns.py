"""A death at every crossing of a takedown, from the notice to the last object and letter; and both
desks at one picture at once. Whatever happens it is gone once, told to both, and on record.

Knows the verbs, the crossings and the books.
"""

from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from accounts.models import Decision, Kind, Transfer
from avatars import moderation, replies, reviewing, safekeeping, storage, takedowns
from avatars.models import (
    Avatar,
    BlockedPicture,
    Category,
    Period,
    Removal,
    ReviewKind,
    Share,
    StoredFile,
    Takedown,
)
from avatars.models.takedowns import new_number
from avatars.sharing import ShareRefused, share
from avatars.takedowns import DecidedMeanwhile
from tests import factories, till
from tests.avatars.hanging import hang
from tests.faults.crossings import Crossings, watched_doors
from tests.faults.test_crashes import dies, moments
from tests.faults.test_races import books

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 8


@pytest.fixture
def crossings(monkeypatch) -> Crossings:
    watched = watched_doors(monkeypatch)
    monkeypatch.setattr(replies, "send_mail", watched.around("a letter", replies.send_mail))
    return watched


def press(number: str, avatar: Avatar, mo) -> None:
    """What two people do, each again who saw no answer: the sender their form, staff theirs."""
    notice = Takedown.objects.filter(number=number).first()
    notice = notice or factories.create_takedown(avatar, number=number, kind="intimate")
    if notice.state == Takedown.State.OPEN:
        takedowns.accept(
            notice,
            actor=mo,
            category=Category.SEXUAL,
            reason="seen",
            give_back=True,
            checked=["shows"],
            now=timezone.now(),
        )


def sweep() -> None:
    """After the longest claim has run out."""
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        replies.send_due()
        safekeeping.erase_due()


def test_a_takedown_that_dies_at_any_crossing_is_finished_by_the_next(
    crossings, ada, mo, mailoutbox
):
    def is_finished(moment: int) -> bool:
        file = factories.create_file(ada, "avatars", "webp", f"master {moment}".encode())
        avatar, number = hang(ada, file=file), new_number()
        link = factories.create_share(avatar)
        keys, digest = [avatar.file.key, avatar.thumb.key], file.sha256

        def work() -> None:
            press(number, avatar, mo)
            replies.send_due()
            safekeeping.erase_due()

        died = dies(crossings, moment, work)
        connection.close()
        avatar.refresh_from_db()
        notice = Takedown.objects.filter(number=number).first()
        # Wholly or not at all.
        is_down = notice is not None and notice.state == Takedown.State.REMOVED
        assert is_down is avatar.hidden is (avatar.file is None)
        assert Share.objects.get(pk=link.pk).state == (
            Share.State.REMOVED if is_down else Share.State.REVIEW if notice else Share.State.LIVE
        )
        assert books() == []

        press(number, avatar, mo)
        sweep()
        avatar.refresh_from_db()
        assert (avatar.hidden, avatar.file, avatar.thumb) == (True, None, None)
        assert not StoredFile.objects.filter(key__in=keys).exists()
        for key in keys:
            with pytest.raises(storage.Missing):
                storage.read(key)
        assert not Share.objects.visible(timezone.now()).filter(avatar=avatar).exists()
        removal = Removal.objects.get(avatar=avatar)
        assert (removal.is_final, removal.credits_back, removal.mail_due_at) == (True, 1, None)
        assert Takedown.objects.get(number=number).mail_due_at is None
        assert Decision.objects.about("takedown", number).count() == 1
        assert Decision.objects.about("avatar", avatar.public_id).count() == 1
        assert BlockedPicture.objects.has([digest])
        gifts = Transfer.objects.filter(reference=f"goodwill:{avatar.request.reference}")
        assert gifts.count() == 1
        # At least once: a death between a letter and its being noted down sends it again.
        for address in ("cleo@example.org", ada.email):
            letters = [letter for letter in mailoutbox if letter.to == [address]]
            assert 1 <= len(letters) <= 1 + died
        mailoutbox.clear()
        assert books() == []
        return died

    deaths = moments(is_finished, 1)
    assert deaths >= 20


def test_both_desks_at_once_take_it_down_once_for_good_and_pay_once(ada, mo):
    """In one order of locks, or PostgreSQL would end one of them."""
    for _ in range(ROUNDS):
        avatar = hang(ada)
        item = moderation.put_on_desk(ReviewKind.REPORT, avatar=avatar)
        notice = factories.create_takedown(avatar)
        acts = (
            partial(moderation.remove, item, mo, Category.SPAM, gift=True),
            partial(
                takedowns.accept,
                notice,
                actor=mo,
                category=Category.SEXUAL,
                reason="",
                give_back=True,
                checked=[],
                now=timezone.now(),
            ),
        )
        assert till.at_once(2, lambda index, acts=acts: acts[index]()) == [True, 1]
        avatar.refresh_from_db()
        assert (avatar.hidden, avatar.file, Removal.objects.get(avatar=avatar).is_final) == (
            True,
            None,
            True,
        )
    assert Transfer.objects.filter(kind=Kind.GOODWILL).count() == ROUNDS
    assert books() == []


def test_an_undo_and_a_takedown_at_once_never_leave_it_up(ada, mo):
    for number in range(ROUNDS):
        # A file of its own: what was taken down before must not be why it gets no link.
        file = factories.create_file(ada, "avatars", "webp", f"master {number}".encode())
        avatar = hang(ada, file=file)
        link = factories.create_share(avatar)
        item = moderation.put_on_desk(ReviewKind.REPORT, avatar=avatar)
        moderation.remove(item, mo, Category.SPAM)
        notice = factories.create_takedown(avatar)

        def act(index: int, item=item, notice=notice) -> str:
            try:
                if index:
                    moderation.undo(item, mo)
                else:
                    takedowns.accept(
                        notice,
                        actor=mo,
                        category=Category.MINORS,
                        reason="",
                        give_back=False,
                        checked=[],
                        now=timezone.now(),
                    )
            except (reviewing.Stale, DecidedMeanwhile) as refused:
                return type(refused).__name__
            return ""

        taken_down, _undone = till.at_once(2, act)
        avatar.refresh_from_db()
        link.refresh_from_db()
        assert (taken_down, avatar.hidden, link.state) == ("", True, Share.State.REMOVED)
        assert Removal.objects.get(avatar=avatar).is_final
    assert books() == []


def test_letting_a_lookalike_show_and_a_grave_notice_at_once_show_nothing(ada, ben, mo):
    near = "0123456789abcdef" * 4
    BlockedPicture.objects.block(near=[near])
    for _ in range(ROUNDS):
        avatar = hang(ada, near_hash=near)
        link = share(avatar, period=Period.WEEK, with_words=False, now=timezone.now())
        item = reviewing.ReviewItem.objects.get(avatar=avatar, kind=ReviewKind.LOOKALIKE)

        def act(index: int, avatar=avatar, item=item) -> None:
            if index:
                moderation.keep(item, mo)
            else:
                factories.create_takedown(avatar, kind="intimate")

        till.at_once(2, act)
        link.refresh_from_db()
        assert link.state == Share.State.REVIEW
        Share.objects.filter(avatar=avatar).stop(timezone.now())
        with pytest.raises(ShareRefused, match="reported"):
            share(avatar, period=Period.WEEK, with_words=False, now=timezone.now())
