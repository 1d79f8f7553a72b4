"""What Stripe's answers look like: checkout sessions and events.

Knows the standard library alone. Source: API version 2026-10-28.endive as typed by the official
library 16.1.0 (a test compares the two); not compared with the live service. A name that begins
with an underscore is never shown: `_line_items` is what `expand[]=line_items` asks for,
`_payment` waits for the payment.
"""

import secrets
from typing import Any

Record = dict[str, Any]


def words(sentence: str) -> list[str]:
    return sentence.split()


def nulls(names: str) -> Record:
    return dict.fromkeys(words(names))


VERSION = "2026-10-28.endive"
# docs.stripe.com/currencies#zero-decimal
ZERO_DECIMAL = frozenset(words("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"))
SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}


def new_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)


def money(amount: int, currency: str) -> str:
    """For people: 900 of usd is "$9.00", 900 of jpy is "900 JPY"."""
    figure = str(amount) if currency in ZERO_DECIMAL else f"{amount / 100:.2f}"
    sign = SIGNS.get(currency)
    return f"{sign}{figure}" if sign else f"{figure} {currency.upper()}"


def page(rows: list[Record], url: str, *, more: bool = False) -> Record:
    return {"object": "list", "data": rows, "has_more": more, "url": url}


def line(wanted: Record, now: int, *, livemode: bool) -> Record:
    """One line of a checkout, from a checked `line_items[n]`."""
    price = wanted["price_data"]
    total = price["unit_amount"] * wanted["quantity"]
    return {
        "id": new_id("li_"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": price["currency"],
        "description": price["product_data"]["name"],
        "metadata": wanted.get("metadata", {}),
        "price": {
            "id": new_id("price_"),
            "object": "price",
            "active": False,
            "billing_scheme": "per_unit",
            "created": now,
            "currency": price["currency"],
            "custom_unit_amount": None,
            "livemode": livemode,
            "lookup_key": None,
            "metadata": {},
            "nickname": None,
            "product": new_id("prod_"),
            "recurring": None,
            "tax_behavior": price.get("tax_behavior", "unspecified"),
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "one_time",
            "unit_amount": price["unit_amount"],
            "unit_amount_decimal": str(price["unit_amount"]),
        },
        "quantity": wanted["quantity"],
    }


def customer(address: str | None) -> Record | None:
    nothing = nulls("address business_name individual_name name phone")
    return {**nothing, "email": address, "tax_exempt": "none", "tax_ids": None} if address else None


def checkout_session(
    wanted: Record, lines: list[Record], base_url: str, now: int, expires: int, *, livemode: bool
) -> Record:
    """An open session, from checked parameters; `base_url` is where its pay page is."""
    number = new_id("cs_live_" if livemode else "cs_test_")
    total = sum(row["amount_total"] for row in lines)
    taxed = wanted.get("automatic_tax", {}).get("enabled", False)
    invoice = wanted.get("invoice_creation", {})
    nothing = nulls(
        "after_expiration client_secret collected_information consent consent_collection "
        "currency_conversion customer customer_account invoice origin_context payment_intent "
        "payment_link payment_method_configuration_details permissions presentment_details "
        "recovered_from saved_payment_method_options setup_intent shipping_address_collection "
        "shipping_cost subscription wallet_options"
    )
    return {
        **nothing,
        "id": number,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "allow_promotion_codes": wanted.get("allow_promotion_codes"),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {
            "enabled": taxed,
            "liability": {"type": "self"} if taxed else None,
            "provider": "stripe" if taxed else None,
            "status": "requires_location_inputs" if taxed else None,
        },
        "billing_address_collection": wanted.get("billing_address_collection"),
        "cancel_url": wanted.get("cancel_url"),
        "client_reference_id": wanted.get("client_reference_id"),
        "created": now,
        "currency": lines[0]["currency"],
        "custom_fields": [],
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "customer_creation": "if_required",
        "customer_details": customer(wanted.get("customer_email")),
        "customer_email": wanted.get("customer_email"),
        "discounts": [],
        "expires_at": expires,
        "invoice_creation": {
            "enabled": invoice.get("enabled", False),
            "invoice_data": {
                **nulls("account_tax_ids custom_fields description footer"),
                **nulls("issuer rendering_options"),
                "metadata": {},
                **invoice.get("invoice_data", {}),
            },
        },
        "livemode": livemode,
        "locale": wanted.get("locale"),
        "metadata": wanted.get("metadata", {}),
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": ["card", "us_bank_account"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "submit_type": wanted.get("submit_type"),
        "success_url": wanted["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{base_url}/c/pay/{number}",
        "_line_items": page(lines, f"/v1/checkout/sessions/{number}/line_items"),
        "_descriptions": [
            row["price_data"]["product_data"].get("description", "") for row in wanted["line_items"]
        ],
        "_payment": wanted.get("payment_intent_data", {}),
    }


def shown(record: Record) -> Record:
    """The record without what is ours alone."""
    return {name: value for name, value in record.items() if not name.startswith("_")}


def event(kind: str, after: Record, before: Record | None, request: Record, now: int) -> Record:
    """`kind` happened to `after`; `before` is the same record earlier, where Stripe tells it."""
    told: Record = {"object": shown(after)}
    if before is not None:
        was = shown(before)
        told["previous_attributes"] = {
            name: was.get(name) for name, value in told["object"].items() if was.get(name) != value
        }
    return {
        "id": new_id("evt_"),
        "object": "event",
        "api_version": VERSION,
        "created": now,
        "data": told,
        "livemode": after.get("livemode", False),
        "pending_webhooks": 1,
        "request": request,
        "type": kind,
    }
