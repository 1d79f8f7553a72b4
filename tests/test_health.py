"""Health, headers and the clock on the wall.

Knows the addresses and the heartbeat.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from avatars.models import Heartbeat
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_process_that_answers_is_alive(client):
    assert client.get("/livez").json() == {"alive": True}


def test_nobody_sweeping_is_not_ready(client):
    assert client.get("/readyz").status_code == 503
    Heartbeat.beat("sweep", timezone.now() - timedelta(minutes=1))
    assert client.get("/readyz").status_code == 503


def test_a_fresh_sweep_is_ready(client):
    Heartbeat.beat("sweep", timezone.now())
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"database": True, "storage": True, "sweep": True},
    )


def test_an_address_that_does_not_exist_gets_our_own_page(client):
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "default-src 'none'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/create/", "/nowhere/", "/admin/"])
def test_every_page_carries_its_headers(client, ada, path):
    client.force_login(ada)
    answer = client.get(path)
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    ("cookie", "shown"),
    [("Asia/Tokyo", "+09:00"), ("", "+00:00"), ("../../etc/passwd", "+00:00"), ("x" * 999, "+00")],
)
def test_times_are_those_of_the_browser(client, ada, cookie, shown):
    avatar_request = factories.create_request(ada)
    client.force_login(ada)
    client.cookies["zone"] = cookie
    page = client.get(f"/jobs/{avatar_request.public_id}/").content.decode()
    assert f"{shown}" in page
