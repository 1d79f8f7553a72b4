"""Every shape the provider's answers take, read without a network: contract §4 to §6.

Knows `avatars.answers` and the recorded bodies.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatars.answers import Answer, Outcome, read_look, read_submit
from tests.avatars.scripted import recorded

PICTURE = "https://pub-3626123a908346a7a8be8d9295f44e26.r2.dev/temp/8c3e-0.png"
OF_SUBMIT = {
    *(Outcome.FULL, Outcome.ACCOUNT, Outcome.FACE_UNREACHABLE, Outcome.ODD, Outcome.REFUSED),
    *(Outcome.DONE, Outcome.ACCEPTED, Outcome.ENDED, Outcome.UNKNOWN),
}
OF_LOOK = {
    *(Outcome.DONE, Outcome.PROCESSING, Outcome.FAILED, Outcome.NOT_FOUND),
    *(Outcome.FULL, Outcome.ACCOUNT, Outcome.UNKNOWN),
}


@pytest.fixture(autouse=True)
def _configured(settings):
    settings.FACE_GEN_URL = "https://modelslab.com/api/"
    settings.MODELSLAB_API_KEY = "key-of-the-account"


def submitted(body: object, status: int = 200, **headers: str) -> Answer:
    return read_submit(status, headers, json.dumps(body).encode())


def looked(body: object, status: int = 200) -> Answer:
    return read_look(status, {}, json.dumps(body).encode())


def test_the_recorded_success_carries_picture_alternative_and_id():
    answer = read_submit(200, {}, recorded("submit_success"))
    assert answer == Answer(
        Outcome.DONE,
        job_id="91753437",
        outputs=(PICTURE,),
        alternatives=("https://cdn2.stablediffusionapi.com/temp/8c3e-0.png",),
        detail="HTTP 200",
    )


def test_the_promised_links_of_a_running_job_are_ignored():
    answer = read_submit(200, {}, recorded("submit_processing"))
    assert (answer.outcome, answer.job_id) == (Outcome.ACCEPTED, "91753437")
    assert (answer.outputs, answer.alternatives) == ((), ())


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("submit_rate_limit", Outcome.FULL),
        ("submit_validation", Outcome.REFUSED),
        ("submit_failed", Outcome.ENDED),
    ],
)
def test_the_recorded_errors_of_submit_have_their_class(name, outcome):
    assert read_submit(200, {}, recorded(name)).outcome == outcome


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("look_processing", Outcome.PROCESSING),
        ("look_success", Outcome.DONE),
        ("look_failed", Outcome.FAILED),
        ("look_not_found", Outcome.NOT_FOUND),
    ],
)
def test_the_recorded_answers_to_a_look_have_their_class(name, outcome):
    assert read_look(200, {}, recorded(name)).outcome == outcome


@pytest.mark.parametrize(
    ("value", "job_id"),
    [
        (91753437, "91753437"),
        (" 91753437 ", "91753437"),
        ("a_B-9", "a_B-9"),
        ("x" * 64, "x" * 64),
        ("x" * 65, ""),
        ("../9", ""),
        ("9\n8", ""),
        ("", ""),
        ("null", ""),
        (0, ""),
        (True, ""),
        (9.5, ""),
        ([9], ""),
        (None, ""),
    ],
)
def test_an_id_is_kept_as_text_or_not_at_all(value, job_id):
    assert submitted({"status": "success", "id": value, "output": ["https://x/"]}).job_id == job_id


@pytest.mark.parametrize(
    ("link", "job_id"),
    [
        ("https://modelslab.com/api/v6/image_editing/fetch/77", "77"),
        ("https://modelslab.com/api/v6/images/fetch/77/", "77"),
        ("https://modelslab.com/api/v6/image_editing/fetch/", ""),
        ("https://modelslab.com/api/v6/image_editing/fetch/77?x=1", ""),
        ("http://modelslab.com/api/v6/image_editing/fetch/77", ""),
        ("https://modelslab.com.evil.example/api/v6/image_editing/fetch/77", ""),
        ("https://modelslab.com:8443/api/v6/image_editing/fetch/77", ""),
        (77, ""),
    ],
)
def test_an_id_from_fetch_result_counts_on_our_host_alone(link, job_id):
    answer = submitted({"status": "processing", "fetch_result": link})
    assert answer.job_id == job_id
    assert answer.outcome == (Outcome.ACCEPTED if job_id else Outcome.UNKNOWN)


@pytest.mark.parametrize(
    ("value", "outputs"),
    [
        ([PICTURE], (PICTURE,)),
        (PICTURE, (PICTURE,)),
        ([[PICTURE], [" a ", ""], 7, None], (PICTURE, "a")),
        ({"0": PICTURE}, (PICTURE,)),
        (["data:image/png;base64,AAAA"], ("data:image/png;base64,AAAA",)),
        (["https://x/\x00", "https://x/\ud800", PICTURE], (PICTURE,)),
    ],
)
def test_output_becomes_a_flat_list_of_clean_strings(value, outputs):
    answer = submitted({"status": "success", "id": 1, "output": value})
    assert (answer.outcome, answer.outputs) == (Outcome.DONE, outputs)


@pytest.mark.parametrize("value", ["", [], None, [""], {}, 5])
def test_success_without_output_is_a_job_still_to_be_looked_at(value):
    body = {"status": "success", "id": 1, "output": value}
    assert submitted(body).outcome == Outcome.ACCEPTED
    assert looked(body).outcome == Outcome.PROCESSING


@pytest.mark.parametrize(
    ("value", "links"),
    [
        (["https://c/1"], ("https://c/1",)),
        ({"0": "https://c/1"}, ("https://c/1",)),
        (None, ()),
        ("", ()),
        ([], ()),
    ],
)
def test_proxy_links_come_in_any_container(value, links):
    body = {"status": "success", "output": [PICTURE], "proxy_links": value}
    assert looked(body).alternatives == links


@pytest.mark.parametrize(
    ("value", "eta"),
    [
        *((5, 5.0), (7.5, 7.5), ("12", 12.0), (7200, 7200.0)),
        *((0, 5.0), (-3, 5.0), (None, 5.0), ("soon", 5.0), (True, 5.0)),
        *((float("nan"), 5.0), (float("inf"), 5.0), (10**400, 5.0), ([9], 5.0)),
    ],
)
def test_an_estimate_is_finite_and_positive_or_five_seconds(value, eta):
    assert submitted({"status": "processing", "id": 1, "eta": value}).eta == eta


@pytest.mark.parametrize(
    ("fields", "headers", "pause"),
    [
        ({"retry_after": 30}, {}, 30.0),
        ({"retry_after": "45"}, {"Retry-After": "9"}, 45.0),
        ({"error": {"retry_after": 8}}, {}, 8.0),
        ({}, {"Retry-After": "9"}, 9.0),
        ({"retry_after": 0}, {}, 5.0),
        ({"retry_after": 86400}, {}, 300.0),
        ({}, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, {}, None),
    ],
)
def test_a_pause_is_read_from_body_then_header_and_kept_within_bounds(fields, headers, pause):
    body = json.dumps({"status": "error", "message": "Rate limit exceeded", **fields}).encode()
    assert read_submit(429, headers, body).retry_after == pause


@pytest.mark.parametrize(
    "spelling",
    [
        {"status": " Success\n", "output": PICTURE},
        {"status": "READY", "output": PICTURE},
    ],
)
def test_success_has_more_than_one_spelling(spelling):
    assert looked(spelling).outcome == Outcome.DONE


@pytest.mark.parametrize("word", ["queued", "Pending", "processing"])
def test_a_running_job_has_more_than_one_spelling(word):
    assert submitted({"status": word, "id": 1}).outcome == Outcome.ACCEPTED
    assert looked({"status": word}).outcome == Outcome.PROCESSING


def test_ready_without_output_is_not_understood():
    assert submitted({"status": "ready", "id": 1}).outcome == Outcome.UNKNOWN
    assert looked({"status": "ready"}).outcome == Outcome.UNKNOWN


def test_a_byte_order_mark_and_a_broken_letter_do_not_hide_a_success():
    body = b'\xef\xbb\xbf{"status": "success", "id": 5, "output": ["u"], "meta": "\xff"}'
    assert read_submit(200, {}, body).outcome == Outcome.DONE


def test_no_beginning_of_a_success_is_taken_for_one():
    body = recorded("submit_success").strip()
    cuts = {read_submit(200, {}, body[:length]).outcome for length in range(len(body))}
    assert cuts == {Outcome.UNKNOWN}


def test_trouble_with_our_call_says_nothing_about_the_job_even_when_it_says_failed():
    trouble = [
        looked({"status": "failed", "message": "Invalid API key"}).outcome,
        looked({"status": "failed", "message": "Rate limit exceeded"}).outcome,
        looked({"status": "failed", "message": "Service temporarily unavailable"}).outcome,
        looked({"status": "failed", "message": "Failed, Try Again"}, status=429).outcome,
        looked({"status": "failed", "message": "Failed, Try Again"}, status=500).outcome,
    ]
    assert trouble == [
        *(Outcome.ACCOUNT, Outcome.FULL, Outcome.UNKNOWN),
        *(Outcome.FULL, Outcome.FAILED),
    ]


@pytest.mark.parametrize(
    "told",
    [
        "see https://evil.example/p/face/abc and www.x.example",
        "key key-of-the-account is bad",
        f"token {'Qm7e' * 6} is bad",
        "face data:image/png;base64,AAAA is bad",
    ],
)
def test_staff_read_no_addresses_keys_or_tokens(told):
    detail = submitted({"status": "error", "message": told}).detail
    secrets = ("evil", "www", "key-of", "Qm7e", "base64")
    assert [secret for secret in secrets if secret in detail] == []
    assert detail.startswith("HTTP 200: ")


def test_staff_read_at_most_200_printable_characters():
    detail = submitted({"status": "error", "message": ["no\x00\n" * 300, "\ud800"]}).detail
    assert len(detail) == 200
    assert detail.isprintable()


def test_staff_read_no_html():
    assert read_submit(502, {}, b"<h1>Bad gateway</h1>").detail == (
        "HTTP 502: no JSON object in 20 bytes"
    )


words = st.sampled_from(
    ["success", "processing", "failed", "error", "ready", "queued", "new", "", None, 7]
)
texts = st.sampled_from(["rate limit", "is required", "invalid api key", "try again later.", "?"])
letters = st.text("a0 /:é\x00\ud800", max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | letters,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner, max_size=3),
    max_leaves=5,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "status": words | anything,
        **dict.fromkeys(["id", "output", "message", "messege", "error", "code", "eta"], anything),
        **dict.fromkeys(["fetch_result", "proxy_links", "retry_after", "current_queue"], anything),
    },
)
statuses = st.sampled_from([200, 204, 302, 400, 401, 402, 404, 408, 409, 422, 429, 500, 524])


@given(statuses, st.binary(max_size=200))
def test_no_bytes_are_too_strange(status, body):
    assert read_submit(status, {}, body).outcome in OF_SUBMIT
    assert read_look(status, {}, body).outcome in OF_LOOK


@given(statuses, bodies)
def test_no_shape_is_too_strange(status, body):
    data = json.dumps(body).encode()
    answer = read_submit(status, {}, data)
    assert answer.outcome in OF_SUBMIT
    assert (answer.outcome == Outcome.DONE) == bool(answer.outputs)
    assert answer.job_id or answer.outcome != Outcome.ACCEPTED
    assert len(answer.detail) <= 200
    answer.detail.encode()
    assert read_look(status, {}, data).outcome in OF_LOOK


@given(bodies.filter(lambda body: body.get("status") not in ("error", "failed")))
def test_a_shape_nobody_calls_an_error_never_ends_a_request(body):
    for name in ("error", "code", "current_queue"):
        body.pop(name, None)
    outcome = submitted(body).outcome
    assert outcome in {Outcome.DONE, Outcome.ACCEPTED, Outcome.UNKNOWN}


@pytest.mark.parametrize("deep", [b"[", b'{"status":', b'{"output":['])
def test_depth_does_not_exhaust_the_reader(deep):
    assert read_submit(200, {}, deep * 100_000).outcome == Outcome.UNKNOWN
    nested = b'{"status": "success", "id": 1, "output": ' + b"[" * 400 + b'"u"' + b"]" * 400 + b"}"
    assert read_submit(200, {}, nested).outputs == ("u",)
