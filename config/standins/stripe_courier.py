"""Tells the site what happened, signed as Stripe signs, as often and as late as the switch says.

Knows the standard library and the books beside it. Source: docs.stripe.com/webhooks, and the
official library's `WebhookSignature`, with which a test verifies what is sent here.
"""

import hashlib
import hmac
import http.client
import json
import threading
import time
from urllib.parse import urlsplit

from config.standins.stripe_books import Books
from config.standins.stripe_shapes import Record

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PATIENCE_SECONDS = 20  # a receiver slower than this has not heard; Stripe's own limit is alike
MOST_TELLINGS = 10  # with the wait doubling from one second: over a quarter of an hour
PARTING_SECONDS = 2


def signature(body: bytes, secret: str, at: int) -> str:
    """The Stripe-Signature header: HMAC-SHA256 over `<at>.<raw body>`; `at` in seconds."""
    digest = hmac.new(secret.encode(), b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Courier:
    """Delivers events in threads of its own until each is answered 2xx or has been told
    `MOST_TELLINGS` times. `url` is on this machine, or empty to tell nobody.

    Raises ValueError for any other address: play money stays at home.
    """

    def __init__(self, books: Books, url: str, secret: str) -> None:
        self._target = urlsplit(url)
        if url and (self._target.scheme != "http" or self._target.hostname not in LOOPBACK):
            raise ValueError(f"{url}: the stand-in tells only http addresses of this machine.")
        self._books, self._secret = books, secret
        self._lock = threading.Lock()
        self._closed = False
        self._timers: set[threading.Thread] = set()
        books.tell = self.tell
        # What an earlier life had not told yet.
        unheard = [row for row in reversed(books.rows("event")) if row["pending_webhooks"]]
        if unheard:
            self._later(float(books.switch("retry")), unheard, 1)

    def tell(self, events: list[Record]) -> None:
        """Starts telling what one turn caused, in order, and returns at once."""
        hook = self._books.switch("hook")
        if not self._target.netloc or hook == "never":
            for event in events:
                with self._books.turn():
                    self._books.write("withheld", event=event["id"], type=event["type"])
                    self._books.keep(told=event["id"])
            return
        if hook == "reorder":
            events = events[::-1]
        if hook == "twice":
            events = [event for event in events for _ in range(2)]
        if events:
            self._later(float(hook.partition("=")[2] or 0), events, 1)

    def again(self, event: Record) -> None:
        """One more telling, whatever the switch says; as the Dashboard's Resend."""
        self._later(0, [event], MOST_TELLINGS)

    def _later(self, seconds: float, events: list[Record], telling: int) -> None:
        timer = threading.Timer(seconds, self._tell_all, (events, telling))
        timer.daemon = True
        with self._lock:
            if self._closed:
                return
            self._timers.add(timer)
            timer.start()

    def _tell_all(self, events: list[Record], telling: int) -> None:
        for event in events:
            forgotten = self._closed or not self._books.find(event["id"])
            if not forgotten and not self._heard(event, telling):
                wait = float(self._books.switch("retry")) * 2 ** (telling - 1)
                if telling < MOST_TELLINGS:
                    self._later(wait, [event], telling + 1)
        with self._lock:
            self._timers.discard(threading.current_thread())

    def _heard(self, event: Record, telling: int) -> bool:
        body = json.dumps(event, indent=2, ensure_ascii=False).encode()
        forged = self._books.switch("hook") == "wrong-signature"
        secret = f"not-{self._secret}" if forged else self._secret
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Accept": "*/*; q=0.5, application/xml",
            "Cache-Control": "no-cache",
            "Stripe-Signature": signature(body, secret, self._books.now()),
        }
        path = (self._target.path or "/") + ("?" * bool(self._target.query) + self._target.query)
        started = time.monotonic()
        connection = http.client.HTTPConnection(self._target.netloc, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", path, body, headers)
            status: int | str = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            status = type(error).__name__
        finally:
            connection.close()
        heard = isinstance(status, int) and 200 <= status < 300
        if not self._closed:
            spent = round((time.monotonic() - started) * 1000)
            facts = {"event": event["id"], "type": event["type"], "telling": telling}
            with self._books.turn():
                if not self._books.find(event["id"]):
                    return heard  # a reset came while it was being told
                self._books.write("told", **facts, status=status, ms=spent)
                if heard or telling >= MOST_TELLINGS:
                    self._books.keep(told=event["id"])
        return heard

    def close(self) -> None:
        """Tells nothing more; waits shortly for what is under way. May be repeated."""
        with self._lock:
            self._closed = True
            timers = list(self._timers)
        for timer in timers:
            if isinstance(timer, threading.Timer):
                timer.cancel()
            timer.join(PARTING_SECONDS)
