"""Prices for pages of accounts: what a credit buys. Templates may know both apps; Python may not.

Knows qualities.
"""

from typing import Any

from django import template

from avatars.models import Quality

register = template.Library()


@register.simple_tag
def prices() -> list[dict[str, Any]]:
    """Each quality with what one avatar of it costs, in credits."""
    return [
        {"value": quality.value, "label": quality.label, "cost": quality.cost}
        for quality in Quality
    ]


@register.simple_tag
def buys(credits: int) -> dict[str, int]:
    """How many avatars so many credits are enough for: in Standard, and in Fine."""
    return {
        "standard": credits // Quality.STANDARD.cost,
        "fine": credits // Quality.FINE.cost,
    }
