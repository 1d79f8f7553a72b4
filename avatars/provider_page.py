"""The staff's page about the provider, is it us or them, and the acts that belong to it.

Knows watching, measuring, intervening, the board and the admin's frame. Asks the provider nothing:
its books were noted by the clock, so that the page answers while the provider hangs.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import Decision
from avatars import counting, intervening, measuring, tasks, watching
from avatars.confirming import asked, confirmed, others_only
from avatars.models import AvatarRequest, Breaker, Reason
from avatars.models.attempts import FULL, OUR_ACCOUNT, STRIKES_TO_NARROW, Service
from avatars.staff_forms import PauseForm, ReasonForm
from avatars.views import board
from avatars.views.guards import PersonRequest

PROVIDER = reverse_lazy("provider")
TONES = {"up": "ok", "slow": "warn", "paused": "warn", "failing": "bad", "asleep": "bad"}
VERDICTS: dict[str, str | Promise] = {
    "up": gettext_lazy("Up"),
    "slow": gettext_lazy("Slow"),
    "paused": gettext_lazy("Paused"),
    "failing": gettext_lazy("Failing"),
    "asleep": gettext_lazy("Asleep"),
}

FEW_ENDED = 5  # below that a share says nothing
FAILING_SHARE = 0.2


def verdict(
    figures: dict[str, Any], *, failed: int, ours: int, ended: int, is_slow: bool
) -> tuple[str, str]:
    """Is it us or them? A word (up, slow, failing, paused, asleep) and why. `failed` of `ended`
    requests failed in the last hour, `ours` of them for a reason that is our own.
    """
    swept, face_gen = figures["sweep_seconds_ago"], figures["breakers"][0]
    reason = face_gen["reason"]
    if swept is None or swept > watching.SWEEP_STALE_SECONDS:
        return "asleep", _("us: nobody sweeps")
    if face_gen["is_stopped"]:
        return "paused", _("us: staff paused it")
    if reason.startswith(OUR_ACCOUNT):
        return "failing", _("us: %(reason)s") % {"reason": reason}
    if reason == FULL and face_gen["paused_seconds"]:
        return "slow", _("them: full, so we send less")
    if face_gen["strikes"] >= STRIKES_TO_NARROW or face_gen["paused_seconds"]:
        return "failing", _("them: %(reason)s") % {"reason": reason or _("faults in a row")}
    if ended >= FEW_ENDED and failed > FAILING_SHARE * ended:
        facts = {"failed": failed, "ended": ended}
        if 2 * ours > failed:
            return "failing", _("us: %(failed)d of the last %(ended)d requests failed") % facts
        return "failing", _("them: %(failed)d of the last %(ended)d requests failed") % facts
    if figures["overdue_seconds"] > watching.OVERDUE_SECONDS:
        return "slow", _("us: requests are due and nobody works on them")
    return ("slow", _("them: drawing takes twice as long as usual")) if is_slow else ("up", "")


@require_safe
@admin.site.admin_view
@permission_required("avatars.view_figures", raise_exception=True)
def provider(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    status = watching.status(now, offline=True)
    ended = counting.Figures(at=now)
    counting.count_ended(ended, now)
    word, why = verdict(
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
        back=PROVIDER,
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
        back=PROVIDER,
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
    avatar_request = get_object_or_404(
        AvatarRequest.objects.select_related("user"), public_id=public_id
    )
    others_only(request.user, avatar_request.user)

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
        back=PROVIDER,
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
        AvatarRequest.objects.select_related("user", "hold__wallet"), public_id=public_id
    )
    others_only(request.user, avatar_request.user)

    def do(form: ReasonForm) -> bool:
        reason = form.cleaned_data["reason"]
        return intervening.fail(
            avatar_request, actor=request.user, reason=reason, now=timezone.now()
        )

    return confirmed(
        request,
        ReasonForm(asked(request)),
        do,
        back=PROVIDER,
        title=gettext_lazy("Fail and return"),
        subject=str(avatar_request.public_id),
        what=gettext_lazy(
            "It fails now and its credits return. A picture that still comes is a gift to its "
            "owner."
        ),
        done=_("It has failed, and its credits are back."),
    )
