"""What a credit buys, and the credits page: balance, packs, limits and the history behind it all.

Knows the nouns, `billing` for the mode, and the history. What an avatar costs is not known here:
templates ask for it.
"""

from datetime import UTC, date, datetime
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from accounts import billing, money
from accounts.models import CreditPack, Quota
from accounts.models.purchases import REFUND_WINDOW
from accounts.views.guards import PersonRequest, signed_in
from accounts.views.history import FILTERS, HISTORY_PAGE, event_row, events

NUMBER_DIGITS = 9  # more movements than a wallet will ever have, fewer than a database's integer


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """What a credit buys and what credits cost. A stranger's page asks for the packs alone."""
    context = {
        "welcome": settings.WELCOME_CREDITS,
        "packs": packs_for_sale(),
        "refund_days": REFUND_WINDOW.days,
    }
    return render(request, "accounts/pricing.html", context)


@require_safe
@signed_in
def credits_page(request: PersonRequest) -> HttpResponse:
    """The balance, what can be bought, the limits, and every event that led here."""
    user = request.user
    show = request.GET.get("show", "")
    if show not in FILTERS:
        raise Http404
    found = events(user.wallet, FILTERS[show][1], before_number(request))
    shown = found[:HISTORY_PAGE]
    has_more = len(found) > HISTORY_PAGE
    context = {
        "wallet": user.wallet,
        "packs": packs_for_sale(),
        "is_test": not billing.is_live(),
        "refund_days": REFUND_WINDOW.days,
        "quota": user.quota,
        "next_top_up": next_top_up(user.quota, timezone.now()),
        "filters": filter_links(show),
        "filtered": show,
        "rows": [event_row(event) for event in shown],
        "next": page_address(show=show, before=shown[-1].number) if has_more else "",
    }
    return render(request, "accounts/credits.html", context)


def packs_for_sale() -> list[dict[str, Any]]:
    return [pack_card(pack) for pack in CreditPack.objects.filter(active=True)]


def pack_card(pack: CreditPack) -> dict[str, Any]:
    return {
        "credits": pack.credits,
        "cents": pack.price_cents,
        "currency": pack.currency,
        "price": money.amount(pack.price_cents, pack.currency),
        "tax": money.tax_words(is_added=settings.STRIPE_AUTOMATIC_TAX),
        "href": reverse("credits_buy", args=[pack.pk]),
    }


def before_number(request: HttpRequest) -> int | None:
    """The event before which the page begins; None for the newest page."""
    asked = request.GET.get("before")
    if asked is None:
        return None
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= NUMBER_DIGITS):
        raise Http404
    if int(asked) == 0:
        raise Http404  # the first event is number 1
    return int(asked)


def page_address(**asked: str | int) -> str:
    given = {name: value for name, value in asked.items() if value}
    return f"{reverse('credits')}?{urlencode(given)}" if given else reverse("credits")


def filter_links(show: str) -> list[dict[str, Any]]:
    return [
        {"href": page_address(show=name), "label": label, "current": name == show}
        for name, (label, _chosen) in FILTERS.items()
    ]


def next_top_up(quota: Quota, now: datetime) -> date | None:
    """The first day of the next month (UTC), when free credits come again; None when none do."""
    if not quota.monthly_free:
        return None
    today = now.astimezone(UTC).date()
    months = today.year * 12 + today.month
    return date(months // 12, months % 12 + 1, 1)
