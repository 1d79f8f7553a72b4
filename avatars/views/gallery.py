"""Gallery: the wall and what is in the making, one avatar, favourites, trash, downloads.

Knows the wall, `safekeeping.purge`, storage, imaging and words.
"""

import logging
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import content_disposition_header, url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from avatars import imaging, safekeeping, storage, words
from avatars.models import Avatar, Quality, Removal, Share, Style
from avatars.models.avatars import TRASH_PERIOD, AvatarQuerySet
from avatars.views import progress
from avatars.views.guards import PersonRequest, signed_in
from avatars.views.wall import (
    EAGER,
    PAGE,
    Search,
    cursor,
    ends_at,
    own,
    page_of,
    place_of,
    request_tile,
    shown_requests,
    tile,
    tiles,
    tray_of,
)

staff = logging.getLogger("likeness.staff")


# ── The wall ────────────────────────────────────────────────────────────────────────────────────


@signed_in
@require_safe
@vary_on_headers("HX-Request")
def gallery(request: PersonRequest) -> HttpResponse:
    """The person's avatars, newest first, and before them what is in the making. htmx asks the
    same address for the next page (`before`) and for what came since the page was opened (`after`).
    """
    if request.htmx and "after" in request.GET:
        return render(request, "avatars/gallery_making.html", making(request))
    search, before = Search.of(request.GET), cursor(request, "before")
    avatars, more = page_of(search.among(own(request.user).shown()), request.user, before)
    progress.see(avatar.request for avatar in avatars)
    context: dict[str, Any] = {
        "search": search,
        "before": before,
        "tiles": tiles(avatars, eager=0 if before else EAGER),
        "next": search.address(before=more) if more else "",
    }
    if request.htmx:
        # From the second press on the list goes on by itself.
        context["auto"] = "before=" in (request.htmx.current_url or "")
        return render(request, "avatars/gallery_more.html", context)
    if before and not avatars:
        return redirect(search.address())
    requests = shown_requests(request.user)
    context |= {"tray": tray_of(requests), "styles": search.chips()}
    if not search.is_on() and not before:
        progress.see(requests)
        newest = str(avatars[0].public_id) if avatars else ""
        context |= {"requests": [request_tile(wish) for wish in requests], "newest": newest}
        if not avatars and not requests:
            # Only an empty wall asks whether it was ever otherwise.
            context["ever"] = own(request.user).exists()
    return render(request, "avatars/gallery.html", context)


def making(request: PersonRequest) -> dict[str, Any]:
    """What is in the making now, and the avatars that became ready since the page was opened."""
    after = cursor(request, "after")
    avatars = own(request.user).shown()
    if after:
        avatars = avatars.filter(pk__gt=place_of(request.user, after))
    ready, requests = list(avatars.for_gallery()[:PAGE]), shown_requests(request.user)
    progress.see([*requests, *(avatar.request for avatar in ready)])
    return {
        "requests": [request_tile(wish) for wish in requests],
        "tiles": tiles(ready),
        "newest": after or "",
    }


# ── One avatar ──────────────────────────────────────────────────────────────────────────────────


def own_avatars_there(request: PersonRequest) -> AvatarQuerySet:
    """This person's avatars that are still there, in the trash or not."""
    there = own(request.user).filter(hidden=False, file__isnull=False).for_gallery()
    return there.select_related("request__photo")


def own_avatar(request: PersonRequest, public_id: UUID) -> Avatar:
    """One of them; else 404."""
    return get_object_or_404(own_avatars_there(request), public_id=public_id)


@signed_in
@require_safe
def viewer(request: PersonRequest, public_id: UUID) -> HttpResponse:
    links = Share.objects.open().filter(avatar=OuterRef("pk"))
    there = own_avatars_there(request).annotate(is_shared=Exists(links))
    avatar = there.filter(public_id=public_id).first()
    if avatar is None:
        return removed(request, public_id)
    neighbours = own(request.user).shown().values_list("public_id", flat=True)
    wish = avatar.request
    context = {
        **tile(avatar),
        "wish": wish,
        "is_shared": avatar.is_shared,
        "title": _("%(kind)s avatar") % {"kind": Style(avatar.style).label},
        "made_at": avatar.created_at,
        "quality": Quality(wish.quality).label,
        "cost": words.credits(wish.cost),
        "again_cost": words.credits(Quality(wish.quality).cost),
        "previous": neighbours.filter(pk__gt=avatar.pk).order_by("pk").first(),
        "next": neighbours.filter(pk__lt=avatar.pk).order_by("-pk").first(),
        "ends_at": ends_at(avatar),
    }
    return render(request, "avatars/viewer.html", context)


def removed(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """A picture of theirs that staff took down, and why; else 404."""
    own_ones = Removal.objects.filter(avatar__user=request.user)
    removal = get_object_or_404(
        own_ones.select_related("avatar__request"), avatar__public_id=public_id
    )
    wish = removal.avatar.request
    context = {
        "removal": removal,
        "sentence": words.removed(removal.category),
        "wish": wish,
        "kind": Style(removal.avatar.style).label,
        "cost": words.credits(wish.cost),
        "credits_back": words.credits(removal.credits_back) if removal.credits_back else "",
    }
    return render(request, "avatars/removed.html", context)


# What a download may be: content type, and how the file's name ends.
FORMS = {
    "jpeg": ("image/jpeg", "jpg"),
    "webp": ("image/webp", "webp"),
    "png": ("image/png", "png"),
    "square": ("image/jpeg", "square.jpg"),
}


def master_of(avatar: Avatar) -> bytes:
    """The stored picture as it was made. Raises storage.Missing or storage.StorageAway."""
    if avatar.file is None:
        raise storage.Missing(str(avatar))
    return storage.read(avatar.file.key)


@signed_in
@require_safe
def download(request: PersonRequest, public_id: UUID, form: str) -> HttpResponse:
    """The picture as a file with its mark, under a name that says what it is."""
    if form not in FORMS:
        raise Http404
    content_type, suffix = FORMS[form]
    avatar = own_avatar(request, public_id)
    try:
        content = imaging.download_as(master_of(avatar), form)
    except storage.StorageAway:
        messages.error(request, _("We can't fetch this picture right now. Nothing is lost."))
        return redirect("avatar", avatar.public_id)
    except (storage.Missing, imaging.PictureBroken) as error:
        staff.error("avatar %s cannot be downloaded: %s", avatar.pk, type(error).__name__)
        messages.error(request, _("This file is damaged. Our staff have been told."))
        return redirect("avatar", avatar.public_id)
    return HttpResponse(
        content,
        content_type=content_type,
        headers={
            "Content-Disposition": content_disposition_header(
                True,  # noqa: FBT003 - Django's own first argument: as an attachment
                avatar.download_name(suffix),
            ),
            "X-Content-Type-Options": "nosniff",
        },
    )


# ── Acts ────────────────────────────────────────────────────────────────────────────────────────


def back(request: PersonRequest, otherwise: str, anchor: str = "") -> HttpResponse:
    """To the page of ours the press came from."""
    came_from = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(
        came_from, {request.get_host()}, require_https=request.is_secure()
    ):
        came_from = reverse(otherwise)
    # An address and nothing else: redirect() would take a bare word for the name of a view.
    return HttpResponseRedirect(came_from.partition("#")[0] + anchor)


@signed_in
@require_POST
def favourite(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """Turn the heart; htmx takes the heart alone out of the answer."""
    avatar = own_avatar(request, public_id)
    avatar.favourite = not avatar.favourite
    avatar.set_favourite(favourite=avatar.favourite)
    if request.htmx:
        return render(request, "avatars/favourite.html", tile(avatar))
    return back(request, "gallery", f"#avatar-{avatar.public_id}")


@signed_in
@require_POST
def delete(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """Into the trash; the message takes it out again by a form that the gallery carries."""
    avatar = own_avatar(request, public_id)
    if avatar.trash(timezone.now()):
        undo = format_html(
            '{} <button class="c-button c-button--text" form="undo" formaction="{}">{}</button>',
            _("Moved to the trash."),
            reverse("avatar_restore", args=[avatar.public_id]),
            _("Undo"),
        )
        messages.success(request, undo)
    return redirect("gallery")


@signed_in
@require_POST
def restore(request: PersonRequest, public_id: UUID) -> HttpResponse:
    avatar = own_avatar(request, public_id)
    if avatar.trashed_at is not None and avatar.restore():
        messages.success(request, _("It hangs in your gallery again."))
    return back(request, "gallery")


@signed_in
@require_POST
def purge(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """Delete for good what is in the trash. Pressed twice, it went once."""
    avatar = get_object_or_404(
        own(request.user).filter(hidden=False, trashed_at__isnull=False), public_id=public_id
    )
    if safekeeping.purge(avatar):
        messages.success(request, _("Deleted for good."))
    return redirect("trash")


@signed_in
@require_safe
def trash(request: PersonRequest) -> HttpResponse:
    avatars, more = page_of(own(request.user).trashed(), request.user, cursor(request, "before"))
    shown = [
        {
            **tile(avatar),
            "ends_at": ends_at(avatar),
            "restore_url": reverse("avatar_restore", args=[avatar.public_id]),
            "purge_url": reverse("avatar_purge", args=[avatar.public_id]),
        }
        for avatar in avatars
    ]
    context = {
        "tiles": shown,
        "next": f"{reverse('trash')}?before={more}" if more else "",
        "days": TRASH_PERIOD.days,
    }
    return render(request, "avatars/trash.html", context)
