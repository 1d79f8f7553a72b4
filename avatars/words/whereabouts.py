"""Where a face has been, in plain sentences with times.

Knows photos, orders and the decisions of staff.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import formats, timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import Decision
from avatars.models import Attempt, FacePhoto, Gone, Keep
from avatars.models.attempts import FACE_LINK_LIFE, RESULT_LIFE
from avatars.words.states import Words

GONE: dict[str, Words] = {
    Gone.OWNER: gettext_lazy("You deleted it, for good."),
    Gone.DATE: gettext_lazy("Its date had come: deleted, for good."),
    Gone.CONSENT: gettext_lazy("You withdrew your consent: deleted, for good."),
    Gone.CLOSED: gettext_lazy("Your account was closing: deleted, for good."),
    Gone.STAFF: gettext_lazy("Our staff deleted it, for good."),
}
DELETED = gettext_lazy("Deleted, for good.")


@dataclass(frozen=True)
class Event:
    at: datetime
    icon: str
    text: str
    is_coming: bool = False


def arrival(photo: FacePhoto, region: str) -> list[Event]:
    """How it came to us. `region`: where the bucket stands; empty for this very machine."""
    kept = _("Kept in our private storage.")
    if region:
        kept = _("Kept in our private storage (%(region)s).") % {"region": region}
    at = photo.created_at
    return [
        Event(at, "upload", _("Uploaded from your browser.")),
        Event(
            at,
            "shield-check",
            _("Cleaned: turned upright, location and camera data removed, encoded anew."),
        ),
        Event(at, "lock", kept),
    ]


def journey(attempt: Attempt, photo: FacePhoto, now: datetime) -> list[Event]:
    """One order that went to the image service, how the photo travelled, what was asked after."""
    sent_at = attempt.sent_at
    if sent_at is None:
        return []
    avatar = _("“%(words)s”") % {"words": Truncator(attempt.request.prompt).chars(40)}
    if attempt.face_hash is None:
        sentence = _("Sent to ModelsLab inside the order for %(avatar)s.")
    else:
        sentence = _("Offered to ModelsLab by a private link, for %(avatar)s.")
    told = " ".join([sentence % {"avatar": avatar}, *link(attempt, sent_at, photo, now)])
    return [Event(sent_at, "external-link", told), *erasure(attempt, sent_at, avatar, now)]


def link(attempt: Attempt, sent_at: datetime, photo: FacePhoto, now: datetime) -> list[str]:
    """What became of the private link: fetched how often and when, closed when."""
    if attempt.face_hash is None:
        return []
    told = [_("Not fetched.")]
    if attempt.face_read_at:
        fetched = ngettext(
            "Fetched by that link once, at %(time)s.",
            "Fetched by that link %(n)d times, last at %(time)s.",
            attempt.face_hits,
        )
        told = [fetched % {"n": attempt.face_hits, "time": clock(attempt.face_read_at)}]
    # Whatever came first: the order's end, the photo's, or the link's own.
    ends = (attempt.ended_at, photo.deleted_at, sent_at + FACE_LINK_LIFE)
    closed_at = min(moment for moment in ends if moment)
    if closed_at <= now:
        told.append(_("Closed for good at %(time)s.") % {"time": clock(closed_at)})
    return told


def clock(moment: datetime) -> str:
    return formats.time_format(timezone.localtime(moment), "H:i")


def erasure(attempt: Attempt, sent_at: datetime, avatar: str, now: datetime) -> list[Event]:
    """What ModelsLab was asked about its own copy of the result, and what it said."""
    if attempt.erase_answered_at and attempt.erased:
        at = attempt.erase_answered_at
        sentence = _("ModelsLab asked to erase its result for %(avatar)s. It says it has.")
    elif attempt.erase_answered_at:
        at = attempt.erase_answered_at
        sentence = _(
            "ModelsLab asked to erase its result for %(avatar)s. It says there is none to erase; "
            "its result files end after 24 hours by its documentation."
        )
    elif attempt.erase_due_at:
        at = max(now + timedelta(seconds=1), attempt.erase_due_at)
        sentence = _("ModelsLab is being asked to erase its result for %(avatar)s.")
    elif attempt.erase_tries and attempt.provider_job_id:
        at = sent_at + RESULT_LIFE
        sentence = _(
            "ModelsLab was asked to erase its result for %(avatar)s and never answered. Its result "
            "files end after 24 hours by its documentation."
        )
    else:
        return []
    return [Event(at, "trash-2", sentence % {"avatar": avatar}, is_coming=at > now)]


def opened(decision: Decision) -> Event:
    """A member of staff looked at it."""
    facts = {"role": decision.after.get("role", ""), "reason": decision.reason}
    if facts["role"]:
        sentence = _("Opened by our staff (%(role)s). Their reason: %(reason)s")
    else:
        sentence = _("Opened by our staff. Their reason: %(reason)s")
    return Event(decision.created_at, "eye", sentence % facts)


def departure(photo: FacePhoto, now: datetime) -> list[Event]:
    """When it goes, or when and why it went."""
    if photo.deleted_at is None:
        coming = _("Deletes.")
        if photo.keep == Keep.READY:
            coming = _("Deletes at the latest; sooner when your avatar is ready.")
        return [Event(max(photo.delete_at, now), "calendar-clock", coming, is_coming=True)]
    told = [Event(photo.deleted_at, "trash-2", str(GONE.get(photo.gone_because, DELETED)))]
    if photo.emptied_at:
        empty = _("The last of its files left our storage.")
        told.append(Event(photo.emptied_at, "check", empty))
    else:
        leaving = _("Its files are leaving our storage.")
        told.append(Event(now, "hourglass", leaving, is_coming=True))
    return told
