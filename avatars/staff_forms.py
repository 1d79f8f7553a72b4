"""What staff fill in: a reason always, for how long drawing pauses, which letter goes again.

Knows nothing of ours.
"""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

REASON_LETTERS = 300  # as many as a Decision holds


class ReasonForm(forms.Form):
    """Why. Whoever asks later reads it in the trail."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LETTERS,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Kept for good in the trail of decisions."),
    )

    def words(self) -> list[tuple[str, str]]:
        """What was filled in beside the reason, for the confirm page."""
        fields = [name for name in self.fields if name != "reason"]
        return [(str(self.fields[name].label), self.said(name)) for name in fields]

    def said(self, name: str) -> str:
        """A choice by its words, anything else as it is."""
        chosen = self.cleaned_data[name]
        choices = dict(getattr(self.fields[name], "choices", ()))
        return str(choices.get(chosen, chosen))


class PauseForm(ReasonForm):
    minutes = forms.IntegerField(
        label=_("Minutes"),
        min_value=1,
        max_value=24 * 60,
        initial=30,
        help_text=_("Drawing goes on by itself afterwards, or when somebody resumes it."),
    )

    field_order = ("minutes", "reason")


class LetterForm(ReasonForm):
    """`letters`: those that can go again, as names and words."""

    field_order = ("letter", "reason")

    def __init__(self, data: Any, *, letters: list[tuple[str, str]]) -> None:  # noqa: ANN401 - a form's data
        super().__init__(data)
        self.fields["letter"] = forms.ChoiceField(
            label=_("Letter"),
            choices=letters,
            help_text="" if letters else _("No letter was ever owed to them."),
        )
        self.order_fields(self.field_order)
