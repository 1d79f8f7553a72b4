"""Takedowns: a notice comes in, a person decides it, and a removed picture stays away.

Knows the nouns, accounts.models, `imaging` and `storage`. The plot: `receive` a notice, call staff
when its time gets short, then `accept` it (and `remove_picture`, which the moderators use too) or
`refuse` it. Letters are owed by columns and sent by `replies`.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import Kind, User, decide
from avatars import imaging, storage
from avatars.models import (
    Attempt,
    Avatar,
    BlockedPicture,
    Export,
    Removal,
    RemovalReason,
    Share,
    State,
    StoredFile,
    Takedown,
)
from avatars.models.evidence import EVIDENCE_PERIOD
from avatars.models.takedowns import ANSWER_WITHIN, HELD_AT_ONCE, TakedownKind

logger = logging.getLogger("likeness.safety")
staff = logging.getLogger("likeness.staff")

# Reasons for which not only the picture must stay away but also the photo it was made from.
PHOTO_TOO = (RemovalReason.CONSENT, RemovalReason.MINORS)


@dataclass(frozen=True)
class Notice:
    """What somebody sent in, as they typed it, and the pictures its links lead to."""

    number: str
    kind: TakedownKind
    links: str
    what: str
    name: str
    contact: str


def receive(notice: Notice, avatars: Iterable[Avatar], now: datetime) -> Takedown:
    """Write a notice down and start its clock, once per number. Links to an intimate image or to
    somebody under 18 show nothing from now on, unless a person has looked at one of the pictures
    before and let it stay: then a report alone hides nothing.
    """
    pictures = sorted({avatar.pk for avatar in avatars})
    try:
        with transaction.atomic():
            # First the pictures' rows, so that no link is being made at the same moment.
            lock(pictures)
            cleared = Takedown.objects.filter(
                state=Takedown.State.REFUSED, pictures__in=pictures
            ).exists()
            takedown = Takedown.objects.create(
                number=notice.number,
                kind=notice.kind,
                links=notice.links,
                what=notice.what,
                name=notice.name,
                contact=notice.contact,
                holds=notice.kind in HELD_AT_ONCE and not cleared,
                deadline_at=now + ANSWER_WITHIN,
                mail_due_at=now,
                created_at=now,
            )
            takedown.pictures.set(pictures)
            if takedown.holds:
                Share.objects.filter(avatar__in=pictures).hold()
    except IntegrityError:
        # The form was sent twice.
        return Takedown.objects.get(number=notice.number)
    logger.info("takedown received", extra={"takedown": takedown.pk, "kind": takedown.kind})
    return takedown


def lock(pictures: Iterable[int]) -> None:
    """Inside a transaction: nobody shares, trashes or removes these until its end."""
    Avatar.objects.filter(pk__in=sorted(pictures)).update(hidden=F("hidden"))


def call_staff(now: datetime) -> int:
    """Notices whose time is nearly over: staff are called once for each."""
    called = 0
    for takedown in Takedown.objects.uncalled(now):
        if Takedown.objects.filter(pk=takedown.pk, called_at=None).update(called_at=now):
            staff.error(
                "takedown %s must be decided by %s UTC",
                takedown.pk,
                takedown.deadline_at.strftime("%d %B %H:%M"),
            )
            called += 1
    return called


class DecidedMeanwhile(Exception):
    """Somebody else has decided this notice; nothing was done."""


def accept(
    takedown: Takedown,
    *,
    actor: User,
    category: RemovalReason,
    reason: str,
    give_back: bool,
    checked: Sequence[str],
    now: datetime,
) -> int:
    """The notice is right: all its pictures go, in one transaction with the record of it. Returns
    how many went now; others were gone already. Raises DecidedMeanwhile.
    """
    avatars = list(takedown.pictures.select_related("file", "request__photo", "user__wallet"))
    # Reading objects is slow, and locks nothing.
    hashes = {avatar.pk: digests(avatar, category) for avatar in avatars}
    with transaction.atomic():
        # Pictures first, then wallets, both in one order for all: no two acts wait for each other.
        lock(avatar.pk for avatar in avatars)
        if not takedown.decide(Takedown.State.REMOVED, now, category=category):
            raise DecidedMeanwhile
        decide(
            actor,
            "takedown_accepted",
            subject=("takedown", takedown.number),
            category=category,
            reason=reason,
            after={"pictures": len(avatars), "checked": list(checked)},
        )
        return sum(
            _remove(
                avatar,
                hashes[avatar.pk],
                actor=actor,
                category=category,
                reason=reason,
                give_back=give_back,
                now=now,
            )
            for avatar in sorted(avatars, key=lambda avatar: (avatar.user_id, avatar.pk))
        )


def refuse(takedown: Takedown, *, actor: User, reason: str, now: datetime) -> None:
    """The notice is not right; `reason` goes to its sender. What it held back shows again. Raises
    DecidedMeanwhile.
    """
    pictures = list(takedown.pictures.order_by("pk"))
    with transaction.atomic():
        lock(avatar.pk for avatar in pictures)
        if not takedown.decide(Takedown.State.REFUSED, now, answer=reason):
            raise DecidedMeanwhile
        decide(actor, "takedown_refused", subject=("takedown", takedown.number), reason=reason)
        for avatar in pictures:
            if takedown.holds and not Takedown.objects.holding(avatar).exists():
                Share.objects.filter(avatar=avatar).let_go()


def remove_picture(
    avatar: Avatar,
    *,
    actor: User,
    category: RemovalReason,
    reason: str,
    give_back: bool,
) -> bool:
    """Take one picture down: hidden, every size of it ordered to go, its link dead, its likes
    blocked, its owner owed a letter, the act on record; and its cost given back if `give_back`.
    `reason` is a note for the record and may be empty. False when it was removed before.
    """
    return _remove(
        avatar,
        digests(avatar, category),
        actor=actor,
        category=category,
        reason=reason,
        give_back=give_back,
        now=timezone.now(),
    )


@dataclass(frozen=True)
class Digests:
    exact: list[str]
    near: list[str]


def digests(avatar: Avatar, category: RemovalReason) -> Digests:
    """By what this picture will be known again. Of one whose file cannot be read just now, what
    its row says: it must go all the same.
    """
    near, photo = [avatar.near_hash], avatar.request.photo
    exact = [avatar.file.sha256] if avatar.file else []
    if photo is not None and category in PHOTO_TOO:
        exact.append(photo.sha256)
    if avatar.file is not None:
        try:
            near += imaging.near_hashes(storage.read(avatar.file.key))
        except (storage.Missing, storage.StorageAway, imaging.PictureBroken) as error:
            logger.warning(
                "a removed picture was not read",
                extra={"avatar": avatar.pk, "why": type(error).__name__},
            )
    return Digests(exact, list(dict.fromkeys(near)))


def _remove(
    avatar: Avatar,
    hashes: Digests,
    *,
    actor: User,
    category: RemovalReason,
    reason: str,
    give_back: bool,
    now: datetime,
) -> bool:
    request = avatar.request
    keeps_evidence = category == RemovalReason.MINORS
    # A picture that came as a gift cost nothing.
    credits_back = request.cost if give_back and request.state == State.READY else 0
    files = [pk for pk in (avatar.file_id, avatar.thumb_id) if pk]
    with transaction.atomic():
        removal = {"category": category, "credits_back": credits_back, "mail_due_at": now}
        _row, is_new = Removal.objects.get_or_create(
            avatar=avatar, defaults=removal | {"created_at": now}
        )
        if not is_new:
            return False
        gone: dict[str, Any] = {"file": None, "thumb": None}
        if keeps_evidence:
            gone = {"evidence_until": now + EVIDENCE_PERIOD}
        Avatar.objects.filter(pk=avatar.pk).update(hidden=True, trashed_at=None, **gone)
        if not keeps_evidence:
            StoredFile.objects.filter(pk__in=files).doom(now)
        Share.objects.filter(avatar=avatar).remove(now)
        Attempt.objects.filter(request=avatar.request_id).owe_erasure(now)
        Export.objects.filter(user=avatar.user_id).void(now)
        BlockedPicture.objects.block(exact=hashes.exact, near=hashes.near)
        if credits_back:
            avatar.user.wallet.grant(
                Kind.GOODWILL,
                credits_back,
                f"goodwill:{request.public_id}",
                actor=actor,
                note=gettext("We removed a picture: %(reason)s.") % {"reason": category.label},
            )
        decide(
            actor,
            "picture_removed",
            person=avatar.user,
            subject=("avatar", avatar.public_id),
            category=category,
            reason=reason,
            after={"credits_back": credits_back, "evidence_kept": keeps_evidence},
        )
    logger.info("picture removed", extra={"avatar": avatar.pk, "category": category})
    return True
