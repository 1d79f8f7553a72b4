"""Tasks of accounts: one verb each.

Knows gifts, closing, devices, reconciling, auditing and notices; Celery stops here.
"""

import logging

from celery import shared_task
from django.utils import timezone

from accounts import auditing, billing, closing, devices, gifts, notices, reconciling

logger = logging.getLogger("likeness.money")


@shared_task
def top_up() -> None:
    gifts.top_up_everybody(timezone.now())


@shared_task
def look_at_open() -> None:
    try:
        reconciling.look_at_open(timezone.now())
    except billing.Unavailable as away:  # the next look does the same work
        logger.warning("purchases not looked at", extra={"why": str(away)})


@shared_task
def reconcile_stripe() -> None:
    reconciling.reconcile(timezone.now())


@shared_task
def send_letters() -> None:
    notices.send_due()


@shared_task
def go_on_closing() -> None:
    """A step of every closing that is due, and the letters about them."""
    closing.go_on(timezone.now())
    notices.tell_of_closings(timezone.now())


@shared_task
def forget_devices() -> None:
    devices.forget_expired(timezone.now())


@shared_task
def check_books() -> None:
    auditing.check_books()
