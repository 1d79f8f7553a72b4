"""Every address of the site: both apps, sign-in, staff, health.

Knows everybody's urls. DEBUG-only pages stand here and nowhere else.
"""

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import include, path, re_path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import TemplateView
from django_htmx.http import HttpResponseClientRefresh

from accounts.limits import MINUTE, too_fast
from avatars.views.drafts import Draft
from config import health, mailbox, styleguide
from config.logs import REQUEST_ID
from config.middleware import not_found


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """An old form: the words of a wish are kept, and one more press on a fresh page is enough.

    Only a form of this very site may leave words behind; older browsers do not tell and are
    believed, because the session's cookie never travels with another site's form.
    """
    is_ours = request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
    is_kept = is_ours and request.user.is_authenticated and request.path == reverse("create")
    if is_kept:
        Draft.from_form(request.POST).keep(request.session)
    if request.headers.get("HX-Request"):
        return HttpResponseClientRefresh()
    context = {"is_kept": is_kept, "afresh": reverse("create") if is_kept else came_from(request)}
    return render(request, "403_csrf.html", context, status=403)


def came_from(request: HttpRequest) -> str:
    """The page the form stood on; the form's own address may take nothing but forms."""
    page = request.headers.get("Referer", "")
    return page if url_has_allowed_host_and_scheme(page, {request.get_host()}) else "/"


def server_error(request: HttpRequest) -> HttpResponse:
    """Drawn without the request, whose session or person may be what is broken."""
    told = {"request_id": request.META.get(REQUEST_ID, "")}
    return HttpResponse(render_to_string("500.html", told), status=500)


def too_many(request: HttpRequest) -> HttpResponse:
    """What allauth answers above one of its limits. All of them end within the same minutes."""
    return too_fast(request, settings.SIGN_IN_MINUTES * MINUTE)


handler429 = too_many
handler500 = server_error


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
# Last: whatever has no address, line breaks included.
urlpatterns.append(re_path(r"", not_found, name="not_found"))
