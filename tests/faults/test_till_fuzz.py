"""Stripe's objects and events, mangled: read without a fault, and never a credit that was not paid.

Knows the till, the accounts' verbs and mangling. FUZZ=200000 asks for more cases, each time others.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts import auditing, billing
from accounts.models import Kind, Purchase, Transfer
from config.standins import serve
from config.standins.stripe_courier import signature
from tests.faults.mangling import RAW, STATUSES, VALUES, broken
from tests.standin_stripe import KEY, SECRET, send
from tests.till import PAID, Till, pockets, tell

pytestmark = pytest.mark.django_db

CASES = max(250, int(os.environ.get("FUZZ", "0")) // 20)
WORDS = (
    *("paid", "unpaid", "no_payment_required", "complete", "open", "expired", "processing"),
    *("succeeded", "pending", "failed", "lost", "won", "warning_closed", "usd", "eur", "refund"),
    *("checkout.session", "dispute", "list", "event", "error", -1, 0, 1, 899, 900, 901, 10**12),
)
NAMES = ("id", "object", "amount", "status", "metadata", "data", "livemode", "currency", "error")


def cases() -> settings:
    """Per commit always the same ones, so that a red run can be repeated."""
    return settings(
        max_examples=CASES,
        derandomize="FUZZ" not in os.environ,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def objects_in(tree: object) -> list[dict]:
    """Every JSON object there is, at any depth."""
    if isinstance(tree, dict):
        return [tree, *(deep for value in tree.values() for deep in objects_in(value))]
    if isinstance(tree, list):
        return [deep for value in tree for deep in objects_in(value)]
    return []


@st.composite
def mangled(draw: st.DrawFn, bodies: list[bytes], names: tuple[str, ...] = NAMES) -> bytes:
    """One of these bodies with a few fields, anywhere, dropped, retyped, renamed or replaced; now
    and then broken as bytes. `names` are fields that somebody reads.
    """
    tree = json.loads(draw(st.sampled_from(bodies)))
    for _change in range(draw(st.integers(0, 3))):
        read = [part for part in objects_in(tree) if set(names) & set(part)]
        part = draw(st.sampled_from(read or [{}]))
        name = draw(st.sampled_from([*(name for name in names if name in part), *names]))
        match draw(st.sampled_from(["drop", "odd", "word", "word", "null", "text", "list"])):
            case "drop":
                part.pop(name, None)
            case "odd":
                part[name] = draw(st.sampled_from(VALUES))
            case "word":
                part[name] = draw(st.sampled_from(WORDS))
            case "null":
                part[name] = None
            case "text":
                part[name] = json.dumps(part.get(name))
            case "list":
                part[name] = [part.get(name)]
    body = json.dumps(tree).encode()
    for word, raw in RAW.items():
        body = body.replace(word, raw)
    return draw(broken(body)) if draw(st.sampled_from([False] * 4 + [True])) else body


class Mouth:
    """Stripe's place on the net: says to each question, by the last word of its path, what a test
    put into its mouth.
    """

    def __init__(self) -> None:
        self.says: dict[str, tuple[int, bytes]] = {}

    def __call__(self, environ, start_response):
        last = environ["PATH_INFO"].rpartition("/")[2]
        status, body = self.says.get(last) or self.says["*"]
        if "starting_after" in environ["QUERY_STRING"]:  # else a list might never end
            body = b'{"object": "list", "data": [], "has_more": false, "url": "/v1/refunds"}'
        start_response(f"{status} Words", [("Content-Type", "application/json")])
        return [body]


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    """The library's own waiting is not what is tried."""
    monkeypatch.setattr(billing, "RETRIES", 0)


@pytest.fixture
def mouth(settings):
    """Called last, after everything true has happened."""
    mouth = Mouth()
    server = serve(mouth)

    def open_it() -> Mouth:
        settings.STRIPE_API_URL = server.url
        return mouth

    yield open_it
    server.close()


def raw(till: Till, path: str) -> bytes:
    """What the stand-in says, byte for byte."""
    headers = {"Authorization": f"Bearer {KEY}", "Stripe-Version": billing.API_VERSION}
    status, _headers, text = send("GET", f"{till.shop.url}/v1/{path}", headers=headers)
    assert status == 200
    return text.encode()


def session_of(till: Till, purchase: Purchase) -> bytes:
    return raw(till, f"checkout/sessions/{purchase.session_id}?expand[]=payment_intent")


def tried(act: Callable[[], object]) -> str:
    """What came of it; as if it had never been, for the next. Raises nothing but two words of ours,
    which are answers too.
    """
    with transaction.atomic():
        try:
            with transaction.atomic():
                result = act()
            said = getattr(result, "state", "") or "nothing"
        except (billing.Unavailable, billing.Refused) as no:
            said = type(no).__name__
        if Transfer.objects.filter(kind=Kind.PURCHASE).exists():
            said = "credited"
        assert auditing.findings() == []
        transaction.set_rollback(True)
    return said


# ── Objects ─────────────────────────────────────────────────────────────────────────────────────

READ_OF_A_CHECKOUT = (
    *("id", "object", "livemode", "status", "payment_status", "currency", "amount_total"),
    *("amount_subtotal", "total_details", "amount_discount", "amount_tax", "payment_intent"),
    *("amount_received", "metadata", "purchase", "allow_promotion_codes"),
)


def says_paid(body: bytes, purchase: Purchase, session_id: str) -> bool:
    """By the plain words of an answer: this very checkout was paid, at our price."""
    told = json.loads(body.decode("utf-8-sig"))
    payment = told["payment_intent"]
    return (
        told["id"] == session_id
        and told["payment_status"] == "paid"
        and told["livemode"] is False
        and told["currency"] == "usd"
        and told["metadata"]["purchase"] == str(purchase.public_id)
        and told["amount_subtotal"] == told["amount_total"] == 900
        and payment["amount_received"] == 900
    )


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "F21"])
def test_no_mangled_checkout_is_a_fault_and_none_is_credited_that_does_not_say_paid(
    till, mouth, ada, pack, noted
):
    paid, unpaid = till.pay(ada, pack), till.begin(ada, pack)
    bodies = [session_of(till, paid)] * 3 + [session_of(till, unpaid)]
    session_id = str(paid.session_id)
    bodies = [body.replace(unpaid.session_id.encode(), session_id.encode()) for body in bodies]
    bodies = [
        body.replace(str(unpaid.public_id).encode(), str(paid.public_id).encode())
        for body in bodies
    ]
    if not noted:
        Purchase.objects.filter(pk=paid.pk).update(session_id=None)
    mouth, seen = mouth(), Counter[str]()

    @cases()
    @given(mangled(bodies, READ_OF_A_CHECKOUT), st.sampled_from([200] * 12 + [*STATUSES]))
    def check(body: bytes, status: int) -> None:
        mouth.says["*"] = status, body
        seen[said := tried(lambda: billing.fulfil(session_id))] += 1
        assert said != "credited" or says_paid(body, paid, session_id), body

    check()
    assert min(seen[said] for said in ("credited", "Unavailable", "odd", "open")) > 0, seen


READ_OF_A_REVERSAL = (
    *("id", "object", "status", "amount", "metadata", "refund", "data", "has_more", "url"),
    "payment_intent",
)


def test_no_mangled_list_of_refunds_or_disputes_is_a_fault_or_takes_more_than_was_bought(
    till, mouth, ada, pack
):
    purchase = till.buy(ada, pack)
    till.shop.api.refunds.create({"payment_intent": purchase.payment_intent, "amount": 310})
    till.shop.control("disputes", charge=till.charge(purchase))
    chosen = f"payment_intent={purchase.payment_intent}"
    refunds, disputes = raw(till, f"refunds?{chosen}"), raw(till, f"disputes?{chosen}")
    mouth, seen = mouth(), Counter[object]()
    mouth.says["*"] = 404, b'{"error": {"type": "invalid_request_error"}}'

    def claw_back() -> SimpleNamespace:
        billing.claw_back(str(purchase.payment_intent))
        available, reserved, owed = pockets(ada)
        assert (available, reserved) == (70, 0)
        return SimpleNamespace(state=f"took {owed}")

    @cases()
    @given(mangled([refunds], READ_OF_A_REVERSAL), mangled([disputes], READ_OF_A_REVERSAL))
    def check(some: bytes, others: bytes) -> None:
        mouth.says |= {"refunds": (200, some), "disputes": (200, others)}
        with transaction.atomic():
            try:
                with transaction.atomic():
                    said = claw_back().state
                assert 0 <= int(said.removeprefix("took ")) <= 60
            except (billing.Unavailable, billing.Refused) as no:
                said = type(no).__name__
            assert auditing.findings() == []
            transaction.set_rollback(True)
        seen[said] += 1

    check()
    assert min(seen[said] for said in ("took 60", "took 21", "took 0", "Unavailable")) > 0, seen


# ── Events ──────────────────────────────────────────────────────────────────────────────────────

READ_OF_AN_EVENT = ("id", "object", "type", "livemode", "data", "payment_intent", "status")


def test_no_mangled_event_is_a_fault_even_when_it_is_signed_and_none_credits_what_is_not_paid(
    till, ada, ben, pack
):
    """Whatever it says, the object is read again; of an unpaid checkout Stripe says unpaid."""
    unpaid, paid = till.begin(ada, pack), till.pay(ben, pack)
    till.shop.api.refunds.create({"payment_intent": till.intent(paid), "amount": 310})
    told = [body for body, _signature in till.heard(PAID + 2)]
    told += [body.replace(paid.session_id.encode(), unpaid.session_id.encode()) for body in told]
    client, seen = Client(), Counter[int]()

    @cases()
    @given(mangled(told, READ_OF_AN_EVENT))
    def check(body: bytes) -> None:
        signed = signature(body, SECRET, int(time.time()))
        with transaction.atomic():
            seen[status := tell(client, body, signed)] += 1
            assert status in (200, 400, 500), body
            assert pockets(ada) == (10, 0, 0)
            assert pockets(ben) in {(0, 0, 0), (60, 0, 0), (60, 0, 21)}
            assert auditing.findings() == []
            transaction.set_rollback(True)
        assert tell(client, body, signed.replace("v1=", "v1=0")) == 400

    check()
    assert min(seen[200], seen[400], seen[500]) > 0, seen


def test_ten_megabytes_signed_are_answered_and_change_nothing(till, ada, pack):
    till.pay(ada, pack)
    event = till.heard(PAID)[1][0]
    for body in (b"[" * 10_000_000, event + b" " * 10_000_000, b'{"a":' + b"9" * 10_000_000 + b"}"):
        assert tell(Client(), body, signature(body, "whsec_another", int(time.time()))) == 400
    assert pockets(ada) == (10, 0, 0)
