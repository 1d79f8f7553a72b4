"""The staff's lists and pages: who gets in, that nothing is written, that the policy holds, and
that no picture shows.

Knows the factories and the admin's own addresses.
"""

import re

import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from accounts import staff_people
from accounts.models import (
    Consent,
    Decision,
    Purchase,
    Quota,
    Refund,
    Transfer,
    User,
    Wallet,
    decide,
)
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Breaker,
    FacePhoto,
    Heartbeat,
    State,
    StoredFile,
)
from avatars.models.attempts import Service
from tests import factories

pytestmark = pytest.mark.django_db

READ_ONLY = (
    Wallet,
    Transfer,
    Consent,
    Purchase,
    Refund,
    User,
    Decision,
    FacePhoto,
    AvatarRequest,
    Attempt,
    Avatar,
    StoredFile,
    Breaker,
    Heartbeat,
)
FORBIDDEN = {
    "a style element": r"<style",
    "a style attribute": r"<[^>]+\sstyle\s*=",
    "an inline script": r"<script(?![^>]*\bsrc=)",
    "an event attribute": r"<[^>]+\son[a-z]+\s*=",
    "a script address": r"javascript:",
}


@pytest.fixture
def rows(ada, ben) -> None:
    """One of everything, of two people."""
    for person in (ada, ben):
        wish = factories.create_request_in(State.GENERATING, person, prompt="pirate")
        wish.attempts.update(outputs=[["https://provider.example/secret.png"]])
        factories.create_avatar(person)
        factories.create_purchase(person).open_refund(timezone.now())
    Breaker.of(Service.FACE_GEN)
    Heartbeat.objects.create(name="sweep", seen_at=ada.date_joined)
    decide(None, "looked", person=ada, reason="to have one")


@pytest.fixture
def mos(client, mo, rows):
    client.force_login(mo)
    return client


def name_of(model) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}"


def lists() -> list[str]:
    return [
        "/admin/",
        "/admin/accounts/",
        "/admin/avatars/",
        *(reverse(f"{name_of(model)}_changelist") for model in admin.site._registry),
    ]


def pages() -> list[str]:
    """A page of each kind of row, and the forms beside them."""
    found = []
    for model in admin.site._registry:
        row = model._default_manager.first()
        if row is not None:
            found += [
                reverse(f"{name_of(model)}_change", args=[row.pk]),
                reverse(f"{name_of(model)}_history", args=[row.pk]),
            ]
    person = User.objects.get(email="ada@example.org").pk
    wish = AvatarRequest.objects.earliest("pk").public_id
    acts = (*staff_people.ACTS, "photos", "letter")
    found += [reverse(f"person_{act}", args=[person]) for act in acts]
    found += [reverse(f"provider_{act}", args=[wish]) for act in ("look", "fail")]
    found += [reverse(name) for name in ("provider", "provider_pause", "provider_resume")]
    return [*found, reverse("give_credits", args=[person])]


# ── The way in ──────────────────────────────────────────────────────────────────────────────────


def test_staff_come_in_by_the_sites_own_door(client):
    first = client.get("/admin/accounts/user/?q=ada")
    assert first.status_code == 302
    second = client.get(first["Location"])
    assert second["Location"].startswith("/accounts/login/?next=")
    assert "admin%2Faccounts%2Fuser" in second["Location"]


def test_the_form_of_the_admin_signs_nobody_in(client, mo):
    response = client.post(
        "/admin/login/", {"username": mo.email, "password": "correct horse battery"}
    )
    assert response["Location"].startswith("/accounts/login/")
    assert "sessionid" not in response.cookies


def test_the_password_is_changed_on_the_sites_own_page(mos):
    answer = mos.post("/admin/password_change/", {"old_password": "correct horse battery"})
    assert answer["Location"] == "/accounts/password/change/"


def test_somebody_who_is_not_staff_reads_that_it_is_for_staff(client, ada):
    client.force_login(ada)
    response = client.get("/admin/", follow=True)
    assert response.status_code == 403
    assert "This page is for staff." in response.text


def test_staff_without_rights_see_no_rows(client, rows):
    client.force_login(factories.create_user(is_staff=True))
    assert "You don’t have permission to view or edit anything." in client.get("/admin/").text
    for model in READ_ONLY:
        assert client.get(reverse(f"{name_of(model)}_changelist")).status_code == 403


def test_sign_in_services_addresses_factors_and_groups_have_no_forms_here():
    ours = {model._meta.app_label for model in admin.site._registry}
    assert ours == {"accounts", "avatars"}


def test_what_was_paid_and_does_not_fit_stands_first(mos, ada):
    Purchase.objects.create(
        user=ada,
        pack=factories.create_pack(),
        credits=1,
        amount_cents=1,
        currency="usd",
        state=Purchase.State.ODD,
    )
    factories.create_purchase(ada)
    rows = mos.get(reverse("admin:accounts_purchase_changelist")).context["cl"].result_list
    assert [row.state for row in rows][:2] == ["odd", "paid"]


# ── Nothing is written ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model.__name__)
def test_even_a_superuser_can_only_look(mos, model):
    row = model._default_manager.first()
    before = list(model._default_manager.order_by("pk").values())
    change = reverse(f"{name_of(model)}_change", args=[row.pk])
    assert mos.get(change).status_code == 200
    assert not re.findall(r'name="(?!csrf|_popup)\w+"', mos.get(change).text.split("<main")[1])
    assert mos.post(change, {"state": "ready", "available": 999}).status_code == 403
    assert mos.get(reverse(f"{name_of(model)}_add")).status_code == 403
    assert mos.post(reverse(f"{name_of(model)}_delete", args=[row.pk])).status_code == 403
    everything = {"action": "delete_selected", "_selected_action": [row.pk]}
    mos.post(reverse(f"{name_of(model)}_changelist"), everything)
    assert list(model._default_manager.order_by("pk").values()) == before


def test_the_page_of_a_person_writes_nothing(mos, ada):
    before = User.objects.filter(pk=ada.pk).values().get()
    page = reverse("admin:accounts_user_change", args=[ada.pk])
    changes = {"is_staff": "on", "is_superuser": "on", "max_open": 20, "email": "evil@example.org"}
    assert mos.post(page, changes).status_code == 403
    assert User.objects.filter(pk=ada.pk).values().get() == before
    assert Quota.objects.get(user=ada).max_open == 10


def test_nobody_is_made_or_deleted_here(mos, ada):
    assert mos.get(reverse("admin:accounts_user_add")).status_code == 403
    assert mos.post(reverse("admin:accounts_user_delete", args=[ada.pk])).status_code == 403
    assert User.objects.filter(pk=ada.pk).exists()


# ── What is shown ───────────────────────────────────────────────────────────────────────────────


def test_a_person_is_found_by_address_with_their_pockets(mos, ada, ben):
    text = mos.get("/admin/accounts/user/?q=ada@").text
    assert "ada@example.org" in text
    assert "ben@example.org" not in text
    assert '<td class="field-reserved">1</td>' in text


def test_a_persons_page_leads_to_all_of_theirs(mos, ada):
    text = mos.get(reverse("admin:accounts_user_change", args=[ada.pk])).text
    assert f'href="/admin/people/{ada.pk}/credits/"' in text
    assert '/admin/accounts/transfer/?q=ada%40example.org">Ledger<' in text
    assert f'/admin/avatars/facephoto/?q=ada%40example.org">{ada.photos.count()}<' in text
    found = mos.get("/admin/accounts/transfer/?q=ada%40example.org").text
    assert "ben@example.org" not in found


def test_requests_are_found_by_their_number_and_the_engines_state(mos, ada):
    wish = ada.requests.get(state=State.GENERATING)
    text = mos.get(f"/admin/avatars/avatarrequest/?q={wish.public_id}&state=generating").text
    assert str(wish.public_id) in text
    assert '<td class="field-stands_at">generating</td>' in text
    assert "1 avatar request" in text


def test_no_list_and_no_page_shows_a_picture_or_a_photo(mos):
    for address in [*lists(), *pages()]:
        text = mos.get(address).text
        assert "/m/signed/" not in text, address
        assert "<img" not in text.split("<main")[-1].replace('<img src="/static/', ""), address


def test_no_page_shows_a_secret_or_an_address_of_the_provider(mos, ada):
    wish = ada.requests.get(state=State.GENERATING)
    attempt = wish.attempts.get()
    for model, row in ((AvatarRequest, wish), (Attempt, attempt)):
        text = mos.get(reverse(f"{name_of(model)}_change", args=[row.pk])).text
        assert attempt.provider_job_id in text
        for secret in (attempt.face_hash, attempt.doorbell_hash, "provider.example"):
            assert secret not in text


# ── The policy ──────────────────────────────────────────────────────────────────────────────────


def test_every_page_keeps_the_strict_policy(mos):
    for address in [*lists(), *pages()]:
        response = mos.get(address)
        assert response.status_code == 200, address
        assert "unsafe" not in response["Content-Security-Policy"], address
        found = [what for what, pattern in FORBIDDEN.items() if re.search(pattern, response.text)]
        assert not found, f"{address}: {found}"


def test_signing_out_and_the_password_go_through_the_site(mos):
    text = mos.get("/admin/").text
    assert 'action="/accounts/logout/"' in text
    assert 'href="/accounts/password/change/"' in text
    assert "/admin/logout/" not in text


@pytest.mark.parametrize("model", [User, Transfer, AvatarRequest, Avatar])
def test_a_list_costs_the_same_however_long(mos, ada, model, django_assert_max_num_queries):
    for _number in range(5):
        factories.create_avatar(ada)
        factories.create_user()
    with django_assert_max_num_queries(12):
        mos.get(reverse(f"{name_of(model)}_changelist"))
