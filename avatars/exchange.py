"""One HTTP exchange with the outside, from name lookup to last byte under one deadline.

May know nothing of ours: no settings, no rows. `avatars.face_gen` and `avatars.download` use it.
"""

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

import certifi

CONNECT_SECONDS = 3.0  # name lookup and TCP together, then once more for TLS
PIECE_BYTES = 64 * 1024
CERTIFICATES = certifi.where()  # not every machine's Python knows the system's own

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Allowed = Callable[[Address], bool]


class NoConnection(Exception):
    """Nothing of the request has been sent: name lookup, TCP or TLS failed."""


class AddressRefused(NoConnection):
    """The name leads to an address that is not allowed."""


class NoAnswer(Exception):
    """The request may have arrived, but no status line came back."""


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes one exchange may take; `least` is bytes a second once `grace` is over."""

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
    connected = _dial(host, parts.port or (443 if secure else 80), allowed)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deadline.hold(connected)
        if secure:  # checks the certificate against the name, whatever address we are at
            connected.settimeout(CONNECT_SECONDS)
            connected = _trust(CERTIFICATES).wrap_socket(connected, server_hostname=host)
        connected.settimeout(limits.whole)
    except OSError as error:
        connected.close()
        raise NoConnection(type(error).__name__) from None
    return connected


@cache
def _trust(certificates: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates)


def _dial(host: str, port: int, allowed: Allowed) -> socket.socket:
    """Look the name up once, refuse it if any address is not allowed, connect to one of those."""
    give_up_at = monotonic() + CONNECT_SECONDS
    found = _look_up(host, port, CONNECT_SECONDS)
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
    """Addresses of a name. Raises NoConnection.

    The system's resolver knows no deadline, so a slow one is left behind in its thread.
    """
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


def names_loopback(host: str) -> bool:
    """Whether this host of a URL can only mean this machine; where it leads is checked again."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_loopback(address: Address) -> bool:
    """Whether packets to this address stay on this machine; mapped addresses do not count."""
    return address.is_loopback
