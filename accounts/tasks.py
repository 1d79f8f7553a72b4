"""Tasks of accounts: one verb each.

Knows gifts and auditing; Celery stops here.
"""

from celery import shared_task
from django.utils import timezone

from accounts import auditing, gifts


@shared_task
def top_up() -> None:
    gifts.top_up_everybody(timezone.now())


@shared_task
def check_books() -> None:
    auditing.check_books()
