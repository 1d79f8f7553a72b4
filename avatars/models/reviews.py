"""ReviewItem: one thing that waits for a moderator, until when, who has it, how it ended.

Knows requests, avatars, rules and, of accounts, the ledger. An item about a held description ends
with its request, in the same transaction; everything else ends at the desk (`avatars.moderation`).
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Aggregate, Count, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Least
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Pocket, Transfer, User
from avatars.models.avatar_requests import AvatarRequest, State
from avatars.models.avatars import Avatar
from avatars.models.rules import Category

CLAIM_PERIOD = timedelta(minutes=10)


class ReviewKind(models.TextChoices):
    DESCRIPTION = "description", _("held description")
    REPORT = "report", _("report")
    FIRST_SHARE = "first_share", _("first share of a new person")
    LOOKALIKE = "lookalike", _("share of a picture like a removed one")
    APPEAL = "appeal", _("appeal")


class ReviewOutcome(models.TextChoices):
    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")
    KEPT = "kept", _("kept")
    REMOVED = "removed", _("removed")
    GIFTED = "gifted", _("removed, credits given back")
    GRANTED = "granted", _("appeal granted")
    DENIED = "denied", _("appeal denied")
    WITHDRAWN = "withdrawn", _("cancelled by its owner")
    LATE = "late", _("nobody decided in time")


AGAINST = (ReviewOutcome.REJECTED, ReviewOutcome.REMOVED, ReviewOutcome.GIFTED)
# What becomes of the item when a held request ends, whoever ends it.
FOLLOWS = {
    State.REJECTED: ReviewOutcome.REJECTED,
    State.CANCELLED: ReviewOutcome.WITHDRAWN,
    State.FAILED: ReviewOutcome.LATE,
}


class ReviewItemQuerySet(models.QuerySet["ReviewItem"]):
    def waiting(self) -> "ReviewItemQuerySet":
        return self.filter(outcome="")

    def evidence(self, avatar: Avatar) -> "ReviewItemQuerySet":
        """What waits because this picture may show somebody under 18: it must not be deleted."""
        return self.waiting().filter(avatar=avatar, category=Category.MINORS)

    def holding(self, avatar: Avatar) -> "ReviewItemQuerySet":
        """What waits and because of which this picture's link shows nothing."""
        grave = Q(kind=ReviewKind.LOOKALIKE) | Q(category=Category.MINORS)
        return self.waiting().filter(grave, avatar=avatar)

    def in_order(self) -> "ReviewItemQuerySet":
        return self.order_by("deadline_at", "pk")

    def for_list(self) -> "ReviewItemQuerySet":
        return self.select_related("person", "request", "avatar__request", "claimed_by")

    def for_desk(self) -> "ReviewItemQuerySet":
        """With everything a moderator's page says of the item and its person, in one query:
        `spent` and `returned` in credits, and how often something of theirs was removed.
        """
        moved = Transfer.objects.filter(wallet__user=OuterRef("person"), source=Pocket.RESERVED)
        against = self.model.objects.filter(person=OuterRef("person"), outcome__in=AGAINST)
        return self.select_related(
            *("person", "claimed_by", "decided_by", "avatar__file"),
            *("request__photo", "avatar__request__photo"),
        ).annotate(
            spent=summed(moved.filter(target=Pocket.SPENT), Sum("amount")),
            returned=summed(moved.filter(target=Pocket.AVAILABLE), Sum("amount")),
            removed=summed(against, Count("pk")),
        )

    def of_pictures(self) -> "ReviewItemQuerySet":
        """With what tells two pictures apart, the youngest picture first: along the index of the
        pictures, so that a first page is short however many there are.
        """
        known = ("public_id", "outcome", "category", "decided_at", "created_at", "avatar")
        looks = ("avatar__near_hash", "avatar__hidden", "avatar__thumb__key")
        pictures = self.filter(avatar__isnull=False).select_related("avatar__thumb")
        return pictures.only(*known, *looks).order_by("-avatar_id", "-pk")

    def for_decision(self) -> "ReviewItemQuerySet":
        """With everything a decision touches."""
        return self.select_related(
            "person", "claimed_by", "decided_by", "request__hold__wallet", "request__photo__file"
        ).select_related("avatar__request__hold__wallet", "avatar__request__photo__file")

    def beside(self, item: "ReviewItem | None", *, backwards: bool) -> "ReviewItemQuerySet":
        """Those that stand after `item` in the queue, or before it, the nearest first."""
        if item is None:
            return self.in_order()
        at, way = item.deadline_at, "lt" if backwards else "gt"
        beyond = Q(**{f"deadline_at__{way}": at}) | Q(deadline_at=at, **{f"pk__{way}": item.pk})
        # Said twice, so that both databases start reading the index at the right place.
        ordered = self.filter(beyond, **{f"deadline_at__{way}e": at}).in_order()
        return ordered.reverse() if backwards else ordered

    def open_to(self, moderator: User, *, lead: bool) -> "ReviewItemQuerySet":
        """What this moderator may decide: never their own things, never an appeal against
        themselves, what is locked only as a lead.
        """
        items = self.waiting().exclude(person=moderator)
        items = items.filter(Q(not_for=None) | ~Q(not_for=moderator))
        return items if lead else items.filter(leads_only=False)

    def free(self, moderator: User, now: datetime) -> "ReviewItemQuerySet":
        """Neither put back for later nor before somebody else's eyes."""
        awake = Q(wake_at=None) | Q(wake_at__lte=now)
        return self.filter(awake).filter(unclaimed(now) | Q(claimed_by=moderator))

    def put(
        self,
        kind: ReviewKind,
        *,
        person: User,
        deadline_at: datetime,
        request: AvatarRequest | None = None,
        avatar: Avatar | None = None,
        category: Category | str = "",
        why: str = "",
        terms: Iterable[str] = (),
        rules: Iterable[int] = (),
        leads_only: bool = False,
        not_for: User | None = None,
    ) -> "ReviewItem":
        """Put something on the desk. The same thing for the same reason stands there once: said
        again it counts, and the earlier deadline holds.
        """
        same = self.filter(kind=kind, person=person, request=request, avatar=avatar).waiting()
        again = {"times": F("times") + 1, "deadline_at": Least(F("deadline_at"), deadline_at)}
        if same.update(**again):
            return same.get()
        try:
            with transaction.atomic():
                return self.create(
                    kind=kind,
                    person=person,
                    request=request,
                    avatar=avatar,
                    category=category,
                    why=why[:WHY_LIMIT],
                    terms=list(terms),
                    rules=list(rules),
                    leads_only=leads_only or category == Category.MINORS,
                    not_for=not_for,
                    deadline_at=deadline_at,
                )
        except IntegrityError:
            same.update(**again)
            return same.get()

    def verdict(self, **about: models.Model) -> str:
        """The category under which a moderator last ended something; empty if none did."""
        ended = self.filter(outcome__in=AGAINST, **about).order_by("-decided_at")
        return ended.values_list("category", flat=True).first() or ""

    def follow(self, state: State, now: datetime) -> None:
        """Their held request has ended: call inside its transaction."""
        self.waiting().update(
            outcome=FOLLOWS[state], decided_at=now, claimed_by=None, claimed_until=None
        )


WHY_LIMIT = 1000  # characters: as many as somebody has for an appeal


def summed(rows: models.QuerySet[Any], total: Aggregate) -> Coalesce:
    """That total over the rows, as a column; 0 when there are none."""
    one = rows.order_by().annotate(all=Value(1)).values("all").annotate(total=total)
    return Coalesce(Subquery(one.values("total")), 0)


def unclaimed(now: datetime) -> Q:
    return Q(claimed_until=None) | Q(claimed_until__lte=now)


class ReviewItem(models.Model):
    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=ReviewKind.choices)
    # Whose it is; never who reported it.
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reviews"
    )
    request = models.ForeignKey(
        AvatarRequest, on_delete=models.CASCADE, null=True, related_name="reviews"
    )
    avatar = models.ForeignKey(Avatar, on_delete=models.CASCADE, null=True, related_name="reviews")
    # What it is suspected of, and once decided, what it was found to be.
    category = models.CharField(max_length=24, blank=True)
    why = models.CharField(max_length=WHY_LIMIT, blank=True)
    # What the rules found: for moderators alone.
    terms = models.JSONField(default=list)
    rules = models.JSONField(default=list)
    times = models.PositiveIntegerField(default=1)
    leads_only = models.BooleanField(default=False)
    # An appeal is seen by somebody other than the first decider.
    not_for = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    deadline_at = models.DateTimeField()
    wake_at = models.DateTimeField(null=True)
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    claimed_until = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, blank=True, choices=ReviewOutcome.choices)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    mail_due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ReviewItemQuerySet.as_manager()

    class Meta:
        permissions = [
            ("moderate", "Can decide at the moderation desk"),
            ("lead", "Can decide what is locked to leads, and suspend people"),
        ]
        indexes = [
            models.Index(fields=["outcome", "deadline_at", "id"], name="reviews_waiting"),
            models.Index(fields=["outcome", "-decided_at"], name="reviews_decided"),
            models.Index(fields=["person", "-id"], name="reviews_of_a_person"),
            models.Index(fields=["mail_due_at"], name="reviews_mail_due"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="", decided_at=None)
                | (~Q(outcome="") & Q(decided_at__isnull=False)),
                name="review_is_decided_exactly_when_it_says_how",
            ),
            models.UniqueConstraint(
                fields=["kind", "request"],
                condition=Q(outcome=""),
                name="one_open_review_of_a_kind_per_request",
            ),
            models.UniqueConstraint(
                fields=["kind", "avatar"],
                condition=Q(outcome=""),
                name="one_open_review_of_a_kind_per_avatar",
            ),
            models.UniqueConstraint(
                fields=["kind", "person"],
                condition=Q(outcome="", request=None, avatar=None),
                name="one_open_review_of_a_kind_about_a_person_alone",
            ),
            models.CheckConstraint(
                condition=~Q(kind=ReviewKind.DESCRIPTION) | Q(request__isnull=False),
                name="review_of_a_description_has_its_request",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"

    @property
    def is_open(self) -> bool:
        return not self.outcome

    @property
    def is_picture(self) -> bool:
        return self.avatar_id is not None

    def _still_waiting(self) -> ReviewItemQuerySet:
        return ReviewItem.objects.filter(pk=self.pk).waiting()

    def claim(self, moderator: User, now: datetime) -> bool:
        """Take it for ten minutes. One statement, one winner; asked again it begins anew."""
        mine = unclaimed(now) | Q(claimed_by=moderator)
        until = now + CLAIM_PERIOD
        return bool(
            self._still_waiting().filter(mine).update(claimed_by=moderator, claimed_until=until)
        )

    def let_go(self, moderator: User, **fields: object) -> bool:
        """Give up the claim, with whatever else changes. False: decided, or somebody else's."""
        mine = self._still_waiting().filter(claimed_by=moderator)
        return bool(mine.update(claimed_by=None, claimed_until=None, **fields))

    def decide(
        self, outcome: ReviewOutcome, moderator: User, now: datetime, **fields: object
    ) -> bool:
        """The ending, once. False: it has ended already."""
        return bool(
            self._still_waiting().update(
                outcome=outcome,
                decided_by=moderator,
                decided_at=now,
                claimed_by=None,
                claimed_until=None,
                **fields,
            )
        )

    def sign(self, moderator: User, category: Category) -> None:
        """Whose ending it was, when the request's own transaction has already ended the item."""
        ReviewItem.objects.filter(pk=self.pk).update(decided_by=moderator, category=category)

    def reopen(self, moderator: User, outcome: str, now: datetime) -> bool:
        """Take the decision back. False: it is not that moderator's, or not that one any more."""
        mine = ReviewItem.objects.filter(pk=self.pk, outcome=outcome, decided_by=moderator)
        return bool(
            mine.update(
                outcome="",
                decided_by=None,
                decided_at=None,
                mail_due_at=None,
                claimed_by=moderator,
                claimed_until=now + CLAIM_PERIOD,
            )
        )
