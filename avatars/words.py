"""Words: the one place where codes of the house become sentences for people. An edge.

Knows the nouns and the verbs' errors. Pages, letters and tiles print what stands here.
"""

import math
from dataclasses import dataclass

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import ordinal
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.models import NotEnoughCredits, Wallet
from avatars import generation
from avatars.face_check import Verdict
from avatars.imaging import PhotoRefused
from avatars.models import AvatarRequest, Pace, Quality, Reason, State
from avatars.models.avatar_requests import PROMPT_LIMIT
from avatars.models.pace import PLACES_COUNTED, WAIT_LIMIT

Words = str | Promise

MEGABYTE = 1024 * 1024  # as people's file managers and our limit count it
CLOSEST_SECONDS = 5  # nobody knows it better than that
SECONDS_UNTIL_MINUTES = 120


# ── States ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Status:
    """How a state is shown: never by colour alone."""

    word: Words
    icon: str
    tone: str


DRAWING = ("brush", "accent")
LOOKS: dict[State, tuple[str, str]] = {
    State.HELD: ("scan-eye", "info"),
    State.QUEUED: ("clock", "muted"),
    State.SENDING: DRAWING,
    State.UNCERTAIN: DRAWING,
    State.GENERATING: DRAWING,
    State.STORING: ("save", "accent"),
    State.READY: ("check", "ok"),
    State.FAILED: ("rotate-ccw", "bad"),
    State.CANCELLED: ("x", "muted"),
    State.REJECTED: ("shield-x", "bad"),
}
STATUS = {state: Status(state.label, *look) for state, look in LOOKS.items()}


def status(avatar_request: AvatarRequest) -> Status:
    """Word, icon and tone of a request, for badge, tile, page and letter alike."""
    return STATUS[State(avatar_request.state)]


# ── Endings without a picture ───────────────────────────────────────────────────────────────────


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


# ── Waiting ─────────────────────────────────────────────────────────────────────────────────────


def duration(seconds: float) -> str:
    """Rounded up to 5 s, from two minutes on to minutes."""
    rounded = max(CLOSEST_SECONDS, math.ceil(seconds / CLOSEST_SECONDS) * CLOSEST_SECONDS)
    if rounded < SECONDS_UNTIL_MINUTES:
        return ngettext("%(n)d second", "%(n)d seconds", rounded) % {"n": rounded}
    minutes = math.ceil(rounded / 60)
    return ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes}


def so_far(seconds: float) -> str:
    """Time that has passed, never more than it was: “50 seconds”, “1 min 40 s”."""
    passed = int(seconds // CLOSEST_SECONDS) * CLOSEST_SECONDS
    if passed < 60:
        return ngettext("%(n)d second", "%(n)d seconds", passed) % {"n": passed}
    return gettext("%(minutes)d min %(seconds)d s") % {
        "minutes": passed // 60,
        "seconds": passed % 60,
    }


def about(seconds: float, *, known: bool = True) -> str:
    """An honest guess: “about 25 seconds”; “about a minute” while too few were measured."""
    if not known and seconds <= SECONDS_UNTIL_MINUTES / 2:
        return gettext("about a minute")
    return gettext("about %(duration)s") % {"duration": duration(seconds)}


def place(number: int, total: int) -> str:
    """“3rd of 9” in line; the count ends at one past PLACES_COUNTED."""
    if number > PLACES_COUNTED:
        return gettext("more than %(n)d before you") % {"n": PLACES_COUNTED}
    if total > PLACES_COUNTED:
        return gettext("%(place)s of more than %(n)d") % {
            "place": ordinal(number),
            "n": PLACES_COUNTED,
        }
    return gettext("%(place)s of %(total)d") % {
        "place": ordinal(number),
        "total": max(total, number),
    }


def wait_in_line(number: int, wait: float, drawing: Pace) -> str:
    """“3rd in line, about 40 seconds; 95 % are done within 90 seconds.” `wait` in seconds."""
    left = about(wait + drawing.p50, known=drawing.known)
    if number > PLACES_COUNTED:
        return gettext("More than %(n)d are before you: %(about)s.") % {
            "n": PLACES_COUNTED,
            "about": left,
        }
    said = {"place": ordinal(number), "about": left, "p95": duration(wait + drawing.p95)}
    if not drawing.known:
        return gettext("%(place)s in line, %(about)s.") % said
    return gettext("%(place)s in line, %(about)s; 95 %% are done within %(p95)s.") % said


def tab_place(number: int) -> str:
    """The browser's tab while one waits."""
    return gettext("(%(place)s) Avatar") % {"place": ordinal(min(number, PLACES_COUNTED))}


def drawing(elapsed: float, usual: Pace) -> str:
    """What is said while it is drawn, `elapsed` seconds after the order was sent."""
    if elapsed > usual.p90:
        return gettext(
            "Taking longer than usual, %(elapsed)s so far. You can leave; we'll e-mail you."
        ) % {"elapsed": so_far(elapsed)}
    if not usual.known:
        return gettext("It takes about a minute.")
    left = max(CLOSEST_SECONDS, usual.p50 - elapsed)
    return gettext("%(about)s left.") % {"about": about(left).capitalize()}


# ── Photos ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Judgement:
    """A photo's verdict in words: a short one for the card, one sentence beside the photo."""

    word: Words
    icon: str
    tone: str
    sentence: str


WARNINGS: dict[str, Words] = {
    "shoulders": _("The shoulders are cut off; the likeness may suffer."),
    "face_cut": _("Part of the face is outside the picture; the likeness will suffer."),
    "small_face": _("The face is small: move closer or crop tighter."),
    "small_picture": _("It is %(side)d pixels wide; %(enough)d or more looks much better."),
    "blurred": _("It looks blurred."),
    "dark": _("It is dark. A photo in daylight looks much better."),
}
ENOUGH_PIXELS = 512  # of the shorter side; the width that is drawn

BLOCKS: dict[str, Words] = {
    "no_face": _("We couldn't find a face in this photo."),
    "many_faces": _("We found %(faces)s faces. Crop to just yours."),
}
FEW = {2: _("two"), 3: _("three"), 4: _("four")}

PHOTO_REFUSALS: dict[str, Words] = {
    "too_big": _(
        "This file is %(size)s MB; the limit is %(limit)s MB. A smaller copy works just as well."
    ),
    "not_a_picture": _("This file isn't a picture we can read. JPEG, PNG, WebP and HEIC work."),
    "animated": _("This picture moves. Choose a still one."),
    "too_many_pixels": _(
        "This picture has more than %(limit)s megapixels. A smaller copy works just as well."
    ),
    "too_small": _("This picture is only %(width)s × %(height)s pixels. Choose a larger one."),
}
PHOTO_MISSING = _("Choose a photo first.")
PHOTO_GONE = _("That photo was deleted on schedule. Choose another.")
STORAGE_AWAY = _("We can't take photos right now; nothing was lost.")


def photo_refusal(refused: PhotoRefused) -> str:
    """Why an upload was not taken, and what would work."""
    facts: dict[str, object] = dict(refused.facts)
    if refused.code == "too_big":
        # Rounded up: a file a little above the limit must not be called as big as the limit.
        size = math.ceil(refused.facts["bytes"] / MEGABYTE * 10) / 10
        facts = {
            "size": formats.number_format(size, 0 if size >= 100 or size.is_integer() else 1),
            "limit": refused.facts["limit"] // MEGABYTE,
        }
    return str(PHOTO_REFUSALS[refused.code]) % facts


def judgement(verdict: Verdict) -> Judgement:
    """A verdict in one sentence: its most important fault, or none."""
    if verdict.blocks:
        sentence = str(BLOCKS[verdict.blocks]) % {
            "faces": FEW.get(verdict.faces, verdict.faces),
        }
        return Judgement(_("Can't be used"), "circle-alert", "bad", sentence)
    if verdict.warnings:
        sentence = str(WARNINGS[verdict.warnings[0]]) % {
            "side": min(verdict.width, verdict.height),
            "enough": ENOUGH_PIXELS,
        }
        return Judgement(_("Usable"), "triangle-alert", "warn", sentence)
    return Judgement(_("Great photo"), "circle-check", "ok", gettext("Great photo."))


# ── Refusals of a wish ──────────────────────────────────────────────────────────────────────────

CATEGORIES: dict[str, Words] = {
    "minors": _("someone under 18 in a way we do not draw"),
    "sexual": _("sexual content"),
    "hate": _("hate"),
    "violence": _("cruelty"),
    "deception": _("a document or a deception"),
    "rules": _("something our rules exclude"),
}


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
            return gettext("%(n)d avatars a day is your limit. The next can start at %(time)s.") % {
                "n": error.limit,
                "time": again_at,
            }
        case generation.LineTooLong():
            wait = duration(WAIT_LIMIT.total_seconds())
            said = gettext(
                "The wait is over %(wait)s now, longer than we can promise anything for."
            )
            return f"{said % {'wait': wait}} {NO_CREDITS_USED}"
        case generation.Suspended():
            return gettext("Your account is suspended: you can look and leave, but not make.")
        case NotEnoughCredits():
            return not_enough(error.wallet, quality)
    raise TypeError(f"no words for {type(error).__name__}")


def not_enough(wallet: Wallet, quality: Quality) -> str:
    """What is missing, or what is owed, and how it is settled."""
    if wallet.frozen:
        return gettext("Your credits are being checked by our staff. Nothing was charged.")
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
