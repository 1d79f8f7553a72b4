"""Unused credits back to money: what can go back, one confirm page, and what became of it.

Knows refunding and the nouns. Whoever sends money away proves once more who they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts import billing, money, refunding
from accounts.limits import REFUNDS, limited
from accounts.models import NotEnoughCredits, NothingToRefund, Purchase, Refund, User
from accounts.models.purchases import REFUND_WINDOW
from accounts.views.guards import PersonRequest, signed_in

CONFLICT = 409  # what the page showed is not so any more


@dataclass(frozen=True)
class Offer:
    """What one purchase could give back now: `unused` credits for `cents` of its currency."""

    purchase: Purchase
    unused: int
    refund: Refund | None

    @property
    def cents(self) -> int:
        return self.purchase.cents_for(self.unused)

    @property
    def is_open(self) -> bool:
        return self.refund is None and self.cents > 0

    def as_row(self) -> dict[str, Any]:
        purchase = self.purchase
        shown = self.refund.amount_cents if self.refund else self.cents
        return {
            "public_id": purchase.public_id,
            "credits": purchase.credits,
            "unused": self.refund.credits if self.refund else self.unused,
            "bought_at": purchase.transfer and purchase.transfer.created_at,
            "until": purchase.transfer and purchase.transfer.created_at + REFUND_WINDOW,
            "paid": money.amount(purchase.paid_cents, purchase.currency),
            "money": money.amount(shown, purchase.currency),
            "cents": self.cents,
            "is_open": self.is_open,
            "is_over": not is_young(purchase),
            "state": self.refund.state if self.refund else "",
            "href": reverse("credits_refund", args=[purchase.public_id]),
            "by_staff": [
                {"money": money.amount(each.amount_cents, purchase.currency), "why": each.reason}
                for each in purchase.refunds.all()
                if each.reason and each.state != Refund.State.UNDONE
            ],
        }


def recent(user: User, now: datetime) -> Iterator[Offer]:
    """The purchases of the last days, newest first: what is left counts as of the newest."""
    bought = Purchase.objects.paid().filter(
        user=user, transfer__created_at__gte=now - REFUND_WINDOW
    )
    newer = 0
    for purchase in (
        bought.select_related("transfer").prefetch_related("refunds").order_by("-transfer")
    ):
        own = [each for each in purchase.refunds.all() if not each.reason]
        standing = [each for each in own if each.state != Refund.State.UNDONE]
        unused = purchase.unused_beside(newer, user.wallet.spendable)
        yield Offer(purchase, unused, standing[0] if standing else None)
        newer += purchase.credits - purchase.credits_back


@require_safe
@signed_in
def offers(request: PersonRequest) -> HttpResponse:
    """What can go back to money, and what already went."""
    context = {
        "offers": [offer.as_row() for offer in recent(request.user, timezone.now())],
        "wallet": request.user.wallet,
        "days": REFUND_WINDOW.days,
        "is_test": not billing.is_live(),
    }
    return render(request, "accounts/refunds.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def refund(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """One's own purchase, before anybody is asked for a password."""
    return confirm(request, own_offer(request.user, public_id))


@reauthentication_required
@limited(REFUNDS)
def confirm(request: PersonRequest, offer: Offer) -> HttpResponse:
    """The one confirm page, and the press. What was shown must still be so; the purchase's own
    lock sees to it that it is sent once.
    """
    if request.method != "POST" or offer.refund:
        return page(request, offer)
    if request.POST.get("cents") != str(offer.cents):
        return page(request, offer, refused=_("The amount has changed. Look again, then press."))
    number = offer.purchase.public_id
    try:
        refunding.ask_refund(offer.purchase, timezone.now())
    except (NothingToRefund, NotEnoughCredits):
        refused = _("Some of these credits were used in the meantime. Nothing was sent.")
        return page(request, own_offer(request.user, number), refused=refused)
    except billing.Refused:
        messages.error(
            request,
            _("The card processor refused this refund. Our staff look at it; no credit is lost."),
        )
    return redirect("credits_refund", number)


def own_offer(user: User, public_id: UUID) -> Offer:
    """404 for anybody else's purchase, and for one that was never paid."""
    own = Purchase.objects.paid().filter(user=user).select_related("transfer")
    purchase = get_object_or_404(own, public_id=public_id)
    user.wallet.refresh_from_db()
    standing = purchase.refunds.standing().of_owner().first()
    return Offer(purchase, purchase.unused() if is_young(purchase) else 0, standing)


def is_young(purchase: Purchase) -> bool:
    """Its credits can still go back to money."""
    bought = purchase.transfer
    return bought is not None and timezone.now() <= bought.created_at + REFUND_WINDOW


def page(request: PersonRequest, offer: Offer, refused: str = "") -> HttpResponse:
    wallet = request.user.wallet
    context = {
        "offer": offer.as_row(),
        "after": max(0, wallet.spendable - offer.unused),
        "held": wallet.reserved,
        "refused": refused,
        "is_test": not billing.is_live(),
    }
    status = CONFLICT if refused else 200
    return render(request, "accounts/refund.html", context, status=status)
