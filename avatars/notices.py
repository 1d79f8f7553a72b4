"""Letters to people: an avatar is ready, credits are back, what a reviewer decided, a photo is
deleted, an export is ready. Each is sent once.

Knows the nouns and their templates. A letter is owed by a column (`mail_due_at`, `record_due_at`,
`letter_due`); seeing the page clears the first, and the sender clears each before it sends.
"""

import logging
from collections import defaultdict
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
from avatars.models import (
    AvatarRequest,
    Export,
    FacePhoto,
    ReviewItem,
    ReviewOutcome,
    State,
)

logger = logging.getLogger("likeness.mail")

LETTERS_AT_ONCE = 50


def send_due() -> int:
    """Letters whose minute has passed unseen. Returns how many went out."""
    now = timezone.now()
    requests = AvatarRequest.objects.filter(user__is_active=True, mail_due_at__lte=now)
    news = list(requests.select_related("user__wallet")[:LETTERS_AT_ONCE])
    items = ReviewItem.objects.filter(person__is_active=True, mail_due_at__lte=now)
    decisions = list(items.select_related("person__wallet", "avatar__request")[:LETTERS_AT_ONCE])
    exports = list(Export.objects.letter_due(now).select_related("user"))
    if not (news or decisions or exports):
        return 0
    try:
        # Nothing is claimed before the post office is open, so an outage loses no letter.
        with get_connection() as post:
            sent = sum(send(avatar_request, post) for avatar_request in news)
            sent += sum(tell(item, post) for item in decisions)
            return sent + sum(tell_of_export(export, post) for export in exports)
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
    """What was decided about an appeal, once. Removals are told by `replies`."""
    owed = ReviewItem.objects.filter(pk=item.pk, mail_due_at=item.mail_due_at)
    if not owed.update(mail_due_at=None):
        return False
    context = {
        "item": item,
        "hangs": item.avatar is not None and not item.avatar.hidden,
        "granted": item.outcome == ReviewOutcome.GRANTED,
        "address": address("job", item.avatar.request.public_id)
        if item.avatar
        else address("safety"),
        "rules": address("safety"),
        "balance": item.person.wallet.spendable,
    }
    write("appeal", context, item.person, post)
    return True


def address(name: str, *arguments: object) -> str:
    return settings.SITE_URL.rstrip("/") + reverse(name, args=arguments)


def write(name: str, context: dict[str, Any], person: User, post: BaseEmailBackend) -> None:
    subject = render_to_string(f"mail/{name}_subject.txt", context).strip()
    text = render_to_string(f"mail/{name}.txt", context)
    send_mail(subject, text, None, [person.email], connection=post)


# ── Deletion records ────────────────────────────────────────────────────────────────────────────


def send_records() -> int:
    """Records of deletions that are done: one letter a person, however many photos went. Returns
    how many went out.
    """
    owed = FacePhoto.objects.filter(record_due_at__lte=timezone.now(), emptied_at__isnull=False)
    waiting: dict[int, list[FacePhoto]] = defaultdict(list)
    for photo in owed.filter(user__is_active=True).select_related("user")[:LETTERS_AT_ONCE]:
        waiting[photo.user_id].append(photo)
    if not waiting:
        return 0
    try:
        with get_connection() as post:
            return sum(send_record(photos, post) for photos in waiting.values())
    except (SMTPException, OSError) as error:
        logger.warning("letters wait", extra={"why": type(error).__name__})
        return 0


def send_record(photos: list[FacePhoto], post: BaseEmailBackend) -> bool:
    """One person's letter, about those of these photos that nobody else is writing about."""
    ours = [photo for photo in photos if photo.claim_record()]
    if not ours:
        return False
    zone = ours[0].user.zone()
    with timezone.override(zone):
        context = {"photos": ours, "site": settings.SITE_URL.rstrip("/"), "zone": str(zone)}
        subject = render_to_string("mail/records_subject.txt", context).strip()
        body = render_to_string("mail/records.txt", context)
    send_mail(subject, body, None, [ours[0].user.email], connection=post)
    return True


# ── Exports ─────────────────────────────────────────────────────────────────────────────────────


def tell_of_export(export: Export, post: BaseEmailBackend) -> bool:
    if not export.claim_letter():
        return False
    address = settings.SITE_URL.rstrip("/") + reverse("export", args=[export.public_id])
    context = {"until": export.until, "address": address}
    subject = render_to_string("mail/export_subject.txt", context).strip()
    text = render_to_string("mail/export.txt", context)
    send_mail(subject, text, None, [export.user.email], connection=post)
    return True
