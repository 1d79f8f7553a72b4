"""What staff fill in about the engine: a reason always, and for how long drawing pauses.

Knows nothing of ours.
"""

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
        return [(str(self.fields[name].label), str(self.cleaned_data[name])) for name in fields]


class PauseForm(ReasonForm):
    minutes = forms.IntegerField(
        label=_("Minutes"),
        min_value=1,
        max_value=24 * 60,
        initial=30,
        help_text=_("Drawing goes on by itself afterwards, or when somebody resumes it."),
    )

    field_order = ("minutes", "reason")
