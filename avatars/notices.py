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
from avatars.appealing import Matter
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
    decisions = list(
        items.select_related("person__wallet", "request", "avatar__request")[:LETTERS_AT_ONCE]
    )
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
        "appeal": appeal_address(avatar_request, avatar_request.user)
        if avatar_request.state == State.REJECTED
        else "",
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
    write("appeal", answer_to(item), item.person, post)
    return True


def answer_to(appeal: ReviewItem) -> dict[str, Any]:
    """What came of an appeal: a picture that hangs again needs nothing more, anything else can be
    made again from Create as it was.
    """
    wish = appeal.avatar.request if appeal.avatar else appeal.request
    granted = appeal.outcome == ReviewOutcome.GRANTED
    hangs = appeal.avatar is not None and not appeal.avatar.hidden
    is_gone = granted and wish is not None and not hangs
    return {
        "answer": words.appeal_answer(Matter(appeal.person, wish, appeal.avatar), appeal),
        "granted": granted,
        "given_back": wish.cost if is_gone and wish and wish.was_given_back() else 0,
        "again": f"{address('create')}?from={wish.public_id}" if is_gone and wish else "",
        "address": appeal_address(wish, appeal.person),
        "balance": appeal.person.wallet.spendable,
    }


def appeal_address(wish: AvatarRequest | None, person: User) -> str:
    """Where an appeal is written and answered; its key needs no password."""
    page = address("job_appeal", wish.public_id) if wish else address("appeal")
    return f"{page}?key={person.appeal_key()}"


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
    zone = export.user.zone()
    context = {"until": export.until, "address": address, "zone": str(zone)}
    with timezone.override(zone):
        subject = render_to_string("mail/export_subject.txt", context).strip()
        text = render_to_string("mail/export.txt", context)
    send_mail(subject, text, None, [export.user.email], connection=post)
    return True
