"""What the provider may call: the doorbell, and the counted face link.

Knows `delivery`, `storage` and the attempts. Both addresses carry 256 random bits of their own;
neither believes anything else.
"""

import json

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts.limits import KNOCKS, whence
from avatars import delivery, storage
from avatars.answers import id_in
from avatars.models import Attempt
from avatars.tasks import ring_one

BODY_LIMIT = 64 * 1024


@csrf_exempt  # the provider has no cookie; the token in the path is the proof
@require_POST
def doorbell(request: HttpRequest, token: str) -> HttpResponse:
    """A hint that a job has news. At most its number is taken from the body; the result is read
    by us, with our key. Answers 200 for a known token whatever the body says, else 404; and 429 to
    an address that guesses: what it does not tell us, the next look does.
    """
    caller = whence(request)
    if KNOCKS.is_spent(caller):
        return HttpResponse(status=429)
    job_id, track_id = said(request)
    bell = delivery.answer_doorbell(token, job_id, track_id)
    if bell is None:
        KNOCKS.spend(caller)
        return HttpResponse(status=404)
    if bell.is_news:
        ring_one(bell.request, queue="look")
    return HttpResponse(status=200)


def said(request: HttpRequest) -> tuple[str, str]:
    """Job number and track_id from a doorbell's body; empty where it says nothing usable."""
    try:
        told = request.read(BODY_LIMIT + 1)
        body = json.loads(told) if len(told) <= BODY_LIMIT else None
    except (ValueError, RecursionError, OSError):
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    track_id = body.get("track_id")
    if not isinstance(track_id, str | int | None):
        return "", ""  # present, and surely not ours
    return id_in(body.get("id")), "" if track_id is None else str(track_id)


@require_safe
def face_link(request: HttpRequest, token: str) -> HttpResponse:
    """The face photo for the provider: every read is counted before a byte leaves, under the same
    condition that a revocation checks. 410 once closed.
    """
    now = timezone.now()
    attempt = Attempt.objects.open_face(token, now).select_related("request__photo__file").first()
    photo = attempt.request.photo if attempt is not None else None
    if photo is None or photo.file is None:
        return HttpResponse(status=410)
    try:
        content = storage.read(photo.file.key)
    except storage.Missing:
        return HttpResponse(status=410)
    except storage.StorageAway:
        return HttpResponse(status=503, headers={"Retry-After": "5"})
    # Only what is really served is counted: our own 503 must not look like a face that was read.
    if not Attempt.objects.serve_face(token, now):
        return HttpResponse(status=410)
    return HttpResponse(
        content,
        content_type="image/jpeg",
        headers={"Cache-Control": "no-store", "X-Robots-Tag": "noindex"},
    )
