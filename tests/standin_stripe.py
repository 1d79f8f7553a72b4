"""A shop at the Stripe stand-in for its tests: the official client, a pay page, a listening site.

Knows the stand-in's app, its server and the official library.
"""

import http.client
import json
import time
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import stripe

from config.standins import serve
from config.standins.stripe import PLAY_KEY as KEY
from config.standins.stripe import StripeStandIn

SECRET = "whsec_of_the_tests"
PATIENCE_SECONDS = 10
DAY = 24 * 3600  # seconds
PURCHASE = {
    "mode": "payment",
    "success_url": "http://localhost/return?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://localhost/credits",
    "customer_email": "ada@example.com",
    "line_items": [
        {
            "quantity": 1,
            "price_data": {
                "currency": "usd",
                "unit_amount": 900,
                "product_data": {"name": "60 credits"},
            },
        }
    ],
}


def line(**price):
    """Line items like those of `PURCHASE`, at another price."""
    return [{"quantity": 1, "price_data": {**PURCHASE["line_items"][0]["price_data"], **price}}]


def send(method, url, form=None, headers=None):
    """One request without following redirects: status, headers with lower-case names, text."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.netloc, timeout=PATIENCE_SECONDS)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    body = urlencode(form) if form is not None else None
    connection.request(method, path, body, {**kind, **(headers or {})})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


class Site:
    """A WSGI app that hears events; gives `answers` one after the other, then 200."""

    def __init__(self):
        self.heard = []
        self.answers = []

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read()
        status = HTTPStatus(self.answers.pop(0) if self.answers else 200)
        self.heard.append((body, environ["HTTP_STRIPE_SIGNATURE"]))
        start_response(f"{status.value} {status.phrase}", [])
        return [b""]

    def wait_for(self, count):
        """The types heard, in order, once there are `count`; whatever is there at the deadline."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.heard) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return [json.loads(body)["type"] for body, _ in list(self.heard)]


class Counter:
    """A stand-in seen from outside: the official client, the pay page, the control routes."""

    def __init__(self, url: str):
        self.url = url
        client = stripe.StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0)
        self.api = client.v1
        self.sessions = client.v1.checkout.sessions

    def press(self, session, how, **form):
        """One button of the session's pay page."""
        return send("POST", f"{self.url}/c/pay/{session.id}", {"how": how, **form})

    def control(self, path, **form):
        return json.loads(send("POST", f"{self.url}/__standin__/{path}", form)[2])

    def switch(self, **switches):
        answer = self.control("switches", **switches)
        assert "error" not in answer, answer

    def log(self, since=0):
        return json.loads(send("GET", f"{self.url}/__standin__/log?since={since}")[2])


class Shop(Counter):
    """The stand-in being served here; `site` hears its events when `listening`."""

    def __init__(self, directory: Path, *, listening: bool = False, **switches: str | float):
        self.site = Site()
        self._directory, self._switches = directory, {"retry": 0.02, **switches}
        self._ear = serve(self.site) if listening else None
        self.open()

    def open(self):
        self.app = StripeStandIn(
            self._directory,
            webhook_url=f"{self._ear.url}/webhooks/stripe/" if self._ear else "",
            webhook_secret=SECRET,
            **self._switches,
        )
        self._server = serve(self.app)
        super().__init__(self._server.url)

    def close(self):
        self._server.close()
        self.app.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        if self._ear:
            self._ear.close()

    def create(self, **change):
        return self.sessions.create({**PURCHASE, **change})

    def paid(self, **change):
        """A paid session, its payment intent and its charge."""
        session = self.create(**change)
        self.press(session, "card")
        session = self.sessions.retrieve(session.id)
        intent = self.api.payment_intents.retrieve(session.payment_intent)
        return session, intent, self.api.charges.retrieve(intent.latest_charge)
