"""Exporting: everything of one person as one zip, built in the background, there for a day.

Knows the nouns, `belongings`, `journal` and `storage`. The plot: `ask`, then `prepare_due` by
whoever sweeps: a claim, a zip on the disk (never in memory: pictures one by one, rows some at a
time), one object under a row of the journal. What is in it: the pictures as made, the photos as
kept, and every row that the pages show, as JSON.
"""

import json
import logging
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import IO

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import User
from avatars import journal, storage
from avatars.belongings import (
    ROWS_AT_ONCE,
    Row,
    avatar_name,
    avatars_of,
    photo_name,
    photos_of,
    tables,
)
from avatars.models import Export, StoredFile
from avatars.models.exports import MOST_TRIES

logger = logging.getLogger("likeness.files")
staff = logging.getLogger("likeness.staff")

EXPORTS_A_DAY = 2
DAY = timedelta(days=1)
# Whoever builds for long takes a worker away from everybody's pictures.
BUILDERS = 2


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
    """Build what is due, and again what a dead builder left, but not for ever: what kills its
    builder has an end too. Returns how many are ready now.
    """
    ready = 0
    for export in list(Export.objects.due(timezone.now()).select_related("user")):
        now = timezone.now()
        if export.tries >= MOST_TRIES:
            staff.error("an export was begun %s times in vain: %s", export.tries, export.pk)
            export.give_up()
        elif Export.objects.being_built(now).count() >= BUILDERS:
            break
        elif export.claim(now):
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
    return hand_over(export, file, timezone.now())


def hand_over(export: Export, file: StoredFile, now: datetime) -> bool:
    """Ready with its zip, or, when something in it is gone by now, neither."""
    with transaction.atomic():
        # The export first, as everybody takes them: its file follows it.
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
