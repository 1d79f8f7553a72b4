"""What staff do to one person beside credits: suspend, lift, end devices, limits, roles.

Knows the verb `people`, its forms and the admin's frame. Every act is asked, shown, then done.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts import notices, people
from accounts.models import User
from accounts.staff_forms import LimitsForm, ReasonForm, RolesForm
from accounts.views.guards import PersonRequest

Words = str | Promise


@dataclass(frozen=True)
class Act:
    """`right` may do it ("" for superusers alone), `what` follows, `do` is the verb: its answer is
    false when there was nothing left to do. `tell` writes to the person afterwards.
    """

    right: str
    title: Words
    what: Words
    done: Words
    do: Callable[[User, User, dict[str, Any], str], object]
    form: type[ReasonForm] = ReasonForm
    starts: Callable[[User], dict[str, Any]] = lambda _person: {}
    tell: Callable[[User], bool] = lambda _person: True


ACTS: dict[str, Act] = {
    "suspend": Act(
        "accounts.suspend_user",
        gettext_lazy("Suspend"),
        gettext_lazy(
            "They can sign in, look at their gallery and take what is theirs, but neither make nor "
            "share. What is in the making is finished. A letter tells them, without this reason."
        ),
        gettext_lazy("%(person)s is suspended."),
        lambda person, actor, _facts, reason: people.suspend(
            person, actor=actor, reason=reason, now=timezone.now()
        ),
        tell=functools.partial(notices.tell_suspended, is_suspended=True),
    ),
    "lift": Act(
        "accounts.suspend_user",
        gettext_lazy("Lift the suspension"),
        gettext_lazy("They can make and share again."),
        gettext_lazy("%(person)s is suspended no more."),
        lambda person, actor, _facts, reason: people.lift(person, actor=actor, reason=reason),
        tell=functools.partial(notices.tell_suspended, is_suspended=False),
    ),
    "sharing": Act(
        "accounts.suspend_user",
        gettext_lazy("Let share again"),
        gettext_lazy("Moderators stopped their sharing. Links that still stand show again."),
        gettext_lazy("%(person)s can share again."),
        lambda person, actor, _facts, reason: people.let_share(person, actor=actor, reason=reason),
    ),
    "devices": Act(
        "accounts.end_devices",
        gettext_lazy("Sign out everywhere"),
        gettext_lazy("Every device has to sign in again; nothing else changes."),
        gettext_lazy("%(person)s is signed out everywhere."),
        lambda person, actor, _facts, reason: people.end_devices(
            person, actor=actor, reason=reason
        ),
    ),
    "limits": Act(
        "accounts.change_quota",
        gettext_lazy("Change limits"),
        gettext_lazy("The new limits count from the next press on."),
        gettext_lazy("The limits of %(person)s are changed."),
        lambda person, actor, facts, reason: people.change_limits(
            person, facts, actor=actor, reason=reason
        ),
        LimitsForm,
        lambda person: people.limits_of(person.quota),
    ),
    "roles": Act(
        "",
        gettext_lazy("Change roles"),
        gettext_lazy("The new roles count at once. Staff need a passkey or an authenticator app."),
        gettext_lazy("The roles of %(person)s are changed."),
        lambda person, actor, facts, reason: people.appoint(
            person, facts["roles"], actor=actor, reason=reason
        ),
        RolesForm,
        lambda person: {"roles": people.roles_of(person)},
    ),
}


def may(user: User | AnonymousUser, act: Act) -> bool:
    return user.has_perm(act.right) if act.right else user.is_superuser


def others_only(actor: User, person: User | None) -> None:
    """Raises PermissionDenied when this is for somebody else to decide."""
    if not actor.may_act_on(person):
        raise PermissionDenied(
            _("Nobody decides about themself, and about colleagues an admin alone.")
        )


def offered(user: User, person: User) -> list[dict[str, Words]]:
    """The acts this member of staff can do to this person now."""
    if not user.may_act_on(person):
        return []
    senseless = {"suspend" if person.suspended_at else "lift"}
    if not person.sharing_stopped_at:
        senseless.add("sharing")
    return [
        {"address": reverse(f"person_{name}", args=[person.pk]), "title": act.title}
        for name, act in ACTS.items()
        if name not in senseless and may(user, act)
    ]


def way_back(request: PersonRequest, person: User) -> str:
    """The page of ours that led here, or else the person's own."""
    asked = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(asked, allowed_hosts=None)
    return asked if is_ours else reverse("admin:accounts_user_change", args=[person.pk])


@require_safe
@admin.site.admin_view
def person_page(request: PersonRequest, pk: int) -> HttpResponse:
    """The short address of a person's page, for letters and notes."""
    if not request.user.has_perm("accounts.view_user"):
        raise PermissionDenied
    return redirect("admin:accounts_user_change", get_object_or_404(User, pk=pk).pk)


@require_http_methods(["GET", "HEAD", "POST"])
@admin.site.admin_view
def act_on_person(request: PersonRequest, pk: int, name: str) -> HttpResponse:
    """The form, a look at what will be, then the act."""
    act, actor = ACTS[name], request.user
    if not may(actor, act):
        raise PermissionDenied
    person = get_object_or_404(User.objects.select_related("wallet", "quota"), pk=pk)
    others_only(actor, person)
    asked = request.POST if request.method == "POST" else None
    form = act.form(asked, initial=act.starts(person))
    is_valid = form.is_valid()
    if is_valid and "confirmed" in request.POST:
        if act.do(person, actor, form.facts(), form.cleaned_data["reason"]):
            messages.success(request, str(act.done) % {"person": person.email})
            if not act.tell(person):
                messages.warning(request, _("The letter about it was not sent: write to them."))
        else:
            messages.warning(request, _("Nothing changed: it was so already."))
        return redirect(way_back(request, person))
    context = {
        **admin.site.each_context(request),
        "title": act.title,
        "what": act.what,
        "person": person,
        "back": way_back(request, person),
        "form": form,
        "is_final": is_valid,
        "opts": User._meta,
    }
    status = 422 if asked and not is_valid else 200
    return render(request, "accounts/act_on_person.html", context, status=status)
