"""What staff do to one person: give credits, with a reason the person reads.

Knows gifts, the nouns and the admin's frame. Each act has a confirm page and leaves a row.
"""

import uuid

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts import gifts
from accounts.forms import GiftForm
from accounts.models import ReferenceTaken, User

# What support may give at once; more is for whoever runs the place (experience.md §7.4).
GIFT_LIMIT = 50
GIFT_LIMIT_OF_LEADS = 1000


@require_http_methods(["GET", "HEAD", "POST"])
def give_credits(request: HttpRequest, pk: int) -> HttpResponse:
    """Amount and reason, then a page that shows what will be, then the gift. The form's number
    travels along: however often it is pressed, it gives once.
    """
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if not (request.user.is_staff and request.user.has_perm("accounts.add_transfer")):
        raise PermissionDenied
    person = get_object_or_404(User.objects.select_related("wallet"), pk=pk)
    limit = GIFT_LIMIT_OF_LEADS if request.user.is_superuser else GIFT_LIMIT
    asked = request.POST if request.method == "POST" else None
    form = GiftForm(asked, limit=limit, initial={"number": uuid.uuid4()})
    is_valid = form.is_valid()
    if is_valid and "confirmed" in request.POST:
        return give(request, person, form, actor=request.user)
    context = {
        **admin.site.each_context(request),
        "title": _("Give credits"),
        "person": person,
        "form": form,
        "opts": User._meta,
    }
    if is_valid:
        amount, wallet = form.cleaned_data["amount"], person.wallet
        context["amount"] = amount
        context["after"] = 0 if wallet.frozen else max(0, wallet.available - wallet.owed + amount)
    status = 422 if asked and not is_valid else 200
    return render(request, "accounts/give_credits.html", context, status=status)


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
