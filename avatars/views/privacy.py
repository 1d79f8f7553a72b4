"""Settings → Privacy: where the photos are, how long new ones stay, the consent, and who gets what.

Knows the nouns, `safekeeping`, `opening` and words.
"""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.models import Consent, ConsentText, Decision, User
from avatars import opening, safekeeping, words
from avatars.forms import KeepForm
from avatars.models import AvatarRequest, FacePhoto, Keep, KeepDefault, State
from avatars.models.avatar_requests import UNDER_WAY
from avatars.views.guards import PersonRequest, signed_in
from avatars.views.photos import photo_card

RECORDS_SHOWN = 20
OPENINGS_SHOWN = 20


@signed_in
def privacy(request: PersonRequest) -> HttpResponse:
    """One page: photos with their clocks, records, default retention, consent, staff's views."""
    photos = FacePhoto.objects.filter(user=request.user)
    present = (
        photos.present(timezone.now())
        .select_related("thumb")
        .annotate(used=Count("requests", filter=Q(requests__state=State.READY)))
        .order_by("-pk")
    )
    gone = photos.filter(deleted_at__isnull=False).order_by("-deleted_at")[:RECORDS_SHOWN]
    context = {
        "cards": [photo_card(photo, photo.used) for photo in present],
        "records": list(gone),
        "keep_form": KeepForm(initial={"keep": KeepDefault.of(request.user)}),
        "consents": consents(request.user),
        "openings": [
            opening_line(decision)
            for decision in opening.openings_of(request.user)[:OPENINGS_SHOWN]
        ],
    }
    return render(request, "avatars/privacy.html", context)


def consents(user: User) -> list[dict[str, Any]]:
    """Every consent of this person, the newest first, with the words as they were read."""
    given = list(Consent.objects.filter(user=user).order_by("-pk")[:RECORDS_SHOWN])
    texts = ConsentText.objects.in_bulk(
        {consent.text_hash for consent in given}, field_name="sha256"
    )
    return [
        {
            "kind": consent.kind,
            "version": consent.version,
            "given_at": consent.given_at,
            "withdrawn_at": consent.withdrawn_at,
            "address": consent.address,
            "text": texts[consent.text_hash].text if consent.text_hash in texts else "",
            "text_hash": consent.text_hash,
            "stands": consent.stands(),
        }
        for consent in given
    ]


def opening_line(decision: Decision) -> dict[str, Any]:
    kind, _colon, number = decision.subject.partition(":")
    return {
        "at": decision.created_at,
        "role": decision.after.get("role", ""),
        "reason": decision.reason,
        "photo": number if kind == opening.SUBJECT else "",
    }


@signed_in
@require_POST
def keep_default(request: PersonRequest) -> HttpResponse:
    """How long new photos are kept; those that are here keep their dates."""
    form = KeepForm(request.POST)
    if form.is_valid():
        keep = Keep(form.cleaned_data["keep"])
        KeepDefault.objects.update_or_create(user=request.user, defaults={"keep": keep})
        messages.success(request, _("Saved. Photos that are here keep their dates."))
    else:
        messages.error(request, _("Choose how long we keep your photos."))
    return redirect("privacy_settings")


@signed_in
def withdraw(request: PersonRequest) -> HttpResponse:
    """Asks once and says what goes; then everything goes at once."""
    standing = Consent.objects.standing().filter(user=request.user, kind=Consent.Kind.FACE)
    if request.method == "POST":
        stopped = safekeeping.withdraw(request.user)
        request.user.wallet.refresh_from_db()
        messages.success(request, told(stopped, request.user.wallet.spendable))
        return redirect("privacy_settings")
    if not standing.exists():
        return redirect("privacy_settings")
    photos = FacePhoto.objects.filter(user=request.user, deleted_at=None).count()
    context = {"photos": photos} | AvatarRequest.objects.open().filter(user=request.user).aggregate(
        waiting=Count("pk", filter=~Q(state__in=UNDER_WAY)),
        drawing=Count("pk", filter=Q(state__in=UNDER_WAY)),
    )
    return render(request, "avatars/consent_withdraw.html", context)


def told(stopped: safekeeping.Stopped, balance: int) -> str:
    """What the withdrawal did, in one line."""
    parts = [_("Your consent is withdrawn.")]
    if stopped.photos:
        gone = ngettext("%(n)d photo is deleted.", "%(n)d photos are deleted.", stopped.photos)
        parts.append(gone % {"n": stopped.photos})
    if stopped.credits:
        parts.append(words.credits_back(stopped.credits, balance))
    return " ".join(parts)
