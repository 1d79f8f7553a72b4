"""One HTTP exchange with the outside, from name lookup to last byte under one deadline.

May know nothing of ours: no settings, no rows. `avatars.face_gen` and `avatars.download` use it.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

CONNECT_SECONDS = 3.0  # name lookup and TCP together, then once more for TLS
PIECE_BYTES = 64 * 1024
CERTIFICATES = DEFAULT_CA_BUNDLE_PATH  # not every machine's Python knows the system's own

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Allowed = Callable[[Address], bool]


class NoConnection(Exception):
    """Nothing of the request has been sent: name lookup, TCP or TLS failed."""


class AddressRefused(NoConnection):
    """The name leads to an address that is not allowed."""


class NoAnswer(Exception):
    """The request may have arrived, but no answer to it did."""


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
    """
    headers = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "Likeness"}
    if body is not None:
        headers |= {"Content-Type": "application/json", "Accept": "application/json"}
    with _Deadline(limits.whole) as deadline, _Session(allowed, deadline) as session:
        try:
            request = session.prepare_request(requests.Request(method, url, headers, data=body))
            request.url = url  # as it was judged and signed, not as requests would spell it
            # The timeout of one read or write is but a net: the deadline comes before.
            response = session.send(request, timeout=2 * limits.whole, allow_redirects=False)
        except (OSError, HTTPError) as error:
            failure = "deadline" if deadline.passed else type(_cause(error)).__name__
        else:
            with response:
                return _read(response, limits, deadline)
    # Out here, because errors of requests carry the request, and with it a key, along.
    raise (NoAnswer if deadline.may_have_sent else NoConnection)(failure)


def _cause(error: BaseException) -> BaseException:
    """The innermost of the errors that the libraries have wrapped around each other."""
    inner = error.args[-1] if error.args else None
    return _cause(inner) if isinstance(inner, BaseException) else error


class _Deadline:
    """Shuts one connection down when its time is over, whatever it is waiting for.

    A socket's own timeout starts anew with every read, so a server that drips a byte a second is
    never cut by it. Here a thread shuts the socket down at the deadline, which ends sending, TLS
    handshake, headers and body alike. It holds a duplicate of the descriptor: TLS takes the first
    one over, and the number of a closed one may belong to somebody else by then.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self.may_have_sent = False
        self.last = self._ends_at = monotonic() + seconds
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
                connected.close()
                raise NoConnection("deadline")
            self._socket = connected.dup()

    def move(self, moment: float) -> None:
        """End at this moment of the monotonic clock, but never after the first deadline."""
        with self._turn:
            self._ends_at = min(moment, self.last)
            self._turn.notify()


class _Session(requests.Session):
    """For one request; whatever requests would take from elsewhere or do by itself is off."""

    def __init__(self, allowed: Allowed, deadline: _Deadline) -> None:
        super().__init__()
        self.trust_env = False  # .netrc, other certificates, proxies: one would choose the address
        self.verify = CERTIFICATES
        self.stream = True
        self.headers.clear()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(allowed, deadline))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: requests reads the whole body of a redirect, even of one it does not follow."""


class _Adapter(HTTPAdapter):
    """Has requests connect our way."""

    def __init__(self, allowed: Allowed, deadline: _Deadline) -> None:
        super().__init__(max_retries=0)
        self._ours = {"allowed": allowed, "deadline": deadline}

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the library's contract
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _SecureConnection if pool.scheme == "https" else _Connection
        pool.conn_kw |= self._ours
        return pool


class _Connection(HTTPConnection):
    """Leads to an address that was judged, and the deadline holds it."""

    def __init__(self, *, allowed: Allowed, deadline: _Deadline, **options: Any) -> None:  # noqa: ANN401 - the library's contract
        super().__init__(**options)
        self._allowed, self._deadline = allowed, deadline

    def _new_conn(self) -> socket.socket:
        give_up_at = min(monotonic() + CONNECT_SECONDS, self._deadline.last)
        connected = _dial(self._dns_host, self.port, self._allowed, give_up_at)
        self._deadline.hold(connected)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(CONNECT_SECONDS)
        return connected

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, HTTPError) as error:  # ours is no error of theirs: they pass it on
            raise NoConnection(type(error).__name__) from None
        self.sock.settimeout(self.timeout)
        self._deadline.may_have_sent = True


class _SecureConnection(_Connection, HTTPSConnection):
    """With a certificate for the name, whatever address it leads to."""


def _dial(host: str, port: int, allowed: Allowed, give_up_at: float) -> socket.socket:
    """Look the name up once, refuse it if any address is not allowed, connect to one of those."""
    found = _look_up(host, port, give_up_at - monotonic())
    if not all(allowed(ipaddress.ip_address(place[0])) for *_, place in found):
        raise AddressRefused("the name leads to an address that is not allowed")
    failure = "no address"
    for position, (*_, place) in enumerate(found):
        # A fair share each, or one dead address uses up the time of the living ones.
        share = max(0.001, (give_up_at - monotonic()) / (len(found) - position))
        try:
            return socket.create_connection(place[:2], share)
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
        found = answers.get(timeout=max(0, seconds))
    except Empty:
        found = "too slow"
    if isinstance(found, str):
        raise NoConnection(f"name lookup: {found}")
    return found


def _read(response: requests.Response, limits: Limits, deadline: _Deadline) -> Reply:
    """The body as far as it comes: what arrived before a cut may be enough. It is not unpacked."""
    began_at = monotonic()
    announced = response.raw.length_remaining or 0
    received = bytearray()
    complete = False
    with suppress(HTTPError):
        while announced <= limits.size >= len(received):
            if limits.least:
                deadline.move(began_at + max(limits.grace, len(received) / limits.least))
            piece = response.raw.read1(PIECE_BYTES, decode_content=False)
            if not piece:
                complete = not deadline.passed
                break
            received += piece
    return Reply(
        status=response.status_code,
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
