"""A server on loopback that does to a connection exactly what a script says, and takes notes.

Knows nothing of ours.
"""

import datetime
import ipaddress
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

RECORDED = Path(__file__).parent.parent / "recorded"


@dataclass(frozen=True)
class Request:
    """What one connection brought: request line, headers (names in small letters), body."""

    line: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[socket.socket, threading.Event], None]


class Scripted:
    """Answers every connection by `script`; `requests` holds what came, `connections` how often."""

    def __init__(self, script: Script, *, reads: bool = True, tls: ssl.SSLContext | None = None):
        self.script = script
        self.requests: list[Request] = []
        self.connections = 0
        self._reads = reads
        self._tls = tls
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answers(self, body: object, status: int = 200, **headers: str) -> None:
        """From now on this: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.script = say(wire(status, data, **headers))

    def close(self) -> None:
        self._over.set()
        # On some systems closing alone does not wake an accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            talk = threading.Thread(target=self._talk, args=[connection], daemon=True)
            self._threads.append(talk)
            talk.start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError):  # a client that leaves is what many scripts are about
            connection.settimeout(10)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            if self._reads:
                self.requests.append(_request(connection))
            self.script(connection, self._over)
        connection.close()


@contextmanager
def serving() -> Iterator[Callable[..., Scripted]]:
    """A starter of servers; they end with the block."""
    servers: list[Scripted] = []

    def start(script: Script, **options: object) -> Scripted:
        servers.append(Scripted(script, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def recorded(name: str) -> bytes:
    """A body as the provider documents it."""
    return (RECORDED / f"face_gen_{name}.json").read_bytes()


def _request(connection: socket.socket) -> Request:
    with connection.makefile("rb") as stream:
        line = stream.readline().decode("latin-1").strip()
        headers = {}
        while text := stream.readline().decode("latin-1").strip():
            name, _, value = text.partition(": ")
            headers[name.lower()] = value
        body = stream.read(int(headers.get("content-length", 0)))
    return Request(line, headers, body)


def wire(status: int, body: bytes, *, length: int | None = None, **headers: str) -> bytes:
    """An HTTP answer as bytes; `length` may lie. A header's name has _ for -."""
    headers.setdefault("content_length", str(len(body) if length is None else length))
    lines = [f"HTTP/1.1 {status} Words"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def say(data: bytes) -> Script:
    """These bytes, then the end."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(data)

    return script


def hang(data: bytes = b"") -> Script:
    """These bytes, then silence until the test ends."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(data)
        over.wait(10)

    return script


def drip(data: bytes, piece: int = 1, every: float = 0.02) -> Script:
    """These bytes, a `piece` of them `every` so many seconds."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        for start in range(0, len(data), piece):
            connection.sendall(data[start : start + piece])
            if over.wait(every):
                return

    return script


def reset(data: bytes = b"") -> Script:
    """These bytes, then a reset."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def certificate_for(name: str, folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate that signs itself: the file to trust, and the server's side of it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    try:
        known_as = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        known_as = x509.DNSName(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([known_as]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "certificate.pem", folder / "key.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, private)
    return trusted, context
