"""Progress: one request while it runs and when it has ended, its receipt, and everybody's tray.

Knows the nouns, `generation.cancel`, the board and words.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Case, F, OuterRef, Subquery, Sum, When
from django.db.models.functions import Coalesce
from django.http import Http404, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import CreditPack, Kind, Pocket, Transfer, User
from avatars import generation, words
from avatars.models import Avatar, AvatarRequest, Removal, State
from avatars.models.avatar_requests import ENDED, UNDER_WAY
from avatars.models.pace import place_in_line
from avatars.views import board
from avatars.views.guards import PersonRequest, signed_in
from avatars.views.photos import link_to, thumb_size

# ── The tray ────────────────────────────────────────────────────────────────────────────────────


def tray_state(user: User) -> dict[str, Any]:
    """How many avatars of this person are in the making, and a digest that changes whenever one
    of them moves; `only` is the number of the one, when there is just one. One query.
    """
    open_ones = AvatarRequest.objects.filter(user=user, resolution=None)
    moving = sorted(open_ones.values_list("pk", "state", "public_id"))
    return {
        "count": len(moving),
        "revision": digest([(pk, state) for pk, state, _number in moving]),
        "idle": not moving,
        "only": moving[0][2] if len(moving) == 1 else None,
    }


def digest(shown: object) -> str:
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


@signed_in
def tray(request: PersonRequest) -> HttpResponse:
    """The one thing all pages ask: 204 while nothing has changed."""
    state = tray_state(request.user)
    if request.GET.get("v") == state["revision"]:
        return HttpResponse(status=204)
    return HttpResponse(render_to_string("components/tray.html", {"tray": state}))


# ── One request ─────────────────────────────────────────────────────────────────────────────────

SPENDABLE = (Pocket.AVAILABLE, Pocket.OWED)
# The bar never says more than this while anything is still to be done.
BAR_LIMIT = 0.95
# From here on the result page says where credits come from; nowhere else.
LOW_BALANCE = 3


def own_request(request: PersonRequest, public_id: UUID) -> AvatarRequest:
    own = AvatarRequest.objects.filter(user=request.user).select_related("hold__wallet")
    return get_object_or_404(own, public_id=public_id)


def own_request_and_balance(request: PersonRequest, public_id: UUID) -> tuple[AvatarRequest, int]:
    """This person's request, and what they could spend right after its last movement (credits),
    added up from the ledger itself.
    """
    last = Coalesce(OuterRef("resolution_id"), OuterRef("hold_id"))
    so_far = Transfer.objects.filter(wallet=OuterRef("hold__wallet"), pk__lte=last).order_by()
    changed = Sum(
        Case(
            When(target__in=SPENDABLE, then=F("amount")),
            When(source__in=SPENDABLE, then=-F("amount")),
            default=0,
        )
    )
    balance = so_far.values("wallet").annotate(balance=changed).values("balance")
    own = AvatarRequest.objects.filter(user=request.user)
    found = (
        own.select_related("photo__thumb", "hold", "resolution")
        .annotate(balance=Subquery(balance))
        .filter(public_id=public_id)
        .first()
    )
    if found is None:
        raise Http404
    return found, max(0, found.balance)


def see(shown: Iterable[AvatarRequest]) -> None:
    """Whoever sees the news needs no letter about it. No query while no letter is owed; one that
    became due since the row was read tells of something newer, and stays.
    """
    for wish in shown:
        if wish.mail_due_at is not None:
            owed = AvatarRequest.objects.filter(pk=wish.pk, mail_due_at=wish.mail_due_at)
            owed.update(mail_due_at=None)


@signed_in
def job(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """The page of one request, and the part of it that is asked for at every tick.

    A poll names what it shows (`v`): the state and a digest of the words. Nothing new → 204; new
    words of the same state → those words; another state → the whole card.
    """
    avatar_request, balance = own_request_and_balance(request, public_id)
    see([avatar_request])
    shown = card(avatar_request, request.user)
    shown["receipt"] = receipt_of(avatar_request, balance, shown.get("sentence", ""))
    if not (request.htmx and "v" in request.GET):
        return render(request, "avatars/job.html", shown)
    if request.GET["v"] == shown["version"]:
        return HttpResponse(status=204)
    shown["csrf_token"] = get_token(request)
    if request.GET["v"].partition(".")[0] == avatar_request.state:
        return HttpResponse(render_to_string("avatars/job_live.html", shown | {"polled": True}))
    whole = render_to_string("avatars/job_card.html", shown | {"swapped": True})
    return HttpResponse(whole, headers={"HX-Retarget": "#job", "HX-Reswap": "outerHTML"})


def card(avatar_request: AvatarRequest, user: User) -> dict[str, Any]:
    """Everything the card of a request shows."""
    is_open = avatar_request.is_open()
    now = timezone.now()
    wait = waiting(avatar_request, now) if is_open else Waiting()
    avatar = None if is_open else first_picture(avatar_request)
    status = words.status(avatar_request)
    return {
        "wish": avatar_request,
        "status": status,
        "wait": wait,
        "stages": stages(avatar_request, wait) if is_open else [],
        "title": wait.title or status.word,
        "avatar": avatar,
        "photo": photo_picture(avatar_request),
        "can_cancel": avatar_request.state in (State.HELD, State.QUEUED),
        "is_under_way": avatar_request.state in UNDER_WAY,
        "review_until": words.review_until(avatar_request)
        if avatar_request.state == State.HELD
        else "",
        "version": f"{avatar_request.state}.{digest((wait.place, wait.line))}",
        "again": f"{reverse('create')}?from={avatar_request.public_id}",
        "cost": words.credits(avatar_request.cost),
        "credits_left": words.credits(user.wallet.spendable),
        **({} if is_open else ending(avatar_request, user)),
    }


@dataclass(frozen=True)
class Waiting:
    """What somebody who waits reads. `place` stands in the stage list, `line` under it, `title`
    in the browser's tab; `started` (unix seconds) and `span` (seconds) move the bar.
    """

    place: str = ""
    line: str = ""
    title: str = ""
    label: str = ""
    started: float = 0
    span: float = 0
    value: float = 0


def waiting(avatar_request: AvatarRequest, now: datetime) -> Waiting:
    match avatar_request.state:
        case State.HELD:
            return Waiting(line=str(words.IN_REVIEW))
        case State.QUEUED:
            return in_line(avatar_request)
        case State.STORING:
            line = _("It is drawn. We are bringing the picture home.")
            return Waiting(line=line, label=_("Saving"), value=BAR_LIMIT)
        case State.UNCERTAIN:
            line = _("We're checking that our image service got this. You can't be charged twice.")
            return replace(under_way(avatar_request, now), line=line)
    return under_way(avatar_request, now)


def in_line(avatar_request: AvatarRequest) -> Waiting:
    """The dispatcher's own order, and the wait that follows from it."""
    number = place_in_line(avatar_request) or 1
    drawing = board.drawing(avatar_request.style, avatar_request.quality)
    wait = board.wait(number, drawing.p50)
    place = words.place(number, board.waiting())
    if board.is_paused():
        line = _("Drawing is paused for a moment. Your place is kept.")
    else:
        line = words.wait_in_line(number, wait, drawing)
    return Waiting(place=place, line=line, title=words.tab_place(number))


def under_way(avatar_request: AvatarRequest, now: datetime) -> Waiting:
    """Elapsed and left, from the moment the order was sent."""
    sent_at = (
        avatar_request.attempts.filter(sent_at__isnull=False)
        .order_by("-pk")
        .values_list("sent_at", flat=True)
        .first()
    )
    drawing = board.drawing(avatar_request.style, avatar_request.quality)
    elapsed = (now - sent_at).total_seconds() if sent_at else 0.0
    return Waiting(
        line=words.drawing(elapsed, drawing),
        label=_("Drawing, %(about)s in all")
        % {"about": words.about(drawing.p50, known=drawing.known)},
        started=round((sent_at or now).timestamp()),
        span=max(1, round(drawing.p80)),
        value=min(BAR_LIMIT, elapsed / max(1.0, drawing.p80)),
    )


def stages(avatar_request: AvatarRequest, wait: Waiting) -> list[dict[str, Any]]:
    """The road of an open request: what is done, where it is, what comes."""
    state = State(avatar_request.state)
    road = [State.QUEUED, State.GENERATING, State.STORING, State.READY]
    if state == State.HELD:
        road.insert(0, State.HELD)
    at = road.index(State.GENERATING if state in (State.SENDING, State.UNCERTAIN) else state)
    return [
        {"label": words.credits_held(avatar_request.cost), "status": "done"},
        *(
            {
                "label": words.STATUS[stage].word,
                "status": "done" if step < at else "now" if step == at else "next",
                "note": wait.place if step == at else "",
            }
            for step, stage in enumerate(road)
        ),
    ]


def photo_picture(avatar_request: AvatarRequest) -> dict[str, Any] | None:
    photo = avatar_request.photo
    if photo is None or photo.thumb is None:
        return None
    width, height = thumb_size(photo)
    return {"url": link_to(photo.thumb), "width": width, "height": height}


def first_picture(avatar_request: AvatarRequest) -> dict[str, Any] | None:
    """The avatar that came of it; `url` only while it is shown."""
    avatar = (
        Avatar.objects.filter(request=avatar_request)
        .select_related("file")
        .order_by("position")
        .first()
    )
    if avatar is None:
        return None
    is_shown = avatar.trashed_at is None and not avatar.hidden
    return {
        "public_id": avatar.public_id,
        "url": link_to(avatar.file) if is_shown else "",
        "alt": avatar.alt,
        "width": avatar.width,
        "height": avatar.height,
        "colour": avatar.colour,
        "gift": avatar.gift,
        **(removal(avatar) if avatar.hidden else {}),
        "purged": avatar.file is None,
    }


def removal(avatar: Avatar) -> dict[str, Any]:
    """`removed`: the reason; `is_told`: the viewer tells more."""
    told = Removal.objects.filter(avatar=avatar)
    return {"removed": words.why_removed(avatar), "is_told": told.exists()}


def ending(avatar_request: AvatarRequest, user: User) -> dict[str, Any]:
    """What happened, what it cost, and the way on."""
    balance = user.wallet.spendable
    if avatar_request.state == State.READY:
        return {
            "charged": words.credits_charged(avatar_request.cost, balance),
            "balance": balance,
            "is_low": balance < LOW_BALANCE,
            "cheapest": cheapest_pack() if balance < LOW_BALANCE else None,
        }
    step = words.next_step(avatar_request.reason)
    again = f"?from={avatar_request.public_id}" if step.again else ""
    return {
        "sentence": words.why_ended(avatar_request),
        "returned": words.credits_back(avatar_request.cost, balance),
        "next_step": {"label": step.label, "href": reverse(step.address) + again},
    }


def cheapest_pack() -> CreditPack | None:
    return CreditPack.objects.filter(active=True).order_by("price_cents").first()


# ── Receipt ─────────────────────────────────────────────────────────────────────────────────────


def receipt_of(avatar_request: AvatarRequest, balance: int, why: str = "") -> dict[str, Any]:
    """The ledger's own lines about one request; their sum is what it cost. `why` it ended, if the
    caller has said so already.
    """
    hold, resolution = avatar_request.hold, avatar_request.resolution
    lines = [receipt_line(hold, f"−{hold.amount}")]
    is_back = resolution is not None and resolution.kind == Kind.RELEASE
    if resolution is not None:
        note = why or words.why_ended(avatar_request) if is_back else _("out of what was held")
        amount = f"+{resolution.amount}" if is_back else "±0"
        lines.append(receipt_line(resolution, amount, note))
    return {
        "lines": lines,
        "balance": words.credits(balance),
        "not_charged": is_back,
    }


def receipt_line(transfer: Transfer, amount: str, note: str = "") -> dict[str, Any]:
    return {
        "at": transfer.created_at,
        "word": Kind(transfer.kind).label,
        "amount_text": amount,
        "note": note,
        "number": transfer.pk,
    }


@signed_in
def receipt(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """What happened to the credits, fit for printing."""
    avatar_request, balance = own_request_and_balance(request, public_id)
    context = {
        "wish": avatar_request,
        "status": words.status(avatar_request),
        "receipt": receipt_of(avatar_request, balance),
    }
    return render(request, "avatars/receipt.html", context)


# ── Acts ────────────────────────────────────────────────────────────────────────────────────────


@signed_in
@require_POST
def cancel(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """Only while it waits; then its credits are back at once."""
    avatar_request = own_request(request, public_id)
    if generation.cancel(avatar_request):
        messages.success(request, _("Cancelled."))
    elif avatar_request.is_open():
        messages.error(request, _("Already drawing; it can't be stopped now."))
    return redirect("job", avatar_request.public_id)


@signed_in
@require_POST
def dismiss(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """Take the quiet card of an ended request off the gallery's wall."""
    avatar_request = own_request(request, public_id)
    AvatarRequest.objects.filter(
        pk=avatar_request.pk, state__in=sorted(ENDED), dismissed_at=None
    ).update(dismissed_at=timezone.now())
    return redirect("gallery")
