"""What happens to every request and answer: number, headers, odd requests, our page for a 404.

Knows Django and the name of a request's number in the logs.
"""

import uuid
import zoneinfo
from collections.abc import Callable
from http import HTTPStatus

from csp.constants import HEADER
from csp.utils import build_policy
from django.core.exceptions import TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.common import CommonMiddleware
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import resolve
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh

from config.logs import REQUEST_ID

PERMISSIONS = (
    "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=(), "
    "publickey-credentials-get=(self), publickey-credentials-create=(self)"
)

# Above the largest form (a photo of 10 MB and its fields), below what a disk would notice.
LARGEST_BODY = 32 * 1024 * 1024


def numbered(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Each request has a number, in its answer and in the log: what a person reads on the page of
    a fault, support finds in the lines about it.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        request.META[REQUEST_ID] = uuid.uuid4().hex[:12]
        response = get_response(request)
        response["X-Request-ID"] = request.META[REQUEST_ID]
        return response

    return middleware


def clean_cookies(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """A cookie may spell a NUL, which PostgreSQL refuses to compare with a session's key."""

    def middleware(request: HttpRequest) -> HttpResponse:
        for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
            del request.COOKIES[name]
        return get_response(request)

    return middleware


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


class CommonWithSlash(CommonMiddleware):
    """Django's own, but only a reader is sent on to the address with a slash, and only where a
    page is: the last URL pattern takes every address, and a form cannot be sent on.
    """

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        path = request.path_info
        return (
            request.method in ("GET", "HEAD")
            and not path.endswith("/")
            and resolve(path).url_name == "not_found"
            and resolve(f"{path}/").url_name != "not_found"
        )


def readable_only(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Refused before anything reads them: bodies that would fill the disk (the CSRF check reads
    the whole form, whoever sends it), addresses of more fields than any form has (Django's
    page for developers would fall over them too), and NULs in the admin's filters, which
    PostgreSQL refuses.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > LARGEST_BODY:
            return render(request, "413.html", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            values = [value for _name, several in request.GET.lists() for value in several]
        except TooManyFieldsSent:
            return HttpResponse(render_to_string("400.html"), status=HTTPStatus.BAD_REQUEST)
        if request.path.startswith("/admin/") and any("\0" in value for value in values):
            return not_found(request)
        return get_response(request)

    return middleware


class OnlyKeep:
    """While an account is closing, signing in leads to one page alone: keeping it. What we say
    about ourselves its person may read like any stranger, open a shared link, and report one.
    """

    OPEN = frozenset(
        {
            *("account_close", "account_keep", "account_logout"),
            *("safety", "privacy", "face_data", "terms", "help", "status", "not_found"),
            *("livez", "readyz", "face_link", "doorbell", "stripe_events"),
            *("shared", "shared_picture", "report", "report_status"),
            *("media_signed", "dev_mail"),
        }
    )

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponse],
        arguments: tuple[object, ...],
        named: dict[str, object],
    ) -> HttpResponse | None:
        name = request.resolver_match.url_name if request.resolver_match else None
        if name in self.OPEN or not request.user.is_authenticated or not request.user.closes_at:
            return None
        if request.headers.get("HX-Request"):
            return HttpResponseClientRefresh()
        return redirect("account_close")


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
