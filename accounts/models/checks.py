"""BookCheck: when the nightly audit of one part of the books last ran, and how much did not fit.

Knows nothing of ours.
"""

from datetime import datetime

from django.db import models


class BookCheck(models.Model):
    """`part` is "wallets" or "requests"; `findings` counts broken promises, and must be 0."""

    part = models.CharField(max_length=16, unique=True)
    ran_at = models.DateTimeField()
    findings = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.part}: {self.findings}"

    @classmethod
    def note(cls, part: str, now: datetime, findings: int) -> None:
        cls.objects.update_or_create(part=part, defaults={"ran_at": now, "findings": findings})
