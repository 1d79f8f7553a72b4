"""Closing: one account on its way out, a step at a time, and the receipt that stays of it.

Knows the user by name only. The rooms above do the work of a step; here a step is claimed, moved on
and noted down. Every step may be done twice.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

# The days in which a closing can be called off (experience.md 5.10).
CANCEL_WINDOW = timedelta(days=7)
# One claim asks the provider twenty times at most, ten seconds each; far below this.
LEASE = timedelta(minutes=10)
# The last letter is tried so long; then the address goes without it.
LETTER_PERIOD = timedelta(hours=24)


class Step(models.TextChoices):
    WAITING = "waiting", "may still be called off"
    EMPTYING = "emptying", "files go, here and at the image provider"
    SCRUBBING = "scrubbing", "rows go"
    ENDING = "ending", "credits lapse and the login goes"
    GONE = "gone", "nothing names the person any more"
    CALLED_OFF = "called_off", "the account was kept"


OVER = frozenset({Step.GONE, Step.CALLED_OFF})
# Its person can neither come back nor call it off.
LEAVING = frozenset({Step.EMPTYING, Step.SCRUBBING, Step.ENDING})


def key_hash(key: str) -> str:
    """The fingerprint of an object's key: whoever has the key can prove what went."""
    return hashlib.sha256(key.encode()).hexdigest()


class ClosingQuerySet(models.QuerySet["Closing"]):
    def open(self) -> "ClosingQuerySet":
        return self.exclude(step__in=OVER)

    def due(self, steps: Iterable[Step], now: datetime) -> "ClosingQuerySet":
        return self.filter(step__in=list(steps), due_at__lte=now).order_by("due_at")

    def claimed(self, pk: int, steps: Iterable[Step], now: datetime) -> "Closing | None":
        """The row, taken for the length of its lease; None when it is not due for these steps or
        somebody else was faster. One statement: one winner.
        """
        wanted = list(steps)
        if not self.due(wanted, now).filter(pk=pk).order_by().update(due_at=now + LEASE):
            return None
        # Its person may have called it off since.
        return self.select_related("user").filter(pk=pk, step__in=wanted).first()


class Closing(models.Model):
    # The number of the receipt; stays when everything else is gone.
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="closings"
    )
    step = models.CharField(max_length=12, choices=Step.choices, default=Step.WAITING)
    wanted_at = models.DateTimeField(default=timezone.now)
    start_at = models.DateTimeField()
    # Nobody looks at this row before then; NULL once nothing is left to do.
    due_at = models.DateTimeField(null=True)
    gone_at = models.DateTimeField(null=True)
    # The receipt: how many of each thing went, and the fingerprint of each object's key.
    counts = models.JSONField(default=dict)
    key_hashes = models.JSONField(default=list)
    # A letter says that the account closes, and how to keep it.
    letter_due = models.BooleanField(default=False)
    # Where the last letter goes. Filled as the login goes, emptied as the letter goes.
    letter_to = models.EmailField(blank=True)

    objects = ClosingQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["step", "due_at"], name="closings_due")]
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=~Q(step__in=sorted(OVER)),
                name="one_open_closing_per_person",
            ),
            models.CheckConstraint(
                condition=~Q(step=Step.GONE) | Q(user=None, gone_at__isnull=False),
                name="closing_gone_names_nobody",
            ),
            models.CheckConstraint(
                condition=Q(step=Step.GONE) | Q(letter_to=""),
                name="closing_keeps_no_address_before_its_end",
            ),
            models.CheckConstraint(
                condition=Q(step__in=sorted(OVER)) | Q(user__isnull=False, due_at__isnull=False),
                name="open_closing_has_person_and_next_look",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} ({self.public_id})"

    def _mine(self) -> models.QuerySet["Closing"]:
        return Closing.objects.filter(pk=self.pk, step=self.step)

    def move(self, to: Step, **fields: Any) -> bool:  # noqa: ANN401 - any column of this row
        """On to another step, if nobody else has moved it."""
        if not self._mine().update(step=to, **fields):
            return False
        self.step = to
        return True

    def wait(self, until: datetime) -> None:
        self._mine().update(due_at=until)

    def claim_letter(self) -> bool:
        """One caller may tell that the account closes; False for everybody else."""
        return bool(Closing.objects.filter(pk=self.pk, letter_due=True).update(letter_due=False))

    def forget_address(self) -> None:
        Closing.objects.filter(pk=self.pk).update(letter_to="", due_at=None)

    def note(self, counts: Mapping[str, int], keys: Iterable[str]) -> None:
        """Write into the receipt what goes. Call inside the transaction that orders it to go, so
        that what was counted once is not counted again.
        """
        self._mine().update(step=self.step)  # a touch that locks the row before it is read
        self.refresh_from_db(fields=["counts", "key_hashes"])
        self.counts = {**counts, **self.counts}
        self.key_hashes = sorted({*self.key_hashes, *map(key_hash, keys)})
        self._mine().update(counts=self.counts, key_hashes=self.key_hashes)
