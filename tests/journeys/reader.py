"""A person whose browser knows no script, for journeys.

Knows HTTP and our forms' token.
"""

import re
from typing import Any

import requests


class Visitor:
    """A browser without script: fills in the form of a page and presses its button. `seen` is
    every page it was shown, and what else the site sent along.
    """

    def __init__(self, url: str) -> None:
        self.url, self.browser = url, requests.Session()
        self.seen: list[str] = []

    def open(self, path: str) -> str:
        return self._shown(self.browser.get(self.url + path, timeout=20)).text

    def press(
        self, page: str, path: str, files: dict[str, Any] | None = None, **fields: str
    ) -> requests.Response:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.open(page))[1]
        form = {"csrfmiddlewaretoken": token, **fields}
        pressed = self.browser.post(
            self.url + path, form, files=files, timeout=20, allow_redirects=False
        )
        return self._shown(pressed)

    def _shown(self, answer: requests.Response) -> requests.Response:
        headers = {name: word for name, word in answer.headers.items() if name != "Set-Cookie"}
        self.seen += [str(headers), answer.text]
        return answer
