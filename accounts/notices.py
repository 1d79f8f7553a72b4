"""Letters about purchases (a slow bank has paid, has not, or paid something that does not fit), and
about a suspension.

Knows the purchases, people and their templates. A letter about money is owed by a column
(`letter_due`); whoever reads the news on the return page is owed none.
"""

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import get_connection, send_mail
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import money
from accounts.models import Purchase, User

logger = logging.getLogger("likeness.mail")

LETTERS_AT_ONCE = 50


def send_due() -> int:
    """Letters of banks that have answered. Returns how many went out."""
    due = Purchase.objects.letter_due().filter(user__is_active=True)
    waiting = list(due.select_related("user__wallet")[:LETTERS_AT_ONCE])
    if not waiting:
        return 0
    try:
        # Nothing is claimed before the post office is open, so an outage loses no letter.
        with get_connection() as post:
            return sum(send(purchase, post) for purchase in waiting)
    except (SMTPException, OSError) as error:
        logger.warning("letters wait", extra={"why": type(error).__name__})
        return 0


def send(purchase: Purchase, post: BaseEmailBackend) -> bool:
    """Claim the letter first: a crash may lose one, but nobody gets two."""
    person = purchase.user
    if person is None or not purchase.claim_letter():
        return False
    context = {
        "purchase": purchase,
        "state": purchase.state,
        "price": money.amount(purchase.amount_cents, purchase.currency),
        "balance": person.wallet.spendable,
        "address": settings.SITE_URL.rstrip("/") + reverse("credits"),
    }
    send_mail(
        render_to_string("mail/purchase_subject.txt", context).strip(),
        render_to_string("mail/purchase.txt", context),
        None,
        [person.email],
        connection=post,
    )
    return True


def tell_suspended(person: User, *, is_suspended: bool) -> bool:
    """At once, after the act. False when the post office is closed: staff are told, and the pages
    say it too.
    """
    site = settings.SITE_URL.rstrip("/")
    context = {
        "is_suspended": is_suspended,
        "safety": site + reverse("safety"),
        "create": site + reverse("create"),
    }
    subject = render_to_string("mail/suspended_subject.txt", context).strip()
    letter = render_to_string("mail/suspended.txt", context)
    try:
        send_mail(subject, letter, None, [person.email])
    except (SMTPException, OSError) as error:
        logger.warning("a letter was not sent", extra={"why": type(error).__name__})
        return False
    return True
