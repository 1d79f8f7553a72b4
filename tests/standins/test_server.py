"""The server of the stand-ins: one write per answer, kept connections, clean ends, no surprises.

Knows the stand-ins alone.
"""

import json
import socket
import statistics
import subprocess
import sys
import threading
import time

import pytest
import requests

from config.standins import Cut, serve
from config.standins.face_gen import FaceGen
from tests.standins.callers import FETCH, KEY, eventually


def test_an_answer_arrives_in_one_piece_and_the_connection_stays(caller, stand_in, server):
    job = caller.accepted()
    caller.ended(job)
    body = json.dumps({"key": KEY}).encode()
    head = f"POST {FETCH}{job} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    seconds = []
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(200):
            started = time.perf_counter()
            line.sendall(request)
            answer = line.recv(65536)
            seconds.append(time.perf_counter() - started)
            headers, _, content = answer.partition(b"\r\n\r\n")
            assert headers.startswith(b"HTTP/1.1 200 OK\r\n")
            assert f"\r\nContent-Length: {len(content)}\r\n".encode() in headers + b"\r\n"
            assert json.loads(content)["status"] == "success"
    # A delayed acknowledgement would cost 40 ms each time.
    assert statistics.median(seconds) < 0.02


def test_accepted_sockets_do_not_gather_small_writes():
    seen = []

    def app(environ, start_response):
        option = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
        seen.append(environ["standin.connection"].getsockopt(*option))
        start_response("204 No Content", [])
        return []

    with serve(app) as running:
        assert requests.get(running.url, timeout=5).status_code == 204
    assert [bool(value) for value in seen] == [True]


def test_the_stand_in_answers_within_half_a_second_of_its_start(tmp_path):
    started = time.perf_counter()
    stand_in = FaceGen(tmp_path)
    running = serve(stand_in)
    answer = requests.get(running.url, timeout=5)
    assert (answer.status_code, time.perf_counter() - started < 0.5) == (200, True)
    running.close()
    stand_in.close()


def test_no_drawing_library_is_loaded_before_the_first_drawing():
    program = (
        "import sys\n"
        "from config.standins.face_gen import FaceGen\n"
        "print(sorted({'PIL', 'numpy', 'cv2', 'requests', 'stripe'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_close_frees_port_connections_and_threads():
    before = set(threading.enumerate())

    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"here"]

    running = serve(app)
    session = requests.Session()
    assert session.get(running.url, timeout=5).text == "here"
    running.close()
    running.close()
    with pytest.raises(requests.ConnectionError):
        session.get(running.url, timeout=5)
    assert set(threading.enumerate()) - before == set()
    with serve(app, port=running.port) as again:
        assert again.port == running.port


def test_an_app_that_cuts_the_line_leaves_the_caller_without_an_answer():
    def app(environ, start_response):
        environ["standin.connection"].sendall(b"HTTP/1.1 200 OK\r\nContent-")
        raise Cut

    with serve(app) as running, socket.create_connection(("127.0.0.1", running.port)) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b"".join(iter(lambda: line.recv(65536), b""))
    assert received == b"HTTP/1.1 200 OK\r\nContent-"


def test_the_app_learns_whether_its_answer_left():
    told = []

    def app(environ, start_response):
        environ["standin.afterwards"].append(told.append)
        start_response("200 OK", [])
        return [bytes(50_000_000 if environ["PATH_INFO"] == "/large" else 1)]

    with serve(app) as running:
        requests.get(running.url, timeout=5)
        with socket.create_connection(("127.0.0.1", running.port)) as line:
            line.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            line.recv(10)
        eventually(lambda: told == [True, False])


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"411"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
def test_a_request_it_cannot_take_is_refused_by_number(request_head, status):
    def app(environ, start_response):
        raise AssertionError("the app must not see it")

    with serve(app) as running, socket.create_connection(("127.0.0.1", running.port)) as line:
        line.sendall(request_head)
        assert status in line.recv(65536)[:200]
