"""Fields of accounts: how the site looks, and what staff do about credits and purchases.

Knows how money is written.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts import money

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


class ReasonForm(forms.Form):
    """Why staff do something; kept in the trail."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LETTERS,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class GiftForm(ReasonForm):
    """Credits for one person. `number` makes of two presses one gift; `limit` is the most this
    member of staff may give one person in a day, `left` what is left of it now.
    """

    number = forms.UUIDField(widget=forms.HiddenInput)

    field_order = ("amount", "reason", "number")

    def __init__(self, *arguments: Any, limit: int, left: int, **named: Any) -> None:  # noqa: ANN401 - Django's contract
        super().__init__(*arguments, **named)
        self.fields["reason"].help_text = _("The person reads this in their credit history.")
        self.fields["amount"] = forms.IntegerField(
            label=_("Credits"),
            min_value=1,
            max_value=limit,
            help_text=_("At most %(limit)d in 24 hours for one person; %(left)d are left to you.")
            % {"limit": limit, "left": left},
        )
        self.order_fields(self.field_order)


class MoneyBackForm(ReasonForm):
    """Money of one purchase, in its own currency. `limit` is the most this member of staff may
    send, in the currency's smallest unit; `number` makes of two presses one refund.
    """

    number = forms.UUIDField(widget=forms.HiddenInput)

    field_order = ("amount", "reason", "number")

    def __init__(
        self,
        data: Any,  # noqa: ANN401 - Django's contract
        *,
        limit: int,
        currency: str,
        number: UUID,
    ) -> None:
        super().__init__(data, initial={"number": number})
        self.currency = currency
        self.fields["reason"].help_text = _("The person reads this beside the refund.")
        self.fields["amount"] = forms.DecimalField(
            label=_("Money"),
            min_value=Decimal(money.decimal(1, currency)),
            max_value=Decimal(money.decimal(limit, currency)),
            decimal_places=0 if currency in money.WHOLE else 2,
            initial=money.decimal(limit, currency),
            help_text=_("Up to %(limit)s.") % {"limit": money.amount(limit, currency)},
        )
        self.order_fields(self.field_order)

    def cents(self) -> int:
        """The amount in the smallest unit of its currency. For valid forms only."""
        return money.cents(self.cleaned_data["amount"], self.currency)


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
