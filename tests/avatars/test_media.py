"""Signed links of a clone's storage: who has one sees one picture, for an hour or two.

Knows storage and the factories.
"""

from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core import signing
from django.core.files.storage import storages

from avatars import storage
from tests import factories

pytestmark = pytest.mark.django_db

NOON = "2026-11-22 12:00:00Z"


@pytest.fixture
def picture(ada):
    return factories.create_file(ada, "avatars", "webp", b"the picture")


def link_to(key: str) -> str:
    """A link with a true signature, whatever the key."""
    signature = signing.Signer(salt=storage.LINK_SALT).signature(f"{key}:{storage.window()}")
    return f"/m/signed/{key}?w={storage.window()}&s={signature}"


def test_whoever_has_the_link_gets_the_picture_and_may_keep_it_an_hour(client, picture):
    response = client.get(storage.link(picture.key))
    assert response.content == b"the picture"
    assert response["Content-Type"] == "image/webp"
    assert response["Cache-Control"] == "private, max-age=3600, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == "inline"


def test_a_photo_and_its_thumb_are_jpegs(client, ada):
    photo = factories.create_photo(ada)
    for file in (photo.file, photo.thumb):
        response = client.get(storage.link(file.key))
        assert response["Content-Type"] == "image/jpeg"
        assert response.content == factories.TINY_JPEG


@pytest.mark.parametrize(
    ("now", "status"),
    [
        ("2026-11-22 12:59:59Z", 200),
        ("2026-11-22 13:59:59Z", 200),
        ("2026-11-22 14:00:00Z", 404),
        ("2026-11-22 11:59:59Z", 404),
    ],
)
def test_a_link_ends_within_two_hours(client, picture, now, status):
    with time_machine.travel(NOON, tick=False):
        link = storage.link(picture.key)
    with time_machine.travel(now, tick=False):
        assert client.get(link).status_code == status


def test_a_link_opens_its_own_picture_alone(client, ada, picture):
    other = factories.create_file(ada, "avatars", "webp", b"another")
    link = storage.link(picture.key)
    assert client.get(link.replace(picture.key, other.key)).status_code == 404
    window = parse_qs(urlsplit(link).query)["w"][0]
    longer = link.replace(f"w={window}", f"w={int(window) + 1}")
    assert client.get(longer).status_code == 404


@pytest.mark.parametrize("query", ["", "?w=&s=", "?w=1&s=forged"])
def test_without_a_true_signature_there_is_nothing(client, picture, query):
    assert client.get(f"/m/signed/{picture.key}{query}").status_code == 404


@pytest.mark.parametrize(
    "key",
    [
        "../secret_key",
        "avatars/../../secret_key",
        "avatars/../photos/" + "0" * 32 + ".jpg",
        "/etc/passwd",
        "avatars/" + "0" * 32 + ".html",
        "avatars/" + "0" * 32 + ".webp.html",
        "avatars/" + "0" * 32 + ".webp\n",
        "exports/" + "0" * 32 + ".jpg",
    ],
)
def test_even_a_true_signature_opens_nothing_but_pictures(client, picture, key):
    assert client.get(link_to(key)).status_code == 404


def test_a_picture_that_is_gone_is_not_found(client, picture):
    link = storage.link(picture.key)
    storage.remove(picture.key)
    assert client.get(link).status_code == 404


def test_while_the_storage_is_away_the_browser_may_come_again(client, picture, monkeypatch):
    def broken(*arguments, **named):
        raise OSError("disk")

    monkeypatch.setattr(storages["private"], "open", broken)
    response = client.get(storage.link(picture.key))
    assert (response.status_code, response["Retry-After"]) == (503, "30")


def test_a_link_is_read_only(client, picture):
    assert client.post(storage.link(picture.key)).status_code == 405
