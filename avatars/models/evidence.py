"""Evidence: a picture of somebody under 18 that outlives the account it was made in, for a while.

Knows the journal of files. While the account is there, the avatar's own row is what is kept (its
`evidence_until`); this row begins where that one goes.
"""

from datetime import datetime, timedelta

from django.db import models, transaction

from avatars.models.files import StoredFile

# Whoever reports such a picture keeps what was reported for a year (18 U.S.C. 2258A(h), as amended
# by the REPORT Act of 2024, read 2026-11-22).
EVIDENCE_PERIOD = timedelta(days=365)


class EvidenceQuerySet(models.QuerySet["Evidence"]):
    def overdue(self, now: datetime) -> "EvidenceQuerySet":
        return self.filter(keep_until__lte=now)


class Evidence(models.Model):
    """What a report names and no more: the picture, the words it was made from, whose it was. The
    number is the avatar's own, under which the decision about it stands.
    """

    number = models.UUIDField(unique=True, editable=False)
    file = models.OneToOneField(StoredFile, on_delete=models.PROTECT, related_name="evidence")
    address = models.EmailField()
    words = models.TextField()
    made_at = models.DateTimeField()
    keep_until = models.DateTimeField(db_index=True)

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "evidence"

    def __str__(self) -> str:
        return str(self.number)

    def let_go(self, now: datetime) -> None:
        """Its time is over: row and picture go."""
        with transaction.atomic():
            Evidence.objects.filter(pk=self.pk).delete()
            StoredFile.objects.filter(pk=self.file_id).doom(now)
