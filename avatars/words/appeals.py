"""What somebody who appeals reads: what was decided and why, and what came of their appeal.

Knows review items, removals and the matters of `appealing`.
"""

from django.utils.translation import gettext

from avatars.appealing import Matter
from avatars.models import Avatar, Removal, ReviewItem, ReviewOutcome
from avatars.reviewing import ANSWER_WITHIN
from avatars.words.reviews import rejected, removed

ANSWER_HOURS = int(ANSWER_WITHIN.total_seconds() // 3600)


def why_removed(avatar: Avatar) -> str:
    """Why staff took a picture down, at the desk or for a notice."""
    removal = Removal.objects.filter(avatar=avatar).first()
    return removed(removal.category if removal else "")


def decided_against(matter: Matter) -> str:
    """The decision, with its reason, in the words it was first told in, and what else it did."""
    decision = matter.decision()
    if matter.is_against_them() and decision and decision.after.get("sharing_stopped"):
        return f"{reason_against(matter)} {gettext('With it our staff stopped your sharing.')}"
    return reason_against(matter)


def reason_against(matter: Matter) -> str:
    if matter.avatar is not None:
        if matter.avatar.hidden:
            return why_removed(matter.avatar)
        return gettext("We removed this picture.")
    if matter.request is not None:
        return rejected(ReviewItem.objects.verdict(request=matter.request))
    return gettext("Our staff suspended your account: you can look and leave, but not make.")


def appeal_answer(matter: Matter, appeal: ReviewItem | None) -> str:
    """What somebody else decided."""
    if appeal is None or appeal.outcome != ReviewOutcome.GRANTED:
        return gettext("A different person has read what you wrote. The decision stays.")
    if matter.avatar is not None and not matter.avatar.hidden:
        said = gettext("It hangs in your gallery again.")
    elif matter.avatar is not None:
        said = gettext("Its files are deleted by now, but you can make it again.")
    elif matter.request is not None:
        said = gettext("Your description should not have been refused. You can send it again.")
    else:
        said = gettext("You can make avatars again.")
    return gettext("A different person has looked, and you were right. %(said)s We are sorry.") % {
        "said": said
    }
