"""Attempt: one submission to the provider, written before it is sent. Breaker and Heartbeat beside.

Knows requests. A slot is a number on a live attempt, UNIQUE in the database: the whole cap.
"""

import hashlib
import secrets
from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from avatars.models.avatar_requests import AvatarRequest

MAX_ATTEMPTS = 2
MAX_RINGS = 5
MAX_FACE_HITS = 5
SLOT_LIMIT = timedelta(minutes=10)
FACE_LINK_LIFE = timedelta(minutes=15)
# The provider's outputs vanish after 24 h (its documentation); looking ends well before.
GIFT_WATCH = timedelta(hours=20)
# After so long there is nothing left to erase (the same documentation).
RESULT_LIFE = timedelta(hours=24)
ERASE_WAIT = timedelta(seconds=30)
ERASE_LONGEST_WAIT = timedelta(hours=1)


def new_token() -> str:
    """256 random bits for an address; only the hash is stored."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Outcome(models.TextChoices):
    """How an attempt ended."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    UNREAD = "unread"  # its face link was revoked before anybody read it
    UNCERTAIN = "uncertain"  # ended without ever being clear
    RETURNED = "returned"  # not accepted: back in line
    STOPPED = "stopped"  # the request ended for a reason of its own
    WITHDRAWN = "withdrawn"  # its owner took everything back: nothing of it is ever kept


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def live(self) -> "AttemptQuerySet":
        return self.filter(ended_at=None)

    def open_face(self, token: str, now: datetime) -> "AttemptQuerySet":
        """The attempt whose face link this is, while the link is valid."""
        return self.filter(
            face_hash=token_hash(token),
            face_open=True,
            face_hits__lt=MAX_FACE_HITS,
            sent_at__gt=now - FACE_LINK_LIFE,
        )

    def owe_erasure(self, now: datetime) -> int:
        """The provider is to be asked to erase what it still has of these orders, once nobody
        waits for it any more. Call in the transaction that takes their photo away.
        """
        sent = self.filter(sent_at__gt=now - RESULT_LIFE, erase_answered_at=None)
        return sent.update(erase_due_at=now)

    def erasures_due(self, now: datetime) -> "AttemptQuerySet":
        return self.filter(erase_due_at__lte=now).order_by("erase_due_at")

    def serve_face(self, token: str, now: datetime) -> bool:
        """Count one read of the face link, under the same condition that makes it valid. False: it
        is closed. Together with `revoke_unread` exactly one of the two can be first.
        """
        counted = self.open_face(token, now).update(face_hits=F("face_hits") + 1, face_read_at=now)
        return bool(counted)


class Attempt(models.Model):
    request = models.ForeignKey(AvatarRequest, on_delete=models.CASCADE, related_name="attempts")
    # 1 or 2; NULL for one that was not accepted but whose face was read (kept for the owner).
    number = models.PositiveSmallIntegerField(null=True)
    slot_no = models.PositiveSmallIntegerField(null=True, unique=True)
    doorbell_hash = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001 - NULLs are apart, '' would clash
    face_hash = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001 - likewise
    face_open = models.BooleanField(default=False)
    face_hits = models.PositiveSmallIntegerField(default=0)
    face_read_at = models.DateTimeField(null=True)
    rings = models.PositiveSmallIntegerField(default=0)
    rung_at = models.DateTimeField(null=True)  # the first of them
    provider_job_id = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001 - likewise
    eta = models.FloatField(null=True)
    # One list of candidate addresses per picture: the output first, then its alternative.
    outputs = models.JSONField(default=list)
    sent_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, blank=True, choices=Outcome.choices)
    # The debt of asking the provider to erase its result, and what it said: yes, no or nothing yet.
    erase_due_at = models.DateTimeField(null=True)
    erase_tries = models.PositiveSmallIntegerField(default=0)
    erase_answered_at = models.DateTimeField(null=True)
    erased = models.BooleanField(null=True)
    # A few words of the provider for staff, cleaned by the client; never shown to people.
    detail = models.CharField(max_length=200, blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["erase_due_at"], name="erasures_due")]
        constraints = [
            models.UniqueConstraint(
                fields=["request"],
                condition=Q(ended_at=None),
                name="one_live_attempt_per_request",
            ),
            models.UniqueConstraint(fields=["request", "number"], name="attempts_are_numbered"),
            models.CheckConstraint(
                condition=Q(number=None) | Q(number__range=(1, MAX_ATTEMPTS)),
                name="two_attempts_at_most",
            ),
            models.CheckConstraint(
                condition=Q(slot_no=None) | Q(slot_no__range=(1, 64), ended_at=None),
                name="slot_only_while_live",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(face_open=False), name="face_closed_when_ended"
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.request_id}"

    @property
    def track_id(self) -> int:
        """The attempt's own number: a cross-check on the provider's side, never the key."""
        return self.pk

    def revoke_unread(self) -> bool:
        """Close the face link only while nobody has read it: afterwards the first copy of the
        order can no longer draw, so a second one is safe.
        """
        unread = Attempt.objects.filter(pk=self.pk, face_open=True, face_hits=0)
        return bool(unread.update(face_open=False))

    def count_ring(self, now: datetime) -> bool:
        """False when its doorbell has rung often enough."""
        counted = Attempt.objects.filter(pk=self.pk, rings__lt=MAX_RINGS)
        return bool(counted.update(rings=F("rings") + 1, rung_at=Coalesce("rung_at", Value(now))))

    def has_job_number(self) -> bool:
        """As the row is now."""
        return Attempt.objects.filter(pk=self.pk, provider_job_id__isnull=False).exists()

    def end(self, outcome: Outcome, now: datetime, **fields: object) -> None:
        """Free the slot and close the face link. Call inside the transaction that moves the
        request, after its guarded UPDATE has won.
        """
        Attempt.objects.filter(pk=self.pk, ended_at=None).update(
            ended_at=now, outcome=outcome, slot_no=None, face_open=False, **fields
        )

    def free_overdue_slot(self, now: datetime) -> None:
        """Ten minutes after sending the slot is given up; the wait goes on to the promise."""
        if self.slot_no and self.sent_at and now - self.sent_at >= SLOT_LIMIT:
            Attempt.objects.filter(pk=self.pk).update(slot_no=None)

    def undo(self, now: datetime) -> bool:
        """Nothing was accepted: forget it, unless its face was read, which its owner may know.
        False when a doorbell has named a job of it: then something was accepted after all.
        """
        unclaimed = Attempt.objects.filter(pk=self.pk, provider_job_id=None)
        if unclaimed.filter(face_hits=0).delete()[0]:
            return True
        returned = {"outcome": Outcome.RETURNED, "ended_at": now, "number": None}
        return bool(unclaimed.update(slot_no=None, face_open=False, **returned))

    def is_watched(self, now: datetime) -> bool:
        """Whether a late picture may still come of it."""
        return (
            self.sent_at is not None
            and self.sent_at + GIFT_WATCH > now
            and self.outcome
            not in (Outcome.REFUSED, Outcome.UNREAD, Outcome.FAILED, Outcome.WITHDRAWN)
        )

    def remember_job(self, job_id: str | None) -> None:
        """The provider names the job of an order that was withdrawn meanwhile: known from now on,
        so that it can be asked to erase it.
        """
        nameless = Attempt.objects.filter(
            pk=self.pk, outcome=Outcome.WITHDRAWN, provider_job_id=None
        )
        with suppress(IntegrityError), transaction.atomic():  # another attempt's: not ours to erase
            nameless.update(provider_job_id=job_id or None)

    def put_off_erasure(self, until: datetime) -> bool:
        """Not now. False: somebody else is at it."""
        mine = Attempt.objects.filter(pk=self.pk, erase_due_at=self.erase_due_at)
        return bool(mine.update(erase_due_at=until))

    def claim_erasure(self, now: datetime) -> bool:
        """Ask now, and again later if nobody answers: the waits double up to an hour."""
        wait = min(ERASE_LONGEST_WAIT, ERASE_WAIT * 2 ** min(self.erase_tries, 10))
        mine = Attempt.objects.filter(pk=self.pk, erase_due_at=self.erase_due_at)
        return bool(mine.update(erase_due_at=now + wait, erase_tries=F("erase_tries") + 1))

    def close_erasure(self, now: datetime | None, *, erased: bool | None) -> None:
        """What the provider said last; nobody asks again. `now` is None when it never answered."""
        Attempt.objects.filter(pk=self.pk).update(
            erase_due_at=None, erase_answered_at=now, erased=erased
        )


class Service(models.TextChoices):
    FACE_GEN = "face_gen"
    STORAGE = "storage"


FULL_PAUSE = timedelta(seconds=30)
ACCOUNT_PAUSE = timedelta(minutes=10)
WIDEN_AFTER = timedelta(minutes=5)
STRIKES_TO_NARROW = 5
# Three failures of the storage in a minute give it half a minute of rest.
FAILURES_TO_REST = 3
FAILURES_WITHIN = timedelta(minutes=1)
STORAGE_REST = timedelta(seconds=30)


# Why it pauses, where the staff's page must tell us from them.
OUR_ACCOUNT = "our account"
FULL = "full"


class Breaker(models.Model):
    """Pause and narrow, then widen: how many orders we dare at once, and whether now."""

    service = models.CharField(max_length=16, unique=True, choices=Service.choices)
    width = models.PositiveSmallIntegerField()
    paused_until = models.DateTimeField(null=True)
    strikes = models.PositiveSmallIntegerField(default=0)
    narrowed_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    # Staff's own pause, which no success of an order under way may end.
    stopped_until = models.DateTimeField(null=True)

    class Meta:
        permissions = [
            ("view_figures", "Can read the dashboard and the provider's page"),
            ("pause_drawing", "Can pause drawing and resume it"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(width__range=(1, 64)), name="breaker_width_1_to_64"),
        ]

    def __str__(self) -> str:
        return self.service

    @classmethod
    def of(cls, service: Service) -> "Breaker":
        breaker, _new = cls.objects.get_or_create(
            service=service, defaults={"width": settings.FACE_GEN_SLOTS}
        )
        return breaker

    def is_pausing(self, now: datetime) -> bool:
        until = self.pauses_until
        return until is not None and until > now

    def is_stopped(self, now: datetime) -> bool:
        """By staff."""
        return self.stopped_until is not None and self.stopped_until > now

    @property
    def pauses_until(self) -> datetime | None:
        """The later of its own pause and the staff's."""
        return max(filter(None, (self.paused_until, self.stopped_until)), default=None)

    def width_now(self, now: datetime) -> int:
        """How many places we dare to take: one wider for every five quiet minutes."""
        if self.strikes >= STRIKES_TO_NARROW:
            return 1
        if self.narrowed_at is None:
            return settings.FACE_GEN_SLOTS
        quiet_periods = max(0, int((now - self.narrowed_at) / WIDEN_AFTER))
        return min(self.width + quiet_periods, settings.FACE_GEN_SLOTS)

    def allowed(self, now: datetime, in_doubt: int = 0) -> int:
        """How many places may be taken now. While we try one order at a time, those `in_doubt` do
        not count: one that never tells would keep everybody waiting until its slot is given up.
        """
        if self.is_pausing(now):
            return 0
        is_trying = self.strikes >= STRIKES_TO_NARROW
        return self.width_now(now) + (in_doubt if is_trying else 0)

    def pause(self, until: datetime, reason: str) -> None:
        Breaker.objects.filter(pk=self.pk).filter(
            Q(paused_until=None) | Q(paused_until__lt=until)
        ).update(paused_until=until, reason=reason[:200])

    def stop(self, until: datetime) -> None:
        """Staff's pause: nothing is sent before then. Why stands in their Decision."""
        Breaker.objects.filter(pk=self.pk).update(stopped_until=until)

    def resume(self, now: datetime) -> bool:
        """Staff end every pause. Strikes stay: after a fault the first order goes alone. False:
        none was on any more.
        """
        pausing = Q(paused_until__gt=now) | Q(stopped_until__gt=now)
        row = Breaker.objects.filter(pausing, pk=self.pk)
        return bool(row.update(stopped_until=None, paused_until=None, reason=""))

    def full(self, retry_after: float | None, now: datetime) -> None:
        """The provider is full: everybody pauses, and there is one place fewer; only one, however
        many orders were told so before the pause reached them.
        """
        seconds = min(300.0, max(5.0, retry_after)) if retry_after else FULL_PAUSE.total_seconds()
        self._undisturbed(now).update(width=max(1, self.width_now(now) - 1), narrowed_at=now)
        self.pause(now + timedelta(seconds=seconds), FULL)

    def _undisturbed(self, now: datetime) -> models.QuerySet["Breaker"]:
        """This row, unless it pauses: what fails during a pause left before it, and belongs to the
        same fault. One outage met by ten orders is one.
        """
        return Breaker.objects.filter(
            Q(paused_until=None) | Q(paused_until__lte=now), pk=self.pk, strikes=self.strikes
        )

    def strike(self, now: datetime, reason: str) -> None:
        """The n-th fault in a row pauses 2ⁿ seconds, up to ten minutes."""
        self.refresh_from_db()
        strikes = self.strikes + 1
        seconds = min(ACCOUNT_PAUSE.total_seconds(), 2.0 ** min(strikes, 16))
        self._undisturbed(now).update(
            strikes=strikes, paused_until=now + timedelta(seconds=seconds), reason=reason[:200]
        )

    def account_trouble(self, now: datetime, reason: str) -> None:
        """Key, funds or route: nothing will work until staff have looked; then one at a time."""
        Breaker.objects.filter(pk=self.pk).update(strikes=STRIKES_TO_NARROW)
        self.pause(now + ACCOUNT_PAUSE, f"{OUR_ACCOUNT}: {reason}")

    def failure(self, now: datetime) -> None:
        """The storage did not take an object; `narrowed_at` is the first failure of the minute."""
        this_minute = Breaker.objects.filter(pk=self.pk, narrowed_at__gt=now - FAILURES_WITHIN)
        if not this_minute.update(strikes=F("strikes") + 1):
            Breaker.objects.filter(pk=self.pk).update(strikes=1, narrowed_at=now)
        Breaker.objects.filter(pk=self.pk, strikes__gte=FAILURES_TO_REST).update(
            paused_until=now + STORAGE_REST, strikes=0, narrowed_at=None, reason="storage away"
        )

    def success(self) -> None:
        Breaker.objects.filter(pk=self.pk).exclude(strikes=0).update(
            strikes=0, paused_until=None, reason=""
        )


class Heartbeat(models.Model):
    """Health is a fresh row, not a process that is up."""

    name = models.CharField(max_length=20, unique=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @classmethod
    def beat(cls, name: str, now: datetime) -> None:
        if not cls.objects.filter(name=name).update(seen_at=now):
            cls.objects.get_or_create(name=name, defaults={"seen_at": now})
