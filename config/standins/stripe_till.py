"""Everything that moves play money: pay, settle, expire, refund, dispute, and the events it causes.

Knows the books and the shapes. Each verb is one turn: it checks, raises Refusal having changed
nothing, or writes all of it.
"""

from config.standins import stripe_payments as payments
from config.standins import stripe_shapes as shapes
from config.standins.stripe_books import Books
from config.standins.stripe_parameters import Refusal
from config.standins.stripe_shapes import Record, money

SHORTEST_SESSION = 30 * 60  # seconds; docs.stripe.com/api/checkout/sessions/create, expires_at
LONGEST_SESSION = 24 * 3600
# docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, the common ones
SMALLEST_TOTAL = {"gbp": 30, "jpy": 50}
SMALLEST_TOTAL_ELSEWHERE = 50

Happening = tuple[str, Record, Record | None]  # the event's type, the record after and before


def completed(session: Record, total: int, off: int, address: str) -> Record:
    """What a session gains when the person has done their part."""
    is_taxed = session["automatic_tax"]["enabled"]
    return {
        "status": "complete",
        "url": None,
        "amount_total": total,
        "total_details": {**session["total_details"], "amount_discount": off},
        "customer_details": shapes.customer(address),
        "automatic_tax": {**session["automatic_tax"], "status": "complete" if is_taxed else None},
    }


class Till:
    def __init__(self, books: Books) -> None:
        self._books = books

    def _write(self, act: str, *records: Record, events: tuple[Happening, ...] = ()) -> None:
        books = self._books
        made = [shapes.event(*event, books.request, books.now()) for event in events]
        books.write(act, *records, *made, id=records[0]["id"])

    def create_session(self, wanted: Record, base_url: str) -> Record:
        books = self._books
        now, livemode = books.now(), books.switch("livemode") == "on"
        expires = wanted.get("expires_at", now + LONGEST_SESSION)
        if not now + SHORTEST_SESSION <= expires <= now + LONGEST_SESSION:
            raise Refusal(
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout "
                "Session creation.",
                param="expires_at",
            )
        if not wanted["line_items"]:
            raise Refusal("Missing required param: line_items[0].", code="parameter_missing")
        lines = [shapes.line(row, now, livemode=livemode) for row in wanted["line_items"]]
        currencies = {row["currency"] for row in lines}
        if currencies != {wanted.get("currency", lines[0]["currency"])}:
            raise Refusal("All line items must have the currency of the session.", param="currency")
        session = shapes.checkout_session(wanted, lines, base_url, now, expires, livemode=livemode)
        smallest = SMALLEST_TOTAL.get(session["currency"], SMALLEST_TOTAL_ELSEWHERE)
        if session["amount_total"] < smallest:
            raise Refusal(
                "The Checkout Session's total amount due must add up to at least "
                f"{money(smallest, session['currency'])}.",
                code="amount_too_small",
            )
        self._write("session created", session)
        return session

    def expire_due(self) -> None:
        """Open sessions past their time expire at the first look after it."""
        with self._books.turn():
            for session in self._books.rows("checkout.session"):
                if session["status"] == "open" and session["expires_at"] <= self._books.now():
                    self.expire(session["id"])

    def expire(self, number: str) -> Record:
        with self._books.turn():
            session = self._open_session(
                number, 'Only Checkout Sessions with a status in ["open"] can be expired.'
            )
            expired = {**session, "status": "expired", "url": None}
            self._write(
                "session expired", expired, events=(("checkout.session.expired", expired, None),)
            )
            return expired

    def _open_session(self, number: str, rule: str) -> Record:
        session = self._books.get("checkout.session", number, "session")
        if session["status"] != "open":
            raise Refusal(f"{rule} This Checkout Session has a status of `{session['status']}`.")
        return session

    def due(self, session: Record) -> tuple[int, int]:
        """What is to pay and what a promotion code takes off, in the currency's smallest unit."""
        off = int(self._books.switch("discount")) if session["allow_promotion_codes"] else 0
        off = min(off, session["amount_subtotal"])
        return session["amount_subtotal"] - off, off

    def pay(self, number: str, how: str, address: str, base_url: str) -> Record:
        """The person's choice on the pay page: `card`, `bank` (settled later) or `decline`."""
        with self._books.turn():
            session = self._open_session(number, "Only an open Checkout Session can be paid.")
            total, off = self.due(session)
            now = self._books.now()
            if not total:
                return self._given(session, off, address)
            earlier = self._books.find(session["payment_intent"] or "")
            intent = {**(earlier or payments.payment_intent(session, total, now)), "amount": total}
            session = {**session, "payment_intent": intent["id"]}
            if how == "decline":
                intent["last_payment_error"] = payments.DECLINE
                self._write("card declined", session, intent)
                return session
            method = "card" if how == "card" else "us_bank_account"
            intent |= {"payment_method": shapes.new_id("pm_"), "last_payment_error": None}
            charge = payments.charge(intent, method, address, base_url, now)
            intent |= {"status": "processing", "latest_charge": charge["id"]}
            session |= completed(session, total, off, address)
            if how == "bank":
                events: tuple[Happening, ...] = (("checkout.session.completed", session, None),)
                self._write("bank payment started", session, intent, charge, events=events)
            else:
                session = self._paid(
                    session, intent, charge, base_url, "checkout.session.completed"
                )
            return session

    def _given(self, session: Record, off: int, address: str) -> Record:
        """Nothing is left to pay: no payment stands behind the session.
        docs.stripe.com/payments/checkout/no-cost-orders
        """
        free = {"payment_status": "no_payment_required", "payment_intent": None}
        session = {**session, **completed(session, 0, off, address), **free}
        events = (("checkout.session.completed", session, None),)
        self._write("free order", session, events=events)
        return session

    def _paid(
        self, session: Record, intent: Record, charge: Record, base_url: str, told_as: str
    ) -> Record:
        amount = intent["amount"]
        intent = {**intent, "status": "succeeded", "amount_received": amount}
        charge = {**charge, "status": "succeeded", "paid": True, "amount_captured": amount}
        session = {**session, "payment_status": "paid"}
        more: list[Record] = []
        if session["invoice_creation"]["enabled"]:
            address = charge["billing_details"]["email"]
            more = [payments.invoice(session, address, base_url, self._books.now())]
            session["invoice"] = more[0]["id"]
        events = (("payment_intent.succeeded", intent, None), (told_as, session, None))
        self._write("paid", session, intent, charge, *more, events=events)
        return session

    def settle(self, number: str, outcome: str, base_url: str) -> Record:
        """The bank's answer to a payment begun on the pay page: `succeeded` or `failed`."""
        with self._books.turn():
            session = self._books.get("checkout.session", number, "session")
            intent = self._books.find(session["payment_intent"] or "") or {}
            if intent.get("status") != "processing":
                raise Refusal(f"No bank payment is under way for {number}.")
            charge = self._books.get("charge", intent["latest_charge"])
            told_as = f"checkout.session.async_payment_{outcome}"
            if outcome == "succeeded":
                return self._paid(session, intent, charge, base_url, told_as)
            refusal = payments.BANK_REFUSAL
            intent = {
                **intent,
                "status": "requires_payment_method",
                "payment_method": None,
                "last_payment_error": refusal,
            }
            charge = {
                **charge,
                "status": "failed",
                "failure_code": refusal["code"],
                "failure_message": refusal["message"],
            }
            events = ((told_as, session, None),)
            self._write("bank payment failed", session, intent, charge, events=events)
            return session

    def refund(self, wanted: Record) -> Record:
        """Money back to the card or bank, in part or, without an amount, all that is left."""
        with self._books.turn():
            charge = self._refundable(wanted)
            left = charge["amount"] - charge["amount_refunded"]
            if left == 0:
                raise Refusal(
                    f"Charge {charge['id']} has already been refunded.",
                    code="charge_already_refunded",
                )
            amount = wanted.get("amount", left)
            if amount > left:
                asked, rest = (money(figure, charge["currency"]) for figure in (amount, left))
                raise Refusal(
                    f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})",
                    param="amount",
                )
            refund = payments.refund(
                charge, amount, wanted, self._books.switch("refunds"), self._books.now()
            )
            after = self._refunded(charge, amount)
            events = (("refund.created", refund, None), ("charge.refunded", after, charge))
            self._write("refunded", refund, after, events=events)
            return refund

    def _refundable(self, wanted: Record) -> Record:
        if "charge" not in wanted and "payment_intent" not in wanted:
            raise Refusal(
                "One of the following params should be provided for this request: payment_intent "
                "or charge.",
                code="parameter_missing",
            )
        number = wanted.get("charge")
        if "payment_intent" in wanted:
            intent = self._books.get("payment_intent", wanted["payment_intent"], "payment_intent")
            if intent["status"] != "succeeded":
                raise Refusal(
                    f"This PaymentIntent ({intent['id']}) does not have a successful charge to "
                    "refund.",
                    param="payment_intent",
                )
            if number not in (None, intent["latest_charge"]):
                raise Refusal(
                    f"Charge {number} does not belong to PaymentIntent {intent['id']}.",
                    param="charge",
                )
            number = intent["latest_charge"]
        charge = self._books.get("charge", number or "", "charge")
        if not charge["paid"]:
            raise Refusal(f"Charge {charge['id']} is not paid; it cannot be refunded.")
        if charge["disputed"]:
            raise Refusal(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                code="charge_disputed",
            )
        return charge

    @staticmethod
    def _refunded(charge: Record, amount: int) -> Record:
        total = charge["amount_refunded"] + amount
        return {**charge, "amount_refunded": total, "refunded": total == charge["amount"]}

    def settle_refund(self, number: str, outcome: str) -> Record:
        """What the bank makes of a refund: `succeeded` (was pending), or `failed`, also later."""
        with self._books.turn():
            before = self._books.get("refund", number)
            if before["status"] == "failed" or before["status"] == outcome:
                raise Refusal(f"{number} has {before['status']} already.")
            refund = {**before, "status": outcome}
            refund.pop("pending_reason", None)
            updated: Happening = ("refund.updated", refund, before)
            if outcome == "succeeded":
                self._write("refund arrived", refund, events=(updated,))
                return refund
            refund["failure_reason"] = "lost_or_stolen_card"
            charge = self._refunded(self._books.get("charge", refund["charge"]), -refund["amount"])
            events = (updated, ("refund.failed", refund, None))
            self._write("refund failed", refund, charge, events=events)
            return refund

    def open_dispute(self, number: str, amount: int | None, reason: str) -> Record:
        """The card holder's bank takes a charge back; without an amount, all of it."""
        with self._books.turn():
            charge = self._books.get("charge", number, "charge")
            if not charge["paid"] or charge["disputed"]:
                raise Refusal(f"{number} is not paid, or disputed already.")
            if not 0 < (amount or charge["amount"]) <= charge["amount"]:
                raise Refusal("A dispute takes between 1 and the charge's amount.", param="amount")
            dispute = payments.dispute(
                charge, amount or charge["amount"], reason, self._books.now()
            )
            events = (("charge.dispute.created", dispute, None),)
            self._write("disputed", dispute, {**charge, "disputed": True}, events=events)
            return dispute

    def close_dispute(self, number: str, outcome: str) -> Record:
        """The card network decides: `won` is for the merchant, `lost` for the card holder."""
        with self._books.turn():
            before = self._books.get("dispute", number, "dispute")
            if before["status"] != "needs_response":
                raise Refusal(f"{number} is {before['status']} already.")
            dispute = {**before, "status": outcome}
            events = (("charge.dispute.closed", dispute, before),)
            self._write(f"dispute {outcome}", dispute, events=events)
            return dispute
