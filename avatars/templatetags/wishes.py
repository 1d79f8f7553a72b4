"""What was asked for, beside rows of the credit history and the limits. Templates may know both
apps; Python may not.

Knows requests, their words, and `generation` for the day's count.
"""

from collections.abc import Iterable
from typing import Any

from django import template
from django.db.models import Count, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from avatars import generation, words
from avatars.models import AvatarRequest

register = template.Library()


@register.simple_tag
def with_wishes(rows: Iterable[dict[str, Any]], user: User) -> dict[str, Any]:
    """`rows`: each with its request, if it is about one: title, address, and why there is no
    picture. `today`: how many avatars this person asked for since the daily limit began to count,
    and `again_at`, when it counts anew. One query for all of it.
    """
    rows = list(rows)
    began = generation.day_began(timezone.now())
    asked = AvatarRequest.objects.filter(user=user, created_at__gte=began)
    number = asked.order_by().values("user").annotate(number=Count("pk")).values("number")
    about = [row["request_id"] for row in rows if row["request_id"]]
    wishes: list[Any] = []
    if about:
        of_rows = AvatarRequest.objects.filter(public_id__in=about)
        wishes = list(of_rows.annotate(today=Coalesce(Subquery(number), 0)))
    found = {str(wish.public_id): facts(wish) for wish in wishes}
    return {
        "rows": [(row, found.get(row["request_id"])) for row in rows],
        "today": wishes[0].today if wishes else asked.count(),
        "again_at": began + generation.DAY,
    }


def facts(wish: AvatarRequest) -> dict[str, Any]:
    return {
        "title": _("%(style)s avatar") % {"style": wish.get_style_display()},
        "href": reverse("job", args=[wish.public_id]),
        "why": words.reason_sentence(wish.reason) if wish.reason else "",
    }
