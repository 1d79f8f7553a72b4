"""Closing the account: what goes, what stays and why, one word to type; and keeping it after all.

Knows closing, the nouns and the refunds that are offered first. Whoever closes proves once more who
they are; whoever keeps only signs in.
"""

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import closing
from accounts.forms import CloseForm
from accounts.limits import CLOSINGS, limited
from accounts.models import Closing
from accounts.models.closings import CANCEL_WINDOW, Step
from accounts.models.purchases import REFUND_WINDOW
from accounts.views.guards import PersonRequest, signed_in
from accounts.views.refunds import recent


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def close(request: PersonRequest) -> HttpResponse:
    """While the account is closing this is the only page there is: it can be kept."""
    if request.user.closes_at is None:
        return confirm(request)
    standing = Closing.objects.open().filter(user=request.user).first()
    context = {
        "closes_at": request.user.closes_at,
        "can_keep": standing is not None and standing.step == Step.WAITING,
    }
    return render(request, "accounts/closing.html", context)


@reauthentication_required
@limited(CLOSINGS)
def confirm(request: PersonRequest) -> HttpResponse:
    """What goes now, what goes later, what stays; then the word."""
    form = CloseForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return page(request, form)
    begun = closing.close(request.user, timezone.now(), at_once=form.cleaned_data["when"] == "now")
    person = request.user
    logout(request)
    if begun.step == Step.WAITING and begun.start_at > timezone.now():
        date = formats.date_format(timezone.localtime(begun.start_at, person.zone()), "DATE_FORMAT")
        told = _("Your account closes on %(date)s. Until then you can sign in and keep it.")
        messages.success(request, told % {"date": date})
    else:
        told = _("Your account is being closed. The receipt comes by mail, as our last letter.")
        messages.success(request, told)
    return redirect("landing")


def page(request: PersonRequest, form: CloseForm) -> HttpResponse:
    now = timezone.now()
    wallet = request.user.wallet
    context = {
        "form": form,
        "days": CANCEL_WINDOW.days,
        "unused": wallet.spendable,
        "held": wallet.reserved,
        "can_refund": any(offer.is_open for offer in recent(request.user, now)),
        "refund_days": REFUND_WINDOW.days,
    }
    return render(request, "accounts/close.html", context, status=422 if form.is_bound else 200)


@require_POST
@signed_in
def keep(request: PersonRequest) -> HttpResponse:
    """Called off. What went at once does not come back, and the page says so."""
    if closing.keep(request.user):
        told = _("Welcome back. Your account stays. Your photos and links went when you closed it.")
        messages.success(request, told)
        return redirect(settings.LOGIN_REDIRECT_URL)
    if request.user.closes_at is not None:
        return redirect("account_close")
    return redirect("credits")
