"""Buying a pack: to Stripe's pay page, back from it, and to the receipt it keeps.

Knows billing and the nouns. The address says which checkout; what is true of it, Stripe says.
"""

import logging
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts import billing
from accounts.limits import CHECKOUTS, QUESTIONS, limited, who
from accounts.models import CreditPack, Purchase
from accounts.views.guards import PersonRequest, signed_in

logger = logging.getLogger("likeness.money")
staff = logging.getLogger("likeness.staff")

SEE_OTHER = 303  # a GET follows, whatever the method was
# The page asks again every 2 s, then every 5, for two minutes in all; the webhook goes on alone.
LOOKS_SOON, LOOKS = 10, 30
SOON_SECONDS, LATER_SECONDS = 2, 5
LOOK_DIGITS = 3


@require_POST
@signed_in
@limited(CHECKOUTS)
def buy(request: PersonRequest, pack: int) -> HttpResponse:
    """To Checkout for one pack. The price is the row's; the form brings none."""
    try:
        address = billing.start_checkout(request.user, get_object_or_404(CreditPack, pk=pack))
    except billing.NotForSale:
        messages.error(request, _("That pack isn't sold any more. No charge was made."))
    except billing.Suspended:
        messages.error(request, _("Your account is suspended: you can buy no credits."))
    except billing.Unavailable as away:
        logger.warning("no checkout", extra={"why": str(away)})
        messages.error(
            request,
            _("The pay page can't be opened right now. No charge was made. Try again soon."),
        )
    except billing.Refused as refusal:
        staff.error("a checkout was refused by Stripe: %s", refusal)
        messages.error(
            request, _("The pay page can't be opened. No charge was made. Our staff look at it.")
        )
    else:
        return HttpResponseRedirect(address, status=SEE_OTHER)
    return HttpResponseRedirect(reverse("credits"), status=SEE_OTHER)


# ── Back from Checkout ──────────────────────────────────────────────────────────────────────────


@require_safe
@signed_in
def returned(request: PersonRequest) -> HttpResponse:
    """What became of one's own checkout. Looking brings it up to date, as the webhook does; looking
    again changes nothing. While it is unclear the page asks by itself (`look` counts).
    """
    purchase = own_purchase(request)
    if is_settled(purchase) or not QUESTIONS.spend(who(request)):
        status = status_of(purchase, cancelled="cancelled" in request.GET)
    else:
        status = "unclear"
    if status != "bank" and purchase.letter_due:
        purchase.claim_letter()  # they read it here
    request.user.wallet.refresh_from_db()
    look = look_number(request)
    context = {
        "purchase": purchase,
        "status": status,
        "balance": request.user.wallet.spendable,
        "again": f"{request.path}?session={purchase.session_id}",
        "look": look + 1,
        "seconds": SOON_SECONDS if look < LOOKS_SOON else LATER_SECONDS,
        "is_polling": status == "unclear" and look < LOOKS,
        "is_test": not billing.is_live(),
    }
    if not (request.htmx and look):
        return render(request, "accounts/returned.html", context)
    if context["is_polling"]:
        return HttpResponse(render_to_string("accounts/returned_look.html", context))
    card = render_to_string("accounts/returned_card.html", {**context, "swapped": True})
    return HttpResponse(card, headers={"HX-Retarget": "#payment", "HX-Reswap": "outerHTML"})


def own_purchase(request: PersonRequest) -> Purchase:
    """Named by Stripe's session, or by our number when the person turned back; 404 for anybody
    else's, exactly like one that never was.
    """
    own = Purchase.objects.filter(user=request.user)
    if "cancelled" in request.GET:
        try:
            number = UUID(request.GET["cancelled"])
        except ValueError as error:
            raise Http404 from error
        return get_object_or_404(own, public_id=number)
    session_id = request.GET.get("session", "")
    found = own.filter(session_id=session_id).first() if session_id else None
    if found is None:
        raise Http404
    return found


def is_settled(purchase: Purchase) -> bool:
    """Stripe need not be asked: nothing that it says would change this purchase here."""
    return purchase.state in (Purchase.State.PAID, Purchase.State.ODD)


def status_of(purchase: Purchase, *, cancelled: bool) -> str:
    """The name of a sentence: added, odd, expired, unpaid, cancelled, bank or unclear."""
    is_with_bank = False
    if purchase.session_id and not is_settled(purchase):
        try:
            billing.fulfil(purchase.session_id)
            purchase.refresh_from_db()
            if purchase.state == Purchase.State.OPEN:
                is_with_bank = billing.is_with_bank(purchase.session_id)
        except (billing.Unavailable, billing.Refused) as trouble:
            logger.warning("a checkout waits", extra={"why": str(trouble)})
            return "unclear"
    match purchase.state:
        case Purchase.State.PAID:
            return "added"
        case Purchase.State.ODD:
            return "odd"
        case Purchase.State.EXPIRED:
            return "expired"
    return "bank" if is_with_bank else "cancelled" if cancelled else "unpaid"


def look_number(request: PersonRequest) -> int:
    """How often this page has asked by itself; 0 for what nobody would count to."""
    asked = request.GET.get("look", "")
    is_number = asked.isascii() and asked.isdecimal() and len(asked) <= LOOK_DIGITS
    return int(asked) if is_number else 0


# ── Receipt ─────────────────────────────────────────────────────────────────────────────────────


@require_safe
@signed_in
def receipt(request: PersonRequest, public_id: UUID) -> HttpResponse:
    """To the invoice or receipt that Stripe keeps of one's own paid purchase."""
    purchase = get_object_or_404(
        Purchase.objects.paid().filter(user=request.user), public_id=public_id
    )
    address = ""
    try:
        if not QUESTIONS.spend(who(request)):
            address = billing.receipt_address(purchase)
    except (billing.Unavailable, billing.Refused) as trouble:
        logger.warning("no receipt", extra={"why": str(trouble)})
    if not address:
        messages.error(
            request, _("The receipt can't be fetched right now. Try again in a few minutes.")
        )
        return redirect("credits")
    return HttpResponseRedirect(address)
