"""The desk: notices by deadline, and one page on which each is decided.

Knows the factories; Mo may decide, others of the staff only with the permission.
"""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import Decision
from avatars import takedowns
from avatars.models import Avatar, Takedown
from tests import factories
from tests.avatars.hanging import hang

pytestmark = pytest.mark.django_db

CHECKED = {"remove-shows": "on", "remove-fits": "on", "remove-entitled": "on"}


@pytest.fixture
def avatar(ada) -> Avatar:
    return hang(ada)


@pytest.fixture
def takedown(avatar) -> Takedown:
    return factories.create_takedown(avatar)


@pytest.fixture
def mos(client, mo):
    client.force_login(mo)
    return client


def path(takedown: Takedown) -> str:
    return reverse("takedown", args=[takedown.pk])


def test_the_nearest_deadline_comes_first_with_its_urgency_in_words(mos, avatar):
    now = timezone.now()
    ages = {"Overdue": 49, "Urgent": 43, "Soon": 30, "In time": 2}
    for hours in (30, 2, 49, 43):
        factories.create_takedown(avatar, now=now - timedelta(hours=hours))
    answer = mos.get("/admin/takedowns/")
    said = [row["urgency"]["word"] for row in answer.context["rows"]]
    assert said == list(ages)
    assert [row["urgency"]["tone"] for row in answer.context["rows"]] == [
        "bad",
        "bad",
        "warn",
        "ok",
    ]
    text = answer.content.decode()
    assert all(word in text for word in ages)


@pytest.mark.parametrize(("minutes", "word"), [(0, "Overdue"), (360, "Urgent"), (361, "Soon")])
def test_urgency_turns_at_its_hours(avatar, mos, minutes, word):
    with time_machine.travel("2026-11-22 10:00:00+00:00", tick=False):
        mos.force_login(factories.create_user(is_staff=True, is_superuser=True))
        born = timezone.now() - timedelta(hours=48) + timedelta(minutes=minutes)
        factories.create_takedown(avatar, now=born)
        rows = mos.get("/admin/takedowns/").context["rows"]
    assert rows[0]["urgency"]["word"] == word


def test_the_list_costs_the_same_for_three_and_thirty(mos, avatar, django_assert_num_queries):
    for number in (3, 27):
        for _ in range(number):
            factories.create_takedown(avatar)
        with django_assert_num_queries(4):
            mos.get("/admin/takedowns/")


def test_an_empty_desk_says_so(mos):
    assert "Nothing waits." in mos.get("/admin/takedowns/").content.decode()


def test_the_page_shows_the_notice_and_the_picture_blurred(mos, takedown, avatar):
    takedown = factories.create_takedown(avatar, what="<script>alert(1)</script>")
    text = mos.get(path(takedown)).content.decode()
    for shown in ("Cleo Doe", "cleo@example.org", "&lt;script&gt;", "ada@example.org", "s-reveal"):
        assert shown in text
    assert avatar.request.prompt not in text


def test_one_press_removes_answers_and_records(mos, mo, takedown, avatar):
    form = {"act": "remove", "remove-category": "people", "remove-note": "clear", **CHECKED}
    answer = mos.post(path(takedown), form, follow=True)
    assert "1 picture removed. The sender and the owner get a letter." in answer.content.decode()
    avatar.refresh_from_db()
    takedown.refresh_from_db()
    assert (avatar.hidden, takedown.state) == (True, Takedown.State.REMOVED)
    assert {decision.actor for decision in Decision.objects.all()} == {mo}
    assert "“clear”" in mos.get(path(takedown)).content.decode()


@pytest.mark.parametrize("missing", [*CHECKED, "remove-category"])
def test_nothing_is_removed_before_everything_is_checked(mos, takedown, avatar, missing):
    form = {"act": "remove", "remove-category": "people", "remove-note": "my words", **CHECKED}
    del form[missing]
    answer = mos.post(path(takedown), form)
    assert (answer.status_code, "my words" in answer.content.decode()) == (422, True)
    assert "Nothing was removed yet." in answer.content.decode()
    avatar.refresh_from_db()
    assert not avatar.hidden


def test_refusing_needs_a_reason(mos, takedown, avatar):
    assert mos.post(path(takedown), {"act": "refuse", "refuse-reason": " "}).status_code == 422
    mos.post(path(takedown), {"act": "refuse", "refuse-reason": "It shows a teapot."})
    takedown.refresh_from_db()
    assert (takedown.state, takedown.answer) == (Takedown.State.REFUSED, "It shows a teapot.")


def test_what_somebody_else_decided_is_not_decided_again(mos, mo, takedown, avatar):
    takedowns.refuse(takedown, actor=mo, reason="No.", now=timezone.now())
    form = {"act": "remove", "remove-category": "people", **CHECKED}
    answer = mos.post(path(takedown), form, follow=True)
    assert "Somebody decided this a moment ago." in answer.content.decode()
    avatar.refresh_from_db()
    assert not avatar.hidden


def test_only_staff_with_the_permission_decide(client, takedown, avatar):
    clerk = factories.create_user(is_staff=True)
    client.force_login(clerk)
    form = {"act": "remove", "remove-category": "people", **CHECKED}
    assert client.post(path(takedown), form).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="decide_takedown"))
    assert "Takedowns" in client.get("/admin/").content.decode()
    assert path(takedown) in client.get("/admin/avatars/takedown/").content.decode()
    assert client.post(path(takedown), form).status_code == 302
    avatar.refresh_from_db()
    assert avatar.hidden


def test_the_permission_without_the_staff_is_not_enough(client, takedown, ben):
    ben.user_permissions.add(Permission.objects.get(codename="decide_takedown"))
    client.force_login(ben)
    assert client.get(path(takedown)).status_code == 403


def test_a_picture_its_owner_deleted_is_said_to_be_gone(mos, takedown, avatar):
    Avatar.objects.filter(pk=avatar.pk).update(file=None, thumb=None)
    assert "Deleted by its owner" in mos.get(path(takedown)).content.decode()


def test_a_notice_whose_pictures_left_with_their_account_can_only_be_refused(mos, takedown):
    takedown.pictures.clear()
    text = mos.get(path(takedown)).content.decode()
    assert "None is left" in text
    assert 'value="remove"' not in text
    form = {"act": "remove", "remove-category": "people", **CHECKED}
    assert mos.post(path(takedown), form).status_code == 200
    takedown.refresh_from_db()
    assert takedown.state == Takedown.State.OPEN


def test_nobody_decides_about_a_picture_of_their_own(mos, mo):
    takedown = factories.create_takedown(hang(mo))
    text = mos.get(path(takedown)).content.decode()
    assert "One of these pictures is your own" in text
    assert 'name="act"' not in text
    for form in (
        {"act": "remove", "remove-category": "people", **CHECKED},
        {"act": "refuse", "refuse-reason": "It is fine."},
    ):
        assert mos.post(path(takedown), form).status_code == 403
    takedown.refresh_from_db()
    assert takedown.state == Takedown.State.OPEN
