"""What moderators read: why something is on the desk, what they may do, what came of it.

Knows review items, categories and the refusals of `reviewing`.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.humanize.templatetags.humanize import naturaltime
from django.utils import formats, timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from avatars import reviewing
from avatars.models import Category, ReviewItem, ReviewKind, ReviewOutcome
from avatars.words.reviews import rejected, removed
from avatars.words.states import Words


@dataclass(frozen=True)
class Act:
    """One key, one button. `is_against` acts need a reason."""

    key: str
    value: str
    label: Words
    note: Words = ""
    is_against: bool = False


DESCRIPTION_ACTS = (
    Act("1", "approve", _("Approve"), _("joins the line")),
    Act("2", "reject", _("Reject"), _("credits return by themselves"), is_against=True),
    Act("4", "reject_stop", _("Reject, stop sharing"), _("publishes no more"), is_against=True),
)
PICTURE_ACTS = (
    Act("1", "keep", _("Keep")),
    Act("2", "remove", _("Remove"), _("stays charged"), is_against=True),
    Act("3", "remove_gift", _("Remove, credits back"), _("as a gift"), is_against=True),
    Act("4", "remove_stop", _("Remove, stop sharing"), _("publishes no more"), is_against=True),
)
APPEAL_ACTS = (
    Act("1", "grant", _("Grant"), _("the first decision was wrong")),
    Act("2", "deny", _("Deny"), _("the first decision stays")),
)
LATER_ACTS = (
    Act("H", "put_back", _("Put back"), _("4 hours, never past the deadline")),
    Act("E", "escalate", _("Escalate"), _("to a lead")),
)


def acts(item: ReviewItem) -> tuple[Act, ...]:
    if item.kind == ReviewKind.APPEAL:
        return APPEAL_ACTS
    return PICTURE_ACTS if item.is_picture else DESCRIPTION_ACTS


def reasons(item: ReviewItem) -> list[dict[str, Any]]:
    """The one list, each with the sentence the person will read."""
    say = removed if item.is_picture else rejected
    return [
        {
            "key": number,
            "value": category.value,
            "label": category.label,
            "message": say(category),
            "checked": category == item.category,
        }
        for number, category in enumerate(Category, 1)
    ]


def why_here(item: ReviewItem) -> str:
    """The first line of the desk."""
    category = Category(item.category).label if item.category in Category else ""
    match item.kind:
        case ReviewKind.DESCRIPTION:
            return gettext("Held by the rules: %(category)s.") % {
                "category": category or gettext("none in particular")
            }
        case ReviewKind.REPORT:
            said = ngettext("Reported once", "Reported %(n)d times", item.times) % {"n": item.times}
            return f"{said}: {category}." if category else f"{said}."
        case ReviewKind.FIRST_SHARE:
            return gettext("The first picture that this person shares.")
        case ReviewKind.LOOKALIKE:
            return gettext(
                "It looks like a picture that was removed for good, and its link shows nothing "
                "until you decide."
            )
    if item.is_picture:
        return gettext("An appeal: the picture was removed.")
    if item.request_id:
        return gettext("An appeal: the description was rejected.")
    return gettext("An appeal: the person was suspended.")


def until(item: ReviewItem) -> str:
    """What happens when nobody decides."""
    moment = timezone.localtime(item.deadline_at)
    time = f"{formats.date_format(moment, 'DATE_FORMAT')}, {formats.time_format(moment, 'H:i')}"
    if item.kind == ReviewKind.DESCRIPTION:
        return gettext("Decide by %(time)s; then the credits return by themselves.") % {
            "time": time
        }
    return gettext("Decide by %(time)s.") % {"time": time}


def name(user: User | None) -> str:
    if user is None:
        return gettext("Somebody")
    return user.display_name or user.email


def not_decided(refused: reviewing.NotDecided) -> str:
    """Why a decision did not count: who or what was faster."""
    item = refused.item
    match refused:
        case reviewing.Claimed():
            return gettext("%(name)s is looking at this.") % {"name": name(item.claimed_by)}
        case reviewing.ForLeads():
            return gettext("This is for a lead.")
        case reviewing.NotTheirs():
            return gettext("Somebody else has to decide this one.")
    return how_it_ended(item)


def how_it_ended(item: ReviewItem) -> str:
    if item.is_open:
        return gettext("Its time is up: the credits return by themselves.")
    if item.outcome == ReviewOutcome.WITHDRAWN:
        return gettext("Its owner cancelled it.")
    if item.outcome == ReviewOutcome.LATE:
        return gettext("Nobody decided in time; the credits are back.")
    return gettext("%(name)s decided this %(when)s: %(outcome)s.") % {
        "name": name(item.decided_by),
        "when": naturaltime(item.decided_at or timezone.now()),
        "outcome": ReviewOutcome(item.outcome).label,
    }


# What the record calls an act → what staff read.
RECORDED: dict[str, Words] = {
    "description_approved": _("approved"),
    "description_rejected": _("rejected"),
    "picture_kept": _("kept"),
    "picture_removed": _("removed"),
    "picture_taken_down": _("removed for good"),
    "decision_undone": _("undone"),
    "appeal_granted": _("appeal granted"),
    "appeal_denied": _("appeal denied"),
    "escalated": _("escalated"),
    "noted": _("note"),
    "person_suspended": _("suspended"),
    "photo_opened": _("source photo opened"),
    "credits_given": _("credits given"),
}


def recorded(act: str) -> str:
    """An act of the record in words; one of another room by its own name."""
    return str(RECORDED.get(act, act.replace("_", " ")))


DONE: dict[str, Words] = {
    "approve": _("Approved: it joins the line."),
    "reject": _("Rejected: the credits are back."),
    "reject_stop": _("Rejected, and this person publishes no more."),
    "keep": _("Kept."),
    "remove": _("Removed."),
    "remove_gift": _("Removed, and the credits are given back."),
    "remove_stop": _("Removed, and this person publishes no more."),
    "grant": _("Granted."),
    "deny": _("Denied."),
    "put_back": _("Put back for later."),
    "escalate": _("Waits for a lead now."),
    "note": _("Noted."),
}
LOCKED = _("About somebody under 18: it waits for a lead now, and nothing was deleted.")
REASON_MISSING = _("Choose a reason first; nothing has been decided.")
NOTE_MISSING = _("Write the note first.")
CHECKLIST = (
    _("Nothing is deleted: the picture, its request and this page are evidence."),
    _("Do not download, forward or show it to anybody."),
    _("Report it to the authority named in the operations handbook, with the numbers below."),
    _("Suspend the person, if the report says that it is real."),
    _("Write the number of the report into the note, then decide."),
)
