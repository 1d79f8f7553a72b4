"""Durations, places in line and how much longer it takes, never more exact than we know it.

Knows pace. Seconds throughout.
"""

import math

from django.contrib.humanize.templatetags.humanize import ordinal
from django.utils.translation import gettext, ngettext

from avatars.models import Pace
from avatars.models.pace import PLACES_COUNTED

CLOSEST_SECONDS = 5  # nobody knows it better than that
SECONDS_UNTIL_MINUTES = 120


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
