"""The roles: every right they name exists, the command repeats itself harmlessly, and leaves a row.

Knows the table and the command by name.
"""

import io

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import Decision
from config import roles

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("roles", *arguments, stdout=out)
    return out.getvalue().strip()


def rights(role: str) -> set[str]:
    rows = Group.objects.get(name=role).permissions.select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}" for row in rows}


def test_every_right_in_the_table_exists():
    known = {
        f"{row.content_type.app_label}.{row.codename}"
        for row in Permission.objects.select_related("content_type")
    }
    assert {role: roles.names_of(role) - known for role in roles.ROLES} == {
        role: set() for role in roles.ROLES
    }


def test_a_right_that_does_not_exist_stops_the_command(monkeypatch):
    monkeypatch.setitem(roles.ROLES, "viewer", ("avatars.view_everything",))
    with pytest.raises(roles.UnknownPermission, match="view_everything"):
        said()


def test_the_groups_are_what_the_table_says_however_often_it_runs():
    said()
    extra = Permission.objects.get(codename="add_transfer")
    Group.objects.get(name="viewer").permissions.add(extra)
    assert said() == "Set up: viewer, support, moderator, lead, admin."
    assert {role: rights(role) for role in roles.ROLES} == {
        role: roles.names_of(role) for role in roles.ROLES
    }


def test_moderators_move_no_credits_and_viewers_see_no_pictures():
    assert "accounts.add_transfer" not in roles.names_of("moderator")
    assert "avatars.view_avatar" not in roles.names_of("viewer")


def test_a_role_is_given_and_taken_with_a_record(ada):
    assert said("add", "Ada@example.org", "support") == "ada@example.org: support."
    ada.refresh_from_db()
    assert (ada.is_staff, ada.is_superuser) == (True, False)
    assert ada.has_perm("accounts.add_transfer")
    assert said("remove", ada.email, "support", "--reason", "left") == (
        "ada@example.org: not on the staff."
    )
    ada.refresh_from_db()
    assert ada.is_staff is False
    rows = Decision.objects.filter(person=ada).order_by("pk")
    assert list(rows.values_list("act", "actor", "reason", "after")) == [
        ("roles_changed", None, "by command", {"roles": ["support"]}),
        ("roles_changed", None, "left", {"roles": []}),
    ]


def test_giving_a_role_twice_is_one_decision(ada):
    said("add", ada.email, "lead")
    said("add", ada.email, "lead")
    assert Decision.objects.filter(person=ada).count() == 1


def test_an_admin_may_everything(ada):
    said("add", ada.email, "admin")
    ada.refresh_from_db()
    assert ada.is_superuser


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "nobody@example.org", "lead"), "Nobody has the address nobody@example.org"),
        (("add", "ada@example.org"), "Say whom and which"),
        (("add", "ada@example.org", "king"), "invalid choice: 'king'"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(ada, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        said(*arguments)
    assert not Decision.objects.exists()
