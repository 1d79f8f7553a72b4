"""Looking, bringing home, doorbells and late pictures.

Knows the verbs, the factories and, for real bytes over real HTTP, a small server of files.
"""

import io
import json
import re
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from PIL import Image

from avatars import delivery, generation, imaging, storage
from avatars.models import Attempt, Avatar, AvatarRequest, FileState, Reason, State, StoredFile
from avatars.models.attempts import Breaker, Outcome, Service
from config import standins
from config.logs import ConsoleFormatter
from tests import factories

pytestmark = pytest.mark.django_db


def picture(colour: tuple[int, int, int] = (180, 120, 90)) -> bytes:
    """A 512×768 PNG on which something can be seen."""
    image = Image.linear_gradient("L").resize((512, 768))
    image.paste(255, (100, 100, 400, 400))
    coloured = Image.merge("RGB", [image.point(lambda v, c=c: v * c // 255) for c in colour])
    buffer = io.BytesIO()
    coloured.save(buffer, "PNG")
    return buffer.getvalue()


def black() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (512, 768)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def shelf(settings):
    """A file server on loopback: {path: (status, content type, bytes)}; says what was asked."""
    files: dict[str, tuple[str, str, bytes]] = {}
    asked: list[str] = []

    def app(environ, start_response):
        asked.append(environ["PATH_INFO"])
        status, content_type, body = files.get(
            environ["PATH_INFO"], ("404 Not Found", "text/html", b"<html>not yet</html>")
        )
        start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    server = standins.serve(app)
    settings.FACE_GEN_RESULT_HOSTS = [server.url.removeprefix("http://")]
    settings.FACE_GEN_URL = f"{server.url}/api/"
    settings.MODELSLAB_API_KEY = "test-key-0123456789"
    yield type("Shelf", (), {"files": files, "asked": asked, "url": server.url})
    server.close()


def said(shelf, job_id: str, body: dict) -> None:
    """What the provider answers to a look."""
    shelf.files[f"/api/v6/image_editing/fetch/{job_id}"] = (
        "200 OK",
        "application/json",
        json.dumps(body).encode(),
    )


def storing(user, shelf, body: bytes | None, **fields) -> AvatarRequest:
    avatar_request = factories.create_request_in(State.STORING, user)
    if body is not None:
        shelf.files["/temp/a-0.png"] = shelf.files["/temp/b-0.png"] = ("200 OK", "image/png", body)
    avatar_request.attempts.update(
        outputs=[[f"{shelf.url}/temp/a-0.png", f"{shelf.url}/temp/b-0.png"]], **fields
    )
    return avatar_request


def test_a_picture_comes_home_once_and_the_credit_is_spent(ada, shelf):
    avatar_request = storing(ada, shelf, picture())
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    ada.wallet.refresh_from_db()
    avatar = Avatar.objects.get(user=ada)
    assert avatar_request.state == State.READY
    assert (ada.wallet.available, ada.wallet.reserved) == (10, 0)
    assert (avatar.width, avatar.height, avatar.gift) == (512, 768, False)
    assert set(StoredFile.objects.filter(key__startswith="avatars/").values_list("state")) == {
        (FileState.KEPT,)
    }


def test_every_stored_size_carries_the_mark_and_nothing_else(ada, shelf):
    generation.advance(storing(ada, shelf, picture()).pk)
    avatar = Avatar.objects.get()
    for file in (avatar.file, avatar.thumb):
        content = storage.read(file.key)
        assert imaging.read_mark(content) == avatar.mark_id
        assert "exif" not in Image.open(io.BytesIO(content)).info


def test_delivering_twice_hangs_one_picture(ada, shelf):
    avatar_request = storing(ada, shelf, picture())
    rival = AvatarRequest.objects.get(pk=avatar_request.pk)
    now = timezone.now()
    assert rival.claim(now)
    delivery.store(rival)
    delivery.store(AvatarRequest.objects.get(pk=avatar_request.pk))
    assert Avatar.objects.count() == 1
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (10, 0)


def test_the_loser_of_a_delivery_leaves_no_file_behind(ada, shelf):
    avatar_request = storing(ada, shelf, picture())
    stale = AvatarRequest.objects.get(pk=avatar_request.pk)
    generation.advance(avatar_request.pk)
    delivery.store(stale)
    states = StoredFile.objects.filter(key__startswith="avatars/").values_list("state", flat=True)
    assert sorted(states) == [FileState.DOOMED] * 2 + [FileState.KEPT] * 2


@pytest.mark.parametrize(
    ("tries", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 15), (6, 30), (7, 60), (8, 600)]
)
def test_a_file_that_is_not_there_yet_is_waited_for(ada, shelf, tries, seconds):
    avatar_request = storing(ada, shelf, None)
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(tries=tries - 1)
    with time_machine.travel(timezone.now(), tick=False):
        generation.advance(avatar_request.pk)
        avatar_request.refresh_from_db()
        assert avatar_request.state == State.STORING
        assert avatar_request.due_at == timezone.now() + timedelta(seconds=seconds)


def test_the_alternative_address_takes_turns(ada, shelf):
    avatar_request = storing(ada, shelf, None)
    for _look in range(2):
        AvatarRequest.objects.filter(pk=avatar_request.pk).update(due_at=timezone.now())
        generation.advance(avatar_request.pk)
    assert shelf.asked == ["/temp/a-0.png", "/temp/b-0.png"]


def test_a_black_picture_is_not_charged(ada, shelf):
    avatar_request = storing(ada, shelf, black())
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    ada.wallet.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.BLOCKED)
    assert (ada.wallet.available, Avatar.objects.count()) == (11, 0)


def test_a_broken_picture_is_not_charged_after_five_tries(ada, shelf):
    avatar_request = storing(ada, shelf, picture()[:400] + b"\x00" * 400)
    for _try in range(5):
        AvatarRequest.objects.filter(pk=avatar_request.pk).update(due_at=timezone.now())
        generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.BROKEN)


def test_a_foreign_host_is_not_asked_and_adding_it_lets_the_next_try_succeed(ada, shelf, settings):
    avatar_request = storing(ada, shelf, picture())
    allowed, settings.FACE_GEN_RESULT_HOSTS = settings.FACE_GEN_RESULT_HOSTS, ["cdn.example"]
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, shelf.asked) == (State.STORING, [])
    settings.FACE_GEN_RESULT_HOSTS = allowed
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(due_at=timezone.now())
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert avatar_request.state == State.READY


def test_storage_that_is_away_is_waited_for(ada, shelf, monkeypatch):
    avatar_request = storing(ada, shelf, picture())

    def away(key: str, content: bytes) -> None:
        raise storage.StorageAway("test")

    monkeypatch.setattr(storage, "put", away)
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert avatar_request.state == State.STORING
    monkeypatch.undo()
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(due_at=timezone.now())
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert avatar_request.state == State.READY


def test_while_the_storage_rests_nothing_is_fetched_and_no_try_is_used_up(ada, shelf):
    avatar_request = storing(ada, shelf, picture())
    breaker, now = Breaker.of(Service.STORAGE), timezone.now()
    for _failure in range(3):
        breaker.failure(now)
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.tries, shelf.asked) == (State.STORING, 0, [])
    with time_machine.travel(now + timedelta(seconds=31)):
        generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert avatar_request.state == State.READY


def test_a_crowd_of_late_looks_takes_turns_and_delays_nobody(ada):
    failed = [factories.create_request_in(State.FAILED, ada) for _ in range(5)]
    waiting = factories.create_request_in(State.GENERATING, ada)
    now = timezone.now()
    for late, one in enumerate(reversed(failed)):
        waited = timedelta(seconds=late)
        AvatarRequest.objects.filter(pk=one.pk).update(due_at=now - waited)
    assert generation.sweep() == [waiting.pk, failed[0].pk, failed[1].pk]


def test_a_photo_kept_until_ready_is_due_at_once(ada, shelf):
    avatar_request = storing(ada, shelf, picture())
    type(avatar_request.photo).objects.update(keep="ready")
    generation.advance(avatar_request.pk)
    avatar_request.photo.refresh_from_db()
    assert avatar_request.photo.delete_at <= timezone.now()


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_a_photo_kept_until_ready_goes_with_the_last_of_its_batch_whatever_became_of_that(
    ada, shelf, ending
):
    ready = storing(ada, shelf, picture())
    photo = ready.photo
    type(photo).objects.update(keep="ready")
    other = factories.create_request(ada, photo)
    generation.advance(ready.pk)
    other.refresh_from_db()
    assert other.finish(State(ending), "late", now=timezone.now())
    photo.refresh_from_db()
    assert not photo.is_present(timezone.now())
    assert list(type(photo).objects.expired(timezone.now())) == [photo]


def test_a_photo_kept_until_ready_of_which_nothing_became_starts_its_day_anew(ada):
    asked = factories.create_request(ada)
    a_day_ago = timezone.now() - timedelta(hours=25)  # it was long in review
    type(asked.photo).objects.update(
        keep="ready", last_used_at=a_day_ago, delete_at=a_day_ago + timedelta(hours=24)
    )
    assert asked.finish(State.FAILED, "late", now=timezone.now())
    asked.photo.refresh_from_db()
    assert asked.photo.is_present(timezone.now() + timedelta(hours=23))


def generating(user, shelf, body: dict, **fields) -> AvatarRequest:
    avatar_request = factories.create_request_in(State.GENERATING, user)
    avatar_request.attempts.update(provider_job_id="91", **fields)
    said(shelf, "91", body)
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    return avatar_request


def test_a_look_that_finds_the_picture_frees_the_slot(ada, shelf):
    output = f"{shelf.url}/temp/a-0.png"
    avatar_request = generating(ada, shelf, {"status": "success", "id": 91, "output": [output]})
    attempt = avatar_request.attempts.get()
    assert (avatar_request.state, attempt.slot_no, attempt.outputs) == (
        State.STORING,
        None,
        [[output]],
    )


@pytest.mark.parametrize(
    "body",
    [
        {"status": "processing", "message": "try again later.", "output": ""},
        {"status": "success", "output": []},
        {"status": "error", "message": "Rate limit exceeded."},
        {"status": "something new"},
        {"status": "failed", "message": "Request not found"},
    ],
)
def test_a_look_that_says_nothing_certain_is_repeated(ada, shelf, body):
    avatar_request = generating(ada, shelf, body)
    assert (avatar_request.state, avatar_request.tries) == (State.GENERATING, 0)
    assert avatar_request.due_at > timezone.now()


def test_a_failed_job_is_drawn_once_more(ada, shelf):
    avatar_request = generating(ada, shelf, {"status": "failed", "message": "Failed, Try Again"})
    assert avatar_request.state in (State.QUEUED, State.SENDING)
    assert avatar_request.attempts.filter(outcome=Outcome.FAILED).count() == 1


def test_a_job_not_found_for_long_is_lost_and_watched_for_a_gift(ada, shelf):
    long_ago = timezone.now() - timedelta(minutes=5)
    avatar_request = generating(
        ada, shelf, {"status": "failed", "message": "Request not found"}, accepted_at=long_ago
    )
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.LOST)
    assert avatar_request.due_at > timezone.now()


@pytest.mark.parametrize(("has_doorbell", "longest"), [(True, 24), (False, 6)])
def test_looks_grow_rarer_up_to_a_limit(ada, has_doorbell, longest):
    now = timezone.now()
    attempt = Attempt(
        accepted_at=now - timedelta(minutes=5), doorbell_hash="x" if has_doorbell else None
    )
    assert longest / 1.5 <= delivery.next_look(attempt, now) <= longest


def late(user, shelf, body: dict | None = None) -> AvatarRequest:
    """A request whose promise ran out while the provider was drawing."""
    avatar_request = factories.create_request_in(State.GENERATING, user)
    avatar_request.attempts.update(provider_job_id="91")
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(deadline_at=timezone.now())
    generation.advance(avatar_request.pk)
    shelf.files["/temp/a-0.png"] = ("200 OK", "image/png", picture())
    said(
        shelf,
        "91",
        body or {"status": "success", "id": 91, "output": [f"{shelf.url}/temp/a-0.png"]},
    )
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(due_at=timezone.now())
    avatar_request.refresh_from_db()
    return avatar_request


def test_a_late_picture_is_a_gift(ada, shelf):
    avatar_request = late(ada, shelf)
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.LATE)
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    ada.wallet.refresh_from_db()
    assert (avatar_request.state, avatar_request.due_at) == (State.FAILED, None)
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)
    assert Avatar.objects.get(user=ada).gift


def test_a_late_picture_that_was_withheld_is_no_gift_and_is_asked_for_no_more(ada, shelf):
    avatar_request = late(ada, shelf)
    shelf.files["/temp/a-0.png"] = ("200 OK", "image/png", black())
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    ada.wallet.refresh_from_db()
    assert (avatar_request.state, avatar_request.due_at) == (State.FAILED, None)
    assert (ada.wallet.available, Avatar.objects.count()) == (11, 0)


def test_a_late_look_that_finds_nothing_looks_again_until_the_watch_ends(ada, shelf):
    avatar_request = late(ada, shelf, {"status": "processing"})
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert avatar_request.due_at > timezone.now() + timedelta(minutes=4)
    with time_machine.travel(timezone.now() + timedelta(hours=21)):
        generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert avatar_request.due_at is None


def ring(client, avatar_request: AvatarRequest, body: object, token: str = "") -> int:
    path = f"/webhooks/provider/{token or f'doorbell-{avatar_request.pk}'}/"
    content = body if isinstance(body, bytes) else json.dumps(body)
    return client.post(path, content, content_type="application/json").status_code


def test_a_doorbell_makes_us_look_at_once(ada, client):
    avatar_request = factories.create_request_in(State.GENERATING, ada)
    AvatarRequest.objects.update(due_at=timezone.now() + timedelta(minutes=1))
    assert ring(client, avatar_request, {"status": "success", "id": 5}) == 200
    avatar_request.refresh_from_db()
    assert avatar_request.due_at <= timezone.now()


def test_a_doorbell_names_the_job_of_an_order_in_doubt(ada, client):
    avatar_request = factories.create_request_in(State.UNCERTAIN, ada)
    attempt = avatar_request.attempts.get()
    assert ring(client, avatar_request, {"id": 917, "track_id": str(attempt.pk)}) == 200
    attempt.refresh_from_db()
    assert attempt.provider_job_id == "917"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[1, 2]",
        b"\xff\xfe",
        b"[" * 30_000,
        b"x" * 10_000_000,
        {"id": ""},
        {"id": "../../etc"},
        {"id": "1" * 65},
        {"id": True},
        {"id": {"a": 1}},
        {"id": 917, "track_id": 424242},
    ],
    ids=lambda body: repr(body)[:20],
)
def test_a_doorbell_that_says_nothing_usable_changes_nothing(ada, client, body):
    avatar_request = factories.create_request_in(State.UNCERTAIN, ada)
    due_at = timezone.now() + timedelta(minutes=1)
    AvatarRequest.objects.update(due_at=due_at)
    assert ring(client, avatar_request, body) == 200
    avatar_request.refresh_from_db()
    assert avatar_request.attempts.get().provider_job_id is None
    assert avatar_request.due_at == due_at


def test_a_forged_doorbell_is_nobodys(ada, client):
    avatar_request = factories.create_request_in(State.UNCERTAIN, ada)
    assert ring(client, avatar_request, {"id": 917}, token="guess" * 8) == 404
    assert avatar_request.attempts.get().provider_job_id is None


def test_a_doorbell_cannot_claim_another_attempts_job(ada, ben, client):
    hers = factories.create_request_in(State.GENERATING, ada)
    his = factories.create_request_in(State.UNCERTAIN, ben)
    job_id = hers.attempts.get().provider_job_id
    assert ring(client, his, {"id": job_id}) == 200
    assert his.attempts.get().provider_job_id is None


def test_a_known_job_number_is_not_replaced(ada, client):
    avatar_request = factories.create_request_in(State.GENERATING, ada)
    known = avatar_request.attempts.get().provider_job_id
    assert ring(client, avatar_request, {"id": 1}) == 200
    assert avatar_request.attempts.get().provider_job_id == known


def test_only_five_rings_are_heard(ada, client):
    avatar_request = factories.create_request_in(State.GENERATING, ada)
    for _ring in range(5):
        ring(client, avatar_request, {"id": 1})
    due_at = timezone.now() + timedelta(minutes=1)
    AvatarRequest.objects.update(due_at=due_at)
    assert ring(client, avatar_request, {"id": 1}) == 200
    avatar_request.refresh_from_db()
    assert avatar_request.due_at == due_at


def test_a_doorbell_is_dead_after_twenty_hours(ada, client):
    avatar_request = factories.create_request_in(State.GENERATING, ada)
    with time_machine.travel(timezone.now() + timedelta(hours=20, seconds=1)):
        assert ring(client, avatar_request, {"id": 1}) == 404


def test_reading_a_doorbell_is_not_ringing_it(ada, client):
    avatar_request = factories.create_request_in(State.GENERATING, ada)
    assert client.get(f"/webhooks/provider/doorbell-{avatar_request.pk}/").status_code == 405


def test_a_doorbell_for_an_ended_request_changes_no_money(ada, client):
    avatar_request = factories.create_request_in(State.READY, ada)
    factories.create_attempt(avatar_request, ended_at=timezone.now(), slot_no=None, face_open=False)
    assert ring(client, avatar_request, {"id": 917}) == 200
    ada.wallet.refresh_from_db()
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.due_at, ada.wallet.available) == (
        State.READY,
        None,
        10,
    )


def test_the_face_link_serves_the_photo_and_counts_every_read(ada, client):
    avatar_request = factories.create_request_in(State.SENDING, ada)
    path = f"/p/face/face-{avatar_request.pk}/"
    answer = client.get(path)
    assert (answer.status_code, answer.content) == (200, factories.TINY_JPEG)
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("image/jpeg", "no-store")
    client.head(path)
    assert avatar_request.attempts.get().face_hits == 2


def test_a_closed_face_link_is_gone(ada, client):
    avatar_request = factories.create_request_in(State.SENDING, ada)
    assert avatar_request.attempts.get().revoke_unread()
    assert client.get(f"/p/face/face-{avatar_request.pk}/").status_code == 410
    assert client.get("/p/face/unknown/").status_code == 410


def test_secrets_of_an_address_never_reach_a_log_line(ada, client, caplog):
    avatar_request = factories.create_request_in(State.SENDING, ada)
    with caplog.at_level("DEBUG"):
        ring(client, avatar_request, {"id": 1}, token="secret-token-in-path")
        client.get("/p/face/secret-face-token/")
    logged = "\n".join(ConsoleFormatter().format(record) for record in caplog.records)
    assert not re.search(r"secret-(token|face)", logged)
