"""What was asked for, beside rows of the credit history. Templates may know both apps; Python may
not.

Knows requests and their words.
"""

from collections.abc import Iterable
from typing import Any

from django import template
from django.urls import reverse
from django.utils.translation import gettext as _

from avatars import words
from avatars.models import AvatarRequest

register = template.Library()


@register.simple_tag
def with_wishes(
    rows: Iterable[dict[str, Any]],
) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each row with its request, if it is about one: title, address, and why there is no picture.
    One query for all of them, none when there are none.
    """
    rows = list(rows)
    numbers = [row["request_id"] for row in rows if row["request_id"]]
    asked = AvatarRequest.objects.filter(public_id__in=numbers) if numbers else ()
    found = {str(wish.public_id): facts(wish) for wish in asked}
    return [(row, found.get(row["request_id"])) for row in rows]


def facts(wish: AvatarRequest) -> dict[str, Any]:
    return {
        "title": _("%(style)s avatar") % {"style": wish.get_style_display()},
        "href": reverse("job", args=[wish.public_id]),
        "why": words.reason_sentence(wish.reason) if wish.reason else "",
    }
