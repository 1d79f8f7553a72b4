"""The wall: what hangs in a person's gallery, how it is searched, paged and shown as tiles.

Knows the nouns, storage and words. Every query starts at the person.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.http import Http404, HttpRequest, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from avatars import storage, words
from avatars.models import Avatar, AvatarRequest, State, Style
from avatars.models.avatar_requests import OPEN
from avatars.models.avatars import TRASH_PERIOD, AvatarQuerySet
from avatars.views import progress

PAGE = 24
# Pictures of the first row or two do not wait for the scrollbar; all others do.
EAGER = 6
# More than anybody has open; beyond it the oldest failures stay off the wall.
REQUESTS_SHOWN = 48
SEARCH_LETTERS = 100
SEARCH_WORDS = 6


@dataclass(frozen=True)
class Search:
    """What somebody looks for, as it stands in the address."""

    style: str = ""
    favourites: str = ""
    q: str = ""

    @classmethod
    def of(cls, asked: QueryDict) -> "Search":
        """Whatever the address asks that makes no sense is as if not asked."""
        style = asked.get("style", "")
        letters = asked.get("q", "").replace("\x00", "")[:SEARCH_LETTERS]
        return cls(
            style=style if style in Style else "",
            favourites="yes" if asked.get("favourites") else "",
            q=" ".join(letters.split()[:SEARCH_WORDS]),
        )

    def is_on(self) -> bool:
        return self != Search()

    def among(self, avatars: AvatarQuerySet) -> AvatarQuerySet:
        if self.style:
            avatars = avatars.filter(style=self.style)
        if self.favourites:
            avatars = avatars.filter(favourite=True)
        for word in self.q.split():
            avatars = avatars.filter(Q(request__prompt__icontains=word) | Q(alt__icontains=word))
        return avatars

    def address(self, **also: str) -> str:
        asked = {name: value for name, value in {**asdict(self), **also}.items() if value}
        return f"{reverse('gallery')}?{urlencode(asked)}" if asked else reverse("gallery")

    def chips(self) -> list[dict[str, Any]]:
        """A link for each style and for the favourites: pressed again, it turns itself off."""
        choices = [
            *(("style", style.value, str(style.label)) for style in Style),
            ("favourites", "yes", _("Favourites")),
        ]
        return [
            {
                "label": label,
                "current": getattr(self, name) == value,
                "href": replace(
                    self, **{name: "" if getattr(self, name) == value else value}
                ).address(),
            }
            for name, value, label in choices
        ]

    def spoken(self) -> str:
        """“Anime + favourites + “pirate””, for the page that found nothing."""
        parts = [
            str(Style(self.style).label) if self.style else "",
            _("favourites") if self.favourites else "",
            f"“{self.q}”" if self.q else "",
        ]
        return " + ".join(filter(None, parts))


def cursor(request: HttpRequest, name: str) -> UUID | None:
    """The avatar a list goes on from. 404 for what cannot be one."""
    asked = request.GET.get(name)
    try:
        return UUID(asked) if asked else None
    except ValueError as error:
        raise Http404 from error


def own(user: User) -> AvatarQuerySet:
    return Avatar.objects.filter(user=user)


def place_of(user: User, public_id: UUID) -> QuerySet[Avatar, Any]:
    """Where one of this person's avatars stands in their list; nowhere for anybody else's."""
    return own(user).filter(public_id=public_id).values("pk")[:1]


def page_of(avatars: AvatarQuerySet, user: User, before: UUID | None) -> tuple[list[Avatar], str]:
    """The next PAGE avatars, newest first, and the id before which the page after it begins.
    By keyset, so the thousandth page costs what the first one does.
    """
    if before:
        avatars = avatars.filter(pk__lt=place_of(user, before))
    rows = list(avatars.for_gallery()[: PAGE + 1])
    return rows[:PAGE], str(rows[PAGE - 1].public_id) if len(rows) > PAGE else ""


def shown_requests(user: User) -> list[AvatarRequest]:
    """Everything open, and failures and rejections that were neither dismissed nor made good by a
    late picture; open ones first, then the latest.
    """
    wanted = AvatarRequest.objects.filter(
        user=user,
        state__in=sorted({*OPEN, State.FAILED, State.REJECTED}),
        dismissed_at=None,
        avatars=None,
    )
    return list(wanted.order_by(F("resolution").desc(nulls_first=True), "-pk")[:REQUESTS_SHOWN])


def tray_of(requests: Iterable[AvatarRequest]) -> dict[str, Any]:
    """The tray's first state from rows that are here already, as `progress.tray_state` has it."""
    moving = sorted((wish.pk, wish.state) for wish in requests if wish.is_open())
    return {"count": len(moving), "revision": progress.digest(moving), "idle": not moving}


def request_tile(wish: AvatarRequest) -> dict[str, Any]:
    """A wish in the making with its clock, or one that failed with its reason."""
    is_open, is_held = wish.is_open(), wish.state == State.HELD
    return {
        "avatar": {"public_id": wish.public_id},
        "href": reverse("job", args=[wish.public_id]),
        "status": words.status(wish),
        "words": f"{Style(wish.style).label}: {wish.prompt}",
        "deadline": wish.deadline_at if is_open and not is_held else None,
        "sentence": words.IN_REVIEW
        if is_held
        else ""
        if is_open
        else words.reason_sentence(wish.reason),
        "dismiss_url": "" if is_open else reverse("job_dismiss", args=[wish.public_id]),
    }


def ends_at(avatar: Avatar) -> datetime | None:
    """When it goes for good, if it is in the trash."""
    return avatar.trashed_at + TRASH_PERIOD if avatar.trashed_at else None


def tiles(avatars: Iterable[Avatar], *, eager: int = 0) -> list[dict[str, Any]]:
    """Avatars as tiles; the first `eager` pictures are fetched at once."""
    return [{**tile(avatar), "eager": number < eager} for number, avatar in enumerate(avatars)]


def tile(avatar: Avatar) -> dict[str, Any]:
    public_id = avatar.public_id
    return {
        "avatar": {
            "public_id": public_id,
            "thumb_url": storage.link(avatar.thumb.key) if avatar.thumb else "",
            "full_url": storage.link(avatar.file.key) if avatar.file else "",
            "alt": avatar.alt,
            "favourite": avatar.favourite,
            "width": avatar.width,
            "height": avatar.height,
            "colour": avatar.colour,
            "gift": avatar.gift,
        },
        "href": reverse("avatar", args=[public_id]),
        "favourite_url": reverse("avatar_favourite", args=[public_id]),
        "download_url": reverse("avatar_download", args=[public_id, "jpeg"]),
        # Create, filled in as this one was; a press here spends nothing yet.
        "more_url": f"{reverse('create')}?from={public_id}",
    }
