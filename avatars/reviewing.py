"""Reviewing: what waits for a moderator, in which order, who has it, and what is written down.

Knows the nouns. Nothing is decided here: see `moderation`.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User, decide
from avatars.models import Avatar, AvatarRequest, Category, ReviewItem, ReviewKind, Share
from avatars.models.near import is_near

MODERATE, LEAD = "avatars.moderate", "avatars.lead"

PUT_BACK_PERIOD = timedelta(hours=4)
# What is put back returns so long before its deadline that somebody can still read it.
READING_TIME = timedelta(hours=1)
# Pictures are answered within two days (experience.md §5.12); held descriptions bring their own.
ANSWER_WITHIN = timedelta(hours=48)
LIKES_READ = 1000  # reviews; a page must not wait for more
TURNS = 5  # items tried for a claim before the desk is called empty


class NotDecided(Exception):
    """The act was not done and nothing has moved; `item` is as it stands now."""

    def __init__(self, item: ReviewItem) -> None:
        super().__init__(str(item))
        self.item = item


class Stale(NotDecided):
    """Somebody else, its owner or the clock has ended it."""


class Claimed(NotDecided):
    """Somebody else is looking at it."""


class ForLeads(NotDecided):
    """It is locked to leads."""


class NotTheirs(NotDecided):
    """One's own things, and appeals against oneself, are for somebody else."""


def put_on_desk(
    kind: ReviewKind,
    *,
    avatar: Avatar | None = None,
    request: AvatarRequest | None = None,
    person: User | None = None,
    category: Category | str = "",
    why: str = "",
    deadline_at: datetime | None = None,
    not_for: User | None = None,
    leads_only: bool = False,
) -> ReviewItem:
    """Ask for a person's eyes: a report, a first share or an appeal about one picture, one request
    or (without either) one person. Said again while it waits, it counts and stays one item. `why`
    is read by staff; `not_for` is whose decision an appeal is against.
    """
    owner = person or (avatar or request or _nothing()).user
    return ReviewItem.objects.put(
        kind,
        person=owner,
        avatar=avatar,
        request=request,
        category=category,
        why=why,
        deadline_at=deadline_at or timezone.now() + ANSWER_WITHIN,
        not_for=not_for,
        leads_only=leads_only or (avatar is None and request is None),
    )


def _nothing() -> Avatar:
    raise ValueError("a review is about a picture, a request or a person")


def is_lead(moderator: User) -> bool:
    return moderator.has_perm(LEAD)


def take_next(
    moderator: User, *, after: ReviewItem | None = None, backwards: bool = False
) -> ReviewItem | None:
    """Claim the most urgent item this moderator may decide, or the one that stands next to `after`;
    None when nothing waits. What was claimed before is let go by the caller.
    """
    now = timezone.now()
    free = ReviewItem.objects.open_to(moderator, lead=is_lead(moderator)).free(moderator, now)
    for item in free.beside(after, backwards=backwards)[:TURNS]:
        if item.claim(moderator, now):
            return item
    return None


def take(item: ReviewItem, moderator: User) -> ReviewItem:
    """Claim this very item and read it anew. Raises a NotDecided."""
    now = timezone.now()
    claimed = item.claim(moderator, now)
    found = ReviewItem.objects.for_decision().get(pk=item.pk)
    if not found.is_open:
        raise Stale(found)
    if not claimed:
        raise Claimed(found)
    try:
        may_decide(found, moderator)
    except NotDecided:
        found.let_go(moderator)
        raise
    return found


def may_decide(item: ReviewItem, moderator: User) -> None:
    """Raises NotTheirs or ForLeads."""
    if moderator.pk in (item.person_id, item.not_for_id):
        raise NotTheirs(item)
    if item.leads_only and not is_lead(moderator):
        raise ForLeads(item)


def look_alikes(item: ReviewItem, moderator: User, most: int) -> list[ReviewItem]:
    """Reviews of other pictures that show the same, one for each, the youngest picture first. Only
    what was on the desk is asked: nobody looks at private pictures unasked. Read are the
    LIKES_READ youngest, however many there are. One query.
    """
    found: dict[int | None, ReviewItem] = {}
    avatar = item.avatar
    if avatar is None:
        return []
    others = ReviewItem.objects.of_pictures().exclude(avatar=avatar)
    if not is_lead(moderator):
        others = others.filter(leads_only=False)
    for other in others[:LIKES_READ]:
        if other.avatar and is_near(avatar.near_hash, other.avatar.near_hash):
            found.setdefault(other.avatar_id, other)
    return list(found.values())[:most]


def put_back(item: ReviewItem, moderator: User) -> datetime:
    """Later, but never past the deadline. Returns when it comes back. Raises a NotDecided."""
    item = take(item, moderator)
    now = timezone.now()
    latest = max(now, item.deadline_at - READING_TIME)
    wake_at = min(now + PUT_BACK_PERIOD, latest)
    if not item.let_go(moderator, wake_at=wake_at):
        raise Stale(item)
    return wake_at


def escalate(item: ReviewItem, moderator: User, *, note: str = "") -> None:
    """From now on it is for leads. Raises a NotDecided."""
    hand_to_lead(take(item, moderator), moderator, "", note)


def add_note(item: ReviewItem, moderator: User, note: str) -> None:
    """For whoever looks next; the person it concerns is not told. Raises a NotDecided for those who
    may not look.
    """
    may_decide(item, moderator)
    record(item, moderator, "noted", note=note)


def hand_to_lead(item: ReviewItem, moderator: User, category: Category | str, note: str) -> bool:
    """Always False: it is not decided. A picture that may show somebody under 18 is shown to no
    stranger until it is, and its owner cannot delete it for good (`safekeeping.purge`).
    """
    with transaction.atomic():
        if category == Category.MINORS:
            Share.objects.filter(avatar=item.avatar_id).hold()
        changes = {"leads_only": True} | ({"category": category} if category else {})
        if not item.let_go(moderator, **changes):
            raise Stale(item)
        record(item, moderator, "escalated", category=category, note=note)
    return False


def subject_of(item: ReviewItem) -> tuple[str, object]:
    """Under what a decision about the item is found again."""
    if item.avatar:
        return "avatar", item.avatar.public_id
    return ("request", item.request.public_id) if item.request else ("person", item.person_id)


def label(category: Category | str) -> str:
    return str(Category(category).label) if category in Category else ""


# The acts that are against the person whose description or picture it was.
AGAINST_ACTS = ("description_rejected", "picture_removed", "picture_taken_down")
# All that is decided at the desks. What is written beside it is staff's own; the person reads the
# category, in our words.
DESK_ACTS = frozenset(
    {
        *AGAINST_ACTS,
        *("description_approved", "picture_kept", "decision_undone", "escalated", "noted"),
        *("appeal_granted", "appeal_denied"),
    }
)
# What the record says of an act for which nobody wrote a word.
SAID = {
    "description_approved": _("nothing against our rules"),
    "picture_kept": _("nothing against our rules"),
    "escalated": _("for a lead to decide"),
    "decision_undone": _("taken back"),
    "appeal_granted": _("the appeal is right"),
    "appeal_denied": _("the first decision stays"),
}


def record(
    item: ReviewItem,
    moderator: User,
    act: str,
    *,
    category: Category | str = "",
    note: str = "",
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    decide(
        moderator,
        act,
        person=item.person,
        subject=subject_of(item),
        category=category,
        reason=note or label(category) or str(SAID.get(act, "")),
        before=before,
        after=after,
    )
