"""The takedown desk: notices by deadline, and the one page on which each is decided.

Knows `takedowns`, storage and the admin's frame. Open to staff with avatars.decide_takedown.
"""

import functools
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import Decision
from avatars import storage, takedowns, words
from avatars.models import Avatar, Category, Takedown
from avatars.models.takedowns import SOON, URGENT
from avatars.trust_forms import RefuseForm, RemoveForm
from avatars.views.guards import PersonRequest, View

RIGHT = "avatars.decide_takedown"
LISTED = 100
DECIDED_LISTED = 20


def for_deciders(view: View) -> View:
    """Strangers sign in first; whoever has not the right is refused."""

    @functools.wraps(view)
    def guarded(request: PersonRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not (request.user.is_staff and request.user.has_perm(RIGHT)):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def urgency(takedown: Takedown, now: datetime) -> dict[str, str]:
    """How much time is left, in a word and a tone: never by colour alone."""
    left = takedown.deadline_at - now
    if left <= timedelta(0):
        return {"word": _("Overdue"), "tone": "bad", "left": _("its time is over")}
    hours, minutes = int(left / timedelta(hours=1)), int(left / timedelta(minutes=1))
    said = (
        ngettext("%(n)d hour left", "%(n)d hours left", hours) % {"n": hours}
        if hours
        else ngettext("%(n)d minute left", "%(n)d minutes left", minutes) % {"n": minutes}
    )
    if left <= URGENT:
        return {"word": _("Urgent"), "tone": "bad", "left": said}
    if left <= SOON:
        return {"word": _("Soon"), "tone": "warn", "left": said}
    return {"word": _("In time"), "tone": "ok", "left": said}


@for_deciders
@require_safe
def takedowns_page(request: PersonRequest) -> HttpResponse:
    now = timezone.now()
    waiting = Takedown.objects.waiting().annotate(count=Count("pictures"))[:LISTED]
    context = {
        **admin.site.each_context(request),
        "title": _("Takedowns"),
        "rows": [{"takedown": each, "urgency": urgency(each, now)} for each in waiting],
        "decided": Takedown.objects.decided()[:DECIDED_LISTED],
    }
    return render(request, "avatars/staff/takedowns.html", context)


@for_deciders
@require_http_methods(["GET", "HEAD", "POST"])
def takedown_page(request: PersonRequest, pk: int) -> HttpResponse:
    """One notice beside the pictures it is about. `act` says which of the two forms was sent."""
    takedown = get_object_or_404(Takedown, pk=pk)
    avatars = list(takedown.pictures.select_related("thumb", "user", "request").order_by("pk"))
    is_own = any(avatar.user_id == request.user.pk for avatar in avatars)
    if is_own and request.method == "POST":
        raise PermissionDenied
    act = request.POST.get("act", "")
    remove_form = RemoveForm(request.POST if act == "remove" else None, prefix="remove")
    refuse_form = RefuseForm(request.POST if act == "refuse" else None, prefix="refuse")
    try:
        if avatars and remove_form.is_valid():
            return remove(request, takedown, remove_form)
        if refuse_form.is_valid():
            return refuse(request, takedown, refuse_form)
    except takedowns.DecidedMeanwhile:
        messages.warning(request, _("Somebody decided this a moment ago. Nothing was done again."))
        return redirect("takedown", takedown.pk)
    now = timezone.now()
    context = {
        **admin.site.each_context(request),
        "title": _("Takedown %(number)d") % {"number": takedown.pk},
        "takedown": takedown,
        "is_open": takedown.state == Takedown.State.OPEN,
        "is_own": is_own,
        "urgency": urgency(takedown, now),
        "pictures": [picture(avatar) for avatar in avatars],
        "remove_form": remove_form,
        "refuse_form": refuse_form,
        "decisions": Decision.objects.about("takedown", takedown.number).select_related("actor"),
    }
    is_wrong = bool(remove_form.errors or refuse_form.errors)
    return render(request, "avatars/staff/takedown.html", context, status=422 if is_wrong else 200)


def picture(avatar: Avatar) -> dict[str, Any]:
    """One picture as the desk shows it: blurred until it is opened, gone when it is gone."""
    there = avatar.thumb is not None and not avatar.hidden
    latest = avatar.shares.order_by("-pk").first()
    return {
        "avatar": avatar,
        "thumb": storage.link(avatar.thumb.key) if there and avatar.thumb else "",
        "share": latest.get_state_display() if latest else _("never shared"),
        "charged": words.credits(avatar.request.cost),
    }


def remove(request: PersonRequest, takedown: Takedown, form: RemoveForm) -> HttpResponse:
    count = takedowns.accept(
        takedown,
        actor=request.user,
        category=Category(form.cleaned_data["category"]),
        reason=form.cleaned_data["note"],
        give_back=form.cleaned_data["give_back"],
        checked=RemoveForm.CHECKS,
        now=timezone.now(),
    )
    removed = ngettext("%(n)d picture removed.", "%(n)d pictures removed.", count) % {"n": count}
    told = _("The sender and the owner get a letter.")
    messages.success(request, f"{removed} {told}")
    return redirect("takedowns")


def refuse(request: PersonRequest, takedown: Takedown, form: RefuseForm) -> HttpResponse:
    takedowns.refuse(
        takedown, actor=request.user, reason=form.cleaned_data["reason"], now=timezone.now()
    )
    messages.success(request, _("Refused. The sender gets your reason by mail."))
    return redirect("takedowns")
