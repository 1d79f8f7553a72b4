"""Every staff address × every role: who comes in, and that nobody writes what nobody may.

Knows the URL patterns, the roles and the admin's registry. A new staff address needs a line here.
"""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts import people
from accounts.models import CreditPack, Purchase, User
from avatars.models import AvatarRequest, ScreeningRule, State
from avatars.models.attempts import Breaker, Service
from config import roles
from tests import factories

pytestmark = pytest.mark.django_db

ROLES = ("viewer", "support", "moderator", "lead", "admin")
ALL, MONEY = set(ROLES), {"support", "lead", "admin"}
DESK, LEADS = {"moderator", "lead", "admin"}, {"lead", "admin"}

# Who may come in (experience.md §7.6). What only takes a form answers a look with 405.
DOORS = {
    "dashboard": ALL,
    "provider": ALL,
    "provider_pause": LEADS,
    "provider_resume": LEADS,
    "provider_look": LEADS,
    "provider_fail": LEADS,
    "give_credits": MONEY,
    "refund_purchase": MONEY,
    "accept_purchase": LEADS,  # for so many credits; few of them are support's to accept
    "person": ALL,
    "person_suspend": LEADS,
    "person_lift": LEADS,
    "person_sharing": LEADS,
    "person_devices": MONEY,
    "person_limits": LEADS,
    "person_roles": {"admin"},
    "person_photos": MONEY,
    "person_letter": MONEY,
    "photo_open": DESK,
    "photo_picture": set(),  # nobody, before a reason was given
    "desk": DESK,
    "desk_next": DESK,
    "desk_clear": DESK,
    "desk_keys": DESK,
    "desk_item": DESK,
    "desk_undo": DESK,
    "takedowns": DESK,
    "takedown": DESK,
}
# Lists beside those that everybody on the staff reads.
LISTS = {
    "avatar": DESK,
    "facephoto": DESK,
    "evidence": LEADS,
    "screeningrule": DESK,
    "takedown": DESK,
    "closing": {"admin"},
}
# The only rows that are typed into forms, and by whom. Nothing is ever deleted.
FORMS = {CreditPack: {"admin"}, ScreeningRule: LEADS}


def staff_patterns(resolver: URLResolver, prefix: str = "") -> Iterator[URLPattern]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if path != "admin/":  # Django's own, asked below
                yield from staff_patterns(pattern, path)
        elif path.startswith("admin/"):
            yield pattern


@pytest.fixture
def rows(ada) -> dict[str, object]:
    """One of everything staff look at, of Ada."""
    Breaker.of(Service.FACE_GEN)
    odd = Purchase.objects.create(
        user=ada,
        pack=factories.create_pack(),
        credits=60,
        amount_cents=900,
        currency="usd",
        state=Purchase.State.ODD,
        paid_cents=100,
    )
    return {
        "wish": factories.create_request_in(State.GENERATING, ada),
        "held": factories.create_held(ada),
        "purchase": factories.create_purchase(ada),
        "odd": odd,
        "avatar": factories.create_avatar(ada),
        "takedown": factories.create_takedown(),
    }


def arguments(name: str, rows: dict, ada: User) -> list[object]:
    if name.startswith("person") or name == "give_credits":
        return [ada.pk]
    if name.startswith("photo_"):
        return [rows["wish"].photo.public_id]
    if name in ("provider_look", "provider_fail"):
        return [rows["wish"].public_id]
    if name in ("desk_item", "desk_undo"):
        return [rows["held"].public_id]
    one = {"refund_purchase": rows["purchase"].public_id, "accept_purchase": rows["odd"].public_id}
    one["takedown"] = rows["takedown"].pk
    return [one[name]] if name in one else []


def as_(role: str) -> tuple[Client, User]:
    roles.set_up()
    person = factories.create_user()
    people.appoint(person, [role], actor=None, reason="for a test")
    client = Client()
    client.force_login(person)
    return client, person


def address(model, page: str, *arguments: object) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=arguments)


def test_every_staff_address_has_a_line():
    assert {pattern.name for pattern in staff_patterns(get_resolver())} == set(DOORS)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_its_doors_and_no_other(role, rows, ada):
    client, _person = as_(role)
    person_page = address(User, "change", ada.pk)
    opened = set()
    for name in DOORS:
        answer = client.get(reverse(name, args=arguments(name, rows, ada)))
        if answer.status_code in (200, 405) or answer.get("Location") == person_page:
            opened.add(name)
    assert opened == {name for name, allowed in DOORS.items() if role in allowed}


@pytest.mark.parametrize("role", ROLES)
def test_a_form_sent_without_its_page_is_refused_all_the_same(role, rows, ada):
    client, _person = as_(role)
    form = {"reason": "a long enough reason", "confirmed": "yes"}
    for name, allowed in DOORS.items():
        if role not in allowed and name != "accept_purchase":
            answer = client.post(reverse(name, args=arguments(name, rows, ada)), form)
            assert answer.status_code in (403, 405), name
    before = (ada.suspended_at, rows["wish"].state, rows["purchase"].returned_cents)
    ada.refresh_from_db()
    rows["purchase"].refresh_from_db()
    wish = AvatarRequest.objects.get(pk=rows["wish"].pk)
    if role in ("viewer", "support", "moderator"):
        assert (ada.suspended_at, wish.state, rows["purchase"].returned_cents) == before


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model.__name__)
def test_each_role_reads_its_lists_and_writes_two_kinds_of_rows_at_most(role, model, rows):
    client, _person = as_(role)
    may_read = role in LISTS.get(model._meta.model_name, ALL)
    may_write = role in FORMS.get(model, set())
    assert (client.get(address(model, "changelist")).status_code == 200) == may_read
    assert (client.get(address(model, "add")).status_code == 200) == may_write
    row = model._default_manager.first()
    if row is None:
        return
    before = list(model._default_manager.order_by("pk").values())
    for page in ("change", "history"):
        assert (client.get(address(model, page, row.pk)).status_code == 200) == may_read, page
    assert client.get(address(model, "delete", row.pk)).status_code == 403
    assert client.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    if not may_write:
        fields = {field.name: "1" for field in model._meta.fields}
        assert client.post(address(model, "change", row.pk), fields).status_code == 403
        assert client.post(address(model, "add"), fields).status_code == 403
    everything = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    client.post(address(model, "changelist"), everything)
    assert list(model._default_manager.order_by("pk").values()) == before


@pytest.mark.parametrize("role", ROLES)
def test_djangos_search_boxes_tell_no_more_than_the_lists(role, rows):
    client, _person = as_(role)
    for app, model, field, target in (
        ("accounts", "wallet", "user", "user"),
        ("avatars", "avatarrequest", "photo", "facephoto"),
        ("avatars", "share", "avatar", "avatar"),
    ):
        asked = {"app_label": app, "model_name": model, "field_name": field, "term": ""}
        is_told = client.get(reverse("admin:autocomplete"), asked).status_code == 200
        assert is_told == (role in LISTS.get(target, ALL)), model


@pytest.mark.parametrize("role", ["viewer", "support", "moderator", "lead"])
def test_nobody_but_an_admin_changes_what_somebody_is(role, ada):
    client, person = as_(role)
    everything = {
        "is_staff": "on",
        "is_superuser": "on",
        "groups": ["1", "2", "3", "4", "5"],
        "roles": ["admin"],
        "reason": "to be one",
        "confirmed": "yes",
    }
    for whom in (person, ada):
        for path in (
            reverse("person_roles", args=[whom.pk]),
            address(User, "change", whom.pk),
        ):
            assert client.post(path, everything).status_code == 403
    person.refresh_from_db()
    ada.refresh_from_db()
    assert (people.roles_of(person), person.is_superuser) == ([role], False)
    assert (people.roles_of(ada), ada.is_staff) == ([], False)


def test_a_role_that_is_taken_away_counts_at_once(rows, ada):
    client, person = as_("lead")
    assert client.get(reverse("person_suspend", args=[ada.pk])).status_code == 200
    people.appoint(person, [], actor=None, reason="gone")
    for name in DOORS:
        status = client.get(reverse(name, args=arguments(name, rows, ada))).status_code
        assert status in (302, 403, 404, 405), name
