"""Stripe's form encoding, its rules for parameters, and the errors it answers bad ones with.

Knows the standard library and `stripe_shapes`' names. Source: parameters as typed by the official
library 16.1.0; wording after docs.stripe.com/error-codes, not compared with the live service.
"""

import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from config.standins.stripe_shapes import Record, words

Tree: TypeAlias = "dict[str, str | Tree]"
Value: TypeAlias = "str | Tree"
Kind = Callable[[Value, str], Any]  # checks one decoded value; told its name for errors

MOST_PAIRS = 1000  # far above what a checkout sends
DEEPEST_NAME = 8  # brackets in one name; Stripe's own parameters need six
LONGEST_TEXT = 5000
LARGEST_AMOUNT = 99_999_999  # Stripe's limit of eight digits
LARGEST_PAGE = 100
MOST_LINES = 100
NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
# The common ones of docs.stripe.com/currencies; any other is refused here.
CURRENCIES = frozenset(
    words("aud brl cad chf clp czk dkk eur gbp hkd huf inr jpy krw mxn nok nzd pln sek sgd usd")
)


class Refusal(Exception):
    """An error in Stripe's envelope: `kind` is its `type`, the other words are as Stripe has them.

    Raised before anything is written, so a refused call has changed nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: Record = {"message": message, "type": kind}
        if code:
            page = code.replace("_", "-")
            self.error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{page}"}
        if param:
            self.error["param"] = param


def decode(form: str) -> Tree:
    """`a[b][0][c]=x` as nested dictionaries; a list is one whose names are numbers.

    Raises Refusal for more than `MOST_PAIRS` pairs, a malformed name, or a name that is both a
    value and a group.
    """
    try:
        pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=MOST_PAIRS)
    except ValueError:
        raise Refusal(f"More than {MOST_PAIRS} parameters were sent.") from None
    tree: Tree = {}
    for name, value in pairs:
        match = NAME.fullmatch(name)
        parts = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])] if match else []
        if not 0 < len(parts) <= DEEPEST_NAME:
            raise Refusal(f"Invalid parameter name: {name}", param=name)
        place = tree
        for part in parts[:-1]:
            deeper = place.setdefault(part or str(len(place)), {})
            if isinstance(deeper, str):
                raise Refusal("Invalid hash", param=name)
            place = deeper
        last = parts[-1] or str(len(place))
        if isinstance(place.get(last), dict):
            raise Refusal("Invalid string", param=name)
        place[last] = value
    return tree


def text(longest: int = LONGEST_TEXT) -> Kind:
    def check(value: Value, param: str) -> str:
        if not isinstance(value, str):
            raise Refusal(f"Invalid string: {value}", param=param)
        if not value:
            raise Refusal(
                f"You passed an empty string for '{param}'. We assume empty values are an attempt "
                f"to unset a parameter; however '{param}' cannot be unset. You should remove "
                f"'{param}' from your request or supply a non-empty value.",
                code="parameter_invalid_empty",
                param=param,
            )
        if len(value) > longest:
            raise Refusal(
                f"Invalid string: must be at most {longest} characters",
                code="parameter_invalid_string",
                param=param,
            )
        return value

    return check


def whole(smallest: int = 0, largest: int = 2**53) -> Kind:
    def check(value: Value, param: str) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}", value):
            message = f"Invalid integer: {value}"
        elif int(value) < smallest:
            message = f"This value must be greater than or equal to {smallest}."
        elif int(value) > largest:
            message = (
                f"This value must be less than or equal to {largest} (it currently is '{value}')."
            )
        else:
            return int(value)
        raise Refusal(message, code="parameter_invalid_integer", param=param)

    return check


def choice(*words: str) -> Kind:
    def check(value: Value, param: str) -> str:
        if value not in words or not isinstance(value, str):
            raise Refusal(f"Invalid {param}: must be one of {', '.join(words)}", param=param)
        return value

    return check


def boolean(value: Value, param: str) -> bool:
    if value not in ("true", "false"):
        raise Refusal(f"Invalid boolean: {value}", param=param)
    return value == "true"


def web_address(value: Value, param: str) -> str:
    address = text()(value, param)
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        sound = False
    if not sound or not address.isprintable() or " " in address:
        raise Refusal("Not a valid URL", code="url_invalid", param=param)
    return address


def email(value: Value, param: str) -> str:
    address = text(512)(value, param)
    if not ADDRESS.fullmatch(address):
        raise Refusal(f"Invalid email address: {address}", code="email_invalid", param=param)
    return address


def currency(value: Value, param: str) -> str:
    word = text()(value, param).lower()
    if word not in CURRENCIES:
        raise Refusal(f"Invalid currency: {word}.", param=param)
    return word


def listing(kind: Kind, most: int = LARGEST_PAGE) -> Kind:
    def check(value: Value, param: str) -> list[Any]:
        if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
            raise Refusal("Invalid array", param=param)
        if len(value) > most:
            raise Refusal(f"Array must have at most {most} elements", param=param)
        return [kind(value[key], f"{param}[{key}]") for key in sorted(value, key=int)]

    return check


def metadata(value: Value, param: str) -> dict[str, str]:
    """At most 50 pairs of 40 and 500 characters; an empty value means the pair is not there."""
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise Refusal("Invalid hash", param=param)
    if len(value) > 50:
        raise Refusal("Metadata can have at most 50 keys.", param=param)
    kept = {}
    for key, word in value.items():
        if len(key) > 40:
            raise Refusal("Metadata keys can be at most 40 characters.", param=param)
        if word != "":
            kept[key] = text(500)(word, f"{param}[{key}]")
    return kept


def fields(*required: str, **kinds: Kind) -> Kind:
    def check(value: Value, param: str) -> Record:
        if not isinstance(value, dict):
            raise Refusal("Invalid hash", param=param)
        names = {name: f"{param}[{name}]" if param else name for name in (*value, *required)}
        if unknown := [names[name] for name in value if name not in kinds]:
            several = "s" if len(unknown) > 1 else ""
            raise Refusal(
                f"Received unknown parameter{several}: {', '.join(unknown)}",
                code="parameter_unknown",
                param=unknown[0],
            )
        if missing := [names[name] for name in required if name not in value]:
            raise Refusal(
                f"Missing required param: {missing[0]}.", code="parameter_missing", param=missing[0]
            )
        return {name: kinds[name](given, names[name]) for name, given in value.items()}

    return check


def moment(value: Value, param: str) -> dict[str, int]:
    """`created`: one second, or any of gt, gte, lt, lte (seconds since 1970)."""
    if isinstance(value, str):
        second = whole()(value, param)
        return {"gte": second, "lte": second}
    limits: dict[str, int] = fields(gt=whole(), gte=whole(), lt=whole(), lte=whole())(value, param)
    return limits


# What each route takes. A parameter Stripe knows and nothing here plays is refused as unknown:
# better a loud difference than a silent one.
EXPAND = {"expand": listing(text())}
LINE = fields(
    "price_data",
    "quantity",
    quantity=whole(1, 999_999),
    metadata=metadata,
    price_data=fields(
        "currency",
        "product_data",
        "unit_amount",
        currency=currency,
        unit_amount=whole(0, LARGEST_AMOUNT),
        tax_behavior=choice("exclusive", "inclusive", "unspecified"),
        product_data=fields(
            "name",
            name=text(250),
            description=text(),
            images=listing(web_address, 8),
            metadata=metadata,
            tax_code=text(),
            unit_label=text(12),
        ),
    ),
)
CREATE_SESSION = fields(
    "mode",
    "success_url",
    "line_items",
    mode=choice("payment"),
    ui_mode=choice("hosted_page"),
    success_url=web_address,
    cancel_url=web_address,
    line_items=listing(LINE, MOST_LINES),
    client_reference_id=text(200),
    customer_email=email,
    customer_creation=choice("if_required"),
    currency=currency,
    metadata=metadata,
    allow_promotion_codes=boolean,
    automatic_tax=fields("enabled", enabled=boolean),
    invoice_creation=fields(
        "enabled",
        enabled=boolean,
        invoice_data=fields(description=text(), footer=text(), metadata=metadata),
    ),
    payment_intent_data=fields(
        metadata=metadata,
        description=text(1000),
        receipt_email=email,
        statement_descriptor=text(22),
        statement_descriptor_suffix=text(22),
    ),
    billing_address_collection=choice("auto", "required"),
    submit_type=choice("auto", "book", "donate", "pay"),
    locale=text(10),
    expires_at=whole(),
    **EXPAND,
)
CREATE_REFUND = fields(
    payment_intent=text(),
    charge=text(),
    amount=whole(1, LARGEST_AMOUNT),
    metadata=metadata,
    reason=choice("duplicate", "fraudulent", "requested_by_customer"),
    **EXPAND,
)
ONE = fields(**EXPAND)
PAGE: dict[str, Kind] = {
    "limit": whole(1, LARGEST_PAGE),
    "starting_after": text(),
    "ending_before": text(),
    **EXPAND,
}
LIST = {
    "checkout.session": fields(
        created=moment,
        payment_intent=text(),
        status=choice("complete", "expired", "open"),
        customer_details=fields("email", email=email),
        **PAGE,
    ),
    "payment_intent": fields(created=moment, **PAGE),
    "charge": fields(created=moment, payment_intent=text(), **PAGE),
    "refund": fields(created=moment, payment_intent=text(), charge=text(), **PAGE),
    "dispute": fields(created=moment, payment_intent=text(), charge=text(), **PAGE),
    "event": fields(created=moment, type=text(), types=listing(text(), 20), **PAGE),
    "invoice": fields(created=moment, **PAGE),
    "item": fields(**PAGE),
}
