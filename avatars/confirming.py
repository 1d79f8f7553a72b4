"""Confirming: every act of staff is asked, shown, then done.

Knows the admin's frame and the forms; which act it is, the page says that calls it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.models import User
from avatars.staff_forms import ReasonForm

Form = TypeVar("Form", bound=ReasonForm)


def others_only(actor: User, person: User) -> None:
    """Raises PermissionDenied when this is for somebody else to decide."""
    if not actor.may_act_on(person):
        raise PermissionDenied(
            _("Nobody decides about themself, and about colleagues an admin alone.")
        )


def asked(request: HttpRequest) -> Any:  # noqa: ANN401 - a form's data
    return request.POST if request.method == "POST" else None


def confirmed(
    request: HttpRequest,
    form: Form,
    do: Callable[[Form], bool],
    *,
    back: str | Promise,
    done: str,
    **words: object,
) -> HttpResponse:
    """The form, a look at what will be, then the act; `back` is where it all began."""
    is_valid = form.is_valid()
    if is_valid and "confirmed" in request.POST:
        if do(form):
            messages.success(request, done)
        else:
            messages.warning(request, _("Nothing changed: it has moved on meanwhile."))
        return redirect(str(back))
    context = {
        **admin.site.each_context(request),
        **words,
        "back": back,
        "form": form,
        "is_final": is_valid,
    }
    status = 422 if form.is_bound and not is_valid else 200
    return render(request, "avatars/staff_act.html", context, status=status)
