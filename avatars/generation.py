"""Generation: the plot. A wish is submitted, advanced step by step, cancelled or brought to an end.

Knows the nouns, `rules`, `screening`, `sending` and `delivery`. `advance` is one verb for view,
webhook, task, sweep and command: it may be called too often, never wrongly.
"""

import logging
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Consent, NotEnoughCredits, ReferenceTaken, User
from avatars import delivery, rules, screening, sending
from avatars.models import (
    Attempt,
    AvatarRequest,
    FacePhoto,
    Heartbeat,
    Quality,
    Reason,
    State,
    Style,
)
from avatars.models.attempts import Breaker, Outcome, Service
from avatars.models.avatar_requests import PROMPT_LIMIT
from avatars.models.pace import WAIT_LIMIT, busy_slots, pace, promise, wait_seconds

logger = logging.getLogger("likeness.engine")
staff = logging.getLogger("likeness.staff")

# The face-photo text people agree to; a new wording is a new version and is asked for again.
FACE_CONSENT_VERSION = "2026-11"
SWEEP_LIMIT = 200
DAY = timedelta(days=1)
POISON_TRIES = 5


class SubmitRefused(Exception):
    """A wish that cannot be taken; no credit moved and nothing was stored."""


class WordsRefused(SubmitRefused):
    def __init__(self, category: str) -> None:
        super().__init__(category)
        self.category = category


class WordsMissing(SubmitRefused):
    """The description is empty or longer than PROMPT_LIMIT characters."""


class PhotoGone(SubmitRefused):
    """The photo was deleted, has expired or was never usable."""


class ConsentMissing(SubmitRefused):
    """The person has not agreed to the current face-photo text, or has withdrawn."""


class PriceMoved(SubmitRefused):
    def __init__(self, cost: int) -> None:
        super().__init__(str(cost))
        self.cost = cost


class TooManyOpen(SubmitRefused):
    def __init__(self, limit: int) -> None:
        super().__init__(str(limit))
        self.limit = limit


class TooManyToday(SubmitRefused):
    def __init__(self, limit: int, again_at: datetime) -> None:
        super().__init__(str(limit))
        self.limit, self.again_at = limit, again_at


class LineTooLong(SubmitRefused):
    """The wait is longer than any promise we could keep."""


class Suspended(SubmitRefused):
    """The person may look and leave, but not make."""


@dataclass(frozen=True)
class Wish:
    """What a person asks for. `number` is the form's draft number: the same number twice is the
    same request. `shown_cost` is the price on the button, in credits (None: not shown).
    """

    photo: FacePhoto
    prompt: str
    style: Style
    quality: Quality
    avoid: str = ""
    number: uuid.UUID | None = None
    shown_cost: int | None = None
    batch: uuid.UUID | None = None


# ── Submit and cancel ───────────────────────────────────────────────────────────────────────────


def submit(user: User, wish: Wish) -> AvatarRequest:
    """Take the wish and hold its credits, in one transaction, once per number.

    Raises NotEnoughCredits or a SubmitRefused; then nothing has moved. Ring the returned
    request's id after the commit.
    """
    number = wish.number or uuid.uuid4()
    now = timezone.now()
    try:
        checked = check_wish(user, wish, now)
        drawing = pace(wish.style, wish.quality).p50
        with transaction.atomic():
            return hold_and_join(user, wish, checked, number, now, drawing)
    except (IntegrityError, ReferenceTaken, SubmitRefused):
        # Pressed again, or a double click whose other half was faster and took the last place.
        winner = AvatarRequest.objects.filter(user=user, public_id=number).first()
        if winner is None:
            raise
        return winner


@dataclass(frozen=True)
class Checked:
    """The clean words of a wish, and what the rules think of them: pass or hold."""

    prompt: str
    avoid: str
    opinion: screening.Opinion


def check_wish(user: User, wish: Wish, now: datetime) -> Checked:
    """Everything that can be refused before the wallet is touched."""
    if user.suspended_at is not None:
        raise Suspended
    prompt = screening.clean_words(wish.prompt)
    avoid = screening.clean_words(wish.avoid)
    if not 1 <= len(prompt) <= PROMPT_LIMIT:
        raise WordsMissing
    opinion = rules.in_force().screen(prompt, avoid)
    if opinion.outcome == screening.REFUSE:
        raise WordsRefused(opinion.category or "rules")
    if wish.photo.user_id != user.pk or not wish.photo.is_present(now):
        raise PhotoGone
    face_consents = Consent.objects.standing().to(Consent.Kind.FACE, FACE_CONSENT_VERSION)
    if not face_consents.filter(user=user).exists():
        raise ConsentMissing
    if wish.shown_cost is not None and wish.shown_cost != wish.quality.cost:
        raise PriceMoved(wish.quality.cost)
    return Checked(prompt, avoid, opinion)


def hold_and_join(
    user: User,
    wish: Wish,
    checked: Checked,
    number: uuid.UUID,
    now: datetime,
    drawing: float,
) -> AvatarRequest:
    """The transaction of a submit: top-up, hold (locks the wallet), counts, turn, row. `drawing`
    is how many seconds a picture takes just now. What a person must read first waits at the desk.
    """
    quota = user.quota
    quota.top_up(now)
    cost = wish.quality.cost
    hold = user.wallet.hold(cost, str(number))
    # Counted only now: the hold's UPDATE has locked the wallet, so two tabs cannot both pass.
    midnight = day_began(now)
    share = AvatarRequest.objects.share(user.pk, midnight)
    if share.open >= quota.max_open:
        raise TooManyOpen(quota.max_open)
    if share.today >= quota.max_per_day:
        raise TooManyToday(quota.max_per_day, midnight + DAY)
    place = (
        reviewed_by(now)
        if checked.opinion.outcome == screening.HOLD
        else place_after(share.turn, drawing, now)
    )
    if not FacePhoto.objects.used(wish.photo.pk, now):
        raise PhotoGone
    avatar_request = AvatarRequest.objects.create(
        public_id=number,
        user=user,
        photo=wish.photo,
        prompt=checked.prompt,
        avoid=checked.avoid,
        style=wish.style,
        quality=wish.quality,
        cost=cost,
        batch=wish.batch,
        hold=hold,
        created_at=now,
        **place,
    )
    if avatar_request.state == State.HELD:
        rules.put_on_desk(avatar_request, checked.opinion)
    return avatar_request


def reviewed_by(now: datetime) -> dict[str, Any]:
    """In review: a person decides in time, or the credits return by themselves."""
    deadline = now + timedelta(hours=settings.REVIEW_HOURS)
    return {"state": State.HELD, "due_at": deadline, "deadline_at": deadline}


def place_after(own_turn: int | None, drawing: float, now: datetime) -> dict[str, Any]:
    """In line, with the promise. Raises LineTooLong when none could be kept."""
    turn = AvatarRequest.objects.turn_after(own_turn)
    shown_wait = wait_behind(turn, drawing, now) + drawing
    if shown_wait > WAIT_LIMIT.total_seconds():
        raise LineTooLong
    return in_line(turn, promise(shown_wait, now), now)


def in_line(turn: int, deadline: datetime, now: datetime) -> dict[str, Any]:
    return {
        "state": State.QUEUED,
        "turn": turn,
        "queued_at": now,
        "due_at": deadline,
        "deadline_at": deadline,
    }


def day_began(now: datetime) -> datetime:
    """Since when the daily limit counts: midnight UTC, the same moment for everybody."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def expected_seconds(style: str, quality: str, now: datetime) -> float:
    """Wait and drawing of a newcomer's request that joined the line now, in seconds."""
    drawing = pace(style, quality).p50
    head = AvatarRequest.objects.in_line().values_list("turn", flat=True).first() or 0
    return wait_behind(head, drawing, now) + drawing


def wait_behind(turn: int, drawing: float, now: datetime) -> float:
    """Seconds until somebody who joins in this turn gets a slot: only whoever stands before them
    counts, not who came before them. Counted no further than matters.
    """
    enough = math.ceil(WAIT_LIMIT.total_seconds() / drawing + 1) * settings.FACE_GEN_SLOTS + 1
    ahead = AvatarRequest.objects.filter(state=State.QUEUED, turn__lte=turn)[:enough].count()
    if ahead < settings.FACE_GEN_SLOTS and ahead < settings.FACE_GEN_SLOTS - busy_slots():
        return 0.0
    return wait_seconds(ahead + 1, drawing, now)


def cancel(avatar_request: AvatarRequest, reason: Reason = Reason.OWNER) -> bool:
    """End a request that waits, with its credits back. False when it is already being drawn or
    has ended.
    """
    if avatar_request.state not in (State.HELD, State.QUEUED):
        return False
    return avatar_request.finish(State.CANCELLED, reason, now=timezone.now())


# ── Advance ─────────────────────────────────────────────────────────────────────────────────────

STEPS: dict[State, Callable[[AvatarRequest], None]] = {
    State.SENDING: sending.send,
    State.UNCERTAIN: sending.settle,
    State.GENERATING: delivery.look,
    State.STORING: delivery.store,
    State.FAILED: delivery.look_for_late_picture,
}


def advance(pk: int) -> list[int]:
    """One step of one request, if it is due. Returns the ids that deserve a doorbell now."""
    avatar_request = (
        AvatarRequest.objects.select_related("photo__file", "hold__wallet").filter(pk=pk).first()
    )
    now = timezone.now()
    if (
        avatar_request is not None
        and avatar_request.due_at is not None
        and (avatar_request.claim(now))
    ):
        # The deadline comes first of all: even a bug below ends in a return.
        if avatar_request.is_past_deadline(now):
            run_out(avatar_request, now)
        elif not poisoned(avatar_request, now):
            STEPS[State(avatar_request.state)](avatar_request)
    return [*sending.dispatch(), *due_now(pk)]


def due_now(pk: int) -> list[int]:
    return list(
        AvatarRequest.objects.filter(pk=pk, due_at__lte=timezone.now()).values_list("pk", flat=True)
    )


TOO_LATE = {
    State.HELD: Reason.REVIEW_LATE,
    State.QUEUED: Reason.LINE_LATE,
    State.SENDING: Reason.LATE,
    State.UNCERTAIN: Reason.UNCONFIRMED,
    State.GENERATING: Reason.LATE,
    State.STORING: Reason.UNSAVED,
}


def run_out(avatar_request: AvatarRequest, now: datetime) -> bool:
    """The promised moment has come: the credits return. A picture that still comes is a gift.
    False when somebody else moved the request first.
    """
    reason = TOO_LATE[State(avatar_request.state)]
    look_again_at = delivery.first_late_look(avatar_request, now)
    return sending.give_up(
        avatar_request, reason, now, outcome=Outcome.UNCERTAIN, look_again_at=look_again_at
    )


def poisoned(avatar_request: AvatarRequest, now: datetime) -> bool:
    """A row that was claimed five times without progress is not tried for ever: before sending the
    credits return; after sending its slot is given up and the promise ends it.
    """
    if avatar_request.tries <= POISON_TRIES or avatar_request.state in (
        State.STORING,
        State.FAILED,
    ):
        return False
    staff.error("request %s was claimed %s times in vain", avatar_request.pk, avatar_request.tries)
    attempt = avatar_request.attempts.live().first()
    if attempt is None or attempt.sent_at is None:
        sending.give_up(avatar_request, Reason.OURS, now)
        return True
    Attempt.objects.filter(pk=attempt.pk).update(slot_no=None)
    return False


def sweep() -> list[int]:
    """Everything that is due and everything that may start: the ids to ring. Harmless when run
    many times at once, anywhere, or late.
    """
    now = timezone.now()
    due = list(AvatarRequest.objects.due(now).values_list("pk", flat=True)[:SWEEP_LIMIT])
    late = AvatarRequest.objects.late_looks(now).values_list("pk", flat=True)
    due += late[: settings.SWEEP_SECONDS]  # one a second for all together (contract §6)
    started = sending.dispatch()
    Heartbeat.beat("sweep", now)
    return [*due, *started]


def take_over() -> int:
    """Make everything a dead engine had claimed due now, instead of when its lease runs out. Only
    for a caller who knows that no other engine is at work (a clone's only one, at its start). An
    order in doubt keeps its wait: what the provider knows has not died.
    """
    now = timezone.now()
    claimed = [State.SENDING, State.GENERATING, State.STORING]
    return AvatarRequest.objects.filter(state__in=claimed, due_at__gt=now).update(due_at=now)


def is_paused(now: datetime) -> bool:
    """Whether drawing stands still for everybody just now."""
    return Breaker.of(Service.FACE_GEN).is_pausing(now)


__all__ = [
    "FACE_CONSENT_VERSION",
    "ConsentMissing",
    "LineTooLong",
    "NotEnoughCredits",
    "PhotoGone",
    "PriceMoved",
    "SubmitRefused",
    "Suspended",
    "TooManyOpen",
    "TooManyToday",
    "Wish",
    "WordsMissing",
    "WordsRefused",
    "advance",
    "cancel",
    "expected_seconds",
    "is_paused",
    "submit",
    "sweep",
    "take_over",
]
