"""FacePhoto: an uploaded face, its verdict, its retention, and the record of its deletion.

Knows the journal of files and, of accounts, Consent and User.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Consent, User
from avatars.models.files import StoredFile


class Keep(models.TextChoices):
    MONTH = "30d", _("30 days after I last use it")
    DAY = "24h", _("24 hours after I last use it")
    READY = "ready", _("When my avatar is ready")


# "When ready" still ends by itself when no avatar is ever made from the photo.
KEEP_FOR = {
    Keep.MONTH: timedelta(days=30),
    Keep.DAY: timedelta(hours=24),
    Keep.READY: timedelta(hours=24),
}


class Gone(models.TextChoices):
    """Why a photo was deleted. Words for people are the edge's."""

    OWNER = "owner", "deleted by its owner"
    DATE = "date", "its time had come"
    CONSENT = "consent", "consent withdrawn"
    CLOSED = "closed", "the account was closed"
    STAFF = "staff", "deleted by staff"


class KeepDefault(models.Model):
    """How long a person's new photos are kept, once they have chosen something else."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="keep_default"
    )
    keep = models.CharField(max_length=8, choices=Keep.choices)

    def __str__(self) -> str:
        return self.keep

    @classmethod
    def of(cls, user: User) -> Keep:
        chosen = cls.objects.filter(user=user).first()
        return Keep(chosen.keep) if chosen else Keep.MONTH


class FacePhotoQuerySet(models.QuerySet["FacePhoto"]):
    def present(self, now: datetime) -> "FacePhotoQuerySet":
        """Photos that are still there and may be used."""
        return self.filter(deleted_at=None, file__isnull=False, delete_at__gt=now)

    def expired(self, now: datetime) -> "FacePhotoQuerySet":
        """Photos whose time has come; one with an open request is not due (it is being used)."""
        in_use = self.model.objects.filter(requests__isnull=False, requests__resolution=None)
        due = self.filter(deleted_at=None, delete_at__lte=now)
        return due.exclude(pk__in=in_use.values("pk"))

    def being_emptied(self) -> "FacePhotoQuerySet":
        """Deleted ones whose objects were still in the storage when we last looked."""
        return self.filter(emptied_at=None, deleted_at__isnull=False).order_by("deleted_at")

    def used(self, pk: int, now: datetime) -> bool:
        """Start the photo's clock anew: its last submit or ending was now. Locks the row, so that
        a deletion comes wholly before (False) or wholly after. False too for one kept until an
        avatar was ready, when one is: nothing brings it back.
        """
        done = Q(keep=Keep.READY, delete_at__lte=F("last_used_at"))
        return any(
            self.filter(~done | Q(last_used_at=None), pk=pk, keep=keep, deleted_at=None).update(
                last_used_at=now, delete_at=now + period
            )
            for keep, period in KEEP_FOR.items()
        )

    def ready(self, pk: int, now: datetime) -> None:
        """An avatar was made of it: one that is kept until then is due."""
        until_ready = self.filter(pk=pk, keep=Keep.READY, deleted_at=None)
        until_ready.update(last_used_at=now, delete_at=now)


class FacePhoto(models.Model):
    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="photos"
    )
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="+")
    file = models.OneToOneField(
        StoredFile, on_delete=models.PROTECT, null=True, related_name="photo"
    )
    thumb = models.OneToOneField(StoredFile, on_delete=models.PROTECT, null=True, related_name="+")
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    # What the face check saw (face_check.Verdict.as_dict): codes and numbers, no words.
    verdict = models.JSONField(default=dict)
    keep = models.CharField(max_length=8, choices=Keep.choices, default=Keep.MONTH)
    last_used_at = models.DateTimeField(null=True, blank=True)
    delete_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)
    gone_because = models.CharField(max_length=8, blank=True, choices=Gone.choices)
    # What was ordered to go with it, as lists of key and SHA-256: the photo, then its small copy.
    objects_gone = models.JSONField(default=list)
    # When its last object had left the storage: the deletion is ordered first and done then.
    emptied_at = models.DateTimeField(null=True, blank=True)
    # A letter with the deletion record is owed from then on.
    record_due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = FacePhotoQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["user", "-id"], name="photos_of_a_person"),
            models.Index(fields=["delete_at"], name="photos_due"),
            models.Index(fields=["emptied_at", "deleted_at"], name="photos_being_emptied"),
            models.Index(fields=["record_due_at"], name="photo_records_due"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(deleted_at=None, file__isnull=False)
                | models.Q(deleted_at__isnull=False, file=None, thumb=None),
                name="photo_gone_exactly_when_deleted",
            ),
        ]
        permissions = [("open_facephoto", "Can open a person's own photo, with a reason")]

    def __str__(self) -> str:
        return str(self.public_id)

    def is_present(self, now: datetime) -> bool:
        return self.deleted_at is None and self.delete_at > now

    def take_away(self, why: Gone, now: datetime, record_due_at: datetime | None) -> bool:
        """Mark it deleted, in the transaction that dooms its objects (engine.md §9); its record
        stays. False when it was gone before, or was used again as its date came. Read with `file`
        and `thumb`.
        """
        files = [file for file in (self.file, self.thumb) if file]
        there = FacePhoto.objects.filter(pk=self.pk, deleted_at=None)
        if why == Gone.DATE:
            there = there.filter(delete_at=self.delete_at)
        return bool(
            there.update(
                deleted_at=now,
                delete_at=now,
                gone_because=why,
                objects_gone=[[file.key, file.sha256] for file in files],
                record_due_at=record_due_at,
                file=None,
                thumb=None,
            )
        )

    def claim_record(self) -> bool:
        """The letter is ours to send. False: somebody else has it, or it is owed no more."""
        owed = FacePhoto.objects.filter(pk=self.pk, record_due_at=self.record_due_at)
        return self.record_due_at is not None and bool(owed.update(record_due_at=None))
