"""Exporting: everything of one person as one zip, built in the background, there for a day.

Knows the nouns, `journal` and `storage`. The plot: `ask`, then `prepare_due` by whoever sweeps: a
claim, a zip on the disk (never in memory: pictures one by one, rows some at a time), one object
under a row of the journal. What is in it: the pictures as made, the photos as kept, and every row
that the pages show, as JSON. Other people's names (who of staff decided) are not in it.
"""

import json
import logging
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import IO, Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, models, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import Decision, Purchase, User
from avatars import journal, storage
from avatars.models import Attempt, Avatar, AvatarRequest, Export, FacePhoto, StoredFile

logger = logging.getLogger("likeness.files")

EXPORTS_A_DAY = 2
DAY = timedelta(days=1)
ROWS_AT_ONCE = 500

Row = dict[str, Any]


class TooManyExports(Exception):
    """The day's are used up; nothing was begun."""

    def __init__(self, again_at: datetime) -> None:
        super().__init__(again_at.isoformat())
        self.again_at = again_at


def ask(user: User, now: datetime) -> Export:
    """Begin an export; the one in the making when there is one. Raises TooManyExports. What failed
    does not count.
    """
    standing = Export.objects.preparing().filter(user=user).first()
    if standing:
        return standing
    today = Export.objects.filter(user=user, created_at__gt=now - DAY)
    counted = today.exclude(state=Export.State.FAILED).order_by("created_at")
    times = list(counted.values_list("created_at", flat=True))
    if len(times) >= EXPORTS_A_DAY:
        raise TooManyExports(times[-EXPORTS_A_DAY] + DAY)
    try:
        with transaction.atomic():
            return Export.objects.create(user=user, due_at=now, created_at=now)
    except IntegrityError:  # a double click, whose other half was faster
        return Export.objects.preparing().get(user=user)


def prepare_due() -> int:
    """Build what is due, and again what a dead builder left. Returns how many are ready now."""
    ready = 0
    now = timezone.now()
    for export in list(Export.objects.due(now).select_related("user")):
        if export.claim(timezone.now()):
            ready += prepare(export)
    return ready


def prepare(export: Export) -> bool:
    """One claimed export, from its rows to its object. Put off while the storage is away; not for
    somebody who leaves, whose wish came as the account closed.
    """
    if export.user.closes_at is not None:
        Export.objects.filter(pk=export.pk).end(timezone.now())
        return False
    try:
        with tempfile.TemporaryFile() as made:
            pack(export.user, made)
            file = journal.write_file("exports", "zip", made, export.user, timezone.now())
    except storage.StorageAway as away:
        logger.warning("an export waits", extra={"export": export.pk, "why": str(away)})
        export.put_off(timezone.now())
        return False
    now = timezone.now()
    with transaction.atomic():
        # The export first, as a closing takes them: it ends the export, then dooms its file.
        if export.finish(file, now) and StoredFile.objects.keep([file]):
            return True
        transaction.set_rollback(True)
    StoredFile.objects.filter(pk=file.pk).doom(now)
    return False


# ── The zip ─────────────────────────────────────────────────────────────────────────────────────


def pack(user: User, made: IO[bytes]) -> None:
    """Raises StorageAway. A picture that was deleted while we were at it is left out."""
    with zipfile.ZipFile(made, "w") as box:
        for name, rows in tables(user):
            with box.open(f"{name}.json", "w") as entry:
                for piece in as_json(rows):
                    entry.write(piece.encode())
        for name, key in pictures(user):
            try:
                content = storage.read(key)
            except storage.Missing:
                continue
            box.writestr(name, content)  # pictures do not get smaller
        words = {"name": user.email, "address": settings.SITE_URL, "made_at": timezone.now()}
        box.writestr("README.txt", render_to_string("avatars/export_readme.txt", words))


def as_json(rows: Iterable[Row]) -> Iterator[str]:
    """A JSON list, a row at a time."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def pictures(user: User) -> Iterator[tuple[str, str]]:
    """Name in the zip and key of every picture as made, and every photo as kept. What was taken
    down is not given out again; its row says so.
    """
    for avatar in avatars_of(user).filter(hidden=False, file__isnull=False).iterator(ROWS_AT_ONCE):
        yield avatar_name(avatar), avatar.master_key
    for photo in photos_of(user).filter(file__isnull=False).iterator(ROWS_AT_ONCE):
        if photo.file:
            yield photo_name(photo), photo.file.key


def avatar_name(avatar: Avatar) -> str:
    return f"avatars/{avatar.created_at:%Y-%m-%d}-{avatar.style}-{avatar.public_id}.webp"


def photo_name(photo: FacePhoto) -> str:
    return f"photos/{photo.created_at:%Y-%m-%d}-{photo.public_id}.jpg"


def avatars_of(user: User) -> models.QuerySet[Avatar]:
    return Avatar.objects.filter(user=user).select_related("file", "request").order_by("pk")


def photos_of(user: User) -> models.QuerySet[FacePhoto]:
    return FacePhoto.objects.filter(user=user).select_related("file").order_by("pk")


# ── The rows ────────────────────────────────────────────────────────────────────────────────────


def tables(user: User) -> Iterator[tuple[str, Any]]:
    """Name and rows, which come one by one."""
    yield "profile", [profile(user)]
    yield "avatars", map(avatar_row, avatars_of(user).iterator(ROWS_AT_ONCE))
    requests = AvatarRequest.objects.filter(user=user).select_related("photo").order_by("pk")
    yield "requests", map(request_row, requests.iterator(ROWS_AT_ONCE))
    yield "photos", map(photo_row, photos_of(user).iterator(ROWS_AT_ONCE))
    transfers = user.wallet.transfers.order_by("pk")
    yield (
        "transfers",
        transfers.values(
            "created_at", "kind", "source", "target", "amount", "reference", "note"
        ).iterator(ROWS_AT_ONCE),
    )
    purchases = Purchase.objects.filter(user=user).prefetch_related("refunds").order_by("pk")
    yield "purchases", map(purchase_row, purchases.iterator(ROWS_AT_ONCE))
    yield (
        "consents",
        user.consents.order_by("pk").values(
            "kind", "version", "text_hash", "address", "given_at", "withdrawn_at"
        ),
    )
    decisions = Decision.objects.filter(person=user).order_by("pk")
    yield (
        "decisions",
        decisions.values(
            "created_at", "act", "subject", "category", "reason", "before", "after"
        ).iterator(ROWS_AT_ONCE),
    )
    yield "exports", user.exports.order_by("pk").values("public_id", "created_at", "until")


def profile(user: User) -> Row:
    wallet, quota = user.wallet, user.quota
    addresses = EmailAddress.objects.filter(user=user).values("email", "verified", "primary")
    linked = SocialAccount.objects.filter(user=user)
    return {
        "email": user.email,
        "addresses": list(addresses),
        "linked_accounts": list(linked.values("provider", "uid", "date_joined", "last_login")),
        "display_name": user.display_name,
        "time_zone": user.time_zone,
        "joined_at": user.date_joined,
        "verified_at": user.verified_at,
        "last_sign_in_at": user.last_login,
        "suspended_at": user.suspended_at,
        "credits": {
            "spendable": wallet.spendable,
            "available": wallet.available,
            "held": wallet.reserved,
            "owed": wallet.owed,
        },
        "limits": {
            "open_at_once": quota.max_open,
            "a_day": quota.max_per_day,
            "free_a_month": quota.monthly_free,
        },
    }


def avatar_row(avatar: Avatar) -> Row:
    is_here = avatar.file_id is not None and not avatar.hidden
    return {
        "id": avatar.public_id,
        "request": avatar.request.public_id,
        "file": avatar_name(avatar) if is_here else None,
        "style": avatar.style,
        "description": avatar.alt,
        "width": avatar.width,
        "height": avatar.height,
        "mark": avatar.mark_id,
        "gift": avatar.gift,
        "favourite": avatar.favourite,
        "not_me": avatar.not_me,
        "taken_down": avatar.hidden,
        "in_trash_since": avatar.trashed_at,
        "deleted": avatar.file_id is None,
        "made_at": avatar.created_at,
    }


def request_row(avatar_request: AvatarRequest) -> Row:
    photo = avatar_request.photo
    return {
        "id": avatar_request.public_id,
        "batch": avatar_request.batch,
        "photo": photo.public_id if photo else None,
        "prompt": avatar_request.prompt,
        "avoid": avatar_request.avoid,
        "style": avatar_request.style,
        "quality": avatar_request.quality,
        "cost": avatar_request.cost,
        "state": avatar_request.state,
        "reason": avatar_request.reason,
        "asked_at": avatar_request.created_at,
        "in_line_since": avatar_request.queued_at,
        "promised_by": avatar_request.deadline_at,
        "ended_at": avatar_request.ended_at,
    }


def photo_row(photo: FacePhoto) -> Row:
    return {
        "id": photo.public_id,
        "file": photo_name(photo) if photo.file_id else None,
        "sha256": photo.sha256,
        "width": photo.width,
        "height": photo.height,
        "verdict": photo.verdict,
        "kept_for": photo.keep,
        "last_used_at": photo.last_used_at,
        "deletes_at": photo.delete_at,
        "deleted_at": photo.deleted_at,
        "timeline": list(timeline(photo)),
    }


def timeline(photo: FacePhoto) -> Iterator[Row]:
    """Where this face has been, oldest first."""
    yield {"at": photo.created_at, "what": "uploaded, cleaned and kept"}
    sent = Attempt.objects.filter(request__photo=photo, sent_at__isnull=False)
    for attempt in sent.select_related("request").order_by("sent_at"):
        way = "by a private link" if attempt.face_hash else "inside the order"
        of = {"request": attempt.request.public_id}
        yield {"at": attempt.sent_at, "what": f"sent to the image provider {way}", **of}
        if attempt.face_read_at:
            times = attempt.face_hits
            yield {"at": attempt.face_read_at, "what": "last read there", "times": times, **of}
        if attempt.face_hash and attempt.ended_at:
            yield {"at": attempt.ended_at, "what": "that link was closed", **of}
    if photo.deleted_at:
        yield {"at": photo.deleted_at, "what": "deleted for good"}


def purchase_row(purchase: Purchase) -> Row:
    refunds = ("created_at", "credits", "amount_cents", "state")
    return {
        "id": purchase.public_id,
        "at": purchase.created_at,
        "credits": purchase.credits,
        "amount_cents": purchase.amount_cents,
        "paid_cents": purchase.paid_cents,
        "currency": purchase.currency,
        "state": purchase.state,
        "credits_back": purchase.credits_back,
        "checkout": purchase.session_id,
        "payment": purchase.payment_intent,
        "refunds": [
            {name: getattr(refund, name) for name in refunds} for refund in purchase.refunds.all()
        ],
    }
