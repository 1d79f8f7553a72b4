"""Appeals: what was decided about a person, and their own words against it.

Knows `appealing`, words and the signed key of a letter: whoever is suspended needs no other way in.
"""

from typing import Any
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.limits import APPEALS
from accounts.models import User
from avatars import appealing, words
from avatars.appealing import Matter, Standing
from avatars.forms import AppealForm
from avatars.models import AvatarRequest
from avatars.views.sharing import unlisted


@unlisted
@require_http_methods(["GET", "HEAD", "POST"])
def appeal(request: HttpRequest, public_id: UUID | None = None) -> HttpResponse:
    """About one of their requests or its picture; without a number, about their suspension."""
    person = whose(request)
    if person is None:
        return redirect_to_login(request.get_full_path())
    wish = None
    if public_id is not None:
        wish = get_object_or_404(AvatarRequest.objects.filter(user=person), public_id=public_id)
    matter = appealing.about(person, wish)
    with timezone.override(person.zone()):
        if request.method != "POST":
            return page(request, matter, wish, AppealForm())
        return lodge(request, matter, wish, AppealForm(request.POST))


def whose(request: HttpRequest) -> User | None:
    """The person a letter's key names, or whoever is signed in."""
    key = request.GET.get("key", "")
    person = User.objects.by_appeal_key(key) if key else None
    if person is None and request.user.is_authenticated:
        person = request.user
    return person


def lodge(
    request: HttpRequest, matter: Matter, wish: AvatarRequest | None, form: AppealForm
) -> HttpResponse:
    """Only an appeal that could be sent is counted against the limit."""
    if not form.is_valid():
        return page(request, matter, wish, form, status=422)
    wait = APPEALS.spend(f"user:{matter.person.pk}")
    if wait:
        form.add_error(None, words.too_fast(wait))
        answer = page(request, matter, wish, form, status=429)
        answer.headers["Retry-After"] = str(wait)
        return answer
    try:
        appealing.appeal(matter, form.cleaned_data["why"])
    except appealing.NothingToAppeal:
        return page(request, matter, wish, form, status=409)
    return redirect(request.get_full_path())


def page(
    request: HttpRequest,
    matter: Matter,
    wish: AvatarRequest | None,
    form: AppealForm,
    *,
    status: int = 200,
) -> HttpResponse:
    standing, said = matter.standing()
    context: dict[str, Any] = {
        "form": form,
        "wish": wish,
        "may": standing == Standing.MAY,
        "decided": words.decided_against(matter) if standing != Standing.NONE else "",
        "said": said,
        "answer": words.appeal_answer(matter, said) if standing == Standing.ANSWERED else "",
        "hours": words.ANSWER_HOURS,
    }
    return render(request, "avatars/appeal.html", context, status=status)
