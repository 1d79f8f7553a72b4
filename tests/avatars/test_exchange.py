"""One exchange against servers that hang, drip, lie, reset and flood: the deadline is kept.

Knows `avatars.exchange`; the servers are real, on loopback, and do what a script says.
"""

import gzip
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from avatars import exchange as room
from avatars.exchange import (
    AddressRefused,
    Limits,
    NoAnswer,
    NoConnection,
    Reply,
    exchange,
    is_loopback,
    names_loopback,
)
from tests.avatars.scripted import Scripted, certificate_for, drip, hang, reset, say, serving, wire

SHORT = Limits(whole=0.4, size=1024)
LONG = Limits(whole=10, size=1024 * 1024)
AHEAD = 3.0  # seconds after which a call of 0.4 s has certainly not kept its deadline


@pytest.fixture
def serve():
    with serving() as start:
        yield start


@contextmanager
def soon():
    began_at = time.monotonic()
    yield
    assert time.monotonic() - began_at < AHEAD


def post(server: Scripted, limits: Limits = LONG, scheme: str = "http", body: bytes = b"{}"):
    return exchange("POST", f"{scheme}://{server.netloc}/a?b=c", limits, is_loopback, body)


def leads_to(monkeypatch, *places: tuple[str, int]) -> None:
    """The world's name service, replaced: every name of `.example` has these addresses."""
    real = socket.getaddrinfo
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

    def look_up(host, *arguments, **options):
        return found if host.endswith(".example") else real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def secure(serve, tmp_path, monkeypatch):
    """A TLS server whose certificate we trust, for the name or address asked for."""

    def start(script, name: str = "127.0.0.1", **options) -> Scripted:
        trusted, context = certificate_for(name, tmp_path)
        monkeypatch.setattr(room, "CERTIFICATES", str(trusted))
        return serve(script, tls=context, **options)

    return start


def test_a_reply_comes_back_whole(serve):
    server = serve(say(wire(200, b"yes", X_Kind="plain")))
    reply = post(server)
    headers = {"content-length": "3", "x-kind": "plain"}
    assert reply == Reply(200, headers, b"yes", complete=True, too_large=False)


def test_a_request_carries_these_headers_and_no_others(serve):
    server = serve(say(wire(200, b"")))
    post(server)
    [request] = server.requests
    assert request.line == "POST /a?b=c HTTP/1.1"
    assert request.body == b"{}"
    assert request.headers == {
        "host": server.netloc,
        "connection": "close",
        "user-agent": "Likeness",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "2",
    }


def test_a_reply_without_length_ends_with_the_connection(serve):
    server = serve(say(b"HTTP/1.1 200 OK\r\n\r\nyes"))
    assert (post(server).body, post(server).complete) == (b"yes", True)


def test_a_reply_in_chunks_is_put_together(serve):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = serve(say(head + b"2\r\nye\r\n1\r\ns\r\n0\r\n\r\n"))
    cut = serve(say(head + b"2\r\nye\r\n9\r\ns"))
    assert (post(whole).body, post(whole).complete) == (b"yes", True)
    assert (post(cut).body, post(cut).complete) == (b"yes", False)


def test_a_body_shorter_than_announced_is_kept_and_called_cut(serve):
    server = serve(say(wire(200, b"yes", length=9)))
    reply = post(server)
    assert (reply.body, reply.complete) == (b"yes", False)


def test_a_body_that_is_reset_is_kept_and_called_cut(serve):
    reply = post(serve(reset(wire(200, b"yes", length=9))))
    assert (reply.status, reply.complete) == (200, False)


def test_too_much_is_not_read_to_its_end(serve):
    announced = serve(hang(wire(200, b"x" * 100, length=10**12)))
    flood = serve(say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000))
    small = Limits(whole=10, size=1024)
    with soon():
        assert post(announced, small).too_large
    reply = post(flood, small)
    assert (reply.too_large, len(reply.body)) == (True, 1024)


def test_a_redirect_is_not_followed_and_has_no_greater_body_than_others(serve):
    decoy = serve(say(wire(200, b"")))
    head = f"HTTP/1.1 302 Found\r\nLocation: http://{decoy.netloc}/\r\n\r\n"
    server = serve(say(head.encode() + b"x" * 5000))
    reply = post(server, Limits(whole=10, size=1024))
    assert (reply.status, len(reply.body), reply.too_large) == (302, 1024, True)
    assert (server.connections, decoy.connections) == (1, 0)


def test_a_packed_body_nobody_asked_for_stays_packed(serve):
    bomb = gzip.compress(b"0" * 10_000_000)
    reply = post(serve(say(wire(200, bomb, content_encoding="gzip"))))
    assert (reply.body, reply.complete, reply.too_large) == (bomb, True, False)


def test_nothing_is_tried_twice_and_nothing_remembered(serve):
    answer = {"Set_Cookie": "a=b; Path=/", "Retry_After": "0", "Connection": "keep-alive"}
    server = serve(say(wire(503, b"busy", **answer)))
    assert [post(server).status, post(server).status] == [503, 503]
    first, second = server.requests
    assert first == second
    assert (server.connections, "cookie" in second.headers) == (2, False)


def test_an_address_goes_out_as_it_was_signed(serve):
    server = serve(say(wire(200, b"")))
    signed = "/a/../~b/c?X-Sig=a%2Bb+c/d%3D&e=%7E"
    exchange("GET", f"http://{server.netloc}{signed}", LONG, is_loopback)
    assert server.requests[0].line == f"GET {signed} HTTP/1.1"


def test_an_error_does_not_carry_the_request_along(serve):
    with pytest.raises(NoAnswer) as caught:
        post(serve(say(b"")), body=b'{"key": "secret"}')
    error = caught.value
    assert (error.args, error.__cause__, error.__context__) == (("RemoteDisconnected",), None, None)


@pytest.mark.parametrize(
    "script",
    [
        hang(),
        drip(b"HTTP/1." + b"1" * 900),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, piece=25, every=0.01),
        reset(),
        say(b""),
        say(b"HTTP/1.1 20"),
        say(b"SSH-2.0-OpenSSH\r\n"),
        say(b"\x00" * 100_000),
        say(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 200 + b"\r\n"),
    ],
    ids=[
        *("silence", "dripped line", "endless 100", "reset", "end"),
        *("half a status", "not HTTP", "zeros", "too many headers"),
    ],
)
def test_without_a_status_there_is_no_answer_but_an_end_in_time(serve, script):
    server = serve(script)
    with soon(), pytest.raises(NoAnswer):
        post(server, SHORT)
    assert server.connections == 1


@pytest.mark.parametrize(
    "script",
    [hang(b"HTTP/1.1 200 OK\r\n"), drip(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90, piece=8)],
)
def test_a_head_that_does_not_end_is_a_status_without_a_body(serve, script):
    with soon():
        reply = post(serve(script), SHORT)
    assert (reply.status, reply.body, reply.complete) == (200, b"", False)


def test_a_dripped_body_is_cut_at_the_deadline(serve):
    server = serve(drip(wire(200, b"x" * 900)))
    with soon():
        reply = post(server, SHORT)
    assert (reply.status, reply.complete) == (200, False)


def test_a_dripped_body_without_length_is_not_taken_for_complete(serve):
    server = serve(drip(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 900))
    with soon():
        assert not post(server, SHORT).complete


def test_a_complete_object_counts_though_the_connection_stays_open(serve):
    with soon():
        reply = post(serve(hang(b"HTTP/1.1 200 OK\r\n\r\n{}")), SHORT)
    assert (reply.body, reply.complete) == (b"{}", False)


def test_a_server_that_reads_nothing_is_left_at_the_deadline(serve):
    server = serve(hang(), reads=False)
    with soon(), pytest.raises(NoAnswer, match="deadline"):
        post(server, SHORT, body=b"x" * 50_000_000)


def test_a_server_that_sips_the_request_is_left_at_the_deadline(serve):
    def sip(connection, over):
        while not over.wait(0.05):
            connection.recv(1000)

    with soon(), pytest.raises(NoAnswer, match="deadline"):
        post(serve(sip, reads=False), SHORT, body=b"x" * 50_000_000)


def test_sending_may_take_longer_than_connecting(serve, monkeypatch):
    monkeypatch.setattr(room, "CONNECT_SECONDS", 0.2)

    def read_late(connection, over):
        over.wait(0.6)
        left = 4_000_000
        while left > 0 and (piece := connection.recv(1_000_000)):
            left -= piece.count(b"x")
        connection.sendall(wire(200, b"got it"))

    assert post(serve(read_late, reads=False), body=b"x" * 4_000_000).body == b"got it"


def test_a_slow_body_is_dropped_by_its_rate_after_the_grace(serve):
    limits = Limits(whole=10, size=10**6, least=8192, grace=0.3)
    slow = serve(drip(wire(200, b"x" * 10_000), piece=10, every=0.05))
    stalled = serve(hang(wire(200, b"x" * 3000, length=10_000)))
    fast = serve(drip(wire(200, b"x" * 60_000), piece=2000, every=0.02))
    with soon():
        assert not post(slow, limits).complete
    with soon():
        assert not post(stalled, limits).complete
    assert post(fast, limits).complete  # 0.6 s and more: beyond the grace, above the rate


def test_nothing_was_sent_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NoConnection, match="ConnectionRefusedError"):
        exchange("GET", f"http://127.0.0.1:{port}/", LONG, is_loopback)


def test_nothing_was_sent_where_a_name_leads_nowhere(monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(NoConnection, match="name lookup: gaierror"):
        exchange("GET", "https://nowhere.example/", LONG, is_loopback)


def test_a_slow_name_lookup_is_not_waited_for(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(10))
    monkeypatch.setattr(room, "CONNECT_SECONDS", 0.3)
    with soon(), pytest.raises(NoConnection, match="too slow"):
        exchange("GET", "https://slow.example/", LONG, is_loopback)
    over.set()


def test_a_slow_name_lookup_is_left_at_the_deadline_too(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(10))
    monkeypatch.setattr(room, "CONNECT_SECONDS", 10)
    with soon(), pytest.raises(NoConnection, match="too slow"):
        exchange("GET", "https://slow.example/", SHORT, is_loopback)
    over.set()


@pytest.mark.parametrize("url", ["http://", "http://*.example/", "ftp://127.0.0.1/"])
def test_nothing_was_sent_to_what_is_no_address(url):
    with pytest.raises(NoConnection, match=r"InvalidURL|InvalidSchema"):
        exchange("GET", url, LONG, is_loopback)


def test_an_address_that_is_not_allowed_is_not_connected_to(serve):
    server = serve(say(wire(200, b"")))
    with pytest.raises(AddressRefused):
        exchange("GET", f"http://{server.netloc}/", LONG, lambda address: False)
    assert server.connections == 0


def test_one_bad_address_among_good_ones_refuses_the_name(serve, monkeypatch):
    server = serve(say(wire(200, b"")))
    leads_to(monkeypatch, ("127.0.0.1", server.port), ("10.0.0.1", server.port))
    with pytest.raises(AddressRefused):
        exchange("GET", f"http://mixed.example:{server.port}/", LONG, is_loopback)
    assert server.connections == 0


def test_a_dead_address_leaves_time_for_a_living_one(serve, monkeypatch):
    server = serve(say(wire(200, b"yes")))
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()[1]
    leads_to(monkeypatch, ("127.0.0.1", dead), ("127.0.0.1", server.port))
    assert exchange("GET", "http://two.example/", LONG, is_loopback).body == b"yes"


def test_tls_is_spoken_with_a_certificate_for_the_name(secure):
    server = secure(say(wire(200, b"yes")))
    assert post(server, scheme="https").body == b"yes"
    assert server.requests[0].body == b"{}"


def test_tls_has_the_time_of_a_connect_however_many_addresses_there_are(
    serve, tmp_path, monkeypatch
):
    trusted, context = certificate_for("four.example", tmp_path)
    monkeypatch.setattr(room, "CERTIFICATES", str(trusted))
    monkeypatch.setattr(room, "CONNECT_SECONDS", 1.2)

    def agree_late(connection, over):
        over.wait(0.6)
        secured = context.wrap_socket(connection, server_side=True)
        secured.recv(1000)
        secured.sendall(wire(200, b"yes"))

    server = serve(agree_late, reads=False)
    leads_to(monkeypatch, *[("127.0.0.1", server.port)] * 4)
    assert exchange("GET", "https://four.example/", LONG, is_loopback).body == b"yes"


def test_nothing_was_sent_to_a_certificate_for_another_name(secure):
    server = secure(say(wire(200, b"yes")), name="another.example")
    with pytest.raises(NoConnection, match="SSLCertVerificationError"):
        post(server, scheme="https")
    assert server.requests == []


def test_nothing_was_sent_to_a_certificate_nobody_vouches_for(serve, tmp_path):
    _, context = certificate_for("127.0.0.1", tmp_path)
    server = serve(say(wire(200, b"yes")), tls=context)
    with pytest.raises(NoConnection, match="SSLCertVerificationError"):
        post(server, scheme="https")
    assert server.requests == []


def test_the_environment_vouches_for_nobody(serve, tmp_path, monkeypatch):
    trusted, context = certificate_for("127.0.0.1", tmp_path)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(trusted))
    server = serve(say(wire(200, b"yes")), tls=context)
    with pytest.raises(NoConnection, match="SSLCertVerificationError"):
        post(server, scheme="https")
    assert server.requests == []


@pytest.mark.parametrize("script", [hang(), drip(b"\x16\x03\x03\x40\x00" + b"\x00" * 900)])
def test_nothing_was_sent_while_tls_is_not_agreed(serve, monkeypatch, script):
    monkeypatch.setattr(room, "CONNECT_SECONDS", 0.3)
    server = serve(script, reads=False)
    with soon(), pytest.raises(NoConnection):
        post(server, scheme="https")


def test_the_deadline_cuts_a_tls_handshake_too(serve):
    with soon(), pytest.raises(NoConnection):
        post(serve(hang(), reads=False), SHORT, scheme="https")


@pytest.mark.parametrize("script", [hang(), drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 90), say(b"")])
def test_behind_tls_there_is_no_answer_but_an_end_in_time(secure, script):
    server = secure(script)
    with soon(), pytest.raises(NoAnswer):
        post(server, SHORT, scheme="https")


def test_behind_tls_a_dripped_body_is_cut_at_the_deadline(secure):
    server = secure(drip(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 900))
    with soon():
        reply = post(server, SHORT, scheme="https")
    assert (reply.status, reply.complete) == (200, False)


def test_behind_tls_a_server_that_reads_nothing_is_left_at_the_deadline(secure):
    server = secure(hang(), reads=False)
    with soon(), pytest.raises(NoAnswer, match="deadline"):
        post(server, SHORT, scheme="https", body=b"x" * 50_000_000)


def test_proxies_and_passwords_of_the_environment_are_not_used(serve, monkeypatch, tmp_path):
    server, decoy = serve(say(wire(200, b"yes"))), serve(say(wire(200, b"no")))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{decoy.netloc}")
    assert post(server).body == b"yes"
    assert decoy.connections == 0
    assert "authorization" not in server.requests[0].headers


def test_calls_at_the_same_time_keep_their_own_answers_and_deadlines(serve):
    quick = serve(say(wire(200, b"quick")))
    server = serve(hang())
    with ThreadPoolExecutor(16) as pool, soon():
        late = [pool.submit(post, server, SHORT) for _ in range(8)]
        good = [pool.submit(post, quick) for _ in range(40)]
        assert {future.result().body for future in good} == {b"quick"}
        assert {type(future.exception()) for future in late} == {NoAnswer}


def test_no_thread_and_no_connection_is_left_behind(serve):
    server = serve(say(wire(200, b"yes")))
    for _ in range(5):
        post(server)
    left = time.monotonic() + 5
    while any(thread.name == "deadline" for thread in threading.enumerate()):
        assert time.monotonic() < left


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        *(("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True)),
        *(("localhost.example", False), ("10.0.0.1", False), ("127.0.0.1.example", False)),
        *(("", False), ("0.0.0.0", False)),
    ],
)
def test_only_names_of_this_machine_are_loopback(host, answer):
    assert names_loopback(host) is answer
