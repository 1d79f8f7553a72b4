"""Pages about credits and looks: pricing, balance with its history and limits, appearance.

Knows the nouns. What an avatar costs is not known here: templates ask for it.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Case, F, IntegerField, Q, Sum, When, Window
from django.db.models.functions import RowNumber
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms import AppearanceForm
from accounts.models import Kind, Pocket, Quota, Transfer, User, Wallet
from accounts.models.wallets import GIFTS

HISTORY_PAGE = 50
NUMBER_DIGITS = 9  # more movements than a wallet will ever have, fewer than a database's integer
SPENDABLE = (Pocket.AVAILABLE, Pocket.OWED)
OF_AVATARS = frozenset({Kind.HOLD, Kind.CAPTURE, Kind.RELEASE})
OF_PURCHASES = frozenset(
    {Kind.PURCHASE, Kind.REFUND, Kind.REFUND_UNDONE, Kind.DISPUTE, Kind.DISPUTE_WON}
)
FILTERS: dict[str, tuple[Promise, frozenset[Kind]]] = {
    "": (gettext_lazy("All"), frozenset()),
    "purchases": (gettext_lazy("Purchases"), OF_PURCHASES),
    "avatars": (gettext_lazy("Avatars"), OF_AVATARS),
    "returns": (gettext_lazy("Returns"), frozenset({Kind.RELEASE})),
    "gifts": (gettext_lazy("Gifts"), GIFTS),
}
# Beside the word of a movement, unless staff have said why themselves.
EXPLAINED: dict[Kind, Promise] = {
    Kind.WELCOME: gettext_lazy("free with your e-mail address"),
    Kind.MONTHLY: gettext_lazy("free each month"),
    Kind.HOLD: gettext_lazy("set aside while an avatar is made"),
    Kind.CAPTURE: gettext_lazy("the avatar is yours"),
    Kind.RELEASE: gettext_lazy("no avatar came of it; not charged"),
    Kind.REROLL: gettext_lazy("for an avatar that did not look like you"),
    Kind.REFUND: gettext_lazy("the money went back to you"),
    Kind.LAPSE: gettext_lazy("left when the account was closed"),
}


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """What a credit buys. A stranger's page asks the database nothing."""
    return render(request, "accounts/pricing.html", {"welcome": settings.WELCOME_CREDITS})


# ── Credits ─────────────────────────────────────────────────────────────────────────────────────


class PersonRequest(HttpRequest):
    """A request as a guarded view sees it: somebody is signed in."""

    user: User


@dataclass(frozen=True)
class Movement:
    """A transfer with its place in the person's history (1 for the first) and the balance after
    it, in credits; a negative one is owed.
    """

    transfer: Transfer
    number: int
    balance: int


@login_required
@require_safe
def credits_page(request: PersonRequest) -> HttpResponse:
    """The balance, the limits, and every movement that led to it."""
    user = request.user
    show = request.GET.get("show", "")
    if show not in FILTERS:
        raise Http404
    movements = history(user.wallet, FILTERS[show][1], before_number(request))
    shown = movements[:HISTORY_PAGE]
    has_more = len(movements) > HISTORY_PAGE
    context = {
        "wallet": user.wallet,
        "quota": user.quota,
        "next_top_up": next_top_up(user.quota, timezone.now()),
        "filters": filter_links(show),
        "filtered": show,
        "rows": [history_row(movement) for movement in shown],
        "next": page_address(show=show, before=shown[-1].number) if has_more else "",
    }
    with timezone.override(user.zone()):
        return render(request, "accounts/credits.html", context)


def before_number(request: HttpRequest) -> int | None:
    """The movement before which the page begins; None for the newest page."""
    asked = request.GET.get("before")
    if asked is None:
        return None
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= NUMBER_DIGITS):
        raise Http404
    if int(asked) == 0:
        raise Http404  # the first movement is number 1
    return int(asked)


def history(wallet: Wallet, kinds: frozenset[Kind], before: int | None) -> list[Movement]:
    """The next movements, newest first, one more than a page holds; balances added up from the
    very first movement on.
    """
    change = Case(
        When(source__in=SPENDABLE, then=-F("amount")),
        When(target__in=SPENDABLE, then=F("amount")),
        default=0,
        output_field=IntegerField(),
    )
    transfers = wallet.transfers.annotate(
        number=Window(RowNumber(), order_by="pk"), balance=Window(Sum(change), order_by="pk")
    )
    if before is not None:
        transfers = transfers.filter(number__lt=before)
    if kinds:
        # There is no number 0: naming it keeps this condition outside of the sum, which must
        # run over all movements whatever is shown of them.
        transfers = transfers.filter(Q(kind__in=sorted(kinds)) | Q(number=0))
    rows: list[Any] = list(transfers.history()[: HISTORY_PAGE + 1])
    return [Movement(row, row.number, row.balance) for row in rows]


def history_row(movement: Movement) -> dict[str, Any]:
    """One movement in words and figures."""
    transfer = movement.transfer
    kind = Kind(transfer.kind)
    request_id = transfer.reference.partition(":")[2]
    return {
        "created_at": transfer.created_at,
        "number": movement.number,
        "word": kind.label,
        "note": transfer.note or EXPLAINED.get(kind, ""),
        "amount_text": signed(transfer.spendable_change()),
        "held_text": signed(held_change(transfer)) if kind in OF_AVATARS else "",
        "balance": movement.balance,
        "debt": -movement.balance,
        "href": reverse("job_receipt", args=[request_id]) if kind in OF_AVATARS else "",
    }


def held_change(transfer: Transfer) -> int:
    """By how many credits this row changed what is set aside."""
    changes = {transfer.source: -transfer.amount, transfer.target: transfer.amount}
    return changes.get(Pocket.RESERVED, 0)


def signed(amount: int) -> str:
    """“+5”, “−1”, “±0”."""
    return f"{'+' if amount > 0 else '−' if amount < 0 else '±'}{abs(amount)}"


def page_address(**asked: str | int) -> str:
    given = {name: value for name, value in asked.items() if value}
    return f"{reverse('credits')}?{urlencode(given)}" if given else reverse("credits")


def filter_links(show: str) -> list[dict[str, Any]]:
    return [
        {"href": page_address(show=name), "label": label, "current": name == show}
        for name, (label, _kinds) in FILTERS.items()
    ]


def next_top_up(quota: Quota, now: datetime) -> date | None:
    """The first day of the next month (UTC), when free credits come again; None when none do."""
    if not quota.monthly_free:
        return None
    today = now.astimezone(UTC).date()
    months = today.year * 12 + today.month
    return date(months // 12, months % 12 + 1, 1)


# ── Appearance ──────────────────────────────────────────────────────────────────────────────────

THEME_COOKIE = "theme"
THEME_SECONDS = 365 * 24 * 3600


@require_http_methods(["GET", "HEAD", "POST"])
def appearance(request: HttpRequest) -> HttpResponse:
    """Light or dark, kept in a cookie, so that the first paint is right and strangers can choose
    too.
    """
    asked = request.POST if request.method == "POST" else None
    form = AppearanceForm(asked, initial={"theme": request.COOKIES.get(THEME_COOKIE, "system")})
    if not form.is_valid():
        context = {"form": form, "next": request.GET.get("next", "")}
        return render(request, "accounts/appearance.html", context, status=422 if asked else 200)
    messages.success(request, _("Saved."))
    response = HttpResponseRedirect(safe_next(request))
    response.set_cookie(
        THEME_COOKIE,
        form.cleaned_data["theme"],
        max_age=THEME_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def safe_next(request: HttpRequest) -> str:
    """Where the form says it came from, if that is a page of ours."""
    asked = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(
        asked, {request.get_host()}, require_https=request.is_secure()
    )
    return asked if ours and asked.startswith("/") else reverse("appearance")
