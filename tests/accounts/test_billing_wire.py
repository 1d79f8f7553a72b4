"""What goes over the wire to Stripe and what comes signed, judged by the official library.

Knows the till, the accounts' verbs and the library's typed parameters.
"""

import re
import time
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import pytest
import stripe
from django.utils import timezone
from stripe import params
from stripe.params import checkout

from accounts import billing, reconciling, refunding
from accounts.models import Purchase
from tests import factories
from tests.standin_stripe import KEY, SECRET
from tests.till import PAID, pockets, tell

pytestmark = pytest.mark.django_db

# Every route we use, and the parameters that the library's types allow there.
ROUTES = {
    "POST /v1/checkout/sessions": checkout.SessionCreateParams,
    "GET /v1/checkout/sessions": checkout.SessionListParams,
    "GET /v1/checkout/sessions/#": checkout.SessionRetrieveParams,
    "POST /v1/refunds": params.RefundCreateParams,
    "GET /v1/refunds": params.RefundListParams,
    "GET /v1/disputes": params.DisputeListParams,
    "GET /v1/events": params.EventListParams,
}
EXPANDED = {"payment_intent": stripe.PaymentIntent, "invoice": stripe.Invoice}
# Names the library imports for type checkers alone; none of them is a parameter of ours.
UNTOLD = {"StripeContext": object, "Mapping": Mapping}
OPTIONS = set(stripe.RequestOptions.__annotations__)  # of the call; never a parameter


@dataclass(frozen=True)
class Asked:
    method: str
    url: str
    headers: dict[str, str]
    body: str

    @property
    def route(self) -> str:
        path = urlsplit(self.url).path
        return f"{self.method.upper()} {re.sub('/(cs|re|du|evt)_.*', '/#', path)}"

    @property
    def sent(self) -> dict:
        return tree(self.body or urlsplit(self.url).query)


def tree(form: str) -> dict:
    """A form in Stripe's spelling as what it means: `a[b][0]=c` is {"a": {"b": ["c"]}}."""
    root: dict = {}
    for name, value in parse_qsl(form, keep_blank_values=True, strict_parsing=bool(form)):
        first, *deeper = re.findall(r"[^\[\]]+", name)
        place, at = root, first
        for step in deeper:
            place, at = place.setdefault(at, {}), step
        place[at] = value
    return listed(root)


def listed(node):
    if not isinstance(node, dict):
        return node
    inner = {name: listed(value) for name, value in node.items()}
    return [*inner.values()] if inner and all(name.isdecimal() for name in inner) else inner


def unknown(sent: dict, kind, path: str) -> list[str]:
    """Keys we send that the official client's typed parameters do not have, and words that are
    none of those it lists, at any depth.
    """
    hints, found = typing.get_type_hints(kind, localns=UNTOLD), []
    for name, value in sent.items():
        if name not in hints or name in OPTIONS:
            found.append(f"{path}.{name}")
            continue
        kinds = flat(hints[name])
        shapes = [k for k in kinds if isinstance(k, type) and hasattr(k, "__total__")]
        words = [k for k in kinds if isinstance(k, str)]
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and shapes:
                found += unknown(part, shapes[0], f"{path}.{name}")
            elif isinstance(part, str) and words and part not in words:
                found.append(f"{path}.{name}={part}")
    return found


def flat(hint) -> list[object]:
    """The types and words a type is made of."""
    inner = typing.get_args(hint)
    return [deep for each in inner for deep in flat(each)] if inner else [hint]


@pytest.fixture
def asked(till, monkeypatch) -> list[Asked]:
    """All that our client says to Stripe, the shop's own questions left out."""
    said: list[Asked] = []
    asks = stripe.RequestsClient.request

    def listen(client, method, url, headers, body=None):
        if client is billing.client()._requestor._client:
            said.append(Asked(method, url, dict(headers), body or ""))
        return asks(client, method, url, headers, body)

    monkeypatch.setattr(stripe.RequestsClient, "request", listen)
    return said


@pytest.fixture
def story(asked, till, client, ada, ben, pack, settings) -> list[Asked]:
    """Everything we ever ask: buying, a receipt, a refund told before its payment, one asked for,
    and a night's reconciliation.
    """
    settings.STRIPE_PROMOTION_CODES = settings.STRIPE_AUTOMATIC_TAX = True
    purchase = till.buy(ada, pack)
    assert billing.receipt_address(purchase)
    refunding.ask_refund(purchase, timezone.now())
    other = till.pay(ben, pack)
    till.shop.control("disputes", charge=till.charge(other))
    billing.claw_back(till.intent(other))
    assert reconciling.reconcile(timezone.now()) == []
    return asked


# ── What we say ─────────────────────────────────────────────────────────────────────────────────


def test_every_parameter_that_leaves_us_is_one_of_the_official_client(story):
    assert {each.route for each in story} == set(ROUTES)
    wrong = [unknown(each.sent, ROUTES[each.route], each.route) for each in story]
    assert wrong == [[]] * len(story)


def test_the_answers_we_ask_to_have_expanded_have_these_fields(story):
    paths = {path for each in story for path in each.sent.get("expand", ())}
    assert paths == {"payment_intent", "invoice", "payment_intent.latest_charge"}
    for path in paths:
        first, _, deeper = path.partition(".")
        assert first in stripe.checkout.Session.__annotations__
        assert not deeper or deeper in EXPANDED[first].__annotations__


def test_the_events_we_know_are_events_of_stripe():
    hints = typing.get_type_hints(params.WebhookEndpointCreateParams, localns=UNTOLD)
    names = flat(hints["enabled_events"])
    assert set(reconciling.LATE_EVENTS) <= set(names)
    for prefix in ("checkout.session.", "refund.", "charge.dispute."):
        assert any(isinstance(name, str) and name.startswith(prefix) for name in names)


def test_the_words_for_refunds_and_disputes_are_all_that_stripe_has():
    def words(kind, name: str) -> set[object]:
        return {word for word in flat(kind.__annotations__[name]) if isinstance(word, str)}

    assert words(stripe.Dispute, "status") == billing.DISPUTE_STANDS | billing.DISPUTE_OVER
    assert words(stripe.checkout.Session, "payment_status") == {
        "paid",
        "unpaid",
        "no_payment_required",
    }
    assert words(stripe.checkout.Session, "status") == {"open", "complete", "expired"}


def test_control_a_key_or_word_of_nobodys_is_found():
    sent = tree("mode=gift&line_items[0][price_data][colour]=red&api_key=x&metadata[a]=b")
    assert unknown(sent, checkout.SessionCreateParams, "session") == [
        "session.mode=gift",
        "session.line_items.price_data.colour",
        "session.api_key",
    ]


def test_every_call_names_our_version_and_key_and_every_post_its_own_number(story):
    for each in story:
        assert each.url.startswith(billing.settings.STRIPE_API_URL)
        assert each.headers["Stripe-Version"] == billing.API_VERSION
        assert each.headers["Authorization"] == f"Bearer {KEY}"
    keys = [each.headers.get("Idempotency-Key") for each in story if each.method == "post"]
    own = [f"purchase:{number}" for number in Purchase.objects.values_list("public_id", flat=True)]
    refunds = [
        f"refund:{refund.key}" for row in Purchase.objects.all() for refund in row.refunds.all()
    ]
    assert sorted(keys) == sorted(own + refunds)


def test_nothing_of_a_person_leaves_us_but_their_address_once_a_checkout(story, ada, ben):
    everything = [f"{each.url} {each.body} {each.headers}" for each in story]
    for person in (ada, ben):
        told = [said for said in everything if person.email.split("@")[0] + "%40" in said]
        assert len(told) == 1
        assert not any(person.email in said for said in everything)


def test_a_call_said_again_carries_the_same_number(till, asked, ada, pack):
    till.shop.switch(api="lost")
    with pytest.raises(billing.Unavailable):
        billing.start_checkout(ada, pack)
    assert len(asked) == 1 + billing.RETRIES
    assert len({each.headers["Idempotency-Key"] for each in asked}) == 1
    assert len({each.body for each in asked}) == 1
    till.shop.switch(api="up")
    assert len(till.shop.sessions.list().data) == 1


# ── What is signed ──────────────────────────────────────────────────────────────────────────────

sign = stripe.WebhookSignature.generate_signature_header


def test_what_the_official_library_signs_is_heard(till, client, ada, pack):
    till.pay(ada, pack)
    for body, _signature in till.heard(PAID):
        assert tell(client, body, sign(body.decode(), SECRET)) == 200
    assert pockets(ada) == (70, 0, 0)


def test_what_it_signs_with_another_secret_too_early_or_for_another_body_is_not(
    till, client, ada, pack
):
    till.pay(ada, pack)
    raw = till.heard(PAID)[1][0]
    body, now = raw.decode(), int(time.time())
    signed = sign(body, SECRET)
    moment, _, digest = signed.partition(",v1=")
    wrong = (
        sign(body, "whsec_another"),
        sign(body, ""),
        sign(body, SECRET, now - billing.SIGNATURE_SECONDS - 2),
        sign(body + " ", SECRET),
        f"t={now - 1},v1={digest}" if moment != f"t={now - 1}" else f"t={now - 2},v1={digest}",
        f"{moment},v0={digest}",
        f"{moment},v1={digest[:-1]}",
        f"{moment},v1={digest.upper()}",
        f"v1={digest}",
        "",
    )
    assert [tell(client, raw, header) for header in wrong] == [400] * len(wrong)
    assert tell(client, raw.replace(b"\n", b""), signed) == 400
    assert pockets(ada) == (10, 0, 0)
    # While a secret is rolled, Stripe signs with both.
    assert tell(client, raw, f"{moment},v1={'0' * 64},v1={digest}") == 200
    assert pockets(ada) == (70, 0, 0)


def test_without_a_secret_nothing_is_believed(till, client, ada, pack, settings):
    till.pay(ada, pack)
    raw = till.heard(PAID)[1][0]
    settings.STRIPE_WEBHOOK_SECRET = ""
    assert [tell(client, raw, sign(raw.decode(), secret)) for secret in ("", SECRET)] == [400, 400]
    assert pockets(ada) == (10, 0, 0)


def test_a_signature_on_something_else_than_an_event_is_answered_400(till, client):
    for body in ("", "nonsense", "{", '{"object": "event"'):
        assert tell(client, body.encode(), sign(body, SECRET)) == 400
    assert factories.User.objects.count() == 0
