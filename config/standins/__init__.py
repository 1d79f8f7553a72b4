"""Serves the understudy of an outside service, a plain WSGI app, over real HTTP on a loopback port.

Knows the standard library alone; the apps beside it know it, never the other way round.
"""

import contextlib
import io
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

LARGEST_BODY = 32 * 1024 * 1024  # bytes; twice what any client of ours sends, small enough to hold
LONGEST_LINE = 65536  # bytes of a request line, as in http.server
IDLE_SECONDS = 120  # a kept-alive connection without a word for this long is closed
PARTING_SECONDS = 0.5  # close() waits this long for each answer under way


class Cut(Exception):
    """Raised by an app that has used `environ["standin.connection"]` itself: the server writes
    nothing more and closes the connection."""


class _Exchange(BaseHTTPRequestHandler):
    """One connection, answered request by request until either side closes it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the receiver's delayed acknowledgement adds 40 ms
    timeout = IDLE_SECONDS
    server: "Server"  # type: ignore[assignment]  # only .app, .port and .host are used here

    def handle_one_request(self) -> None:
        self.close_connection = True
        try:
            self.raw_requestline = self.rfile.readline(LONGEST_LINE + 1)
            if not self.raw_requestline:
                return
            if len(self.raw_requestline) > LONGEST_LINE:
                self.requestline = self.request_version = self.command = ""
                self.send_error(414)
                return
            if self.parse_request() and (environ := self._environ()) is not None:
                self._answer(environ)
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the caller has gone, as callers do

    def _environ(self) -> Environ | None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            self.send_error(411)
            return None
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            self.send_error(413)
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        # An absolute-form target ("GET http://host/path") names the same path.
        target = urlsplit(self.path) if not self.path.startswith("/") else None
        path, _, query = self.path.partition("?")
        if target is not None:
            path, query = target.path or "/", target.query
        environ: Environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "iso-8859-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": length,
            "REMOTE_ADDR": self.client_address[0],
            "SERVER_NAME": self.server.host,
            "SERVER_PORT": str(self.server.port),
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "standin.connection": self.connection,
            "standin.afterwards": [],
        }
        for name, value in self.headers.items():
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    def _answer(self, environ: Environ) -> None:
        started: list[Any] = []
        chunks: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> Callable[[bytes], object]:
            started[:] = [status, headers]
            return chunks.append

        try:
            iterable = self.server.app(environ, start_response)
            try:
                chunks.extend(iterable)
            finally:
                if hasattr(iterable, "close"):
                    iterable.close()
        except Cut:
            self.close_connection = True
            return
        status, headers = started
        body = b"".join(chunks)
        names = {name.lower(): value for name, value in headers}
        bodiless = status[:3] in ("204", "304")
        lines = [f"HTTP/1.1 {status}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if "content-length" not in names and not bodiless:
            lines.append(f"Content-Length: {len(body)}")
        elif self.command != "HEAD" and names.get("content-length", "0") != str(len(body)):
            self.close_connection = True  # cut short on purpose: the caller must see it end
        if self.close_connection:
            lines.append("Connection: close")
        if self.command == "HEAD" or bodiless:
            body = b""
        head = "\r\n".join([*lines, "", ""]).encode("iso-8859-1")
        try:
            self.wfile.write(head + body)  # one write: unbuffered by the base class, so one sendall
        except OSError:
            self.close_connection = True
            self._tell(environ, sent=False)
        else:
            self._tell(environ, sent=True)

    def _tell(self, environ: Environ, *, sent: bool) -> None:
        for listener in environ["standin.afterwards"]:
            listener(sent)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: each app keeps books of its own, and a request line may hold a token."""


class Server:
    """A WSGI app answering on a port of this machine, until `close()`. Also a context manager.

    `port` is the port given by the system when 0 was asked for, `url` ends without a slash.
    """

    def __init__(self, app: App, port: int, host: str) -> None:
        self.app = app
        self.host = host
        self._listener = socket.create_server((host, port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self._lock = threading.Lock()
        self._closing = False
        self._open: dict[socket.socket, threading.Thread] = {}
        self._accepting = threading.Thread(
            target=self._accept, name=f"standin-{self.port}", daemon=True
        )
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            connection, address = self._listener.accept()
            thread = threading.Thread(
                target=self._converse, args=(connection, address), daemon=True
            )
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                self._open[connection] = thread
            thread.start()

    def _converse(self, connection: socket.socket, address: tuple[str, int]) -> None:
        try:
            _Exchange(connection, address, self)  # type: ignore[arg-type]
        finally:
            with self._lock:
                del self._open[connection]
            connection.close()

    def close(self) -> None:
        """Stops listening, ends the open connections and waits for their threads. May be repeated.

        An answer under way gets `PARTING_SECONDS`; a connection that waits for its next request
        is closed at once.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            still_open = dict(self._open)
        # A connection of our own is what wakes accept() on every system; closing does not.
        with contextlib.suppress(OSError):
            socket.create_connection((self.host, self.port), timeout=PARTING_SECONDS).close()
        self._accepting.join()
        self._listener.close()
        for connection in still_open:
            with contextlib.suppress(OSError):  # closed by its own thread in the meantime
                connection.shutdown(socket.SHUT_RD)
        for thread in still_open.values():
            thread.join(PARTING_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve(app: App, port: int = 0, host: str = "127.0.0.1") -> Server:
    """Serves `app` from now on, each connection in a thread; ready when this returns.

    HTTP/1.1 with keep-alive; status line, headers and body of an answer leave in one write. The
    app finds the caller's socket in `environ["standin.connection"]` and may misuse it, if it then
    raises `Cut`. Functions it appends to `environ["standin.afterwards"]` are called once the answer
    has left: with True, or with False if the caller had gone. Raises OSError if the port is taken.
    """
    return Server(app, port, host)
