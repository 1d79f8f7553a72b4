"""Appearance: light or dark.

Knows its form.
"""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.forms import AppearanceForm

THEME_COOKIE = "theme"
THEME_SECONDS = 365 * 24 * 3600


@require_http_methods(["GET", "HEAD", "POST"])
def appearance(request: HttpRequest) -> HttpResponse:
    """Light or dark, kept in a cookie, so that the first paint is right and strangers can choose
    too.
    """
    asked = request.POST if request.method == "POST" else None
    form = AppearanceForm(asked, initial={"theme": request.COOKIES.get(THEME_COOKIE, "system")})
    if not form.is_valid():
        context = {"form": form, "next": request.GET.get("next", "")}
        return render(request, "accounts/appearance.html", context, status=422 if asked else 200)
    messages.success(request, _("Saved."))
    response = HttpResponseRedirect(safe_next(request))
    response.set_cookie(
        THEME_COOKIE,
        form.cleaned_data["theme"],
        max_age=THEME_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def safe_next(request: HttpRequest) -> str:
    """Where the form says it came from, if that is a page of ours."""
    asked = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(
        asked, {request.get_host()}, require_https=request.is_secure()
    )
    return asked if ours and asked.startswith("/") else reverse("appearance")
