"""Letters to people: an avatar is ready, the credits are back, or what a reviewer decided. Each is
sent once.

Knows requests, review items and their templates. A letter is owed by a column (`mail_due_at`);
seeing the page clears it, and so does the sender, before it sends.
"""

import logging
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import get_connection, send_mail
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from avatars import words
from avatars.models import AvatarRequest, ReviewItem, ReviewKind, ReviewOutcome, State

logger = logging.getLogger("likeness.mail")

LETTERS_AT_ONCE = 50


def send_due() -> int:
    """Letters whose minute has passed unseen. Returns how many went out."""
    owed = {"mail_due_at__lte": timezone.now()}
    requests = AvatarRequest.objects.filter(user__is_active=True, **owed)
    news = list(requests.select_related("user__wallet")[:LETTERS_AT_ONCE])
    items = ReviewItem.objects.filter(person__is_active=True, **owed)
    decisions = list(items.select_related("person__wallet", "avatar__request")[:LETTERS_AT_ONCE])
    if not (news or decisions):
        return 0
    try:
        # Nothing is claimed before the post office is open, so an outage loses no letter.
        with get_connection() as post:
            sent = sum(send(avatar_request, post) for avatar_request in news)
            return sent + sum(tell(item, post) for item in decisions)
    except (SMTPException, OSError) as error:
        logger.warning("letters wait", extra={"why": type(error).__name__})
        return 0


def send(avatar_request: AvatarRequest, post: BaseEmailBackend) -> bool:
    """How a request stands. Claim the letter first: a crash may lose one, but nobody gets two."""
    owed = AvatarRequest.objects.filter(
        pk=avatar_request.pk, mail_due_at=avatar_request.mail_due_at
    )
    if not owed.update(mail_due_at=None):
        return False
    is_open, is_ready = avatar_request.is_open(), avatar_request.state == State.READY
    context = {
        "request": avatar_request,
        "style": avatar_request.get_style_display(),
        "sentence": "" if is_open or is_ready else words.why_ended(avatar_request),
        "address": address("job", avatar_request.public_id),
        "balance": avatar_request.user.wallet.spendable,
    }
    name = "approved" if is_open else "ready" if is_ready else "returned"
    write(name, context, avatar_request.user, post)
    return True


def tell(item: ReviewItem, post: BaseEmailBackend) -> bool:
    """What was decided about a finished picture or an appeal, once."""
    owed = ReviewItem.objects.filter(pk=item.pk, mail_due_at=item.mail_due_at)
    if not owed.update(mail_due_at=None):
        return False
    is_appeal = item.kind == ReviewKind.APPEAL
    context = {
        "item": item,
        "hangs": item.avatar is not None and not item.avatar.hidden,
        "granted": item.outcome == ReviewOutcome.GRANTED,
        "given_back": item.avatar.request.cost
        if item.avatar and item.outcome == ReviewOutcome.GIFTED
        else 0,
        "sentence": "" if is_appeal else words.removed(item.category),
        "address": address("job", item.avatar.request.public_id)
        if item.avatar
        else address("safety"),
        "rules": address("safety"),
        "balance": item.person.wallet.spendable,
    }
    write("appeal" if is_appeal else "removed", context, item.person, post)
    return True


def address(name: str, *arguments: object) -> str:
    return settings.SITE_URL.rstrip("/") + reverse(name, args=arguments)


def write(name: str, context: dict[str, Any], person: User, post: BaseEmailBackend) -> None:
    subject = render_to_string(f"mail/{name}_subject.txt", context).strip()
    text = render_to_string(f"mail/{name}.txt", context)
    send_mail(subject, text, None, [person.email], connection=post)
