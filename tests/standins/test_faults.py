"""Scenarios of submits, looks and generations do what the contract says, seen from outside.

Knows the stand-ins alone.
"""

import json
import math
import time

import pytest
import requests

from tests.standins.callers import KEY, SUBMIT, eventually

# Submit, no job made


@pytest.mark.parametrize(
    ("token", "status", "text"),
    [
        ("429", 429, "Rate limit exceeded. Maximum 5 queued requests allowed."),
        ("429-in-200", 200, "Rate limit exceeded. Maximum 5 queued requests allowed."),
        ("invalid", 400, "The prompt field is required."),
        ("invalid-object", 400, "The prompt field is required."),
        ("no-route", 404, "could not be found"),
        ("no-credit", 402, "Insufficient credits"),
        ("no-plan", 403, "requires a premium subscription"),
        ("error-unknown", 200, "Something unexpected has happened."),
        ("500", 500, "Internal server error"),
        ("503", 503, "temporarily unavailable"),
        ("html502", 502, "<h1>502 Bad Gateway</h1>"),
    ],
)
def test_a_refused_submit_says_so_and_makes_no_job(caller, stand_in, token, status, text):
    answer = caller.submit(f"a keeper [[{token}]]")
    assert (answer.status_code, text in answer.text) == (status, True)
    assert stand_in.books.accepted() == 0
    events = [line["event"] for line in stand_in.books.lines()]
    assert events == ["received", "refused", "answered"]


def test_the_third_answer_to_an_identical_body_waits_out_the_spam_filter(caller, stand_in):
    stand_in.switch(spam=True)
    assert [caller.submit(seed=1).status_code for _ in range(2)] == [200, 429]
    assert caller.submit(seed=2).status_code == 200
    stand_in.advance(31)
    assert caller.submit(seed=1).status_code == 200


@pytest.mark.parametrize(("token", "least"), [("drop-before", 0), ("hang-before=0.1", 0.1)])
def test_a_line_cut_before_the_job_leaves_nothing_behind(caller, stand_in, token, least):
    started = time.perf_counter()
    with pytest.raises(requests.ConnectionError):
        caller.submit(f"[[{token}]]")
    assert time.perf_counter() - started >= least
    assert stand_in.books.accepted() == 0
    assert [line["status"] for line in stand_in.books.lines("answered")] == ["cut"]


@pytest.mark.parametrize(
    ("key", "status"), [("test-invalid", 401), ("test-nocredit", 402), ("test-noplan", 403)]
)
def test_keys_that_behave(caller, stand_in, key, status):
    caller.key = key
    assert caller.submit().status_code == status
    caller.key = "test-always200"
    assert caller.submit("[[no-credit]]").status_code == 200
    caller.key = "test-ratelimit"
    assert caller.submit().status_code == 429
    caller.key = "test-strict"
    assert caller.submit(num_inference_steps=22).status_code == 400
    assert stand_in.books.accepted() == 0


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("{", "application/json"),
        ("[1]", "application/json"),
        ("[" * 100_000, "application/json"),
        (json.dumps({"key": KEY, "prompt": "x"}), "text/plain"),
    ],
)
def test_what_is_not_an_object_in_json_is_an_invalid_request(caller, body, content_type):
    answer = caller.session.post(
        caller.url + SUBMIT, data=body, headers={"Content-Type": content_type}, timeout=5
    )
    assert (answer.status_code, answer.json()["message"]) == (400, "Invalid API Request")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"prompt": "null"}, "The prompt field is required."),
        ({"face_image": ""}, "The face_image field is required."),
        (
            {"face_image": "data:image/jpeg;base64,/9j/4A=="},
            "The face image must be a valid url when base64 is false.",
        ),
        (
            {"face_image": "/9j/4A==", "base64": True},
            "The face image must be a valid base64 image.",
        ),
        (
            {"face_image": "data:image/jpeg;base64,AAAA", "base64": True},
            "The face image must be a valid base64 image.",
        ),
    ],
)
def test_a_field_that_must_be_there_is_demanded(caller, body, message):
    assert caller.submit(**body).json()["message"] == message
    caller.stand_in.switch(validation="object")
    assert list(caller.submit(**body).json()["message"].values()) == [[message]]


@pytest.mark.parametrize(
    "body",
    [
        {"num_inference_steps": 25},
        {"width": 1024},
        {"height": "many"},
        {"samples": 3},
        {"guidance_scale": 0},
        {"seed": -1},
        {"style": "cubist"},
        {"safety_checker": "perhaps"},
        {"safety_checker_type": "white"},
        {"model_id": "another"},
        {"track_id": [1]},
        {"webhook": 5},
    ],
)
def test_a_breach_is_noted_always_and_refused_when_strict(caller, stand_in, body):
    (field,) = body
    assert caller.submit(**body).json()["status"] == "processing"
    stand_in.switch(strict=True)
    refused = caller.submit(**body)
    assert (refused.status_code, field in refused.json()["message"]) == (400, True)
    assert [breach.partition(":")[0] for breach in stand_in.books.violations()] == [field] * 2


# Submit, job made


def test_sync_answers_with_a_picture_that_can_be_read_at_once(caller):
    answer = caller.submit("[[sync]]").json()
    assert answer["status"] == "success"
    assert caller.get(answer["output"][0]).headers["Content-Type"] == "image/png"
    assert caller.get(answer["proxy_links"][0]).status_code == 200


@pytest.mark.parametrize(
    ("token", "status", "text"),
    [
        ("html524", 524, "<h1>524: A timeout occurred</h1>"),
        ("500-after", 500, "Internal server error"),
        ("failed-now", 200, "Failed, Try Again"),
        ("wrong-content-type", 200, '"processing"'),
        ("hang-after=0.1", 200, '"processing"'),
    ],
)
def test_a_job_is_made_whatever_the_answer_looks_like(caller, stand_in, token, status, text):
    answer = caller.submit(f"[[{token}]]")
    assert (answer.status_code, text in answer.text) == (status, True)
    assert stand_in.books.accepted() == 1
    html = token in ("html524", "wrong-content-type")
    assert answer.headers["Content-Type"].startswith("text/html") is html


@pytest.mark.parametrize("token", ["drop-after", "truncated"])
def test_a_job_is_made_though_its_answer_never_arrives_whole(caller, stand_in, token):
    with pytest.raises(requests.RequestException):
        caller.submit(f"[[{token}]]", track_id=5)
    eventually(lambda: stand_in.books.generated(5) == 1)


def test_an_answer_may_lack_its_id_or_its_status(caller):
    whole = set(caller.submit().json())
    assert whole - set(caller.submit("[[no-id]]").json()) == {"id"}
    assert whole - set(caller.submit("[[no-status]]").json()) == {"status"}
    assert whole - set(caller.submit("[[no-fetch-result]]").json()) == {"fetch_result"}


# Shape


@pytest.mark.parametrize(
    ("token", "field", "value"),
    [
        ("delay=7", "eta", 7),
        ("eta=float", "eta", 0.0),
        ("eta=0", "eta", 0),
        ("eta=huge", "eta", 36000),
        ("output=empty-string", "output", ""),
        ("proxy-links=empty", "proxy_links", []),
        ("proxy-links=null", "proxy_links", None),
        ("proxy-links=object", "proxy_links", {}),
    ],
)
def test_a_field_takes_the_shape_asked_for(caller, token, field, value):
    assert caller.submit(f"[[{token}]]").json()[field] == value


def test_fields_may_be_absent_no_number_or_of_another_type(caller):
    assert "eta" not in caller.submit("[[eta=absent]]").json()
    assert "proxy_links" not in caller.submit("[[proxy-links=absent]]").json()
    assert math.isnan(caller.submit("[[eta=nan]]").json()["eta"])
    number = caller.submit("[[id=string]]").json()["id"]
    assert isinstance(number, str)
    assert caller.ended(number)["id"] == number


def test_errors_change_their_shape(caller, stand_in):
    stand_in.switch(message_key="messege", codes=True, retry_after="absent")
    assert caller.submit("[[429]]").json() == {
        "status": "error",
        "messege": "Rate limit exceeded. Maximum 5 queued requests allowed.",
        "code": "rate_limited",
    }
    stand_in.switch(errors="always200")
    refused = caller.submit("[[500]]")
    assert (refused.status_code, refused.json()["code"]) == (200, "internal_error")


def test_a_foreign_fetch_result_leads_to_the_decoy_which_knows_the_key(caller, stand_in):
    link = caller.submit("[[foreign-fetch-result]]").json()["fetch_result"]
    assert link.startswith(stand_in.decoy_url)
    assert stand_in.books.strays() == []
    requests.post(link, json={"key": "somebody-else"}, timeout=5)
    requests.post(link, json={"key": KEY}, timeout=5)
    assert [line["key_seen"] for line in stand_in.books.strays()] == [False, True]


# Look


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("429", 429, "Rate limit"),
        ("500", 500, "Internal"),
        ("html502", 502, "<h1>"),
        ("invalid-key", 401, "Invalid API key"),
        ("unknown-word", 200, "pondering"),
        ("error", 200, "unexpected"),
    ],
)
def test_a_look_may_say_nothing_about_the_job(caller, stand_in, kind, status, text):
    job = caller.accepted()
    stand_in.switch(look=kind)
    answer = caller.post(f"/api/v6/image_editing/fetch/{job}")
    assert (answer.status_code, text in answer.text) == (status, True)
    stand_in.switch(look="usual")
    assert caller.ended(job)["status"] == "success"


def test_a_look_may_be_cut(caller):
    job = caller.accepted("[[look=drop]]")
    with pytest.raises(requests.ConnectionError):
        caller.look(job)


# Generation


def test_a_stuck_job_holds_its_place_until_the_day_is_over(caller, stand_in):
    stuck = [caller.accepted("[[stuck]]") for _ in range(5)]
    stand_in.advance(3600)
    assert caller.look(stuck[0])["status"] == "processing"
    assert caller.submit().status_code == 429
    stand_in.advance(24 * 3600)
    assert caller.ended(stuck[0])["status"] == "failed"
    eventually(lambda: caller.submit().status_code == 200)
    assert stand_in.books.generated() in (0, 1)


def test_jobs_fail_at_the_end_or_after_their_time(caller, stand_in):
    stand_in.switch(delay=10)
    at_end, after_two = caller.accepted("[[fail]]"), caller.accepted("[[fail=2]]")
    stand_in.advance(2)
    assert [caller.look(job)["status"] for job in (at_end, after_two)] == ["processing", "failed"]
    stand_in.advance(8)
    assert caller.look(at_end) == {
        "status": "failed",
        "id": "",
        "message": "Failed, Try Again",
        "output": "",
    }
    assert stand_in.books.generated() == 0


def test_a_job_may_be_unknown_for_a_while_or_for_good(caller, stand_in):
    late, lost = caller.accepted("[[not-found=50]]"), caller.accepted("[[forgotten]]")
    stand_in.advance(49)
    assert [caller.look(job)["message"] for job in (late, lost)] == ["Request not found"] * 2
    stand_in.advance(1)
    assert caller.look(late)["status"] == "success"
    assert caller.look(lost)["message"] == "Request not found"
    assert [record.generated for record in stand_in.books.jobs()] == [1, 0]


def test_success_may_come_without_output_for_some_looks(caller):
    job = caller.accepted("[[empty-success=2]]")
    seen = [caller.ended(job) for _ in range(3)]
    assert [answer["status"] for answer in seen] == ["success"] * 3
    assert [len(answer["output"]) for answer in seen] == [0, 0, 1]


def test_a_late_job_takes_longer_than_its_eta(caller, stand_in):
    answer = caller.submit("[[delay=3]] [[late=100]]").json()
    stand_in.advance(102)
    assert (answer["eta"], caller.look(answer["id"])["status"]) == (3, "processing")
    stand_in.advance(1)
    assert caller.look(answer["id"])["status"] == "success"
