"""Safekeeping: photos come in checked and clean, and whatever must go is gone for good.

Knows the nouns, `imaging`, `face_check`, `journal` and `storage`. The plot: `accept` a photo,
`erase` it on demand or when its time has come, `withdraw` a consent with all that follows from it,
move avatars out, and let `empty_bins` delete the objects.

Locks are taken in one order: consent, wallet, requests, photos, files, attempts, exports and, last,
the exports' own files.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import Consent, User
from avatars import face_check, imaging, journal, storage
from avatars.face_check import Verdict
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    BlockedPicture,
    Evidence,
    Export,
    FacePhoto,
    FileState,
    Gone,
    Keep,
    Reason,
    ReviewItem,
    State,
    StoredFile,
)
from avatars.models.attempts import FAILURES_TO_REST, GIFT_WATCH, Outcome
from avatars.models.files import WRITER_GRACE
from avatars.models.photos import KEEP_FOR

logger = logging.getLogger("likeness.files")

DELETIONS_AT_ONCE = 500
RECORDS_AT_ONCE = 200
# Whoever deletes a photo sees its record on the page; the letter is for keeping.
RECORD_DELAY = timedelta(seconds=60)
# How orders end of which no picture can come any more; they keep their endings.
NOTHING_COMES = (Outcome.REFUSED, Outcome.UNREAD, Outcome.FAILED, Outcome.RETURNED)


class PhotoBlocked(Exception):
    """The photo is the same as a picture that was removed, or nearly; nothing was stored."""


class NoClearFace(Exception):
    """The photo shows no face, or more than one; nothing was stored."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.blocks or "")
        self.verdict = verdict


class ConsentGone(Exception):
    """The consent was withdrawn while the photo arrived; nothing was stored."""


def accept(
    user: User, upload: BinaryIO | bytes, *, consent: Consent, keep: Keep = Keep.MONTH
) -> FacePhoto:
    """Clean, check and keep an uploaded photo. Its bytes are re-encoded; name and metadata go.

    Raises imaging.PhotoRefused (unreadable, too large), PhotoBlocked, NoClearFace, ConsentGone, or
    storage.StorageAway; then nothing was stored.
    """
    journal.refuse_while_resting(timezone.now())
    if consent.user_id != user.pk or not consent.stands():
        raise ValueError("a photo is kept only under its owner's standing consent")
    clean = imaging.clean_photo(upload)
    blocked = BlockedPicture.objects
    if blocked.has((clean.sha256, clean.upload_sha256)) or blocked.has_like(clean.near_hash):
        raise PhotoBlocked
    uploaded_size = (clean.original_width, clean.original_height)
    verdict = face_check.check(clean.jpeg, original=uploaded_size)
    if verdict.blocks:
        raise NoClearFace(verdict)
    now = timezone.now()
    file, thumb = (
        journal.write("photos", suffix, content, user, now)
        for suffix, content in (("jpg", clean.jpeg), ("thumb.jpg", clean.thumb))
    )
    try:
        return keep_photo(user, consent, keep, clean, verdict, (file, thumb), now)
    except (ConsentGone, storage.StorageAway):
        StoredFile.objects.filter(pk__in=[file.pk, thumb.pk]).doom(now)
        raise


def keep_photo(
    user: User,
    consent: Consent,
    keep: Keep,
    clean: imaging.CleanPhoto,
    verdict: Verdict,
    files: tuple[StoredFile, StoredFile],
    now: datetime,
) -> FacePhoto:
    """The photo's row, with its files and under its consent, or none of it."""
    file, thumb = files
    with transaction.atomic():
        if not consent.lock():
            raise ConsentGone
        if not StoredFile.objects.keep([file, thumb]):
            raise storage.StorageAway("the upload took too long")
        return FacePhoto.objects.create(
            user=user,
            consent=consent,
            file=file,
            thumb=thumb,
            sha256=clean.sha256,
            width=clean.width,
            height=clean.height,
            verdict=verdict.as_dict(),
            keep=keep,
            delete_at=now + KEEP_FOR[keep],
            created_at=now,
        )


def erase(
    photo: FacePhoto,
    reason: Reason = Reason.PHOTO_DELETED,
    *,
    why: Gone = Gone.OWNER,
    tells: bool = True,
) -> bool:
    """Delete a photo for good. Requests that wait for it are cancelled with their credits back;
    one that was already read by the provider may still finish. `tells`: a letter with the record
    is owed. Safe to repeat.
    """
    now = timezone.now()
    with transaction.atomic():
        record_due_at = now + RECORD_DELAY if tells else None
        erased = photo.take_away(why, now, record_due_at)
        if erased:
            doom([pk for pk in (photo.file_id, photo.thumb_id) if pk], [photo.pk], now)
            Export.objects.filter(user=photo.user_id).void(now)
    if not erased and FacePhoto.objects.filter(pk=photo.pk, deleted_at=None).exists():
        return False
    # Wallet first, then request: so the cancellations stand outside the photo's transaction. A
    # crash before them is met when the request is sent: it ends for want of a photo.
    waiting = AvatarRequest.objects.filter(photo=photo, state__in=[State.HELD, State.QUEUED])
    for avatar_request in waiting.select_related("hold__wallet"):
        avatar_request.finish(State.CANCELLED, reason, now=now)
    return erased


def doom(files: list[int], photos: list[int], now: datetime) -> None:
    """Order the deletion of photos' objects, close the face links nobody has followed, and owe the
    erasure of what the provider still has of them.
    """
    StoredFile.objects.filter(pk__in=files).doom(now)
    requests = AvatarRequest.objects.filter(photo__in=photos)
    attempts = Attempt.objects.filter(request__in=requests)
    attempts.filter(face_open=True).update(face_open=False)
    attempts.owe_erasure(now)


# ── Taking everything back ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Stopped:
    """What was taken back: photos deleted, requests cancelled, credits returned for them."""

    photos: int
    requests: int
    credits: int


def withdraw(user: User) -> Stopped:
    """This person takes back the consent to use their face. No new request is taken until they
    agree again; their avatars stay.
    """
    return stop_everything(user, Reason.CONSENT)


def stop_everything(user: User, reason: Reason) -> Stopped:
    """End the consent to use this person's face and all that stands on it: every open request is
    CANCELLED with its credits back (engine.md §3, M15), whatever the provider may still bring is
    given up, all photos are deleted. `reason`: CONSENT, or CLOSED for an account that closes.

    One transaction, or part of the caller's, which must not hold locks that come later in our
    order: a crash leaves all of it or none, and the objects to the sweep. A worker in mid-flight
    finds its state gone and commits nothing. Safe to repeat.
    """
    with transaction.atomic():
        # First, and it locks: a photo that arrives just now is refused, or is seen below.
        Consent.objects.filter(user=user, kind=Consent.Kind.FACE).withdraw(timezone.now())
        user.wallet.lock()  # from here on nobody submits, captures or releases
        now = timezone.now()
        returned = [cancel_whatever_state(pk, reason, now) for pk in open_requests(user)]
        # Bumped: who is just fetching a late picture holds an older number and gives nothing.
        watched = late_requests(user, now)
        AvatarRequest.objects.filter(pk__in=watched, state=State.FAILED).update(
            due_at=None, lease_no=F("lease_no") + 1
        )
        taken = take_photos(user, Gone.CLOSED if reason == Reason.CLOSED else Gone.CONSENT, now)
        # After their requests and photos: others lock in this order too.
        cancelled = Attempt.objects.filter(request__in=[pk for pk, _ in returned])
        late = Attempt.objects.filter(request__in=watched).exclude(outcome__in=NOTHING_COMES)
        late.update(outcome=Outcome.WITHDRAWN)
        # By their own numbers: a guard that joins another table is void once a row was waited for.
        live = list(Attempt.objects.live().filter(request__user=user).values_list("pk", flat=True))
        Attempt.objects.live().filter(pk__in=live).update(
            ended_at=now, outcome=Outcome.WITHDRAWN, slot_no=None, face_open=False
        )
        cancelled.owe_erasure(now)
        late.owe_erasure(now)
    return Stopped(taken, len(returned), sum(cost for _, cost in returned))


def open_requests(user: User) -> list[int]:
    return list(AvatarRequest.objects.open().filter(user=user).values_list("pk", flat=True))


def cancel_whatever_state(pk: int, reason: Reason, now: datetime) -> tuple[int, int]:
    """M15. The wallet is locked, so nobody else can end it; who moves it meanwhile is waited for.
    Returns the request and its cost in credits. RuntimeError when nobody moves it and it cannot
    be ended all the same: its money is resolved already, which the audit calls staff about.
    """
    before = None
    while True:
        avatar_request = AvatarRequest.objects.select_related("hold__wallet").get(pk=pk)
        if avatar_request.finish(State.CANCELLED, reason, now=now):
            return pk, avatar_request.cost
        if before == (before := (avatar_request.state, avatar_request.lease_no)):
            raise RuntimeError(f"request {pk} cannot be ended")


def late_requests(user: User, now: datetime) -> list[int]:
    """Failed ones for which the provider may still bring a picture."""
    sent = Attempt.objects.filter(sent_at__gt=now - GIFT_WATCH, request__user=user)
    failed = sent.filter(request__state=State.FAILED)
    return list(failed.values_list("request", flat=True).distinct())


def take_photos(user: User, why: Gone, now: datetime, *, and_begun: bool = True) -> int:
    """All of a person's photos, and (`and_begun`) what a writer of theirs has just begun to put; a
    zip among it is its export's business.
    """
    photos = list(
        FacePhoto.objects.filter(user=user, deleted_at=None).select_related("file", "thumb")
    )
    taken = [photo.pk for photo in photos if photo.take_away(why, now, now + RECORD_DELAY)]
    begun = StoredFile.objects.filter(user=user, state=FileState.WRITING)
    begun = begun.exclude(key__startswith="exports/")
    files = [*begun.values_list("pk", flat=True)] if and_begun else []
    files += [pk for photo in photos for pk in (photo.file_id, photo.thumb_id) if pk]
    doom(files, taken, now)
    if taken:
        Export.objects.filter(user=user).void(now)
    return len(taken)


def erase_all(user: User, why: Gone) -> int:
    """Every photo of a person, as `erase` deletes one, in one transaction; a picture of theirs that
    is being stored just now stays. Returns how many went.
    """
    with transaction.atomic():
        user.wallet.lock()  # from here on nobody submits
        now = timezone.now()
        waiting = AvatarRequest.objects.filter(user=user, state__in=[State.HELD, State.QUEUED])
        for avatar_request in waiting.select_related("hold__wallet"):
            avatar_request.finish(State.CANCELLED, Reason.PHOTO_DELETED, now=now)
        return take_photos(user, why, now, and_begun=False)


def change_keep(photo: FacePhoto, keep: Keep) -> None:
    """Another retention; the clock runs from the last use, or from the upload."""
    since = Coalesce("last_used_at", "created_at")  # as it is now: it may be used at this moment
    FacePhoto.objects.filter(pk=photo.pk, deleted_at=None).update(
        keep=keep, delete_at=since + KEEP_FOR[keep]
    )


def purge(avatar: Avatar) -> bool:
    """Delete an avatar's objects for good; its row stays for the history of its request. False when
    they are gone already, or are evidence that a lead has yet to look at.
    """
    if ReviewItem.objects.evidence(avatar).exists():
        return False
    now = timezone.now()
    files = [pk for pk in (avatar.file_id, avatar.thumb_id) if pk]
    with transaction.atomic():
        # As we read it: whoever took it out of the trash meanwhile keeps it, or as evidence.
        unchanged = Avatar.objects.filter(
            pk=avatar.pk,
            file__isnull=False,
            trashed_at=avatar.trashed_at,
            evidence_until=avatar.evidence_until,
        )
        gone = {"file": None, "thumb": None, "evidence_until": None}
        purged = unchanged.update(trashed_at=avatar.trashed_at or now, **gone)
        if purged:
            StoredFile.objects.filter(pk__in=files).doom(now)
            Export.objects.filter(user=avatar.user_id).void(now)
            avatar.shares.all().stop(now)
    return bool(purged)


def erase_due() -> int:
    """Everything whose time has come: photos past their date, trash and evidence past their
    period, exports past their day, objects that a dead writer left or that were ordered to go.
    Returns how many objects went.
    """
    now = timezone.now()
    due = FacePhoto.objects.expired(now).select_related("file", "thumb").order_by("delete_at")
    for photo in due[:DELETIONS_AT_ONCE]:
        erase(photo, why=Gone.DATE)
    for avatars in (Avatar.objects.overdue_in_trash(now), Avatar.objects.evidence_no_more(now)):
        for avatar in avatars[:DELETIONS_AT_ONCE]:
            purge(avatar)
    for evidence in Evidence.objects.overdue(now)[:DELETIONS_AT_ONCE]:
        evidence.let_go(now)
    Export.objects.overdue(now).expire(now)
    # Not at once: a writer that was asleep may only now put its object.
    StoredFile.objects.abandoned(now).update(state=FileState.DOOMED, due_at=now + WRITER_GRACE)
    doomed = StoredFile.objects.doomed(timezone.now()).order_by("due_at")
    gone = empty_bins(doomed[:DELETIONS_AT_ONCE])
    close_records()
    return gone


def close_records() -> int:
    """Deleted photos of which no object is left now: their record says since when."""
    closed = 0
    for photo in FacePhoto.objects.being_emptied()[:RECORDS_AT_ONCE]:
        keys = [key for key, _sha256 in photo.objects_gone]
        if not StoredFile.objects.filter(key__in=keys).exists():
            closed += FacePhoto.objects.filter(pk=photo.pk).update(emptied_at=timezone.now())
    return closed


def empty_bins(files: Iterable[StoredFile]) -> int:
    """Object first, row second: a crash between the two is repaired by doing it again. One that
    cannot be deleted does not keep the others; a storage that is away is not asked on and on.
    """
    gone = failures = 0
    for file in files:
        try:
            storage.remove(file.key)
        except storage.StorageAway as error:
            logger.warning("deletion postponed", extra={"file": file.pk, "why": str(error)})
            failures += 1
            if failures == FAILURES_TO_REST:
                return gone
            continue
        StoredFile.objects.filter(pk=file.pk, state=FileState.DOOMED).delete()
        gone += 1
    return gone
