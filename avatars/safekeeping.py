"""Safekeeping: photos come in checked and clean, and whatever must go is gone for good.

Knows the nouns, `imaging`, `face_check`, `journal` and `storage`. The plot: `accept` a photo,
`erase` it on demand or when its time has come, move avatars out, and let `empty_bins` delete the
objects.
"""

import logging
from collections.abc import Iterable
from typing import BinaryIO

from django.db import transaction
from django.utils import timezone

from accounts.models import Consent, User
from avatars import face_check, imaging, journal, storage
from avatars.face_check import Verdict
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    BlockedPicture,
    FacePhoto,
    FileState,
    Keep,
    Reason,
    State,
    StoredFile,
)
from avatars.models.files import WRITER_GRACE
from avatars.models.photos import KEEP_FOR

logger = logging.getLogger("likeness.files")

DELETIONS_AT_ONCE = 500


class PhotoBlocked(Exception):
    """The photo is the same as a picture that was removed, or nearly; nothing was stored."""


class NoClearFace(Exception):
    """The photo shows no face, or more than one; nothing was stored."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.blocks or "")
        self.verdict = verdict


def accept(
    user: User, upload: BinaryIO | bytes, *, consent: Consent, keep: Keep = Keep.MONTH
) -> FacePhoto:
    """Clean, check and keep an uploaded photo. Its bytes are re-encoded; name and metadata go.

    Raises imaging.PhotoRefused (unreadable, too large), PhotoBlocked, NoClearFace, or
    storage.StorageAway; then nothing was stored.
    """
    journal.refuse_while_resting(timezone.now())
    if consent.user_id != user.pk or not consent.stands():
        raise ValueError("a photo is kept only under its owner's standing consent")
    clean = imaging.clean_photo(upload)
    exact = (clean.sha256, clean.upload_sha256)
    if BlockedPicture.objects.match(exact=exact, near=clean.near_hash):
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
    with transaction.atomic():
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


def erase(photo: FacePhoto, reason: Reason = Reason.PHOTO_DELETED) -> bool:
    """Delete a photo for good. Requests that wait for it are cancelled with their credits back;
    one that was already read by the provider may still finish. Safe to repeat.
    """
    now = timezone.now()
    with transaction.atomic():
        marked = FacePhoto.objects.filter(pk=photo.pk, deleted_at=None)
        files = [pk for pk in (photo.file_id, photo.thumb_id) if pk]
        erased = bool(marked.update(deleted_at=now, delete_at=now, file=None, thumb=None))
        StoredFile.objects.filter(pk__in=files).doom(now)
        # A face link nobody has followed must not open any more.
        requests = AvatarRequest.objects.filter(photo=photo)
        Attempt.objects.filter(request__in=requests, face_open=True).update(face_open=False)
    # Wallet first, then request: so the cancellations stand outside the photo's transaction. A
    # crash before them is met when the request is sent: it ends for want of a photo.
    waiting = AvatarRequest.objects.filter(photo=photo, state__in=[State.HELD, State.QUEUED])
    for avatar_request in waiting.select_related("hold__wallet"):
        avatar_request.finish(State.CANCELLED, reason, now=now)
    return erased


def change_keep(photo: FacePhoto, keep: Keep) -> None:
    """Another retention; the clock runs from the last use, or from the upload."""
    since = photo.last_used_at or photo.created_at
    FacePhoto.objects.filter(pk=photo.pk, deleted_at=None).update(
        keep=keep, delete_at=since + KEEP_FOR[keep]
    )


def purge(avatar: Avatar) -> bool:
    """Delete an avatar's objects for good; its row stays for the history of its request."""
    now = timezone.now()
    files = [pk for pk in (avatar.file_id, avatar.thumb_id) if pk]
    with transaction.atomic():
        # As we read it: whoever took it out of the trash meanwhile keeps it.
        unchanged = Avatar.objects.filter(
            pk=avatar.pk, file__isnull=False, trashed_at=avatar.trashed_at
        )
        purged = unchanged.update(file=None, thumb=None, trashed_at=avatar.trashed_at or now)
        if purged:
            StoredFile.objects.filter(pk__in=files).doom(now)
            avatar.shares.all().stop(now)
    return bool(purged)


def erase_due() -> int:
    """Everything whose time has come: photos past their date, trash past its period, objects that
    a dead writer left, objects ordered to go. Returns how many objects went.
    """
    now = timezone.now()
    for photo in FacePhoto.objects.expired(now):
        erase(photo)
    for avatar in Avatar.objects.overdue_in_trash(now):
        purge(avatar)
    # Not at once: a writer that was asleep may only now put its object.
    StoredFile.objects.abandoned(now).update(state=FileState.DOOMED, due_at=now + WRITER_GRACE)
    return empty_bins(StoredFile.objects.doomed(timezone.now())[:DELETIONS_AT_ONCE])


def empty_bins(files: Iterable[StoredFile]) -> int:
    """Object first, row second: a crash between the two is repaired by doing it again."""
    gone = 0
    for file in files:
        try:
            storage.remove(file.key)
        except storage.StorageAway as error:
            logger.warning("deletion postponed", extra={"file": file.pk, "why": str(error)})
            return gone
        StoredFile.objects.filter(pk=file.pk, state=FileState.DOOMED).delete()
        gone += 1
    return gone
