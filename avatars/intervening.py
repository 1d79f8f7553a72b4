"""Intervening: what staff do to the engine: pause, resume, look again, fail a request.

Knows the nouns and generation. Each act and its Decision are one transaction; False says that there
was nothing to do, and then nothing is written.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from accounts.models import User, decide
from avatars import generation
from avatars.models import AvatarRequest, Breaker, State
from avatars.models.attempts import Service
from avatars.models.avatar_requests import UNDER_WAY
from avatars.sending import DOUBT_PERIOD

SUBJECT = ("provider", Service.FACE_GEN.value)


def told(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def pause(minutes: int, *, actor: User, reason: str, now: datetime) -> bool:
    """Nothing is sent for so long; what is under way goes on, what waits keeps its promise."""
    breaker = Breaker.of(Service.FACE_GEN)
    until = now + timedelta(minutes=minutes)
    with transaction.atomic():
        breaker.stop(until)
        decide(
            actor,
            "drawing_paused",
            subject=SUBJECT,
            reason=reason,
            before={"until": told(breaker.stopped_until)},
            after={"until": told(until)},
        )
    return True


def resume(*, actor: User, reason: str, now: datetime) -> bool:
    """End every pause. False when drawing did not pause."""
    breaker = Breaker.of(Service.FACE_GEN)
    with transaction.atomic():
        if not breaker.resume(now):
            return False
        before = {"until": told(breaker.pauses_until), "why": breaker.reason}
        decide(actor, "drawing_resumed", subject=SUBJECT, reason=reason, before=before)
    return True


def look_again(avatar_request: AvatarRequest, *, actor: User, reason: str, now: datetime) -> bool:
    """Make it due now. False when it is due already, ended, being sent, or so fresh in doubt that
    its copy might still arrive. Ring it afterwards.
    """
    waiting = AvatarRequest.objects.filter(
        Q(state=State.GENERATING) | Q(state=State.UNCERTAIN), pk=avatar_request.pk, due_at__gt=now
    )
    attempt = avatar_request.attempts.live().first()
    is_fresh = attempt is None or attempt.sent_at is None or attempt.sent_at > now - DOUBT_PERIOD
    with transaction.atomic():
        if is_fresh or not waiting.update(due_at=now):
            return False
        decide(
            actor,
            "looked_again",
            person=avatar_request.user,
            subject=("request", avatar_request.public_id),
            reason=reason,
        )
    return True


def fail(avatar_request: AvatarRequest, *, actor: User, reason: str, now: datetime) -> bool:
    """End an order under way now instead of at its deadline: the credits return, and a picture
    that still comes is a gift. False when it ended or moved meanwhile.
    """
    if avatar_request.state not in UNDER_WAY:
        return False
    before = {"state": avatar_request.state}
    with transaction.atomic():
        if not generation.run_out(avatar_request, now):
            return False
        decide(
            actor,
            "request_failed",
            person=avatar_request.user,
            subject=("request", avatar_request.public_id),
            reason=reason,
            before=before,
            after={"state": avatar_request.state, "credits_back": avatar_request.cost},
        )
    return True
