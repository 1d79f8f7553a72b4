"""Share: a link under which anybody sees one avatar, until its owner or its date ends it.

Knows avatars.
"""

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from avatars.models.avatars import Avatar

TOKEN_BYTES = 24  # 192 bits, so nobody finds a link by trying


class Period(models.TextChoices):
    WEEK = "7d", _("In 7 days")
    MONTH = "30d", _("In 30 days")
    STOPPED = "stop", _("When I stop it")


LASTS: dict[Period, timedelta | None] = {
    Period.WEEK: timedelta(days=7),
    Period.MONTH: timedelta(days=30),
    Period.STOPPED: None,
}


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


class ShareState(models.TextChoices):
    LIVE = "live"
    REVIEW = "review"  # a person looks at it first; strangers see nothing
    ENDED = "ended"  # its date has come
    STOPPED = "stopped"  # by its owner, or with the picture
    REMOVED = "removed"  # by staff


OPEN = (ShareState.LIVE, ShareState.REVIEW)


class ShareQuerySet(models.QuerySet["Share"]):
    def visible(self, now: datetime) -> "ShareQuerySet":
        """What a stranger may see at this very moment: the link lives and so does the picture."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=now),
            state=ShareState.LIVE,
            avatar__hidden=False,
            avatar__trashed_at=None,
            avatar__file__isnull=False,
            user__is_active=True,
            user__suspended_at=None,
            user__sharing_stopped_at=None,
            user__closes_at=None,
        )

    def open(self) -> "ShareQuerySet":
        """Links that are not over for good, though the date of some may have come."""
        return self.filter(state__in=OPEN)

    def expire(self, now: datetime) -> int:
        """Write down the end of those whose date has come, so that a new link can be made."""
        return self.filter(state=ShareState.LIVE, expires_at__lte=now).update(
            state=ShareState.ENDED, ended_at=F("expires_at")
        )

    def stop(self, now: datetime) -> int:
        """For good, by the owner or with the picture: dead from the next request on."""
        return self.open().update(state=ShareState.STOPPED, ended_at=now)

    def remove(self, now: datetime) -> int:
        """For good, by staff."""
        return self.open().update(state=ShareState.REMOVED, ended_at=now)

    def hold(self) -> int:
        """Show nothing until a person has looked."""
        return self.filter(state=ShareState.LIVE).update(state=ShareState.REVIEW)

    def bring_back(self, removed_at: datetime, *, held: bool) -> int:
        """What staff removed at that moment by mistake is as it was before."""
        state = ShareState.REVIEW if held else ShareState.LIVE
        mistaken = self.filter(state=ShareState.REMOVED, ended_at=removed_at)
        return mistaken.update(state=state, ended_at=None)

    def let_go(self) -> int:
        """A person has looked and found nothing wrong."""
        return self.filter(state=ShareState.REVIEW).update(state=ShareState.LIVE)


class Share(models.Model):
    State = ShareState

    token = models.CharField(max_length=40, unique=True, default=new_token, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="shares"
    )
    avatar = models.ForeignKey(Avatar, on_delete=models.CASCADE, related_name="shares")
    # Whether strangers also read the description.
    with_words = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=ShareState.choices, default=ShareState.LIVE)
    # None: until its owner stops it.
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ShareQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["avatar"], condition=Q(state__in=OPEN), name="one_open_share_per_avatar"
            ),
            models.CheckConstraint(
                condition=Q(state__in=OPEN, ended_at=None)
                | (~Q(state__in=OPEN) & Q(ended_at__isnull=False)),
                name="share_over_exactly_when_ended",
            ),
        ]

    def __str__(self) -> str:
        return f"share {self.pk}"

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now
