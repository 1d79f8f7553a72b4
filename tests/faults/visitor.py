"""A person at a browser without a screen: the create form of the running site, over real HTTP.

Knows addresses and field names alone.
"""

import html
import http.client
import re
from dataclasses import dataclass
from urllib.parse import urlencode

PATIENCE_SECONDS = 30
FIELD = re.compile(r'name="(csrfmiddlewaretoken|number)" value="([^"]*)"')
CSRF_COOKIE = re.compile(r"csrftoken=([^;]+)")


class NoAnswer(Exception):
    """The site did not answer, or with a page that is none of ours to read."""


@dataclass(frozen=True)
class Form:
    """The create page as it was loaded; pressing it twice asks for one avatar."""

    token: str
    number: str
    cookie: str


@dataclass(frozen=True)
class Visitor:
    port: int
    session: str
    photo: str

    def load(self) -> Form:
        """The create page. Raises NoAnswer."""
        status, headers, body = self._call("GET", "/create/")
        fields = {name: html.unescape(value) for name, value in FIELD.findall(body)}
        cookie = CSRF_COOKIE.search(" ".join(headers.get_all("Set-Cookie", [])))
        if status != 200 or cookie is None or len(fields) != 2:
            raise NoAnswer(f"/create/ answered {status}")
        return Form(fields["csrfmiddlewaretoken"], fields["number"], cookie.group(1))

    def press(self, form: Form, prompt: str) -> int:
        """The button. Returns the status: 302 means that the wish is in line. Raises NoAnswer, also
        for a way to somewhere else.
        """
        fields = {
            "csrfmiddlewaretoken": form.token,
            "number": form.number,
            "photo": self.photo,
            "style": "anime",
            "prompt": prompt,
            "avoid": "",
            "quality": "standard",
            "shown_cost": "1",
        }
        status, headers, _body = self._call("POST", "/create/", urlencode(fields), form.cookie)
        if status == 302 and not headers.get("Location", "").startswith("/jobs/"):
            raise NoAnswer(f"sent to {headers.get('Location')}")
        return status

    def _call(
        self, method: str, path: str, body: str | None = None, csrf: str = ""
    ) -> tuple[int, http.client.HTTPMessage, str]:
        cookie = f"sessionid={self.session}; csrftoken={csrf}"
        return call(self.port, method, path, body, cookie)


def call(
    port: int, method: str, path: str, body: str | None, cookie: str
) -> tuple[int, http.client.HTTPMessage, str]:
    """One request of a browser with that cookie. Raises NoAnswer."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    headers = {"Cookie": cookie, "Connection": "close"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        line.request(method, path, body, headers)
        answer = line.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(type(error).__name__) from error
    finally:
        line.close()
