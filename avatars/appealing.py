"""Appealing: a person says that a decision about them was wrong, and somebody else reads it.

Knows the nouns and `reviewing`. What can be appealed is a rejected description, a picture that was
taken down and a suspension; each decision once, and one appeal about it at a time. It is answered
at the desk (`moderation.answer`).
"""

from dataclasses import dataclass

from django.db import models

from accounts.models import Decision, User
from avatars.models import Avatar, AvatarRequest, Category, ReviewItem, ReviewKind, State
from avatars.models.reviews import WHY_LIMIT
from avatars.reviewing import AGAINST_ACTS, put_on_desk

AGAINST_A_PERSON = "person_suspended"


class NothingToAppeal(Exception):
    """Nothing was decided against them, or it has been appealed already."""


class Standing(models.TextChoices):
    """How an appeal stands: nothing to appeal, may be written, waits, or was answered."""

    NONE = "none"
    MAY = "may"
    WAITS = "waits"
    ANSWERED = "answered"


@dataclass(frozen=True)
class Matter:
    """What was decided: about a request, its picture, or (neither) the person."""

    person: User
    request: AvatarRequest | None = None
    avatar: Avatar | None = None

    def is_against_them(self) -> bool:
        """Whether the decision still stands."""
        if self.avatar is not None:
            return self.avatar.hidden
        if self.request is not None:
            return self.request.state == State.REJECTED
        return self.person.suspended_at is not None

    def decision(self) -> Decision | None:
        """The last decision against them; None when it was made before there was a trail."""
        kind, row = ("avatar", self.avatar) if self.avatar else ("request", self.request)
        if row is not None:
            about = Decision.objects.about(kind, row.public_id)
            return about.filter(act__in=AGAINST_ACTS).last()
        mine = Decision.objects.filter(person=self.person, act=AGAINST_A_PERSON)
        return mine.newest_first().first()

    def appeal(self) -> ReviewItem | None:
        """Their last appeal about it."""
        said = ReviewItem.objects.filter(
            kind=ReviewKind.APPEAL, person=self.person, request=self.request, avatar=self.avatar
        )
        return said.order_by("-pk").first()

    def standing(self) -> tuple[Standing, ReviewItem | None]:
        """How their appeal stands, and the appeal itself if there is one about this decision."""
        appeal, decision = self.appeal(), self.decision()
        if appeal is not None and appeal.is_open:
            return Standing.WAITS, appeal
        if appeal is not None and (decision is None or appeal.created_at >= decision.created_at):
            return Standing.ANSWERED, appeal
        return (Standing.MAY if self.is_against_them() else Standing.NONE), None


def about(person: User, avatar_request: AvatarRequest | None = None) -> Matter:
    """The matter of one of their requests, or of their suspension."""
    if avatar_request is None:
        return Matter(person)
    avatar = avatar_request.avatars.order_by("position").first()
    if avatar is None:
        return Matter(person, request=avatar_request)
    return Matter(person, avatar=avatar)


def appeal(matter: Matter, why: str) -> ReviewItem:
    """Put it on the desk, for somebody other than the first decider; pressed twice it waits once.
    Raises NothingToAppeal, and ValueError for words that are missing or longer than WHY_LIMIT.
    """
    if not 1 <= len(why) <= WHY_LIMIT:
        raise ValueError("an appeal says why")
    standing, waiting = matter.standing()
    if standing == Standing.WAITS and waiting is not None:
        return waiting
    if standing != Standing.MAY:
        raise NothingToAppeal
    decision = matter.decision()
    return put_on_desk(
        ReviewKind.APPEAL,
        avatar=matter.avatar,
        request=matter.request,
        person=matter.person,
        category=category_of(decision),
        why=why,
        not_for=decision.actor if decision else None,
    )


def category_of(decision: Decision | None) -> Category | str:
    return decision.category if decision else ""


__all__ = ["WHY_LIMIT", "Matter", "NothingToAppeal", "Standing", "about", "appeal"]
