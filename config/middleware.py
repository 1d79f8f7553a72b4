"""Headers that stand on every answer and that no library of ours sets; our own page for a 404.

Knows Django alone.
"""

import zoneinfo
from collections.abc import Callable

from csp.constants import HEADER
from csp.utils import build_policy
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

PERMISSIONS = (
    "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=(), "
    "publickey-credentials-get=(self), publickey-credentials-create=(self)"
)


def private_by_default(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Powers of the browser we do not use are off; pages are nobody's cache's business unless the
    view says otherwise.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response

    return middleware


def local_time(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Times are printed in the browser's zone, which app.js tells in a cookie: a promise "by
    10:25" must mean the clock on the person's own wall.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            zone = zoneinfo.ZoneInfo(request.COOKIES.get("zone", "") or "UTC")
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            zone = zoneinfo.ZoneInfo("UTC")
        with timezone.override(zone):
            return get_response(request)

    return middleware


class NotFoundPage:
    """A clone shows the page that production shows, not Django's list of addresses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return not_found(request) if isinstance(exception, Http404) else None


def not_found(request: HttpRequest) -> HttpResponse:
    answer = render(request, "404.html", status=404)
    # django-csp leaves 404s of a clone alone, for the sake of Django's own page.
    answer[HEADER] = build_policy()
    return answer
