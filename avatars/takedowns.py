"""Takedowns: a notice comes in, a person decides it, and a removed picture stays away.

Knows the nouns, accounts.models, `removing`, `reviewing`, `imaging` and `storage`. The plot:
`receive` a notice, call staff when its time gets short, then `accept` it or `refuse` it. Letters
are owed by columns and sent by `replies`. Locks are taken wallets, avatars, notice, items.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Value
from django.db.models.functions import Coalesce

from accounts.models import User, decide
from avatars import imaging, removing, reviewing, storage
from avatars.models import (
    Avatar,
    BlockedPicture,
    Category,
    Removal,
    ReviewItem,
    ReviewKind,
    Share,
    StoredFile,
    Takedown,
)
from avatars.models.evidence import EVIDENCE_PERIOD
from avatars.models.takedowns import ANSWER_WITHIN, HELD_AT_ONCE, TakedownKind, is_held

logger = logging.getLogger("likeness.safety")
staff = logging.getLogger("likeness.staff")

# Reasons for which not only the picture must stay away but also the photo it was made from.
PHOTO_TOO = (Category.PEOPLE, Category.MINORS)


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
            Avatar.objects.filter(pk__in=pictures).lock()
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
    category: Category,
    reason: str,
    give_back: bool,
    checked: Sequence[str],
    now: datetime,
) -> int:
    """The notice is right: all its pictures go, in one transaction with the record of it. Returns
    how many went now; others were gone already. `reason` is a note for the record. Raises
    DecidedMeanwhile.
    """
    found = takedown.pictures.select_related("file", "request__photo", "request__hold__wallet")
    avatars = list(found.order_by("pk"))
    # Reading objects is slow, and locks nothing.
    hashes = {avatar.pk: digests(avatar, category) for avatar in avatars}
    wallets = {avatar.request.hold.wallet for avatar in avatars if give_back}
    with transaction.atomic():
        # In one order for all, so that no two acts wait for each other.
        for wallet in sorted(wallets, key=lambda wallet: wallet.pk):
            wallet.lock()
        Avatar.objects.filter(pk__in=[avatar.pk for avatar in avatars]).lock()
        if not takedown.decide(Takedown.State.REMOVED, now, category=category):
            raise DecidedMeanwhile
        # The owners read what is decided about them, and who told us is not among it: the note
        # stands here alone.
        decide(
            actor,
            "takedown_accepted",
            subject=("takedown", takedown.number),
            category=category,
            reason=reason,
            after={"pictures": len(avatars), "checked": list(checked)},
        )
        return sum(
            remove_for_good(
                avatar,
                hashes[avatar.pk],
                actor=actor,
                category=category,
                give_back=give_back,
                now=now,
            )
            for avatar in avatars
        )


def refuse(takedown: Takedown, *, actor: User, reason: str, now: datetime) -> None:
    """The notice is not right; `reason` goes to its sender. What it held back shows again. Raises
    DecidedMeanwhile.
    """
    pictures = list(takedown.pictures.order_by("pk"))
    with transaction.atomic():
        Avatar.objects.filter(pk__in=[avatar.pk for avatar in pictures]).lock()
        if not takedown.decide(Takedown.State.REFUSED, now, answer=reason):
            raise DecidedMeanwhile
        decide(actor, "takedown_refused", subject=("takedown", takedown.number), reason=reason)
        for avatar in pictures:
            if takedown.holds and not is_held(avatar):
                Share.objects.filter(avatar=avatar).let_go()


@dataclass(frozen=True)
class Digests:
    exact: list[str]
    near: list[str]


def digests(avatar: Avatar, category: Category) -> Digests:
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


def remove_for_good(
    avatar: Avatar,
    hashes: Digests,
    *,
    actor: User,
    category: Category,
    give_back: bool,
    now: datetime,
) -> bool:
    """Down as by the moderators, and beyond undoing: every size of it is ordered to go or is
    evidence, its likes are blocked. False when that was so before.
    """
    removing.take_down(avatar, category, actor=actor, gives_back=give_back, tell_at=now, now=now)
    removal = Removal.objects.get(avatar=avatar)
    if removal.is_final:
        return False
    # Evidence stays evidence, whoever of the two called it so.
    keeps_evidence = Category.MINORS in (category, removal.category)
    found = Category.MINORS if keeps_evidence else category
    Removal.objects.filter(pk=removal.pk).update(is_final=True, category=found)
    BlockedPicture.objects.block(exact=hashes.exact, near=hashes.near)
    files = [] if keeps_evidence else [pk for pk in (avatar.file_id, avatar.thumb_id) if pk]
    gone: dict[str, Any] = {"file": None, "thumb": None}
    if keeps_evidence:
        gone = {"evidence_until": Coalesce("evidence_until", Value(now + EVIDENCE_PERIOD))}
    Avatar.objects.filter(pk=avatar.pk).update(trashed_at=None, **gone)
    StoredFile.objects.filter(pk__in=files).doom(now)
    if keeps_evidence:
        show_to_leads(avatar)
    decide(
        actor,
        "picture_taken_down",
        person=avatar.user,
        subject=("avatar", avatar.public_id),
        category=category,
        reason=str(category.label),
        after={"credits_back": removal.credits_back, "evidence_kept": keeps_evidence},
    )
    logger.info("picture removed", extra={"avatar": avatar.pk, "category": category})
    return True


def show_to_leads(avatar: Avatar) -> None:
    """About somebody under 18: whatever of it waits at the desk, leads read the checklist there."""
    reviewing.put_on_desk(ReviewKind.REPORT, avatar=avatar, category=Category.MINORS)
    waiting = ReviewItem.objects.waiting().filter(avatar=avatar)
    waiting.update(leads_only=True, category=Category.MINORS)
