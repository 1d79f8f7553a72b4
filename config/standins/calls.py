"""One request to the face_gen stand-in: what was sent, by which account, under which switches.

Knows the errors of `answers` and the switches.
"""

import hashlib
import json
import socket
from dataclasses import dataclass, field
from typing import Any

from config.standins import Environ
from config.standins.answers import Refused
from config.standins.orders import absent
from config.standins.switches import INVALID_KEY, KEYS, Switches, parse


@dataclass
class Call:
    """A request; `body`, `key` and `account` are empty until `open` has read them."""

    environ: Environ
    switches: Switches  # grows as key and prompt become known
    method: str
    path: str
    raw: bytes
    body: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    account: str = ""  # what the log calls the key: never the key itself
    job: int | None = None  # the number of the job it made

    @classmethod
    def of(cls, environ: Environ, switches: Switches) -> "Call":
        return cls(
            environ,
            switches,
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ["wsgi.input"].read(),
        )

    @property
    def connection(self) -> socket.socket:
        return self.environ["standin.connection"]

    @property
    def origin(self) -> str:
        """This service as the caller addresses it."""
        name = f"{self.environ['SERVER_NAME']}:{self.environ['SERVER_PORT']}"
        return f"http://{self.environ.get('HTTP_HOST', name)}"

    def read_json(self) -> dict[str, Any]:
        """The body as an object. Raises Refused for anything but JSON sent as JSON."""
        if not self.environ["CONTENT_TYPE"].lower().startswith("application/json"):
            raise Refused("broken")
        try:
            body = json.loads(self.raw)
        except (ValueError, RecursionError):
            raise Refused("broken") from None
        if not isinstance(body, dict):
            raise Refused("broken")
        return body

    def open(self) -> None:
        """Reads the body and knows the account by its key. Raises Refused."""
        self.body = self.read_json()
        key = self.body.get("key")
        if absent(key) or not isinstance(key, str) or key == INVALID_KEY:
            raise Refused("key")
        self.key = key
        self.account = hashlib.sha256(key.encode()).hexdigest()[:8]
        if key in KEYS:
            self.switches = self.switches.over(parse(KEYS[key]))
