"""What staff do to one person: who may, with a reason, once, and with a record of it.

Knows the factories, the roles and the pages.
"""

import io

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import people
from accounts.models import Decision, Quota, User
from avatars import generation
from avatars.models import AvatarRequest, State
from config import roles
from tests import factories

pytestmark = pytest.mark.django_db

REASON = "Asked for by their teacher"
ACTS = ("suspend", "lift", "devices", "limits", "roles")


@pytest.fixture
def staff(db):
    """A member of staff with one role: `staff("lead")`."""
    roles.set_up()

    def make(role: str) -> User:
        person = factories.create_user()
        people.appoint(person, [role], actor=None, reason="for a test")
        return person

    return make


def as_(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def act(client: Client, name: str, person: User, **facts):
    form = {"reason": REASON, "confirmed": "yes", **facts}
    return client.post(reverse(f"person_{name}", args=[person.pk]), form)


def trail(person: User) -> list[tuple]:
    rows = Decision.objects.filter(person=person).order_by("pk")
    return list(rows.values_list("act", "actor", "reason", "before", "after"))


LIMITS = {"max_open": 20, "max_per_day": 300, "monthly_free": 5}


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("viewer", set()),
        ("support", {"devices"}),
        ("moderator", set()),
        ("lead", {"suspend", "lift", "devices", "limits"}),
        ("admin", set(ACTS)),
    ],
)
def test_each_role_may_do_what_its_line_says(staff, ada, role, allowed):
    client = as_(staff(role))
    open_to_them = {
        name
        for name in ACTS
        if client.get(reverse(f"person_{name}", args=[ada.pk])).status_code == 200
    }
    assert open_to_them == allowed
    offered = client.get(reverse("admin:accounts_user_change", args=[ada.pk])).text
    shown = {name for name in ACTS if reverse(f"person_{name}", args=[ada.pk]) in offered}
    assert shown == allowed - {"lift"}


def test_an_act_without_the_right_does_nothing(staff, ada):
    assert act(as_(staff("support")), "suspend", ada).status_code == 403
    assert User.objects.get(pk=ada.pk).suspended_at is None
    assert trail(ada) == []


def test_nothing_happens_before_the_look_at_what_it_will_be(staff, ada):
    lead = as_(staff("lead"))
    page = lead.post(reverse("person_limits", args=[ada.pk]), {"reason": REASON, **LIMITS})
    assert page.status_code == 200
    assert "<strong>300</strong>" in page.text
    assert 'name="confirmed"' in page.text
    assert Quota.objects.get(user=ada).max_per_day == 100


@pytest.mark.parametrize("name", ["suspend", "devices", "limits"])
def test_every_act_needs_a_reason(staff, ada, name):
    facts = LIMITS if name == "limits" else {}
    answer = act(as_(staff("lead")), name, ada, **facts, reason="  ")
    assert answer.status_code == 422
    assert "Nothing was done." in answer.text
    assert trail(ada) == []


def test_a_suspended_person_signs_in_and_looks_and_makes_nothing(staff, ada):
    lead = staff("lead")
    avatar = factories.create_avatar(ada)
    photo = factories.create_photo(ada)
    assert act(as_(lead), "suspend", ada).status_code == 302
    assert trail(ada) == [
        ("person_suspended", lead.pk, REASON, {"suspended": False}, {"suspended": True})
    ]
    client = Client()
    form = {"login": ada.email, "password": "correct horse battery", "next": "/gallery/"}
    assert client.post("/accounts/login/", form)["Location"] == "/gallery/"
    assert client.get(f"/gallery/{avatar.public_id}/").status_code == 200
    assert "Your account is suspended" in client.get("/create/").text
    suspended = User.objects.get(pk=ada.pk)
    with pytest.raises(generation.Suspended):
        generation.submit(suspended, factories.wish(photo))


def test_a_suspended_person_buys_and_uploads_nothing_and_takes_what_is_theirs(staff, ada):
    pack, avatar = factories.create_pack(), factories.create_avatar(ada)
    photos = ada.photos.count()
    act(as_(staff("lead")), "suspend", ada)
    client = Client()
    client.post("/accounts/login/", {"login": ada.email, "password": "correct horse battery"})
    client.post("/accounts/reauthenticate/", {"password": "correct horse battery"})
    page = client.post(reverse("credits_buy", args=[pack.pk]), follow=True).text
    assert "Your account is suspended: you can buy no credits." in page
    assert "Buy for" not in page
    assert not ada.purchases.exists()
    upload = {"photo": io.BytesIO(factories.TINY_JPEG), "keep": "30d"}
    page = client.post(reverse("face_new"), upload, follow=True).text
    assert "you can look and leave, but not make" in page
    assert ada.photos.count() == photos
    client.post(reverse("avatar_share", args=[avatar.public_id]), {"period": "week"})
    assert not ada.shares.exists()
    for name in ("gallery", "data", "credits", "credits_statement", "account_close", "faces"):
        assert client.get(reverse(name)).status_code == 200, name
    assert client.get(reverse("avatar", args=[avatar.public_id])).status_code == 200
    client.post(reverse("data"))
    assert ada.exports.count() == 1


def test_the_person_hears_of_both_and_not_of_the_reason(staff, ada, mailoutbox):
    lead = as_(staff("lead"))
    act(lead, "suspend", ada)
    act(lead, "suspend", ada)
    act(lead, "lift", ada)
    assert [(letter.subject, letter.to) for letter in mailoutbox] == [
        ("Your Likeness account is suspended", [ada.email]),
        ("Your Likeness account is open again", [ada.email]),
    ]
    assert "/safety/" in mailoutbox[0].body
    assert REASON not in mailoutbox[0].body


def test_a_closed_post_office_stops_no_suspension(staff, ada, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody answers there
    lead = as_(staff("lead"))
    page = lead.get(act(lead, "suspend", ada)["Location"]).text
    assert User.objects.get(pk=ada.pk).suspended_at is not None
    assert "The letter about it was not sent" in page


def test_what_a_suspended_person_has_in_line_is_finished(staff, ada):
    wish = factories.create_request_in(State.QUEUED, ada)
    act(as_(staff("lead")), "suspend", ada)
    assert AvatarRequest.objects.get(pk=wish.pk).state == State.QUEUED


def test_lifting_lets_them_make_again(staff, ada):
    lead = as_(staff("lead"))
    act(lead, "suspend", ada)
    act(lead, "lift", ada)
    assert User.objects.get(pk=ada.pk).suspended_at is None
    assert [row[0] for row in trail(ada)] == ["person_suspended", "suspension_lifted"]


def test_whose_sharing_was_stopped_may_be_let_share_again_once(staff, ada):
    lead = as_(staff("lead"))
    address = reverse("person_sharing", args=[ada.pk])
    assert address not in lead.get(reverse("person", args=[ada.pk]), follow=True).text
    ada.stop_sharing(timezone.now())
    assert address in lead.get(reverse("person", args=[ada.pk]), follow=True).text
    act(lead, "sharing", ada)
    act(lead, "sharing", ada)
    ada.refresh_from_db()
    assert ada.sharing_stopped_at is None
    assert [row[0] for row in trail(ada)] == ["sharing_allowed"]


def test_suspending_twice_is_one_decision(staff, ada):
    lead = as_(staff("lead"))
    act(lead, "suspend", ada)
    first = User.objects.get(pk=ada.pk).suspended_at
    assert "it was so already" in lead.get(act(lead, "suspend", ada)["Location"]).text
    assert User.objects.get(pk=ada.pk).suspended_at == first
    assert len(trail(ada)) == 1


def test_ending_devices_signs_out_everywhere_and_nobody_else(staff, ada, ben):
    clients = {}
    for person in (ada, ben):
        clients[person.email] = Client()
        form = {"login": person.email, "password": "correct horse battery"}
        clients[person.email].post("/accounts/login/", form)
    support = staff("support")
    act(as_(support), "devices", ada)
    assert clients[ada.email].get("/gallery/").status_code == 302
    assert clients[ben.email].get("/gallery/").status_code == 200
    assert trail(ada) == [("devices_ended", support.pk, REASON, {"devices": 1}, {})]


def test_ending_devices_ends_those_that_no_list_names(staff, ada):
    unlisted = as_(ada)
    assert unlisted.get("/gallery/").status_code == 200
    act(as_(staff("support")), "devices", ada)
    assert unlisted.get("/gallery/").status_code == 302
    assert trail(ada)[0][3] == {"devices": 0}


def test_nobody_acts_on_themself_and_on_colleagues_an_admin_alone(staff, ada):
    lead, admin = staff("lead"), staff("admin")
    cases = [(lead, lead), (admin, admin), (lead, admin), (lead, staff("viewer"))]
    for actor, person in cases:
        before = list(Decision.objects.values_list("pk", flat=True))
        for name in ("suspend", "lift", "devices", "limits"):
            facts = LIMITS if name == "limits" else {}
            assert act(as_(actor), name, person, **facts).status_code == 403
        page = as_(actor).get(reverse("admin:accounts_user_change", args=[person.pk])).text
        assert f"/admin/people/{person.pk}/" not in page
        assert list(Decision.objects.values_list("pk", flat=True)) == before
    assert act(as_(admin), "roles", admin).status_code == 403
    assert act(as_(admin), "suspend", lead).status_code == 302
    assert User.objects.get(pk=lead.pk).suspended_at is not None


def test_limits_change_with_what_they_were(staff, ada, ben):
    lead = staff("lead")
    act(as_(lead), "limits", ada, **LIMITS)
    quota = Quota.objects.get(user=ada)
    assert (people.limits_of(quota), quota.note) == (LIMITS, REASON)
    was = {"max_open": 10, "max_per_day": 100, "monthly_free": 0}
    assert trail(ada) == [("limits_changed", lead.pk, REASON, was, LIMITS)]
    assert Quota.objects.get(user=ben).max_open == 10


@pytest.mark.parametrize(
    "changed", [{"max_open": -1}, {"max_per_day": 10**9}, {"monthly_free": ""}]
)
def test_limits_out_of_all_measure_are_refused(staff, ada, changed):
    assert act(as_(staff("lead")), "limits", ada, **LIMITS | changed).status_code == 422
    assert Quota.objects.get(user=ada).max_open == 10


def test_an_admin_appoints_and_dismisses(staff, ada):
    admin = staff("admin")
    act(as_(admin), "roles", ada, roles=["support", "moderator"])
    ada.refresh_from_db()
    assert (people.roles_of(ada), ada.is_staff) == (["moderator", "support"], True)
    assert as_(ada).get("/admin/").status_code == 200
    act(as_(admin), "roles", ada)
    ada.refresh_from_db()
    assert (people.roles_of(ada), ada.is_staff, ada.is_superuser) == ([], False, False)
    assert as_(ada).get("/admin/", follow=True).status_code == 403
    assert [row[0] for row in trail(ada)] == ["roles_changed", "roles_changed"]


def test_an_unknown_role_is_refused(staff, ada):
    assert act(as_(staff("admin")), "roles", ada, roles=["king"]).status_code == 422


# ── The page ────────────────────────────────────────────────────────────────────────────────────


def test_the_page_shows_all_of_one_person_and_nobody_elses(staff, ada, ben):
    for person, words in ((ada, "pirate"), (ben, "astronaut")):
        factories.create_request_in(State.READY, person, prompt=words)
        factories.create_purchase(person)
        people.suspend(person, actor=None, reason=f"about {words}", now=timezone.now())
    text = as_(staff("viewer")).get(reverse("admin:accounts_user_change", args=[ada.pk])).text
    wish, purchase = ada.requests.get(), ada.purchases.get()
    for shown in (wish.public_id, purchase.public_id, "$9", "about pirate", "Suspended since"):
        assert str(shown) in text
    assert "<dt>Spent</dt><dd>1</dd>" in text
    assert "<dt>Photos kept</dt><dd>1</dd>" in text
    assert "<dt>Status</dt><dd>suspended</dd>" in text
    assert "<dt>Reports</dt><dd>0</dd>" in text
    assert "/m/signed/" not in text
    assert "ben@example.org" not in text
    assert "about astronaut" not in text
    assert text.count("pirate") == 1  # in the reason; nobody reads descriptions here


def test_the_page_costs_the_same_however_much_there_is(staff, ada, django_assert_max_num_queries):
    client = as_(staff("viewer"))
    for _number in range(3):
        factories.create_request_in(State.READY, ada)
        factories.create_purchase(ada)
    with django_assert_max_num_queries(26):
        client.get(reverse("admin:accounts_user_change", args=[ada.pk]))


def test_a_person_is_found_by_every_number_of_theirs(staff, ada, ben):
    client = as_(staff("viewer"))
    factories.create_request_in(State.QUEUED, ben)
    wish, purchase = factories.create_request_in(State.QUEUED, ada), factories.create_purchase(ada)
    page = reverse("admin:accounts_user_change", args=[ada.pk])
    for number in (
        wish.public_id,
        purchase.public_id,
        purchase.session_id,
        purchase.payment_intent,
        wish.hold.pk,
        f"  {wish.public_id} ",
    ):
        answer = client.get("/admin/accounts/user/", {"q": number})
        assert answer["Location"] == page, number


@pytest.mark.parametrize(
    "words",
    [
        "ada@",
        "00000000-0000-0000-0000-000000000000",
        "9" * 40,
        "cs_nothing",
        "9" * 18,
        "٣",
        "²",
    ],
)
def test_whatever_is_searched_gives_a_list_and_never_a_fault(staff, ada, words):
    answer = as_(staff("viewer")).get("/admin/accounts/user/", {"q": words})
    assert answer.status_code == 200
    assert ("ada@example.org" in answer.text) == (words == "ada@")


def test_a_number_leads_nobody_in_without_the_right(ada):
    wish = factories.create_request_in(State.QUEUED, ada)
    client = as_(factories.create_user(is_staff=True))
    assert client.get("/admin/accounts/user/", {"q": wish.public_id}).status_code == 403
