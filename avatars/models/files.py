"""StoredFile: the journal of the storage. A row stands from before an object's first byte is
written until after its last byte is gone, so no orphan can hide and no deletion can be lost.

Knows nothing of ours.
"""

import hashlib
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q

# A writer is done or dead long before: the longest step may take 90 s.
WRITING_LIMIT = timedelta(hours=1)
# A row doomed while WRITING waits until no writer can still be at it.
WRITER_GRACE = timedelta(minutes=5)


class FileState(models.TextChoices):
    WRITING = "writing"
    KEPT = "kept"
    DOOMED = "doomed"


class StoredFileQuerySet(models.QuerySet["StoredFile"]):
    def begin(
        self,
        folder: str,
        suffix: str,
        content: bytes,
        *,
        user: models.Model | None,
        now: datetime,
    ) -> "StoredFile":
        """Announce an object before its first byte is written. Keys are random, never reused."""
        sha256 = hashlib.sha256(content).hexdigest()
        return self.announce(folder, suffix, len(content), sha256, user=user, now=now)

    def announce(
        self,
        folder: str,
        suffix: str,
        size: int,
        sha256: str,
        *,
        user: models.Model | None,
        now: datetime,
    ) -> "StoredFile":
        """The same for one whose size (bytes) and hash were found otherwise."""
        return self.create(
            key=f"{folder}/{uuid.uuid4().hex}.{suffix}",
            user=user,
            state=FileState.WRITING,
            due_at=now + WRITING_LIMIT,
            bytes=size,
            sha256=sha256,
            created_at=now,
        )

    def keep(self, files: Iterable["StoredFile"]) -> bool:
        """Declare written objects as wanted, all or none. Call inside the transaction that adds
        the rows that refer to them; False means one of them was doomed meanwhile.
        """
        written = list(files)
        writing = self.filter(pk__in=[file.pk for file in written], state=FileState.WRITING)
        if writing.update(state=FileState.KEPT, due_at=None) != len(written):
            return False
        for file in written:
            file.state, file.due_at = FileState.KEPT, None
        return True

    def doom(self, now: datetime) -> int:
        """Order the deletion of these objects, in the transaction that drops the last reference."""
        early = self.filter(state=FileState.WRITING)
        doomed = early.update(state=FileState.DOOMED, due_at=now + WRITER_GRACE)
        kept = self.filter(state=FileState.KEPT)
        return doomed + kept.update(state=FileState.DOOMED, due_at=now)

    def abandoned(self, now: datetime) -> "StoredFileQuerySet":
        return self.filter(state=FileState.WRITING, due_at__lte=now)

    def doomed(self, now: datetime) -> "StoredFileQuerySet":
        return self.filter(state=FileState.DOOMED, due_at__lte=now)


class StoredFile(models.Model):
    key = models.CharField(max_length=120, unique=True)
    # Nobody goes before the last of theirs has gone.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    state = models.CharField(max_length=8, choices=FileState.choices)
    due_at = models.DateTimeField(null=True)
    bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    objects = StoredFileQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["state", "due_at"], name="files_due")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state=FileState.KEPT, due_at=None)
                | (~Q(state=FileState.KEPT) & Q(due_at__isnull=False)),
                name="file_is_due_unless_kept",
            ),
        ]

    def __str__(self) -> str:
        return self.key
