"""Quota: a person's limits (avatars in the making, per day, free credits a month). No counters.

Knows wallets. Counting happens in the transaction whose hold has locked the wallet, so two tabs
cannot both pass.
"""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models.wallets import Kind, Transfer


class Quota(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    max_open = models.PositiveSmallIntegerField(default=10)
    max_per_day = models.PositiveIntegerField(default=100)
    monthly_free = models.PositiveSmallIntegerField(default=0)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(max_open__gte=0) & Q(max_per_day__gte=0) & Q(monthly_free__gte=0),
                name="quota_never_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.max_open} open, {self.max_per_day} a day, {self.monthly_free} free a month"

    def top_up(self, now: datetime) -> Transfer | None:
        """This month's free credits (UTC months), once, however often it is asked. None when there
        are none to give or the person's address is not yet proved.
        """
        if not self.monthly_free or not self.user.verified_at:
            return None
        reference = f"monthly:{self.user_id}:{now:%Y%m}"
        posted = Transfer.objects.filter(reference=reference).first()
        # The amount may have been changed by staff since; what was given this month stays given.
        return posted or self.user.wallet.grant(Kind.MONTHLY, self.monthly_free, reference)
