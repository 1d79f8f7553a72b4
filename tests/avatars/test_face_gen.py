"""The provider's client over real HTTP: what it sends, where the key goes, what answers mean.

Knows `avatars.face_gen` and the recorded bodies; the servers are on loopback.
"""

import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from avatars import exchange, face_gen
from avatars.face_gen import Answer, Order, Outcome, Unavailable
from tests.avatars.scripted import drip, hang, recorded, reset, say, serving, wire

KEY = "key-of-the-account-0123456789"
TOKEN = "pY3k" * 10 + "abc"
BY_URL = {
    "prompt": " portrait as a lighthouse keeper, evening storm ",
    "avoid": "",
    "style": "anime",
    "steps": 31,
    "seed": 1849203371,
    "face": f"https://likeness.example/p/face/{TOKEN}/",
    "inline": False,
    "webhook": f"https://likeness.example/webhooks/provider/{TOKEN}/",
    "track_id": 48121,
}
INLINE = {
    **BY_URL,
    "face": "data:image/jpeg;base64,/9j/4AAQ",
    "inline": True,
    "webhook": None,
    "track_id": None,
}


@pytest.fixture
def serve():
    with serving() as start:
        yield start


@pytest.fixture
def provider(serve, settings):
    """A server in the provider's place; each test gives it its script."""
    server = serve(say(wire(200, b"{}")))
    settings.FACE_GEN_URL = f"http://{server.netloc}/api/"
    settings.MODELSLAB_API_KEY = KEY
    return server


def error(message: object = "", **fields: object) -> dict[str, object]:
    return {"status": "error", "message": message, **fields}


def submitted() -> Answer:
    return face_gen.submit(Order(**BY_URL))


# ── What is sent ────────────────────────────────────────────────────────────────────────────────


def test_an_order_by_address_is_sent_field_by_field_as_agreed(provider):
    face_gen.submit(Order(**BY_URL | {"avoid": "hats, Blurry"}))
    [request] = provider.requests
    assert request.line == "POST /api/v6/image_editing/face_gen HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "key": KEY,
        "model_id": "ai-avatar-generatorface-gen",
        "prompt": "portrait as a lighthouse keeper, evening storm",
        "negative_prompt": "hats, Blurry, low quality, deformed face, extra fingers, "
        "extra limbs, text, watermark",
        "face_image": BY_URL["face"],
        "style": "anime",
        "width": 512,
        "height": 768,
        "samples": 1,
        "num_inference_steps": 31,
        "guidance_scale": 7.5,
        "s_scale": 1.0,
        "safety_checker": True,
        "safety_checker_type": "black",
        "base64": False,
        "seed": 1849203371,
        "webhook": BY_URL["webhook"],
        "track_id": 48121,
    }


def test_an_inline_order_has_neither_webhook_nor_track_id(provider):
    face_gen.submit(Order(**INLINE))
    sent = json.loads(provider.requests[0].body)
    assert (sent["face_image"], sent["base64"]) == (INLINE["face"], True)
    assert {"webhook", "track_id"} & sent.keys() == set()


def test_a_track_id_travels_with_a_webhook_only(provider):
    face_gen.submit(Order(**BY_URL | {"webhook": None}))
    assert {"webhook", "track_id"} & json.loads(provider.requests[0].body).keys() == set()


@pytest.mark.parametrize("style", ["realistic", "anime", "3d", "chibi", "comic"])
@pytest.mark.parametrize("steps", [21, 31, 41])
def test_every_style_and_quality_can_be_ordered(style, steps):
    fields = Order(**BY_URL | {"style": style, "steps": steps}).fields()
    assert (fields["style"], fields["num_inference_steps"]) == (style, steps)
    assert fields["negative_prompt"] == face_gen.HOUSE_AVOID[style]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"style": "anime "}, {"style": "Realistic"}, {"steps": 20}, {"steps": 30}),
        *({"seed": 0}, {"seed": 2**31}, {"track_id": 0}, {"track_id": 2**31}),
        *({"prompt": "  "}, {"prompt": "x" * 501}, {"face": "/p/face/x/"}, {"inline": True}),
        {"inline": True, "face": INLINE["face"]},
        {"face": INLINE["face"]},
    ],
)
def test_an_order_that_cannot_be_sent_is_refused_at_once(wrong):
    with pytest.raises(ValueError, match="cannot be sent"):
        Order(**BY_URL | wrong)


def test_an_order_shows_no_face_prompt_or_token():
    shown = repr(Order(**BY_URL)) + repr(Order(**INLINE))
    assert [word for word in ("lighthouse", TOKEN, "9j/4") if word in shown] == []


# ── Where the key goes ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "http://modelslab.com/api/",
        "http://10.0.0.1/api/",
        "http://localhost.example/api/",
        "ftp://127.0.0.1/api/",
        "https:///api/",
        "https://user:word@modelslab.com/api/",
        "https://modelslab.com/api",
        "https://modelslab.com/api/?a=",
        "https://modelslab.com:x/api/",
        "",
    ],
)
def test_the_key_goes_to_https_or_to_this_machine(settings, url):
    settings.FACE_GEN_URL = url
    settings.MODELSLAB_API_KEY = KEY
    with pytest.raises(ValueError, match=r"FACE_GEN_URL|[Pp]ort"):
        submitted()
    with pytest.raises(ValueError, match=r"FACE_GEN_URL|[Pp]ort"):
        face_gen.look("1")


def test_plain_http_is_not_spoken_to_a_localhost_that_leads_elsewhere(provider, monkeypatch):
    elsewhere = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", provider.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [elsewhere])
    detail = "the name leads to an address that is not allowed"
    assert submitted() == Answer(Outcome.NOT_SENT, detail=detail)


def test_fetch_result_is_never_followed(provider, serve):
    decoy = serve(say(wire(200, b"{}")))
    link = f"http://{decoy.netloc}/api/v6/image_editing/fetch/91753437"
    provider.answers({"status": "processing", "id": 91753437, "fetch_result": link})
    job_id = submitted().job_id
    face_gen.look(job_id)
    assert [request.line for request in provider.requests] == [
        "POST /api/v6/image_editing/face_gen HTTP/1.1",
        "POST /api/v6/image_editing/fetch/91753437 HTTP/1.1",
    ]
    assert json.loads(provider.requests[1].body) == {"key": KEY}
    assert decoy.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_is_our_account_s_trouble(provider, serve, status):
    decoy = serve(say(wire(200, recorded("submit_success"))))
    provider.answers(b"", status, Location=f"http://{decoy.netloc}/")
    outcomes = [submitted().outcome, face_gen.look("1").outcome]
    assert outcomes == [Outcome.ACCOUNT, Outcome.ACCOUNT]
    assert (provider.connections, decoy.connections) == (2, 0)


def test_logs_name_route_and_outcome_but_no_key_face_or_words(provider, caplog):
    caplog.set_level(logging.DEBUG)
    provider.answers({"status": "error", "message": f"no {KEY} for lighthouse {TOKEN}"})
    face_gen.submit(Order(**INLINE))
    assert "v6/image_editing/face_gen: odd in " in caplog.text
    assert [word for word in (KEY, "9j/4", "lighthouse", TOKEN) if word in caplog.text] == []


@pytest.mark.parametrize(
    "told",
    [
        "refused: portrait as a LIGHTHOUSE  keeper, evening storm",
        "refused: … a lighthouse kee…",
    ],
)
def test_staff_do_not_read_a_person_s_words(provider, told):
    provider.answers({"status": "error", "message": told})
    assert submitted().detail == "withheld: it repeats the prompt"


def test_a_short_prompt_is_an_echo_only_as_a_whole_word(provider):
    order = Order(**BY_URL | {"prompt": "cat", "avoid": "hat"})
    details = []
    for told in ("wrong category", "a Cat?", "that"):
        provider.answers({"status": "error", "message": told})
        details.append(face_gen.submit(order).detail)
    assert details == [
        *("HTTP 200: wrong category", "withheld: it repeats the prompt", "HTTP 200: that")
    ]


# ── Calls that break ────────────────────────────────────────────────────────────────────────────


def test_nothing_was_sent_to_a_closed_port(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.FACE_GEN_URL = f"http://127.0.0.1:{server.getsockname()[1]}/api/"
    assert submitted() == Answer(Outcome.NOT_SENT, detail="ConnectionRefusedError")


def test_nothing_was_sent_where_tls_fails(provider, settings, monkeypatch):
    monkeypatch.setattr(exchange, "CONNECT_SECONDS", 0.3)
    settings.FACE_GEN_URL = f"https://{provider.netloc}/api/"
    assert submitted().outcome == Outcome.NOT_SENT


@pytest.mark.parametrize(
    "script",
    [
        *(hang(), reset(), say(b""), say(b"HTTP/1.1 2"), say(b"\x00" * 100)),
        reset(wire(200, b"{", length=90)),
        drip(wire(200, recorded("submit_success"))),
        drip(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90),
        hang(b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
)
def test_a_call_that_cannot_be_placed_is_unknown_and_ends_in_time(provider, monkeypatch, script):
    monkeypatch.setattr(face_gen, "SUBMIT_SECONDS", 0.3)
    provider.script = script
    assert submitted().outcome == Outcome.UNKNOWN
    assert provider.connections == 1


def test_a_whole_success_counts_though_the_connection_is_cut(provider, monkeypatch):
    monkeypatch.setattr(face_gen, "SUBMIT_SECONDS", 0.3)
    provider.script = hang(wire(200, recorded("submit_success"), length=9999))
    assert submitted().outcome == Outcome.DONE


def test_an_answer_beyond_all_measure_is_unknown(provider, monkeypatch):
    monkeypatch.setattr(face_gen, "ANSWER_BYTES", 1024)
    provider.answers(b'{"status": "success", "output": ["' + b"x" * 2000 + b'"]}')
    assert submitted().outcome == Outcome.UNKNOWN


def test_orders_at_the_same_time_get_their_own_answers(provider):
    def echo(connection, over):
        seeds = {json.loads(request.body)["seed"] for request in list(provider.requests)}
        mine = connection.getpeername()[1]
        assert seeds
        connection.sendall(wire(200, json.dumps({"status": "processing", "id": mine}).encode()))

    provider.script = echo
    orders = [Order(**BY_URL | {"seed": seed}) for seed in range(1, 25)]
    with ThreadPoolExecutor(8) as pool:
        ids = {answer.job_id for answer in pool.map(face_gen.submit, orders)}
    assert len(ids) == provider.connections == len(orders)


@pytest.mark.parametrize("script", [hang(), reset(), drip(wire(200, recorded("look_success")))])
def test_a_look_that_breaks_is_unknown_and_ends_in_time(provider, monkeypatch, script):
    monkeypatch.setattr(face_gen, "LOOK_SECONDS", 0.3)
    provider.script = script
    assert face_gen.look("91753437").outcome == Outcome.UNKNOWN


def test_a_look_that_reached_nobody_is_unknown(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.FACE_GEN_URL = f"http://127.0.0.1:{server.getsockname()[1]}/api/"
    assert face_gen.look("9") == Answer(Outcome.UNKNOWN, "9", detail="ConnectionRefusedError")


def test_another_job_s_picture_is_not_taken_for_ours(provider):
    provider.answers(recorded("look_success"))
    answer = face_gen.look("91753438")
    assert (answer.outcome, answer.job_id, answer.outputs) == (Outcome.UNKNOWN, "91753438", ())


@pytest.mark.parametrize("job_id", ["", "../key", "a b", "1?x", "x" * 65, "0", "null", " 1"])
def test_what_is_no_job_id_is_not_asked_for(provider, job_id):
    with pytest.raises(ValueError, match="not a job id"):
        face_gen.look(job_id)
    assert provider.connections == 0


# ── The account's own books: contract §10 ───────────────────────────────────────────────────────


def test_the_account_s_books_are_read(provider):
    provider.answers(recorded("request_count"))
    count = face_gen.processing_count()
    provider.answers(recorded("wallet_balance"))
    balance = face_gen.balance()
    provider.answers(recorded("assets_generated"))
    ids = face_gen.assets(2)
    assert (count, balance, ids) == (3, 43.6, ("91753437", "91753438"))
    assert [(request.line, json.loads(request.body)) for request in provider.requests] == [
        ("POST /api/v6/processing/request_count HTTP/1.1", {"key": KEY}),
        ("POST /api/wallet_balance HTTP/1.1", {"key": KEY}),
        (
            "POST /api/v6/assets_generated HTTP/1.1",
            {"key": KEY, "type": "image", "per_page": 30, "page": 2},
        ),
    ]


def test_a_picture_is_deleted_by_its_job_id(provider):
    provider.answers(recorded("delete_image"))
    assert face_gen.delete_image("7") is True
    [request] = provider.requests
    assert request.line == "POST /api/v3/delete_image HTTP/1.1"
    assert json.loads(request.body) == {"key": KEY, "request_id": "7", "type": "image"}


@pytest.mark.parametrize(
    ("status", "body"), [(200, error("No such image")), (404, error("No such image"))]
)
def test_a_picture_the_provider_will_not_delete_is_said_so(provider, status, body):
    provider.answers(body, status)
    assert face_gen.delete_image("7") is False


@pytest.mark.parametrize(
    ("outcome", "status", "body"),
    [
        (Outcome.ACCOUNT, 200, error("Invalid API key")),
        (Outcome.FULL, 429, b""),
        (Outcome.UNKNOWN, 500, error("?")),
        (Outcome.UNKNOWN, 200, b"<html>"),
    ],
)
def test_books_that_cannot_be_read_are_unavailable(provider, outcome, status, body):
    provider.answers(body, status)
    calls = [
        *(face_gen.processing_count, face_gen.balance),
        *(lambda: face_gen.assets(1), lambda: face_gen.delete_image("7")),
    ]
    for call in calls:
        with pytest.raises(Unavailable) as caught:
            call()
        assert caught.value.outcome == outcome


@pytest.mark.parametrize("value", [{}, None, "many", {"balance": "NaN"}, [1]])
def test_books_of_another_shape_are_unavailable(provider, value):
    provider.answers({"status": "success", "processing_count": value, "data": value})
    with pytest.raises(Unavailable):
        face_gen.processing_count()
    with pytest.raises(Unavailable):
        face_gen.balance()
