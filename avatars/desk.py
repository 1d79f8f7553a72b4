"""The moderation desk: one item at a time, by keys or by buttons, with or without script.

Knows `reviewing`, `moderation`, words, tasks and the admin's frame. Looking changes nothing; taking
an item, deciding it and opening a source photo are forms.
"""

import functools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.models import Decision, User
from avatars import moderation, reviewing, screening, storage, tasks
from avatars.models import Category, ReviewItem, ReviewKind, ScreeningRule
from avatars.views.guards import PersonRequest
from avatars.words import desk as words

NOTE_LIMIT = 300
LIST_LIMIT = 50  # and no more are decided at once
COUNTED = 1000
HISTORY = 10
NEAR = 6

View = Callable[..., HttpResponse]


def moderating(view: View) -> View:
    """Staff with the right to decide, by their own clock; strangers sign in first."""

    @functools.wraps(view)
    def guarded(request: PersonRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not (request.user.is_staff and request.user.has_perm(reviewing.MODERATE)):
            raise PermissionDenied
        with timezone.override(request.user.zone()):
            return view(request, *args, **kwargs)

    return guarded


# ── The queue ───────────────────────────────────────────────────────────────────────────────────


@moderating
def queue(request: PersonRequest) -> HttpResponse:
    """How much waits, the way in, and the list for clear cases."""
    waiting = open_to(request.user)
    items = list(waiting.for_list().in_order()[:LIST_LIMIT])
    last = None if items else Decision.objects.filter(actor=request.user).newest_first().first()
    context = {
        "title": _("Moderation"),
        "items": [{"item": item, "why": words.why_here(item)} for item in items],
        "waiting": counted(request.user),
        "last": last,
        "reasons": Category.choices,
        "limit": LIST_LIMIT,
    }
    return page(request, "queue", context)


def open_to(user: User) -> Any:  # noqa: ANN401 - ReviewItemQuerySet, which is not re-exported
    return ReviewItem.objects.open_to(user, lead=reviewing.is_lead(user))


def counted(user: User) -> str:
    """“37”, or “more than 1000”: nobody waits for a longer count."""
    number = open_to(user)[: COUNTED + 1].count()
    return str(number) if number <= COUNTED else _("more than %(n)d") % {"n": COUNTED}


@moderating
@require_POST
def take_next(request: PersonRequest) -> HttpResponse:
    return go_on(request)


def go_on(
    request: PersonRequest, after: ReviewItem | None = None, *, backwards: bool = False
) -> HttpResponse:
    """The neighbour of `after`; at the end of the queue its beginning; then the desk is empty."""
    found = reviewing.take_next(request.user, after=after, backwards=backwards)
    if found is None and after is not None:
        found = reviewing.take_next(request.user)
        found = None if found == after else found
    return redirect("desk_item", found.public_id) if found else redirect("desk")


@moderating
@require_POST
def clear(request: PersonRequest) -> HttpResponse:
    """Clear cases from the list, at most LIST_LIMIT: all fine, or all against one rule. Each is a
    decision of its own.
    """
    wanted = [one for one in map(number, request.POST.getlist("item")[:LIST_LIMIT]) if one]
    is_fine, category = request.POST.get("act") == "fine", request.POST.get("reason", "")
    if not wanted or not (is_fine or category in Category):
        messages.error(request, _("Choose items, and a reason unless they are fine."))
        return redirect("desk")
    done = 0
    for item in ReviewItem.objects.filter(public_id__in=wanted).exclude(kind=ReviewKind.APPEAL):
        act = "keep" if item.is_picture else "approve"
        if not is_fine:
            act = "remove" if item.is_picture else "reject"
        try:
            if do(act, item, request.user, category, ""):
                done += 1
            else:
                messages.warning(request, str(words.LOCKED))
        except reviewing.NotDecided as refused:
            messages.warning(request, words.not_decided(anew(refused)))
    said = ngettext("%(n)d item decided.", "%(n)d items decided.", done) % {"n": done}
    messages.success(request, said)
    return redirect("desk")


def number(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


# ── One item ────────────────────────────────────────────────────────────────────────────────────


@moderating
def item_page(request: PersonRequest, public_id: uuid.UUID) -> HttpResponse:
    """Why it is here and until when, what it is, whose it is, and what can be done."""
    if request.method == "POST":
        return decided(request, get_object_or_404(ReviewItem, public_id=public_id))
    return shown(request, public_id)


def shown(request: PersonRequest, public_id: uuid.UUID, error: str = "") -> HttpResponse:
    item = get_object_or_404(ReviewItem.objects.for_desk(), public_id=public_id)
    is_lead = reviewing.is_lead(request.user)
    is_locked = item.leads_only and not is_lead
    is_own = request.user.pk in (item.person_id, item.not_for_id)
    context = {
        "title": item.get_kind_display().capitalize(),
        "item": item,
        "error": error,
        "note": request.POST.get("note", ""),
        "waiting": counted(request.user),
        "why": words.why_here(item),
        "until": words.until(item),
        "is_locked": is_locked,
        "is_own": is_own,
        "is_mine": item.claimed_by_id == request.user.pk,
        "is_claimed": item.claimed_until is not None and item.claimed_until > timezone.now(),
        "claimant": words.name(item.claimed_by),
        "ended": "" if item.is_open else words.how_it_ended(item),
        "is_lead": is_lead,
    }
    if not (is_locked or is_own):
        context |= contents(item) | beside(item)
    return page(request, "item", context, status=422 if error else 200)


def contents(item: ReviewItem) -> dict[str, Any]:
    """What is decided about, and the ways to decide it."""
    wish = item.avatar.request if item.avatar else item.request
    file = item.avatar.file if item.avatar and item.is_open else None
    return {
        "wish": wish,
        "parts": screening.marked(wish.prompt, item.terms) if wish else [],
        "picture": storage.link(file.key) if file else "",
        "acts": words.acts(item),
        "later": words.LATER_ACTS,
        "reasons": words.reasons(item) if item.kind != ReviewKind.APPEAL else [],
        "checklist": words.CHECKLIST if item.category == Category.MINORS else (),
        "note_limit": NOTE_LIMIT,
    }


def beside(item: ReviewItem) -> dict[str, Any]:
    """The person's history, the rules that matched, and pictures that look the same."""
    decisions = Decision.objects.filter(person=item.person_id).select_related("actor")
    others = ReviewItem.objects.filter(person=item.person_id).exclude(pk=item.pk).order_by("-pk")
    avatar = item.avatar
    return {
        "decisions": [
            {"decision": one, "act": words.recorded(one.act)}
            for one in decisions.newest_first()[:HISTORY]
        ],
        "others": others[:HISTORY],
        "near": avatar.likes(NEAR) if avatar else [],
        "matched": ScreeningRule.objects.filter(pk__in=item.rules) if item.rules else [],
    }


def decided(request: PersonRequest, item: ReviewItem) -> HttpResponse:
    """One press: an act, with the reason and note that stand beside it; then the next item."""
    act, category = request.POST.get("act", ""), request.POST.get("reason", "")
    note = screening.clean_words(request.POST.get("note", ""))[:NOTE_LIMIT]
    if act in ("next", "previous"):
        item.let_go(request.user)
        return go_on(request, item, backwards=act == "previous")
    if act == "take":
        return taken(request, item)
    known = {one.value: one for one in (*words.acts(item), *words.LATER_ACTS)}
    if act == "note":
        if not note:
            return shown(request, item.public_id, str(words.NOTE_MISSING))
    elif act not in known:
        raise PermissionDenied
    elif known[act].is_against and category not in Category:
        return shown(request, item.public_id, str(words.REASON_MISSING))
    try:
        done = do(act, item, request.user, category, note)
    except reviewing.NotDecided as refused:
        messages.warning(request, words.not_decided(anew(refused)))
        return go_on(request, item)
    messages.success(request, str(words.DONE[act] if done else words.LOCKED))
    if act == "note":
        return redirect("desk_item", item.public_id)
    if item.is_picture and act not in ("put_back", "escalate", "grant", "deny") and done:
        until = timezone.now() + moderation.UNDO_PERIOD
        request.session["desk_undo"] = [str(item.public_id), until.isoformat()]
    return go_on(request, item)


def do(act: str, item: ReviewItem, moderator: User, category: str, note: str) -> bool:
    """The verb of an act. False when it was handed to a lead instead. Raises NotDecided."""
    reason = Category(category) if category in Category else Category.QUALITY
    match act:
        case "approve":
            tasks.ring([moderation.approve(item, moderator, note=note)])
        case "reject" | "reject_stop":
            stop = act == "reject_stop"
            return moderation.reject(item, moderator, reason, note=note, stop_sharing=stop)
        case "keep":
            moderation.keep(item, moderator, note=note)
        case "remove" | "remove_gift" | "remove_stop":
            return moderation.remove(
                item,
                moderator,
                reason,
                note=note,
                gift=act == "remove_gift",
                stop_sharing=act == "remove_stop",
            )
        case "grant" | "deny":
            moderation.answer(item, moderator, granted=act == "grant", note=note)
        case "put_back":
            reviewing.put_back(item, moderator)
        case "escalate":
            reviewing.escalate(item, moderator, note=note)
        case "note":
            reviewing.add_note(item, moderator, note)
    return True


def taken(request: PersonRequest, item: ReviewItem) -> HttpResponse:
    try:
        reviewing.take(item, request.user)
    except reviewing.NotDecided as refused:
        messages.warning(request, words.not_decided(anew(refused)))
    return redirect("desk_item", item.public_id)


def anew(refused: reviewing.NotDecided) -> reviewing.NotDecided:
    """With the item as whoever was faster has left it."""
    refused.item = ReviewItem.objects.for_decision().get(pk=refused.item.pk)
    return refused


@moderating
@require_POST
def undo(request: PersonRequest, public_id: uuid.UUID) -> HttpResponse:
    request.session.pop("desk_undo", None)
    item = get_object_or_404(ReviewItem, public_id=public_id)
    try:
        moderation.undo(item, request.user)
    except reviewing.Stale:
        messages.warning(request, _("It is too late to undo that."))
        return redirect("desk")
    messages.success(request, _("Undone: it is on the desk again."))
    return redirect("desk_item", public_id)


@moderating
@require_POST
def keys(request: PersonRequest) -> HttpResponse:
    """Single keys off, or on again, for this session."""
    request.session["desk_keys_off"] = not request.session.get("desk_keys_off", False)
    back = number(request.POST.get("item", ""))
    return redirect("desk_item", back) if back else redirect("desk")


# ── The person and their photo ──────────────────────────────────────────────────────────────────


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=NOTE_LIMIT, min_length=3, strip=True)


@moderating
def suspend(request: PersonRequest, public_id: uuid.UUID) -> HttpResponse:
    """A page to think it over, then the suspension. For leads."""
    if not reviewing.is_lead(request.user):
        raise PermissionDenied
    item = get_object_or_404(ReviewItem.objects.for_decision(), public_id=public_id)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        suspended = moderation.suspend(item, request.user, form.cleaned_data["reason"])
        said = _("Suspended: they can look and leave, but not make.")
        messages.success(request, said if suspended else _("They were suspended already."))
        return redirect("desk_item", public_id)
    context = {"title": _("Suspend the person"), "item": item, "form": form}
    return page(request, "suspend", context, status=422 if form.is_bound else 200)


def page(
    request: HttpRequest, name: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    frame = {**admin.site.each_context(request), "is_nav_sidebar_enabled": False}
    frame["keys"] = not request.session.get("desk_keys_off")
    undoable, until = request.session.get("desk_undo", ("", ""))
    moment = parse_datetime(until) if until else None
    if moment and moment > timezone.now() + timedelta(seconds=1):
        frame["undoable"] = undoable
    return render(request, f"admin/moderation/{name}.html", {**frame, **context}, status=status)
