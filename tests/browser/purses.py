"""People whose credits stand in every way that the money pages tell of, made inside the site.

Runs in the site's own process (`manage.py shell`) through the real verbs, against its Stripe
stand-in; prints which address shows what to whom.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus

from django.conf import settings
from django.utils import timezone

from accounts import billing, refunding
from accounts.models import CreditPack, Kind, Purchase, User, Wallet
from accounts.models.payments import Payment
from config.demo import MO, person

SHOPPERS = ("buyer", "decliner", "leaver", "waiter", "returner", "forger", "typist")
REASON = "Sorry: the address https://example.org/a-word-without-an-end-that-no-phone-has-room-for"


class Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_asked: object) -> None:
        return None


def press(address: str, **form: str) -> None:
    """One button of the stand-in; it answers with a redirect that nobody follows."""
    try:
        urllib.request.build_opener(Stays).open(address, urllib.parse.urlencode(form).encode())
    except urllib.error.HTTPError as answer:
        if answer.code != HTTPStatus.SEE_OTHER:
            raise


def begin(user: User, pack: CreditPack) -> tuple[str, Purchase]:
    address = billing.start_checkout(user, pack)
    return address, Purchase.objects.get(session_id=address.rpartition("/")[2])


def buy(user: User, pack: CreditPack, how: str = "card") -> Purchase:
    address, purchase = begin(user, pack)
    press(address, how=how)
    billing.fulfil(str(purchase.session_id))
    purchase.refresh_from_db()
    return purchase


def make() -> None:
    for name in SHOPPERS:
        person(f"{name}@example.org")
    print(json.dumps({**rich(), **owing(), **frozen()}))  # noqa: T201 - how the test hears of it


def rich() -> dict[str, tuple[str, str]]:
    """A bit of everything, and a checkout in every state."""
    user = person("rich@example.org")
    user.quota.monthly_free = 5
    user.quota.save(update_fields=["monthly_free"])
    small, middle, _large = CreditPack.objects.order_by("position")
    added = buy(user, middle)
    mo = User.objects.get(email=MO)
    user.wallet.grant(Kind.GOODWILL, 2, "goodwill:purses", actor=mo, note=REASON)
    sent, asked = buy(user, small), buy(user, small)
    refunding.ask_refund(sent, timezone.now())
    asked.open_refund(timezone.now())
    bank = buy(user, middle, "bank")
    bank.promise_letter()
    pay, unpaid = begin(user, small)
    expired, odd = begin(user, small)[1], begin(user, small)[1]
    expired.expire()
    odd.set_aside(Payment(str(odd.session_id), "pi_odd", 400))
    back = "/credits/return/"
    paths = {
        "credits": "/credits/",
        "credits--empty-filter": "/credits/?show=returns",
        "pricing": "/pricing/",
        "statement": "/credits/statement/",
        "returned--cancelled": f"{back}?cancelled={unpaid.public_id}",
        "refunds": "/credits/refund/",
        "refund--open": f"/credits/refund/{added.public_id}/",
        "refund--sent": f"/credits/refund/{sent.public_id}/",
        "refund--asked": f"/credits/refund/{asked.public_id}/",
        "pay-page": pay,
        "till": settings.STRIPE_API_URL,
    }
    states = {"added": added, "bank": bank, "unpaid": unpaid, "expired": expired, "odd": odd}
    for name, purchase in states.items():
        paths[f"returned--{name}"] = f"{back}?session={purchase.session_id}"
    return {name: (user.email, path) for name, path in paths.items()}


def owing() -> dict[str, tuple[str, str]]:
    """Credits that were spent before the bank reversed their payment."""
    user = person("owing@example.org")
    purchase = buy(user, CreditPack.objects.order_by("position")[0])
    mo = User.objects.get(email=MO)
    user.wallet.correct_down(15, "adjust:purses", actor=mo, note="spent, as far as pages go")
    intent = str(purchase.payment_intent)
    charge = billing.client().v1.payment_intents.retrieve(intent).latest_charge
    press(f"{settings.STRIPE_API_URL}/__standin__/disputes", charge=str(charge))
    billing.claw_back(intent)
    nothing = f"/credits/refund/{purchase.public_id}/"
    return {"credits--owed": (user.email, "/credits/"), "refund--nothing": (user.email, nothing)}


def frozen() -> dict[str, tuple[str, str]]:
    user = person("frozen@example.org")
    Wallet.objects.filter(user=user).update(frozen=True)
    return {"credits--frozen": (user.email, "/credits/")}
