"""Draft: what is chosen and typed on Create so far, kept in the session so that nothing loses it.

Knows styles, qualities and the first words we suggest.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from django.contrib.sessions.backends.base import SessionBase
from django.utils.functional import Promise

from avatars import scenes
from avatars.models import AvatarRequest, Quality, Style

KEY = "draft"
# Of a text that is too long: enough to shorten it, no burden for a session.
KEPT_LETTERS = 2000
KEPT_ID_LETTERS = 36
# Stands for a photo of which not even the record is left.
NO_PHOTO = "deleted"


@dataclass(frozen=True)
class Draft:
    """One wish in the making. Always of a known style and quality; the rest is as typed. `photo`
    may name one that is gone: it is said to be, and never becomes another face by itself.
    """

    photo: str = ""
    style: str = Style.REALISTIC
    prompt: str | Promise = ""
    avoid: str | Promise = ""
    quality: str = Quality.STANDARD

    @classmethod
    def of(cls, session: SessionBase) -> "Draft | None":
        kept = session.get(KEY)
        return cls.from_form(kept) if kept else None

    @classmethod
    def from_form(cls, data: Mapping[str, str]) -> "Draft":
        style, quality = data.get("style", ""), data.get("quality", "")
        return cls(
            photo=data.get("photo", "")[:KEPT_ID_LETTERS],
            style=style if style in Style else Style.REALISTIC,
            prompt=data.get("prompt", "")[:KEPT_LETTERS],
            avoid=data.get("avoid", "")[:KEPT_LETTERS],
            quality=quality if quality in Quality else Quality.STANDARD,
        )

    @classmethod
    def like(cls, avatar_request: AvatarRequest) -> "Draft":
        """An earlier wish once more."""
        photo = avatar_request.photo
        return cls(
            photo=str(photo.public_id) if photo else NO_PHOTO,
            style=avatar_request.style,
            prompt=avatar_request.prompt,
            avoid=avatar_request.avoid,
            quality=avatar_request.quality,
        )

    def keep(self, session: SessionBase) -> None:
        kept = {name: str(value) for name, value in asdict(self).items()}
        if session.get(KEY) != kept:
            session[KEY] = kept


FIRST_DRAFT = Draft(prompt=scenes.FIRST_PROMPT, avoid=scenes.FIRST_AVOID)
