"""Refunding: money of purchases sent back, at their owner's word or the staff's.

Knows the nouns and billing. The credits leave the wallet before Stripe is asked for the money.
"""

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts import billing
from accounts.models import Purchase, Refund, User

logger = logging.getLogger("likeness.money")
staff = logging.getLogger("likeness.staff")


def ask_refund(purchase: Purchase, now: datetime) -> Refund:
    """Unused credits of the last 14 days back to money: the credits go first, then Stripe is asked.
    ASKED in the answer means that Stripe has not answered yet and will be asked again. Raises
    NothingToRefund, NotEnoughCredits, or Refused: then the credits are back, unless the payment
    itself could not be read and the refund is still ASKED. Staff are called.
    """
    return send_once(purchase.open_refund(now))


def send_back(
    purchase: Purchase, cents: int, *, actor: User, reason: str, number: UUID, most: int
) -> Refund:
    """Staff send so many cents of a purchase back, with a reason; `number` is their form's, so that
    pressing twice sends once. `most` cents of it may be gone in all. Answers and raises as
    `ask_refund` does.
    """
    return send_once(
        purchase.open_refund_by_staff(cents, actor=actor, reason=reason, number=number, most=most)
    )


def send_once(refund: Refund) -> Refund:
    try:
        send_refund(refund)
    except billing.Unavailable as away:
        logger.warning("a refund waits", extra={"refund": refund.key, "why": str(away)})
    except billing.Refused as refusal:
        staff.error("refund %s was refused by Stripe: %s", refund.key, refusal)
        raise
    refund.refresh_from_db()
    return refund


def send_refund(refund: Refund) -> None:
    """Ask Stripe for the money of an ASKED refund, once for ever: its number is the idempotency
    key, and since Stripe keeps keys for a day only, what stands there already is read first.
    Raises Unavailable, or Refused: by its answer to the request, the credits are back, or
    belong to the dispute or refund that came first.
    """
    purchase = refund.purchase
    payment = purchase.payment_intent or ""
    billing.claw_back(payment)
    refund.refresh_from_db()
    if refund.state != Refund.State.ASKED:
        return
    try:
        with billing.asking():
            billing.client().v1.refunds.create(
                refund_parameters(refund), {"idempotency_key": f"refund:{refund.key}"}
            )
    except billing.Refused:
        purchase.undo_refund(refund)
        billing.claw_back(payment)  # what Stripe refused it for takes those credits now
        raise
    billing.claw_back(payment)


def refund_parameters(refund: Refund) -> Any:  # noqa: ANN401 - stripe's types stay in billing
    return {
        "payment_intent": refund.purchase.payment_intent or "",
        "amount": refund.amount_cents,
        "reason": "requested_by_customer",  # also when staff do: Stripe knows no kinder word
        "metadata": {"refund": refund.key},
    }
