"""A person's own photo before the eyes of staff: reason first, then ten minutes, never in a cache.

Knows `opening`, storage and the admin's frame. No other staff page shows a face.
"""

import functools
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.limits import OPENINGS, limited
from avatars import opening, storage
from avatars.forms import OpeningForm
from avatars.models import FacePhoto
from avatars.views.guards import PersonRequest, View

UNCACHED = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


def for_openers(view: View) -> View:
    """Staff with the right to open photos; 403 for everybody else, before anything is looked up."""

    @functools.wraps(view)
    def guarded(request: PersonRequest, public_id: UUID) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not (request.user.is_staff and request.user.has_perm("avatars.open_facephoto")):
            raise PermissionDenied
        photos = FacePhoto.objects.select_related("user", "file")
        return view(request, get_object_or_404(photos, public_id=public_id))

    return guarded


@require_http_methods(["GET", "HEAD", "POST"])
@limited(OPENINGS)
@for_openers
def photo(request: PersonRequest, photo: FacePhoto) -> HttpResponse:
    """Asks why; afterwards shows the photo, as long as the reason is fresh."""
    form = OpeningForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            opening.open_photo(photo, request.user, form.cleaned_data["reason"])
        except opening.PhotoIsGone:
            messages.error(request, _("This photo is deleted. There is nothing to open."))
        return redirect("photo_open", photo.public_id)
    now = timezone.now()
    context = {
        **admin.site.each_context(request),
        "title": _("Open a photo"),
        "photo": photo,
        "is_there": photo.is_present(now),
        "ends_at": opening.ends_at(photo, request.user, now),
        "openings": opening.openings(photo).select_related("actor"),
        "minutes": int(opening.OPEN_FOR.total_seconds() // 60),
        "form": form,
        "opts": FacePhoto._meta,
    }
    response = render(
        request, "avatars/photo_open.html", context, status=422 if form.is_bound else 200
    )
    response.headers["Cache-Control"] = UNCACHED["Cache-Control"]
    return response


@require_safe
@for_openers
def picture(request: PersonRequest, photo: FacePhoto) -> HttpResponse:
    """The bytes, through us alone: never by a link that works without us."""
    if photo.file is None:
        raise Http404
    if not opening.is_open(photo, request.user):
        raise PermissionDenied
    try:
        content = storage.read(photo.file.key)
    except storage.Missing as error:
        raise Http404 from error
    except storage.StorageAway:
        return HttpResponse(status=503, headers={"Retry-After": "30"})
    return HttpResponse(content, content_type="image/jpeg", headers=UNCACHED)
