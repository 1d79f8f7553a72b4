"""Forms of trust: a link to a picture, a report about one, and what staff decide.

Knows the nouns.
"""

import re
from collections.abc import Iterable, Mapping

from django import forms
from django.core import signing
from django.utils.translation import gettext_lazy as _

from avatars.models import Category, Period, Share, Takedown
from avatars.models.takedowns import NAME_LETTERS, REASON_LETTERS, WORDS_LETTERS, new_number

NUMBER_SALT = "avatars.trust_forms.number"
LINKS_AT_ONCE = 10
LINK_LETTERS = 200
LINKS_LETTERS = LINKS_AT_ONCE * LINK_LETTERS
SHOWN_LETTERS = 60  # of a link that is not ours, in the sentence about it
TOKEN_IN = re.compile(
    r"(?:https?://)?(?P<host>[^/\s?#]+)/s/(?P<token>[\w-]+)(?:/[\w.]*)?(?:[?#]\S*)?", re.ASCII
)


class ShareForm(forms.Form):
    """What strangers see under a link, and for how long."""

    period = forms.ChoiceField(
        label=_("The link ends"),
        choices=Period.choices,
        initial=Period.WEEK,
        widget=forms.RadioSelect,
    )
    with_words = forms.BooleanField(label=_("Show the description too"), required=False)


class ReportForm(forms.Form):
    """A notice about pictures, by anybody. Nothing typed is ever lost: what is wrong is said beside
    it. `number` is the report's own, signed: the same form sent twice is one report.
    """

    kind = forms.ChoiceField(
        label=_("What is it about?"),
        choices=Takedown.Kind.choices,
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose what it is about.")},
    )
    links = forms.CharField(
        label=_("Link to the picture"),
        max_length=LINKS_LETTERS,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("As it stands in the address line. Several: one on each line, at most 10."),
        error_messages={"required": _("Without its link we can't find the picture.")},
    )
    what = forms.CharField(
        label=_("What is wrong with it?"),
        max_length=WORDS_LETTERS,
        widget=forms.Textarea(attrs={"rows": 5}),
        error_messages={"required": _("Tell us in a few words what is wrong.")},
    )
    contact = forms.EmailField(
        label=_("Your e-mail"),
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        help_text=_(
            "For our answer. The person who made the picture does not see it, and we delete it "
            "with your name a year after our decision."
        ),
        error_messages={"required": _("We need an address to answer to.")},
    )
    name = forms.CharField(
        label=_("Your full name, as a signature"),
        max_length=NAME_LETTERS,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"required": _("Please sign with your name.")},
    )
    statement = forms.BooleanField(
        label=_(
            "I believe in good faith that what I write is true and that I may ask for this: for "
            "myself, for somebody I act for, or for somebody under 18"
        ),
        error_messages={"required": _("We can act only on a notice made in good faith.")},
    )
    number = forms.CharField(required=False, widget=forms.HiddenInput)

    field_order = ("kind", "links", "what", "contact", "name", "statement", "number")

    def __init__(
        self, data: Mapping[str, str] | None, *, hosts: Iterable[str], link: str = ""
    ) -> None:
        super().__init__(data, initial={"links": link, "number": signed_number()})
        self.hosts = {host.lower() for host in hosts}
        self.shares: list[Share] = []

    def clean_links(self) -> str:
        """Every line leads to a picture that is or was shared here."""
        lines = self.cleaned_data["links"].split()
        if len(lines) > LINKS_AT_ONCE:
            raise forms.ValidationError(
                _("At most %(most)d links at once, please.") % {"most": LINKS_AT_ONCE}
            )
        tokens = {line: self.token_in(line) for line in lines}
        found = Share.objects.filter(token__in=filter(None, tokens.values()))
        shares = {share.token: share for share in found.select_related("avatar")}
        for line, token in tokens.items():
            if token not in shares:
                raise forms.ValidationError(
                    _(
                        "“%(link)s” is not the link of a picture shared here. Copy the whole "
                        "address of the page that shows the picture."
                    )
                    % {"link": line[:SHOWN_LETTERS]}
                )
        self.shares = list(shares.values())
        return "\n".join(tokens)

    def token_in(self, line: str) -> str:
        """The token of a link to us; nothing for any other text."""
        parts = TOKEN_IN.fullmatch(line)
        return parts["token"] if parts and parts["host"].lower() in self.hosts else ""

    def clean_number(self) -> str:
        """The report's number; a fresh one when the form brings none of ours."""
        try:
            return signing.Signer(salt=NUMBER_SALT).unsign(self.cleaned_data["number"])
        except signing.BadSignature:
            return new_number()


def signed_number() -> str:
    return signing.Signer(salt=NUMBER_SALT).sign(new_number())


class RemoveForm(forms.Form):
    """What staff have checked, why the pictures go, and whether the credits return."""

    shows = forms.BooleanField(label=_("The link leads to the picture shown here"))
    fits = forms.BooleanField(label=_("The notice says what is wrong, and the picture fits it"))
    entitled = forms.BooleanField(
        label=_("Whoever sent it may ask for this (about somebody under 18, anybody may)")
    )
    category = forms.ChoiceField(
        label=_("Reason"),
        choices=[("", _("Choose a reason")), *Category.choices],
        help_text=_("The owner reads: We removed this picture: reason."),
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=REASON_LETTERS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("For the record; nobody outside reads it."),
    )
    give_back = forms.BooleanField(label=_("Give the owner the credits back"), required=False)

    CHECKS = ("shows", "fits", "entitled")


class RefuseForm(forms.Form):
    """Why a notice is refused, in words for whoever sent it."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LETTERS,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("The sender reads this in our answer."),
    )
