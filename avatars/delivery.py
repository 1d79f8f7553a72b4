"""Delivery: looking at the provider, bringing a picture home, and giving a late one for nothing.

Knows the nouns, the clients `face_gen` and `download`, `imaging`, `storage`, `journal` and
`sending`. Results are always read by us with our key; nothing a doorbell says is believed but a
job number.
"""

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from avatars import download, face_gen, imaging, journal, sending, storage
from avatars.face_gen import Outcome as Seen
from avatars.imaging import Renditions
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    FacePhoto,
    Reason,
    State,
    StoredFile,
    Style,
)
from avatars.models.attempts import GIFT_WATCH, MAX_RINGS, Breaker, Outcome, Service, token_hash
from avatars.models.avatar_requests import jitter

logger = logging.getLogger("likeness.engine")
staff = logging.getLogger("likeness.staff")

# Next looks: 2 s growing by 0.6 of the time waited, up to 20 s with a doorbell, 5 s without.
LOOK_SHORTEST = 2.0
LOOK_GROWTH = 0.6
LOOK_LONGEST_WITH_DOORBELL = 20.0
LOOK_LONGEST_WITHOUT = 5.0
# "Request not found" is also said of living jobs just after submit (contract §6).
NOT_FOUND_GRACE_SECONDS = 50.0
NOT_FOUND_SHORTEST_ETA = 60.0
# A file is often not there yet right after `success`; seconds to wait, then every ten minutes.
FETCH_WAITS = (1, 2, 4, 8, 15, 30, 60)
FETCH_WAIT_LONG = 600
FOREIGN_HOST_WAIT = timedelta(minutes=10)
UNUSABLE_TRIES = 5
# Fetch (45 s), check and two puts (each at most 20 s): the longest a store may take.
STORE_SECONDS = 90
LATE_LOOK_FIRST_HOUR = timedelta(minutes=5)
LATE_LOOK_AFTERWARDS = timedelta(hours=1)


class _Lost(Exception):
    """Somebody else moved the request first; roll back what this transaction began."""


# ── The doorbell ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Bell:
    """What a doorbell told: of which request it was, and whether a look is due because of it."""

    request: int
    is_news: bool


def answer_doorbell(token: str, job_id: str, track_id: str) -> Bell | None:
    """Somebody rang for the attempt of this token. None for a token we do not know or no longer
    answer.

    One fact is taken, and only while we have none: the job number, if it is not another's and
    `track_id`, when present, agrees. Then the request is due now, at most MAX_RINGS times.
    """
    now = timezone.now()
    attempt = Attempt.objects.filter(
        doorbell_hash=token_hash(token), sent_at__gt=now - GIFT_WATCH
    ).first()
    if attempt is None:
        return None
    is_ours = bool(job_id) and track_id in ("", str(attempt.track_id))
    took_it = is_ours and take_job_number(attempt, job_id, now)
    if not took_it and not attempt.count_ring(now):
        return Bell(attempt.request_id, is_news=False)
    # Asked anew when we were told a number and did not take it: the sender may just have done so.
    knows_job = took_it or attempt.provider_job_id or (is_ours and attempt.has_job_number())
    # Columns of this row alone: PostgreSQL judges a joined one as it was before it waited.
    waiting = [State.GENERATING, State.UNCERTAIN, State.FAILED]
    rung = AvatarRequest.objects.filter(pk=attempt.request_id, state__in=waiting)
    is_news = knows_job and rung.filter(Q(due_at=None) | Q(due_at__gt=now)).update(due_at=now)
    return Bell(attempt.request_id, is_news=bool(is_news))


def take_job_number(attempt: Attempt, job_id: str, now: datetime) -> bool:
    """Count the ring and take the number, if the attempt has none and could still use one."""
    if attempt.provider_job_id:
        return False
    wanting = Attempt.objects.filter(
        Q(ended_at=None) | Q(outcome__in=[Outcome.UNCERTAIN, Outcome.WITHDRAWN]),
        pk=attempt.pk,
        provider_job_id=None,
        rings__lt=MAX_RINGS,
    )
    try:
        with transaction.atomic():
            rung = {"rings": F("rings") + 1, "rung_at": Coalesce("rung_at", Value(now))}
            return bool(wanting.update(provider_job_id=job_id, **rung))
    except IntegrityError:
        staff.warning("a doorbell named a job that belongs to another attempt: %s", attempt.pk)
        return False


# ── Looking ─────────────────────────────────────────────────────────────────────────────────────


def look(avatar_request: AvatarRequest) -> None:
    """Ask the provider about a running job, and act on what is certain."""
    attempt = avatar_request.attempts.live().first()
    if attempt is None:
        return  # somebody who was faster has ended it
    answer = face_gen.look(attempt.provider_job_id or "")
    now = timezone.now()
    breaker = Breaker.of(Service.FACE_GEN)
    match answer.outcome:
        case Seen.DONE:  # says nothing about whether a new order would be taken
            sending.bring_home(avatar_request, attempt, answer, now)
            return
        case Seen.FAILED:
            sending.drawn_in_vain(avatar_request, attempt, now, answer.detail)
            return
        case Seen.NOT_FOUND if is_lost(attempt, now):
            sending.give_up(
                avatar_request,
                Reason.LOST,
                now,
                outcome=Outcome.UNCERTAIN,
                detail=answer.detail,
                look_again_at=first_late_look(avatar_request, now),
            )
            return
        case Seen.FULL:
            breaker.full(answer.retry_after, now)
        case Seen.ACCOUNT:
            is_known = breaker.is_pausing(now)
            breaker.account_trouble(now, answer.detail)
            if not is_known:
                staff.error("the provider's account refuses us: %s", answer.detail)
        case _:
            pass  # running, or an answer that says nothing about the job
    attempt.free_overdue_slot(now)
    avatar_request.wait(now + timedelta(seconds=next_look(attempt, now)), tries=0)


def is_lost(attempt: Attempt, now: datetime) -> bool:
    """Whether "not found" has been true for long enough to be believed."""
    grace = max(attempt.eta or 0.0, NOT_FOUND_SHORTEST_ETA) + NOT_FOUND_GRACE_SECONDS
    return now - (attempt.accepted_at or now) >= timedelta(seconds=grace)


def next_look(attempt: Attempt, now: datetime) -> float:
    """Seconds until the next look: a geometric schedule, read from the time already waited."""
    waited = (now - (attempt.accepted_at or now)).total_seconds()
    has_doorbell = attempt.doorbell_hash is not None
    longest = LOOK_LONGEST_WITH_DOORBELL if has_doorbell else LOOK_LONGEST_WITHOUT
    return min(longest, LOOK_SHORTEST + LOOK_GROWTH * waited) * jitter()


# ── Bringing it home ────────────────────────────────────────────────────────────────────────────


def store(avatar_request: AvatarRequest) -> None:
    """Fetch, check, re-encode and keep the picture; then READY and the capture, in one go."""
    resting_until = journal.resting_until(timezone.now())
    if resting_until:  # not a try: what is fetched now could not be kept
        avatar_request.wait(resting_until, tries=avatar_request.tries - 1)
        return
    attempt = avatar_request.attempts.filter(outcome=Outcome.DONE).latest("pk")
    mark_id = uuid.uuid4().hex
    try:
        renditions = fetch_picture(attempt, avatar_request.tries, mark_id)
        files = write_files(avatar_request, renditions)
    except imaging.PictureBlocked:
        sending.give_up(avatar_request, Reason.BLOCKED, timezone.now())
    except imaging.PictureBroken:
        unusable(avatar_request, Reason.BROKEN)
    except (download.TooLarge, download.Refused) as error:
        staff.warning("a result was not fetched: %s", error)
        unusable(avatar_request, Reason.UNSAVED)
    except (download.NotThere, storage.StorageAway):
        put_off(avatar_request)
    except download.ForeignHost as error:
        staff.error("a result stands on a host that is not allowed: %s", error.host)
        avatar_request.wait(timezone.now() + FOREIGN_HOST_WAIT)
    else:
        hang_up(avatar_request, renditions, files, mark_id)


def fetch_picture(attempt: Attempt, tries: int, mark_id: str) -> Renditions:
    """The first picture's renditions; its alternative address takes turns with the first one."""
    addresses = attempt.outputs[0]
    address = addresses[(tries - 1) % len(addresses)] if tries else addresses[0]
    return imaging.render_avatar(download.fetch(address), mark_id=mark_id)


def put_off(avatar_request: AvatarRequest, **fields: int) -> None:
    """Not there yet: come back after the next of the waits. Never ordered again."""
    number = avatar_request.tries - 1
    seconds = FETCH_WAITS[number] if number < len(FETCH_WAITS) else FETCH_WAIT_LONG
    avatar_request.wait(timezone.now() + timedelta(seconds=seconds), **fields)


def unusable(avatar_request: AvatarRequest, reason: Reason) -> None:
    """What came is no picture: five times, its alternative address included, and it never was."""
    if avatar_request.setbacks + 1 >= UNUSABLE_TRIES:
        sending.give_up(avatar_request, reason, timezone.now())
    else:
        put_off(avatar_request, setbacks=avatar_request.setbacks + 1)


def write_files(
    avatar_request: AvatarRequest, renditions: Renditions
) -> tuple[StoredFile, StoredFile]:
    """Both objects, written but not yet kept. Raises StorageAway."""
    now, owner = timezone.now(), avatar_request.user
    return (
        journal.write("avatars", "webp", renditions.master, owner, now),
        journal.write("avatars", "webp", renditions.thumb, owner, now),
    )


def hang_up(
    avatar_request: AvatarRequest,
    renditions: Renditions,
    files: tuple[StoredFile, StoredFile],
    mark_id: str,
) -> None:
    """STORING → READY: capture, state, picture and files in one transaction, or none of it."""
    now = timezone.now()
    try:
        with transaction.atomic():
            if not avatar_request.finish(State.READY, now=now):
                raise _Lost
            add_avatar(avatar_request, renditions, files, mark_id, now, gift=False)
    except _Lost:
        StoredFile.objects.filter(pk__in=[file.pk for file in files]).doom(now)
        return
    logger.info("picture delivered", extra={"request": avatar_request.pk})


def add_avatar(
    avatar_request: AvatarRequest,
    renditions: Renditions,
    files: tuple[StoredFile, StoredFile],
    mark_id: str,
    now: datetime,
    *,
    gift: bool,
) -> None:
    """The picture's row. Raises _Lost when one of its files was doomed meanwhile."""
    if not StoredFile.objects.keep(files):
        raise _Lost
    Avatar.objects.create(
        user_id=avatar_request.user_id,
        request=avatar_request,
        file=files[0],
        thumb=files[1],
        style=avatar_request.style,
        alt=f"{Style(avatar_request.style).label} avatar: {avatar_request.prompt}"[:300],
        width=renditions.width,
        height=renditions.height,
        colour=renditions.colour,
        near_hash=renditions.near_hash,
        mark_id=mark_id,
        gift=gift,
        created_at=now,
    )
    if avatar_request.photo_id:
        FacePhoto.objects.ready(avatar_request.photo_id, now)


# ── Late pictures ───────────────────────────────────────────────────────────────────────────────


def first_late_look(avatar_request: AvatarRequest, now: datetime) -> datetime | None:
    """When to look again after the credits went back; None when nothing can come any more. An
    attempt without a job number is not looked at, but its doorbell may still wake the request.
    """
    return now + LATE_LOOK_FIRST_HOUR if watched_attempt(avatar_request, now) else None


def watched_attempt(avatar_request: AvatarRequest, now: datetime) -> Attempt | None:
    """The attempt from which a late picture may still come."""
    for attempt in avatar_request.attempts.order_by("-pk"):
        if attempt.is_watched(now) and (attempt.provider_job_id or attempt.outputs):
            return attempt
    return None


def look_for_late_picture(avatar_request: AvatarRequest) -> None:
    """FAILED is final for money. If a picture turns up after all, it is a gift."""
    now = timezone.now()
    attempt = watched_attempt(avatar_request, now)
    owner = avatar_request.user
    is_over = attempt is None or not owner.is_active or owner.closes_at is not None
    if attempt is None or is_over or avatar_request.avatars.exists():
        avatar_request.wait_no_more()
        return
    if not attempt.outputs:
        answer = face_gen.look(attempt.provider_job_id or "")
        if answer.outcome == Seen.FAILED:
            avatar_request.wait_no_more()
            return
        if answer.outcome != Seen.DONE:
            avatar_request.wait(now + late_look_period(avatar_request, now))
            return
        attempt.outputs = sending.candidates(answer)
        Attempt.objects.filter(pk=attempt.pk).update(outputs=attempt.outputs)
    give(avatar_request, attempt)


def late_look_period(avatar_request: AvatarRequest, now: datetime) -> timedelta:
    """Every five minutes in the first hour after the ending, then hourly."""
    since = now - (avatar_request.ended_at or now)
    return LATE_LOOK_FIRST_HOUR if since < timedelta(hours=1) else LATE_LOOK_AFTERWARDS


def give(avatar_request: AvatarRequest, attempt: Attempt) -> None:
    """Fetch, check, store and add the late picture as a gift; no transfer, no change of state."""
    now = timezone.now()
    mark_id = uuid.uuid4().hex
    try:
        renditions = fetch_picture(attempt, avatar_request.tries, mark_id)
        files = write_files(avatar_request, renditions)
    except imaging.PictureBlocked:
        avatar_request.wait_no_more()
        return
    except (
        imaging.PictureBroken,
        download.NotThere,
        download.ForeignHost,
        download.TooLarge,
        download.Refused,
        storage.StorageAway,
    ) as error:
        logger.info("late picture not fetched", extra={"why": type(error).__name__})
        avatar_request.wait(now + late_look_period(avatar_request, now))
        return
    try:
        with transaction.atomic():
            if not avatar_request.wait_no_more():
                raise _Lost
            add_avatar(avatar_request, renditions, files, mark_id, now, gift=True)
    except _Lost:
        StoredFile.objects.filter(pk__in=[file.pk for file in files]).doom(now)
