"""The second factor and the staff's door: codes that really count time, sign-in that really ends.

Knows the site's own sign-in pages; the door is shut here as in production.
"""

import re
from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.core import mail
from django.core.management.utils import get_random_secret_key
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.second_factor import Adapter
from tests import factories

# Real commits: what allauth tells of a new factor, it tells after one.
pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _shut(settings):
    settings.STAFF_SECOND_FACTOR = True


@pytest.fixture
def vera(db):
    """On the staff, without a second factor yet."""
    return factories.create_user("vera@example.org", is_staff=True, is_superuser=True)


def sign_in(client: Client, person: User, to: str = "/admin/"):
    form = {"login": person.email, "password": PASSWORD, "next": to}
    return client.post("/accounts/login/", form)


def prove(client: Client) -> None:
    """Once more the password, which setting up a factor asks for."""
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})


def code(secret: str) -> str:
    """What an authenticator app shows now (RFC 6238)."""
    counter = next(iter(yield_hotp_counters_from_time()))
    return format_hotp_value(hotp_value(secret, counter))


def set_up_app(client: Client) -> str:
    """Through the pages, as a person does; the secret that the app keeps."""
    prove(client)
    page = client.get("/accounts/2fa/totp/activate/").text
    secret = re.search(r'id="secret" value="([A-Z2-7]+)"', page)[1]
    done = client.post("/accounts/2fa/totp/activate/", {"code": code(secret)})
    assert done["Location"] == "/accounts/2fa/recovery-codes/"
    return secret


# ── The door ────────────────────────────────────────────────────────────────────────────────────


def test_staff_without_a_second_factor_are_led_to_set_one_up(client, vera):
    sign_in(client, vera)
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain == [("/accounts/2fa/", 302)]
    assert "Staff sign in with a second step." in answer.text
    assert "Set up an app" in answer.text


def test_after_setting_up_an_app_the_pages_open_at_once(client, vera):
    sign_in(client, vera)
    set_up_app(client)
    assert client.get("/admin/").status_code == 200


def test_no_staff_page_opens_before(client, vera, ada):
    sign_in(client, vera)
    addresses = [
        reverse(f"admin:{m._meta.app_label}_{m._meta.model_name}_changelist")
        for m in admin.site._registry
    ]
    addresses += [
        "/admin/",
        reverse("provider"),
        reverse("give_credits", args=[ada.pk]),
        reverse("person_suspend", args=[ada.pk]),
        reverse("admin:decisions_sheet"),
    ]
    for address in addresses:
        assert client.get(address)["Location"] == "/accounts/2fa/", address
    form = {"reason": "x", "confirmed": "yes"}
    assert (
        client.post(reverse("person_suspend", args=[ada.pk]), form)["Location"] == "/accounts/2fa/"
    )
    ada.refresh_from_db()
    assert ada.suspended_at is None


def test_signing_in_asks_for_the_code_and_brings_back_to_the_page(client, vera):
    sign_in(client, vera)
    secret = set_up_app(client)
    other = Client()
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False):
        assert sign_in(other, vera, "/admin/provider/")["Location"] == "/accounts/2fa/authenticate/"
        assert other.get("/admin/").status_code == 302
        wrong = other.post("/accounts/2fa/authenticate/", {"code": "000000"})
        assert "That code isn&#x27;t right" in wrong.text
        right = other.post("/accounts/2fa/authenticate/", {"code": code(secret)})
        assert right["Location"] == "/admin/provider/"
        assert other.get("/admin/provider/").status_code == 200


def test_a_code_of_before_opens_nothing(client, vera):
    sign_in(client, vera)
    secret = set_up_app(client)
    old = code(secret)
    other = Client()
    with time_machine.travel(timezone.now() + timedelta(minutes=5), tick=False):
        sign_in(other, vera)
        answer = other.post("/accounts/2fa/authenticate/", {"code": old})
    assert "That code isn&#x27;t right" in answer.text
    assert "_auth_user_id" not in other.session


def test_a_recovery_code_opens_once(client, vera):
    sign_in(client, vera)
    set_up_app(client)
    page = client.get("/accounts/2fa/recovery-codes/").text
    [recovery, *_others] = re.search(r"readonly[^>]*>([^<]+)<", page)[1].split()
    for expected in (302, 200):
        other = Client()
        sign_in(other, vera)
        answer = other.post("/accounts/2fa/authenticate/", {"code": recovery})
        assert answer.status_code == expected


def test_a_staff_sign_in_lasts_eight_hours(client, vera):
    sign_in(client, vera)
    set_up_app(client)
    now = timezone.now()
    with time_machine.travel(now + timedelta(hours=7, minutes=59)):
        assert client.get("/admin/").status_code == 200
    with time_machine.travel(now + timedelta(hours=8, minutes=1)):
        answer = client.get("/admin/accounts/user/")
        assert answer["Location"] == "/accounts/login/?next=/admin/accounts/user/"
        assert "_auth_user_id" not in client.session


def test_proving_oneself_again_lengthens_no_sign_in(client, vera):
    sign_in(client, vera)
    set_up_app(client)
    now = timezone.now()
    with time_machine.travel(now + timedelta(hours=7)):
        prove(client)
    with time_machine.travel(now + timedelta(hours=8, minutes=1)):
        assert client.get("/admin/")["Location"] == "/accounts/login/?next=/admin/"


def test_a_session_that_shows_no_sign_in_is_taken_for_old(client, vera):
    client.force_login(vera)
    assert client.get("/admin/")["Location"] == "/accounts/login/?next=/admin/"


def test_the_first_factor_ends_sessions_that_never_showed_one(client, vera):
    elsewhere = Client()
    sign_in(elsewhere, vera)
    sign_in(client, vera)
    assert UserSession.objects.filter(user=vera).count() == 2
    set_up_app(client)
    assert elsewhere.get("/admin/")["Location"].startswith("/admin/login/")
    assert client.get("/admin/").status_code == 200


def test_whoever_removes_their_factor_is_led_to_set_one_up_again(client, vera):
    sign_in(client, vera)
    set_up_app(client)
    client.post("/accounts/2fa/totp/deactivate/")
    assert client.get("/admin/")["Location"] == "/accounts/2fa/"


def test_a_promoted_person_shows_the_factor_they_have(client, ada):
    """Their session began without one, because nobody asked."""
    sign_in(client, ada, "/gallery/")
    secret = set_up_app(client)
    client.post("/accounts/logout/")
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False):
        sign_in(client, ada, "/gallery/")
        client.post("/accounts/2fa/authenticate/", {"code": code(secret)})
        type(ada).objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
        assert client.get("/admin/").status_code == 200


def test_people_are_not_asked(client, ada):
    sign_in(client, ada, "/gallery/")
    assert client.get("/gallery/").status_code == 200
    assert client.get("/accounts/2fa/").status_code == 200


# ── In the settings, and in the database ────────────────────────────────────────────────────────


def test_settings_lead_to_the_second_step_and_the_devices(client, ada):
    sign_in(client, ada, "/gallery/")
    page = client.get("/settings/appearance/").text
    assert 'href="/accounts/2fa/"' in page
    assert 'href="/accounts/sessions/"' in page
    assert "This device" in client.get("/accounts/sessions/").text


def test_setting_up_asks_for_the_password_once_more(client, ada):
    sign_in(client, ada, "/gallery/")
    for page in ("totp/activate/", "webauthn/add/"):
        answer = client.get(f"/accounts/2fa/{page}")
        assert answer["Location"].startswith("/accounts/reauthenticate/")


def test_secrets_lie_encrypted_and_open_with_an_old_key(client, ada, settings):
    sign_in(client, ada, "/gallery/")
    secret = set_up_app(client)
    stored = Authenticator.objects.get(user=ada, type="totp").data["secret"]
    assert secret not in stored
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = get_random_secret_key()
    assert Adapter().decrypt(stored) == secret


@pytest.mark.parametrize(
    "page",
    [
        "",
        "totp/activate/",
        "totp/deactivate/",
        "recovery-codes/",
        "recovery-codes/generate/",
        "webauthn/",
        "webauthn/add/",
    ],
)
def test_every_page_keeps_the_strict_policy(client, ada, page):
    sign_in(client, ada, "/gallery/")
    if page == "totp/activate/":
        prove(client)
    else:
        set_up_app(client)
    answer = client.get(f"/accounts/2fa/{page}")
    assert answer.status_code == 200
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert not re.search(r"<[^>]+\sstyle\s*=|<style|<[^>]+\son[a-z]+\s*=", answer.text)


# ── Ways round ──────────────────────────────────────────────────────────────────────────────────


def newest_code() -> str:
    return re.search(r"\b(\d{6})\b", mail.outbox[-1].body)[1]


def later() -> time_machine.travel:
    """So much later that the app shows another code."""
    return time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False)


def test_a_code_by_mail_is_no_second_factor(client, vera):
    sign_in(client, vera)
    secret = set_up_app(client)
    other = Client()
    with later():
        other.post(reverse("account_request_login_code"), {"email": vera.email})
        other.post(reverse("account_confirm_login_code"), {"code": newest_code()})
        assert "_auth_user_id" not in other.session
        assert other.get("/admin/").status_code == 302
        other.post("/accounts/2fa/authenticate/", {"code": code(secret)})
        assert other.get("/admin/").status_code == 200


def test_whoever_reads_the_mail_and_sets_a_new_password_still_lacks_the_second_factor(client, vera):
    sign_in(client, vera)
    set_up_app(client)
    other = Client()
    with later():
        other.post(reverse("account_reset_password"), {"email": vera.email})
        other.post(reverse("account_confirm_password_reset_code"), {"code": newest_code()})
        new = "another long and honest phrase"
        form = {"password1": new, "password2": new}
        other.post(reverse("account_complete_password_reset"), form)
        assert User.objects.get(pk=vera.pk).check_password(new)
        assert "_auth_user_id" not in other.session
        assert other.get("/admin/").status_code == 302


def test_a_password_alone_adds_no_factor_to_an_account_that_has_one(client, vera):
    sign_in(client, vera)
    set_up_app(client)
    other = Client()
    sign_in(other, vera)
    for page in ("", "webauthn/add/", "totp/deactivate/", "recovery-codes/generate/"):
        assert other.get(f"/accounts/2fa/{page}")["Location"].startswith("/accounts/login/"), page


def every_admin_address() -> list[str]:
    """Django's own, as they are asked without rows."""
    names = [pattern.name for pattern in admin.site.get_urls() if getattr(pattern, "name", None)]
    plain = {"index", "login", "logout", "password_change", "autocomplete", "jsi18n"}
    return [reverse(f"admin:{name}") for name in names if name in plain]


def test_djangos_own_addresses_stay_shut_too(client, vera):
    sign_in(client, vera)
    addresses = [*every_admin_address(), "/admin/nothing/", "/admin/r/1/1/"]
    assert len(addresses) == 8
    for address in addresses:
        for ask in (client.get, client.post):
            assert ask(address)["Location"] == "/accounts/2fa/", address
