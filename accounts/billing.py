"""Credit billing: checkout, fulfilment, and what refunds and disputes take back.

Knows the nouns; the only `import stripe`. Events and return pages are doorbells: whatever they say,
the object is read again from Stripe, and only `fulfil` and `claw_back` act on it. Source of every
outside fact: docs.stripe.com/api of the version below and the library's types, read 2026-11-22.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from uuid import UUID

import stripe
from django.conf import settings
from django.urls import reverse
from stripe.params.checkout import SessionCreateParams

from accounts.models import CreditPack, Kind, Purchase, Refund, User
from accounts.models.payments import Payment, Reversal
from accounts.models.purchases import PersonGone

logger = logging.getLogger("likeness.money")
staff = logging.getLogger("likeness.staff")

API_VERSION = "2026-10-28.endive"  # pinned: Stripe may not change an answer under our feet
TIMEOUTS = (3.0, 20.0)  # seconds to connect and to be answered; a person waits for a checkout
RETRIES = 2  # by the library, with the same idempotency key
SIGNATURE_SECONDS = 300  # an older event is a replay; Stripe signs each telling anew
SESSION_QUERY = "?session={CHECKOUT_SESSION_ID}"  # Stripe fills in the number
PAGE = 100  # rows a list call brings; Stripe's largest
READINGS = 5  # of one payment, while others keep touching its row
ACCOUNT_CLOSED = "its account is closed"
REFUND_STANDS = frozenset({"pending", "requires_action", "succeeded"})
REFUND_OVER = frozenset({"failed", "canceled"})
DISPUTE_STANDS = frozenset(
    {"needs_response", "under_review", "lost", "appeal_needs_response", "appeal_under_review"}
)
# Inquiries (warning_…) and prevented disputes take no money by themselves.
DISPUTE_OVER = frozenset(
    {"won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed"}
)

# What we read, by the types it must have; else the answer is not one we understand.
NONE = type(None)
EVENT = {"id": str, "type": str, "livemode": bool, "data": stripe.StripeObject}
CHECKOUT = {
    "livemode": bool,
    "status": (str, NONE),
    "payment_status": str,
    "currency": (str, NONE),
    "amount_total": (int, NONE),
    "amount_subtotal": (int, NONE),
    "total_details": (stripe.StripeObject, NONE),
    "payment_intent": (str, stripe.StripeObject, NONE),
    "metadata": (stripe.StripeObject, NONE),
}
DETAILS = {"amount_discount": int, "amount_tax": int}
REVERSED = {"status": str, "amount": int, "metadata": (stripe.StripeObject, NONE)}
# What the library raises when it reads something that is not as its types say.
NO_SENSE = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
NUMBER = re.compile(r"\w{1,100}", re.ASCII)  # how Stripe names everything


class Unavailable(Exception):
    """Stripe did not answer, or not in a way we understand; nothing of ours changed."""


class Refused(Exception):
    """Stripe understood and said no; saying it again would change nothing."""


class BadSignature(Exception):
    """The body was not signed by Stripe with our secret, or too long ago."""


class NotForSale(Exception):
    """The pack was retired; nothing was begun."""


class Suspended(Exception):
    """Whoever may not spend credits is sold none; nothing was begun."""


# ── Buying ──────────────────────────────────────────────────────────────────────────────────────


def start_checkout(user: User, pack: CreditPack) -> str:
    """The address of Stripe's pay page for one pack. The Purchase stands before Stripe is asked, so
    that no payment can be without one. Raises NotForSale, Suspended, Unavailable or Refused.
    """
    if user.suspended_at is not None:
        raise Suspended
    if not pack.active:
        raise NotForSale
    purchase = Purchase.objects.begin(user, pack)
    with asking():
        session = client().v1.checkout.sessions.create(
            checkout_parameters(purchase, user.email),
            {"idempotency_key": f"purchase:{purchase.public_id}"},
        )
    purchase.attach(session.id)
    if not session.url:
        raise Unavailable("a checkout without an address")
    return session.url


def checkout_parameters(purchase: Purchase, email: str) -> SessionCreateParams:
    """What Stripe is asked for. The price is our snapshot's; nothing comes from a form."""
    back = settings.SITE_URL.rstrip("/") + reverse("credits_return")
    number = {"purchase": str(purchase.public_id)}
    parameters: SessionCreateParams = {
        "mode": "payment",
        "client_reference_id": number["purchase"],
        "metadata": number,
        "payment_intent_data": {"metadata": number},
        "customer_email": email,
        "success_url": f"{back}{SESSION_QUERY}",
        "cancel_url": f"{back}?cancelled={purchase.public_id}",
        "invoice_creation": {"enabled": True},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": purchase.currency,
                    "unit_amount": purchase.amount_cents,
                    "product_data": {"name": f"{purchase.credits} credits"},
                },
            }
        ],
    }
    if settings.STRIPE_PROMOTION_CODES:
        parameters["allow_promotion_codes"] = True
    if settings.STRIPE_AUTOMATIC_TAX:
        parameters["automatic_tax"] = {"enabled": True}
    return parameters


def fulfil(session_id: str) -> Purchase | None:
    """The only way to bought credits: read the session from Stripe and bring its Purchase to what
    is true there. May be called by anybody, at once and as often as one likes. None for a session
    that is not one of ours. Raises Unavailable or Refused.
    """
    with asking():
        session = client().v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent"]})
    understand(session, CHECKOUT)
    understand(session.total_details, DETAILS if session.total_details else {})
    number = number_in(session, "purchase")
    if number is None:
        return None  # sold by somebody else on the same Stripe account
    purchase = Purchase.objects.filter(public_id=number).first()
    if purchase is None:
        staff.error("a checkout names a purchase we do not have: %s", session.id)
        return None
    purchase.attach(named(session))
    if purchase.state == Purchase.State.PAID and purchase.session_id == session.id:
        return purchase
    if not is_paid(session):
        if is_over(session) and purchase.session_id == session.id:
            purchase.expire()
        elif session.status == "complete":
            purchase.promise_letter()  # a slow bank's; told to whoever closes the page, too
    else:
        wrong = mismatch(session, purchase) or credit(session, purchase)
        is_news = wrong and purchase.set_aside(payment_in(session))
        if is_news or (wrong and purchase.state == Purchase.State.PAID):
            staff.error("paid and not credited: %s, because %s", session.id, wrong)
    purchase.refresh_from_db()
    return purchase


def is_paid(session: stripe.checkout.Session) -> bool:
    """The person has done their part, and the money is there or none was left to pay."""
    return session.status == "complete" and session.payment_status != "unpaid"


def credit(session: stripe.checkout.Session, purchase: Purchase) -> str:
    """Credit it once; why not, when its account was closed since the purchase was read."""
    try:
        if purchase.credit(payment_in(session)):
            bought = {"to": purchase.user_id, "credits": purchase.credits}
            logger.info("credits bought", extra=bought)
    except PersonGone:
        return ACCOUNT_CLOSED
    return ""


def is_over(session: stripe.checkout.Session) -> bool:
    """An unpaid session that will stay so: expired, or its bank payment failed. While a bank is
    still at it the payment is `processing`.
    """
    now = getattr(session.payment_intent, "status", "")
    has_failed = session.status == "complete" and now in ("requires_payment_method", "canceled")
    return session.status == "expired" or has_failed


def is_with_bank(session_id: str) -> bool:
    """The person has done their part and a slow bank has not. Raises Unavailable or Refused."""
    with asking():
        session = client().v1.checkout.sessions.retrieve(session_id)
    return session.status == "complete" and session.payment_status == "unpaid"


def mismatch(session: stripe.checkout.Session, purchase: Purchase) -> str:
    """Why a session that says it is paid is not what we sold; empty when it is."""
    total, received = session.amount_total, getattr(session.payment_intent, "amount_received", 0)
    discount = getattr(session.total_details, "amount_discount", 0)
    tax = getattr(session.total_details, "amount_tax", 0)
    checks = (  # what must be so, and what to tell staff when it is not
        (session.livemode == is_live(), "it is of another mode than our key"),
        (named(session) == purchase.session_id, "its purchase has another checkout"),
        # A promotion code may leave nothing to pay; then no payment stands behind the session.
        (
            session.payment_status == ("paid" if total else "no_payment_required"),
            f"its payment is {session.payment_status}",
        ),
        (session.currency == purchase.currency, f"its currency is {session.currency}"),
        (
            session.amount_subtotal == purchase.amount_cents,
            f"its price is {session.amount_subtotal} and ours {purchase.amount_cents}",
        ),
        (
            not discount or getattr(session, "allow_promotion_codes", None),
            f"nobody allowed {discount} off",
        ),
        (total == purchase.amount_cents - discount + tax, f"its total is {total}"),
        (received == total, f"its payment has received {received} of {total}"),
        (purchase.user is not None, ACCOUNT_CLOSED),
    )
    return next((why for is_right, why in checks if not is_right), "")


def payment_in(session: stripe.checkout.Session) -> Payment:
    intent = session.payment_intent
    return Payment(named(session), named(intent) if intent else None, session.amount_total or 0)


def receipt_address(purchase: Purchase) -> str:
    """Where Stripe shows the invoice of a PAID purchase, or else the receipt of its payment; empty
    while it has neither. Raises Unavailable or Refused.
    """
    with asking():
        session = client().v1.checkout.sessions.retrieve(
            purchase.session_id or "", {"expand": ["invoice", "payment_intent.latest_charge"]}
        )
    charge = getattr(session.payment_intent, "latest_charge", None)
    invoice = getattr(session.invoice, "hosted_invoice_url", None)
    return invoice or getattr(charge, "receipt_url", None) or ""


# ── What Stripe tells us ────────────────────────────────────────────────────────────────────────


def receive_event(body: bytes, signature: str) -> None:
    """One webhook call: its signature over the raw body is checked by the official library before
    anything is read. Events of the other mode and unknown types change nothing. Raises
    BadSignature; Unavailable or Refused when Stripe should tell it again.
    """
    try:
        event = client().construct_event(
            body, signature, settings.STRIPE_WEBHOOK_SECRET, SIGNATURE_SECONDS
        )
    except (stripe.SignatureVerificationError, *NO_SENSE) as error:
        raise BadSignature(type(error).__name__) from None
    understand(event, EVENT)
    if event.livemode != is_live():
        logger.warning("an event of the other mode", extra={"event": event.id})
        return
    subject: Any = getattr(event.data, "object", None)
    if event.type.startswith("checkout.session."):
        fulfil(named(subject))
    elif event.type.startswith(("refund.", "charge.dispute.")):
        understand(subject, {"payment_intent": (str, NONE)})
        if subject.payment_intent:
            claw_back(named(subject, "payment_intent"))


def claw_back(payment_intent: str) -> None:
    """Bring the credits of one payment to what its refunds and disputes are at Stripe, all of them
    read again. Order of events does not matter: what is not fulfilled yet is fulfilled first.
    Raises Unavailable, also when others keep changing the same purchase.
    """
    if not Purchase.objects.filter(payment_intent=payment_intent).exists():
        with asking():
            sessions = client().v1.checkout.sessions.list({"payment_intent": payment_intent})
        for session in sessions.data:
            fulfil(session.id)
    for _reading in range(READINGS):
        purchase = Purchase.objects.filter(payment_intent=payment_intent).first()
        if purchase is None:
            return  # not ours
        again = purchase.settle(read_reversals(purchase), touches=purchase.touches)
        if again is not None:
            for each in again:
                staff.error("%s stands again after it was given back", each.stripe_id)
            return
    raise Unavailable("others keep changing the same purchase")


def read_reversals(purchase: Purchase) -> list[Reversal]:
    """Every refund and dispute of a purchase as Stripe has it now; refunds first, oldest
    first, because a dispute takes what they have left.
    """
    own: dict[UUID | None, Refund] = {each.public_id: each for each in purchase.refunds.all()}
    chosen: Any = {"payment_intent": purchase.payment_intent, "limit": PAGE}
    with asking():  # lists come newest first
        refunds = [*client().v1.refunds.list(chosen).auto_paging_iter()]
        disputes = [*client().v1.disputes.list(chosen).auto_paging_iter()]
    found: list[Any] = [*refunds[::-1], *disputes[::-1]]
    reversals = []
    for row in found:
        understand(row, REVERSED)
        is_refund = isinstance(row, stripe.Refund)
        stands = REFUND_STANDS if is_refund else DISPUTE_STANDS
        if row.status not in stands | (REFUND_OVER if is_refund else DISPUTE_OVER):
            staff.error("%s is %s, which we do not know", row.id, row.status)
            continue
        refund = own.get(number_in(row, "refund")) if is_refund else None
        reversals.append(
            Reversal(
                kind=Kind.REFUND if is_refund else Kind.DISPUTE,
                key=refund.key if refund else named(row),
                cents=row.amount,
                credits=credits_at_most(purchase, row, refund) if is_refund else purchase.credits,
                stands=row.status in stands,
                stripe_id=named(row),
                own=refund,
            )
        )
    return reversals


def credits_at_most(purchase: Purchase, row: stripe.Refund, own: Refund | None) -> int:
    """What a refund takes: our own what it took when it was asked, another's its share."""
    return own.credits if own else purchase.credits_for(row.amount)


# ── The official client ─────────────────────────────────────────────────────────────────────────


def client() -> stripe.StripeClient:
    return client_of(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_URL.rstrip("/"))


@lru_cache(maxsize=4)
def client_of(key: str, url: str) -> stripe.StripeClient:
    """One client per account, kept for its connections. `url` is empty for the real service."""
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": url} if url else {},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=TIMEOUTS),
    )


@contextmanager
def asking() -> Iterator[None]:
    """Stripe's errors in two words of ours; its own message may repeat an e-mail address."""
    try:
        yield
    except (stripe.InvalidRequestError, stripe.CardError) as error:
        raise Refused(f"{error.code or error.http_status} {error.param or ''}".strip()) from error
    except stripe.StripeError as error:
        raise Unavailable(f"{type(error).__name__} {error.http_status}") from error
    except NO_SENSE as error:
        raise Unavailable(f"an answer that makes no sense: {type(error).__name__}") from error


def understand(row: object, fields: dict[str, Any]) -> None:
    """Raises Unavailable unless all of these are there, each of its type and no amount negative."""
    for name, kind in fields.items():
        value = getattr(row, name, ...)
        if not isinstance(value, kind) or (isinstance(value, int) and value < 0):
            raise Unavailable(f"an answer of another shape: {name}")


def named(row: object, name: str = "id") -> str:
    """The number by which Stripe names something. Raises Unavailable for what is none."""
    number = getattr(row, name, None)
    if not isinstance(number, str) or not NUMBER.fullmatch(number):
        raise Unavailable(f"an answer of another shape: {name}")
    return number


def is_live() -> bool:
    return "_live_" in settings.STRIPE_SECRET_KEY


def number_in(row: Any, name: str) -> UUID | None:  # noqa: ANN401 - any Stripe object
    """The number of ours in its metadata. Whoever shares the account may use the same word."""
    metadata = row.metadata or {}
    try:
        return UUID(str(metadata[name])) if name in metadata else None
    except ValueError:
        return None
