"""Every page there is, seen by whoever may see it, carries the headers that keep it to itself.

Knows the table of addresses, the factories and the names of the headers.
"""

from urllib.parse import urlencode

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.limits import UPLOADS
from avatars import storage
from avatars.models import State
from config.middleware import LARGEST_BODY
from tests import factories
from tests.avatars.hanging import hang_drawn
from tests.test_access import (
    ADAS,
    DOORS,
    OPEN,
    OWN,
    POST,
    ROWS,
    STAFF,
    adas,
    address,
    address_of_door,
    address_of_room,
    staff_rooms,
)

__all__ = ["adas"]
pytestmark = pytest.mark.django_db

PAGES = [name for name, kind in ROWS.items() if kind in (OPEN, OWN, ADAS, STAFF)]


def policy_of(answer) -> dict[str, list[str]]:
    rules = (rule.split() for rule in answer["Content-Security-Policy"].split(";") if rule.strip())
    return {name: sources for name, *sources in rules}


def assert_closed(answer, *, kept: str = "private, no-store") -> None:
    policy = policy_of(answer)
    assert policy["default-src"] == ["'none'"]
    assert (policy["frame-ancestors"], policy["base-uri"]) == (["'none'"], ["'none'"])
    assert "object-src" not in policy  # hence default-src: none
    for name, sources in policy.items():
        assert not [source for source in sources if "unsafe" in source or "*" in source], name
    assert policy["script-src"] == ["'self'"]
    assert policy["style-src"] == ["'self'"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    assert set(answer["Cache-Control"].split(", ")) >= set(kept.split(", "))
    assert answer["X-Request-ID"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_closed(name, client, ada, adas, mo):
    client.force_login(mo if ROWS[name] == STAFF else ada)
    path = address(name, adas, ada)
    answer = (client.post if name in POST else client.get)(path)
    assert answer.status_code < 500 or name == "readyz"
    assert_closed(answer)


@pytest.mark.parametrize("name", staff_rooms())
def test_a_page_of_staff_is_closed(name, client, ada, mo):
    client.force_login(mo)
    answer = client.get(address_of_room(name))
    assert answer.status_code < 500
    if name == "jsi18n":
        return  # words for the admin's own scripts, which say themselves how long they keep
    assert_closed(answer)


@pytest.mark.parametrize("name", DOORS)
def test_a_page_of_sign_in_is_closed(name, client, ada):
    for person in (None, ada):
        if person:
            client.force_login(person)
        answer = client.get(address_of_door(name))
        assert answer.status_code < 500
        assert_closed(answer)


# ── Pictures, links and what goes wrong ─────────────────────────────────────────────────────────


def test_a_shared_page_and_its_picture_are_closed(client, ada):
    share = factories.create_share(hang_drawn(ada))
    for name in ("shared", "shared_picture"):
        answer = client.get(reverse(name, args=[share.token]))
        assert answer.status_code == 200
        assert_closed(answer)
        assert "noindex" in answer["X-Robots-Tag"]


def test_a_download_is_closed_and_is_an_attachment(client, ada):
    client.force_login(ada)
    avatar = hang_drawn(ada)
    answer = client.get(reverse("avatar_download", args=[avatar.public_id, "jpeg"]))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    assert answer["Content-Disposition"].startswith("attachment")
    assert_closed(answer)


def test_a_photo_taken_along_is_closed_and_is_an_attachment(client, ada):
    client.force_login(ada)
    photo = factories.create_photo(ada)
    answer = client.get(reverse("face_download", args=[photo.public_id]))
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")
    assert_closed(answer)


def test_a_picture_behind_a_signed_link_is_for_its_browser_alone(client, ada):
    """The one answer that may be kept: it is asked for again on every page of the gallery."""
    answer = client.get(storage.link(factories.create_photo(ada).file.key))
    assert answer.status_code == 200
    assert_closed(answer, kept="private, max-age=3600, immutable")


def test_the_face_link_and_the_doorbell_are_closed(client, ada):
    waiting = factories.create_request_in(State.SENDING, ada)
    face = client.get(reverse("face_link", args=[f"face-{waiting.pk}"]))
    assert face.status_code == 200
    assert_closed(face, kept="no-store")
    assert_closed(client.get(reverse("face_link", args=["guess"])))
    assert_closed(client.post(reverse("doorbell", args=["guess"])))


def fail(*_: object) -> None:
    raise ZeroDivisionError


WRONG = {
    "an old form": (403, lambda client: client.post("/create/", {"prompt": "x"})),
    "no page": (404, lambda client: client.get("/nowhere/")),
    "a method no page has": (405, lambda client: client.get("/webhooks/stripe/")),
    "a body that fills the disk": (
        413,
        lambda client: client.post("/", b"a", "text/plain", CONTENT_LENGTH=str(LARGEST_BODY + 1)),
    ),
    "too many fields": (400, lambda client: client.get("/?" + "&".join(["a=1"] * 300))),
    "a host that is not ours": (
        400,
        lambda client: client.get("/", headers={"host": "evil.example"}),
    ),
    "a slash too few": (301, lambda client: client.get("/gallery")),
}


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_closed_too(name, debug, ada, settings):
    settings.DEBUG = debug
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(ada)
    status, asked = WRONG[name]
    answer = asked(client)
    assert answer.status_code == status
    if not (debug and name == "a host that is not ours"):  # Django's own page for developers
        assert_closed(answer)


@pytest.mark.parametrize("debug", [True, False])
def test_a_fault_of_ours_is_closed_too(ada, settings, monkeypatch, debug):
    settings.DEBUG = debug
    monkeypatch.setattr("avatars.views.gallery.render", fail)
    client = Client(raise_request_exception=False)
    client.force_login(ada)
    answer = client.get("/gallery/")
    assert answer.status_code == 500
    if not debug:
        assert_closed(answer)
        assert answer["X-Request-ID"] in answer.text


def test_too_fast_is_closed_too(client, ada):
    client.force_login(ada)
    for _press in range(UPLOADS.count):
        UPLOADS.spend(f"user:{ada.pk}")
    answer = client.post("/faces/new/")
    assert answer.status_code == 429
    assert_closed(answer)


# ── Cookies, hosts, ways out ────────────────────────────────────────────────────────────────────


def test_cookies_are_for_the_site_alone(client, ada):
    client.get(reverse("account_login"))
    client.force_login(ada)
    client.get("/create/")
    assert {"sessionid", "csrftoken"} <= set(client.cookies)
    for cookie in client.cookies.values():
        assert (cookie.key, cookie["samesite"]) == (cookie.key, "Lax")
        assert cookie["httponly"] or cookie.key == "zone"


def test_in_a_deployment_cookies_and_pages_travel_encrypted_alone(client, ada, settings):
    """The flags themselves are in the settings of a deployment: tests/test_settings.py."""
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    plain = client.get(reverse("account_login"))
    assert (plain.status_code, plain["Location"]) == (301, "https://testserver/accounts/login/")
    page = client.get(reverse("account_login"), secure=True)
    assert page["Strict-Transport-Security"].startswith("max-age=31536000")
    client.post(
        reverse("account_login"),
        {"login": ada.email, "password": "correct horse battery"},
        secure=True,
    )
    assert [client.cookies[name]["secure"] for name in ("sessionid", "csrftoken")] == [True, True]


def test_signing_in_changes_the_session(client, ada):
    client.get("/dev/mail/")
    session = client.session
    session["before"] = "somebody set this"
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before
    form = {"login": ada.email, "password": "correct horse battery"}
    assert client.post(reverse("account_login"), form).status_code == 302
    assert client.cookies["sessionid"].value not in ("", before)
    assert not Session.objects.filter(session_key=before).exists()


ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "http://testserver@evil.example/",
    "\thttps://evil.example",
)


@pytest.mark.parametrize("name", ["account_login", "account_signup", "admin:login"])
@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_signing_in_leads_nowhere_else(client, ada, name, elsewhere):
    form = {"login": ada.email, "password": "correct horse battery"}
    fields = {"account_signup": {"email": "new@example.org", "password1": "a long phrase of mine"}}
    path = f"{reverse(name)}?{urlencode({'next': elsewhere})}"
    answer = client.post(path, fields.get(name, form) | {"next": elsewhere})
    assert answer.status_code == 302
    assert stays_here(answer)
    client.force_login(ada)
    assert stays_here(client.get(path, follow=False))


def stays_here(answer) -> bool:
    location = answer.get("Location", "/")
    return url_has_allowed_host_and_scheme(location, {"testserver"})


@pytest.mark.parametrize("name", [name for name in PAGES if ROWS[name] in (OWN, ADAS)])
def test_no_page_of_a_person_leads_elsewhere(name, client, ada, adas):
    client.force_login(ada)
    path = address(name, adas, ada)
    for elsewhere in ELSEWHERE:
        asked = f"{path}{'&' if '?' in path else '?'}{urlencode({'next': elsewhere})}"
        assert stays_here(client.get(asked))
        assert stays_here(client.post(path, {"next": elsewhere}))
        assert stays_here(client.post(path, {"next": elsewhere}, headers={"Referer": elsewhere}))


def test_a_forwarded_host_is_nobodys_word(client, ada):
    forged = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    client.post(reverse("account_reset_password"), {"email": ada.email}, headers=forged)
    assert "evil.example" not in mail.outbox[-1].message().as_string()
    share = factories.create_share(hang_drawn(ada))
    page = client.get(reverse("shared", args=[share.token]), headers=forged)
    assert "evil.example" not in page.text
