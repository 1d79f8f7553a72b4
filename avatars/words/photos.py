"""What is right or wrong with a photo, in one sentence each.

Knows the codes of `imaging` and `face_check`.
"""

import math
from dataclasses import dataclass

from django.utils import formats
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from avatars.face_check import Verdict
from avatars.imaging import PhotoRefused
from avatars.words.states import Words

MEGABYTE = 1024 * 1024  # as people's file managers and our limit count it


@dataclass(frozen=True)
class Judgement:
    """A photo's verdict in words: a short one for the card, one sentence beside the photo."""

    word: Words
    icon: str
    tone: str
    sentence: str


WARNINGS: dict[str, Words] = {
    "shoulders": _("The shoulders are cut off; the likeness may suffer."),
    "face_cut": _("Part of the face is outside the picture; the likeness will suffer."),
    "small_face": _("The face is small: move closer or crop tighter."),
    "small_picture": _("It is %(side)d pixels wide; %(enough)d or more looks much better."),
    "blurred": _("It looks blurred."),
    "dark": _("It is dark. A photo in daylight looks much better."),
}
ENOUGH_PIXELS = 512  # of the shorter side; the width that is drawn

BLOCKS: dict[str, Words] = {
    "no_face": _("We couldn't find a face in this photo."),
    "many_faces": _("We found %(faces)s faces. Crop to just yours."),
}
FEW = {2: _("two"), 3: _("three"), 4: _("four")}

PHOTO_REFUSALS: dict[str, Words] = {
    "too_big": _(
        "This file is %(size)s MB; the limit is %(limit)s MB. A smaller copy works just as well."
    ),
    "not_a_picture": _("This file isn't a picture we can read. JPEG, PNG, WebP and HEIC work."),
    "animated": _("This picture moves. Choose a still one."),
    "too_many_pixels": _(
        "This picture has more than %(limit)s megapixels. A smaller copy works just as well."
    ),
    "too_small": _("This picture is only %(width)s × %(height)s pixels. Choose a larger one."),
}
PHOTO_MISSING = _("Choose a photo first.")
PHOTO_BLOCKED = _(
    "This photo can't be used: it looks the same as a picture that was removed for good. Nothing "
    "was stored. If it is another one, use a different photo, or write to us: a person will look."
)
PHOTO_GONE = _("That photo is deleted. Choose another.")
STORAGE_AWAY = _("We can't take photos right now; nothing was lost.")


def photo_refusal(refused: PhotoRefused) -> str:
    """Why an upload was not taken, and what would work."""
    facts: dict[str, object] = dict(refused.facts)
    if refused.code == "too_big":
        # Rounded up: a file a little above the limit must not be called as big as the limit.
        size = math.ceil(refused.facts["bytes"] / MEGABYTE * 10) / 10
        facts = {
            "size": formats.number_format(size, 0 if size >= 100 or size.is_integer() else 1),
            "limit": refused.facts["limit"] // MEGABYTE,
        }
    return str(PHOTO_REFUSALS[refused.code]) % facts


def judgement(verdict: Verdict) -> Judgement:
    """A verdict in one sentence: its most important fault, or none."""
    if verdict.blocks:
        sentence = str(BLOCKS[verdict.blocks]) % {
            "faces": FEW.get(verdict.faces, verdict.faces),
        }
        return Judgement(_("Can't be used"), "circle-alert", "bad", sentence)
    if verdict.warnings:
        sentence = str(WARNINGS[verdict.warnings[0]]) % {
            "side": min(verdict.width, verdict.height),
            "enough": ENOUGH_PIXELS,
        }
        return Judgement(_("Usable"), "triangle-alert", "warn", sentence)
    return Judgement(_("Great photo"), "circle-check", "ok", gettext("Great photo."))
