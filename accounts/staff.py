"""What staff do to one person's credits and purchases, each time with a reason.

Knows gifts, refunding, the nouns and the admin's frame. Each act has a confirm page and leaves a
row in the trail.
"""

import functools
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import models
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from accounts import billing, gifts, money, refunding
from accounts.forms import GiftForm, MoneyBackForm, ReasonForm
from accounts.models import (
    NotEnoughCredits,
    NothingToRefund,
    NotWaiting,
    Purchase,
    ReferenceTaken,
    User,
)
from accounts.staff_people import others_only

# Of one purchase, in the smallest unit of its currency; more is for leads (experience.md §7.4).
REFUND_LIMIT = 2000

TOO_MUCH = gettext_lazy("That is more than you may give today. Ask a lead. Nothing was given.")

View = Callable[..., HttpResponse]


class StaffRequest(HttpRequest):
    """A request as a guarded view sees it: somebody with the right is signed in."""

    user: User


def allowed(permission: str) -> Callable[[View], View]:
    """Staff with this right; strangers sign in first."""

    def guard(view: View) -> View:
        @require_http_methods(["GET", "HEAD", "POST"])
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not (request.user.is_staff and request.user.has_perm(permission)):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return guard


def page(
    request: HttpRequest,
    template: str,
    form: Form,
    about: type[models.Model],
    **context: Any,  # noqa: ANN401 - what each template names
) -> HttpResponse:
    """The form, or the look at what it will do, in the admin's frame."""
    frame = {**admin.site.each_context(request), "opts": about._meta, "form": form}
    status = 422 if form.is_bound and not form.is_valid() else 200
    return render(request, template, {**frame, **context}, status=status)


# ── Credits for one person ──────────────────────────────────────────────────────────────────────


@allowed("accounts.add_transfer")
def give_credits(request: StaffRequest, pk: int) -> HttpResponse:
    """Amount and reason, then a page that shows what will be, then the gift. The form's number
    travels along: however often it is pressed, it gives once.
    """
    person = get_object_or_404(User.objects.select_related("wallet"), pk=pk)
    others_only(request.user, person)
    limit = gifts.allowance_of(request.user).to_one
    left = gifts.left_today(person, request.user, timezone.now())
    asked = request.POST if request.method == "POST" else None
    form = GiftForm(asked, limit=limit, left=left, initial={"number": uuid.uuid4()})
    is_valid = form.is_valid()
    if is_valid and "confirmed" in request.POST:
        return give(request, person, form, actor=request.user)
    if is_valid and form.cleaned_data["amount"] > left:
        form.add_error("amount", TOO_MUCH)
        is_valid = False
    context: dict[str, Any] = {"title": _("Give credits"), "person": person}
    if is_valid:
        amount, wallet = form.cleaned_data["amount"], person.wallet
        context["amount"] = amount
        context["after"] = 0 if wallet.frozen else max(0, wallet.available - wallet.owed + amount)
    return page(request, "accounts/give_credits.html", form, User, **context)


def give(request: HttpRequest, person: User, form: GiftForm, *, actor: User) -> HttpResponse:
    amount = form.cleaned_data["amount"]
    try:
        gifts.give(
            person,
            amount,
            actor=actor,
            reason=form.cleaned_data["reason"],
            number=str(form.cleaned_data["number"]),
        )
    except ReferenceTaken:
        messages.error(request, _("This form has already given credits. Nothing more was given."))
    except gifts.TooMuch:
        messages.error(request, TOO_MUCH)
    else:
        person.wallet.refresh_from_db()
        given = ngettext(
            "%(amount)d credit given to %(person)s, who can spend %(balance)d now.",
            "%(amount)d credits given to %(person)s, who can spend %(balance)d now.",
            amount,
        )
        facts = {"amount": amount, "person": person.email, "balance": person.wallet.spendable}
        messages.success(request, given % facts)
    return redirect("admin:accounts_user_change", person.pk)


# ── One purchase ────────────────────────────────────────────────────────────────────────────────


@allowed("accounts.refund_purchase")
def refund_purchase(request: StaffRequest, public_id: uuid.UUID) -> HttpResponse:
    """Money back for one purchase: how much and why, a look at what it takes, then the refund."""
    purchase = get_object_or_404(
        Purchase.objects.select_related("user__wallet"), public_id=public_id
    )
    others_only(request.user, purchase.user)
    left = purchase.returnable_cents() if purchase.state in REFUNDABLE else 0
    most = most_of(purchase, request.user)
    limit = min(left, most - purchase.gone_cents())
    if limit <= 0:
        messages.error(
            request,
            _("What support may send back of a purchase has been sent. Ask a lead.")
            if left
            else _("No money of this purchase is left to send back."),
        )
        return back_to(purchase)
    asked = request.POST if request.method == "POST" else None
    form = MoneyBackForm(asked, limit=limit, currency=purchase.currency, number=uuid.uuid4())
    is_valid = form.is_valid()
    if is_valid and "confirmed" in request.POST:
        return send_back(request, purchase, form, actor=request.user)
    context: dict[str, Any] = {
        "title": _("Send money back"),
        "purchase": purchase,
        "paid": money.amount(purchase.paid_cents, purchase.currency),
        "returned": purchase.returned_cents
        and money.amount(purchase.returned_cents, purchase.currency),
    }
    if is_valid:
        cents = form.cents()
        context["money"] = money.amount(cents, purchase.currency)
        context["credits"] = purchase.credits_by_staff(cents)
    return page(request, "accounts/refund_purchase.html", form, Purchase, **context)


REFUNDABLE = (Purchase.State.PAID, Purchase.State.ODD)


def most_of(purchase: Purchase, actor: User) -> int:
    """How many cents of this purchase may be gone in all when `actor` has sent some back."""
    return purchase.paid_cents if actor.has_perm("accounts.refund_more") else REFUND_LIMIT


def send_back(
    request: HttpRequest, purchase: Purchase, form: MoneyBackForm, *, actor: User
) -> HttpResponse:
    cents = form.cents()
    try:
        refund = refunding.send_back(
            purchase,
            cents,
            actor=actor,
            reason=form.cleaned_data["reason"],
            number=form.cleaned_data["number"],
            most=most_of(purchase, actor),
        )
    except (NothingToRefund, NotEnoughCredits):
        messages.error(request, _("Money or credits moved in the meantime. Nothing was sent."))
    except billing.Refused:
        messages.error(
            request, _("Stripe refused this refund. Nothing was sent, and no credit was taken.")
        )
    else:
        facts = {"money": money.amount(refund.amount_cents, purchase.currency)}
        if refund.state == refund.State.SENT:
            messages.success(request, _("%(money)s sent back.") % facts)
        else:
            messages.success(
                request,
                _("%(money)s asked for. Stripe has not answered yet and is asked again.") % facts,
            )
    return back_to(purchase)


@allowed("accounts.refund_purchase")
def accept_purchase(request: StaffRequest, public_id: uuid.UUID) -> HttpResponse:
    """Money came that does not fit what was sold; staff find it enough and credit it."""
    purchase = get_object_or_404(
        Purchase.objects.select_related("user__wallet"), public_id=public_id
    )
    others_only(request.user, purchase.user)
    if purchase.state != Purchase.State.ODD:
        messages.error(request, _("This purchase does not wait for a decision any more."))
        return back_to(purchase)
    if purchase.credits > gifts.allowance_of(request.user).to_one:
        messages.error(request, _("So many credits for what came: a lead decides this."))
        return back_to(purchase)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            purchase.accept(actor=request.user, reason=form.cleaned_data["reason"])
        except NotWaiting:
            messages.error(request, _("This purchase cannot be credited: send the money back."))
        else:
            credited = _("%(credits)d credits given for this purchase.")
            messages.success(request, credited % {"credits": purchase.credits})
        return back_to(purchase)
    context = {
        "title": _("Credit it after all"),
        "purchase": purchase,
        "paid": money.amount(purchase.paid_cents, purchase.currency),
        "price": money.amount(purchase.amount_cents, purchase.currency),
    }
    return page(request, "accounts/accept_purchase.html", form, Purchase, **context)


def back_to(purchase: Purchase) -> HttpResponse:
    return redirect("admin:accounts_purchase_change", purchase.pk)
