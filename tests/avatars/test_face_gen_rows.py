"""What each answer means over real HTTP, row by row: contract §5 for submit, §6 for looks.

Knows `avatars.face_gen` and the recorded bodies.
"""

import pytest

from avatars import face_gen
from avatars.face_gen import Order, Outcome
from tests.avatars.scripted import Scripted, recorded, say, serving, wire

ORDER = Order(
    prompt="portrait",
    avoid="",
    style="realistic",
    steps=21,
    seed=1,
    face="https://likeness.example/p/face/x/",
    inline=False,
    webhook=None,
    track_id=None,
)


@pytest.fixture
def provider(settings) -> Scripted:
    with serving() as start:
        server = start(say(wire(200, b"{}")))
        settings.FACE_GEN_URL = f"http://{server.netloc}/api/"
        settings.MODELSLAB_API_KEY = "key"
        yield server


PICTURE = "https://cdn2.modelslab.com/temp/a-0.png"
RUNNING = {"status": "processing", "id": 7, "output": []}


def error(message: object = "", **fields: object) -> dict[str, object]:
    return {"status": "error", "message": message, **fields}


@pytest.mark.parametrize(
    ("row", "outcome", "status", "body"),
    [
        (2, Outcome.DONE, 200, recorded("submit_success")),
        (2, Outcome.DONE, 500, {"status": "success", "output": [PICTURE]}),
        (3, Outcome.ACCEPTED, 200, recorded("submit_processing").replace(b"modelslab.com", b"x")),
        (3, Outcome.ACCEPTED, 429, RUNNING | {"message": "Rate limit exceeded"}),
        (3, Outcome.ACCEPTED, 200, {"status": "success", "id": "a7", "output": ""}),
        (3, Outcome.ACCEPTED, 500, error("Rate limit exceeded", id=7)),
        (3, Outcome.ACCEPTED, 200, {"status": "failed", "id": 7}),
        (4, Outcome.ENDED, 200, recorded("submit_failed")),
        (4, Outcome.ENDED, 500, error("?", code="provider_error")),
        (5, Outcome.FULL, 200, recorded("submit_rate_limit")),
        (5, Outcome.FULL, 429, b"<html>"),
        (5, Outcome.FULL, 200, error("Wait", code="rate_limited")),
        (5, Outcome.FULL, 503, error(current_queue=5)),
        (5, Outcome.FULL, 400, error("5 QUEUED REQUESTS")),
        (6, Outcome.ACCOUNT, 200, {"status": "error", "messege": "Invalid API key"}),
        (6, Outcome.ACCOUNT, 400, {"error": {"message": "API key required"}}),
        (6, Outcome.ACCOUNT, 200, {"error": "unauthenticated", "message": "Please sign in"}),
        (6, Outcome.ACCOUNT, 401, {"message": "A login is required"}),
        (7, Outcome.ACCOUNT, 200, error("Insufficient credits")),
        (7, Outcome.ACCOUNT, 500, error("It requires a premium subscription")),
        (7, Outcome.ACCOUNT, 402, error("?")),
        (7, Outcome.ACCOUNT, 403, b"<html>blocked</html>"),
        (8, Outcome.ACCOUNT, 200, error("Model id not found")),
        (8, Outcome.ACCOUNT, 200, error("Invalid API Request")),
        (8, Outcome.ACCOUNT, 404, b""),
        (8, Outcome.ACCOUNT, 405, {"message": "The GET method is not supported for this route."}),
        (9, Outcome.FACE_UNREACHABLE, 400, error("Unable to fetch image from provided URL")),
        (10, Outcome.REFUSED, 200, error("must be a valid url when base64 is false.")),
        (11, Outcome.REFUSED, 200, recorded("submit_validation")),
        (11, Outcome.REFUSED, 200, error("?", code="validation_error")),
        (11, Outcome.REFUSED, 200, error("A face is required")),
        (11, Outcome.REFUSED, 422, {"errors": {"seed": ["?"]}}),
        (11, Outcome.REFUSED, 413, b"<html>"),
        (12, Outcome.ODD, 503, error("Service temporarily unavailable")),
        (12, Outcome.ODD, 200, error("?", code="upstream_unavailable")),
        (13, Outcome.ODD, 200, error("Something else")),
        (13, Outcome.ODD, 409, error(["Something", "else"])),
        (14, Outcome.UNKNOWN, 408, error("Something else")),
        (14, Outcome.UNKNOWN, 500, error("Something else")),
        (14, Outcome.UNKNOWN, 502, b"<html>Bad gateway</html>"),
        (14, Outcome.UNKNOWN, 524, b"error code: 524"),
        (14, Outcome.UNKNOWN, 503, b"temporarily unavailable"),
        (14, Outcome.UNKNOWN, 200, b"<html>"),
        (14, Outcome.UNKNOWN, 200, b""),
        (14, Outcome.UNKNOWN, 200, b"[]"),
        (14, Outcome.UNKNOWN, 200, recorded("submit_success")[:90]),
        (14, Outcome.UNKNOWN, 200, {"status": "accepted", "id": 7}),
        (14, Outcome.UNKNOWN, 400, {"id": 7, "eta": 3}),
        (14, Outcome.UNKNOWN, 200, {"status": "processing", "message": "A queue is required"}),
        (14, Outcome.UNKNOWN, 429, {"status": "success"}),
        (14, Outcome.UNKNOWN, 200, {}),
    ],
)
def test_an_answer_to_submit_has_the_class_of_its_row(provider, row, outcome, status, body):
    provider.answers(body, status, Content_Type="text/html")
    assert face_gen.submit(ORDER).outcome == outcome
    assert provider.connections == 1


@pytest.mark.parametrize(
    ("outcome", "status", "body"),
    [
        (Outcome.PROCESSING, 200, recorded("look_processing")),
        (Outcome.DONE, 200, recorded("look_success")),
        (Outcome.PROCESSING, 200, {"status": "success", "id": 91753437, "output": []}),
        (Outcome.FAILED, 200, recorded("look_failed")),
        (Outcome.NOT_FOUND, 200, recorded("look_not_found")),
        (Outcome.NOT_FOUND, 404, error("Nothing here")),
        (Outcome.UNKNOWN, 404, b"<html>"),
        (Outcome.FULL, 200, recorded("submit_rate_limit")),
        (Outcome.ACCOUNT, 200, error("Invalid API key")),
        (Outcome.ACCOUNT, 403, b"<html>"),
        (Outcome.UNKNOWN, 200, error("Something else")),
        (Outcome.UNKNOWN, 422, error("Something else")),
        (Outcome.UNKNOWN, 500, error("Something else")),
        (Outcome.UNKNOWN, 502, b"<html>"),
        (Outcome.UNKNOWN, 200, {"status": "new word"}),
    ],
)
def test_an_answer_to_a_look_has_the_class_of_its_row(provider, outcome, status, body):
    provider.answers(body, status)
    answer = face_gen.look("91753437")
    assert (answer.outcome, answer.job_id) == (outcome, "91753437")
