"""AvatarRequest: one paid wish (photo, style, words, quality) and its life from line to end.

Knows photos and, of accounts, the wallet and its transfers. `finish` is the only way to an ending:
state and money change together or not at all. Every other change is a guarded UPDATE too.
"""

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Count, F, Max, Min, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import ReferenceTaken, Transfer, triggers
from avatars.models.photos import FacePhoto


class State(models.TextChoices):
    HELD = "held", _("In review")
    QUEUED = "queued", _("In line")
    SENDING = "sending", _("Drawing")
    UNCERTAIN = "uncertain", _("Drawing")
    GENERATING = "generating", _("Drawing")
    STORING = "storing", _("Saving")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed, credits returned")
    CANCELLED = "cancelled", _("Cancelled")
    REJECTED = "rejected", _("Removed")


ENDED = frozenset({State.READY, State.FAILED, State.CANCELLED, State.REJECTED})
OPEN = frozenset(State) - ENDED
UNDER_WAY = frozenset({State.SENDING, State.UNCERTAIN, State.GENERATING, State.STORING})

# The whole state machine; the database trigger *request_moves_as_planned* is generated from it.
MOVES: dict[State, frozenset[State]] = {
    State.HELD: frozenset({State.QUEUED, State.REJECTED, State.CANCELLED, State.FAILED}),
    State.QUEUED: frozenset({State.SENDING, State.REJECTED, State.CANCELLED, State.FAILED}),
    State.SENDING: frozenset(
        {
            State.GENERATING,
            State.STORING,
            State.QUEUED,
            State.UNCERTAIN,
            State.FAILED,
            State.CANCELLED,
        }
    ),
    State.UNCERTAIN: frozenset({State.GENERATING, State.QUEUED, State.FAILED, State.CANCELLED}),
    State.GENERATING: frozenset({State.STORING, State.QUEUED, State.FAILED, State.CANCELLED}),
    State.STORING: frozenset({State.READY, State.FAILED, State.CANCELLED}),
    State.READY: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.REJECTED: frozenset(),
}

# How long a claim may work undisturbed: at least 1.25 times the step's own deadline (120 s for a
# POST, 90 s for fetch, check and put, 10 s for a look).
LEASES: dict[State, timedelta] = {
    State.HELD: timedelta(seconds=30),
    State.QUEUED: timedelta(seconds=30),
    State.SENDING: timedelta(seconds=150),
    State.UNCERTAIN: timedelta(seconds=30),
    State.GENERATING: timedelta(seconds=30),
    State.STORING: timedelta(seconds=120),
    State.FAILED: timedelta(seconds=120),
}

PROMPT_LIMIT = 500  # characters
AVOID_LIMIT = 200  # characters
# The finished page clears the mail; whoever is still looking a minute later needs none.
MAIL_DELAY = timedelta(seconds=60)
# What its owner did not do, they are told.
TOLD = frozenset({State.READY, State.FAILED, State.REJECTED})


class Style(models.TextChoices):
    REALISTIC = "realistic", _("Realistic")
    ANIME = "anime", _("Anime")
    THREE_D = "3d", _("3D")
    CHIBI = "chibi", _("Chibi")
    COMIC = "comic", _("Comic")


class Quality(models.TextChoices):
    FAST = "fast", _("Fast")
    STANDARD = "standard", _("Standard")
    FINE = "fine", _("Fine")

    @property
    def steps(self) -> int:
        """Inference steps. 21, 31 and 41 are the three that both readings of the provider's
        documentation allow.
        """
        return {"fast": 21, "standard": 31, "fine": 41}[self.value]

    @property
    def cost(self) -> int:
        """Credits. Decided here and nowhere else; a client never names an amount."""
        return {"fast": 1, "standard": 1, "fine": 2}[self.value]


class Reason(models.TextChoices):
    """Why a request ended without a picture. Words for people are the edge's."""

    OWNER = "owner", "cancelled by the owner"
    PHOTO_DELETED = "photo_deleted", "the photo was deleted"
    CONSENT = "consent", "consent withdrawn"
    CLOSED = "closed", "the account was closed"
    REVIEW_LATE = "review_late", "nobody decided in time"
    REVIEW_NO = "review_no", "a reviewer said no"
    LINE_LATE = "line_late", "waited too long in line"
    LATE = "late", "drawing took too long"
    PHOTO_UNREADABLE = "photo_unreadable", "the provider could not use the photo"
    REFUSED = "refused", "the provider refused the order"
    PROVIDER_FAILED = "provider_failed", "the provider failed"
    UNCONFIRMED = "unconfirmed", "the provider never confirmed the order"
    LOST = "lost", "the provider lost the order"
    BLOCKED = "blocked", "blocked by the provider's safety filter"
    BROKEN = "broken", "the picture was broken"
    UNSAVED = "unsaved", "the picture could not be fetched or saved"
    OURS = "ours", "a fault of ours before sending"


class _Lost(Exception):
    """Somebody else moved the row first; roll back what this transaction began."""


@dataclass(frozen=True)
class Share:
    """A person's open requests, those made today, and the highest turn held in line."""

    open: int
    today: int
    turn: int | None


class AvatarRequestQuerySet(models.QuerySet["AvatarRequest"]):
    def open(self) -> "AvatarRequestQuerySet":
        return self.filter(resolution=None)

    def due(self, now: datetime) -> "AvatarRequestQuerySet":
        """Open ones whose next look has come. Of the ended only FAILED ones look again, so leaving
        those out leaves the open; said like this SQLite walks along due_at and no other index.
        """
        return self.filter(due_at__lte=now).exclude(state=State.FAILED).order_by("due_at")

    def late_looks(self, now: datetime) -> "AvatarRequestQuerySet":
        """Ended ones whose picture may still come: what is looked at last of all."""
        return self.filter(due_at__lte=now, resolution__isnull=False).order_by("due_at")

    def in_line(self) -> "AvatarRequestQuerySet":
        """Whoever waits for a slot, in the order in which slots are given out."""
        return self.filter(state=State.QUEUED).order_by("turn", "pk")

    def next_turn(self, user_id: int) -> int:
        """The turn of this person's next request, see `turn_after`."""
        own = self.filter(state=State.QUEUED, user_id=user_id)
        return self.turn_after(own.aggregate(turn=Max("turn"))["turn"])

    def turn_after(self, own: int | None) -> int:
        """A person's n-th waiting request stands in round n; the head of the line is never
        overtaken, and somebody with one wish never waits behind all of somebody else's hundred.
        `own` is the highest turn that this person holds in line.
        """
        lowest = self.filter(state=State.QUEUED).aggregate(turn=Min("turn"))["turn"] or 0
        return max(lowest, own + 1 if own is not None else 0)

    def share(self, user_id: int, midnight: datetime) -> "Share":
        """What this person has of the line and of the day, in one query."""
        found = self.filter(user_id=user_id).aggregate(
            open=Count("pk", filter=Q(resolution=None)),
            today=Count("pk", filter=Q(created_at__gte=midnight)),
            turn=Max("turn", filter=Q(state=State.QUEUED)),
        )
        return Share(**found)


class AvatarRequest(models.Model):
    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="requests"
    )
    photo = models.ForeignKey(
        FacePhoto, on_delete=models.SET_NULL, null=True, related_name="requests"
    )
    prompt = models.CharField(max_length=PROMPT_LIMIT)
    avoid = models.CharField(max_length=AVOID_LIMIT, blank=True)
    style = models.CharField(max_length=10, choices=Style.choices)
    quality = models.CharField(max_length=10, choices=Quality.choices)
    cost = models.PositiveSmallIntegerField()
    batch = models.UUIDField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=State.choices)
    turn = models.PositiveIntegerField(default=0)
    # Nobody looks at this row before then: lease, backoff and poll schedule in one column.
    due_at = models.DateTimeField(null=True)
    # The promise printed on the page: a picture or the credits back by then. Never moved later.
    deadline_at = models.DateTimeField(null=True)
    # The fencing number: a worker that was asleep commits with an old one and matches no row.
    lease_no = models.PositiveIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    setbacks = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=20, blank=True, choices=Reason.choices)
    hold = models.OneToOneField(Transfer, on_delete=models.PROTECT, related_name="+")
    resolution = models.OneToOneField(
        Transfer, on_delete=models.PROTECT, null=True, related_name="+"
    )
    queued_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    mail_due_at = models.DateTimeField(null=True)
    dismissed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = AvatarRequestQuerySet.as_manager()

    class Meta:
        permissions = [
            ("settle_request", "Can look again at a request, or fail it with its credits back"),
        ]
        indexes = [
            # Plain, not partial: SQLite did not use a partial index for the sweep's condition.
            models.Index(fields=["due_at"], name="requests_due"),
            models.Index(fields=["state", "turn", "id"], name="requests_in_line"),
            models.Index(fields=["user", "state", "turn"], name="requests_of_a_person_by_state"),
            models.Index(fields=["user", "-id"], name="requests_of_a_person"),
            models.Index(fields=["ended_at"], name="requests_by_ending"),
            models.Index(fields=["mail_due_at"], name="requests_mail_due"),
            models.Index(fields=["state", "style", "quality", "-id"], name="requests_for_pace"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=sorted(ENDED), resolution__isnull=False)
                | Q(state__in=sorted(OPEN), resolution=None),
                name="request_ended_exactly_when_resolved",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(ENDED))
                | Q(due_at__isnull=False, deadline_at__isnull=False),
                name="open_request_has_next_look_and_deadline",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted({*OPEN, State.READY})) | ~Q(reason=""),
                name="request_without_a_picture_says_why",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=sorted(ENDED - {State.FAILED})) | Q(due_at=None),
                name="only_failed_requests_look_again",
            ),
            models.CheckConstraint(condition=Q(cost__gt=0), name="request_costs_something"),
        ]

    def __str__(self) -> str:
        return f"{self.public_id} {self.state}"

    @property
    def reference(self) -> str:
        """The name under which the ledger knows this request."""
        return str(self.public_id)

    def is_open(self) -> bool:
        return self.resolution_id is None

    def was_given_back(self) -> bool:
        """Whether staff have given its cost back as a gift."""
        return Transfer.objects.filter(reference=f"goodwill:{self.reference}").exists()

    def is_past_deadline(self, now: datetime) -> bool:
        return self.is_open() and self.deadline_at is not None and self.deadline_at <= now

    def _mine(self) -> models.QuerySet["AvatarRequest"]:
        """This row as long as nobody has moved or claimed it since we read it."""
        return AvatarRequest.objects.filter(pk=self.pk, state=self.state, lease_no=self.lease_no)

    def _changed(self, fields: dict[str, Any]) -> bool:
        for name, value in fields.items():
            setattr(self, name, value)
        return True

    def by_deadline(self, moment: datetime) -> datetime:
        """That moment, or the promised one if it comes first: nothing open is met later."""
        if not self.is_open() or self.deadline_at is None:
            return moment
        return min(moment, self.deadline_at)

    def claim(self, now: datetime) -> bool:
        """Take this due row for the length of its lease. One statement: one winner."""
        due_at = now + LEASES[State(self.state)]
        claimed = self._mine().filter(due_at__lte=now)
        if not claimed.update(due_at=due_at, lease_no=F("lease_no") + 1, tries=F("tries") + 1):
            return False
        return self._changed(
            {"due_at": due_at, "lease_no": self.lease_no + 1, "tries": self.tries + 1}
        )

    def renew(self, now: datetime) -> bool:
        """Prove that the claim still holds, and start its lease anew (before a POST)."""
        due_at = now + LEASES[State(self.state)]
        return bool(self._mine().update(due_at=due_at)) and self._changed({"due_at": due_at})

    def move(self, to: State, **fields: Any) -> bool:  # noqa: ANN401 - any column of this row
        """Go to another open state, if the row is still ours. False: somebody else won; drop the
        work. Endings go through `finish`.
        """
        fields = {"state": to, "tries": 0, **fields}
        return bool(self._mine().update(**fields)) and self._changed(fields)

    def wait(self, until: datetime, **fields: Any) -> bool:  # noqa: ANN401 - any column of this row
        """Stay in this state and be looked at again then, at the latest at the deadline."""
        fields = {"due_at": self.by_deadline(until), **fields}
        return bool(self._mine().update(**fields)) and self._changed(fields)

    def wait_no_more(self) -> bool:
        """An ended request is not looked at again. False: somebody else has it."""
        return bool(self._mine().update(due_at=None)) and self._changed({"due_at": None})

    def finish(
        self,
        to: State,
        reason: Reason | str = "",
        *,
        now: datetime,
        look_again_at: datetime | None = None,
    ) -> bool:
        """End: capture for READY, release for every other ending, in one transaction with the
        state. False when somebody else ended or claimed it first; then nothing has moved.
        """
        if to not in ENDED:
            raise ValueError(f"{to} is not an ending")
        try:
            with transaction.atomic():
                # Locks are taken wallet first, then request, everywhere.
                wallet = self.hold.wallet
                wallet.lock()
                resolve = wallet.capture if to == State.READY else wallet.release
                fields = {
                    "state": to,
                    "reason": reason,
                    "resolution": resolve(self.cost, self.reference),
                    "ended_at": now,
                    "due_at": look_again_at,
                    "tries": 0,
                    "mail_due_at": now + MAIL_DELAY if to in TOLD else None,
                }
                if not self._mine().filter(resolution=None).update(**fields):
                    raise _Lost
                if self.photo_id:
                    FacePhoto.objects.used(self.photo_id, now)
                if self.state == State.HELD:
                    self.reviews.follow(to, now)
        except (_Lost, ReferenceTaken):
            return False
        return self._changed(fields)

    def step_backoff(self) -> timedelta:
        """1, 2, 4 … 30 s by the tries so far, ±20 % so that waits do not march in step."""
        seconds = min(30.0, 2.0 ** max(0, self.tries - 1))
        return timedelta(seconds=seconds * jitter())


def jitter() -> float:
    """A factor between 0.8 and 1.2."""
    return random.uniform(0.8, 1.2)  # noqa: S311 - spreading load, not secrets


TRIGGERS = ("request_moves_as_planned", "ended_request_keeps_its_money")


def install_triggers(using: str) -> None:
    """The state machine and the finality of money, promised by the database from MOVES."""
    allowed = " OR ".join(
        f"(OLD.state = '{source}' AND NEW.state = '{target}')"
        for source, targets in MOVES.items()
        for target in sorted(targets)
    )
    triggers.refuse_updates(
        using,
        AvatarRequest,
        name="request_moves_as_planned",
        fields=["state"],
        when=f"NOT ({allowed})",
    )
    triggers.refuse_updates(
        using,
        AvatarRequest,
        name="ended_request_keeps_its_money",
        fields=["resolution", "hold", "cost"],
        when="OLD.resolution_id IS NOT NULL",
    )
