"""Public pages about making: the landing page, the styles, and whether drawing is up.

Knows styles, the board and words. A stranger's landing page asks the database nothing.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static

from avatars import scenes, words
from avatars.models import Keep, Quality, Style
from avatars.models.photos import KEEP_FOR
from avatars.views import board


def style_choices(selected: str = "") -> list[dict[str, Any]]:
    """The five styles as the style card shows them."""
    return [
        {
            "value": style.value,
            "label": style.label,
            "words": scenes.STYLE_WORDS[style],
            "picture": static(f"img/samples/{style.value}-256.webp"),
            "selected": style.value == selected,
        }
        for style in Style
    ]


def quality_choices() -> list[dict[str, Any]]:
    return [
        {"value": quality.value, "label": quality.label, "cost": words.credits(quality.cost)}
        for quality in Quality
    ]


def landing(request: HttpRequest) -> HttpResponse:
    context = {
        "styles": style_choices(),
        "qualities": quality_choices(),
        "welcome": settings.WELCOME_CREDITS,
        "keep_days": KEEP_FOR[Keep.MONTH].days,
    }
    return render(request, "pages/landing.html", context)


def styles(request: HttpRequest) -> HttpResponse:
    shown = [
        choice | {"presets": scenes.PRESETS[Style(choice["value"])]} for choice in style_choices()
    ]
    return render(request, "pages/styles.html", {"styles": shown})


def status(request: HttpRequest) -> HttpResponse:
    recent = board.recent()
    context = {
        "weather": board.weather(),
        "waiting": board.waiting(),
        "expected": board.expected_words(Style.REALISTIC, Quality.STANDARD),
        "median": recent.median and words.duration(recent.median),
        "p95": recent.p95 and words.duration(recent.p95),
    }
    return render(request, "pages/status.html", context)
