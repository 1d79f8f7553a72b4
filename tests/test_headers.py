"""Every page there is, seen by whoever may see it, carries the headers that keep it to itself.

Knows the table of addresses, the factories and the names of the headers.
"""

import re

import pytest
from django.urls import reverse

from tests.test_access import ADAS, OPEN, OWN, POST, ROWS, STAFF, adas, address, admin_addresses

__all__ = ["adas"]
pytestmark = pytest.mark.django_db

PAGES = [name for name, kind in ROWS.items() if kind in (OPEN, OWN, ADAS, STAFF)]


def policy_of(answer) -> dict[str, list[str]]:
    rules = (rule.split() for rule in answer["Content-Security-Policy"].split(";") if rule.strip())
    return {name: sources for name, *sources in rules}


def assert_closed(answer) -> None:
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
    assert re.search("private|no-store", answer["Cache-Control"])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_closed(name, client, ada, adas, mo):
    client.force_login(mo if ROWS[name] == STAFF else ada)
    path = address(name, adas, ada)
    answer = (client.post if name in POST else client.get)(path)
    assert answer.status_code < 500 or name == "readyz"
    assert_closed(answer)


@pytest.mark.parametrize("name", admin_addresses())
def test_a_page_of_staff_is_closed(name, client, mo):
    client.force_login(mo)
    answer = client.get(reverse(name))
    assert answer.status_code == 200
    assert_closed(answer)


@pytest.mark.parametrize(
    "name", ["account_login", "account_signup", "account_reset_password", "account_email"]
)
def test_a_page_of_sign_in_is_closed(name, client, ada):
    if name == "account_email":
        client.force_login(ada)
    assert_closed(client.get(reverse(name)))


def test_cookies_are_for_the_site_alone(client, ada):
    client.get(reverse("account_login"))
    client.force_login(ada)
    client.get("/create/")
    for cookie in client.cookies.values():
        assert (cookie.key, cookie["samesite"]) == (cookie.key, "Lax")
        assert cookie["httponly"] or cookie.key == "zone"
