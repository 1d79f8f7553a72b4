"""Why there is no picture, what became of the credits, and the way on.

Knows the reasons a request ends with.
"""

from dataclasses import dataclass

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from avatars.models import Reason
from avatars.words.states import Words


@dataclass(frozen=True)
class Step:
    """A way on: words and the name of an address; `again` opens Create filled in."""

    label: Words
    address: str
    again: bool = False


TRY_AGAIN = Step(_("Try again"), "create", again=True)
EDIT_WORDS = Step(_("Edit description"), "create", again=True)
OTHER_PHOTO = Step(_("Choose another photo"), "face_new")
RULES = Step(_("Read the rules"), "safety")
MAKE_ANOTHER = Step(_("Make another"), "create", again=True)

ENDINGS: dict[Reason, tuple[Words, Step]] = {
    Reason.OWNER: (_("You cancelled this one before it was drawn."), MAKE_ANOTHER),
    Reason.PHOTO_DELETED: (
        _("You deleted the photo, so we stopped."),
        Step(_("Choose a photo"), "face_new"),
    ),
    Reason.CONSENT: (
        _("You withdrew your consent, so we stopped and kept nothing."),
        Step(_("Read the face-photo policy"), "face_data"),
    ),
    Reason.CLOSED: (_("Your account was closing, so we stopped."), Step(_("Help"), "help")),
    Reason.REVIEW_LATE: (_("Nobody could look at this in time."), TRY_AGAIN),
    Reason.REVIEW_NO: (_("A reviewer said no: it is against our rules."), RULES),
    Reason.LINE_LATE: (_("This took too long, so we stopped."), TRY_AGAIN),
    Reason.LATE: (_("This took too long, so we stopped."), TRY_AGAIN),
    Reason.PHOTO_UNREADABLE: (
        _("Our image service couldn't find one clear face in this photo."),
        OTHER_PHOTO,
    ),
    Reason.REFUSED: (_("Our image service won't draw this description."), EDIT_WORDS),
    Reason.PROVIDER_FAILED: (_("Our image service failed. It's not you."), TRY_AGAIN),
    Reason.UNCONFIRMED: (_("Our image service never confirmed this one."), TRY_AGAIN),
    Reason.LOST: (_("Our image service lost this one on the way."), TRY_AGAIN),
    Reason.BLOCKED: (
        _("The picture didn't pass our safety check, so we can't show it."),
        EDIT_WORDS,
    ),
    Reason.BROKEN: (_("The picture came out broken."), TRY_AGAIN),
    Reason.UNSAVED: (_("It was drawn, but we couldn't save it."), TRY_AGAIN),
    Reason.OURS: (_("Something broke on our side before drawing began."), TRY_AGAIN),
}


def reason_sentence(reason: str) -> str:
    """What happened, for a request that ended without a picture."""
    return str(ENDINGS[Reason(reason)][0])


def next_step(reason: str) -> Step:
    return ENDINGS[Reason(reason)][1]


def credits_back(cost: int, balance: int) -> str:
    """The sentence of every return. `cost` and `balance` in credits."""
    return ngettext(
        "Your credit is back (balance %(balance)d). You were not charged.",
        "Your %(cost)d credits are back (balance %(balance)d). You were not charged.",
        cost,
    ) % {"cost": cost, "balance": balance}


def credits_charged(cost: int, balance: int) -> str:
    charged = ngettext("%(cost)d credit charged.", "%(cost)d credits charged.", cost)
    left = gettext("%(balance)d left.")
    return f"{charged} {left}" % {"cost": cost, "balance": balance}


def credits(amount: int) -> str:
    """“1 credit”, “2 credits”."""
    return ngettext("%(amount)d credit", "%(amount)d credits", amount) % {"amount": amount}


def credits_held(cost: int) -> str:
    return ngettext("%(cost)d credit held", "%(cost)d credits held", cost) % {"cost": cost}


NO_CREDITS_USED = _("No credits were used.")
