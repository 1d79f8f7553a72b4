"""The screening rules in the admin: leads edit them, with a reason, and try them out on any text.

Knows ScreeningRule, `rules` and `screening`. A change counts from the next description on.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import decide
from avatars import rules, scenes, screening
from avatars.models import ScreeningRule
from avatars.models.avatar_requests import AVOID_LIMIT, PROMPT_LIMIT
from avatars.models.rules import RULE_FIELDS
from avatars.words.wishes import CATEGORIES

REASON_LIMIT = 300
CHANGED_MEANWHILE = gettext_lazy(
    "Somebody has changed this rule meanwhile. Open it again; nothing was saved."
)
OUTCOMES = {
    "pass": gettext_lazy("Passes: it is drawn without anybody reading it."),
    screening.HOLD: gettext_lazy("Held: a person reads it first."),
    screening.REFUSE: gettext_lazy("Refused at once."),
}


class RuleForm(forms.ModelForm):
    """`seen_revision` is what the page showed: whoever saves an older one is told."""

    seen_revision = forms.IntegerField(widget=forms.HiddenInput, required=False)
    why = forms.CharField(
        max_length=REASON_LIMIT,
        help_text=gettext_lazy("For the record: why the rules change."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )

    class Meta:
        model = ScreeningRule
        fields = RULE_FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Django's contract
        super().__init__(*args, **kwargs)
        self.fields["seen_revision"].initial = self.instance.revision

    def clean_words(self) -> str:
        """A word of a single letter would stand in every second description."""
        words: str = self.cleaned_data["words"]
        if bad := screening.faults(words):
            raise forms.ValidationError(
                _("Too short to mean anything: %(words)s") % {"words": ", ".join(bad)}
            )
        return words

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        if stopped := stopped_preset(fields):
            self.add_error(
                "words", _("Too wide: it would stop our own preset “%(text)s”.") % {"text": stopped}
            )
        if self.instance.pk and fields.get("seen_revision") != self.instance.revision:
            raise forms.ValidationError(CHANGED_MEANWHILE)
        return fields


def stopped_preset(fields: dict[str, Any]) -> str:
    """A description that we offer ourselves and this rule would not let pass; empty if none."""
    if not {"category", "effect", "words"} <= fields.keys():
        return ""
    known = ("category", "effect", "words")
    alone = screening.Rules([screening.Rule("", **{name: fields[name] for name in known})])
    presets = (str(preset.text) for preset in scenes.PRESETS_BY_KEY.values())
    return next((text for text in presets if alone.screen(text).outcome != "pass"), "")


class TryForm(forms.Form):
    prompt = forms.CharField(max_length=PROMPT_LIMIT, widget=forms.Textarea(attrs={"rows": 3}))
    avoid = forms.CharField(max_length=AVOID_LIMIT, required=False)


@admin.register(ScreeningRule)
class ScreeningRuleAdmin(admin.ModelAdmin):
    form = RuleForm
    fields = (*RULE_FIELDS, "why", "seen_revision")
    list_display = ("name", "category", "effect", "active", "changed_at")
    list_filter = ("category", "effect", "active")
    search_fields = ("name", "words")
    ordering = ("pk",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_list_template = "admin/avatars/screeningrule/change_list.html"

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """What was once decided by a rule names it: it is switched off instead."""
        return False

    def save_model(
        self,
        request: HttpRequest,
        obj: ScreeningRule,
        form: RuleForm,
        change: bool,  # noqa: FBT001 - Django's contract
    ) -> None:
        """The row and the record of its change, together."""
        before = {name: form.initial.get(name) for name in form.changed_data if name in RULE_FIELDS}
        after = {name: form.cleaned_data[name] for name in before}
        with transaction.atomic():
            if not change:
                obj.save()
            elif not obj.change(timezone.now()):
                messages.error(request, CHANGED_MEANWHILE)
                return
            decide(
                request.user,
                "rule_changed" if change else "rule_added",
                subject=("rule", obj.pk),
                reason=form.cleaned_data["why"],
                before=before if change else None,
                after=after,
            )

    def get_urls(self) -> list[URLPattern]:
        trial = self.admin_site.admin_view(self.try_out)
        return [path("try/", trial, name="avatars_screeningrule_try"), *super().get_urls()]

    def try_out(self, request: HttpRequest) -> HttpResponse:
        """What the rules in force say of a text. It is kept nowhere."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = TryForm(request.POST if request.method == "POST" else None)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Try the rules out"),
            "form": form,
        }
        if form.is_valid():
            context |= tried(**form.cleaned_data)
        status = 422 if form.is_bound and not form.is_valid() else 200
        name = "admin/avatars/screeningrule/try.html"
        return TemplateResponse(request, name, context, status=status)


def tried(prompt: str, avoid: str) -> dict[str, Any]:
    clean = screening.clean_words(prompt)
    opinion = rules.in_force().screen(clean, screening.clean_words(avoid))
    return {
        "outcome": OUTCOMES[opinion.outcome],
        "category": CATEGORIES.get(opinion.category or "", ""),
        "is_refused": opinion.outcome == screening.REFUSE,
        "matched": ScreeningRule.objects.filter(pk__in=opinion.rules),
        "terms": opinion.terms,
        "parts": screening.marked(clean, opinion.terms),
    }
