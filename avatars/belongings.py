"""Belongings: every row that the pages show to its person, as plain data for the export.

Knows the nouns, `opening`, `reviewing` and allauth's. Rows come one by one, whatever their number.
Other people are not in them: neither who of staff decided, nor who reported, nor what staff wrote
for one another.
"""

from collections.abc import Iterator
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import models
from django.urls import reverse

from accounts.models import ConsentText, Decision, Purchase, User
from avatars import opening, reviewing
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    FacePhoto,
    KeepDefault,
    Removal,
    ReviewItem,
    ReviewKind,
    Share,
)

ROWS_AT_ONCE = 500
# Staff to staff: the desk says that the person is not told.
NOTED = "noted"

Row = dict[str, Any]


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
    yield "consents", consents_of(user)
    decisions = Decision.objects.filter(person=user).exclude(act=NOTED).order_by("pk")
    yield "decisions", map(decision_row, decisions.iterator(ROWS_AT_ONCE))
    shares = Share.objects.filter(user=user).select_related("avatar").order_by("pk")
    yield "shares", map(share_row, shares.iterator(ROWS_AT_ONCE))
    reviews = ReviewItem.objects.filter(person=user).select_related("avatar", "request")
    yield "reviews", map(review_row, reviews.order_by("pk").iterator(ROWS_AT_ONCE))
    yield "exports", user.exports.order_by("pk").values("public_id", "created_at", "until")


def decision_row(decision: Decision) -> Row:
    columns = ("created_at", "act", "subject", "category", "reason", "before", "after")
    row = {name: getattr(decision, name) for name in columns}
    return row | ({"reason": ""} if decision.act in reviewing.DESK_ACTS else {})


def profile(user: User) -> Row:
    wallet, quota = user.wallet, user.quota
    addresses = EmailAddress.objects.filter(user=user).values("email", "verified", "primary")
    linked = SocialAccount.objects.filter(user=user)
    devices = UserSession.objects.filter(user=user).order_by("pk")
    return {
        "email": user.email,
        "addresses": list(addresses),
        "linked_accounts": list(linked.values("provider", "uid", "date_joined", "last_login")),
        "second_factors": [factor_row(factor) for factor in factors_of(user)],
        "devices": list(devices.values("ip", "user_agent", "created_at", "last_seen_at")),
        "display_name": user.display_name,
        "time_zone": user.time_zone,
        "joined_at": user.date_joined,
        "verified_at": user.verified_at,
        "last_sign_in_at": user.last_login,
        "suspended_at": user.suspended_at,
        "sharing_stopped_at": user.sharing_stopped_at,
        "new_photos_kept_for": KeepDefault.of(user),
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


def factors_of(user: User) -> models.QuerySet[Authenticator]:
    return Authenticator.objects.filter(user=user).order_by("pk")


def factor_row(factor: Authenticator) -> Row:
    """That there is one, and when it was used; what it proves with stays here."""
    return {
        "type": factor.type,
        "name": factor.data.get("name", ""),
        "created_at": factor.created_at,
        "last_used_at": factor.last_used_at,
    }


def consents_of(user: User) -> Iterator[Row]:
    """With the words as they were read."""
    given = user.consents.order_by("pk").values(
        "kind", "version", "text_hash", "address", "given_at", "withdrawn_at"
    )
    texts = dict(ConsentText.objects.values_list("sha256", "text"))
    for consent in given:
        yield consent | {"text": texts.get(consent["text_hash"], "")}


def share_row(share: Share) -> Row:
    return {
        "address": settings.SITE_URL.rstrip("/") + reverse("shared", args=[share.token]),
        "avatar": share.avatar.public_id,
        "with_description": share.with_words,
        "state": share.state,
        "made_at": share.created_at,
        "ends_at": share.expires_at,
        "ended_at": share.ended_at,
    }


def review_row(item: ReviewItem) -> Row:
    """What a person of ours looked at, or will. Words are in it only if they are the owner's."""
    made = item.avatar or item.request
    return {
        "kind": item.kind,
        "about": made.public_id if made else None,
        "your_words": item.why if item.kind == ReviewKind.APPEAL else "",
        "found": item.category if item.outcome else "",
        "outcome": item.outcome,
        "asked_at": item.created_at,
        "decided_at": item.decided_at,
    }


def avatar_row(avatar: Avatar) -> Row:
    is_here = avatar.file_id is not None and not avatar.hidden
    removal: Removal | None = getattr(avatar, "removal", None)
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
        "taken_down_because": removal.category if removal else "",
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
        "timeline": timeline(photo),
    }


def timeline(photo: FacePhoto) -> list[Row]:
    """Where this face has been, oldest first."""
    return sorted(events(photo), key=lambda event: event["at"])


def events(photo: FacePhoto) -> Iterator[Row]:
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
        if attempt.erase_answered_at:
            said = "and did" if attempt.erased else "and said there is nothing to erase"
            what = f"the image provider was asked to erase its result, {said}"
            yield {"at": attempt.erase_answered_at, "what": what, **of}
    for decision in opening.openings(photo):
        what = "opened by our staff"
        yield {"at": decision.created_at, "what": what, "reason": decision.reason}
    if photo.deleted_at:
        yield {"at": photo.deleted_at, "what": "deleted for good"}
    if photo.emptied_at:
        yield {"at": photo.emptied_at, "what": "the last of its files left our storage"}


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


def avatar_name(avatar: Avatar) -> str:
    return f"avatars/{avatar.created_at:%Y-%m-%d}-{avatar.style}-{avatar.public_id}.webp"


def photo_name(photo: FacePhoto) -> str:
    return f"photos/{photo.created_at:%Y-%m-%d}-{photo.public_id}.jpg"


def avatars_of(user: User) -> models.QuerySet[Avatar]:
    return (
        Avatar.objects.filter(user=user).select_related("file", "request", "removal").order_by("pk")
    )


def photos_of(user: User) -> models.QuerySet[FacePhoto]:
    return FacePhoto.objects.filter(user=user).select_related("file").order_by("pk")
