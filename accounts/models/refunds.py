"""Refund: money of a purchase that we were asked to send back.

Knows nothing of ours; its purchase stands above it.
"""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class RefundQuerySet(models.QuerySet["Refund"]):
    def standing(self) -> "RefundQuerySet":
        return self.exclude(state=Refund.State.UNDONE)

    def of_owner(self) -> "RefundQuerySet":
        """Asked by the owner; what staff send back says why."""
        return self.filter(reason="")


class Refund(models.Model):
    """Money we sent back: asked by the owner for credits not used, or by staff for a `reason`.
    Other refunds are known to Stripe alone.
    """

    class State(models.TextChoices):
        ASKED = "asked", _("Asked")
        SENT = "sent", _("Sent")
        UNDONE = "undone", _("Undone")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    purchase = models.ForeignKey("Purchase", on_delete=models.PROTECT, related_name="refunds")
    credits = models.PositiveIntegerField()
    amount_cents = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.ASKED)
    refund_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = RefundQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["purchase"],
                condition=~Q(state="undone") & Q(reason=""),
                name="one_standing_refund_of_an_owner",
            ),
            models.CheckConstraint(
                condition=Q(amount_cents__gt=0) & (Q(credits__gt=0) | ~Q(reason="")),
                name="refund_gives_something",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_cents} cents for {self.credits} credits, {self.state}"

    @property
    def key(self) -> str:
        """The end of its reference in the ledger, and its number at Stripe."""
        return str(self.public_id)
