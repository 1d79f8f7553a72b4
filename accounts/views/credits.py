"""What a credit buys, and the credits page: balance, packs, limits and the history behind it all.

Knows the nouns, `billing` for the mode, and the history. What an avatar costs is not known here:
templates ask for it.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from accounts import billing, money
from accounts.models import CreditPack, Purchase, Quota, User
from accounts.models.purchases import REFUND_WINDOW
from accounts.views.guards import PersonRequest, signed_in
from accounts.views.history import FILTERS, HISTORY_PAGE, OF_PURCHASES, event_row, events

NUMBER_DIGITS = 9  # more movements than a wallet will ever have, fewer than a database's integer
# “Most chosen” is said of the sales of so long, and of no fewer than so many of them: below that
# the next few buyers could turn it round.
CHOICE_PERIOD = timedelta(days=90)
CHOICES_LEAST = 20


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """What a credit buys and what credits cost. A stranger's page asks for the packs alone."""
    context = {
        "welcome": settings.WELCOME_CREDITS,
        "packs": pack_cards(packs_for_sale()),
        "refund_days": REFUND_WINDOW.days,
        "is_test": not billing.is_live(),
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
    before = before_number(request)
    found = events(user.wallet, FILTERS[show][1], before)
    shown = found[:HISTORY_PAGE]
    has_more = len(found) > HISTORY_PAGE
    has_bought = any(event.transfer.kind in OF_PURCHASES for event in shown)
    packs, waiting = packs_and_waiting(user)
    context = {
        "wallet": user.wallet,
        "packs": packs,
        "waiting": waiting,
        # Told of a history that is seen whole.
        "is_new": show in ("", "purchases") and before is None and not (has_more or has_bought),
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


# ── The packs ───────────────────────────────────────────────────────────────────────────────────


def packs_for_sale() -> QuerySet[Any]:
    return counted(CreditPack.objects.filter(active=True))


def counted(packs: QuerySet[Any]) -> QuerySet[Any]:
    """Each pack with the number `sold` lately: paid for, and not all given back."""
    kept = Purchase.objects.paid().filter(
        pack=OuterRef("pk"),
        created_at__gte=timezone.now() - CHOICE_PERIOD,
        credits_back__lt=F("credits"),
    )
    number = kept.order_by().values("pack").annotate(number=Count("pk")).values("number")
    return packs.annotate(sold=Coalesce(Subquery(number), 0))


def packs_and_waiting(user: User) -> tuple[list[dict[str, Any]], list[str]]:
    """The packs on sale, and the prices of this person's payments that a bank still confirms: one
    query, in which a pack comes once, or once for each payment of it that waits.
    """
    is_waiting = Q(
        purchases__user=user, purchases__state=Purchase.State.OPEN, purchases__letter_due=True
    )
    rows: QuerySet[Any] = (
        counted(CreditPack.objects.all())
        .annotate(waits=FilteredRelation("purchases", condition=is_waiting))
        .filter(Q(active=True) | Q(waits__isnull=False))
        .annotate(cents=F("waits__amount_cents"), paid_in=F("waits__currency"))
    )
    on_sale = {pack.pk: pack for pack in rows if pack.active}
    waiting = [money.amount(pack.cents, pack.paid_in) for pack in rows if pack.cents]
    return pack_cards(on_sale.values()), waiting


def pack_cards(packs: Iterable[Any]) -> list[dict[str, Any]]:
    packs = list(packs)
    chosen = most_chosen(packs)
    return [pack_card(pack, is_chosen=pack.pk == chosen) for pack in packs]


def most_chosen(packs: list[Any]) -> int | None:
    """The number of the pack that more people bought lately than any other on sale; None while
    that is not plainly so: a single pack, a tie, or fewer than CHOICES_LEAST sales of it.
    """
    ranked = sorted(packs, key=lambda pack: pack.sold, reverse=True)
    if len(ranked) < 2 or ranked[0].sold < CHOICES_LEAST or ranked[0].sold == ranked[1].sold:
        return None
    return ranked[0].pk


def pack_card(pack: CreditPack, *, is_chosen: bool) -> dict[str, Any]:
    return {
        "credits": pack.credits,
        "cents": pack.price_cents,
        "currency": pack.currency,
        "price": money.amount(pack.price_cents, pack.currency),
        "tax": money.tax_words(is_added=settings.STRIPE_AUTOMATIC_TAX),
        "href": reverse("credits_buy", args=[pack.pk]),
        "is_chosen": is_chosen,
    }


# ── The page ────────────────────────────────────────────────────────────────────────────────────


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
