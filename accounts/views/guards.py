"""The guard of pages about credits: who asks, and by whose clock the page is written.

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


class PersonRequest(HttpRequest):
    """A request as a guarded view sees it: somebody is signed in."""

    user: User
    htmx: HtmxDetails


def signed_in(view: View) -> View:
    """Strangers sign in first and come back: to the page itself, or from a button to the credits.
    Times are printed in the person's own zone.
    """

    @functools.wraps(view)
    def guarded(request: PersonRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if not request.user.is_authenticated:
            if request.htmx:
                return HttpResponseClientRefresh()
            is_page = request.method in ("GET", "HEAD")
            return redirect_to_login(request.get_full_path() if is_page else reverse("credits"))
        with timezone.override(request.user.zone()):
            return view(request, *args, **kwargs)

    return guarded
