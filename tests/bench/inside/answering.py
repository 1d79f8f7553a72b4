"""Answers of the whole site, every middleware included, without a server in between.

Knows Django's handler, the doorbell's attempts and the tray.
"""

import http.client
import io
import itertools
import json
import time
from datetime import timedelta
from typing import Any
from wsgiref.util import setup_testing_defaults

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from avatars.models import AvatarRequest, State
from avatars.models.attempts import Attempt, token_hash
from avatars.views import progress
from tests import factories
from tests.bench.inside import making

settings.ROOT_URLCONF = "tests.bench.inside.addresses"
HANDLER: WSGIHandler = get_wsgi_application()
SQL = ("SELECT", "INSERT", "UPDATE", "DELETE")
bells = itertools.count(1)


def answer(method: str, path: str, body: bytes = b"", cookie: str = "") -> tuple[int, float]:
    """HTTP status, and seconds from the request to the last byte and the connection's release."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_COOKIE": cookie,
        "HTTP_HX_REQUEST": "true" if cookie else "",
        "wsgi.input": io.BytesIO(body),
    }
    setup_testing_defaults(environ)
    statuses: list[str] = []
    began_at = time.perf_counter()
    response = HANDLER(environ, lambda status, headers: statuses.append(status))
    b"".join(response)
    response.close()
    return int(statuses[0][:3]), time.perf_counter() - began_at


# ── The doorbell ────────────────────────────────────────────────────────────────────────────────


def drawing(number: int) -> None:
    """So many requests of one person at the provider, their job numbers known."""
    user = User.objects.get(pk=making.person(credits=number))
    photo = user.photos.get()
    now = timezone.now()
    for index in range(number):
        avatar_request = factories.create_request(user, photo)
        later = now + timedelta(minutes=10)
        assert avatar_request.move(State.SENDING, due_at=later)
        assert avatar_request.move(State.GENERATING, due_at=later)
        Attempt.objects.create(
            request=avatar_request,
            number=1,
            sent_at=now,
            accepted_at=now,
            eta=600,
            provider_job_id=str(91_753_000 + index),
            doorbell_hash=token_hash(f"bell-{index + 1}"),
        )


def next_bell() -> tuple[str, bytes]:
    """Address and body of the next doorbell, as the provider rings it: of a job that nobody has
    rung for yet.
    """
    number = next(bells)
    attempt = Attempt.objects.get(doorbell_hash=token_hash(f"bell-{number}"))
    body = {
        "status": "success",
        "id": int(attempt.provider_job_id),
        "output": ["http://127.0.0.1:9/temp/x-0.png"],
        "webhook_type": "image_generation",
        "track_id": attempt.track_id,
    }
    return f"/webhooks/provider/bell-{number}/", json.dumps(body).encode()


def ring_over(port: int) -> float:
    """Seconds of the next ring at the server of that port."""
    return _posted(port, *next_bell())


def empty_post_over(port: int) -> float:
    """Seconds of an empty POST view at the server of that port."""
    return _posted(port, "/bench/post/", b"{}")


def _posted(port: int, path: str, body: bytes) -> float:
    """As the provider does it: a fresh connection, one request, the answer to its last byte."""
    began_at = time.perf_counter()
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    server.request("POST", path, body, {"Content-Type": "application/json", "Connection": "close"})
    answered = server.getresponse()
    answered.read()
    server.close()
    seconds = time.perf_counter() - began_at
    return _well((answered.status, seconds), 200)


def bell_queries() -> list[str]:
    path, body = next_bell()
    with CaptureQueriesContext(connection) as asked:
        answer("POST", path, body)
    return statements(asked)


# ── The tray ────────────────────────────────────────────────────────────────────────────────────


def sign_in(open_requests: int) -> dict[str, str]:
    """Somebody with so many avatars in the making: their cookie, and what their page shows."""
    user = User.objects.get(pk=making.person(credits=open_requests))
    for _ in range(open_requests):
        factories.create_request(user, user.photos.get())
    return {"cookie": making.cookie_of(user), "shown": progress.tray_state(user)["revision"]}


def page_seconds(path: str, cookie: str, status: int = 204) -> float:
    return _well(answer("GET", path, cookie=cookie), status)


def page_queries(path: str, cookie: str) -> list[str]:
    with CaptureQueriesContext(connection) as asked:
        answer("GET", path, cookie=cookie)
    return statements(asked)


def change_one() -> None:
    """One of the open requests begins to be drawn."""
    avatar_request = AvatarRequest.objects.in_line().first()
    assert avatar_request is not None
    assert avatar_request.move(State.SENDING, due_at=timezone.now() + timedelta(minutes=10))


def statements(asked: CaptureQueriesContext) -> list[str]:
    return [q["sql"] for q in asked.captured_queries if q["sql"].startswith(SQL)]


def _well(answered: tuple[int, float], status: int) -> float:
    assert answered[0] == status, answered
    return answered[1]
