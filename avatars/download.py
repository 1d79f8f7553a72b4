"""One exchange with the outside under a whole deadline, and the one picture we fetch by it.

May know the setting FACE_GEN_RESULT_HOSTS; no row of ours. `avatars.face_gen` posts through it.
"""

import base64
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from requests.utils import DEFAULT_CA_BUNDLE_PATH

CONNECT_SECONDS = 3.0  # name lookup and TCP together, then once more for TLS
FETCH_SECONDS = 45.0  # one picture, from name lookup to last byte
GRACE_SECONDS = 5.0  # a store may wake slowly; after that the average counts
LEAST_BYTES_PER_SECOND = 8 * 1024
PICTURE_BYTES = 12 * 1024 * 1024  # the pictures we know have at most 0.8 MB
ENCODED_BYTES = PICTURE_BYTES * 3 // 2  # base64 takes 4/3; line breaks and prefix some more
PIECE_BYTES = 64 * 1024
LONGEST_URL = 4096
CERTIFICATES = DEFAULT_CA_BUNDLE_PATH  # not every machine's Python knows the system's own

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Allowed = Callable[[Address], bool]

IPV6_GLOBAL = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all that is handed out; not mapped ones
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


class NoPicture(Exception):
    """The picture did not come. Texts are for staff and never contain the address asked for."""


class NotThere(NoPicture):
    """Not there yet (404, 403, 5xx, HTML, a short body, silence, no connection): come back."""


class ForeignHost(NoPicture):
    """`host` is not in FACE_GEN_RESULT_HOSTS. Nothing was fetched; staff may add it."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is not a host we fetch from")
        self.host = host


class TooLarge(NoPicture):
    """More than PICTURE_BYTES. Asking again will not make it smaller."""


class Refused(NoPicture):
    """We will not go there: a redirect, a private address, user info, a wrong scheme or port."""


class NoConnection(Exception):
    """Nothing of the request has been sent: name lookup, TCP or TLS failed."""


class AddressRefused(NoConnection):
    """The name leads to an address that is not allowed."""


class NoAnswer(Exception):
    """The request may have arrived, but no status line and headers came back."""


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes one exchange may take; `least` is bytes a second once `grace` is over."""

    connect: float
    whole: float
    size: int
    least: int = 0
    grace: float = 0.0


@dataclass(frozen=True)
class Reply:
    """What came back, header names in small letters; a cut body is what had arrived by then."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    complete: bool
    too_large: bool


def exchange(
    method: str, url: str, limits: Limits, allowed: Allowed, body: bytes | None = None
) -> Reply:
    """One request on a fresh connection, one reply; `body` goes out as JSON.

    Raises NoConnection if surely nothing was sent, NoAnswer if something may have been.

    The standard library's connection on a socket of our own, rather than `requests`: so the moment
    before the first byte is a line of this function, the address connected to is the one that was
    checked, and there are no redirects, retries, cookies, .netrc and proxies to switch off (a proxy
    would choose the address itself). No error can carry the request, and with it a key, along.
    """
    parts = urlsplit(url)
    headers = {"Host": parts.netloc, "Connection": "close", "User-Agent": "Likeness"}
    if body is not None:
        headers |= {"Content-Type": "application/json", "Accept": "application/json"}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with _Deadline(limits.whole) as deadline, closing(HTTPConnection(parts.netloc)) as connection:
        connection.auto_open = 0
        connection.sock = _connect(parts, limits, allowed, deadline)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered early
                connection.request(method, target, body, headers)
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            failure = "deadline" if deadline.passed else type(error).__name__
            raise NoAnswer(failure) from None
        with closing(response):
            return _read(response, limits, deadline)


class _Deadline:
    """Shuts one connection down when its time is over, whatever it is waiting for.

    A socket's own timeout starts anew with every read, so a server that drips a byte a second is
    never cut by it. Here a thread shuts the socket down at the deadline, which ends sending, TLS
    handshake, headers and body alike. It holds a duplicate of the descriptor: TLS takes the first
    one over, and the number of a closed one may belong to somebody else by then.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._last = self._ends_at = monotonic() + seconds
        self._over = False
        self._socket: socket.socket | None = None
        self._turn = threading.Condition()

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="deadline", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._over = True
            self._turn.notify()
            if self._socket:
                self._socket.close()

    def _watch(self) -> None:
        with self._turn:
            while not self._over:
                left = self._ends_at - monotonic()
                if left > 0:
                    self._turn.wait(left)
                    continue
                self.passed = self._over = True
                if self._socket:
                    with suppress(OSError):  # the other side was faster
                        self._socket.shutdown(socket.SHUT_RDWR)

    def hold(self, connected: socket.socket) -> None:
        with self._turn:
            if self.passed:
                raise TimeoutError
            self._socket = connected.dup()

    def move(self, moment: float) -> None:
        """End at this moment of the monotonic clock, but never after the first deadline."""
        with self._turn:
            self._ends_at = min(moment, self._last)
            self._turn.notify()


def _connect(
    parts: SplitResult, limits: Limits, allowed: Allowed, deadline: _Deadline
) -> socket.socket:
    """A socket on which nothing has been said yet. Raises NoConnection."""
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    connected = _dial(host, parts.port or (443 if secure else 80), limits, allowed)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deadline.hold(connected)
        if secure:  # checks the certificate against the name, whatever address we are at
            connected.settimeout(limits.connect)
            connected = _trust(CERTIFICATES).wrap_socket(connected, server_hostname=host)
        connected.settimeout(limits.whole)
    except OSError as error:
        connected.close()
        raise NoConnection(type(error).__name__) from None
    return connected


@cache
def _trust(certificates: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates)


def _dial(host: str, port: int, limits: Limits, allowed: Allowed) -> socket.socket:
    """Look the name up once, refuse it if any address is not allowed, connect to one of those."""
    give_up_at = monotonic() + limits.connect
    found = _look_up(host, port, limits.connect)
    if not all(allowed(ipaddress.ip_address(place[0])) for *_, place in found):
        raise AddressRefused("the name leads to an address that is not allowed")
    failure = "no address"
    for position, (*_, place) in enumerate(found):
        # A fair share each, or one dead address uses up the time of the living ones.
        share = (give_up_at - monotonic()) / (len(found) - position)
        try:
            return socket.create_connection(place[:2], max(share, 0.001))
        except OSError as error:
            failure = type(error).__name__
    raise NoConnection(failure)


def _look_up(host: str, port: int, seconds: float) -> list[tuple[Any, ...]]:
    """Addresses of a name. The system's resolver knows no deadline, so a slow one is left behind
    in its thread. Raises NoConnection."""
    answers: SimpleQueue[list[tuple[Any, ...]] | str] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(type(error).__name__)

    threading.Thread(target=ask, name="name lookup", daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except Empty:
        found = "too slow"
    if isinstance(found, str):
        raise NoConnection(f"name lookup: {found}")
    return found


def _read(response: HTTPResponse, limits: Limits, deadline: _Deadline) -> Reply:
    """The body as far as it comes: what arrived before a cut may be enough."""
    began_at = monotonic()
    announced = response.length or 0
    received = bytearray()
    complete = False
    with suppress(OSError, HTTPException):
        while announced <= limits.size >= len(received):
            if limits.least:
                deadline.move(began_at + max(limits.grace, len(received) / limits.least))
            piece = response.read1(PIECE_BYTES)
            if not piece:
                complete = not response.length and not deadline.passed
                break
            received += piece
    return Reply(
        status=response.status,
        headers={name.lower(): value for name, value in response.headers.items()},
        body=bytes(received[: limits.size]),
        complete=complete,
        too_large=max(announced, len(received)) > limits.size,
    )


def fetch(url: str) -> bytes:
    """The bytes of one finished picture: they begin like PNG, JPEG or WebP, nothing else is known.

    `url` is an entry of the provider's `output`: an address, or the picture itself as a data URI.
    Raises NotThere, ForeignHost, TooLarge or Refused.
    """
    if url[:5].lower() == "data:":
        return _inline(url)
    parts, allowed = _checked(url)
    encoded = parts.path.endswith(".base64")
    size = ENCODED_BYTES if encoded else PICTURE_BYTES
    limits = Limits(CONNECT_SECONDS, FETCH_SECONDS, size, LEAST_BYTES_PER_SECOND, GRACE_SECONDS)
    try:
        reply = exchange("GET", url, limits, allowed)
    except AddressRefused as error:
        raise Refused(str(error)) from None
    except (NoConnection, NoAnswer) as error:
        raise NotThere(str(error)) from None
    if 300 <= reply.status < 400:
        raise Refused("redirect")
    if reply.status != 200:
        raise NotThere(f"HTTP {reply.status}")
    if reply.too_large:
        raise TooLarge(f"more than {size} bytes")
    if not reply.complete:
        raise NotThere(f"cut after {len(reply.body)} bytes")
    return _picture(reply.body, encoded=encoded)


def _checked(url: str) -> tuple[SplitResult, Allowed]:
    """The address taken apart, with the test its network addresses must pass."""
    # Other readers of addresses may take such characters differently from the one that judges here.
    if (
        len(url) > LONGEST_URL
        or not url.isascii()
        or not url.isprintable()
        or set(url) & set(' "\\')
    ):
        raise Refused("not a plain address")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("not an address") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise Refused("neither http nor https")
    if "@" in parts.netloc:
        raise Refused("user info")
    name = f"[{host}]" if ":" in host else host
    hosts = {entry.lower() for entry in settings.FACE_GEN_RESULT_HOSTS}
    if names_loopback(host) and f"{name}:{port}" in hosts:
        return parts, is_loopback
    if name not in hosts:
        raise ForeignHost(name if port in (None, 443) else f"{name}:{port}")
    if parts.scheme != "https" or port not in (None, 443):
        raise Refused("not https on port 443")
    return parts, is_public


def names_loopback(host: str) -> bool:
    """Whether this host of a URL can only mean this machine; where it leads is checked again."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_loopback(address: Address) -> bool:
    """Whether packets to this address stay on this machine; mapped addresses do not count."""
    return address.is_loopback


def is_public(address: Address) -> bool:
    """Whether this address belongs to the open internet, also by what it may be translated to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in IPV6_GLOBAL or address.sixtofour or address.teredo:
            return False
    return address.is_global and not address.is_multicast


def _inline(uri: str) -> bytes:
    if len(uri) > ENCODED_BYTES:
        raise TooLarge(f"more than {ENCODED_BYTES} characters")
    try:
        return _decoded(uri.encode())
    except ValueError:
        raise Refused("a data URI that holds no picture") from None


def _picture(body: bytes, *, encoded: bool) -> bytes:
    """A picture as it is, or decoded where the name or the body itself says that it is text."""
    if _begins_like_a_picture(body):  # neither content types nor names can be relied upon
        return body
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if encoded or text[:5].lower() == b"data:":
        with suppress(ValueError):
            return _decoded(text)
    raise NotThere(f"no picture in {len(body)} bytes")


def _decoded(text: bytes) -> bytes:
    """Strict base64, with or without `data:image/…;base64,`; ValueError if it is no picture."""
    compact = b"".join(text.split())
    if compact[:5].lower() == b"data:":
        head, _, compact = compact.partition(b",")
        if not head.lower().startswith(b"data:image/") or not head.lower().endswith(b";base64"):
            raise ValueError("not a picture in base64")
    decoded = base64.b64decode(compact, validate=True)
    if len(decoded) > PICTURE_BYTES:
        raise TooLarge(f"more than {PICTURE_BYTES} bytes")
    if not _begins_like_a_picture(decoded):
        raise ValueError("not a picture")
    return decoded


def _begins_like_a_picture(body: bytes) -> bool:
    is_webp = (body[:4], body[8:12]) == (b"RIFF", b"WEBP")
    return is_webp or body.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))
