"""Consent: a version of a text a person agreed to, until withdrawn.

Knows nothing of ours. The words people read are templates; their hash is what was agreed to.
"""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class ConsentKind(models.TextChoices):
    TERMS = "terms", "Terms"
    FACE = "face", "Use of a face photo"


class ConsentQuerySet(models.QuerySet["Consent"]):
    def standing(self) -> "ConsentQuerySet":
        return self.filter(withdrawn_at=None)

    def to(self, kind: str, version: str) -> "ConsentQuerySet":
        return self.filter(kind=kind, version=version)


class Consent(models.Model):
    Kind = ConsentKind

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents"
    )
    kind = models.CharField(max_length=8, choices=ConsentKind.choices)
    version = models.CharField(max_length=20)
    text_hash = models.CharField(max_length=64)
    address = models.GenericIPAddressField(null=True, blank=True)
    given_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = ConsentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "kind", "version"],
                condition=Q(withdrawn_at=None),
                name="one_standing_consent_per_version",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"

    def stands(self) -> bool:
        return self.withdrawn_at is None

    def withdraw(self, now: datetime) -> bool:
        """End this consent once. What follows from it is for whoever holds the photos."""
        return bool(Consent.objects.filter(pk=self.pk, withdrawn_at=None).update(withdrawn_at=now))
