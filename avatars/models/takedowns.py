"""Takedown: a formal demand that pictures go, with a deadline; Removal: that one did go, and why;
BlockedPicture: what must not come back, as a digest and nothing else.

Knows avatars, categories and review items.
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
from avatars.models.near import is_near
from avatars.models.reviews import ReviewItem
from avatars.models.rules import Category

# What the report page promises (the law on intimate images says the same).
ANSWER_WITHIN = timedelta(hours=48)
SOON = timedelta(hours=24)
URGENT = timedelta(hours=6)

# Crockford's base 32: no letter is taken for a digit. 16 of them are 80 bits: nobody guesses one.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NUMBER_GROUPS, GROUP_LETTERS = 4, 4

# How long we know who sent a notice after it was decided: the time in which either side may ask
# again. The decision itself stays.
SENDER_PERIOD = timedelta(days=365)

NAME_LETTERS, WORDS_LETTERS = 120, 3000
REASON_LETTERS = 300  # as many as a Decision holds


def new_number() -> str:
    """`7K3F-9QXZ-…`: a report's number, which is also the right to read how it stands."""
    letters = [secrets.choice(ALPHABET) for _letter in range(NUMBER_GROUPS * GROUP_LETTERS)]
    return "-".join(re.findall("." * GROUP_LETTERS, "".join(letters)))


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

    def forget_senders(self, now: datetime) -> int:
        """Name, address and words of those decided long ago go, and their links."""
        old = self.filter(decided_at__lte=now - SENDER_PERIOD, mail_due_at=None)
        return old.exclude(contact="").update(name="", contact="", what="", links="")


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
    category = models.CharField(max_length=24, choices=Category.choices, blank=True)
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
    """A picture that staff took down; its owner reads why on its page and in a letter. Gone again
    when the moderators think better of it, which they can until it is final.
    """

    avatar = models.OneToOneField(Avatar, on_delete=models.CASCADE, related_name="removal")
    category = models.CharField(max_length=24, choices=Category.choices)
    credits_back = models.PositiveSmallIntegerField(default=0)
    # By a takedown: its files are gone, or locked away as evidence.
    is_final = models.BooleanField(default=False)
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

    def has(self, digests: Iterable[str]) -> bool:
        """Whether one of these files was removed, byte for byte."""
        return self.filter(kind=BlockedPicture.Kind.EXACT, digest__in=list(digests)).exists()

    def has_like(self, near_hash: str) -> bool:
        """Whether a picture was removed that looks like this one: a guess, see `models.near`."""
        hashes = self.filter(kind=BlockedPicture.Kind.NEAR).values_list("digest", flat=True)
        return any(is_near(near_hash, blocked) for blocked in hashes.iterator())


class BlockedPicture(models.Model):
    """One digest of a picture that was removed: no picture, person or text can be had from it."""

    class Kind(models.TextChoices):
        EXACT = "exact"  # SHA-256 of a file, 64 hex digits
        NEAR = "near"  # a near hash, 64 hex digits

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


def is_held(avatar: Avatar) -> bool:
    """Whether its links show nothing until a person has looked: because of a grave notice or
    report, or because it looks like a picture that was removed.
    """
    return Takedown.objects.holding(avatar).exists() or ReviewItem.objects.holding(avatar).exists()
