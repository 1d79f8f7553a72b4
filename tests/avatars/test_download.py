"""Fetching one finished picture: which hosts, which addresses, how much, how long, in which form.

Knows `avatars.download`; the servers are real, on loopback, and do what a script says.
"""

import base64
import ipaddress
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatars import download, exchange
from avatars.download import ForeignHost, NoPicture, NotThere, Refused, TooLarge, fetch, is_public
from tests.avatars.scripted import Scripted, certificate_for, drip, hang, reset, say, serving, wire

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))
WEBP = b"RIFF\x00\x01\x00\x00WEBPVP8 " + bytes(range(200))
TEXT = base64.b64encode(PNG)


@pytest.fixture
def serve():
    with serving() as start:
        yield start


@pytest.fixture
def store(serve, settings) -> Scripted:
    """A loopback store whose host and port are allowed; each test gives it its script."""
    server = serve(say(wire(200, PNG)))
    settings.FACE_GEN_RESULT_HOSTS = ["cdn.modelslab.com", server.netloc]
    return server


def url(store: Scripted, path: str = "/temp/a-0.png") -> str:
    return f"http://{store.netloc}{path}"


def leads_to(monkeypatch, *addresses: str) -> list[str]:
    """The world's name service, replaced; the list it returns fills with the names asked for."""
    asked = []
    real = socket.getaddrinfo

    def look_up(host, port, *arguments, **options):
        if not host.endswith("modelslab.com"):
            return real(host, port, *arguments, **options)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


# ── What comes ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("picture", [PNG, JPEG, WEBP])
@pytest.mark.parametrize("kind", ["image/png", "text/html", "application/octet-stream"])
def test_a_picture_comes_as_it_is_whatever_the_store_calls_it(store, picture, kind):
    store.answers(picture, Content_Type=kind)
    assert fetch(url(store)) == picture


def test_a_download_is_a_plain_get_without_key_or_cookie(store):
    fetch(url(store, "/temp/a-0.png?sig=1"))
    [request] = store.requests
    assert (request.line, request.body) == ("GET /temp/a-0.png?sig=1 HTTP/1.1", b"")
    assert request.headers == {
        "host": store.netloc,
        "connection": "close",
        "user-agent": "Likeness",
        "accept-encoding": "identity",
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/a.base64", TEXT),
        ("/a.base64", b"\xef\xbb\xbf \r\n" + TEXT[:76] + b"\r\n" + TEXT[76:] + b"\n"),
        ("/a.base64", b"data:image/png;base64," + TEXT),
        ("/a.base64", b"DATA:image/jpeg;Base64,\n" + TEXT),
        ("/a.base64", PNG),
        ("/a.png", b"data:image/png;base64," + TEXT),
    ],
)
def test_base64_is_decoded_with_and_without_prefix(store, path, body):
    store.answers(body, Content_Type="text/plain")
    assert fetch(url(store, path)) == PNG


@pytest.mark.parametrize(
    "body",
    [
        *(TEXT[:-1], TEXT + b"!", TEXT[:40] + b"-_" + TEXT[42:], TEXT[:8] + b"====" + TEXT[8:]),
        *(b"<html>not yet</html>", b"", b"=", b"data:", b"data:image/png;base64"),
        *(b"data:text/html;base64," + TEXT, b"data:image/png," + TEXT, base64.b64encode(b"GIF89a")),
        "é".encode(),
    ],
)
def test_base64_that_is_not_strict_is_not_there_yet(store, body):
    store.answers(body)
    with pytest.raises(NotThere):
        fetch(url(store, "/a.base64"))


@pytest.mark.parametrize("body", [b"<!doctype html><p>soon", b"", b"\x89PN", b"GIF89a", TEXT])
def test_what_does_not_begin_like_a_picture_is_not_there_yet(store, body):
    store.answers(body, Content_Type="image/png")
    with pytest.raises(NotThere, match=f"no picture in {len(body)} bytes"):
        fetch(url(store))


@pytest.mark.parametrize("status", [204, 206, 400, 401, 403, 404, 408, 410, 429, 500, 503, 524])
def test_any_status_but_200_is_not_there_yet(store, status):
    store.answers(PNG, status)
    with pytest.raises(NotThere, match=f"HTTP {status}"):
        fetch(url(store))


@pytest.mark.parametrize(
    "script",
    [
        say(wire(200, PNG, length=9999)),
        reset(wire(200, PNG, length=9999)),
        hang(wire(200, PNG, length=9999)),
        drip(wire(200, PNG * 9)),
        drip(b"HTTP/1.1 200 OK\r\n\r\n" + PNG * 9),
        *(hang(), reset(), say(b""), say(b"\x00" * 99)),
    ],
    ids=["short", "reset", "stalled", "drip", "drip to end", "hang", "reset", "end", "no HTTP"],
)
def test_a_body_that_does_not_come_whole_in_time_is_not_there_yet(store, monkeypatch, script):
    monkeypatch.setattr(download, "FETCH_SECONDS", 0.4)
    store.script = script
    began_at = time.monotonic()
    with pytest.raises(NotThere):
        fetch(url(store))
    assert time.monotonic() - began_at < 3


def test_a_slow_store_is_left_before_the_whole_time_is_over(store, monkeypatch):
    monkeypatch.setattr(download, "GRACE_SECONDS", 0.3)
    store.script = drip(wire(200, PNG * 99), piece=50, every=0.05)
    began_at = time.monotonic()
    with pytest.raises(NotThere, match="cut after"):
        fetch(url(store))
    assert time.monotonic() - began_at < 3


def test_a_store_that_cannot_be_reached_is_not_there_yet(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        netloc = f"127.0.0.1:{server.getsockname()[1]}"
    settings.FACE_GEN_RESULT_HOSTS = [netloc]
    with pytest.raises(NotThere, match="ConnectionRefusedError"):
        fetch(f"http://{netloc}/a.png")


@pytest.mark.parametrize(
    ("path", "script"),
    [
        ("/a.png", hang(wire(200, PNG, length=10**12))),
        ("/a.png", say(b"HTTP/1.1 200 OK\r\n\r\n" + PNG * 20)),
        ("/a.base64", say(wire(200, base64.b64encode(PNG * 20)))),
        ("/a.base64", say(wire(200, base64.b64encode(PNG + b"x" * 800)))),
    ],
)
def test_more_than_the_limit_is_too_large(store, monkeypatch, path, script):
    monkeypatch.setattr(download, "PICTURE_BYTES", 1000)
    monkeypatch.setattr(download, "ENCODED_BYTES", 1500)
    store.script = script
    with pytest.raises(TooLarge):
        fetch(url(store, path))


def test_an_inline_picture_is_decoded_without_going_anywhere():
    assert fetch("data:image/png;base64," + TEXT.decode()) == PNG
    assert fetch("DATA:image/webp;base64," + base64.b64encode(WEBP).decode()) == WEBP


@pytest.mark.parametrize(
    "uri",
    [
        *("data:", "data:image/png,abc", "data:image/png;base64,", "data:image/png;base64,AA"),
        *("data:text/html;base64," + TEXT.decode(), "data:image/png;base64,é", "data:\ud800"),
    ],
)
def test_a_data_uri_without_a_picture_is_refused(uri):
    with pytest.raises(Refused):
        fetch(uri)


def test_an_inline_picture_has_the_same_limit(monkeypatch):
    monkeypatch.setattr(download, "PICTURE_BYTES", 100)
    with pytest.raises(TooLarge):
        fetch("data:image/png;base64," + TEXT.decode())
    monkeypatch.setattr(download, "ENCODED_BYTES", 100)
    with pytest.raises(TooLarge, match="characters"):
        fetch("data:image/png;base64," + TEXT.decode())


# ── Where we go ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://evil.example/a.png", "evil.example"),
        ("https://evil.example:8443/a.png", "evil.example:8443"),
        ("http://evil.example/a.png", "evil.example"),
        ("https://cdn.modelslab.com.evil.example/a.png", "cdn.modelslab.com.evil.example"),
        ("https://evilcdn.modelslab.com/a.png", "evilcdn.modelslab.com"),
        ("https://modelslab.com/a.png", "modelslab.com"),
        ("https://cdn.modelslab.com./a.png", "cdn.modelslab.com."),
        ("https://127.0.0.1/a.png", "127.0.0.1"),
        ("http://[::1]:9/a.png", "[::1]:9"),
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254"),
    ],
)
def test_a_host_that_is_not_listed_exactly_is_named_and_not_visited(
    store, monkeypatch, address, host
):
    asked = leads_to(monkeypatch, "127.0.0.1")
    with pytest.raises(ForeignHost) as caught:
        fetch(address)
    assert (caught.value.host, asked, store.connections) == (host, [], 0)


def test_another_port_of_an_allowed_loopback_host_is_foreign(store, serve):
    decoy = serve(say(wire(200, PNG)))
    with pytest.raises(ForeignHost) as caught:
        fetch(url(decoy))
    assert (caught.value.host, decoy.connections) == (decoy.netloc, 0)


@pytest.mark.parametrize(
    "address",
    [
        "http://cdn.modelslab.com/a.png",
        "https://cdn.modelslab.com:8443/a.png",
        "http://cdn.modelslab.com:443/a.png",
        "https://user@cdn.modelslab.com/a.png",
        "https://cdn.modelslab.com@evil.example/a.png",
        "https://cdn.modelslab.com\\@evil.example/a.png",
        "https://evil.example\\.cdn.modelslab.com/a.png",
        "https://cdn.modelslab.com /a.png",
        "https://cdn.modelslab.com/a.png\r\nX-A: b",
        "https://cdn.modelslab.com:x/a.png",
        "https://cdn.modelslab.com:99999/a.png",
        "https://ｃdn.modelslab.com/a.png",
        "https://[cdn.modelslab.com/a.png",
        "https:///a.png",
        "//cdn.modelslab.com/a.png",
        "ftp://cdn.modelslab.com/a.png",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://cdn.modelslab.com/" + "a" * 5000,
        "",
        "a.png",
    ],
)
def test_an_address_that_is_not_plain_https_is_refused_before_any_lookup(
    store, monkeypatch, address
):
    asked = leads_to(monkeypatch, "127.0.0.1")
    with pytest.raises(Refused):
        fetch(address)
    assert asked == []


@pytest.mark.parametrize(
    "addresses",
    [
        *(["127.0.0.1"], ["10.0.0.8"], ["169.254.169.254"], ["0.0.0.0"], ["::ffff:127.0.0.1"]),
        *(["93.184.216.34", "192.168.1.1"], ["fe80::1"], ["::1"]),
    ],
)
def test_an_allowed_name_that_leads_inside_is_refused_after_one_lookup(
    store, monkeypatch, addresses
):
    asked = leads_to(monkeypatch, *addresses)
    with pytest.raises(Refused, match="address that is not allowed"):
        fetch("https://cdn.modelslab.com/a.png")
    assert asked == ["cdn.modelslab.com"]


def test_a_listed_loopback_name_that_leads_elsewhere_is_refused(serve, settings, monkeypatch):
    server = serve(say(wire(200, PNG)))
    settings.FACE_GEN_RESULT_HOSTS = [f"localhost:{server.port}"]
    assert fetch(f"http://localhost:{server.port}/a.png") == PNG
    elsewhere = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [elsewhere])
    with pytest.raises(Refused):
        fetch(f"http://localhost:{server.port}/a.png")


def test_a_port_lifts_nothing_for_a_host_that_is_not_loopback(settings, monkeypatch):
    settings.FACE_GEN_RESULT_HOSTS = ["cdn.modelslab.com:8443", "10.0.0.1:80"]
    asked = leads_to(monkeypatch, "127.0.0.1")
    for address in ("https://cdn.modelslab.com:8443/a.png", "http://10.0.0.1:80/a.png"):
        with pytest.raises(ForeignHost):
            fetch(address)
    assert asked == []


def test_a_loopback_host_without_a_port_lifts_nothing(serve, settings):
    server = serve(say(wire(200, PNG)))
    settings.FACE_GEN_RESULT_HOSTS = ["127.0.0.1", "localhost"]
    for address in (url(server), f"https://127.0.0.1:{server.port}/a.png", "https://127.0.0.1/"):
        with pytest.raises(Refused):
            fetch(address)
    assert server.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_its_target_stays_silent(store, serve, status):
    decoy = serve(say(wire(200, PNG)))
    store.answers(PNG, status, Location=url(decoy))
    with pytest.raises(Refused, match="redirect"):
        fetch(url(store))
    assert decoy.connections == 0


def test_the_certificate_is_checked_against_the_host_of_the_address(
    serve, settings, tmp_path, monkeypatch
):
    trusted, context = certificate_for("localhost", tmp_path)
    monkeypatch.setattr(exchange, "CERTIFICATES", str(trusted))
    server = serve(say(wire(200, PNG)), tls=context)
    settings.FACE_GEN_RESULT_HOSTS = [f"localhost:{server.port}", server.netloc]
    assert fetch(f"https://localhost:{server.port}/a.png") == PNG
    with pytest.raises(NotThere, match="SSLCertVerificationError"):
        fetch(f"https://{server.netloc}/a.png")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        *(("93.184.216.34", True), ("2606:2800:220:1::1", True), ("64:ff9b::5db8:d822", True)),
        *(("127.0.0.1", False), ("10.1.2.3", False), ("172.16.0.1", False), ("100.64.0.1", False)),
        *(("192.168.0.1", False), ("169.254.169.254", False), ("0.0.0.0", False)),
        *(("224.0.0.1", False), ("255.255.255.255", False), ("192.0.2.1", False)),
        *(("::", False), ("::1", False), ("fe80::1", False), ("fe80::1%eth0", False)),
        *(("fc00::1", False), ("fec0::1", False), ("ff02::1", False), ("2001:db8::1", False)),
        *(("::ffff:93.184.216.34", False), ("::ffff:10.0.0.1", False), ("::7f00:1", False)),
        *(("2002:7f00:1::", False), ("2001:0:1::1", False), ("64:ff9b::a9fe:a9fe", False)),
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address, answer):
    assert is_public(ipaddress.ip_address(address)) is answer


@given(st.text() | st.text("htps:/@.[]\\#?0a%"))
def test_no_text_is_too_strange_for_an_address(text):
    with pytest.raises(NoPicture):
        fetch(text)
    with pytest.raises(NoPicture):
        fetch("https://" + text)
