"""Roles of staff and what each may do: one table, turned into groups by `manage.py roles`.

Knows both apps' permissions by name. A test fails on a name that no model declares.
"""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

# Everybody on the staff reads figures, money and people; nobody reads descriptions here.
READS = (
    "accounts.view_user accounts.view_wallet accounts.view_transfer accounts.view_purchase "
    "accounts.view_refund accounts.view_creditpack accounts.view_consent accounts.view_decision "
    "avatars.view_avatarrequest avatars.view_attempt avatars.view_storedfile avatars.view_breaker "
    "avatars.view_heartbeat avatars.view_figures"
)
SUPPORTS = (
    "accounts.add_transfer accounts.refund_purchase accounts.end_devices accounts.resend_letter "
    "avatars.delete_facephoto"
)
MODERATES = (
    "avatars.view_avatar avatars.view_facephoto avatars.open_facephoto avatars.moderate "
    "avatars.decide_takedown "
    "avatars.view_screeningrule"
)
LEADS = (
    "accounts.give_more accounts.refund_more accounts.suspend_user accounts.change_quota "
    "avatars.pause_drawing avatars.settle_request avatars.lead avatars.add_screeningrule "
    "avatars.change_screeningrule"
)
ADMINISTERS = "accounts.add_creditpack accounts.change_creditpack"

ROLES: dict[str, tuple[str, ...]] = {
    "viewer": (READS,),
    "support": (READS, SUPPORTS),
    "moderator": (READS, MODERATES),
    "lead": (READS, SUPPORTS, MODERATES, LEADS),
    "admin": (READS, SUPPORTS, MODERATES, LEADS, ADMINISTERS),
}


class UnknownPermission(Exception):
    """The table names a right that no model declares."""


def names_of(role: str) -> set[str]:
    return {name for names in ROLES[role] for name in names.split()}


@transaction.atomic
def set_up() -> None:
    """Groups as the table says, whatever they were before. Raises UnknownPermission."""
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    for role in ROLES:
        unknown = names_of(role) - known.keys()
        if unknown:
            raise UnknownPermission(", ".join(sorted(unknown)))
        group, _new = Group.objects.get_or_create(name=role)
        group.permissions.set([known[name] for name in names_of(role)])
