"""Reports: anybody may say that a picture must go, and see by a number how that stands.

Knows `takedowns`. No login; a number nobody can guess is the right to read its page, which names
neither the picture nor anybody.
"""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.limits import REPORTS, whence
from avatars import takedowns, words
from avatars.models import Takedown
from avatars.models.takedowns import ANSWER_WITHIN
from avatars.trust_forms import LINK_LETTERS, ReportForm
from avatars.views.sharing import unlisted

HOUR = 3600


@require_http_methods(["GET", "HEAD", "POST"])
def report(request: HttpRequest) -> HttpResponse:
    """The form. Only a report that could be sent is counted against the limit."""
    hosts = (request.get_host(), urlsplit(settings.SITE_URL).netloc)
    if request.method != "POST":
        link = request.GET.get("link", "").replace("\x00", "")[:LINK_LETTERS]
        return report_page(request, ReportForm(None, hosts=hosts, link=link))
    form = ReportForm(request.POST, hosts=hosts)
    if not form.is_valid():
        return report_page(request, form, status=422)
    wait = REPORTS.spend(whence(request))
    if wait:
        form.add_error(None, words.too_fast(wait))
        answer = report_page(request, form, status=429)
        answer.headers["Retry-After"] = str(wait)
        return answer
    said = form.cleaned_data
    notice = takedowns.Notice(
        number=said["number"],
        kind=Takedown.Kind(said["kind"]),
        links=said["links"],
        what=said["what"],
        name=said["name"],
        contact=said["contact"],
    )
    avatars = [share.avatar for share in form.shares]
    takedown = takedowns.receive(notice, avatars, timezone.now())
    return redirect("report_status", takedown.number)


def report_page(request: HttpRequest, form: ReportForm, *, status: int = 200) -> HttpResponse:
    context = {"form": form, "hours": int(ANSWER_WITHIN.total_seconds() // HOUR)}
    return render(request, "pages/report.html", context, status=status)


@unlisted
@require_safe
def report_status(request: HttpRequest, number: str) -> HttpResponse:
    """How a report stands, for whoever has its number."""
    takedown = get_object_or_404(Takedown, number=number.upper().replace("\x00", " "))
    context = {
        "takedown": takedown,
        "is_open": takedown.state == Takedown.State.OPEN,
        "is_removed": takedown.state == Takedown.State.REMOVED,
        "events": events(takedown),
    }
    return render(request, "pages/report_status.html", context)


def events(takedown: Takedown) -> list[dict[str, Any]]:
    received = {
        "at": takedown.created_at,
        "icon": "mail",
        "text": _("Your report came in."),
    }
    match takedown.state:
        case Takedown.State.REMOVED:
            ending = {"icon": "shield-check", "text": _("We removed what you reported.")}
        case Takedown.State.REFUSED:
            ending = {"icon": "info", "text": _("We decided not to remove it.")}
        case _open:
            due = {"icon": "calendar-clock", "text": _("Decided at the latest.")}
            return [received, due | {"at": takedown.deadline_at, "coming": True}]
    return [received, ending | {"at": takedown.decided_at}]
