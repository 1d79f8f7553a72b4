"""The numbers we promise, for texts that no view fills in: `{% promises as p %}`, then `{{ p.… }}`.

Knows settings and the limits of the nouns, so that no text can say another number than the code.
"""

from email.utils import parseaddr

from django import template
from django.conf import settings

from accounts.models import TERMS_VERSION
from avatars import generation
from avatars.imaging import UPLOAD_BYTES
from avatars.models import Keep, Quality
from avatars.models.attempts import FACE_LINK_LIFE, GIFT_WATCH
from avatars.models.avatars import TRASH_PERIOD
from avatars.models.pace import PROMISE_LONGEST, PROMISE_SHORTEST
from avatars.models.photos import KEEP_FOR
from avatars.models.takedowns import ANSWER_WITHIN
from avatars.words import MEGABYTE

register = template.Library()

MINUTE = 60
HOUR = 3600


@register.simple_tag
def promises() -> dict[str, int | str]:
    """Days, hours, minutes, megabytes and credits as their names say."""
    return {
        "keep_days": KEEP_FOR[Keep.MONTH].days,
        "keep_hours": int(KEEP_FOR[Keep.DAY].total_seconds() // HOUR),
        "trash_days": TRASH_PERIOD.days,
        "takedown_hours": int(ANSWER_WITHIN.total_seconds() // HOUR),
        "review_hours": settings.REVIEW_HOURS,
        "shortest_minutes": int(PROMISE_SHORTEST.total_seconds() // MINUTE),
        "longest_minutes": int(PROMISE_LONGEST.total_seconds() // MINUTE),
        "gift_hours": int(GIFT_WATCH.total_seconds() // HOUR),
        "link_minutes": int(FACE_LINK_LIFE.total_seconds() // MINUTE),
        "link_hours": settings.MEDIA_LINK_SECONDS * 2 // HOUR,
        "upload_megabytes": UPLOAD_BYTES // MEGABYTE,
        "welcome": settings.WELCOME_CREDITS,
        "fast": Quality.FAST.cost,
        "standard": Quality.STANDARD.cost,
        "fine": Quality.FINE.cost,
        "terms_version": TERMS_VERSION,
        "consent_version": generation.FACE_CONSENT_VERSION,
        "contact": parseaddr(settings.DEFAULT_FROM_EMAIL)[1],
    }
