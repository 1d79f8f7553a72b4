"""People: what staff decide about one person: suspended or not, devices, limits, role.

Knows the models and allauth's sessions. Each act and its Decision are one transaction; an act that
finds its work done already says so by False and writes nothing.
"""

from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import F

from accounts.models import Quota, User, decide

# Whoever has it may do everything, roles included.
ADMIN = "admin"


def suspend(person: User, *, actor: User | None, reason: str, now: datetime) -> bool:
    """They may sign in and look, and take what is theirs, but neither make nor share."""
    with transaction.atomic():
        if not person.suspend(now):
            return False
        decide(
            actor,
            "person_suspended",
            person=person,
            reason=reason,
            before={"suspended": False},
            after={"suspended": True},
        )
    return True


def lift(person: User, *, actor: User | None, reason: str) -> bool:
    """Suspended no more."""
    return _allow(person, "suspended", "suspension_lifted", actor, reason)


def let_share(person: User, *, actor: User | None, reason: str) -> bool:
    """What moderators stopped may be shared again, by new links and by those that still stand."""
    return _allow(person, "sharing_stopped", "sharing_allowed", actor, reason)


def _allow(person: User, what: str, act: str, actor: User | None, reason: str) -> bool:
    kept_from = User.objects.filter(pk=person.pk, **{f"{what}_at__isnull": False})
    with transaction.atomic():
        if not kept_from.update(**{f"{what}_at": None}):
            return False
        before, after = {what: True}, {what: False}
        decide(actor, act, person=person, reason=reason, before=before, after=after)
    return True


def end_devices(person: User, *, actor: User | None, reason: str) -> bool:
    """Sign the person out everywhere: there may always be a session that no list names."""
    with transaction.atomic():
        person.sign_out()
        sessions = list(UserSession.objects.filter(user=person))
        for session in sessions:
            session.end()
        ended = {"devices": len(sessions)}
        decide(actor, "devices_ended", person=person, reason=reason, before=ended)
    return True


def limits_of(quota: Quota) -> dict[str, int]:
    return {name: getattr(quota, name) for name in ("max_open", "max_per_day", "monthly_free")}


def change_limits(person: User, limits: dict[str, int], *, actor: User | None, reason: str) -> bool:
    """`limits` has the names of a Quota's columns. False when they are so already, or when somebody
    else changed them at this very moment.
    """
    before = limits_of(Quota.objects.get(user=person))
    after = before | limits
    if before == after:
        return False
    with transaction.atomic():
        if not Quota.objects.filter(user=person, **before).update(**after, note=reason[:300]):
            return False
        decide(actor, "limits_changed", person=person, reason=reason, before=before, after=after)
    return True


def roles_of(person: User) -> list[str]:
    return list(person.groups.order_by("name").values_list("name", flat=True))


def appoint(person: User, roles: list[str], *, actor: User | None, reason: str) -> bool:
    """These roles and no others; none of them: not on the staff. False when it is so already.

    Raises Group.DoesNotExist for a role nobody has set up (`manage.py roles`).
    """
    groups = [Group.objects.get(name=role) for role in sorted(set(roles))]
    with transaction.atomic():
        # Locks: of two admins the second sees what the first has done.
        User.objects.filter(pk=person.pk).update(is_staff=F("is_staff"))
        person.refresh_from_db(fields=["is_staff", "is_superuser"])
        before = roles_of(person)
        after = [group.name for group in groups]
        is_admin = ADMIN in after
        if (before, person.is_staff, person.is_superuser) == (after, bool(after), is_admin):
            return False
        person.groups.set(groups)
        User.objects.filter(pk=person.pk).update(is_staff=bool(after), is_superuser=is_admin)
        person.is_staff, person.is_superuser = bool(after), is_admin
        decide(
            actor,
            "roles_changed",
            person=person,
            reason=reason,
            before={"roles": before},
            after={"roles": after},
        )
    return True
