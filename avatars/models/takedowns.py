"""Takedown: a formal demand that pictures go, with a deadline; Removal: that one did go, and why;
BlockedPicture: what must not come back, as a digest and nothing else.

Knows avatars.
"""

import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from avatars.models.avatars import Avatar

# What the report page promises (the law on intimate images says the same).
ANSWER_WITHIN = timedelta(hours=48)
SOON = timedelta(hours=24)
URGENT = timedelta(hours=6)

# Crockford's base 32: no letter is taken for a digit. 16 of them are 80 bits: nobody guesses one.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NUMBER_GROUPS, GROUP_LETTERS = 4, 4

NAME_LETTERS, WORDS_LETTERS = 120, 3000
REASON_LETTERS = 300  # as many as a Decision holds

# Bits of 64 in which two difference hashes may differ and still show one picture. Measured on our
# photos and the stand-in's drawings (tests/avatars/test_near_pictures.py): a picture saved anew,
# resized or darkened differs in 0 to 4 from its nearest blocked hash, one trimmed by up to 4 % in
# 0 to 5, pictures of other motifs and other persons in 21 and more.
NEAR_BITS = 6
# A hash of almost only zeros or ones is that of a plain wall: it tells no picture from another.
TELLING_BITS = range(8, 57)


def new_number() -> str:
    """`7K3F-9QXZ-…`: a report's number, which is also the right to read how it stands."""
    letters = [secrets.choice(ALPHABET) for _letter in range(NUMBER_GROUPS * GROUP_LETTERS)]
    return "-".join(re.findall("." * GROUP_LETTERS, "".join(letters)))


class RemovalReason(models.TextChoices):
    """Why staff remove a picture, in the words its owner and the reporter read."""

    SEXUAL = "sexual", _("sexual content")
    MINORS = "minors", _("someone under 18")
    CONSENT = "consent", _("a real person who did not agree")
    HATE = "hate", _("hate")
    VIOLENCE = "violence", _("violence")
    DECEPTION = "deception", _("deception or an identity document")
    COPYRIGHT = "copyright", _("copyright")
    SPAM = "spam", _("spam")
    QUALITY = "quality", _("low quality")


class TakedownKind(models.TextChoices):
    ME = "me", _("This is me and I did not agree")
    INTIMATE = "intimate", _("An intimate image")
    MINOR = "minor", _("Someone under 18")
    COPYRIGHT = "copyright", _("Copyright")
    OTHER = "other", _("Something else")


# Shown to nobody from the report on until a person has looked.
HELD_AT_ONCE = (TakedownKind.INTIMATE, TakedownKind.MINOR)


class TakedownState(models.TextChoices):
    OPEN = "open", _("Open")
    REMOVED = "removed", _("Removed")
    REFUSED = "refused", _("Refused")


class TakedownQuerySet(models.QuerySet["Takedown"]):
    def waiting(self) -> "TakedownQuerySet":
        """Undecided, the nearest deadline first."""
        return self.filter(state=TakedownState.OPEN).order_by("deadline_at", "pk")

    def decided(self) -> "TakedownQuerySet":
        return self.exclude(state=TakedownState.OPEN).order_by("-decided_at", "-pk")

    def holding(self, avatar: Avatar) -> "TakedownQuerySet":
        """Undecided ones because of which this picture is shown to nobody."""
        return self.filter(state=TakedownState.OPEN, holds=True, pictures=avatar)

    def uncalled(self, now: datetime) -> "TakedownQuerySet":
        """Nearly due, and staff have not been called yet."""
        return self.filter(state=TakedownState.OPEN, called_at=None, deadline_at__lte=now + URGENT)


class Takedown(models.Model):
    State = TakedownState
    Kind = TakedownKind

    number = models.CharField(max_length=19, unique=True, default=new_number, editable=False)
    kind = models.CharField(max_length=10, choices=TakedownKind.choices)
    links = models.TextField()
    what = models.TextField()
    name = models.CharField(max_length=NAME_LETTERS)
    contact = models.EmailField()
    pictures = models.ManyToManyField(Avatar, related_name="takedowns")
    # Its pictures' links show nothing until it is decided.
    holds = models.BooleanField(default=False)
    state = models.CharField(
        max_length=8, choices=TakedownState.choices, default=TakedownState.OPEN
    )
    deadline_at = models.DateTimeField()
    called_at = models.DateTimeField(null=True)
    category = models.CharField(max_length=12, choices=RemovalReason.choices, blank=True)
    # Why it was refused, in words for the reporter.
    answer = models.CharField(max_length=REASON_LETTERS, blank=True)
    decided_at = models.DateTimeField(null=True)
    # A letter to the reporter is owed from then on; which one, the state says.
    mail_due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = TakedownQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["state", "deadline_at"], name="takedowns_by_deadline"),
            models.Index(fields=["mail_due_at"], name="takedown_letters_due"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state=TakedownState.OPEN, decided_at=None, category="", answer="")
                | Q(state=TakedownState.REMOVED, decided_at__isnull=False) & ~Q(category="")
                | Q(state=TakedownState.REFUSED, decided_at__isnull=False) & ~Q(answer=""),
                name="takedown_decided_says_why",
            ),
        ]
        permissions = [("decide_takedown", "Can decide takedown notices")]

    def __str__(self) -> str:
        return f"takedown {self.pk}"

    def decide(self, state: TakedownState, now: datetime, **fields: str) -> bool:
        """Once: False when somebody decided it meanwhile. The reporter's letter is owed then."""
        open_still = Takedown.objects.filter(pk=self.pk, state=TakedownState.OPEN)
        return bool(open_still.update(state=state, decided_at=now, mail_due_at=now, **fields))


class Removal(models.Model):
    """A picture that staff took down; its owner reads why on its page and in a letter."""

    avatar = models.OneToOneField(Avatar, on_delete=models.CASCADE, related_name="removal")
    category = models.CharField(max_length=12, choices=RemovalReason.choices)
    credits_back = models.PositiveSmallIntegerField(default=0)
    mail_due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["mail_due_at"], name="removal_letters_due")]

    def __str__(self) -> str:
        return f"removal of {self.avatar_id}"


class BlockedPictureQuerySet(models.QuerySet["BlockedPicture"]):
    def block(self, *, exact: Iterable[str] = (), near: Iterable[str] = ()) -> None:
        """From now on neither these pictures nor their likes come in or are shared."""
        rows = [BlockedPicture(kind=BlockedPicture.Kind.EXACT, digest=digest) for digest in exact]
        rows += [BlockedPicture(kind=BlockedPicture.Kind.NEAR, digest=digest) for digest in near]
        BlockedPicture.objects.bulk_create(rows, ignore_conflicts=True)

    def match(self, *, exact: Iterable[str], near: str) -> bool:
        """Whether a picture of these SHA-256 digests and this difference hash was removed."""
        if self.filter(kind=BlockedPicture.Kind.EXACT, digest__in=list(exact)).exists():
            return True
        hashes = self.filter(kind=BlockedPicture.Kind.NEAR).values_list("digest", flat=True)
        return any(is_near(near, blocked) for blocked in hashes.iterator())


class BlockedPicture(models.Model):
    """One digest of a picture that was removed: no picture, person or text can be had from it."""

    class Kind(models.TextChoices):
        EXACT = "exact"  # SHA-256 of a file, 64 hex digits
        NEAR = "near"  # imaging's difference hash, 16 hex digits

    kind = models.CharField(max_length=5, choices=Kind.choices)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    objects = BlockedPictureQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "digest"], name="blocked_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest}"


def distance(one: str, other: str) -> int:
    """In how many of 64 bits two difference hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def is_near(one: str, other: str) -> bool:
    """One picture, saved anew, resized or slightly trimmed; never two plain walls."""
    tell = all(int(each, 16).bit_count() in TELLING_BITS for each in (one, other))
    return tell and distance(one, other) <= NEAR_BITS
