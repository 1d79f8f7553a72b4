"""Consent: a version of a text a person agreed to, until withdrawn.

Knows nothing of ours. The words people read are templates; what was agreed to is kept as it was
read, under its hash.
"""

import hashlib
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class ConsentKind(models.TextChoices):
    TERMS = "terms", "Terms"
    FACE = "face", "Use of a face photo"


# The terms that everybody accepts who makes an account; a new wording is a new version.
TERMS_VERSION = "2026-11"


class ConsentText(models.Model):
    """A text as somebody read it, in their language, so that it can be shown to them again."""

    sha256 = models.CharField(max_length=64, unique=True)
    text = models.TextField()

    def __str__(self) -> str:
        return self.sha256

    @classmethod
    def keep(cls, text: str) -> str:
        """Keep a text once. Returns its hash."""
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        cls.objects.get_or_create(sha256=sha256, defaults={"text": text})
        return sha256


class ConsentQuerySet(models.QuerySet["Consent"]):
    def standing(self) -> "ConsentQuerySet":
        return self.filter(withdrawn_at=None)

    def to(self, kind: str, version: str) -> "ConsentQuerySet":
        return self.filter(kind=kind, version=version)

    def give(
        self,
        user: Any,  # noqa: ANN401 - the user model, which stands above this module
        kind: str,
        version: str,
        *,
        text: str,
        address: str | None,
    ) -> "Consent":
        """This person agrees to this text; said twice, it is one consent. `address`: theirs on the
        network.
        """
        given, _new = self.get_or_create(
            user=user,
            kind=kind,
            version=version,
            withdrawn_at=None,
            defaults={"text_hash": ConsentText.keep(text), "address": address},
        )
        return given

    def withdraw(self, now: datetime) -> int:
        """End these consents, as far as they stand. What follows from it is for whoever holds the
        photos, in the same transaction.
        """
        return self.filter(withdrawn_at=None).update(withdrawn_at=now)


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
        """End this consent once."""
        return bool(Consent.objects.filter(pk=self.pk).withdraw(now))

    def lock(self) -> bool:
        """A touch that holds the row until the transaction ends: a withdrawal comes wholly before,
        and then this is False, or wholly after, and then it sees what we write.
        """
        return bool(Consent.objects.filter(pk=self.pk, withdrawn_at=None).update(withdrawn_at=None))
