"""Photos: consent, upload and verdict, the saved ones with their clocks, and where each has been.

Knows `safekeeping` and the refusals of what stands below it.
"""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import IntegrityError
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.limits import Limit, limited
from accounts.models import Consent, User
from avatars import generation, safekeeping, storage, words
from avatars.face_check import Verdict
from avatars.forms import ACCEPT, ConsentForm, KeepForm, PhotoForm
from avatars.imaging import PHOTO_THUMB_BOX, UPLOAD_BYTES, PhotoRefused
from avatars.models import Attempt, AvatarRequest, FacePhoto, Keep, State
from avatars.models.avatar_requests import UNDER_WAY
from avatars.models.photos import KEEP_FOR
from avatars.safekeeping import NoClearFace
from avatars.storage import StorageAway
from avatars.views.guards import signed_in

UPLOADS = Limit("photos", 20, 3600)
# Uploads pause half a minute when the storage is away (engine.md §7).
STORAGE_RETRY_SECONDS = 30


# ── Consent ─────────────────────────────────────────────────────────────────────────────────────


def consent_text() -> str:
    """The versioned text, in the reader's language; its hash is what was agreed to."""
    context = {"keep_days": KEEP_FOR[Keep.MONTH].days}
    return render_to_string("avatars/face_consent_text.html", context).strip()


def standing_consent(user: User) -> Consent | None:
    to_this_text = Consent.objects.standing().to(
        Consent.Kind.FACE, generation.FACE_CONSENT_VERSION
    )
    return to_this_text.filter(user=user).first()


@signed_in
def consent(request: HttpRequest) -> HttpResponse:
    """The separate question before the first photo. Asked again when its text changes."""
    form = ConsentForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return consent_page(request, form, status=422 if form.is_bound else 200)
    Consent.objects.get_or_create(
        user=request.user,
        kind=Consent.Kind.FACE,
        version=generation.FACE_CONSENT_VERSION,
        withdrawn_at=None,
        defaults={
            "text_hash": hashlib.sha256(consent_text().encode()).hexdigest(),
            "address": request.META.get("REMOTE_ADDR"),
        },
    )
    return redirect("create" if request.POST.get("next") == "create" else "face_new")


def consent_page(request: HttpRequest, form: ConsentForm, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "text": consent_text(),
        "next": "create" if "create" in (request.GET.get("next"), request.POST.get("next")) else "",
    }
    return render(request, "avatars/face_consent.html", context, status=status)


# ── Upload and verdict ──────────────────────────────────────────────────────────────────────────


@signed_in
@limited(UPLOADS)
def new(request: HttpRequest) -> HttpResponse:
    """Guidance, the file field, and what we think of the photo. Consent stands before all."""
    agreed = standing_consent(request.user)
    if agreed is None:
        return consent_page(request, ConsentForm())
    if request.method != "POST":
        return upload_page(request, PhotoForm())
    form = PhotoForm(request.POST, request.FILES)
    if not form.is_valid():
        return upload_page(request, form, status=422)
    try:
        photo = safekeeping.accept(
            request.user,
            form.cleaned_data["photo"].file,
            consent=agreed,
            keep=Keep(form.cleaned_data["keep"]),
        )
    except PhotoRefused as refused:
        form.add_error("photo", words.photo_refusal(refused))
    except NoClearFace as refused:
        form.add_error("photo", words.judgement(refused.verdict).sentence)
    except StorageAway:
        return render(
            request,
            "avatars/storage_away.html",
            {"sentence": words.STORAGE_AWAY},
            status=503,
            headers={"Retry-After": str(STORAGE_RETRY_SECONDS)},
        )
    else:
        return redirect("face_verdict", photo.public_id)
    return upload_page(request, form, status=422)


def upload_page(request: HttpRequest, form: PhotoForm, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "accept": ACCEPT,
        "max_bytes": UPLOAD_BYTES,
        "limit": _("JPEG, PNG, WebP or HEIC, up to %(limit)d MB.")
        % {"limit": UPLOAD_BYTES // words.MEGABYTE},
    }
    return render(request, "avatars/face_new.html", context, status=status)
