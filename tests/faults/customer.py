"""A person with a browser and a card: buys packs of the running site, pays, comes back, returns.

Knows addresses, field names and Stripe's stand-in from outside.
"""

import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from tests.faults.plant import Plant
from tests.faults.visitor import NoAnswer, call
from tests.standin_stripe import Counter

PATIENCE_SECONDS = 40
POLL_SECONDS = 0.05
CSRF = "c" * 32  # any secret will do that cookie and form agree on
TITLE = re.compile(r"<h1[^>]*>([^<]*)</h1>")


class Customer:
    def __init__(self, plant: Plant) -> None:
        self._plant, self.shop = plant, Counter(plant.stripe_url)
        person = plant.ask("buyer")
        self.user, self.email, self.pack = person["user"], person["email"], person["pack"]
        self._cookie = f"sessionid={person['cookie']}; csrftoken={CSRF}"

    # ── On our pages ────────────────────────────────────────────────────────────────────────────

    def begin(self) -> str:
        """One press on a pack; the number of its checkout. Raises NoAnswer."""
        status, headers, _body = self._press(f"/credits/buy/{self.pack}/")
        address = headers.get("Location", "")
        if status != 303 or not address.startswith(self.shop.url):
            raise NoAnswer(f"{status} to {address}")
        return address.rpartition("/")[2]

    def come_back(self, checkout: str) -> str:
        """The title of the page that Stripe sends people to. Raises NoAnswer."""
        return self._title("GET", f"/credits/return/?session={checkout}")

    def ask_back(self, number: str, cents: int) -> int:
        """The press on the refund's one page; its status. Raises NoAnswer."""
        return self._press(f"/credits/refund/{number}/", cents=cents)[0]

    def _press(self, path: str, **fields: object) -> tuple[int, Any, str]:
        form = urlencode({"csrfmiddlewaretoken": CSRF, **fields})
        return call(self._plant.port, "POST", path, form, self._cookie)

    def _title(self, method: str, path: str) -> str:
        status, _headers, body = call(self._plant.port, method, path, None, self._cookie)
        found = TITLE.search(body)
        if status != 200 or found is None:
            raise NoAnswer(f"{path} answered {status}")
        return found.group(1)

    def until_told(self, act: Callable[[], Any]) -> Any:
        """As a person does whose browser said that the site could not be reached."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return act()
            except NoAnswer:
                assert time.monotonic() < give_up_at, self._plant.said("web")
                time.sleep(POLL_SECONDS)

    # ── At Stripe ───────────────────────────────────────────────────────────────────────────────

    def pay(self, checkout: str) -> None:
        self.shop.press(SimpleNamespace(id=checkout), "card")

    def checkouts(self) -> list[str]:
        """Numbers of all that were ever made for this person, oldest first."""
        rows = self.shop.sessions.list({"limit": 100}).data
        return [row.id for row in rows if row.customer_email == self.email][::-1]

    def payment(self, checkout: str) -> str:
        return self.shop.sessions.retrieve(checkout).payment_intent

    def money_back(self, checkout: str) -> list[int]:
        """Cents of every refund of this payment."""
        chosen = {"payment_intent": self.payment(checkout), "limit": 100}
        return [row.amount for row in self.shop.api.refunds.list(chosen).data]

    # ── In our rows ─────────────────────────────────────────────────────────────────────────────

    def wallet(self) -> dict[str, Any]:
        return self._plant.ask("wallet", user=self.user)
