"""What moderators decide: state, credits, record and letter, each once.

Knows the verbs of the desk, the engine's sweep and the letters.
"""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import Decision, Kind, Transfer, User
from avatars import auditing, generation, moderation, notices, replies, reviewing, safekeeping
from avatars.models import (
    Avatar,
    AvatarRequest,
    Category,
    FacePhoto,
    Gone,
    Reason,
    ReviewItem,
    ReviewKind,
    Share,
    State,
)
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def sam(db) -> User:
    return factories.create_moderator()


@pytest.fixture
def lee(db) -> User:
    return factories.create_moderator("lee@example.org", lead=True)


def wallet_of(user: User) -> tuple[int, int]:
    user.wallet.refresh_from_db()
    return user.wallet.available, user.wallet.reserved


def books() -> list[object]:
    return [*accounts_auditing.findings(), *auditing.findings()]


def fresh(item: ReviewItem) -> ReviewItem:
    return ReviewItem.objects.select_related("request", "avatar").get(pk=item.pk)


def records() -> list[tuple[str, str, str]]:
    return list(Decision.objects.order_by("pk").values_list("act", "category", "reason"))


# ── Held descriptions ───────────────────────────────────────────────────────────────────────────


def test_an_approved_description_joins_the_line_and_its_promise_starts(ada, sam):
    item = factories.create_held(ada)
    with time_machine.travel(timezone.now() + timedelta(hours=5), tick=False):
        pk = moderation.approve(item, sam, note="a stage name of her own")
        now = timezone.now()
    mine = AvatarRequest.objects.get(pk=pk)
    assert (mine.state, mine.queued_at) == (State.QUEUED, now)
    assert mine.deadline_at == mine.due_at == now + timedelta(minutes=15)
    item = fresh(item)
    assert (item.outcome, item.decided_by, item.decided_at) == ("approved", sam, now)
    decision = Decision.objects.get()
    assert (decision.actor, decision.person, decision.act) == (sam, ada, "description_approved")
    assert decision.subject == f"request:{mine.public_id}"
    assert (decision.before, decision.after) == ({"state": "held"}, {"state": "queued"})
    assert wallet_of(ada) == (10, 1)
    assert books() == []


def test_a_rejected_description_gives_the_credits_back_with_the_decision(ada, sam):
    item = factories.create_held(ada)
    assert moderation.reject(item, sam, Category.PEOPLE, note="she did not agree")
    item = fresh(item)
    mine = item.request
    assert (mine.state, mine.reason, mine.resolution.kind) == ("rejected", "review_no", "release")
    assert (item.outcome, item.decided_by, item.category) == ("rejected", sam, "people")
    assert records() == [("description_rejected", "people", "she did not agree")]
    assert wallet_of(ada) == (11, 0)
    assert User.objects.get(pk=ada.pk).sharing_stopped_at is None
    assert books() == []


def test_a_rejection_may_stop_the_persons_sharing(ada, ben, sam):
    moderation.reject(factories.create_held(ada), sam, Category.HATE, stop_sharing=True)
    assert User.objects.get(pk=ada.pk).sharing_stopped_at is not None
    assert User.objects.get(pk=ben.pk).sharing_stopped_at is None
    assert Decision.objects.get().after == {"state": "rejected", "sharing_stopped": True}


def test_nobody_decides_in_time_and_the_credits_return_by_themselves(ada):
    item = factories.create_held(ada)
    with time_machine.travel(item.deadline_at, tick=False):
        due = generation.sweep()
        assert due == [item.request_id]
        generation.advance(item.request_id)
        item = fresh(item)
        assert (item.request.state, item.request.reason) == (State.FAILED, Reason.REVIEW_LATE)
        assert (item.outcome, item.decided_by) == ("late", None)
        assert wallet_of(ada) == (11, 0)
        assert books() == []
    with time_machine.travel(item.deadline_at + timedelta(minutes=2), tick=False):
        assert (notices.send_due(), notices.send_due()) == (1, 0)
    assert mail.outbox[0].subject == "1 credit returned: Nobody could look at this in time."


def test_past_the_deadline_nobody_can_approve_any_more(ada, sam):
    item = factories.create_held(ada)
    with time_machine.travel(item.deadline_at, tick=False), pytest.raises(reviewing.Stale):
        moderation.approve(item, sam)
    assert fresh(item).request.state == State.HELD
    assert records() == []


def test_its_owner_may_cancel_while_it_is_in_review(ada, sam):
    item = factories.create_held(ada)
    assert generation.cancel(AvatarRequest.objects.get(pk=item.request_id))
    assert wallet_of(ada) == (11, 0)
    assert (fresh(item).outcome, fresh(item).decided_by) == ("withdrawn", None)
    with pytest.raises(reviewing.Stale) as stale:
        moderation.approve(item, sam)
    assert stale.value.item.outcome == "withdrawn"
    assert books() == []


def test_deleting_the_photo_ends_the_review_too(ada):
    item = factories.create_held(ada)
    safekeeping.erase(item.request.photo)
    assert fresh(item).outcome == "withdrawn"
    assert wallet_of(ada) == (11, 0)


def test_a_photo_whose_day_came_during_the_review_is_still_drawn(ada, sam):
    item = factories.create_held(ada)
    FacePhoto.objects.update(delete_at=timezone.now() - timedelta(hours=1))
    safekeeping.erase_due()
    moderation.approve(item, sam)
    assert fresh(item).request.state == State.QUEUED


def test_what_waits_for_a_photo_that_is_gone_is_not_drawn_but_returned(ada, sam):
    item = factories.create_held(ada)
    assert item.request.photo.take_away(Gone.OWNER, timezone.now(), None)  # and there died
    with pytest.raises(reviewing.Stale):
        moderation.approve(item, sam)
    assert (fresh(item).outcome, fresh(item).request.reason) == ("withdrawn", "photo_deleted")
    assert wallet_of(ada) == (11, 0)


def test_the_second_decision_is_told_whose_the_first_was(ada, sam, lee):
    item = factories.create_held(ada)
    moderation.approve(item, sam)
    with pytest.raises(reviewing.Stale) as stale:
        moderation.reject(item, lee, Category.HATE)
    assert stale.value.item.decided_by == sam
    assert [act for act, *_rest in records()] == ["description_approved"]


# ── Letters ─────────────────────────────────────────────────────────────────────────────────────


def a_minute_later():
    return time_machine.travel(timezone.now() + timedelta(seconds=61), tick=False)


def test_a_rejection_is_told_once_with_its_reason(ada, sam):
    moderation.reject(factories.create_held(ada), sam, Category.PEOPLE, note="private note")
    assert notices.send_due() == 0
    with a_minute_later():
        assert (notices.send_due(), notices.send_due()) == (1, 0)
    letter = mail.outbox[0]
    assert letter.to == [ada.email]
    assert "A reviewer said no: it is about a real person who may not have agreed." in letter.body
    assert "You were not charged." in letter.body
    assert "private note" not in letter.body
    assert "taylor swift" not in letter.body.lower()


def test_an_approval_is_told_once_to_whoever_has_not_looked_since(ada, client, sam):
    item = factories.create_held(ada)
    moderation.approve(item, sam)
    client.force_login(ada)
    seen = factories.create_held(ada, prompt="as Elon Musk")
    moderation.approve(seen, sam)
    client.get(f"/jobs/{seen.request.public_id}/")
    with a_minute_later():
        assert (notices.send_due(), notices.send_due()) == (1, 0)
    assert mail.outbox[0].subject == "Your anime avatar is in line"


def test_a_picture_drawn_meanwhile_has_one_letter_the_one_about_the_picture(ada, sam):
    item = factories.create_held(ada)
    moderation.approve(item, sam)
    mine = AvatarRequest.objects.get(pk=item.request_id)
    for step in (State.SENDING, State.GENERATING, State.STORING):
        assert mine.move(step, due_at=timezone.now())
    assert mine.finish(State.READY, now=timezone.now())
    with a_minute_later():
        assert notices.send_due() == 1
    assert mail.outbox[0].subject == "Your anime avatar is ready"


# ── Finished pictures ───────────────────────────────────────────────────────────────────────────


def test_a_picture_that_is_fine_stays_where_it_is(ada, sam):
    item = factories.create_reported(ada)
    moderation.keep(item, sam)
    item = fresh(item)
    assert (item.outcome, item.avatar.hidden, item.mail_due_at) == ("kept", False, None)
    assert records() == [("picture_kept", "", "nothing against our rules")]


@pytest.mark.parametrize(("gift", "outcome", "more"), [(False, "removed", 0), (True, "gifted", 1)])
def test_a_removed_picture_is_gone_for_its_owner_with_or_without_a_gift(
    ada, sam, gift, outcome, more
):
    item = factories.create_reported(ada)
    before = wallet_of(ada)[0]
    assert moderation.remove(item, sam, Category.SEXUAL, gift=gift)
    item = fresh(item)
    assert (item.outcome, item.category, item.avatar.hidden) == (outcome, "sexual", True)
    assert not Avatar.objects.filter(user=ada).shown().exists()
    assert not Avatar.objects.filter(user=ada).trashed().exists()
    assert item.avatar.request.state == State.READY
    assert wallet_of(ada) == (before + more, 0)
    given = Transfer.objects.filter(kind=Kind.GOODWILL).values_list("reference", "actor", "note")
    reference = f"goodwill:{item.avatar.request.public_id}"
    assert list(given) == ([(reference, sam.pk, "Given back by our staff: sexual content")] * more)
    assert Decision.objects.get().after == {
        "hidden": True,
        "gift": gift,
        "sharing_stopped": False,
    }
    assert books() == []


def test_a_removed_pictures_files_go_after_the_trashs_period_but_not_the_evidence(ada, lee):
    plain, evidence = factories.create_reported(ada), factories.create_reported(ada)
    moderation.remove(plain, lee, Category.SPAM)
    moderation.remove(evidence, lee, Category.MINORS)
    with time_machine.travel(timezone.now() + timedelta(days=31), tick=False):
        safekeeping.erase_due()
    kept = Avatar.objects.filter(user=ada, file__isnull=False).values_list("pk", flat=True)
    assert list(kept) == [evidence.avatar_id]


def test_a_removal_is_told_once_it_can_no_longer_be_undone(ada, sam):
    item = factories.create_reported(ada)
    AvatarRequest.objects.update(mail_due_at=None)
    moderation.remove(item, sam, Category.DECEPTION, gift=True)
    with a_minute_later():
        assert replies.send_due() == 0
    with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=False):
        assert (replies.send_due(), replies.send_due()) == (1, 0)
        assert notices.send_due() == 0
    body = mail.outbox[0].body
    assert "We removed this picture: it could deceive people or pass as a document." in body
    assert "We gave you 1 credit back as a gift." in body


def test_a_removal_is_undone_within_five_minutes_and_only_then(ada, sam, lee):
    item = factories.create_reported(ada)
    moderation.remove(item, sam, Category.SEXUAL, gift=True, stop_sharing=True)
    with pytest.raises(reviewing.Stale):
        moderation.undo(item, lee)
    reopened = moderation.undo(item, sam)
    item = fresh(reopened)
    assert (item.outcome, item.claimed_by, item.mail_due_at) == ("", sam, None)
    assert (item.avatar.hidden, item.avatar.trashed_at) == (False, None)
    assert User.objects.get(pk=ada.pk).sharing_stopped_at is None
    assert Transfer.objects.filter(kind=Kind.GOODWILL).count() == 1
    assert [act for act, *_rest in records()] == ["picture_removed", "decision_undone"]
    moderation.remove(item, sam, Category.SEXUAL, gift=True)
    assert Transfer.objects.filter(kind=Kind.GOODWILL).count() == 1
    with (
        time_machine.travel(timezone.now() + timedelta(minutes=5), tick=False),
        pytest.raises(reviewing.Stale),
    ):
        moderation.undo(item, sam)
    assert fresh(item).avatar.hidden
    assert books() == []


def test_a_picture_reported_anew_meanwhile_is_not_put_up_by_an_undo(ada, sam):
    item = factories.create_reported(ada)
    moderation.remove(item, sam, Category.SEXUAL)
    moderation.put_on_desk(ReviewKind.REPORT, avatar=item.avatar, why="once more")
    with pytest.raises(reviewing.Stale):
        moderation.undo(item, sam)
    assert fresh(item).avatar.hidden
    assert [act for act, *_rest in records()] == ["picture_removed"]


def test_what_was_in_the_trash_before_is_there_again_after_an_undo(ada, sam):
    item = factories.create_reported(ada)
    item.avatar.trash(timezone.now())
    trashed_at = fresh(item).avatar.trashed_at
    moderation.remove(item, sam, Category.SPAM)
    moderation.undo(item, sam)
    assert (fresh(item).avatar.hidden, fresh(item).avatar.trashed_at) == (False, trashed_at)


def test_a_picture_that_was_a_gift_already_is_not_paid_back(ada, sam):
    failed = factories.create_request_in(State.FAILED, ada)
    avatar = factories.create_avatar(ada, failed, gift=True)
    item = moderation.put_on_desk(ReviewKind.REPORT, avatar=avatar)
    moderation.remove(item, sam, Category.SPAM, gift=True)
    assert fresh(item).outcome == "removed"
    assert not Transfer.objects.filter(kind=Kind.GOODWILL).exists()


# ── Under 18 ────────────────────────────────────────────────────────────────────────────────────


def test_under_eighteen_is_locked_to_leads(ada, sam, lee):
    held, reported = factories.create_held(ada), factories.create_reported(ada)
    assert not moderation.reject(held, sam, Category.MINORS)
    assert not moderation.remove(reported, sam, Category.MINORS, note="looks very young")
    for item in (held, reported):
        now = fresh(item)
        assert (now.outcome, now.leads_only, now.category) == ("", True, "minors")
        with pytest.raises(reviewing.ForLeads):
            moderation.reject(item, sam, Category.HATE)
        assert fresh(item).claimed_by is None
    assert reviewing.take_next(sam) is None
    assert reviewing.take_next(lee).pk in (held.pk, reported.pk)
    assert moderation.reject(held, lee, Category.MINORS)
    assert [act for act, *_rest in records()] == [
        "escalated",
        "escalated",
        "description_rejected",
    ]


def test_what_may_show_somebody_under_eighteen_is_out_of_sight_and_kept_until_decided(
    ada, sam, lee
):
    item = factories.create_reported(ada)
    share = factories.create_share(item.avatar)
    seen = Share.objects.filter(pk=share.pk).visible
    assert seen(timezone.now()).exists()
    moderation.remove(item, sam, Category.MINORS)
    assert not seen(timezone.now()).exists()
    item.avatar.trash(timezone.now() - timedelta(days=40))
    item.avatar.refresh_from_db()
    assert not safekeeping.purge(item.avatar)
    safekeeping.erase_due()
    assert fresh(item).avatar.file_id == item.avatar.file_id
    item.avatar.restore()
    moderation.keep(item, lee)
    assert safekeeping.purge(fresh(item).avatar)


def test_a_link_that_waited_for_a_lead_shows_again_once_they_have_kept_the_picture(ada, sam, lee):
    item = factories.create_reported(ada)
    share = factories.create_share(item.avatar)
    moderation.remove(item, sam, Category.MINORS)
    moderation.keep(item, lee)
    assert Share.objects.get(pk=share.pk).state == "live"
    moderation.undo(item, lee)
    assert Share.objects.get(pk=share.pk).state == "review"


def test_notes_are_for_those_who_may_look(ada, sam, lee):
    item = factories.create_reported(ada)
    reviewing.escalate(item, sam)
    item.refresh_from_db()
    with pytest.raises(reviewing.ForLeads):
        reviewing.add_note(item, sam, "psst")
    mine = factories.create_reported(sam)
    with pytest.raises(reviewing.NotTheirs):
        reviewing.add_note(mine, sam, "I am innocent")
    reviewing.add_note(item, lee, "seen")
    assert [act for act, *_rest in records()] == ["escalated", "noted"]


# ── Appeals ─────────────────────────────────────────────────────────────────────────────────────


def test_an_appeal_is_for_somebody_else_than_the_first_decider(ada, sam, lee):
    held = factories.create_held(ada)
    moderation.reject(held, sam, Category.PEOPLE)
    before = wallet_of(ada)
    appeal = moderation.put_on_desk(
        ReviewKind.APPEAL, request=held.request, why="It is my stage name", not_for=sam
    )
    assert reviewing.take_next(sam) is None
    with pytest.raises(reviewing.NotTheirs):
        moderation.answer(appeal, sam, granted=True)
    moderation.answer(appeal, lee, granted=True)
    assert wallet_of(ada) == before  # it came back with the rejection
    assert fresh(appeal).request.state == State.REJECTED
    with a_minute_later():
        notices.send_due()
    assert "You were right: we changed our decision" in {letter.subject for letter in mail.outbox}
    assert books() == []


def test_a_granted_appeal_hangs_the_picture_again_and_a_denied_one_does_not(ada, sam, lee):
    for granted in (True, False):
        item = factories.create_reported(ada)
        moderation.remove(item, sam, Category.QUALITY)
        appeal = moderation.put_on_desk(ReviewKind.APPEAL, avatar=item.avatar, not_for=sam)
        moderation.answer(appeal, lee, granted=granted)
        assert fresh(appeal).avatar.hidden is not granted


def test_a_picture_whose_files_are_gone_is_given_back_as_its_cost(ada, sam, lee):
    item = factories.create_reported(ada)
    moderation.remove(item, sam, Category.QUALITY)
    with time_machine.travel(timezone.now() + timedelta(days=31), tick=False):
        safekeeping.erase_due()
        before = wallet_of(ada)[0]
        appeal = moderation.put_on_desk(ReviewKind.APPEAL, avatar=item.avatar, not_for=sam)
        moderation.answer(appeal, lee, granted=True)
        AvatarRequest.objects.update(mail_due_at=None)
        ReviewItem.objects.filter(pk=item.pk).update(mail_due_at=None)
        assert notices.send_due() == 1
    assert wallet_of(ada)[0] == before + 1
    assert "Its files are deleted by now" in mail.outbox[0].body


def test_an_appeal_against_a_suspension_is_for_leads_and_lifts_it(ada, sam, lee):
    ada.suspend(timezone.now())
    appeal = moderation.put_on_desk(ReviewKind.APPEAL, person=ada, why="It was my brother")
    with pytest.raises(reviewing.ForLeads):
        moderation.answer(appeal, sam, granted=True)
    moderation.answer(appeal, lee, granted=True)
    assert User.objects.get(pk=ada.pk).suspended_at is None


def test_the_audit_finds_what_nobody_would_ever_read(ada):
    item = factories.create_held(ada)
    assert books() == []
    row = ReviewItem.objects.filter(pk=item.pk)
    row.update(outcome="late", decided_at=timezone.now())
    assert [(found.invariant, list(found.rows)) for found in books()] == [
        ("I17", [item.request_id])
    ]
    row.update(outcome="", decided_at=None)
    AvatarRequest.objects.filter(pk=item.request_id).update(state=State.QUEUED)
    assert [(found.invariant, list(found.rows)) for found in books()] == [("I17", [item.pk])]


# ── The queue ───────────────────────────────────────────────────────────────────────────────────


def test_the_most_urgent_comes_first_and_one_item_has_one_reader(ada, sam, lee):
    later = factories.create_reported(ada)
    sooner = factories.create_held(ada)
    assert reviewing.take_next(sam) == sooner
    assert reviewing.take_next(lee) == later
    assert reviewing.take_next(sam) == sooner
    with pytest.raises(reviewing.Claimed) as taken:
        moderation.approve(sooner, lee)
    assert taken.value.item.claimed_by == sam
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
        assert moderation.approve(sooner, lee) == sooner.request_id


def test_next_and_previous_walk_along_the_deadlines(ada, sam):
    now = timezone.now()
    items = [
        factories.create_reported(ada, deadline_at=now + timedelta(hours=hours))
        for hours in (1, 2, 2, 3)
    ]
    walked = [reviewing.take_next(sam)]
    for _ in range(3):
        walked.append(reviewing.take_next(sam, after=walked[-1]))
    assert walked == items
    assert reviewing.take_next(sam, after=items[3]) is None
    assert reviewing.take_next(sam, after=items[2], backwards=True) == items[1]


def test_nobody_decides_about_their_own_things(sam):
    item = factories.create_held(sam)
    assert reviewing.take_next(sam) is None
    with pytest.raises(reviewing.NotTheirs):
        moderation.approve(item, sam)


def test_what_is_put_back_returns_before_its_deadline(ada, sam):
    now = timezone.now()
    long = factories.create_reported(ada, deadline_at=now + timedelta(hours=40))
    short = factories.create_reported(ada, deadline_at=now + timedelta(hours=3))
    with time_machine.travel(now, tick=False):
        assert reviewing.put_back(short, sam) == now + timedelta(hours=2)
        assert reviewing.put_back(long, sam) == now + timedelta(hours=4)
        assert reviewing.take_next(sam) is None
    with time_machine.travel(now + timedelta(hours=2), tick=False):
        assert reviewing.take_next(sam) == short


def test_an_escalated_item_waits_for_a_lead_with_its_note(ada, sam, lee):
    item = factories.create_held(ada)
    reviewing.escalate(item, sam, note="not sure")
    assert (reviewing.take_next(sam), reviewing.take_next(lee)) == (None, item)
    assert records() == [("escalated", "", "not sure")]


def test_the_same_picture_reported_twice_is_one_item(ada, ben, sam):
    first = factories.create_reported(ada)
    soon = timezone.now() + timedelta(hours=1)
    again = moderation.put_on_desk(ReviewKind.REPORT, avatar=first.avatar, deadline_at=soon)
    assert (again.pk, again.times, again.deadline_at) == (first.pk, 2, soon)
    moderation.put_on_desk(ReviewKind.FIRST_SHARE, avatar=first.avatar)
    factories.create_reported(ben)
    assert ReviewItem.objects.waiting().count() == 3
    moderation.keep(first, sam)
    anew = moderation.put_on_desk(ReviewKind.REPORT, avatar=first.avatar)
    assert (anew.pk != first.pk, anew.times) == (True, 1)
