"""Sharing: an avatar gets a link, and the link ends.

Knows the nouns and `reviewing`. A share is made under the lock of its picture's row, so that it can
never outlive a picture that is being trashed or removed at the same moment.
"""

from datetime import datetime

from django.db import transaction

from avatars import reviewing
from avatars.models import Avatar, BlockedPicture, Period, ReviewKind, Share, Takedown
from avatars.models.shares import LASTS


class ShareRefused(Exception):
    """This picture gets no link. `code` says why:
    gone (trashed, purged or removed) · suspended · reported · blocked.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def share(avatar: Avatar, *, period: Period, with_words: bool, now: datetime) -> Share:
    """A link to this picture; the one it has already, if any. Raises ShareRefused."""
    if avatar.user.suspended_at or avatar.user.sharing_stopped_at:
        raise ShareRefused("suspended")
    if is_blocked(avatar):
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
        if not Share.objects.filter(user=avatar.user).exists():
            # A new person's first is looked at; meanwhile it shows.
            reviewing.put_on_desk(ReviewKind.FIRST_SHARE, avatar=avatar)
        return Share.objects.create(
            user=avatar.user,
            avatar=avatar,
            with_words=with_words,
            expires_at=now + lasts if lasts else None,
            created_at=now,
        )


def is_blocked(avatar: Avatar) -> bool:
    """The same as a picture that was removed, or nearly."""
    exact = [avatar.file.sha256] if avatar.file else []
    return BlockedPicture.objects.match(exact=exact, near=avatar.near_hash)


def stop(avatar: Avatar, now: datetime) -> bool:
    """Its link is dead from the next request on. False when there was none."""
    return bool(Share.objects.filter(avatar=avatar).stop(now))
