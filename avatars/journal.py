"""Journal: every object is announced in a row before its first byte, and an ailing storage rests.

Knows StoredFile, the storage's breaker and `storage`. Photos and pictures are written here alone.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BufferedRandom

from accounts.models import User
from avatars import storage
from avatars.models import Breaker, StoredFile
from avatars.models.attempts import Service


def write(folder: str, suffix: str, content: bytes, user: User, now: datetime) -> StoredFile:
    """One object under a row of its own, still WRITING. Raises StorageAway, also while the storage
    rests; then the row dooms what may have been written.
    """
    refuse_while_resting(now)
    file = StoredFile.objects.begin(folder, suffix, content, user=user, now=now)
    with noting_failures(now):
        storage.put(file.key, content)
    return file


def write_file(
    folder: str, suffix: str, content: BufferedRandom, user: User, now: datetime
) -> StoredFile:
    """The same for one too large for memory: an open file on the disk, read from its beginning."""
    refuse_while_resting(now)
    content.seek(0)
    sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    size = content.tell()
    file = StoredFile.objects.announce(folder, suffix, size, sha256, user=user, now=now)
    content.seek(0)
    with noting_failures(now):
        storage.put_file(file.key, content)
    return file


@contextmanager
def noting_failures(now: datetime) -> Iterator[None]:
    try:
        yield
    except storage.StorageAway:
        Breaker.of(Service.STORAGE).failure(now)
        raise


def refuse_while_resting(now: datetime) -> None:
    """Raises StorageAway while the storage rests: asked before work that would be in vain."""
    if resting_until(now):
        raise storage.StorageAway("resting")


def resting_until(now: datetime) -> datetime | None:
    """When the storage is tried again, after three failures in a minute; None in good times."""
    breaker = Breaker.of(Service.STORAGE)
    return breaker.pauses_until if breaker.is_pausing(now) else None
