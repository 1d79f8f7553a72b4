"""The private storage in both its forms: a clone's folder, and a bucket behind a strict S3.

Knows storage, the verbs that use it, the strict S3 and, for links, the site over real HTTP.
"""

import runpy
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
import time_machine
from botocore.config import Config
from botocore.exceptions import ClientError
from django.core.handlers.wsgi import WSGIHandler

from accounts import auditing as accounts_auditing
from avatars import auditing, delivery, download, imaging, safekeeping, storage
from avatars.models import Avatar, FileState, State, StoredFile
from config import standins
from tests import engine, factories
from tests.strict_s3 import ACCESS_KEY, LARGEST, SECRET_KEY, StrictS3, refuse

ROOT = Path(__file__).resolve().parent.parent.parent
NOON = "2026-11-22 12:00:00Z"
KEY = "avatars/" + "0" * 32 + ".webp"
ZIP = "exports/" + "2" * 32 + ".zip"
PHOTO = "photos/" + "1" * 32 + ".thumb.jpg"


def refusing(status: str, code: str) -> standins.App:
    return lambda environ, start: refuse(start, status, code, "No.")


@dataclass
class Place:
    """A storage set up as the settings do it, and what the outside sees of it."""

    url: str
    refusal: int  # the status for a link that is not good
    break_down: Callable[[], None]
    s3: StrictS3 | None = None
    name: str = ""  # of the bucket

    def fetch(self, link: str) -> requests.Response:
        return requests.get(urljoin(self.url, link), allow_redirects=False, timeout=10)


@pytest.fixture(scope="module")
def strict_s3():
    server = StrictS3()
    yield server
    server.close()


@pytest.fixture
def use(settings, monkeypatch):
    """Take the private storage that config/settings.py makes of these variables."""

    def take(**environment: str) -> dict[str, Any]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        made = runpy.run_path(str(ROOT / "config" / "settings.py"))
        settings.STORAGES = {**settings.STORAGES, "private": made["STORAGES"]["private"]}
        return made

    return take


@pytest.fixture
def bucket(use, strict_s3):
    name = f"faces-{uuid.uuid4().hex}"
    use(**strict_s3.environment(name))
    strict_s3.asked.clear()
    trouble = refusing("503 Service Unavailable", "ServiceUnavailable")
    yield Place(strict_s3.url, 403, lambda: setattr(strict_s3, "trouble", trouble), strict_s3, name)
    strict_s3.trouble = None


@pytest.fixture
def folder(use, tmp_path):
    use(LOCAL_DIR=str(tmp_path / "local"))
    site = standins.serve(WSGIHandler())
    media = tmp_path / "local" / "media"

    def break_down() -> None:
        if media.exists():
            media.rename(tmp_path / "unplugged")
        media.write_bytes(b"no folder any more")

    yield Place(site.url, 404, break_down)
    site.close()


@pytest.fixture(params=["folder", "bucket"])
def place(request) -> Place:
    return request.getfixturevalue(request.param)


def test_what_was_put_last_is_read_byte_for_byte(place):
    for content in (bytes(range(256)) * 5000, b"half", b""):
        storage.put(KEY, content)
        assert storage.read(KEY) == content
    assert storage.keys("avatars") == {KEY}


def test_what_was_removed_is_missing_and_may_be_removed_again(place):
    storage.put(KEY, b"x")
    storage.remove(KEY)
    storage.remove(KEY)
    with pytest.raises(storage.Missing):
        storage.read(KEY)


def test_a_file_of_the_disk_is_put_and_comes_back_in_pieces(place, tmp_path):
    content = bytes(range(256)) * 4000  # sixteen pieces
    path = tmp_path / "made.zip"
    path.write_bytes(content)
    with path.open("rb") as made:
        storage.put_file(ZIP, made)
    pieces = list(storage.pieces(ZIP))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) == storage.PIECE_BYTES
    assert storage.keys("exports") == {ZIP}
    storage.remove(ZIP)
    with pytest.raises(storage.Missing):
        storage.pieces(ZIP)


def test_a_file_is_neither_put_nor_read_while_the_place_fails(place, tmp_path):
    path = tmp_path / "made.zip"
    path.write_bytes(b"zip")
    with path.open("rb") as made:
        storage.put_file(ZIP, made)
        place.break_down()
        with pytest.raises(storage.StorageAway):
            storage.put_file(ZIP, made)
    with pytest.raises(storage.StorageAway):
        storage.pieces(ZIP)


def test_a_listing_names_everything_below_its_folder_and_nothing_else(place, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")  # so that the listing has pages
    assert storage.keys("photos") == set()
    below = {f"photos/{number}.jpg" for number in range(5)} | {"photos/strange/er/6.jpg"}
    for key in {*below, KEY, "photos2/7.jpg"}:
        storage.put(key, b"x")
    assert storage.keys("photos") == below


def test_a_place_that_fails_is_away_and_not_empty(place):
    storage.put(KEY, b"x")
    place.break_down()
    with pytest.raises(storage.StorageAway):
        storage.put(PHOTO, b"x")
    for call in (storage.read, storage.remove, storage.keys):
        with pytest.raises(storage.StorageAway):
            call(KEY)


@pytest.mark.parametrize(("key", "kind"), [(KEY, "image/webp"), (PHOTO, "image/jpeg")])
def test_a_link_gives_the_picture_and_says_what_it_is(place, key, kind):
    storage.put(key, b"the picture")
    answer = place.fetch(storage.link(key))
    assert (answer.status_code, answer.content) == (200, b"the picture")
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Content-Disposition"] == "inline"
    assert answer.headers["Cache-Control"] == "private, max-age=3600, immutable"


def test_a_link_is_the_same_within_its_hour_and_another_after_it(place):
    with time_machine.travel(NOON, tick=False) as clock:
        first = storage.link(KEY)
        clock.shift(3599)
        assert storage.link(KEY) == first
        clock.shift(1)
        assert storage.link(KEY) != first


def test_a_link_lives_for_an_hour_after_its_window_and_not_longer(place):
    storage.put(KEY, b"x")
    with time_machine.travel(NOON, tick=False) as clock:
        link = storage.link(KEY)
        clock.shift(-16 * 60)
        assert place.fetch(link).status_code == place.refusal
        clock.shift(16 * 60 + 2 * 3600 - 1)
        assert place.fetch(link).status_code == 200
        clock.shift(1)
        assert place.fetch(link).status_code == place.refusal


def test_a_link_opens_its_own_object_alone_and_nothing_opens_without_one(place):
    for key in (KEY, PHOTO):
        storage.put(key, b"x")
    link = storage.link(KEY)
    for wrong in (
        link.replace(KEY, PHOTO),
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link.partition("?")[0],
    ):
        assert place.fetch(wrong).status_code == place.refusal
    assert place.fetch(link).status_code == 200


def test_each_verb_is_one_call_however_large_the_object(bucket):
    large = b"x" * LARGEST
    storage.put(KEY, large)
    assert storage.read(KEY) == large
    storage.remove(KEY)
    path = f"/{bucket.name}/{KEY}"
    assert bucket.s3.asked == [("PUT", path), ("GET", path), ("DELETE", path)]


def test_an_object_the_bucket_refuses_is_not_there(bucket):
    with pytest.raises(storage.StorageAway):
        storage.put(KEY, b"x" * (LARGEST + 1))
    assert storage.keys("avatars") == set()


def test_an_object_is_its_owner_s_alone_and_says_its_type(bucket):
    storage.put(KEY, b"x")
    one = {"Bucket": bucket.name, "Key": KEY}
    assert bucket.s3.client().head_object(**one)["ContentType"] == "image/webp"
    grants = bucket.s3.client().get_object_acl(**one)["Grants"]
    assert [grant["Grantee"]["Type"] for grant in grants] == ["CanonicalUser"]
    assert bucket.fetch(f"/{bucket.name}?list-type=2").status_code == 403


def test_the_link_forces_the_type_whatever_the_object_says(bucket):
    one = {"Bucket": bucket.name, "Key": KEY}
    bucket.s3.client().put_object(**one, Body=b"<html>", ContentType="text/html")
    link = storage.link(KEY)
    assert bucket.fetch(link).headers["Content-Type"] == "image/webp"
    without = link.replace("response-content-type=image%2Fwebp&", "")
    assert without != link
    assert bucket.fetch(without).status_code == 403


def test_a_link_is_kept_for_all_processes_until_the_keys_change(bucket, use):
    with time_machine.travel(NOON, tick=False) as clock:
        first = storage.link(KEY)
        clock.shift(60)
        use()  # another process: its storage is made anew
        assert storage.link(KEY) == first
        use(AWS_SECRET_ACCESS_KEY="changed")
        assert storage.link(KEY) != first


def test_two_processes_that_sign_at_once_give_one_link(bucket, monkeypatch):
    kind, others = storage.PrivateS3Storage, []
    sign = kind.sign

    def outrun(self, name: str) -> str:
        monkeypatch.setattr(kind, "sign", sign)
        others.append(storage.link(name))
        clock.shift(1)
        return sign(self, name)

    monkeypatch.setattr(kind, "sign", outrun)
    with time_machine.travel(NOON, tick=False) as clock:
        assert [storage.link(KEY)] == others


def test_a_folder_s_link_made_as_the_hour_strikes_is_of_one_hour(folder, monkeypatch):
    storage.put(KEY, b"x")
    now = storage.window()
    hours = iter([now - 1, now])
    with monkeypatch.context() as striking:
        striking.setattr(storage, "window", lambda: next(hours))
        link = storage.link(KEY)
    assert folder.fetch(link).status_code == 200


def cut_off(environ, start):
    environ["standin.connection"].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    raise standins.Cut


@pytest.mark.parametrize(
    "trouble",
    [
        refusing("403 Forbidden", "AccessDenied"),
        refusing("404 Not Found", "NoSuchBucket"),
        refusing("500 Internal Server Error", "InternalError"),
        cut_off,
    ],
)
def test_only_the_bucket_s_own_word_makes_an_object_missing(bucket, trouble):
    bucket.s3.trouble = trouble
    with pytest.raises(storage.StorageAway):
        storage.read(KEY)


def test_a_service_that_says_absent_of_a_deletion_is_believed(bucket):
    bucket.s3.trouble = refusing("404 Not Found", "NoSuchKey")
    storage.remove(KEY)


def test_a_bucket_that_stumbles_once_is_asked_again(bucket):
    storage.put(KEY, b"x")

    def once(environ, start):
        bucket.s3.trouble = None
        return refusing("500 Internal Server Error", "InternalError")(environ, start)

    bucket.s3.trouble = once
    assert storage.read(KEY) == b"x"


def test_a_bucket_that_does_not_answer_is_asked_twice(bucket, use, monkeypatch):
    monkeypatch.setattr(storage, "S3_PATIENCE", storage.S3_PATIENCE.merge(Config(read_timeout=0.2)))
    use()
    release = threading.Event()
    late = refusing("503 Service Unavailable", "SlowDown")
    bucket.s3.trouble = lambda environ, start: release.wait(10) and late(environ, start)
    with pytest.raises(storage.StorageAway):
        storage.put(KEY, b"x")
    release.set()
    assert len(bucket.s3.asked) == 2


def test_a_server_that_is_gone_is_away(use):
    server = StrictS3()
    use(**server.environment("faces"))
    server.close()
    with pytest.raises(storage.StorageAway):
        storage.keys("photos")


def test_wrong_keys_are_refused_by_the_bucket(bucket, use):
    use(AWS_SECRET_ACCESS_KEY="another")
    with pytest.raises(storage.StorageAway):
        storage.put(KEY, b"x")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        bucket.s3.client("another").list_buckets()


def test_many_threads_share_one_client(bucket, monkeypatch):
    kind, sessions = storage.PrivateS3Storage, []
    make = kind._create_session
    monkeypatch.setattr(kind, "_create_session", lambda s: sessions.append(s) or make(s))
    storage.keys("photos")

    def round_trip(number: int) -> bytes:
        storage.put(f"photos/{number}.jpg", str(number).encode())
        return storage.read(f"photos/{number}.jpg")

    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(round_trip, range(24)))
    assert read == [str(number).encode() for number in range(24)]
    assert (len(storage.keys("photos")), len(sessions)) == (24, 1)


def test_a_store_with_two_puts_at_their_slowest_ends_in_its_time():
    assert download.FETCH_SECONDS + 2 * storage.CALL_SECONDS < delivery.STORE_SECONDS


@pytest.mark.django_db
def test_an_upload_lies_in_the_bucket_and_is_erased_from_it(bucket, ada):
    consent = factories.create_consent(ada)
    photo = safekeeping.accept(ada, factories.portrait(), consent=consent)
    assert storage.keys("photos") == {photo.file.key, photo.thumb.key}
    assert bucket.fetch(storage.link(photo.thumb.key)).headers["Content-Type"] == "image/jpeg"
    assert auditing.findings(files=True) == []
    safekeeping.erase(photo)
    assert safekeeping.erase_due() == 2
    assert (storage.keys("photos"), StoredFile.objects.count()) == (set(), 0)


@pytest.mark.django_db(transaction=True)
def test_a_picture_comes_home_into_the_bucket(bucket, provider, ada, settings):
    settings.PUBLIC_BASE_URL = ""  # the face travels inside the order
    avatar_request = factories.create_request(
        ada, factories.create_photo(ada, factories.portrait())
    )
    engine.finish()
    avatar_request.refresh_from_db()
    assert avatar_request.state == State.READY
    avatar = Avatar.objects.get()
    shown = bucket.fetch(storage.link(avatar.file.key))
    assert imaging.read_mark(shown.content) == avatar.mark_id
    assert storage.keys("avatars") == {avatar.file.key, avatar.thumb.key}
    assert accounts_auditing.findings() + auditing.findings(files=True) == []


@pytest.mark.django_db
def test_a_bucket_that_is_away_loses_no_deletion(bucket, ada):
    photo = factories.create_photo(ada)
    safekeeping.erase(photo)
    bucket.s3.trouble = refusing("404 Not Found", "NoSuchBucket")
    assert safekeeping.erase_due() == 0
    assert set(StoredFile.objects.values_list("state", flat=True)) == {FileState.DOOMED}
    bucket.s3.trouble = None
    assert safekeeping.erase_due() == 2
    assert storage.keys("photos") == set()


@pytest.mark.django_db
def test_the_audit_finds_strangers_and_gaps_in_the_bucket(bucket, ada):
    file = factories.create_file(ada, "avatars", "webp", b"x")
    storage.put("photos/a/stranger.jpg", b"x")
    storage.remove(file.key)
    assert {found.sentence: found.rows for found in auditing.findings(files=True)} == {
        "an object without a row": ["photos/a/stranger.jpg"],
        "a kept row without an object": [file.key],
    }


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("", ""),
        ("us-east-1", ""),
        ("eu-central-1", ""),
        ("auto", "https://s3.example.org:9000/storage/"),
    ],
)
def test_the_content_policy_lets_the_links_in(use, region, endpoint):
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    made = use(S3_BUCKET="faces", S3_REGION=region, S3_ENDPOINT_URL=endpoint, **keys)
    sources = made["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["img-src"]
    link = storage.link(KEY)
    assert any(link.startswith(f"{source.rstrip('/')}/") for source in sources if "//" in source)
