"""Answers, doorbells and files of every shape, mangled: read without a fault, believed little.

Knows the readers, the engine and mangling. FUZZ=200000 asks for so many cases, each time others.
"""

import io
import json
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from avatars import delivery, face_gen, imaging, sending
from avatars.answers import Answer, Outcome, read_look, read_submit
from avatars.models import Attempt, AvatarRequest, State
from avatars.webhooks import BODY_LIMIT
from config.middleware import LARGEST_BODY
from tests import factories
from tests.avatars.scripted import Scripted, recorded, say, serving, wire
from tests.faults.mangling import ENDED, HEADERS, MADE, WORDS, Told, mangled

# Of all cases; the rest are few and slow because each goes through rows or over HTTP.
CASES = max(5_000, int(os.environ.get("FUZZ", "0")))
SHARES = {"answers": 0.70, "doorbells": 0.14, "looks": 0.04, "orders": 0.02, "pictures": 0.10}


def cases(name: str) -> settings:
    """How many of this name; per commit always the same ones, so that a red run can be repeated."""
    return settings(
        max_examples=max(1, round(CASES * SHARES[name])),
        derandomize="FUZZ" not in os.environ,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def is_well_made(answer: Answer) -> None:
    """Whatever came in: what goes on to the rows and to staff is small, finite and storable."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{0,64}", answer.job_id)
    assert (answer.outcome is Outcome.DONE) == bool(answer.outputs)
    assert all(text and text.isprintable() for text in (*answer.outputs, *answer.alternatives))
    json.dumps([answer.outputs, answer.detail]).encode()
    assert 0 < answer.eta < float("inf")
    assert answer.retry_after is None or 5 <= answer.retry_after <= 300
    assert len(answer.detail) <= 200
    assert answer.detail.isprintable()


def believed_of_a_submit(told: Told, headers: dict[str, str]) -> Outcome:
    answer = read_submit(told.status, headers, told.body)
    is_well_made(answer)
    outcome = answer.outcome
    assert outcome is Outcome.UNKNOWN or not told.is_unknown, told
    if outcome in (Outcome.DONE, Outcome.ACCEPTED):
        assert told.word in (*MADE, *ENDED), told
        assert answer.job_id or answer.outputs
    elif outcome is Outcome.ENDED:
        assert told.word == "failed" or b"provider_error" in told.body.lower(), told
        assert not answer.job_id
    elif outcome is Outcome.REFUSED:
        assert told.complains, told
        assert told.word not in MADE, told
        assert not answer.job_id
    return outcome


def believed_of_a_look(told: Told, headers: dict[str, str]) -> Outcome:
    answer = read_look(told.status, headers, told.body)
    is_well_made(answer)
    outcome = answer.outcome
    assert outcome is Outcome.UNKNOWN or not told.is_unknown, told
    if outcome is Outcome.FAILED:
        assert told.word == "failed", told
    elif outcome is Outcome.NOT_FOUND:
        assert told.fields is not None, told
        assert told.status == 404 or told.word in ENDED, told
    elif outcome in (Outcome.DONE, Outcome.PROCESSING):
        assert told.word in MADE, told
    return outcome


@pytest.fixture(autouse=True)
def _configured(settings):
    settings.FACE_GEN_URL = "https://modelslab.com/api/"
    settings.MODELSLAB_API_KEY = "key-of-the-account"


# ── Answers ─────────────────────────────────────────────────────────────────────────────────────


def test_no_mangled_answer_is_a_fault_and_none_that_is_unknown_ends_a_request():
    submits, looks, unknown = Counter[Outcome](), Counter[Outcome](), Counter[bool]()

    @cases("answers")
    @given(mangled(), st.sampled_from(HEADERS))
    def check(came: tuple[int, bytes], headers: dict[str, str]) -> None:
        told = Told(*came)
        submits[believed_of_a_submit(told, headers)] += 1
        looks[believed_of_a_look(told, headers)] += 1
        unknown[told.is_unknown] += 1

    check()
    # The mangling left enough to read, and broke enough.
    assert set(submits) | set(looks) == set(Outcome) - {Outcome.NOT_SENT}
    assert min(unknown.values()) > CASES * SHARES["answers"] / 20


TEN_MB = 10_000_000
PADDING = b"x" * TEN_MB
LARGE = {
    "page": b"<html>" + PADDING,
    "deep": b"[" * TEN_MB,
    "digits": b'{"status":"processing","eta":' + b"9" * TEN_MB + b"}",
    "number in a string": b'{"status":"processing","eta":"0.' + b"1" * TEN_MB + b'"}',
    "path": b'{"fetch_result":"https://modelslab.com/api/' + b"a/" * (TEN_MB // 2) + b'"}',
    "wide": b'{"output":[' + b"1," * (TEN_MB // 2) + b"1]}",
    "spaces": b'{"status":"' + b" " * TEN_MB + b'x"}',
    "zeros": bytes(TEN_MB),
}


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_ten_megabytes_of_anything_are_not_understood(body):
    for read in (read_submit, read_look):
        answer = read(200, {}, body)
        is_well_made(answer)
        assert answer.outcome in (Outcome.UNKNOWN, Outcome.PROCESSING)


@pytest.fixture
def service(settings) -> Scripted:
    """The provider's place on the net, answering whatever a test says; and whom else we call."""
    with serving() as start:
        server = start(say(wire(200, b"{}")))
        settings.FACE_GEN_URL = f"http://{server.netloc}/api/"
        yield server


def test_a_failure_of_ten_megabytes_over_the_line_is_not_believed(service):
    service.answers(b'{"status":"failed","id":"","message":"' + PADDING + b'"}')
    assert face_gen.look("7").outcome is Outcome.UNKNOWN


# ── Answers, as the engine acts on them ─────────────────────────────────────────────────────────


@pytest.fixture
def drawing(ada) -> int:
    """A request under way, known to the provider by the number in its recorded answers."""
    pk = factories.create_request_in(State.GENERATING, ada).pk
    Attempt.objects.update(provider_job_id="91753437")
    return pk


def look_at(pk: int) -> str:
    """The state after one look; as if it had never been, for the next."""
    with transaction.atomic():
        row = AvatarRequest.objects.select_related("hold__wallet").get(pk=pk)
        assert row.claim(timezone.now())
        delivery.look(row)
        state = AvatarRequest.objects.get(pk=pk).state
        transaction.set_rollback(True)
    return state


@pytest.mark.django_db
def test_no_mangled_look_ends_a_request_unless_it_says_failed(drawing, service):
    ends = Counter[str]()

    @cases("looks")
    @given(mangled())
    @example((200, recorded("look_success")))
    @example((200, recorded("look_failed")))
    def check(came: tuple[int, bytes]) -> None:
        told = Told(*came)
        service.answers(told.body, told.status)
        ends[state := look_at(drawing)] += 1
        assert state in (State.GENERATING, State.STORING, State.QUEUED), told
        assert state == State.GENERATING or told.word in ("success", "ready", "failed"), told

    check()
    assert set(ends) == {State.GENERATING, State.STORING, State.QUEUED}


@pytest.mark.django_db
@pytest.mark.parametrize("eta", ["0.001", "36000", "1e15", "1.7e308", '"9e99"'])
def test_a_job_with_any_estimate_may_be_not_found(drawing, service, eta):
    """Whatever an answer to the order has left in the row, a look at it is no fault."""
    accepted = read_submit(200, {}, b'{"status": "processing", "id": 7, "eta": %s}' % eta.encode())
    Attempt.objects.update(eta=accepted.eta)
    service.answers(recorded("look_not_found"))
    assert look_at(drawing) == State.GENERATING


@pytest.mark.django_db
def test_no_mangled_answer_to_an_order_ends_it_unless_it_refuses(ada, service, settings):
    settings.PUBLIC_BASE_URL = ""
    photo = factories.create_photo(ada, factories.portrait())
    pk = factories.create_request(ada, photo).pk
    assert sending.dispatch() == [pk]
    ends = Counter[str]()

    @cases("orders")
    @given(mangled())
    @example((200, recorded("submit_success")))
    @example((200, recorded("submit_validation")))
    def check(came: tuple[int, bytes]) -> None:
        told = Told(*came)
        service.answers(told.body, told.status)
        with transaction.atomic():
            row = AvatarRequest.objects.select_related("hold__wallet").get(pk=pk)
            assert row.claim(timezone.now())
            sending.send(row)
            ends[state := AvatarRequest.objects.get(pk=pk).state] += 1
            transaction.set_rollback(True)
        if told.is_unknown:
            assert state == State.UNCERTAIN, told
        assert state != State.FAILED or told.complains, told

    check()
    after = {State.UNCERTAIN, State.GENERATING, State.STORING, State.QUEUED, State.FAILED}
    assert set(ends) == after


# ── Doorbells ───────────────────────────────────────────────────────────────────────────────────

RUNG = (State.SENDING, State.UNCERTAIN, State.GENERATING, State.STORING, State.FAILED, State.READY)
METHODS = (*["POST"] * 12, "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
TYPES = (
    *("application/json", "text/html", "", "multipart/form-data; boundary=x", "é;=;", "a" * 300),
    *("multipart/form-data", "application/x-www-form-urlencoded", "application/json; charset=no"),
)
# Words that become what a test knows: the decoy's address, the attempt's own number.
SAID = st.fixed_dictionaries(
    {"id": st.sampled_from([917, "917", " 91 ", "taken", 0, True, 1.0, [917], "9/1", "9" * 65])},
    optional={
        "track_id": st.sampled_from(["own", "own ", 0, "", "null", None, True, 1.5, [], [7], {}]),
        "output": st.sampled_from([["decoy"], "decoy"]),
        "fetch_result": st.just("decoy"),
        "status": st.sampled_from(WORDS),
        "padding": st.sampled_from(["", "x" * (BODY_LIMIT - 200), "x" * BODY_LIMIT]),
    },
)


def rows() -> tuple[dict[int, dict[str, object]], ...]:
    """Requests and attempts by their ids, every column."""
    tables = (AvatarRequest.objects, Attempt.objects)
    return tuple({row["id"]: row for row in table.values()} for table in tables)


@contextmanager
def only_these_are_written(*tables: str) -> Iterator[None]:
    """No statement within writes to any other table."""
    reads = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")

    def watch(execute, sql, *rest):
        named = [f'UPDATE "{table}"' for table in tables]
        assert sql.startswith((*reads, *named)), sql
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        yield


def may_name(body: bytes, track_id: int) -> set[str | None]:
    """The job number a doorbell's body, in whatever encoding, may teach us, or none."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {None}
    fields = told if isinstance(told, dict) and len(body) <= BODY_LIMIT else {}
    number, track = fields.get("id"), fields.get("track_id")
    agrees = track in (None, "") or (type(track) in (int, str) and str(track) == str(track_id))
    return {None, str(number).strip()} if agrees and type(number) in (int, str) else {None}


@pytest.fixture
def calls(monkeypatch) -> list[object]:
    """Whom this process tries to reach."""
    made: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: made.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *name, **_: made.append(name) or [])
    return made


@pytest.mark.django_db
def test_a_doorbell_tells_a_number_at_most_and_makes_us_call_nobody(ada, ben, client, calls):
    taken = factories.create_request_in(State.GENERATING, ben).attempts.get().provider_job_id
    rung = {state: factories.create_request_in(state, ada).pk for state in RUNG}
    ended = {"ended_at": timezone.now(), "slot_no": None, "face_open": False}
    for state, outcome in ((State.FAILED, "uncertain"), (State.READY, "done")):
        ends = AvatarRequest.objects.get(pk=rung[state])
        factories.create_attempt(ends, **ended, outcome=outcome)
    far = timezone.now() + timedelta(hours=1)
    AvatarRequest.objects.filter(pk__in=rung.values()).exclude(state=State.READY).update(due_at=far)
    attempts = dict(Attempt.objects.values_list("request", "pk"))
    before, seen, statuses = rows(), Counter[str](), set[int]()

    @cases("doorbells")
    @given(
        st.one_of(SAID, SAID, mangled().map(lambda came: came[1]), st.binary(max_size=50)),
        *(st.sampled_from(many) for many in (RUNG, METHODS, TYPES)),
        st.sampled_from(["right", "right", "right", "wrong", "\x00", "é" * 40, "x" * 900]),
        st.sampled_from([*[None] * 9, "0", "-1", "70000", str(LARGEST_BODY + 1)]),
    )
    @example({"id": 917, "track_id": 1.5}, State.SENDING, "POST", "", "right", None)
    @example({"id": 917, "track_id": [7]}, State.UNCERTAIN, "POST", "", "right", None)
    def check(said, state, method, content_type, token, length) -> None:
        pk, attempt = rung[state], attempts[rung[state]]
        if isinstance(said, dict):
            text = json.dumps(said).replace("decoy", "http://127.0.0.1:9/decoy.png")
            text = text.replace('"own"', str(attempt)).replace("own ", f"{attempt} ")
            said = text.replace("taken", taken).encode()
        path = f"/webhooks/provider/{f'doorbell-{pk}' if token == 'right' else quote(token)}/"
        cache.clear()  # who guesses tokens is let in no more; that is told elsewhere
        sent = {"wsgi.input": io.BytesIO(said)}  # which ends where it ends, whatever is claimed
        sent |= {} if length is None else {"CONTENT_LENGTH": length}
        with transaction.atomic():
            with only_these_are_written("avatars_attempt", "avatars_avatarrequest"):
                answer = client.generic(method, path, said, content_type, **sent)
            requests, orders = rows()
            transaction.set_rollback(True)

        is_large = length == str(LARGEST_BODY + 1)
        knocked = method == "POST" and not is_large
        expected = 200 if token == "right" else 404
        status = 413 if is_large else expected if knocked else 405
        assert (answer.status_code, calls) == (status, [])
        assert answer.content == b"" or not knocked
        statuses.add(status)
        own, request = orders[attempt], requests[pk]
        known, due_at = before[1][attempt]["provider_job_id"], before[0][pk]["due_at"]
        if status == 200:
            wants = known is None and state != State.READY
            assert own["provider_job_id"] in (may_name(said, attempt) if wants else {known})
            assert own["provider_job_id"] != taken or known == taken
            seen["named"] += own["provider_job_id"] != known
            wakes = state in (State.GENERATING, State.UNCERTAIN, State.FAILED)
            is_due = wakes and own["provider_job_id"] is not None
            assert (request["due_at"] != due_at) is is_due
            assert not is_due or request["due_at"] <= timezone.now()
            seen["due"] += is_due
            assert own["rung_at"] is not None
            own["rings"], own["rung_at"] = own["rings"] - 1, None
            own["provider_job_id"], request["due_at"] = known, due_at
        assert (requests, orders) == before

    check()
    assert statuses == {200, 404, 405, 413}
    assert min(seen["named"], seen["due"]) > 0


# ── Result files ────────────────────────────────────────────────────────────────────────────────


def drawn_as(form: str) -> bytes:
    kept = io.BytesIO()
    Image.effect_noise((40, 60), 60).convert("RGB").save(kept, form)
    return kept.getvalue()


FILES = [drawn_as(form) for form in ("PNG", "JPEG", "WEBP")]


def test_a_mangled_result_file_is_a_picture_or_is_none():
    seen = Counter[str]()

    @cases("pictures")
    @given(st.sampled_from(FILES), st.data())
    def check(file: bytes, data: st.DataObject) -> None:
        broken = bytearray(file)
        for _byte in range(data.draw(st.integers(0, 4))):
            # Headers are where lies are: sizes, depths, counts, offsets.
            near = data.draw(st.sampled_from([64, len(broken)]))
            broken[data.draw(st.integers(0, near - 1))] = data.draw(st.integers(0, 255))
        whole = data.draw(st.sampled_from([len(broken), data.draw(st.integers(0, len(broken)))]))
        try:
            renditions = imaging.render_avatar(bytes(broken[:whole]), mark_id="m")
        except (imaging.PictureBroken, imaging.PictureBlocked) as no:
            seen[type(no).__name__] += 1
        else:
            seen["picture"] += 1
            assert renditions.width * renditions.height <= imaging.RESULT_PIXELS
            assert (
                imaging.read_mark(renditions.master) == imaging.read_mark(renditions.thumb) == "m"
            )

    check()
    assert min(seen["picture"], seen["PictureBroken"]) > 0
