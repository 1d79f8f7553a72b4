"""The face_gen stand-in keeps its contract: official clients run on it, documented bodies come.

Knows the stand-ins and the provider's own published clients, which run unmodified.
"""

import asyncio
import base64
import json

import pytest
from modelslab import ImageEditing
from modelslab_py.core.apis.image_editing import Image_editing
from modelslab_py.core.client import Client
from modelslab_py.schemas.image_editing import FacegenSchema

from tests.standins.callers import (
    FACE_ELSEWHERE,
    FETCH,
    KEY,
    SUBMIT,
    TINY_JPEG,
    Caller,
    Visited,
    eventually,
)

# The examples of the model's page (modelslab.com/models/modelslab/ai-avatar-generatorface-gen, its
# /api page, docs.modelslab.com/image-editing/face-gen), field for field.
PAGE_EXAMPLE = {
    "model_id": "ai-avatar-generatorface-gen",
    "face_image": "https://assets.modelslab.com/generations/2fdf185d-c676-427f-97e3-85b4998aee2e",
    "prompt": "Wearing pirate costume, on pirate boat, ocean in background, blue sky",
    "style": "realistic",
    "negative_prompt": "drawing, monochrome, lowres, bad anatomy, worst quality, blurry",
    "num_inference_steps": "41",
    "webhook": "null",
    " track_id": "null",
}
API_PAGE_EXAMPLE = {
    **{name: PAGE_EXAMPLE[name] for name in ("face_image", "prompt", "style", "negative_prompt")},
    "width": "512",
    "height": "768",
    "num_inference_steps": "41",
    "base64": "false",
    "safety_checker": False,
    "seed": "0",
    "guidance_scale": "7.5",
    "s_scale": "1",
    "samples": "1",
    "webhook": None,
    " track_id": None,
}
DOCS_EXAMPLE = {
    "prompt": "pretty woman",
    "negative_prompt": "anime, cartoon, drawing, monochrome, lowres, blurry",
    "face_image": "https://assets.modelslab.com/generations/568d6320-8b6c-4af8-8725-51c0c9f633a3",
    "width": "512",
    "height": "512",
    "samples": "1",
    "num_inference_steps": "21",
    "safety_checker": False,
    "base64": False,
    "seed": None,
    "guidance_scale": 7.5,
    "webhook": None,
    "track_id": None,
}


@pytest.fixture
def modern(server):
    """The provider's current Python client, with its public attributes set and nothing else."""
    client = Client(KEY, fetch_retry=5, fetch_timeout=0)
    client.base_url = f"{server.url}/api/"
    return Image_editing(client=client)


@pytest.fixture
def older(server):
    client = ImageEditing()
    client.route = f"{server.url}/api/v6/image_editing"
    return client


# Conformance: the provider's own clients, unmodified


def test_the_official_client_runs_with_its_defaults(modern, stand_in):
    answer = modern.facegen(FacegenSchema(prompt="a keeper", face_image=FACE_ELSEWHERE))
    assert answer["status"] == "processing"
    eventually(lambda: stand_in.books.generated())
    assert modern.fetch(str(answer["id"]))["status"] == "success"
    assert stand_in.books.violations() == [
        "s_scale: 7.5 is not within 0 and 2",
        "num_inference_steps: 20 is not one of 21, 31, 41",
    ]


def test_the_official_client_runs_asynchronously_too(modern, stand_in):
    async def order_and_fetch() -> dict:
        wish = FacegenSchema(prompt="a keeper", face_image=FACE_ELSEWHERE)
        answer = await modern.async_facegen(wish)
        await asyncio.to_thread(eventually, stand_in.books.generated)
        return await modern.async_fetch(str(answer["id"]))

    assert asyncio.run(order_and_fetch())["status"] == "success"


def test_the_official_client_with_our_fields_passes_the_strict_service(modern, stand_in):
    stand_in.switch(strict=True)
    bell = Visited()
    wish = FacegenSchema(
        prompt="a keeper",
        face_image=FACE_ELSEWHERE,
        num_inference_steps=21,
        s_scale=1.0,
        width=512,
        height=768,
        negative_prompt="blurry",
        model_id="ai-avatar-generatorface-gen",
        seed=7,
        webhook=f"{bell.url}/bell/",
        track_id="7",
    )
    answer = modern.facegen(wish)
    assert modern.fetch(str(answer["id"]))["id"] == answer["id"]
    assert stand_in.books.violations() == []
    eventually(lambda: bell.visits)
    rung = json.loads(bell.visits[0][2])
    assert (rung["status"], rung["track_id"], rung["meta"]["seed"]) == ("success", "7", 7)
    bell.close()


def test_the_official_client_with_its_defaults_is_refused_by_the_strict_service(modern, stand_in):
    stand_in.switch(strict=True)
    with pytest.raises(Exception, match="The s_scale field is invalid"):
        modern.facegen(FacegenSchema(prompt="a keeper", face_image=FACE_ELSEWHERE))
    assert stand_in.books.accepted() == 0


def test_the_official_client_asks_for_a_failed_job_until_it_tires(modern, stand_in):
    wish = FacegenSchema(prompt="a keeper [[fail]]", face_image=FACE_ELSEWHERE)
    job = modern.facegen(wish)["id"]
    eventually(lambda: stand_in.books.jobs()[0].failed)
    assert modern.fetch(str(job))["message"] == "Failed, Try Again"
    assert stand_in.books.jobs()[0].looks == 5


def test_the_official_client_cannot_fetch_by_a_number(modern):
    job = modern.facegen(FacegenSchema(prompt="a keeper", face_image=FACE_ELSEWHERE))["id"]
    assert isinstance(job, int)
    with pytest.raises(TypeError):
        modern.fetch(job)


def test_every_answer_of_the_api_is_json_with_a_status_and_the_mark(caller):
    job = caller.accepted()
    answers = [
        caller.submit(),
        caller.submit(prompt=""),
        caller.post(f"{FETCH}{job}"),
        caller.post(f"{FETCH}1"),
        caller.post("/api/v6/images/fetch", request_id=str(job)),
        caller.post("/api/v6/processing/request_count"),
        caller.post("/api/wallet_balance"),
        caller.post("/api/v6/assets_generated"),
        caller.post("/api/v3/delete_image", request_id="1"),
        caller.get(SUBMIT),
        caller.get("/nowhere"),
    ]
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/json"}
    assert {answer.headers["X-Stand-In"] for answer in answers} == {"face_gen"}
    assert all(answer.json()["status"] for answer in answers)


def test_a_bad_key_raises_in_the_official_client_or_is_told_with_200(server, stand_in):
    client = Client("test-invalid")
    client.base_url = f"{server.url}/api/"
    wish = FacegenSchema(prompt="a keeper", face_image=FACE_ELSEWHERE)
    with pytest.raises(Exception, match=r"status code 401.*Invalid API key"):
        Image_editing(client=client).facegen(wish)
    stand_in.switch(errors="always200")
    answer = Image_editing(client=client).facegen(wish)
    assert answer == {"status": "error", "message": "Invalid API key"}


def test_the_older_official_client_runs(older, stand_in):
    answer = json.loads(older.face_gen(key=KEY, face_image=FACE_ELSEWHERE, prompt="a keeper"))
    eventually(lambda: stand_in.books.generated() == 1)
    looked = json.loads(older.fetch(KEY, answer["id"]))
    assert (answer["status"], looked["status"]) == ("processing", "success")
    assert answer["meta"]["safety_checker"] == "no"
    assert stand_in.books.violations() == []


@pytest.mark.parametrize("example", [PAGE_EXAMPLE, API_PAGE_EXAMPLE, DOCS_EXAMPLE])
def test_the_examples_of_the_models_pages_run(caller, stand_in, example):
    stand_in.switch(strict=True)
    job = caller.accepted(**example)
    assert caller.ended(job)["status"] == "success"
    noted = [line["noted"] for line in stand_in.books.lines("received")]
    assert noted == [sorted({" track_id"} & set(example))]
    record = stand_in.books.jobs()[0]
    assert (record.order["webhook"], record.order["track_id"], record.webhooks) == ("", None, [])
    assert record.order["num_inference_steps"] == int(example["num_inference_steps"])
    assert stand_in.books.violations() == []


# Conformance: every documented sample body, key for key


def shape(value):
    """The keys of a body and the kinds of their values, lists by their first element."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items() if name != "meta"}
    return [shape(each) for each in value[:1]] if isinstance(value, list) else type(value)


LINKS = ["https://pub-3626123a908346a7a8be8d9295f44e26.r2.dev/temp/8c3e-0.png"]
PROMPT_MISSING = {"prompt": ["The prompt field is required."]}
SAMPLES = {
    "[[sync]]": {
        "status": "success",
        "generationTime": 7.36,
        "id": 91753437,
        "output": LINKS,
        "proxy_links": LINKS,
        "meta": {},
    },
    "an ordinary one": {
        "status": "processing",
        "eta": 5,
        "id": 91753437,
        "output": [],
        "tip": "Your image is processing in background, you can get this image using fetch API",
        "message": "Try to fetch request after seconds estimated",
        "fetch_result": "https://modelslab.com/api/v6/image_editing/fetch/91753437",
        "future_links": LINKS,
        "proxy_links": [],
        "meta": {},
    },
    "[[429]]": {
        "status": "error",
        "message": "Rate limit exceeded. Maximum 5 queued requests allowed.",
        "retry_after": 30,
    },
    "[[invalid-object]]": {"status": "error", "message": PROMPT_MISSING},
    "[[failed-now]]": {"status": "failed", "id": "", "message": "Failed, Try Again", "output": ""},
}


@pytest.mark.parametrize("prompt", SAMPLES)
def test_a_documented_answer_to_submit_is_reproduced_key_for_key(caller, prompt):
    answer, sample = caller.submit(prompt).json(), SAMPLES[prompt]
    assert shape(answer) == shape(sample)
    assert list(answer) == list(sample)
    for name in ("status", "message", "retry_after", "tip"):
        assert answer.get(name) == sample.get(name)


def test_the_documented_answers_to_a_look_are_reproduced_key_for_key(caller, stand_in):
    stand_in.switch(delay=5)
    job = caller.accepted()
    assert caller.look(job) == {
        "status": "processing",
        "message": "try again later.",
        "output": "",
        "tip": "Your image is processing in background, you can get this image using fetch API",
    }
    stand_in.advance(5)
    done = {"status": "success", "id": 91753437, "output": LINKS}
    assert shape(caller.look(job)) == shape(done)
    unknown = caller.look(1)
    assert (unknown["status"], unknown["message"]) == ("failed", "Request not found")


def test_the_documented_webhooks_are_reproduced_key_for_key(caller):
    bell = Visited()
    caller.accepted(webhook=f"{bell.url}/bell/", track_id=48121)
    eventually(lambda: len(bell.visits) == 1)
    caller.accepted("[[fail]]", webhook=f"{bell.url}/bell/", track_id=48122)
    eventually(lambda: len(bell.visits) == 2)
    good, bad = (json.loads(body) for _, _, body in bell.visits)
    assert list(good) == ["status", "id", "output", "generationTime", "track_id", "meta"]
    assert list(bad) == ["status", "id", "message", "track_id"]
    assert (good["track_id"], bad["track_id"], bad["status"]) == (48121, 48122, "failed")
    bell.close()


def test_the_documented_calls_about_the_account_answer_as_documented(caller, stand_in):
    stand_in.switch(delay=5)
    job = caller.accepted()
    count = caller.post("/api/v6/processing/request_count").json()
    assert count == {"status": "success", "processing_count": 1}
    stand_in.advance(5)
    assert caller.post("/api/wallet_balance").json() == {
        "status": "success",
        "data": {"balance": 49.98, "currency": "USD"},
    }
    link = caller.look(job)["output"]
    for path in ("/api/v6/assets_generated", "/api/assets_generated"):
        listed = caller.post(path, type="image", per_page=30, page=1).json()
        assert listed["data"] == [{"id": job, "output": link}]
        assert listed["pagination"]["total"] == 1
    other = Caller(stand_in, caller, "another-account")
    assert other.look(job)["message"] == "Request not found"
    assert other.post("/api/v3/delete_image", request_id=job).status_code == 404
    gone = caller.post("/api/v3/delete_image", request_id=str(job), type="image").json()
    assert gone == {"status": "success", "messege": "image deleted"}
    assert caller.get(link[0]).status_code == 404


def test_request_count_is_throttled_to_thirty_a_minute(caller, stand_in):
    path = "/api/v6/processing/request_count"
    assert {caller.post(path).status_code for _ in range(30)} == {200}
    assert caller.post(path).status_code == 429
    stand_in.advance(61)
    assert caller.post(path).status_code == 200


def test_an_uploaded_picture_gets_an_address_for_a_day(caller, stand_in):
    text = "data:image/jpeg;base64," + base64.b64encode(TINY_JPEG).decode()
    one = caller.post("/api/v6/image_editing/base64_to_url", init_image=text).json()
    two = caller.post("/api/v6/base64_to_url", base64_string=text).json()
    assert caller.get(one["output"][0]).content == TINY_JPEG
    job = caller.accepted(face_image=two["output"][0])
    assert caller.ended(job)["status"] == "success"
    large = base64.b64encode(bytes(5_000_001)).decode()
    assert caller.post("/api/v6/base64_to_url", base64_string=large).status_code == 413
    stand_in.advance(24 * 3600)
    assert caller.get(one["output"][0]).status_code == 404
