"""Your data: an export of everything, its download, and the way to closing the account.

Knows `exporting`, storage and the exports. Whoever takes everything along proves once more who they
are; the file is handed out by us alone, so no link to it ever leaves.
"""

from typing import Any
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from avatars import exporting, storage
from avatars.models import Export
from avatars.storage import StorageAway
from avatars.views.guards import PersonRequest, signed_in

SHOWN = 5
RETRY_SECONDS = "30"


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def data(request: PersonRequest) -> HttpResponse:
    """What there is to take along, and a button that makes it."""
    if request.method == "POST":
        return ask(request)
    return page(request)


def ask(request: PersonRequest) -> HttpResponse:
    try:
        exporting.ask(request.user, timezone.now())
    except exporting.TooManyExports as refused:
        at = timezone.localtime(refused.again_at)
        told = _("That was the second export today. The next one can be made on %(at)s.")
        sentence = told % {"at": formats.date_format(at, "DATETIME_FORMAT")}
        answer = page(request, refused=sentence, status=429)
        seconds = (refused.again_at - timezone.now()).total_seconds()
        answer["Retry-After"] = str(max(1, int(seconds)))
        return answer
    messages.success(request, _("We are putting it together and write to you when it is ready."))
    return redirect("data")


def page(request: PersonRequest, *, refused: str = "", status: int = 200) -> HttpResponse:
    now = timezone.now()
    exports = list(request.user.exports.select_related("file").order_by("-pk")[:SHOWN])
    context = {
        "exports": [row(export, now) for export in exports],
        "is_preparing": any(export.state == Export.State.PREPARING for export in exports),
        "refused": refused,
    }
    return render(request, "avatars/data.html", context, status=status)


def row(export: Export, now: Any) -> dict[str, Any]:  # noqa: ANN401 - a moment
    is_ready = export.state == Export.State.READY and export.until and export.until > now
    return {
        "state": export.state if is_ready or export.state != Export.State.READY else "expired",
        "created_at": export.created_at,
        "until": export.until,
        "bytes": export.file.bytes if export.file else 0,
        "href": reverse("export", args=[export.public_id]),
    }


@require_safe
@signed_in
def export(request: PersonRequest, public_id: UUID) -> HttpResponseBase:
    """One's own zip, before anybody is asked for a password."""
    return hand_out(request, get_object_or_404(request.user.exports, public_id=public_id))


@reauthentication_required
def hand_out(request: PersonRequest, export: Export) -> HttpResponseBase:
    """The zip a piece at a time, or the page that says why there is none."""
    now = timezone.now()
    ready = Export.objects.ready(now).filter(pk=export.pk).select_related("file").first()
    if ready is None or ready.file is None:
        messages.info(request, _("That file is not there any more. You can make a new one."))
        return redirect("data")
    try:
        pieces = storage.pieces(ready.file.key)
    except (StorageAway, storage.Missing):
        away = render(request, "avatars/export_away.html", status=503)
        away["Retry-After"] = RETRY_SECONDS
        return away
    name = f"likeness-{timezone.localtime(export.created_at):%Y-%m-%d}.zip"
    return StreamingHttpResponse(
        pieces,
        content_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(ready.file.bytes),
            "X-Content-Type-Options": "nosniff",
        },
    )
