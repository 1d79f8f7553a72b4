"""Avatar: one finished picture in somebody's gallery.

Knows requests and the journal of files.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.text import slugify

from avatars.models.avatar_requests import AvatarRequest, Style
from avatars.models.evidence import EVIDENCE_PERIOD
from avatars.models.files import StoredFile
from avatars.models.near import HEX_DIGITS

TRASH_PERIOD = timedelta(days=30)


class Purged(Exception):
    """The picture's objects are gone for good; only its row is left."""


class AvatarQuerySet(models.QuerySet["Avatar"]):
    def shown(self) -> "AvatarQuerySet":
        """Neither in the trash nor purged nor taken down."""
        return self.filter(trashed_at=None, file__isnull=False, hidden=False)

    def trashed(self) -> "AvatarQuerySet":
        return self.filter(trashed_at__isnull=False, file__isnull=False, hidden=False)

    def lock(self) -> int:
        """Inside a transaction: nobody shares, trashes or removes these until its end."""
        return self.update(hidden=F("hidden"))

    def overdue_in_trash(self, now: datetime) -> "AvatarQuerySet":
        old = self.filter(trashed_at__lte=now - TRASH_PERIOD, file__isnull=False)
        return old.filter(evidence_until=None)

    def evidence_no_more(self, now: datetime) -> "AvatarQuerySet":
        return self.filter(evidence_until__lte=now, file__isnull=False)

    def evidence(self, now: datetime) -> "AvatarQuerySet":
        return self.filter(evidence_until__gt=now, file__isnull=False)

    def for_gallery(self) -> "AvatarQuerySet":
        """What a grid of tiles needs, in one query, newest first."""
        return self.select_related("file", "thumb", "request").order_by("-pk")


class Avatar(models.Model):
    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="avatars"
    )
    request = models.ForeignKey(AvatarRequest, on_delete=models.PROTECT, related_name="avatars")
    position = models.PositiveSmallIntegerField(default=0)
    # NULL once purged; the row stays, because its request's history does.
    file = models.OneToOneField(StoredFile, on_delete=models.PROTECT, null=True, related_name="+")
    thumb = models.OneToOneField(StoredFile, on_delete=models.PROTECT, null=True, related_name="+")
    style = models.CharField(max_length=10, choices=Style.choices)
    alt = models.CharField(max_length=300)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    colour = models.PositiveSmallIntegerField()
    mark_id = models.CharField(max_length=64, unique=True)
    near_hash = models.CharField(max_length=HEX_DIGITS)
    gift = models.BooleanField(default=False)
    hidden = models.BooleanField(default=False)
    favourite = models.BooleanField(default=False)
    not_me = models.BooleanField(default=False)
    trashed_at = models.DateTimeField(null=True, blank=True)
    # Found to show somebody under 18: its file is kept so long, wherever its row stands.
    evidence_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = AvatarQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["user", "-id"], name="avatars_of_a_person"),
            models.Index(fields=["trashed_at"], name="avatars_in_trash"),
            models.Index(fields=["evidence_until"], name="avatars_as_evidence"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "position"], name="one_picture_per_position"
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)

    @property
    def master_key(self) -> str:
        """The object of the picture as made. Raises Purged."""
        if self.file is None:
            raise Purged
        return self.file.key

    @property
    def thumb_key(self) -> str:
        """The object of the tile. Raises Purged."""
        if self.thumb is None:
            raise Purged
        return self.thumb.key

    def set_favourite(self, *, favourite: bool) -> None:
        Avatar.objects.filter(pk=self.pk).update(favourite=favourite)

    def lock_shown(self) -> bool:
        """Inside a transaction: whoever takes this picture away now waits for its end. False when
        it is away already.
        """
        return bool(Avatar.objects.shown().filter(pk=self.pk).update(hidden=False))

    def trash(self, now: datetime) -> bool:
        """Out of sight, and no link of it lives on: restoring it does not bring one back."""
        with transaction.atomic():
            hanging = Avatar.objects.filter(pk=self.pk, trashed_at=None, hidden=False)
            trashed = hanging.update(trashed_at=now)
            self.shares.all().stop(now)
        return bool(trashed)

    def restore(self) -> bool:
        """Take it out of the trash. False when its files are already gone, or staff hide it."""
        there = Avatar.objects.filter(pk=self.pk, file__isnull=False, hidden=False)
        return bool(there.update(trashed_at=None))

    def take_down(self, now: datetime, *, as_evidence: bool = False) -> bool:
        """Nobody but staff sees it any more; its objects go with the trash's period, unless they
        are evidence, as far as they are still there, which is not in the trash. False: it was taken
        down already.
        """
        standing = Avatar.objects.filter(pk=self.pk, hidden=False)
        there = standing.filter(file__isnull=False)
        kept = {"hidden": True, "trashed_at": None, "evidence_until": now + EVIDENCE_PERIOD}
        if as_evidence and there.update(**kept):
            return True
        return bool(standing.update(hidden=True, trashed_at=Coalesce("trashed_at", now)))

    def put_up_again(self, trashed_at: datetime | None) -> bool:
        """Undo `take_down`; `trashed_at` is what it was before. False when its objects are gone."""
        there = Avatar.objects.filter(pk=self.pk, hidden=True, file__isnull=False)
        return bool(there.update(hidden=False, trashed_at=trashed_at, evidence_until=None))

    def end_evidence(self, now: datetime) -> None:
        """It showed nobody under 18 after all: its files go, if they are still there."""
        kept = Avatar.objects.filter(pk=self.pk, evidence_until__gt=now)
        kept.update(evidence_until=now)

    def download_name(self, suffix: str) -> str:
        """likeness-anime-pirate-at-dusk-2026-11-22.jpg"""
        words = slugify(self.request.prompt)[:40].strip("-") or "avatar"
        return f"likeness-{self.style}-{words}-{self.created_at:%Y-%m-%d}.{suffix}"
