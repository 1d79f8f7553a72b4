"""Forms of making: a photo, its consent and its retention, a wish for an avatar, and an appeal.

Knows the nouns, the limits of `imaging`, and words.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, cast

from django import forms
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from avatars import screening, words
from avatars.imaging import UPLOAD_BYTES, PhotoRefused
from avatars.models import FacePhoto, Keep, Quality, Style
from avatars.models.avatar_requests import AVOID_LIMIT, PROMPT_LIMIT
from avatars.models.reviews import WHY_LIMIT

ACCEPT = "image/jpeg,image/png,image/webp,image/heic,image/heif,.heic,.heif"
REASON_LETTERS = 300  # as many as a decision's reason holds
NUMBER_SALT = "avatars.forms.number"


def new_number(user: User) -> str:
    """A fresh draft number, signed for this person: sent twice, it is one request."""
    return signing.Signer(salt=NUMBER_SALT).sign_object([user.pk, str(uuid.uuid4())])


def read_number(user: User, signed: str) -> uuid.UUID:
    """Raises signing.BadSignature for a number that is not ours or not this person's."""
    owner, number = signing.Signer(salt=NUMBER_SALT).unsign_object(signed)
    if owner != user.pk:
        raise signing.BadSignature("another person's number")
    return uuid.UUID(number)


class KeepForm(forms.Form):
    """How long a photo is kept."""

    keep = forms.ChoiceField(
        label=_("Keep the photo"),
        choices=Keep.choices,
        initial=Keep.MONTH,
        widget=forms.RadioSelect,
    )


class PhotoForm(KeepForm):
    """One photo, refused by its size before a byte of it is read."""

    photo = forms.FileField(
        label=_("Photo"),
        allow_empty_file=True,  # read as what it is: no picture
        error_messages={"required": words.PHOTO_MISSING, "invalid": words.PHOTO_MISSING},
    )

    field_order = ("photo", "keep")

    def clean_photo(self) -> UploadedFile:
        photo = self.cleaned_data["photo"]
        if photo.size > UPLOAD_BYTES:
            too_big = PhotoRefused("too_big", bytes=photo.size, limit=UPLOAD_BYTES)
            raise forms.ValidationError(words.photo_refusal(too_big))
        return photo


class ConsentForm(forms.Form):
    """Two boxes that start empty; both are needed."""

    agree = forms.BooleanField(
        label=words.AGREE,
        error_messages={"required": _("Without this we can't send your photo anywhere.")},
    )
    person = forms.BooleanField(
        label=words.PERSON,
        error_messages={"required": _("We draw only people who agree and are 18 or older.")},
    )


class OpeningForm(forms.Form):
    """Why a member of staff opens somebody's photo."""

    reason = forms.CharField(
        label=_("Reason"),
        min_length=10,
        max_length=REASON_LETTERS,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("The person reads this, word for word, beside your role."),
    )


class TextField(forms.CharField):
    """A text of several lines. A line end is one letter, as the browser's own counter has it."""

    def to_python(self, value: object) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")


class AppealForm(forms.Form):
    """Why somebody thinks that a decision about them was wrong, in their own words."""

    why = TextField(
        label=_("Why is the decision wrong?"),
        max_length=WHY_LIMIT,
        help_text=_("In your own words. Whoever reads this also looks at what it is about."),
        error_messages={
            "required": _("Tell us in a few words why it is wrong."),
            "max_length": _(
                "This text is too long: %(show_value)d characters, at most %(limit_value)d."
            ),
        },
    )

    def clean_why(self) -> str:
        """Lines as they were written, without control characters."""
        lines = map(screening.clean_words, self.cleaned_data["why"].splitlines())
        why = "\n".join(lines).strip()
        if not why:
            raise forms.ValidationError(self.fields["why"].error_messages["required"])
        return why


class CreateForm(forms.Form):
    """A wish: photo, style, words, quality; the draft's number and the price on the button."""

    photo = forms.ChoiceField(error_messages={"invalid_choice": words.PHOTO_GONE})
    style = forms.ChoiceField(choices=Style.choices)
    prompt = TextField(
        label=_("Describe the scene"),
        max_length=PROMPT_LIMIT,
        help_text=_("Outfit, place, light, mood"),
    )
    avoid = TextField(label=_("Avoid"), max_length=AVOID_LIMIT, required=False)
    quality = forms.ChoiceField(choices=Quality.choices)
    number = forms.CharField()
    shown_cost = forms.IntegerField(required=False)

    def __init__(
        self,
        data: Mapping[str, str] | None,
        *,
        user: User,
        photos: Iterable[FacePhoto],
        initial: dict[str, str] | None = None,
    ) -> None:
        super().__init__(data, initial=initial)
        self.user = user
        self.photos = {str(photo.public_id): photo for photo in photos}
        photo = cast("forms.ChoiceField", self.fields["photo"])
        photo.choices = [(key, key) for key in self.photos]
        too_long = _("This text is too long: %(show_value)d characters, at most %(limit_value)d.")
        missing: dict[str, Any] = {
            "photo": _("Choose a photo first."),
            "style": _("Choose a style first."),
            "prompt": words.words_missing(),
            "quality": _("Choose a quality first."),
            "number": words.FORM_TOO_OLD,
        }
        for name, sentence in missing.items():
            self.fields[name].error_messages["required"] = sentence
        for name in ("prompt", "avoid"):
            self.fields[name].error_messages["max_length"] = too_long

    def clean_photo(self) -> FacePhoto:
        return self.photos[self.cleaned_data["photo"]]

    def clean_number(self) -> uuid.UUID:
        try:
            return read_number(self.user, self.cleaned_data["number"])
        except signing.BadSignature as error:
            raise forms.ValidationError(words.FORM_TOO_OLD, code="stale") from error
