"""What is logged and mailed to staff: what went wrong, never a secret or a person's words.

Knows the formatters, and views that answer with an error.
"""

import json
import logging

import pytest
from django.core import mail
from django.urls import reverse

from avatars import storage
from avatars.models import State
from config.logs import ConsoleFormatter, JsonFormatter, mask
from tests import factories

SECRETS = (
    "/webhooks/provider/tok-3n/",
    "/p/face/tok-3n/",
    "/m/signed/photos/tok-3n.jpg?w=1&s=tok-3n",
    'body {"key": "tok-3n-tok-3n", "prompt": ""}',
    "https://x.s3.amazonaws.com/a?X-Amz-Signature=tok-3n",
    "stripe said sk_live_tok3n no",
    "data:image/jpeg;base64,dG9rLTNu",
)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("formatter", [ConsoleFormatter(), JsonFormatter()])
def test_a_secret_never_reaches_a_line(secret, formatter):
    record = logging.makeLogRecord({"msg": "asked %s", "args": (secret,), "name": "x"})
    line = formatter.format(record)
    assert not any(word in line for word in ("tok-3n", "tok3n", "dG9rLTNu"))


def test_a_json_line_holds_the_events_own_facts():
    record = logging.makeLogRecord(
        {"msg": "order answered", "name": "likeness.engine", "levelname": "INFO", "request": 7}
    )
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["logger"], line["request"]) == (
        "order answered",
        "likeness.engine",
        "7",
    )


def test_the_mask_leaves_ordinary_words_alone():
    assert mask("a keeper of the key to the lighthouse") == "a keeper of the key to the lighthouse"


@pytest.mark.django_db
def test_a_call_to_staff_about_an_error_carries_no_secret(ada, client, settings, monkeypatch):
    settings.ADMINS = [("Staff", "staff@example.org")]

    def away(key: str) -> bytes:
        raise storage.StorageAway("test")

    monkeypatch.setattr(storage, "read", away)
    avatar_request = factories.create_request_in(State.SENDING, ada)
    token = f"face-{avatar_request.pk}"
    assert client.get(reverse("face_link", args=[token])).status_code == 503
    assert len(mail.outbox) == 1
    letter = mail.outbox[0].message().as_string()
    assert token not in letter
    assert avatar_request.prompt not in letter


@pytest.mark.django_db
def test_a_call_to_staff_about_a_form_carries_no_words_of_the_person(
    ada, client, settings, monkeypatch
):
    settings.ADMINS = [("Staff", "staff@example.org")]
    client.force_login(ada)
    client.raise_request_exception = False

    def break_down(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("avatars.views.create.generation.submit", break_down)
    photo = factories.create_photo(ada)
    page = client.get(reverse("create")).content.decode()
    fields = {"photo": photo.public_id, "style": "anime", "quality": "standard"}
    number = page.split('name="number" value="')[1].split('"')[0]
    answer = client.post(
        reverse("create"),
        {**fields, "prompt": "my very own words", "number": number, "shown_cost": 1, "make": "1"},
    )
    assert answer.status_code == 500
    assert [letter.subject.count("my very own") for letter in mail.outbox] == [0]
    assert "my very own words" not in mail.outbox[0].message().as_string()
