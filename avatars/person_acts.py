"""What staff do for one person, on pages that belong to the page about them.

Knows attending, confirming and the forms. Money, suspensions and roles are accounts' own.
"""

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.models import User
from avatars import attending
from avatars.confirming import asked, confirmed, others_only
from avatars.staff_forms import LetterForm, ReasonForm
from avatars.views.guards import PersonRequest


def somebody(request: PersonRequest, pk: int) -> User:
    person = get_object_or_404(User.objects.select_related("wallet"), pk=pk)
    others_only(request.user, person)
    return person


@require_http_methods(["GET", "HEAD", "POST"])
@admin.site.admin_view
@permission_required("avatars.delete_facephoto", raise_exception=True)
def delete_photos(request: PersonRequest, pk: int) -> HttpResponse:
    person = somebody(request, pk)

    def do(form: ReasonForm) -> bool:
        reason = form.cleaned_data["reason"]
        return attending.delete_photos(person, actor=request.user, reason=reason)

    return confirmed(
        request,
        ReasonForm(asked(request)),
        do,
        back=reverse("admin:accounts_user_change", args=[person.pk]),
        title=gettext_lazy("Delete all photos"),
        person=person,
        subject=person.email,
        what=gettext_lazy(
            "Every photo of theirs is deleted for good. What waits for one is cancelled with its "
            "credits back; finished avatars stay. A letter brings them the record."
        ),
        done=_("The photos are deleted."),
    )


def letters(person: User) -> list[tuple[str, str]]:
    """The newest letters, the last first, each with what it told."""
    shown = attending.LETTERS_OFFERED
    requests = attending.endings(person).defer("prompt", "avoid")[:shown]
    told = [(row.ended_at, f"request:{row.pk}", row.get_state_display()) for row in requests]
    for item in attending.verdicts(person)[:shown]:
        told.append((item.decided_at, f"review:{item.pk}", item.get_outcome_display()))
    told.sort(key=lambda each: each[0] or timezone.now(), reverse=True)
    return [
        (name, f"{formats.date_format(timezone.localtime(at), 'j M Y, H:i')}: {what}")
        for at, name, what in told[:shown]
        if at
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@admin.site.admin_view
@permission_required("accounts.resend_letter", raise_exception=True)
def resend(request: PersonRequest, pk: int) -> HttpResponse:
    person = somebody(request, pk)

    def do(form: LetterForm) -> bool:
        facts = form.cleaned_data
        return attending.resend(
            person,
            facts["letter"],
            actor=request.user,
            reason=facts["reason"],
            now=timezone.now(),
        )

    return confirmed(
        request,
        LetterForm(asked(request), letters=letters(person)),
        do,
        back=reverse("admin:accounts_user_change", args=[person.pk]),
        title=gettext_lazy("Send a letter again"),
        person=person,
        subject=person.email,
        what=gettext_lazy("The letter goes to their address once more, within a minute."),
        done=_("The letter goes out again."),
    )
