"""What every page needs to know: theme, stand-ins, sign-in doors and the tray's first state.

Knows avatars' own words for a person's open requests.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from avatars.views.progress import tray_state

THEMES = ("light", "dark")


def site(request: HttpRequest) -> dict[str, Any]:
    theme = request.COOKIES.get("theme", "")
    user = getattr(request, "user", None)
    return {
        "ENVIRONMENT": settings.ENVIRONMENT,
        "FACE_GEN_STANDIN": settings.FACE_GEN_STANDIN,
        "STRIPE_STANDIN": settings.STRIPE_STANDIN,
        "LOCAL_MAILBOX": settings.LOCAL_MAILBOX,
        "CODE_LENGTH": settings.CODE_LENGTH,
        "SOCIAL_LOGIN": settings.SOCIAL_LOGIN,
        "WELCOME_CREDITS": settings.WELCOME_CREDITS,
        "theme": theme if theme in THEMES else "system",
        # Lazy: a page that shows what is in the making itself asks nothing twice.
        "tray": SimpleLazyObject(lambda: tray_state(user))
        if user is not None and user.is_authenticated
        else None,
    }
