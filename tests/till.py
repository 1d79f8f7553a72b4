"""Our till in front of the Stripe stand-in: buys through `billing`, and brings what the stand-in
tells to our webhook, byte for byte, when the test says so.

Knows the shop, billing, the webhook's address and the models.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from django.conf import LazySettings
from django.db import connection
from django.test import Client

from accounts import billing
from accounts.models import CreditPack, Purchase, User
from tests.standin_stripe import KEY, SECRET, Shop

ADDRESS = "/webhooks/stripe/"
PAID = 2  # events of a card payment: payment_intent.succeeded, checkout.session.completed


class Till:
    def __init__(self, folder: Path, settings: LazySettings) -> None:
        self.shop = Shop(folder, listening=True)
        settings.STRIPE_API_URL = self.shop.url
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, SECRET
        self.brought = 0

    def close(self) -> None:
        self.shop.__exit__()

    def begin(self, user: User, pack: CreditPack) -> Purchase:
        """A checkout that nobody has paid yet."""
        url = billing.start_checkout(user, pack)
        return Purchase.objects.get(session_id=url.rpartition("/")[2])

    def press(self, purchase: Purchase, how: str) -> None:
        self.shop.press(SimpleNamespace(id=purchase.session_id), how)

    def pay(self, user: User, pack: CreditPack) -> Purchase:
        """Paid by card; its events are not brought yet."""
        purchase = self.begin(user, pack)
        self.press(purchase, "card")
        return purchase

    def buy(self, user: User, pack: CreditPack) -> Purchase:
        """Paid by card and credited."""
        purchase = billing.fulfil(str(self.pay(user, pack).session_id))
        assert purchase is not None
        assert purchase.state == Purchase.State.PAID
        return purchase

    def charge(self, purchase: Purchase) -> str:
        return self.shop.api.payment_intents.retrieve(self.intent(purchase)).latest_charge

    def intent(self, purchase: Purchase) -> str:
        return self.shop.sessions.retrieve(purchase.session_id).payment_intent

    def heard(self, count: int) -> list[tuple[bytes, str]]:
        """The events not brought yet, once there are `count`: raw body and signature."""
        self.shop.site.wait_for(self.brought + count)
        news = self.shop.site.heard[self.brought :]
        assert len(news) == count
        self.brought += count
        return news

    def bring(self, client: Client, count: int) -> list[int]:
        """The next `count` events to our webhook; its answers."""
        return [tell(client, *event) for event in self.heard(count)]


def tell(client: Client, body: bytes, signature: str) -> int:
    return client.post(
        ADDRESS, body, content_type="application/json", headers={"Stripe-Signature": signature}
    ).status_code


def pockets(user: User) -> tuple[int, int, int]:
    user.wallet.refresh_from_db()
    return user.wallet.available, user.wallet.reserved, user.wallet.owed


class Crash(Exception):
    """Somebody died here."""


@contextmanager
def dying_after(statements: int) -> Iterator[None]:
    """Raises Crash instead of the next statement, once so many have gone to the database."""
    left = iter(range(statements))

    def stop(execute, sql, parameters, many, context):
        if next(left, None) is None:
            raise Crash
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(stop):
        yield


def at_once(number: int, act: Callable[[int], object]) -> list[object]:
    """`number` threads do the act at the same moment; their results."""
    gate = threading.Barrier(number)

    def run(index: int) -> object:
        gate.wait(10)
        try:
            return act(index)
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))
