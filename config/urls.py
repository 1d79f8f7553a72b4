"""Every address of the site: both apps, sign-in, staff, health.

Knows everybody's urls. DEBUG-only pages stand here and nowhere else.
"""

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path, re_path
from django.views.generic import TemplateView

from config import health, mailbox, styleguide
from config.middleware import not_found


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """An old form: the words are still in the browser; one more press is enough."""
    return render(request, "403_csrf.html", status=403)


guide = styleguide.page if settings.STYLEGUIDE_OPEN else staff_member_required(styleguide.page)

urlpatterns = [
    path("", include("avatars.urls")),
    path("", include("accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("styleguide/", guide, name="styleguide"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    *(
        path(f"{name}/", TemplateView.as_view(template_name=f"pages/{template}.html"), name=label)
        for name, template, label in (
            ("safety", "safety", "safety"),
            ("privacy", "privacy", "privacy"),
            ("privacy/face-data", "face_data", "face_data"),
            ("terms", "terms", "terms"),
            ("help", "help", "help"),
        )
    ),
]
if settings.LOCAL_MAILBOX:
    urlpatterns.append(path("dev/mail/", mailbox.page, name="dev_mail"))
# Last: whatever else ends in a slash; without one, Django first tries to add it.
urlpatterns.append(re_path(r"^.*/$", not_found, name="not_found"))
