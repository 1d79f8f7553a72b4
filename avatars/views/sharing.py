"""Sharing: a link on and off by the owner, and the page that strangers see under it.

Knows `sharing`, storage and words. A link that shows nothing answers 410 whatever the reason, and
so does one that never was: from outside the two cannot be told apart.
"""

import functools
import logging
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.limits import LINKS, limited
from avatars import sharing, storage, words
from avatars.models import Avatar, Period, Share, Style
from avatars.trust_forms import ShareForm
from avatars.views.gallery import own_avatar
from avatars.views.guards import PersonRequest, View, signed_in

staff = logging.getLogger("likeness.staff")

# Nothing may keep a copy: a stopped link is dead on the next request, in every cache too.
UNLISTED = {
    "Cache-Control": "private, no-store",
    "X-Robots-Tag": "noindex, nofollow, noarchive, noimageindex",
}


def unlisted(view: View) -> View:
    """For the eyes of whoever has the link: no search engine, no copy."""

    @functools.wraps(view)
    def marked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        for name, value in UNLISTED.items():
            response.headers[name] = value
        return response

    return marked


def absolute(name: str, *arguments: object) -> str:
    """An address as strangers need it."""
    return settings.SITE_URL.rstrip("/") + reverse(name, args=arguments)


# ── The owner ───────────────────────────────────────────────────────────────────────────────────


def shown_avatar(request: PersonRequest, public_id: UUID) -> Avatar:
    """One of this person's avatars that hangs in the gallery; else 404."""
    avatar = own_avatar(request, public_id)
    if avatar.trashed_at is not None:
        raise Http404
    return avatar


@signed_in
@limited(LINKS)
def share(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """How the link of one avatar stands; a POST makes it."""
    avatar = shown_avatar(request, public_id)
    if request.method != "POST":
        return share_page(request, avatar, ShareForm())
    form = ShareForm(request.POST)
    if form.is_valid():
        try:
            sharing.share(
                avatar,
                period=Period(form.cleaned_data["period"]),
                with_words=form.cleaned_data["with_words"],
                now=timezone.now(),
            )
        except sharing.ShareRefused as refused:
            form.add_error(None, str(words.SHARE_REFUSALS[refused.code]))
            return share_page(request, avatar, form, status=409)
        return redirect("avatar_share", avatar.public_id)
    return share_page(request, avatar, form, status=422)


def share_page(
    request: PersonRequest, avatar: Avatar, form: ShareForm, *, status: int = 200
) -> HttpResponse:
    latest = Share.objects.filter(avatar=avatar).order_by("-pk").first()
    state = ""
    if latest is not None:
        has_ended = latest.state == Share.State.LIVE and latest.has_expired(timezone.now())
        state = Share.State.ENDED if has_ended else latest.state
    barred = sharing.barred(avatar.user)
    context = {
        "avatar": avatar,
        "barred": words.SHARE_REFUSALS[barred] if barred else "",
        "looks_blocked": state == Share.State.REVIEW and sharing.looks_blocked(avatar),
        "kind": Style(avatar.style).label,
        "picture": storage.link(avatar.thumb_key),
        "share": latest,
        "state": state,
        "address": absolute("shared", latest.token) if latest else "",
        "form": form,
    }
    return render(request, "avatars/share.html", context, status=status)


@signed_in
@require_POST
def stop(request: PersonRequest, public_id: UUID) -> HttpResponse:
    avatar = own_avatar(request, public_id)
    if sharing.stop(avatar, timezone.now()):
        messages.success(request, _("Stopped. The link shows nothing any more."))
    return redirect("avatar_share" if avatar.trashed_at is None else "avatar", avatar.public_id)


# ── Strangers ───────────────────────────────────────────────────────────────────────────────────


def visible_share(token: str) -> Share | None:
    """The one check of page and picture alike, made on every request."""
    # A NUL is in no token, and PostgreSQL does not even look for one.
    shares = Share.objects.visible(timezone.now()).filter(token=token.replace("\x00", " "))
    return shares.select_related("avatar__file", "avatar__request").first()


@unlisted
@require_safe
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """The picture, and nothing of whose it is. 410 for every link that shows nothing."""
    found = visible_share(token)
    if found is None:
        return render(request, "avatars/shared_gone.html", status=410)
    return render(request, "avatars/shared.html", shared_context(found))


def shared_context(found: Share) -> dict[str, Any]:
    avatar = found.avatar
    kind = Style(avatar.style).label
    return {
        "avatar": avatar,
        "title": _("%(kind)s avatar") % {"kind": kind},
        # An avatar's own alternative text holds the description.
        "alt": avatar.alt if found.with_words else _("%(kind)s avatar") % {"kind": kind},
        "words": avatar.request.prompt if found.with_words else "",
        "picture": reverse("shared_picture", args=[found.token]),
        "picture_address": absolute("shared_picture", found.token),
        "address": absolute("shared", found.token),
    }


@unlisted
@require_safe
def shared_picture(request: HttpRequest, token: str) -> HttpResponse:
    """The bytes themselves, after the same check: there is no signed address to keep."""
    found = visible_share(token)
    if found is None:
        return HttpResponse(status=410)
    try:
        content = storage.read(found.avatar.master_key)
    except storage.StorageAway:
        return HttpResponse(status=503, headers={"Retry-After": "30"})
    except storage.Missing:
        if visible_share(token):  # else it was removed while we read
            staff.error("avatar %s is shared and its file is missing", found.avatar_id)
        return HttpResponse(status=410)
    sent = {"Content-Disposition": "inline", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(content, content_type="image/webp", headers=sent)
