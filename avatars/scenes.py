"""Scenes: what we suggest to describe, style by style. Words only, visible and editable.

Knows styles.
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from avatars.models import Style

Words = str | Promise

FIRST_PROMPT = _("Portrait in soft window light")
FIRST_AVOID = _("blurry, extra fingers, text, watermark")

STYLE_WORDS: dict[Style, Words] = {
    Style.REALISTIC: _("Natural light, true skin, camera look"),
    Style.ANIME: _("Clean lines, large eyes, flat colour"),
    Style.THREE_D: _("Soft shapes, round light, film still"),
    Style.CHIBI: _("Large head, small body, bright mood"),
    Style.COMIC: _("Inked outlines, dots, printed colour"),
}


@dataclass(frozen=True)
class Preset:
    """A starting point: a chip's label and the text it writes."""

    key: str
    label: Words
    text: Words


PRESETS: dict[Style, tuple[Preset, ...]] = {
    Style.REALISTIC: (
        Preset("window", _("Window light"), FIRST_PROMPT),
        Preset(
            "office",
            _("Office headshot"),
            _("Office headshot, dark blazer, bright modern office, soft daylight"),
        ),
        Preset(
            "cafe",
            _("Café portrait"),
            _("Café portrait, knitted sweater, warm lamps, rain on the window"),
        ),
        Preset(
            "ridge",
            _("Mountain guide"),
            _("Mountain guide, red anorak, alpine ridge at sunrise, clear cold air"),
        ),
    ),
    Style.ANIME: (
        Preset(
            "pirate",
            _("Pirate at dusk"),
            _("Pirate captain at dusk, long coat, harbour lanterns, sea wind"),
        ),
        Preset(
            "train",
            _("Night train"),
            _("Traveller on a night train, wool coat, city lights behind the window"),
        ),
        Preset(
            "lighthouse",
            _("Lighthouse keeper"),
            _("Lighthouse keeper, yellow raincoat, evening storm, warm lamp in hand"),
        ),
        Preset(
            "garden",
            _("Spring garden"),
            _("Walk in a spring garden, light jacket, falling petals, morning sun"),
        ),
    ),
    Style.THREE_D: (
        Preset(
            "astronaut",
            _("Astronaut"),
            _("Astronaut, white suit, open visor, blue planet behind, soft studio light"),
        ),
        Preset(
            "chef",
            _("Chef"),
            _("Chef in a small kitchen, white jacket, copper pans, warm evening light"),
        ),
        Preset(
            "diver",
            _("Deep-sea diver"),
            _("Deep-sea diver, brass helmet under one arm, coral reef, sun rays"),
        ),
        Preset(
            "workshop",
            _("Toy workshop"),
            _("Toy maker in a workshop, leather apron, wooden shelves, lamp light"),
        ),
    ),
    Style.CHIBI: (
        Preset(
            "wizard",
            _("Wizard with tea"),
            _("Wizard with a cup of tea, blue robe, tower library, candle light"),
        ),
        Preset(
            "baker",
            _("Baker"),
            _("Baker with fresh bread, striped apron, small bakery, morning light"),
        ),
        Preset(
            "gardener",
            _("Gardener"),
            _("Gardener with a watering can, straw hat, greenhouse, sunny day"),
        ),
        Preset(
            "captain",
            _("Ship's captain"),
            _("Ship's captain, white uniform, little steamboat, calm blue sea"),
        ),
    ),
    Style.COMIC: (
        Preset(
            "hero",
            _("City hero"),
            _("City hero on a rooftop, red scarf, skyline at night, strong side light"),
        ),
        Preset(
            "detective",
            _("Detective in the rain"),
            _("Detective in the rain, grey trench coat, street lamp, deep shadows"),
        ),
        Preset(
            "pilot",
            _("Space pilot"),
            _("Space pilot in a cockpit, orange suit, glowing dials, passing stars"),
        ),
        Preset(
            "explorer",
            _("Explorer"),
            _("Explorer with a map, canvas jacket, jungle temple, noon sun"),
        ),
    ),
}
PRESETS_BY_KEY = {preset.key: preset for presets in PRESETS.values() for preset in presets}

# Four small selects whose words are added to the text.
ADDITIONS: dict[str, tuple[Words, tuple[Words, ...]]] = {
    "outfit": (
        _("Outfit"),
        (_("linen shirt"), _("dark blazer"), _("knitted sweater"), _("long wool coat")),
    ),
    "place": (
        _("Place"),
        (_("old library"), _("city street"), _("by the sea"), _("mountain meadow")),
    ),
    "light": (
        _("Light"),
        (_("soft daylight"), _("golden evening light"), _("lamp light"), _("moonlight")),
    ),
    "mood": (_("Mood"), (_("calm"), _("cheerful"), _("proud"), _("dreamy"))),
}
