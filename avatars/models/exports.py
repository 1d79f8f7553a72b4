"""Export: one zip of everything of one person, for a day.

Knows the journal of files. Its state and its file change together or not at all.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from avatars.models.files import StoredFile

LINK_LIFE = timedelta(hours=24)
# The longest a build may work undisturbed; a dead builder is replaced after so long.
LEASE = timedelta(minutes=30)
# When a worker is stopped over one, half of it: by then it has packed some ten thousand pictures.
BUILD_LIMIT = timedelta(minutes=15)
MOST_TRIES = 5
RETRY = timedelta(minutes=2)


class ExportState(models.TextChoices):
    PREPARING = "preparing"
    READY = "ready"
    EXPIRED = "expired"
    FAILED = "failed"


class ExportQuerySet(models.QuerySet["Export"]):
    def preparing(self) -> "ExportQuerySet":
        return self.filter(state=ExportState.PREPARING)

    def due(self, now: datetime) -> "ExportQuerySet":
        return self.preparing().filter(due_at__lte=now).order_by("due_at")

    def being_built(self, now: datetime) -> "ExportQuerySet":
        """Claimed so lately that their builders may still be at them. None that was put off is due
        as late as these.
        """
        return self.preparing().filter(due_at__gt=now + LEASE - BUILD_LIMIT)

    def ready(self, now: datetime) -> "ExportQuerySet":
        return self.filter(state=ExportState.READY, until__gt=now)

    def overdue(self, now: datetime) -> "ExportQuerySet":
        return self.filter(state=ExportState.READY, until__lte=now)

    def letter_due(self, now: datetime) -> "ExportQuerySet":
        return self.ready(now).filter(letter_due=True)

    def expire(self, now: datetime) -> int:
        """Their files are ordered to go, in the caller's transaction or one of its own."""
        expired = 0
        for export in self.filter(state=ExportState.READY):
            with transaction.atomic():
                standing = Export.objects.filter(pk=export.pk, state=ExportState.READY)
                if standing.update(state=ExportState.EXPIRED, file=None, letter_due=False):
                    StoredFile.objects.filter(pk=export.file_id or 0).doom(now)
                    expired += 1
        return expired

    def void(self, now: datetime) -> None:
        """Something that is in them is deleted for good: finished ones go as well, and whoever is
        at one begins anew without it. Those in the making first: one that is finished at this
        very moment is waited for, and then found among the finished.
        """
        self.preparing().update(due_at=now, lease_no=F("lease_no") + 1, tries=0)
        self.expire(now)

    def end(self, now: datetime) -> None:
        """Nobody will fetch them any more, nor make one. In this order, as above."""
        self.preparing().update(state=ExportState.EXPIRED, due_at=None)
        self.expire(now)


class Export(models.Model):
    State = ExportState

    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="exports"
    )
    state = models.CharField(
        max_length=10, choices=ExportState.choices, default=ExportState.PREPARING
    )
    file = models.OneToOneField(StoredFile, on_delete=models.PROTECT, null=True, related_name="+")
    due_at = models.DateTimeField(null=True, default=timezone.now)
    # The fencing number: a builder that was asleep finishes with an old one and matches no row.
    lease_no = models.PositiveIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    # How long its link is good; stays when the file has gone.
    until = models.DateTimeField(null=True)
    letter_due = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ExportQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["state", "due_at"], name="exports_due"),
            models.Index(fields=["user", "-id"], name="exports_of_a_person"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(state=ExportState.PREPARING),
                name="one_export_in_the_making",
            ),
            models.CheckConstraint(
                condition=Q(state=ExportState.READY, file__isnull=False, until__isnull=False)
                | (~Q(state=ExportState.READY) & Q(file=None)),
                name="export_ready_exactly_with_its_file",
            ),
            models.CheckConstraint(
                condition=~Q(state=ExportState.PREPARING) | Q(due_at__isnull=False),
                name="export_in_the_making_has_next_look",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} ({self.public_id})"

    def _mine(self) -> models.QuerySet["Export"]:
        return Export.objects.preparing().filter(pk=self.pk, lease_no=self.lease_no)

    def claim(self, now: datetime) -> bool:
        """Take it for the length of a lease. One statement: one winner."""
        claimed = self._mine().filter(due_at__lte=now)
        again = {"due_at": now + LEASE, "lease_no": F("lease_no") + 1, "tries": F("tries") + 1}
        if not claimed.update(**again):
            return False
        self.lease_no, self.tries = self.lease_no + 1, self.tries + 1
        return True

    def finish(self, file: StoredFile, now: datetime) -> bool:
        """Ready for a day. False: ended meanwhile, or somebody else has it; drop the file."""
        ready = {"file": file, "until": now + LINK_LIFE, "due_at": None, "letter_due": True}
        return bool(self._mine().update(state=ExportState.READY, **ready))

    def put_off(self, now: datetime) -> None:
        """Try again a little later, and not for ever."""
        if self.tries < MOST_TRIES:
            self._mine().update(due_at=now + RETRY * self.tries)
        else:
            self.give_up()

    def give_up(self) -> None:
        self._mine().update(state=ExportState.FAILED, due_at=None)

    def claim_letter(self) -> bool:
        """One caller may tell its owner; False for everybody else."""
        return bool(Export.objects.filter(pk=self.pk, letter_due=True).update(letter_due=False))
