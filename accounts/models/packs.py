"""CreditPack: what staff sell.

Knows nothing of ours.
"""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q


class CreditPack(models.Model):
    """What staff sell. A sold pack is retired, not changed; a purchase keeps its own snapshot."""

    name = models.CharField(max_length=80)
    credits = models.PositiveIntegerField()
    price_cents = models.PositiveIntegerField()
    # As Stripe writes currencies: what we compare must be equal to the letter.
    currency = models.CharField(
        max_length=3, default="usd", validators=[RegexValidator(r"^[a-z]{3}\Z")]
    )
    active = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(credits__gt=0) & Q(price_cents__gt=0), name="pack_sells_something"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_sold(self) -> bool:
        return self.purchases.exists()
