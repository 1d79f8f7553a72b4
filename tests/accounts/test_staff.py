"""Credits given by staff: who may, how much, with a reason, and once.

Knows the factories. The limits are those of experience.md §7.4.
"""

import re
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from accounts.models import Kind, Transfer, User
from tests import factories

pytestmark = pytest.mark.django_db

REASON = "Sorry about yesterday's outage"


def address(person: User) -> str:
    return f"/admin/people/{person.pk}/credits/"


def asked(**changes) -> dict[str, object]:
    return {"amount": 5, "reason": REASON, "number": str(uuid.uuid4()), **changes}


def given_to(person: User) -> list[Transfer]:
    return list(Transfer.objects.filter(wallet=person.wallet, actor__isnull=False))


@pytest.fixture
def support(db) -> User:
    """Staff who may give credits and look at people."""
    user = factories.create_user("support@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_transfer", "view_user"]))
    return user


@pytest.fixture
def supports(client, support):
    client.force_login(support)
    return client


def test_a_stranger_signs_in_first(client, ada):
    response = client.get(address(ada))
    assert response["Location"] == f"/accounts/login/?next={address(ada)}"


@pytest.mark.parametrize(
    "who",
    [
        {"is_staff": False, "right": False},
        {"is_staff": False, "right": True},
        {"is_staff": True, "right": False},
    ],
)
def test_only_staff_with_the_right_may_give(client, ada, who):
    user = factories.create_user(is_staff=who["is_staff"])
    if who["right"]:
        user.user_permissions.set(Permission.objects.filter(codename="add_transfer"))
    client.force_login(user)
    assert client.get(address(ada)).status_code == 403
    assert client.post(address(ada), asked(confirmed="yes")).status_code == 403
    assert given_to(ada) == []


def test_a_person_who_does_not_exist_gets_nothing(supports):
    assert supports.get("/admin/people/999999/credits/").status_code == 404


def test_the_form_says_who_and_what_they_have(supports, ada, ben):
    text = supports.get(address(ada)).text
    assert "ada@example.org" in text
    assert "10 credits" in text
    assert "At most 50 in 24 hours for one person; 50 are left to you." in text
    assert "ben@example.org" not in text


def test_every_form_has_a_number_of_its_own(supports, ada):
    numbers = {
        re.search(r'name="number" value="([^"]+)"', supports.get(address(ada)).text)[1]
        for _form in range(2)
    }
    assert len(numbers) == 2


def test_nothing_is_given_before_the_look_at_what_it_will_be(supports, ada):
    form = asked()
    response = supports.post(address(ada), form)
    assert response.status_code == 200
    assert "10 → 15 credits" in response.text
    assert f"Gift +5: {escape(REASON)}" in response.text
    assert 'value="Give 5 credits"' in response.text
    assert f'name="number" value="{form["number"]}"' in response.text
    assert given_to(ada) == []


def test_a_gift_arrives_with_its_reason_and_its_giver(supports, ada, ben, support):
    response = supports.post(address(ada), asked(confirmed="yes"))
    assert response["Location"] == f"/admin/accounts/user/{ada.pk}/change/"
    page = supports.get(response["Location"]).text
    assert "5 credits given to ada@example.org, who can spend 15 now." in page
    [gift] = given_to(ada)
    assert (gift.kind, gift.amount, gift.note, gift.actor) == (Kind.ADJUST_UP, 5, REASON, support)
    ben.wallet.refresh_from_db()
    assert ben.wallet.available == 0


def test_pressed_twice_it_gives_once(supports, ada):
    form = asked(confirmed="yes")
    for _press in range(2):
        assert supports.post(address(ada), form).status_code == 302
    ada.wallet.refresh_from_db()
    assert (len(given_to(ada)), ada.wallet.available) == (1, 15)
    assert [(row.act, row.after) for row in ada.decisions.all()] == [
        ("credits_given", {"credits": 5})
    ]


def test_the_same_form_cannot_give_something_else_afterwards(supports, ada, ben):
    form = asked(confirmed="yes")
    supports.post(address(ada), form)
    response = supports.post(address(ada), {**form, "amount": 50}, follow=True)
    assert "This form has already given credits. Nothing more was given." in response.text
    supports.post(address(ben), form)
    assert (len(given_to(ada)), len(given_to(ben))) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"amount": 0}, "greater than or equal to 1"),
        ({"amount": 51}, "less than or equal to 50"),
        ({"amount": ""}, "This field is required."),
        ({"amount": "1.5"}, "Enter a whole number."),
        ({"reason": "  "}, "This field is required."),
        ({"reason": "x" * 301}, "at most 300 characters"),
        ({"number": "no"}, "This form is not complete. Open it again."),
    ],
)
def test_a_form_with_a_fault_gives_nothing_and_keeps_what_was_typed(
    supports, ada, changes, sentence
):
    response = supports.post(address(ada), asked(**changes, confirmed="yes"))
    assert response.status_code == 422
    assert sentence in response.text
    if "reason" not in changes:
        assert escape(REASON) in response.text
    assert given_to(ada) == []


def test_a_superuser_may_give_up_to_a_thousand(client, mo, ada):
    client.force_login(mo)
    assert client.post(address(ada), asked(amount=1001, confirmed="yes")).status_code == 422
    assert client.post(address(ada), asked(amount=1000, confirmed="yes")).status_code == 302
    ada.wallet.refresh_from_db()
    assert ada.wallet.available == 1010


def test_looking_gives_nothing(supports, ada):
    supports.get(f"{address(ada)}?amount=5&reason=x&confirmed=yes")
    assert given_to(ada) == []


@pytest.mark.parametrize("changed", [{"reason": "Another reason"}, {"amount": 6}])
def test_the_same_form_with_something_else_in_it_says_that_nothing_more_was_given(
    supports, ada, changed
):
    form = asked(confirmed="yes")
    supports.post(address(ada), form)
    page = supports.post(address(ada), form | changed, follow=True).text
    assert "Nothing more was given." in page
    assert [transfer.amount for transfer in given_to(ada)] == [5]


# ── A day's limits ──────────────────────────────────────────────────────────────────────────────


def more_support() -> Client:
    """A colleague with the same right."""
    colleague = factories.create_user(is_staff=True)
    colleague.user_permissions.set(Permission.objects.filter(codename="add_transfer"))
    client = Client()
    client.force_login(colleague)
    return client


def test_fifty_and_fifty_again_is_fifty_whoever_presses(supports, ada):
    supports.post(address(ada), asked(amount=30, confirmed="yes"))
    for client in (supports, more_support()):
        page = client.post(address(ada), asked(amount=21))
        assert page.status_code == 422
        assert "That is more than you may give today. Ask a lead." in page.text
        client.post(address(ada), asked(amount=21, confirmed="yes"))
    assert [gift.amount for gift in given_to(ada)] == [30]
    supports.post(address(ada), asked(amount=20, confirmed="yes"))
    assert [gift.amount for gift in given_to(ada)] == [30, 20]


def test_the_day_goes_by(supports, ada):
    supports.post(address(ada), asked(amount=50, confirmed="yes"))
    with time_machine.travel(timezone.now() + timedelta(hours=24, minutes=1)):
        assert "50 are left to you" in supports.get(address(ada)).text
        supports.post(address(ada), asked(amount=50, confirmed="yes"))
    assert len(given_to(ada)) == 2


def test_pressing_the_last_fifty_twice_is_no_fault(supports, ada):
    form = asked(amount=50, confirmed="yes")
    supports.post(address(ada), form)
    page = supports.post(address(ada), form, follow=True)
    assert "50 credits given to ada@example.org" in page.text
    assert len(given_to(ada)) == 1


def test_many_people_make_no_fortune(supports, support):
    for _number in range(11):
        supports.post(address(factories.create_user()), asked(amount=50, confirmed="yes"))
    assert sum(gift.amount for gift in Transfer.objects.filter(actor=support)) == 500


# ── Oneself and colleagues ──────────────────────────────────────────────────────────────────────


def test_nobody_gives_to_themself_and_to_colleagues_an_admin_alone(supports, support, mo, ben):
    colleague = factories.create_user(is_staff=True)
    for person in (support, colleague):
        page = supports.post(address(person), asked(confirmed="yes"))
        assert page.status_code == 403
        assert "Nobody decides about themself, and about colleagues an admin alone." in page.text
        assert address(person) not in supports.get(f"/admin/accounts/user/{person.pk}/change/").text
    supports.force_login(mo)
    assert supports.post(address(mo), asked(confirmed="yes")).status_code == 403
    assert supports.post(address(colleague), asked(confirmed="yes")).status_code == 302
    assert [len(given_to(each)) for each in (support, mo, colleague)] == [0, 0, 1]
