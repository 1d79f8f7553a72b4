"""Moderation: what staff decide about a held description, a finished picture or an appeal.

Knows the nouns, `reviewing`, `removing` and `generation`. State, credits and the record of a
decision are one transaction; letters follow from columns it leaves. Locks are taken wallet, request
or avatar, item: in that order. Every decision raises a NotDecided when somebody else, the owner or
the clock was faster.
"""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Decision, User
from avatars import generation, removing
from avatars.models import (
    Avatar,
    AvatarRequest,
    Category,
    Reason,
    ReviewItem,
    ReviewKind,
    ReviewOutcome,
    Share,
    State,
)
from avatars.models.avatar_requests import MAIL_DELAY
from avatars.models.pace import pace, promise
from avatars.models.takedowns import is_held
from avatars.reviewing import (
    AGAINST_ACTS,
    Stale,
    hand_to_lead,
    is_lead,
    put_on_desk,
    record,
    subject_of,
    take,
)

UNDO_PERIOD = timedelta(minutes=5)
CAN_BE_UNDONE = ("picture_kept", "picture_removed")
PICTURE_ENDINGS = (ReviewOutcome.KEPT, ReviewOutcome.REMOVED, ReviewOutcome.GIFTED)

# ── Held descriptions ───────────────────────────────────────────────────────────────────────────


def approve(item: ReviewItem, moderator: User, *, note: str = "") -> int:
    """It joins the line and its promise starts, however long the line is: its credits are held
    already. Returns the request's id, to be rung after the commit. Raises a NotDecided.
    """
    item = take(item, moderator)
    now = timezone.now()
    avatar_request = requested(item)
    if avatar_request.photo is None or avatar_request.photo.file_id is None:
        # Whoever deleted it died before they had cancelled what waits for it.
        generation.cancel(avatar_request, Reason.PHOTO_DELETED)
        raise Stale(item)
    with transaction.atomic():
        if not join_line(avatar_request, now):
            raise Stale(item)
        ended(item, ReviewOutcome.APPROVED, moderator, now)
        record(
            item,
            moderator,
            "description_approved",
            note=note,
            before={"state": State.HELD},
            after={"state": State.QUEUED},
        )
    return avatar_request.pk


def join_line(avatar_request: AvatarRequest, now: datetime) -> bool:
    """False when the request has ended, or its review's time is up: then its credits return."""
    if avatar_request.state != State.HELD or avatar_request.is_past_deadline(now):
        return False
    drawing = pace(avatar_request.style, avatar_request.quality).p50
    turn = AvatarRequest.objects.next_turn(avatar_request.user_id)
    wait = generation.wait_behind(turn, drawing, now) + drawing
    place = generation.in_line(turn, promise(wait, now), now)
    # Told if they have not come back by then; the picture's own letter takes its place.
    return avatar_request.move(place.pop("state"), mail_due_at=now + MAIL_DELAY, **place)


def reject(
    item: ReviewItem,
    moderator: User,
    category: Category,
    *,
    note: str = "",
    stop_sharing: bool = False,
) -> bool:
    """Removed, for good; the credits return in the same transaction. False when it is about
    somebody under 18 and now waits for a lead. Raises a NotDecided.
    """
    item = take(item, moderator)
    if must_go_to_a_lead(category, moderator):
        return hand_to_lead(item, moderator, category, note)
    now = timezone.now()
    with transaction.atomic():
        if not requested(item).finish(State.REJECTED, Reason.REVIEW_NO, now=now):
            raise Stale(item)
        item.sign(moderator, category)
        stopped = stop_sharing and item.person.stop_sharing(now)
        record(
            item,
            moderator,
            "description_rejected",
            category=category,
            note=note,
            before={"state": State.HELD},
            after={"state": State.REJECTED, "sharing_stopped": stopped},
        )
    return True


# ── Finished pictures ───────────────────────────────────────────────────────────────────────────


def keep(item: ReviewItem, moderator: User, *, note: str = "") -> None:
    """Nothing is wrong with it; a link that waited for this shows it now. Raises a NotDecided."""
    item = take(item, moderator)
    with transaction.atomic():
        Avatar.objects.filter(pk=pictured(item).pk).lock()
        ended(item, ReviewOutcome.KEPT, moderator, timezone.now())
        if holds_link(item) and not is_held(pictured(item)):
            Share.objects.filter(avatar=pictured(item)).let_go()
        record(item, moderator, "picture_kept", note=note, before=standing_of(item))


def remove(
    item: ReviewItem,
    moderator: User,
    category: Category,
    *,
    note: str = "",
    gift: bool = False,
    stop_sharing: bool = False,
) -> bool:
    """Taken down: nobody but staff sees it, its link is dead, and its files go after the trash's
    period. With `gift` its cost comes back as a gift. False when it is about somebody under 18 and
    now waits for a lead, who keeps the files as evidence. Raises a NotDecided.
    """
    item = take(item, moderator)
    if must_go_to_a_lead(category, moderator):
        return hand_to_lead(item, moderator, category, note)
    avatar = pictured(item)
    now = timezone.now()
    with transaction.atomic():
        # The letter waits until the decision can no longer be undone.
        is_new = removing.take_down(
            avatar,
            category,
            actor=moderator,
            gives_back=gift,
            tell_at=now + UNDO_PERIOD,
            now=now,
        )
        given = gift and avatar.request.state == State.READY
        outcome = ReviewOutcome.GIFTED if given else ReviewOutcome.REMOVED
        ended(item, outcome, moderator, now, category=category)
        stopped = stop_sharing and item.person.stop_sharing(now)
        record(
            item,
            moderator,
            "picture_removed",
            category=category,
            note=note,
            before=standing_of(item),
            after={"hidden": is_new, "gift": given, "sharing_stopped": stopped},
        )
    return True


def undo(item: ReviewItem, moderator: User) -> ReviewItem:
    """Take back one's own decision about a picture within five minutes: it is back on the desk, and
    in the gallery. A gift already given stays. Raises Stale when it is too late.
    """
    now = timezone.now()
    found = ReviewItem.objects.for_decision().get(pk=item.pk)
    acts = Decision.objects.about(*subject_of(found)).filter(act__in=CAN_BE_UNDONE)
    last = acts.filter(actor=moderator).last()
    is_recent = found.decided_at is not None and found.decided_at > now - UNDO_PERIOD
    if found.outcome not in PICTURE_ENDINGS or not is_recent or last is None:
        raise Stale(found)
    try:
        with transaction.atomic():
            if last.after.get("hidden"):
                put_back(found, last)
            if not found.reopen(moderator, found.outcome, now):
                raise Stale(found)
            if holds_link(found):
                Share.objects.filter(avatar=pictured(found)).hold()
            if last.after.get("sharing_stopped"):
                found.person.lift()
            record(found, moderator, "decision_undone", before=last.after)
    except IntegrityError as error:  # meanwhile it was reported anew, and waits already
        raise Stale(found) from error
    return found


def put_back(item: ReviewItem, decision: Decision) -> None:
    """Where it hung before that decision, and its link as it was. Raises Stale when a takedown has
    made the removal final meanwhile.
    """
    moment = decision.before["trashed_at"]
    trashed_at = moment and datetime.fromisoformat(moment)
    if not removing.put_back(pictured(item), trashed_at=trashed_at, taken_down_at=item.decided_at):
        raise Stale(item)


# ── Appeals ─────────────────────────────────────────────────────────────────────────────────────


def answer(item: ReviewItem, moderator: User, *, granted: bool, note: str = "") -> None:
    """Granted: what was decided is set right. Denied: it stays. The person is told either way.
    Raises a NotDecided.
    """
    item = take(item, moderator)
    now = timezone.now()
    with transaction.atomic():
        after = {"granted": granted} | (set_right(item, moderator) if granted else {})
        outcome = ReviewOutcome.GRANTED if granted else ReviewOutcome.DENIED
        ended(item, outcome, moderator, now, mail_due_at=now)
        record(item, moderator, f"appeal_{outcome.value}", note=note, after=after)


def set_right(item: ReviewItem, moderator: User) -> dict[str, object]:
    """A picture hangs again, or its cost is given back, once, when its files are gone. For a
    rejected description nothing moves: its credits are back, and its letter opens Create filled in.
    A suspended person may make again, and whose sharing was stopped with it may share again.
    """
    avatar = item.avatar
    if avatar is None and item.request is None:
        item.person.lift(suspension=True)
        return {"lifted": True}
    after: dict[str, object] = {}
    if avatar is not None and avatar.hidden:
        avatar.request.hold.wallet.lock()  # before the picture, as everywhere
        if removing.put_back(avatar, trashed_at=None):
            after["hangs_again"] = True
        else:
            avatar.end_evidence(timezone.now())
            after["gift"] = removing.give_back(avatar.request, moderator, item.category)
    first = Decision.objects.about(*subject_of(item)).filter(act__in=AGAINST_ACTS).last()
    if first and first.after.get("sharing_stopped"):
        item.person.lift()
        after["shares_again"] = True
    return after


# ── Parts ───────────────────────────────────────────────────────────────────────────────────────


def must_go_to_a_lead(category: Category | str, moderator: User) -> bool:
    return category == Category.MINORS and not is_lead(moderator)


def ended(
    item: ReviewItem, outcome: ReviewOutcome, moderator: User, now: datetime, **fields: object
) -> None:
    if not item.decide(outcome, moderator, now, **fields):
        raise Stale(item)


def requested(item: ReviewItem) -> AvatarRequest:
    if item.request is None:
        raise ValueError(f"{item} is not about a description")
    return item.request


def pictured(item: ReviewItem) -> Avatar:
    if item.avatar is None:
        raise ValueError(f"{item} is not about a picture")
    return item.avatar


def holds_link(item: ReviewItem) -> bool:
    """Whether strangers see nothing of its picture while it waits."""
    return item.kind == ReviewKind.LOOKALIKE or item.category == Category.MINORS


def standing_of(item: ReviewItem) -> dict[str, object]:
    avatar = pictured(item)
    trashed_at = avatar.trashed_at and avatar.trashed_at.isoformat()
    return {"hidden": avatar.hidden, "trashed_at": trashed_at}


__all__ = [
    "UNDO_PERIOD",
    "answer",
    "approve",
    "keep",
    "put_on_desk",
    "reject",
    "remove",
    "undo",
]
