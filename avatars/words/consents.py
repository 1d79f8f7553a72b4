"""The text people agree to before their first photo, as they read it.

Knows how long photos are kept. A new wording is a new generation.FACE_CONSENT_VERSION.
"""

from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from avatars.models import Keep
from avatars.models.photos import KEEP_FOR

# The two boxes; both are part of what is agreed to.
AGREE = _("I agree to this use of my face photo")
PERSON = _("This is me, or I have this person's permission, and they are 18 or older")


def consent_body() -> str:
    """The paragraphs over the boxes, parted by empty lines, in the reader's language."""
    context = {"keep_days": KEEP_FOR[Keep.MONTH].days}
    return render_to_string("avatars/face_consent_text.html", context).strip()


def consent_text() -> str:
    """All that is agreed to: the paragraphs and the two statements. Its hash is kept."""
    return "\n\n".join([consent_body(), str(AGREE), str(PERSON)])
