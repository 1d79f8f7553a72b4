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
    "Gone: /s/tok-3n/picture.webp",
    "Not Found: /safety/report/tok-3n/",
    'new row violates a constraint\nDETAIL:  Failing row contains (1, tok-3n,\ntok-3n "tok-3n").',
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


@pytest.mark.parametrize("formatter", [ConsoleFormatter(), JsonFormatter()])
def test_a_row_that_the_database_refused_is_not_told_and_the_way_to_it_is(formatter):
    """In PostgreSQL's own words, as psycopg hands them on, twice as chained exceptions do."""
    told = 'new row violates "x"\nDETAIL:  Failing row contains (7, my very own\nwords, "a").'
    try:
        try:
            raise ValueError(told)
        except ValueError as error:
            raise RuntimeError(told) from error
    except RuntimeError as error:
        facts = {
            "name": "x",
            "msg": "it broke",
            "exc_info": (type(error), error, error.__traceback__),
        }
    line = formatter.format(logging.makeLogRecord(facts))
    assert "my very own" not in line
    assert "words" not in line
    assert line.count('new row violates \\"x\\"') + line.count('new row violates "x"') == 2
    assert "RuntimeError" in line
    assert "it broke" in line
    assert not isinstance(formatter, JsonFormatter) or json.loads(line)["event"] == "it broke"


# ── Everything at once: a fault, with a person's whole request around it ────────────────────────

HELD = {
    "password": "a-canary-of-a-password",
    "key": "canaryoftheprovider0123456789",
    "stripe": "sk_live_canary0123456789",
    "token": "/p/face/canary-of-a-face-token/",
    "words": "canarybird at dusk",
}


@pytest.mark.django_db
def test_a_fault_tells_nobody_what_it_held(client, ada, settings, monkeypatch, caplog):
    """Page, log line and letter to staff, with DEBUG off: of what was in the form, the cookies,
    the frames and the fault's own words, none.
    """
    settings.ADMINS = [("Staff", "staff@example.org")]
    settings.DEBUG = False
    client.force_login(ada)
    client.raise_request_exception = False

    def break_down(request, *_: object) -> None:
        held = dict(HELD)
        raise RuntimeError(f"asked {held['token']} with key={held['key']} and {held['stripe']}")

    monkeypatch.setattr("avatars.views.gallery.render", break_down)
    with caplog.at_level(logging.DEBUG):
        answer = client.get(
            f"/gallery/?prompt={HELD['words']}",
            headers={
                "X-Password": HELD["password"],
                "Referer": f"http://testserver{HELD['token']}",
            },
        )
    assert answer.status_code == 500
    [letter] = mail.outbox
    written = "\n".join(
        formatter.format(record)
        for formatter in (ConsoleFormatter(), JsonFormatter())
        for record in caplog.records
    )
    places = {"page": answer.text, "letter": letter.message().as_string(), "log": written}
    secrets = [*HELD.values(), "canary-of-a-face", client.cookies["sessionid"].value, ada.email]
    assert [(name, one) for name, text in places.items() for one in secrets if one in text] == []
    # Each of them does say what happened.
    assert all("RuntimeError" in places[name] for name in ("letter", "log"))
    assert answer["X-Request-ID"] in places["page"]
