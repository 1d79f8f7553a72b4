"""Why a picture gets no link, in one sentence each.

Knows the codes of `sharing`.
"""

from django.utils.translation import gettext_lazy as _

from avatars.words.states import Words

SHARE_REFUSALS: dict[str, Words] = {
    "gone": _("This picture isn't in your gallery any more, so it can't be shared."),
    "suspended": _("Your account is suspended: you can look and leave, but not share."),
    "reported": _(
        "Somebody reported this picture and a person is looking at it. You can share it again "
        "once that is decided."
    ),
    "blocked": _("This picture is like one we removed for good, so it can't be shared."),
}
