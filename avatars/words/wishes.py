"""Why a wish was not taken, and the first words on Create.

Knows the refusals of `generation` and of the wallet.
"""

from django.conf import settings
from django.utils import formats, timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.models import NotEnoughCredits, User, Wallet
from avatars import generation
from avatars.models import Quality
from avatars.models.avatar_requests import PROMPT_LIMIT
from avatars.models.pace import WAIT_LIMIT
from avatars.words.endings import NO_CREDITS_USED, credits
from avatars.words.photos import PHOTO_GONE
from avatars.words.states import Words
from avatars.words.waiting import duration

CATEGORIES: dict[str, Words] = {
    "minors": _("someone under 18 in a way we do not draw"),
    "sexual": _("sexual content"),
    "hate": _("hate"),
    "violence": _("cruelty"),
    "deception": _("a document or a deception"),
    "people": _("a real person who may not have agreed"),
    "copyright": _("something that belongs to others"),
    "spam": _("advertising"),
    "quality": _("something we cannot draw well"),
    "rules": _("something our rules exclude"),
}


SUSPENDED = _("Your account is suspended: you can look and leave, but not make.")
FROZEN = _("Your credits are being checked by our staff. Nothing was charged.")


def words_missing() -> str:
    return gettext("Describe the scene in 1 to %(limit)d characters.") % {"limit": PROMPT_LIMIT}


def refusal(error: generation.SubmitRefused | NotEnoughCredits, quality: Quality) -> str:
    """Why a wish was not taken; nothing has moved and everything typed is kept."""
    match error:
        case generation.WordsRefused():
            category = CATEGORIES.get(error.category, CATEGORIES["rules"])
            said = gettext("This description can't be used because it asks for %(category)s.")
            return f"{said % {'category': category}} {NO_CREDITS_USED}"
        case generation.WordsMissing():
            return words_missing()
        case generation.PhotoGone():
            return str(PHOTO_GONE)
        case generation.ConsentMissing():
            return gettext("Before the next avatar, please read how your face photo is used.")
        case generation.PriceMoved():
            return gettext("The price is now %(credits)s. Press again if that is fine.") % {
                "credits": credits(error.cost)
            }
        case generation.TooManyOpen():
            return ngettext(
                "%(n)d avatar is in the making, which is your limit. "
                "The next can start when it is done.",
                "%(n)d avatars are in the making, which is your limit. "
                "The next can start when one is done.",
                error.limit,
            ) % {"n": error.limit}
        case generation.TooManyToday():
            again_at = formats.time_format(timezone.localtime(error.again_at), "H:i")
            return ngettext(
                "%(n)d avatar a day is your limit. The next can start at %(time)s.",
                "%(n)d avatars a day is your limit. The next can start at %(time)s.",
                error.limit,
            ) % {"n": error.limit, "time": again_at}
        case generation.LineTooLong():
            wait = duration(WAIT_LIMIT.total_seconds())
            said = gettext(
                "The wait is over %(wait)s now, longer than we can promise anything for."
            )
            return f"{said % {'wait': wait}} {NO_CREDITS_USED}"
        case generation.Suspended():
            return str(SUSPENDED)
        case NotEnoughCredits():
            return not_enough(error.wallet, quality)
    raise TypeError(f"no words for {type(error).__name__}")


def not_enough(wallet: Wallet, quality: Quality) -> str:
    """What is missing, or what is owed, and how it is settled."""
    if wallet.frozen:
        return str(FROZEN)
    if wallet.debt:
        return ngettext(
            "You owe %(n)d credit because a payment was reversed. Buying a pack settles it first.",
            "You owe %(n)d credits because a payment was reversed. Buying a pack settles it first.",
            wallet.debt,
        ) % {"n": wallet.debt}
    return gettext("%(quality)s needs %(cost)d, you have %(balance)d.") % {
        "quality": quality.label,
        "cost": quality.cost,
        "balance": wallet.spendable,
    }


def barred(user: User) -> str:
    """Why this person can make nothing at all just now, whatever they choose; empty if they can."""
    if user.suspended_at is not None:
        return str(SUSPENDED)
    return str(FROZEN) if user.wallet.frozen else ""


def too_fast(seconds: int) -> str:
    """A rate limit, with the time until it works again."""
    return gettext("That was a little too fast. Try again in %(wait)s; everything is kept.") % {
        "wait": duration(seconds)
    }


FORM_TOO_OLD = _("This page was open a long time. Your text is kept; press again.")


def welcome(balance: int) -> str:
    """The first line of the first visit; `balance` in credits."""
    if balance != settings.WELCOME_CREDITS:
        return gettext("Three steps to your first avatar.")
    return ngettext("%(n)d free credit is yours.", "%(n)d free credits are yours.", balance) % {
        "n": balance
    }
