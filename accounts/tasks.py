"""Tasks of accounts: one verb each.

Knows gifts; Celery stops here.
"""

from celery import shared_task
from django.utils import timezone

from accounts import gifts


@shared_task
def top_up() -> None:
    gifts.top_up_everybody(timezone.now())
