"""Callers of the face_gen stand-in for its own tests: plain requests, a face, a bell to ring.

Knows the stand-ins alone.
"""

import time
from collections.abc import Callable
from typing import Any

import requests

from config.standins import Environ, Server, StartResponse, serve
from config.standins.face_gen import FaceGen

KEY = "key-of-the-tests-0123456789"
SUBMIT = "/api/v6/image_editing/face_gen"
FETCH = "/api/v6/image_editing/fetch/"
FACE_ELSEWHERE = "https://faces.example.org/ada"  # a host the stand-in may not reach
TINY_JPEG = b"\xff\xd8\xff\xe0 not really a picture, but it starts like one"


def eventually(claim: Callable[[], object], seconds: float = 10.0) -> None:
    """Looks until the claim holds; fails the test when it does not in time."""
    deadline = time.perf_counter() + seconds
    while not claim():
        assert time.perf_counter() < deadline, "it never came true"
        time.sleep(0.005)


class Caller:
    """Somebody with a key, talking to a stand-in over real HTTP."""

    def __init__(self, stand_in: FaceGen, server: Server, key: str = KEY) -> None:
        self.stand_in, self.url, self.key = stand_in, server.url, key
        self.session = requests.Session()

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.session.post(self.url + path, json={"key": self.key, **body}, timeout=20)

    def get(self, address: str) -> requests.Response:
        address = address if address.startswith("http") else self.url + address
        return self.session.get(address, timeout=20, allow_redirects=False)

    def submit(self, prompt: str = "a lighthouse keeper", **body: Any) -> requests.Response:
        return self.post(SUBMIT, **{"prompt": prompt, "face_image": FACE_ELSEWHERE, **body})

    def accepted(self, prompt: str = "a lighthouse keeper", **body: Any) -> int:
        """Submits and returns the id of the job."""
        answer = self.submit(prompt, **body).json()
        assert answer["status"] == "processing", answer
        return answer["id"]

    def look(self, job: int | str) -> dict[str, Any]:
        return self.post(f"{FETCH}{job}").json()

    def ended(self, job: int | str) -> dict[str, Any]:
        """Looks until the job no longer runs."""
        seen: list[dict[str, Any]] = []

        def is_over() -> bool:
            seen.append(self.look(job))
            return seen[-1]["status"] != "processing"

        eventually(is_over)
        return seen[-1]

    def output(self, prompt: str, **body: Any) -> str:
        """The address of the picture of a job that is done."""
        return self.ended(self.accepted(prompt, **body))["output"][0]


class Visited:
    """A small site that remembers who came: our face link or webhook, as the service sees it."""

    def __init__(self) -> None:
        self.visits: list[tuple[str, str, bytes]] = []
        self.pages: dict[str, tuple[str, list[tuple[str, str]], bytes]] = {}
        self._server = serve(self._app)
        self.url = self._server.url

    def _app(self, environ: Environ, start_response: StartResponse) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.visits.append((environ["REQUEST_METHOD"], path, environ["wsgi.input"].read()))
        status, headers, body = self.pages.get(path, ("404 Not Found", [], b""))
        start_response(status, headers)
        return [body]

    def close(self) -> None:
        self._server.close()
