"""Sharing: an avatar gets a link, and the link ends.

Knows the nouns and `reviewing`. A share is made under the lock of its picture's row, so that it can
never outlive a picture that is being trashed or removed at the same moment.
"""

from datetime import datetime

from django.db import transaction

from accounts.models import User
from avatars import reviewing
from avatars.models import (
    Avatar,
    BlockedPicture,
    Period,
    ReviewItem,
    ReviewKind,
    ReviewOutcome,
    Share,
    Takedown,
)
from avatars.models.shares import LASTS
from avatars.models.takedowns import is_held


class ShareRefused(Exception):
    """This picture gets no link. `code` says why:
    gone (trashed, purged or removed) · suspended · stopped · closing · reported · blocked.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def share(avatar: Avatar, *, period: Period, with_words: bool, now: datetime) -> Share:
    """A link to this picture; the one it has already, if any. One that only looks like a picture
    that was removed shows nothing until a person has looked: software guesses, and nobody loses a
    picture to a guess. Raises ShareRefused.
    """
    if why := barred(avatar.user):
        raise ShareRefused(why)
    if avatar.file and BlockedPicture.objects.has([avatar.file.sha256]):
        raise ShareRefused("blocked")
    lasts = LASTS[period]
    with transaction.atomic():
        if not avatar.lock_shown():
            raise ShareRefused("gone")
        if Takedown.objects.holding(avatar).exists():
            raise ShareRefused("reported")
        Share.objects.filter(avatar=avatar).expire(now)
        standing = Share.objects.filter(avatar=avatar).open().first()
        if standing:
            return standing
        is_first = not Share.objects.filter(user=avatar.user).exists()
        if looks_blocked(avatar):
            reviewing.put_on_desk(ReviewKind.LOOKALIKE, avatar=avatar)
        elif is_first:
            # A new person's first is looked at; meanwhile it shows.
            reviewing.put_on_desk(ReviewKind.FIRST_SHARE, avatar=avatar)
        return Share.objects.create(
            user=avatar.user,
            avatar=avatar,
            with_words=with_words,
            state=Share.State.REVIEW if is_held(avatar) else Share.State.LIVE,
            expires_at=now + lasts if lasts else None,
            created_at=now,
        )


def barred(user: User) -> str:
    """Why this person shares nothing at all now; empty when they may. Links they made before show
    nothing as long as it is so (see `Share.visible`).
    """
    if user.suspended_at:
        return "suspended"
    if user.sharing_stopped_at:
        return "stopped"
    return "closing" if user.closes_at else ""


def looks_blocked(avatar: Avatar) -> bool:
    """Nearly the same as a picture that was removed, and nobody has said yet that it may show."""
    if not BlockedPicture.objects.has_like(avatar.near_hash):
        return False
    seen = ReviewItem.objects.filter(avatar=avatar, kind=ReviewKind.LOOKALIKE)
    return not seen.filter(outcome=ReviewOutcome.KEPT).exists()


def stop(avatar: Avatar, now: datetime) -> bool:
    """Its link is dead from the next request on. False when there was none."""
    return bool(Share.objects.filter(avatar=avatar).stop(now))
