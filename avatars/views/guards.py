"""The guard of signed-in pages: who asks, and by whose clock the page is written.

Knows Django and the person.
"""

import functools
from collections.abc import Callable

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

from accounts.models import User

View = Callable[..., HttpResponseBase]
# Addresses that are a form and its page in one; other acts have no page to come back to.
FORM_PAGES = ("create", "face_new", "face_consent", "consent_withdraw")


class PersonRequest(HttpRequest):
    """A request as a guarded view sees it: somebody is signed in."""

    user: User
    htmx: HtmxDetails


def signed_in(view: View) -> View:
    """Strangers sign in first and come back. A page that polls after its session ended loads
    itself anew, instead of a sign-in page being put into one of its corners. Times are printed in
    the person's own zone.
    """

    @functools.wraps(view)
    def guarded(request: PersonRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if not request.user.is_authenticated:
            if request.htmx:
                return HttpResponseClientRefresh()
            return redirect_to_login(way_back(request))
        with timezone.override(request.user.zone()):
            return view(request, *args, **kwargs)

    return guarded


def way_back(request: PersonRequest) -> str:
    """Where to go after signing in: never an address that only takes an act."""
    match = request.resolver_match
    if request.method == "POST" and (match is None or match.url_name not in FORM_PAGES):
        return reverse("gallery")
    return request.get_full_path()
