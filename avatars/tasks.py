"""Tasks: fetch, one verb, ring. The broker carries one integer and may lose it.

Knows the verbs; Celery stops here. A task that never arrives costs seconds: the sweep finds
whatever is due.
"""

import logging
from collections.abc import Iterable

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from avatars import (
    auditing,
    erasing,
    exporting,
    generation,
    leaving,
    notices,
    reconciling,
    replies,
    safekeeping,
    takedowns,
    watching,
)
from avatars.models import AvatarRequest, State, Takedown
from avatars.models.exports import BUILD_LIMIT

logger = logging.getLogger("likeness.engine")

# A doorbell older than this is of no use: the sweep has looked long since.
RING_EXPIRES_SECONDS = 60
# A large export takes longer than any step of a picture; the worker goes a minute after the word.
LEAVE_SECONDS = 480  # below the lease of a closing, which another follows when it has run out
EXPORT_SECONDS = int(BUILD_LIMIT.total_seconds())


def ring(pks: Iterable[int]) -> None:
    """Make somebody look sooner. Call after the commit; never raises, never waits: a dead broker
    must not hurt a committed request.
    """
    wanted = list(dict.fromkeys(pks))
    if not wanted:
        return
    stores = storing(wanted)
    for pk in wanted:
        if not ring_one(pk, queue="store" if pk in stores else "look"):
            return


def storing(pks: Iterable[int]) -> set[int]:
    """Those whose next step is about pixels, and so for the other queue."""
    stores = AvatarRequest.objects.filter(pk__in=pks, state=State.STORING)
    return set(stores.values_list("pk", flat=True))


def ring_one(pk: int, *, queue: str) -> bool:
    """The same for one request of which the suiting queue is known. False when nobody heard."""
    limits = settings.STORE_TIME_LIMITS if queue == "store" else {}
    try:
        advance_request.apply_async(
            (pk,), queue=queue, expires=RING_EXPIRES_SECONDS, retry=False, **limits
        )
    except OperationalError as error:
        logger.warning("doorbell not rung", extra={"why": type(error).__name__})
        return False
    return True


@shared_task
def advance_request(pk: int) -> None:
    """One step, and the next ones as long as they can start at once and suit this queue: a message
    to ourselves would only cost time. Others are rung.
    """
    more = generation.advance(pk)
    while pk in more and (settings.EMBEDDED or not storing([pk])):
        ring(other for other in more if other != pk)
        more = generation.advance(pk)
    ring(more)


@shared_task
def sweep() -> None:
    ring(generation.sweep())
    notices.send_due()


@shared_task
def take_over() -> None:
    """The first act of a clone's only engine."""
    generation.take_over()
    ring(generation.sweep())


@shared_task
def erase_due() -> None:
    safekeeping.erase_due()
    notices.send_records()
    erasing.ask_due()


@shared_task(soft_time_limit=LEAVE_SECONDS, time_limit=LEAVE_SECONDS + 60)
def leave() -> None:
    leaving.go_on()


@shared_task(soft_time_limit=EXPORT_SECONDS, time_limit=EXPORT_SECONDS + 60)
def make_exports() -> None:
    exporting.prepare_due()


@shared_task
def look_after_takedowns() -> None:
    takedowns.call_staff(timezone.now())
    Takedown.objects.forget_senders(timezone.now())
    replies.send_due()


@shared_task
def reconcile() -> None:
    reconciling.reconcile(timezone.now())


@shared_task
def note_account() -> None:
    watching.note_account()


@shared_task
def check_books() -> None:
    auditing.check_books()
