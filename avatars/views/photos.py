"""Photos: consent, upload and verdict, and the saved ones with their clocks.

Knows `safekeeping` and the refusals of what stands below it.
"""

import hashlib
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.limits import UPLOADS, address_of, limited
from accounts.models import Consent, User
from avatars import generation, safekeeping, storage, words
from avatars.face_check import Verdict
from avatars.forms import ACCEPT, ConsentForm, KeepForm, PhotoForm
from avatars.imaging import PHOTO_THUMB_BOX, UPLOAD_BYTES, PhotoRefused
from avatars.models import AvatarRequest, FacePhoto, Keep, KeepDefault, State, StoredFile
from avatars.models.avatar_requests import UNDER_WAY
from avatars.models.photos import KEEP_FOR
from avatars.safekeeping import ConsentGone, NoClearFace, PhotoBlocked
from avatars.storage import StorageAway
from avatars.views.guards import PersonRequest, signed_in

# Nobody needs more faces at once; without an end the pages that list them would have none.
PHOTOS_KEPT = 50
# Uploads pause half a minute when the storage is away (engine.md §7).
STORAGE_RETRY_SECONDS = 30


# ── Consent ─────────────────────────────────────────────────────────────────────────────────────


def standing_consent(user: User) -> Consent | None:
    to_this_text = Consent.objects.standing().to(Consent.Kind.FACE, generation.FACE_CONSENT_VERSION)
    return to_this_text.filter(user=user).first()


@signed_in
def consent(request: PersonRequest) -> HttpResponse:
    """The separate question before the first photo. Asked again when its text changes."""
    form = ConsentForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return consent_page(request, form, status=422 if form.is_bound else 200)
    if request.POST.get("text", text_shown()) != text_shown():  # changed while they read
        return consent_page(request, ConsentForm(), status=409)
    Consent.objects.give(
        request.user,
        Consent.Kind.FACE,
        generation.FACE_CONSENT_VERSION,
        text=words.consent_text(),
        address=address_of(request),
    )
    return redirect("create" if request.POST.get("next") == "create" else "face_new")


def text_shown() -> str:
    """By which a page says what was read on it."""
    return hashlib.sha256(words.consent_text().encode()).hexdigest()


def consent_page(request: PersonRequest, form: ConsentForm, *, status: int = 200) -> HttpResponse:
    earlier = Consent.objects.standing().filter(user=request.user, kind=Consent.Kind.FACE)
    context = {
        "form": form,
        "text": words.consent_body(),
        "text_shown": text_shown(),
        "earlier": earlier.order_by("-pk").first(),
        "next": "create" if "create" in (request.GET.get("next"), request.POST.get("next")) else "",
    }
    return render(request, "avatars/face_consent.html", context, status=status)


# ── Upload and verdict ──────────────────────────────────────────────────────────────────────────


@signed_in
@limited(UPLOADS)
def new(request: PersonRequest) -> HttpResponse:
    """Guidance, the file field, and what we think of the photo. Consent stands before all."""
    if request.method == "GET" and "photo" in request.GET:
        return verdict_page(request, present_photo(request, request.GET["photo"]))
    if request.user.suspended_at is not None:
        messages.error(request, words.barred(request.user))
        return redirect("faces")
    agreed = standing_consent(request.user)
    if agreed is None:
        return consent_page(request, ConsentForm())
    if request.method != "POST":
        keep = KeepDefault.of(request.user)
        return upload_page(request, PhotoForm(initial={"keep": keep}))
    if too_many_photos(request.user):
        return upload_page(request, PhotoForm(), status=409)
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
    except PhotoBlocked:
        form.add_error("photo", words.PHOTO_BLOCKED)
    except NoClearFace as refused:
        form.add_error("photo", words.judgement(refused.verdict).sentence)
    except ConsentGone:
        return consent_page(request, ConsentForm(), status=409)
    except StorageAway:
        context = {"sentence": words.STORAGE_AWAY}
        away = render(request, "avatars/storage_away.html", context, status=503)
        away.headers["Retry-After"] = str(STORAGE_RETRY_SECONDS)
        return away
    else:
        return redirect(verdict_address(photo))
    return upload_page(request, form, status=422)


def too_many_photos(user: User) -> str:
    """A sentence for whoever has as many photos as we keep at once."""
    if FacePhoto.objects.filter(user=user).present(timezone.now()).count() < PHOTOS_KEPT:
        return ""
    return _("You have %(n)d photos here, the most we keep at once. Delete one first.") % {
        "n": PHOTOS_KEPT
    }


def upload_page(request: PersonRequest, form: PhotoForm, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "too_many": too_many_photos(request.user),
        "accept": ACCEPT,
        "max_bytes": UPLOAD_BYTES,
        "limit": _("JPEG, PNG, WebP or HEIC, up to %(limit)d MB.")
        % {"limit": UPLOAD_BYTES // words.MEGABYTE},
    }
    return render(request, "avatars/face_new.html", context, status=status)


def verdict_address(photo: FacePhoto) -> str:
    return f"{reverse('face_new')}?photo={photo.public_id}"


def own_photos(request: PersonRequest) -> QuerySet[FacePhoto]:
    return FacePhoto.objects.filter(user=request.user).select_related("file", "thumb")


def own_photo(request: PersonRequest, public_id: UUID | str) -> FacePhoto:
    """This person's photo, deleted ones too; 404 for anybody else's and for what is no id."""
    try:
        return get_object_or_404(own_photos(request), public_id=public_id)
    except ValidationError as error:
        raise Http404 from error


def present_photo(request: PersonRequest, public_id: UUID | str) -> FacePhoto:
    photo = own_photo(request, public_id)
    if not photo.is_present(timezone.now()):
        raise Http404
    return photo


def verdict_page(request: PersonRequest, photo: FacePhoto) -> HttpResponse:
    """The photo as we keep it, the face we found in it, and one sentence about it."""
    verdict = Verdict.from_dict(photo.verdict)
    box = verdict.box
    context = {
        "photo": photo,
        "picture": {
            "url": link_to(photo.file),
            "width": photo.width,
            "height": photo.height,
            "alt": _("Your photo"),
        },
        "face": box and dict(zip(("x", "y", "width", "height"), box, strict=True)),
        "judgement": words.judgement(verdict),
        # A photo we warned of is not kept when another one is chosen instead of using it.
        "choose_form": "choose-another" if verdict.warnings and not photo.last_used_at else "",
        "keep_form": KeepForm(initial={"keep": photo.keep}),
    }
    return render(request, "avatars/face_verdict.html", context)


# ── Saved photos ────────────────────────────────────────────────────────────────────────────────


@signed_in
def faces(request: PersonRequest) -> HttpResponse:
    """The photos that are there, newest first, each with its verdict and its clock."""
    photos = (
        FacePhoto.objects.filter(user=request.user)
        .present(timezone.now())
        .select_related("thumb")
        .annotate(used=Count("requests", filter=Q(requests__state=State.READY)))
        .order_by("-pk")
    )
    cards = [photo_card(photo, photo.used) for photo in photos]
    return render(request, "avatars/faces.html", {"cards": cards})


def link_to(file: StoredFile | None) -> str:
    """An address of a stored file, or nothing once it is gone."""
    return storage.link(file.key) if file else ""


def thumb_size(photo: FacePhoto) -> tuple[int, int]:
    """Width and height in pixels of the stored small picture, known without opening it."""
    scale = min(1, PHOTO_THUMB_BOX[0] / photo.width, PHOTO_THUMB_BOX[1] / photo.height)
    return max(1, round(photo.width * scale)), max(1, round(photo.height * scale))


def photo_card(photo: FacePhoto, used: int) -> dict[str, Any]:
    judged = words.judgement(Verdict.from_dict(photo.verdict))
    width, height = thumb_size(photo)
    return {
        "public_id": photo.public_id,
        "thumb_url": link_to(photo.thumb),
        "alt": _("Your photo of %(date)s")
        % {"date": formats.date_format(timezone.localtime(photo.created_at), "DATE_FORMAT")},
        "width": width,
        "height": height,
        "word": judged.word,
        "tone": judged.tone,
        "icon": judged.icon,
        "deletes_at": None if photo.keep == Keep.READY else photo.delete_at,
        "to_the_minute": photo.keep == Keep.DAY,
        "used": used,
        "use_href": f"{reverse('create')}?photo={photo.public_id}",
    }


@signed_in
def delete(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """Asks once, then the photo goes at once and for good."""
    photo = own_photo(request, public_id)
    chooses_another = request.POST.get("next") == "face_new"
    if chooses_another and photo.last_used_at and not photo.deleted_at:
        # Used since that page was opened, so it is no longer a photo nobody wanted: ask.
        return redirect("face_delete", photo.public_id)
    if request.method == "POST":
        safekeeping.erase(photo, tells=not chooses_another)
        messages.success(request, _("The photo is deleted, for good."))
        return redirect("face_new" if chooses_another else "faces")
    if photo.deleted_at:
        return redirect("face", photo.public_id)
    open_requests = AvatarRequest.objects.filter(photo=photo).open()
    counts = open_requests.aggregate(
        waiting=Count("pk", filter=~Q(state__in=UNDER_WAY)),
        drawing=Count("pk", filter=Q(state__in=UNDER_WAY)),
    )
    return render(request, "avatars/face_delete.html", {"photo": photo} | counts)


@signed_in
@require_POST
def keep(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """Another retention for a photo that is still there."""
    photo = present_photo(request, public_id)
    form = KeepForm(request.POST)
    if form.is_valid():
        chosen = Keep(form.cleaned_data["keep"])
        if (photo.last_used_at or photo.created_at) + KEEP_FOR[chosen] <= timezone.now():
            messages.warning(request, _("By that choice this photo would go at once."))
            return redirect("face_delete", photo.public_id)
        safekeeping.change_keep(photo, chosen)
        messages.success(request, _("Saved."))
    else:
        messages.error(request, _("Choose how long we keep the photo."))
    return redirect(
        verdict_address(photo)
        if request.POST.get("next") == "verdict"
        else reverse("face", args=[photo.public_id])
    )
