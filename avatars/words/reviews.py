"""What a reviewer's reason is called, and the sentence the person reads.

Knows categories and requests.
"""

from django.utils import formats, timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from avatars.models import AvatarRequest, Category, Reason, ReviewItem
from avatars.words.endings import reason_sentence
from avatars.words.states import Words

# Each ends a sentence that begins “A reviewer said no:” or “We removed this picture:”.
REASONS: dict[Category, Words] = {
    Category.SEXUAL: _("it is sexual."),
    Category.MINORS: _("it is about somebody under 18."),
    Category.PEOPLE: _("it is about a real person who may not have agreed."),
    Category.HATE: _("it spreads hate or shows its symbols."),
    Category.VIOLENCE: _("it is cruel or violent."),
    Category.DECEPTION: _("it could deceive people or pass as a document."),
    Category.COPYRIGHT: _("it belongs to somebody else."),
    Category.SPAM: _("it is advertising or spam."),
    Category.QUALITY: _("its quality is too low to keep."),
}

IN_REVIEW = _("A person reads this one first, usually within an hour.")


def rejected(category: str) -> str:
    """Why a held description is not drawn."""
    if category not in REASONS:
        return reason_sentence(Reason.REVIEW_NO)
    return gettext("A reviewer said no: %(reason)s") % {"reason": REASONS[Category(category)]}


def removed(category: str) -> str:
    """Why a finished picture is gone."""
    if category not in REASONS:
        return gettext("We removed this picture: it is against our rules.")
    return gettext("We removed this picture: %(reason)s") % {"reason": REASONS[Category(category)]}


def why_ended(avatar_request: AvatarRequest) -> str:
    """What happened, for a request that ended without a picture; for one that a reviewer ended,
    with their reason (one query, only then).
    """
    if avatar_request.reason != Reason.REVIEW_NO:
        return reason_sentence(avatar_request.reason)
    return rejected(ReviewItem.objects.verdict(request=avatar_request))


def review_until(avatar_request: AvatarRequest) -> str:
    """Until when somebody decides, and what happens otherwise."""
    moment = timezone.localtime(avatar_request.deadline_at)
    said = ngettext(
        "If nobody has decided by %(time)s, your credit comes back by itself. "
        "The clock for the picture starts once it is read.",
        "If nobody has decided by %(time)s, your credits come back by themselves. "
        "The clock for the picture starts once it is read.",
        avatar_request.cost,
    )
    day = formats.date_format(moment, "DATE_FORMAT")
    return said % {"time": f"{day}, {formats.time_format(moment, 'H:i')}"}
