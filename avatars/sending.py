"""Sending: who goes next, one POST to the provider, and what an unclear answer means.

Knows the nouns, the client `face_gen`, and `storage`. The plot, in order of time: `dispatch` gives
the fairest waiting request the next free slot; `send` writes down that it is about to post, posts
once, and records the answer; `settle` ends the doubt about an order that was never confirmed.

There is no idempotency key at the provider. A second order is made only when the first can no
longer draw: surely not taken, the job itself failed, or its face link was revoked unread. In
base64 mode there is no such evidence and hence no second order after an unclear answer.
"""

import base64
import logging
import random
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone

from avatars import face_gen, storage
from avatars.face_gen import Answer, Order
from avatars.face_gen import Outcome as Seen
from avatars.models import Attempt, AvatarRequest, Breaker, FacePhoto, Quality, Reason, State
from avatars.models.attempts import MAX_ATTEMPTS, Outcome, Service, new_token, token_hash
from avatars.models.avatar_requests import UNDER_WAY, jitter

logger = logging.getLogger("likeness.engine")
staff = logging.getLogger("likeness.staff")

# Before a second look, or a revocation: a resend earlier could meet the provider's repeat filter.
DOUBT_PERIOD = timedelta(seconds=30)
# base64 mode: no evidence can come any more.
DOUBT_LIMIT_INLINE = timedelta(minutes=3)
FIRST_LOOK_SECONDS = (2.0, 20.0)
MAX_SETBACKS = 3
MAX_STORAGE_TRIES = 5


# ── Who goes next ───────────────────────────────────────────────────────────────────────────────


def dispatch() -> list[int]:
    """Give free slots to the line, fairest first. Returns the requests that may be sent now.
    May run anywhere, twice at once: the UNIQUE slot number decides.
    """
    started: list[int] = []
    breaker = Breaker.of(Service.FACE_GEN)
    for _slot in range(settings.FACE_GEN_SLOTS):
        now = timezone.now()
        slots = Attempt.objects.filter(slot_no__isnull=False)
        taken = dict(slots.values_list("slot_no", "request__state"))
        free = [n for n in range(1, settings.FACE_GEN_SLOTS + 1) if n not in taken]
        if not free or len(taken) >= breaker.allowed(now, [*taken.values()].count(State.UNCERTAIN)):
            break
        avatar_request = next_in_line(now)
        if avatar_request is None:
            break
        if start(avatar_request, free[0], now):
            started.append(avatar_request.pk)
    return started


def next_in_line(now: datetime) -> AvatarRequest | None:
    """The head of the line. A batch is drawn one by one, so that stopping returns the rest."""
    siblings = AvatarRequest.objects.filter(batch=OuterRef("batch"), state__in=UNDER_WAY)
    return (
        AvatarRequest.objects.in_line()
        .filter(deadline_at__gt=now)
        .exclude(Exists(siblings))
        .first()
    )


def start(avatar_request: AvatarRequest, slot_no: int, now: datetime) -> bool:
    """QUEUED → SENDING with a slot. False when somebody else took the request or the slot."""
    try:
        with transaction.atomic():
            if not avatar_request.move(State.SENDING, due_at=now):
                return False
            numbered = avatar_request.attempts.filter(number__isnull=False).count()
            Attempt.objects.create(request=avatar_request, number=numbered + 1, slot_no=slot_no)
    except IntegrityError:
        # The slot or the request was given out at the same moment; the next round sees it.
        return False
    return True


# ── One order ───────────────────────────────────────────────────────────────────────────────────


def send(avatar_request: AvatarRequest) -> None:
    """Post the claimed request's order once and record the answer.

    `sent_at` is committed before the first byte leaves. So a lease that ran out with `sent_at`
    empty was certainly not sent; with `sent_at` set it is uncertain.
    """
    attempt = avatar_request.attempts.live().first()
    if attempt is None:
        return  # somebody who was faster has ended it; the poison count meets what nobody ended
    if attempt.sent_at is not None:
        doubt(avatar_request, attempt, timezone.now())
        return
    face = face_for(avatar_request)
    if face is None:
        return
    order, doorbell, face_token = write_order(avatar_request, attempt, face)
    if not announce(avatar_request, attempt, doorbell, face_token):
        return
    answer = face_gen.submit(order)
    attempt.refresh_from_db()
    record(avatar_request, attempt, answer)


def face_for(avatar_request: AvatarRequest) -> bytes | None:
    """The face's bytes, read before anything is promised to the provider. None: the request has
    been put off, or ended, because there is no face to send.
    """
    now = timezone.now()
    photo = avatar_request.photo
    stored = photo.file if photo is not None else None
    if stored is None:
        give_up(avatar_request, Reason.PHOTO_DELETED, now)
        return None
    try:
        return storage.read(stored.key)
    except storage.Missing:
        staff.error("a face photo's object is missing: file %s", stored.pk)
        give_up(avatar_request, Reason.OURS, now)
    except storage.StorageAway:
        if avatar_request.tries >= MAX_STORAGE_TRIES:
            give_up(avatar_request, Reason.OURS, now)
        else:
            avatar_request.wait(now + avatar_request.step_backoff())
    return None


def write_order(
    avatar_request: AvatarRequest, attempt: Attempt, face: bytes
) -> tuple[Order, str | None, str | None]:
    """The order and the two secrets in it (doorbell, face link). Seed and track_id are fresh, so
    that no two bodies are equal: equal ones meet the service's repeat filter.
    """
    words: dict[str, Any] = {
        "prompt": avatar_request.prompt,
        "avoid": avatar_request.avoid,
        "style": avatar_request.style,
        "steps": Quality(avatar_request.quality).steps,
        "seed": random.randint(1, 2**31 - 1),  # noqa: S311 - variety, not a secret
    }
    if not settings.PUBLIC_BASE_URL:
        data_uri = "data:image/jpeg;base64," + base64.b64encode(face).decode()
        order = Order(**words, face=data_uri, inline=True, webhook=None, track_id=None)
        return order, None, None
    doorbell, face_token = new_token(), new_token()
    base = settings.PUBLIC_BASE_URL.rstrip("/")
    order = Order(
        **words,
        face=base + reverse("face_link", args=[face_token]),
        inline=False,
        webhook=base + reverse("doorbell", args=[doorbell]),
        track_id=attempt.track_id,
    )
    return order, doorbell, face_token


def announce(
    avatar_request: AvatarRequest, attempt: Attempt, doorbell: str | None, face_token: str | None
) -> bool:
    """Write ahead that this order is about to leave. False: the claim was lost; send nothing."""
    now = timezone.now()
    with transaction.atomic():
        if not avatar_request.renew(now):
            return False
        photo = FacePhoto.objects.filter(pk=avatar_request.photo_id or 0, deleted_at=None)
        # A touch that locks the row: its erasure comes wholly before, and then nothing leaves, or
        # wholly after, and then closes this link.
        if not photo.update(deleted_at=None):
            avatar_request.wait(now)
            return False
        Attempt.objects.filter(pk=attempt.pk).update(
            sent_at=now,
            doorbell_hash=token_hash(doorbell) if doorbell else None,
            face_hash=token_hash(face_token) if face_token else None,
            face_open=face_token is not None,
        )
    return True


def record(avatar_request: AvatarRequest, attempt: Attempt, answer: Answer) -> None:
    """Commit what the provider said to an order (contract §5), guarded by the fencing number."""
    now = timezone.now()
    breaker = Breaker.of(Service.FACE_GEN)
    logger.info(
        "order answered", extra={"request": avatar_request.pk, "outcome": answer.outcome.value}
    )
    match answer.outcome:
        case Seen.DONE:
            breaker.success()
            bring_home(avatar_request, attempt, answer, now)
        case Seen.ACCEPTED:
            breaker.success()
            accept(avatar_request, attempt, answer.job_id, answer.eta, now)
        case Seen.ENDED:
            drawn_in_vain(avatar_request, attempt, now, answer.detail)
        case Seen.REFUSED:
            refuse(avatar_request, Reason.REFUSED, answer, now)
        case Seen.FACE_UNREACHABLE if attempt.face_hash and not attempt.face_open:
            give_up(avatar_request, Reason.PHOTO_DELETED, now)  # its owner closed the link
        case Seen.FACE_UNREACHABLE if attempt.face_hits > 0 or not attempt.face_hash:
            refuse(avatar_request, Reason.PHOTO_UNREADABLE, answer, now)
        case Seen.FACE_UNREACHABLE | Seen.ODD:
            set_back(avatar_request, attempt, breaker, answer, now)
        case Seen.NOT_SENT:
            if back_in_line(avatar_request, attempt, now):
                breaker.strike(now, "not reachable")
        case Seen.FULL:
            if back_in_line(avatar_request, attempt, now):
                breaker.full(answer.retry_after, now)
        case Seen.ACCOUNT:
            if back_in_line(avatar_request, attempt, now):
                breaker.account_trouble(now, answer.detail)
                staff.error("the provider's account refuses us: %s", answer.detail)
        case _:
            breaker.strike(now, "unclear answer")
            doubt(avatar_request, attempt, now)


def accept(
    avatar_request: AvatarRequest, attempt: Attempt, job_id: str, eta: float, now: datetime
) -> None:
    """The provider has it: SENDING or UNCERTAIN → GENERATING, first look by its own estimate."""
    first_look = now + timedelta(seconds=sorted((*FIRST_LOOK_SECONDS, eta))[1])
    try:
        with transaction.atomic():
            due_at = avatar_request.by_deadline(first_look)
            if not avatar_request.move(State.GENERATING, due_at=due_at):
                attempt.remember_job(job_id)
                return
            Attempt.objects.filter(pk=attempt.pk).update(
                provider_job_id=job_id, eta=eta, accepted_at=now
            )
    except IntegrityError:
        # The same job number for two orders cannot be told apart, so neither is believed.
        staff.error("the provider gave one job number twice: attempt %s", attempt.pk)
        avatar_request.refresh_from_db()
        doubt(avatar_request, attempt, now)


def bring_home(
    avatar_request: AvatarRequest, attempt: Attempt, answer: Answer, now: datetime
) -> None:
    """Outputs known: → STORING. The slot is free and the face link closed from here on."""
    pictures = candidates(answer)
    job_id = attempt.provider_job_id or answer.job_id or None
    if Attempt.objects.filter(provider_job_id=job_id or "").exclude(pk=attempt.pk).exists():
        job_id = None
    with transaction.atomic():
        if avatar_request.move(State.STORING, due_at=now, setbacks=0):
            attempt.end(
                Outcome.DONE,
                now,
                outputs=pictures,
                provider_job_id=job_id,
                accepted_at=attempt.accepted_at or now,
            )
        else:
            attempt.remember_job(job_id)


def candidates(answer: Answer) -> list[list[str]]:
    """Per picture the addresses to try in turn: the output, then its alternative."""
    return [
        [output, *answer.alternatives[number : number + 1]]
        for number, output in enumerate(answer.outputs)
    ]


def back_in_line(
    avatar_request: AvatarRequest, attempt: Attempt, now: datetime, *, setbacks: int = 0
) -> bool:
    """Surely not taken: → QUEUED with its old turn, as if never sent. A doorbell that rang in the
    meantime proves the answer wrong: then the provider has it.
    """
    with transaction.atomic():
        due_at, setbacks = avatar_request.deadline_at, avatar_request.setbacks + setbacks
        if not avatar_request.move(State.QUEUED, due_at=due_at, setbacks=setbacks):
            return False
        if attempt.undo(now):
            return True
        transaction.set_rollback(True)
    avatar_request.refresh_from_db()
    attempt.refresh_from_db()
    accept(avatar_request, attempt, attempt.provider_job_id or "", 0.0, now)
    return False


def set_back(
    avatar_request: AvatarRequest,
    attempt: Attempt,
    breaker: Breaker,
    answer: Answer,
    now: datetime,
) -> None:
    """An odd answer means not accepted, three times; then the credits return."""
    breaker.strike(now, answer.detail or "odd answer")
    if avatar_request.setbacks + 1 >= MAX_SETBACKS:
        staff.error("three odd answers to one request: %s", answer.detail)
        give_up(avatar_request, Reason.PROVIDER_FAILED, now, outcome=Outcome.REFUSED)
    else:
        back_in_line(avatar_request, attempt, now, setbacks=1)


def refuse(avatar_request: AvatarRequest, reason: Reason, answer: Answer, now: datetime) -> None:
    """The provider will not draw this. A complaint about a field is a defect of ours as well."""
    staff.warning("the provider refused an order: %s", answer.detail)
    give_up(avatar_request, reason, now, outcome=Outcome.REFUSED, detail=answer.detail)


def drawn_in_vain(
    avatar_request: AvatarRequest, attempt: Attempt, now: datetime, detail: str = ""
) -> None:
    """The job itself failed: once more, or the credits return."""
    if (attempt.number or MAX_ATTEMPTS) >= MAX_ATTEMPTS:
        give_up(avatar_request, Reason.PROVIDER_FAILED, now, outcome=Outcome.FAILED, detail=detail)
        return
    with transaction.atomic():
        if avatar_request.move(State.QUEUED, due_at=avatar_request.deadline_at):
            attempt.end(Outcome.FAILED, now, detail=detail)


def give_up(
    avatar_request: AvatarRequest,
    reason: Reason,
    now: datetime,
    *,
    outcome: Outcome = Outcome.STOPPED,
    detail: str = "",
    look_again_at: datetime | None = None,
) -> bool:
    """→ FAILED with the credits returned; its live attempt frees its slot and its face link."""
    with transaction.atomic():
        if not avatar_request.finish(State.FAILED, reason, now=now, look_again_at=look_again_at):
            return False
        for attempt in avatar_request.attempts.live():
            attempt.end(outcome, now, detail=detail)
    return True


# ── Doubt ───────────────────────────────────────────────────────────────────────────────────────


def doubt(avatar_request: AvatarRequest, attempt: Attempt, now: datetime) -> None:
    """No clear answer: → UNCERTAIN with the slot kept, unless a doorbell already named the job."""
    if attempt.provider_job_id:
        accept(avatar_request, attempt, attempt.provider_job_id, 0.0, now)
        return
    avatar_request.move(State.UNCERTAIN, due_at=avatar_request.by_deadline(now + DOUBT_PERIOD))


def settle(avatar_request: AvatarRequest) -> None:
    """Look for evidence about an unconfirmed order, strongest first (contract §5)."""
    now = timezone.now()
    attempt = avatar_request.attempts.live().first()
    if attempt is None:
        return
    sent_at = attempt.sent_at or now
    if attempt.provider_job_id:
        accept(avatar_request, attempt, attempt.provider_job_id, 0.0, now)
    elif attempt.face_hash is None:
        limit = sent_at + DOUBT_LIMIT_INLINE
        if now >= limit:
            staff.warning("an order was never confirmed (base64 mode): one may be paid in vain")
            give_up(avatar_request, Reason.UNCONFIRMED, now, outcome=Outcome.UNCERTAIN)
        else:
            avatar_request.wait(limit, tries=0)
    elif attempt.face_hits == 0:
        settle_unread(avatar_request, attempt, now)
    else:
        attempt.free_overdue_slot(now)
        avatar_request.wait(now + DOUBT_PERIOD * jitter(), tries=0)


def settle_unread(avatar_request: AvatarRequest, attempt: Attempt, now: datetime) -> None:
    """Nobody read the face. Revoke the link and, if nobody was faster, go back in line: the first
    copy of the order can no longer load it. A revoked link stays revoked, so a crash between the
    two commits is met here again.
    """
    if attempt.face_open and not attempt.revoke_unread():
        return
    if (attempt.number or MAX_ATTEMPTS) >= MAX_ATTEMPTS:
        give_up(avatar_request, Reason.UNCONFIRMED, now, outcome=Outcome.UNREAD)
        return
    with transaction.atomic():
        if avatar_request.move(State.QUEUED, due_at=avatar_request.deadline_at):
            attempt.end(Outcome.UNREAD, now)
