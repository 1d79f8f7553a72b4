"""The staff's page about the provider, is it us or them, and the acts that belong to it.

Knows watching, measuring, intervening, the board and the admin's frame. Asks the provider nothing:
its books were noted by the clock, so that the page answers while the provider hangs.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import Decision
from avatars import counting, intervening, measuring, tasks, watching
from avatars.models import AvatarRequest, Breaker, Reason
from avatars.models.attempts import Service
from avatars.staff_forms import PauseForm, ReasonForm
from avatars.views import board
from avatars.views.guards import PersonRequest

TONES = {"up": "ok", "slow": "warn", "paused": "warn", "failing": "bad", "asleep": "bad"}
VERDICTS: dict[str, str | Promise] = {
    "up": gettext_lazy("Up"),
    "slow": gettext_lazy("Slow"),
    "paused": gettext_lazy("Paused"),
    "failing": gettext_lazy("Failing"),
    "asleep": gettext_lazy("Asleep"),
}


@require_safe
@admin.site.admin_view
@permission_required("avatars.view_figures", raise_exception=True)
def provider(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    status = watching.status(now, offline=True)
    ended = counting.Figures(at=now)
    counting.count_ended(ended, now)
    word, why = watching.verdict(
        status,
        failed=ended.failed_hour,
        ours=ended.ours_hour,
        ended=ended.ended_hour,
        is_slow=board.weather() == "slow",
    )
    speeds = measuring.speeds()
    account, asked_at = watching.noted_account()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    breaker = Breaker.of(Service.FACE_GEN)
    trail = Decision.objects.about(*intervening.SUBJECT)
    context = {
        **admin.site.each_context(request),
        "title": _("Provider"),
        "word": VERDICTS[word],
        "tone": TONES[word],
        "why": why,
        "status": status,
        "provider_host": settings.FACE_GEN_URL,
        "width": breaker.width_now(now),
        "pauses_until": breaker.pauses_until if breaker.is_pausing(now) else None,
        "pause_reason": breaker.reason,
        "last_act": trail.select_related("actor").last(),
        "speeds": speeds,
        "errors": [{**row, "word": Reason(row["reason"]).label} for row in measuring.errors(now)],
        "provider_words": measuring.provider_words(now),
        "bells": measuring.bells(),
        "hanging": measuring.hanging(speeds, now),
        "cost": measuring.cost_since(midnight),
        "account": account,
        "asked_at": asked_at,
    }
    return render(request, "avatars/provider.html", context)


# ── Acts ────────────────────────────────────────────────────────────────────────────────────────

Do = Callable[[ReasonForm], bool]


def confirmed(
    request: HttpRequest, form: ReasonForm, do: Do, *, done: str, **words: str | Promise
) -> HttpResponse:
    """The form, a look at what will be, then the act."""
    is_valid = form.is_valid()
    if is_valid and "confirmed" in request.POST:
        if do(form):
            messages.success(request, done)
        else:
            messages.warning(request, _("Nothing changed: it has moved on meanwhile."))
        return redirect("provider")
    context = {
        **admin.site.each_context(request),
        **words,
        "form": form,
        "is_final": is_valid,
    }
    status = 422 if form.is_bound and not is_valid else 200
    return render(request, "avatars/provider_act.html", context, status=status)


def asked(request: HttpRequest) -> Any:  # noqa: ANN401 - a form's data
    return request.POST if request.method == "POST" else None


@require_http_methods(["GET", "HEAD", "POST"])
@admin.site.admin_view
@permission_required("avatars.pause_drawing", raise_exception=True)
def pause(request: PersonRequest) -> HttpResponse:
    def do(form: ReasonForm) -> bool:
        facts = form.cleaned_data
        return intervening.pause(
            facts["minutes"], actor=request.user, reason=facts["reason"], now=timezone.now()
        )

    return confirmed(
        request,
        PauseForm(asked(request)),
        do,
        title=gettext_lazy("Pause drawing"),
        subject=settings.FACE_GEN_URL,
        what=gettext_lazy(
            "Nothing new is sent. What is under way is finished, what waits keeps its promise: its "
            "credits return at the printed moment."
        ),
        done=_("Drawing is paused."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@admin.site.admin_view
@permission_required("avatars.pause_drawing", raise_exception=True)
def resume(request: PersonRequest) -> HttpResponse:
    def do(form: ReasonForm) -> bool:
        reason = form.cleaned_data["reason"]
        return intervening.resume(actor=request.user, reason=reason, now=timezone.now())

    return confirmed(
        request,
        ReasonForm(asked(request)),
        do,
        title=gettext_lazy("Resume drawing"),
        subject=settings.FACE_GEN_URL,
        what=gettext_lazy(
            "The line moves at once. After faults in a row the first order goes alone."
        ),
        done=_("Drawing goes on."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@admin.site.admin_view
@permission_required("avatars.settle_request", raise_exception=True)
def look_again(request: PersonRequest, public_id: UUID) -> HttpResponse:
    avatar_request = get_object_or_404(AvatarRequest, public_id=public_id)

    def do(form: ReasonForm) -> bool:
        reason = form.cleaned_data["reason"]
        is_due = intervening.look_again(
            avatar_request, actor=request.user, reason=reason, now=timezone.now()
        )
        if is_due:
            tasks.ring([avatar_request.pk])
        return is_due

    return confirmed(
        request,
        ReasonForm(asked(request)),
        do,
        title=gettext_lazy("Look again"),
        subject=str(avatar_request.public_id),
        what=gettext_lazy(
            "The provider is asked about this order now instead of at its next look."
        ),
        done=_("It is looked at now."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@admin.site.admin_view
@permission_required("avatars.settle_request", raise_exception=True)
def fail(request: PersonRequest, public_id: UUID) -> HttpResponse:
    avatar_request = get_object_or_404(
        AvatarRequest.objects.select_related("hold__wallet"), public_id=public_id
    )

    def do(form: ReasonForm) -> bool:
        reason = form.cleaned_data["reason"]
        return intervening.fail(
            avatar_request, actor=request.user, reason=reason, now=timezone.now()
        )

    return confirmed(
        request,
        ReasonForm(asked(request)),
        do,
        title=gettext_lazy("Fail and return"),
        subject=str(avatar_request.public_id),
        what=gettext_lazy(
            "It fails now and its credits return. A picture that still comes is a gift to its "
            "owner."
        ),
        done=_("It has failed, and its credits are back."),
    )
