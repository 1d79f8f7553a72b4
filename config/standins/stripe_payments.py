"""What Stripe's answers look like once money moves: payments, charges, refunds, disputes, invoices.

Knows the standard library and `stripe_shapes` alone; the same version, compared by the same test.
"""

import secrets

from config.standins.stripe_shapes import Record, new_id, nulls, page, words

EVIDENCE_SECONDS = 7 * 24 * 3600  # a bank gives a merchant at least a week to answer a dispute
ADDRESS = nulls("city country line1 line2 postal_code state")
EVIDENCE = nulls(
    "access_activity_log appeal billing_address cancellation_policy "
    "cancellation_policy_disclosure cancellation_rebuttal customer_communication "
    "customer_email_address customer_name customer_purchase_ip customer_signature "
    "duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id "
    "product_description receipt refund_policy refund_policy_disclosure "
    "refund_refusal_explanation service_date service_documentation shipping_address "
    "shipping_carrier shipping_date shipping_documentation shipping_tracking_number "
    "uncategorized_file uncategorized_text"
)
DECLINE = {
    "advice_code": "try_again_later",
    "code": "card_declined",
    "decline_code": "generic_decline",
    "doc_url": "https://stripe.com/docs/error-codes/card-declined",
    "message": "Your card was declined.",
    "type": "card_error",
}
BANK_REFUSAL = {
    "code": "payment_method_provider_decline",
    "decline_code": "insufficient_funds",
    "doc_url": "https://stripe.com/docs/error-codes/payment-method-provider-decline",
    "message": "The bank refused the payment.",
    "type": "card_error",
}


def payment_intent(session: Record, amount: int, now: int) -> Record:
    """Made at the first try to pay, as Stripe does: an unpaid session has none."""
    wanted = session["_payment"]
    nothing = nulls(
        "application application_fee_amount automatic_payment_methods canceled_at "
        "cancellation_reason customer customer_account last_payment_error latest_charge "
        "next_action on_behalf_of payment_method payment_record processing review "
        "setup_future_usage shipping source transfer_data transfer_group"
    )
    number = new_id("pi_")
    return {
        **nothing,
        "id": number,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{number}_secret_{secrets.token_hex(8)}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": session["currency"],
        "description": wanted.get("description"),
        "livemode": session["livemode"],
        "metadata": wanted.get("metadata", {}),
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "receipt_email": wanted.get("receipt_email"),
        "statement_descriptor": wanted.get("statement_descriptor"),
        "statement_descriptor_suffix": wanted.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
    }


def charge(intent: Record, method: str, address: str, base_url: str, now: int) -> Record:
    """A card's charge succeeds at once; a bank's (`us_bank_account`) is pending until settled."""
    paid = method == "card"
    number = new_id("ch_")
    nothing = nulls(
        "application application_fee application_fee_amount balance_transaction customer "
        "failure_balance_transaction failure_code failure_message on_behalf_of "
        "receipt_number review shipping source source_transfer transfer transfer_data "
        "transfer_group"
    )
    card = {
        **nulls("installments mandate network_token three_d_secure wallet"),
        "amount_authorized": intent["amount"],
        "brand": "visa",
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": "pass",
            "cvc_check": "pass",
        },
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": "playmoneyplaymon",
        "funding": "credit",
        "last4": "4242",
        "network": "visa",
        "regulated_status": "unregulated",
    }
    bank = {
        **nulls("expected_debit_date mandate payment_reference"),
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "fingerprint": "playmoneyplaymon",
        "last4": "6789",
        "routing_number": "110000000",
    }
    return {
        **nothing,
        "id": number,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0,
        "amount_refunded": 0,
        "billing_details": {
            **nulls("name phone tax_id"),
            "address": ADDRESS,
            "email": address,
        },
        "calculated_statement_descriptor": "STAND-IN PLAY MONEY",
        "captured": True,
        "created": now,
        "currency": intent["currency"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": intent["livemode"],
        "metadata": intent["metadata"],
        "outcome": {
            **nulls("advice_code network_advice_code network_decline_code"),
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": {method: card if paid else bank, "type": method},
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_url": f"{base_url}/receipts/{number}",
        "refunded": False,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "succeeded" if paid else "pending",
    }


def invoice(session: Record, address: str, base_url: str, now: int) -> Record:
    """The paid invoice that `invoice_creation` asks for."""
    number, total = new_id("in_"), session["amount_total"]
    wanted = session["invoice_creation"]["invoice_data"]
    nothing = nulls(
        "account_name account_tax_ids application automatically_finalizes_at custom_fields "
        "customer customer_account customer_address customer_name customer_phone "
        "customer_shipping default_payment_method default_source due_date ending_balance "
        "from_invoice invoice_pdf last_finalization_error latest_revision "
        "next_payment_attempt on_behalf_of parent receipt_number rendering shipping_cost "
        "shipping_details statement_descriptor test_clock"
    )
    zeroes = dict.fromkeys(
        words(
            "amount_overpaid amount_remaining amount_shipping post_payment_credit_notes_amount "
            "pre_payment_credit_notes_amount starting_balance"
        ),
        0,
    )
    empty = words(
        "customer_tax_ids default_tax_rates discounts total_discount_amounts "
        "total_pretax_credit_amounts total_taxes"
    )
    lines = [
        {
            "id": new_id("il_"),
            "object": "line_item",
            "amount": row["amount_total"],
            "currency": row["currency"],
            "description": row["description"],
            "discountable": False,
            "discounts": [],
            "invoice": number,
            "livemode": session["livemode"],
            "metadata": row["metadata"],
            "parent": None,
            "period": {"end": now, "start": now},
            "pricing": None,
            "quantity": row["quantity"],
            "subscription": None,
            "subtotal": row["amount_subtotal"],
            "taxes": [],
        }
        for row in session["_line_items"]["data"]
    ]
    return {
        **nothing,
        **zeroes,
        **{name: [] for name in empty},
        "id": number,
        "object": "invoice",
        "account_country": "US",
        "amount_due": total,
        "amount_paid": total,
        "attempt_count": 0,
        "attempted": True,
        "auto_advance": False,
        "automatic_tax": {"disabled_reason": None, **session["automatic_tax"]},
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": now,
        "currency": session["currency"],
        "customer_email": address,
        "customer_tax_exempt": "none",
        "description": wanted["description"],
        "effective_at": now,
        "footer": wanted["footer"],
        "hosted_invoice_url": f"{base_url}/receipts/{number}",
        "issuer": {"type": "self"},
        "lines": page(lines, f"/v1/invoices/{number}/lines"),
        "livemode": session["livemode"],
        "metadata": wanted["metadata"],
        "number": f"PLAY-{number[-8:].upper()}",
        "payment_settings": dict.fromkeys(
            ("default_mandate", "payment_method_options", "payment_method_types")
        ),
        "period_end": now,
        "period_start": now,
        "status": "paid",
        "status_transitions": {
            "finalized_at": now,
            "marked_uncollectible_at": None,
            "paid_at": now,
            "voided_at": None,
        },
        "subtotal": session["amount_subtotal"],
        "subtotal_excluding_tax": session["amount_subtotal"],
        "total": total,
        "total_excluding_tax": total,
        "webhooks_delivered_at": now,
    }


def refund(charged: Record, amount: int, wanted: Record, status: str, now: int) -> Record:
    nothing = (
        "balance_transaction customer customer_account receipt_number source_transfer_reversal "
        "transfer_reversal"
    )
    return {
        **nulls(nothing),
        "id": new_id("re_"),
        "object": "refund",
        "amount": amount,
        "charge": charged["id"],
        "created": now,
        "currency": charged["currency"],
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": wanted.get("metadata", {}),
        "payment_intent": charged["payment_intent"],
        "payment_method": charged["payment_method"],
        "reason": wanted.get("reason"),
        "status": status,
        **({"pending_reason": "processing"} if status == "pending" else {}),
    }


def dispute(charged: Record, amount: int, reason: str, now: int) -> Record:
    return {
        "id": new_id("du_"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charged["id"],
        "created": now,
        "currency": charged["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**EVIDENCE, "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now + EVIDENCE_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": charged["livemode"],
        "metadata": {},
        "payment_intent": charged["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }
