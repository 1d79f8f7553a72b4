"""What staff fill in about one person: a reason always, and what the act itself needs.

Knows the forms and the nouns.
"""

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _

from accounts.forms import REASON_LETTERS
from accounts.models import CreditPack

PACK_FIELDS = ("name", "credits", "price_cents", "currency", "active", "position")


class ReasonForm(forms.Form):
    """Why. Whoever asks later reads it in the trail."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LETTERS,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Kept for good in the trail of decisions."),
    )

    field_order: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """What was filled in beside the reason."""
        return {name: value for name, value in self.cleaned_data.items() if name != "reason"}

    def words(self) -> list[tuple[str, str]]:
        """The same for the confirm page."""
        return [(str(self.fields[name].label), str(value)) for name, value in self.facts().items()]


class PackForm(forms.ModelForm):
    """A pack, and why it is made or changed; `each` is what one credit of it costs."""

    why = forms.CharField(
        label=_("Why"),
        max_length=REASON_LETTERS,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=_("Kept for good in the trail of decisions."),
    )

    class Meta:
        model = CreditPack
        fields = PACK_FIELDS


class LimitsForm(ReasonForm):
    max_open = forms.IntegerField(label=_("Avatars in the making"), min_value=0, max_value=200)
    max_per_day = forms.IntegerField(label=_("Avatars a day"), min_value=0, max_value=5000)
    monthly_free = forms.IntegerField(label=_("Free credits a month"), min_value=0, max_value=1000)

    field_order = ("max_open", "max_per_day", "monthly_free", "reason")


class RolesForm(ReasonForm):
    roles = forms.MultipleChoiceField(
        label=_("Roles"),
        choices=lambda: [(name, name) for name in Group.objects.values_list("name", flat=True)],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None of them: not on the staff."),
    )

    field_order = ("roles", "reason")

    def words(self) -> list[tuple[str, str]]:
        roles = ", ".join(self.cleaned_data["roles"]) or str(_("none: not on the staff"))
        return [(str(self.fields["roles"].label), roles)]
