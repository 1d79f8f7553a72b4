"""Media: the objects of a clone's own storage, under links that sign and end themselves.

Knows storage. In production the bucket serves its objects and nothing signs for this address.
"""

import re

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from avatars import storage

# Exactly the keys that StoredFile.begin makes of pictures; so no path can lead out of the folder.
KEY = re.compile(r"(?:avatars|photos)/[0-9a-f]{32}(?:\.thumb)?\.(webp|jpg)")
CONTENT_TYPES = {"webp": "image/webp", "jpg": "image/jpeg"}


@require_safe
def signed(request: HttpRequest, key: str) -> HttpResponse:
    """One picture. The link is the right to it, and ends within two hours; no login is asked."""
    known = KEY.fullmatch(key)
    window, signature = request.GET.get("w", ""), request.GET.get("s", "")
    if known is None or not storage.is_valid_link(key, window, signature):
        raise Http404
    try:
        content = storage.read(key)
    except storage.Missing as error:
        raise Http404 from error
    except storage.StorageAway:
        return HttpResponse(status=503, headers={"Retry-After": "30"})
    return HttpResponse(
        content,
        content_type=CONTENT_TYPES[known[1]],
        headers={
            # The same link gives the same bytes for as long as it is good for anything.
            "Cache-Control": f"private, max-age={settings.MEDIA_LINK_SECONDS}, immutable",
            "Content-Disposition": "inline",
            "X-Content-Type-Options": "nosniff",
        },
    )
