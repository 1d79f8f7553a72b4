"""Replies: letters about pictures that must go, to whoever reported one and to whose it was.

Knows the takedowns, the removals, words and their templates. Each letter is owed by a column
(`mail_due_at`) and claimed for five minutes before it is sent: two senders at once send one, and
an outage or a killed sender loses none. These are answers that somebody has a right to, so the one
who is killed between sending and noting it down may send a second.
"""

import logging
from collections.abc import Iterator
from datetime import timedelta
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Any

from django.conf import settings
from django.core.mail import get_connection, send_mail
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from avatars import words
from avatars.models import Removal, State, Takedown

logger = logging.getLogger("likeness.mail")

LETTERS_AT_ONCE = 50
# How long a letter is claimed by its sender; not taken by then, it is owed again.
CLAIMED_FOR = timedelta(minutes=5)


def send_due() -> int:
    """Every letter owed by now. Returns how many went out."""
    owed = list(waiting())
    if not owed:
        return 0
    try:
        # Nothing is claimed before the post office is open.
        with get_connection() as post:
            return sum(send(letter, post) for letter in owed)
    except (SMTPException, OSError) as error:
        logger.warning("letters wait", extra={"why": type(error).__name__})
        return 0


def waiting() -> Iterator[Takedown | Removal]:
    now = timezone.now()
    yield from Takedown.objects.filter(mail_due_at__lte=now).order_by("mail_due_at")[
        :LETTERS_AT_ONCE
    ]
    removals = Removal.objects.filter(mail_due_at__lte=now, avatar__user__is_active=True)
    people = removals.select_related("avatar__user__wallet", "avatar__request")
    yield from people.order_by("mail_due_at")[:LETTERS_AT_ONCE]


def send(letter: Takedown | Removal, post: BaseEmailBackend) -> bool:
    """Claim the letter, send it, and note that it went. Raises what the post office raises; then it
    is owed again when the claim runs out, unless it was the address that was refused.
    """
    rows = type(letter)._default_manager.filter(pk=letter.pk)
    claim = timezone.now() + CLAIMED_FOR
    if not rows.filter(mail_due_at=letter.mail_due_at).update(mail_due_at=claim):
        return False
    to, name, context = to_reporter(letter) if isinstance(letter, Takedown) else to_owner(letter)
    subject = render_to_string(f"mail/{name}_subject.txt", context).strip()
    text = render_to_string(f"mail/{name}.txt", context)
    try:
        send_mail(subject, text, None, [to], connection=post)
        is_taken = True
    except SMTPRecipientsRefused:
        logger.warning("a letter's address was refused", extra={"letter": str(letter)})
        is_taken = False
    # Decided meanwhile, another letter is owed, which this leaves alone.
    rows.filter(mail_due_at=claim).update(mail_due_at=None)
    return is_taken


def absolute(name: str, *arguments: object) -> str:
    return settings.SITE_URL.rstrip("/") + reverse(name, args=arguments)


def to_reporter(takedown: Takedown) -> tuple[str, str, dict[str, Any]]:
    """That the notice came in, or what was decided: as its state is now."""
    context = {
        "takedown": takedown,
        "address": absolute("report_status", takedown.number),
        "safety": absolute("safety"),
    }
    return takedown.contact, f"report_{takedown.state}", context


def to_owner(removal: Removal) -> tuple[str, str, dict[str, Any]]:
    avatar, key = removal.avatar, removal.avatar.user.appeal_key()
    context = {
        "sentence": words.removed(removal.category),
        "credits_back": removal.credits_back,
        "balance": avatar.user.wallet.spendable,
        "cost": avatar.request.cost,
        "is_gift": avatar.request.state != State.READY,
        "address": absolute("avatar", avatar.public_id),
        "safety": absolute("safety"),
        "appeal": f"{absolute('job_appeal', avatar.request.public_id)}?key={key}",
    }
    return avatar.user.email, "taken_down", context
