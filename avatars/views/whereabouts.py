"""Where is my face? One page per photo: who has it, who had it, when it goes, and the proof after.

Knows the nouns, `opening`, storage and words.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from avatars import opening, storage, words
from avatars.face_check import Verdict
from avatars.forms import KeepForm
from avatars.models import Attempt, Export, FacePhoto
from avatars.models.exports import LINK_LIFE
from avatars.views.guards import PersonRequest, signed_in
from avatars.views.photos import link_to, own_photo, own_photos, thumb_size
from avatars.words.whereabouts import Event, arrival, departure, journey, opened

NEVER_KEPT = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


@signed_in
def face(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """One timeline, and a record that stays when the photo is gone."""
    now = timezone.now()
    photos = own_photos(request).annotate(copied_until=copied_until(now))
    photo: Any = get_object_or_404(photos, public_id=public_id)
    is_there = photo.is_present(now)
    sent = orders(photo)
    context = {
        "photo": photo,
        "is_there": is_there,
        "copied_until": photo.copied_until if is_there else None,
        "sent": len(sent),
        "sent_last": max((attempt.sent_at for attempt in sent if attempt.sent_at), default=None),
        "picture": link_to(photo.thumb) if is_there else "",
        "size": thumb_size(photo),
        "judgement": words.judgement(Verdict.from_dict(photo.verdict)),
        "keep_form": KeepForm(initial={"keep": photo.keep}),
        "events": as_lines(timeline(photo, sent, now)),
    }
    return render(request, "avatars/face.html", context)


def copied_until(now: datetime) -> Subquery:
    """Until when an export holds a copy: one made since the photo came. Deleting the photo ends
    it. Read with the photo itself, because the page may cost no more.
    """
    since = Export.objects.ready(now).filter(until__gte=OuterRef("created_at") + LINK_LIFE)
    return Subquery(since.filter(user=OuterRef("user")).order_by("-until").values("until")[:1])


def orders(photo: FacePhoto) -> list[Attempt]:
    """Every order this photo was sent with, oldest first."""
    sent = Attempt.objects.filter(request__photo=photo, sent_at__isnull=False)
    return list(sent.select_related("request").order_by("sent_at"))


def timeline(photo: FacePhoto, sent: list[Attempt], now: datetime) -> list[Event]:
    """What happened to a photo and what will, oldest first."""
    events = arrival(photo, settings.S3_REGION if settings.S3_BUCKET else "")
    for attempt in sent:
        events += journey(attempt, photo, now)
    events += [opened(decision) for decision in opening.openings(photo)]
    events += departure(photo, now)
    return sorted(events, key=lambda event: event.at)


def as_lines(events: list[Event]) -> list[dict[str, Any]]:
    return [
        {"at": event.at, "icon": event.icon, "text": event.text, "coming": event.is_coming}
        for event in events
    ]


@signed_in
@require_safe
def download(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """The photo as we keep it, as a file."""
    photo = own_photo(request, public_id)
    if photo.file is None or not photo.is_present(timezone.now()):
        raise Http404
    try:
        content = storage.read(photo.file.key)
    except storage.Missing as error:
        raise Http404 from error
    except storage.StorageAway:
        messages.error(request, _("We can't fetch this photo right now. Nothing is lost."))
        return redirect("face", photo.public_id)
    named = {"Content-Disposition": 'attachment; filename="likeness-photo.jpg"'}
    return HttpResponse(content, content_type="image/jpeg", headers=NEVER_KEPT | named)


@signed_in
@require_safe
def record(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """The deletion record as a text file."""
    photo = own_photo(request, public_id)
    if photo.deleted_at is None:
        raise Http404
    now = timezone.now()
    with timezone.override(timezone.get_default_timezone()):  # a document: by the site's own clock
        context = {
            "photo": photo,
            "objects": photo.objects_gone,
            "events": timeline(photo, orders(photo), now),
            "zone": timezone.get_default_timezone_name(),
        }
        text = render_to_string("avatars/face_record.txt", context)
    named = {
        "Content-Disposition": f'attachment; filename="likeness-deletion-{photo.public_id}.txt"'
    }
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=NEVER_KEPT | named)
