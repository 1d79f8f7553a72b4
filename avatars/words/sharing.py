"""Why a picture gets no link, or its link shows nothing, in one sentence each.

Knows the codes of `sharing`.
"""

from django.utils.translation import gettext_lazy as _

from avatars.words.states import Words

SHARE_REFUSALS: dict[str, Words] = {
    "gone": _("This picture isn't in your gallery any more, so it can't be shared."),
    "suspended": _("Your account is suspended: you can look and leave, but not share."),
    "stopped": _("Our staff stopped your sharing. You can make and keep pictures as before."),
    "closing": _("Your account is closing, so nothing is shared any more. Keep it to share again."),
    "reported": _(
        "Somebody reported this picture and a person is looking at it. You can share it again "
        "once that is decided."
    ),
    "blocked": _("This is a picture we removed for good, so it can't be shared."),
}
