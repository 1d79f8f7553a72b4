"""Fields of accounts: how the site looks, and a gift by staff.

Knows nothing of ours.
"""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

REASON_LETTERS = 300  # as many as a transfer's note holds


class AppearanceForm(forms.Form):
    """Light or dark; the server turns the answer into a cookie."""

    theme = forms.ChoiceField(
        label=_("Colours"),
        choices=[
            ("system", _("As my device")),
            ("light", _("Light")),
            ("dark", _("Dark")),
        ],
        widget=forms.RadioSelect,
    )


class GiftForm(forms.Form):
    """Credits for one person. `number` makes of two presses one gift; `limit` is the most this
    member of staff may give at once.
    """

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LETTERS,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("The person reads this in their credit history."),
    )
    number = forms.UUIDField(widget=forms.HiddenInput)

    field_order = ("amount", "reason", "number")

    def __init__(self, *arguments: Any, limit: int, **named: Any) -> None:  # noqa: ANN401 - Django's contract
        super().__init__(*arguments, **named)
        self.fields["amount"] = forms.IntegerField(
            label=_("Credits"),
            min_value=1,
            max_value=limit,
            help_text=_("1 to %(limit)d at once.") % {"limit": limit},
        )
        self.order_fields(self.field_order)


class CloseForm(forms.Form):
    """When, and the word that is not typed by mistake. In any case, because phones begin a field
    with a capital letter.
    """

    when = forms.ChoiceField(
        label=_("When"),
        choices=[
            ("later", _("In 7 days; until then I can change my mind")),
            ("now", _("Now; there is no way back")),
        ],
        initial="later",
        widget=forms.RadioSelect,
    )
    word = forms.CharField(
        label=_("Type CLOSE"),
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
        error_messages={"required": _("Type CLOSE to go on.")},
    )

    def clean_word(self) -> str:
        word: str = self.cleaned_data["word"]
        if word.upper() != "CLOSE":
            raise forms.ValidationError(_("Type CLOSE to go on."))
        return word
