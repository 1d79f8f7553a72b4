"""The face_gen stand-in's own calls, reading faces and ringing webhooks, to this machine only.

Knows the standard library alone.
"""

import http.client
import ipaddress
import time
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

CHUNK = 65536
MOST_HOPS = 3  # redirects followed where a scenario follows any
AGENT = "LocalStandIn/1.0 (face_gen)"


@dataclass(frozen=True)
class Reply:
    """What came back; `status` is None and `error` says why if nothing did."""

    status: int | None
    body: bytes = b""
    error: str = ""


class Outgoing:
    """Calls loopback addresses and the hosts named when it was made; refuses all others."""

    def __init__(self, hosts: Collection[str] = ()) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)

    def may_reach(self, url: str) -> bool:
        parts = _split(url)
        return parts is not None and (
            is_loopback(parts.hostname or "") or (parts.hostname or "").lower() in self._hosts
        )

    def get(self, url: str, *, seconds: float, most: int, follow: bool) -> Reply:
        """One GET of at most `most` bytes, within about `seconds`; redirects only if `follow`."""
        for _ in range(MOST_HOPS + 1):
            reply, location = self._call("GET", url, None, seconds, most)
            if not (follow and location):
                return reply
            url = urljoin(url, location)
        return Reply(None, error="too many redirects")

    def post(self, url: str, body: bytes, *, seconds: float) -> Reply:
        """One POST of JSON; the answer's body is not read beyond a first piece."""
        return self._call("POST", url, body, seconds, CHUNK)[0]

    def _call(
        self, method: str, url: str, body: bytes | None, seconds: float, most: int
    ) -> tuple[Reply, str]:
        parts = _split(url)
        if parts is None or not self.may_reach(url):
            return Reply(None, error="not an address this stand-in may call"), ""
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(parts.hostname or "", parts.port, timeout=seconds)
        headers = {"User-Agent": AGENT, "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        deadline = time.perf_counter() + seconds
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            content = b""
            while piece := response.read1(CHUNK):
                content += piece
                if len(content) > most or time.perf_counter() > deadline:
                    return Reply(None, error="too large or too slow"), ""
            location = response.getheader("Location", "") if 300 <= response.status < 400 else ""
            return Reply(response.status, content), location
        except (OSError, http.client.HTTPException) as error:
            return Reply(None, error=type(error).__name__), ""
        finally:
            connection.close()


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public_address(url: str) -> bool:
    """Whether the real service would take this: https and the name, not the number, of a host."""
    parts = _split(url)
    if parts is None or parts.scheme != "https" or "." not in (parts.hostname or ""):
        return False
    try:
        ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return True
    return False


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None
