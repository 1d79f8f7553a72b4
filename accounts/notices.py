"""Letters about purchases (a slow bank has paid, has not, or paid something that does not fit),
suspensions and closings (it closes, it is closed).

Knows the purchases, people, closings and their templates. A letter is owed by a column
(`letter_due`); whoever reads the news on the return page is owed none.
"""

import logging
from datetime import datetime
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import get_connection, send_mail
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import money
from accounts.models import Closing, Purchase, User
from accounts.models.closings import LETTER_PERIOD, Step

staff = logging.getLogger("likeness.staff")
logger = logging.getLogger("likeness.mail")

LETTERS_AT_ONCE = 50
HASHES_IN_LETTER = 200  # 64 letters each: half of the 30 kB a letter may have


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
        "appeal": f"{site}{reverse('appeal')}?key={person.appeal_key()}",
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


# ── Closings ────────────────────────────────────────────────────────────────────────────────────


def tell_of_closings(now: datetime) -> int:
    """Letters about accounts that close or have closed. Returns how many went out."""
    waiting = Closing.objects.filter(letter_due=True, step=Step.WAITING)
    closing = list(waiting.select_related("user")[:LETTERS_AT_ONCE])
    steps = [Step.GONE]
    gone = list(Closing.objects.due(steps, now).values_list("pk", flat=True)[:LETTERS_AT_ONCE])
    if not closing and not gone:
        return 0
    try:
        with get_connection() as post:
            told = sum(tell_it_closes(each, post) for each in closing)
            for pk in gone:
                claimed = Closing.objects.claimed(pk, steps, now)
                told += claimed is not None and tell_it_is_closed(claimed, now, post)
            return told
    except (SMTPException, OSError) as error:
        logger.warning("letters wait", extra={"why": type(error).__name__})
        forget_undelivered(now)
        return 0


def tell_it_closes(closing: Closing, post: BaseEmailBackend) -> bool:
    """Claimed first, like every letter: a crash may lose one, but nobody gets two."""
    if closing.user is None or not closing.claim_letter():
        return False
    address = settings.SITE_URL.rstrip("/") + reverse("account_close")
    zone = closing.user.zone()
    context = {"closing": closing, "address": address, "zone": str(zone)}
    with timezone.override(zone):  # the same day as on the page
        letter("closing", context, closing.user.email, post)
    return True


def tell_it_is_closed(closing: Closing, now: datetime, post: BaseEmailBackend) -> bool:
    """The receipt, the other way round: the address is forgotten once the letter is out. A crash
    between the two sends it twice; the only proof of an erasure is worth more than that.
    """
    if not closing.letter_to:
        return False
    shown = closing.key_hashes[:HASHES_IN_LETTER]
    context = {
        "closing": closing,
        "counts": {"avatars": 0, "photos": 0, "requests": 0, **closing.counts},
        "objects": len(closing.key_hashes),
        "hashes": shown,
        "more": len(closing.key_hashes) - len(shown),
    }
    letter("closed", context, closing.letter_to, post)
    closing.forget_address()
    return True


def forget_undelivered(now: datetime) -> None:
    """An address nobody can deliver to is not kept for that."""
    for closing in Closing.objects.filter(gone_at__lt=now - LETTER_PERIOD).exclude(letter_to=""):
        staff.warning("the receipt of a closing could not be delivered: %s", closing.public_id)
        closing.forget_address()


def letter(name: str, context: dict[str, object], to: str, post: BaseEmailBackend) -> None:
    send_mail(
        render_to_string(f"mail/{name}_subject.txt", context).strip(),
        render_to_string(f"mail/{name}.txt", context),
        None,
        [to],
        connection=post,
    )
