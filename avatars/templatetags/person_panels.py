"""What a person made, for the staff's page about them: requests without their words, and counts.

Knows the nouns. No picture, no photo, no description.
"""

from typing import Any

from django import template

from accounts.models import User
from avatars.models import ReviewKind

register = template.Library()
ROWS_SHOWN = 20


@register.inclusion_tag("avatars/person_panels.html", takes_context=True)
def person_panels(context: template.Context, person: User) -> dict[str, Any]:
    requests = person.requests.defer("prompt", "avoid")
    return {
        "perms": context["perms"],
        "email": person.email,
        "requests": requests.order_by("-pk")[:ROWS_SHOWN],
        "request_count": person.requests.count(),
        "photo_count": person.photos.filter(deleted_at=None).count(),
        "avatar_count": person.avatars.count(),
        "report_count": person.reviews.filter(kind=ReviewKind.REPORT).count(),
    }
