"""Stripe's `/v1` over one request and one answer: keys, routes, lists, expansion, idempotency.

Knows the books, the till, the parameters and the shapes. Source: docs.stripe.com/api (errors,
pagination, expanding_objects, idempotent_requests) and what the official library 16.1.0 sends.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import NamedTuple

from config.standins import stripe_parameters as parameters
from config.standins.stripe_books import Books
from config.standins.stripe_parameters import Kind, Refusal
from config.standins.stripe_shapes import VERSION, Record, page, shown
from config.standins.stripe_till import Till

LONGEST_KEY = 255  # characters of an idempotency key
DEEPEST_EXPAND = 4
ROWS_UNASKED = 10
KINDS = {  # the path of each collection
    "/v1/checkout/sessions": "checkout.session",
    "/v1/payment_intents": "payment_intent",
    "/v1/charges": "charge",
    "/v1/refunds": "refund",
    "/v1/disputes": "dispute",
    "/v1/events": "event",
    "/v1/invoices": "invoice",
}
PARAM_OF = {"checkout.session": "session", "payment_intent": "intent", "dispute": "dispute"}
# What may be expanded, and into which kind; an empty one is always null here.
EXPANDABLE = {
    "checkout.session": {
        "line_items": "item",
        "payment_intent": "payment_intent",
        "invoice": "invoice",
        "customer": "",
        "payment_link": "",
        "setup_intent": "",
        "subscription": "",
    },
    "payment_intent": {"latest_charge": "charge", "customer": "", "review": ""},
    "charge": {"payment_intent": "payment_intent", "refunds": "", "balance_transaction": ""},
    "refund": {"charge": "charge", "payment_intent": "payment_intent", "balance_transaction": ""},
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
}
FILTERS = ("payment_intent", "charge", "status", "type")


class Request(NamedTuple):
    """`headers` have lower-case names; `base_url` is how the caller reached us, without a slash."""

    id: str
    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]
    base_url: str


class Answer(NamedTuple):
    status: int
    body: str
    headers: dict[str, str]


def json_answer(status: int, value: object) -> Answer:
    return Answer(status, json.dumps(value, indent=2), {"Content-Type": "application/json"})


def refused(refusal: Refusal) -> Answer:
    return json_answer(refusal.status, {"error": refusal.error})


class Api:
    def __init__(self, books: Books, till: Till, key: str) -> None:
        self._books, self._till, self._key = books, till, key

    def answer(self, request: Request) -> Answer:
        version = request.headers.get("stripe-version", VERSION)
        try:
            self._check_caller(request, version)
            tree = parameters.decode(request.body if request.method == "POST" else request.query)
            answer = (
                self._post(request, tree) if request.method == "POST" else self._get(request, tree)
            )
        except Refusal as refusal:
            answer = refused(refusal)
        headers = {"Request-Id": request.id, "Stripe-Version": version, **answer.headers}
        if answer.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="Stripe"'
        if answer.status >= 500:
            headers["Stripe-Should-Retry"] = "false"
        if key := request.headers.get("idempotency-key"):
            headers["Idempotency-Key"] = key
        return answer._replace(headers=headers)

    def _check_caller(self, request: Request, version: str) -> None:
        key = self._key_of(request.headers.get("authorization", ""))
        if not key:
            raise Refusal(
                "You did not provide an API key. You need to provide your API key in the "
                "Authorization header, using Bearer auth (e.g. 'Authorization: Bearer "
                "YOUR_SECRET_KEY').",
                status=401,
            )
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            shown_key = f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}"
            raise Refusal(f"Invalid API Key provided: {shown_key}", status=401)
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", version):
            raise Refusal(f"Invalid Stripe API version: {version}")
        if self._books.switch("api") == "down":
            raise Refusal(
                "An unknown error occurred. (Stand-in, api=down.)", status=500, kind="api_error"
            )
        if self._books.switch("api") == "busy":
            raise Refusal("Request rate limit exceeded.", status=429, code="rate_limit")

    @staticmethod
    def _key_of(authorization: str) -> str:
        scheme, _, word = authorization.partition(" ")
        if scheme.lower() != "basic":
            return word if scheme.lower() == "bearer" else ""
        try:
            return base64.b64decode(word, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""

    @staticmethod
    def _unrecognized(request: Request) -> Refusal:
        return Refusal(
            f"Unrecognized request URL ({request.method}: {request.path}). Please see "
            "https://stripe.com/docs or we can help at https://support.stripe.com/.",
            status=404,
        )

    # POST

    def _deed(self, request: Request) -> tuple[Kind, str, Callable[[Record], Record]]:
        """What the path takes, what it makes, and the verb."""
        sessions = "/v1/checkout/sessions"
        if request.path == sessions:
            return (
                parameters.CREATE_SESSION,
                "checkout.session",
                lambda wanted: self._till.create_session(wanted, request.base_url),
            )
        if match := re.fullmatch(rf"{sessions}/([^/]+)/expire", request.path):
            number = match[1]
            return parameters.ONE, "checkout.session", lambda _: self._till.expire(number)
        if request.path == "/v1/refunds":
            return parameters.CREATE_REFUND, "refund", self._till.refund
        raise self._unrecognized(request)

    def _post(self, request: Request, tree: parameters.Tree) -> Answer:
        kind, made, deed = self._deed(request)
        wanted = kind(tree, "")
        expand = _checked_expand(made, wanted.pop("expand", []))
        key = request.headers.get("idempotency-key", "")
        if len(key) > LONGEST_KEY:
            raise Refusal(f"An idempotency key has at most {LONGEST_KEY} characters.")
        digest = hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()
        with self._books.turn({"id": request.id, "idempotency_key": key or None}):
            self._till.expire_due()
            if kept := self._books.answer(key):
                return self._answered_before(request, key, digest, kept)
            try:
                answer = json_answer(200, self._expanded(deed(wanted), expand))
            except Refusal as refusal:
                answer = refused(refusal)
                self._books.write("refused", path=request.path, why=str(refusal))
            if key:
                kept = {
                    "at": self._books.now(),
                    "path": request.path,
                    "digest": digest,
                    "request": request.id,
                    "status": answer.status,
                    "body": answer.body,
                }
                self._books.keep(answer={key: kept})
            return answer

    def _answered_before(self, request: Request, key: str, digest: str, kept: Record) -> Answer:
        if kept["path"] != request.path:
            raise Refusal(
                "Keys for idempotent requests can only be used for the same endpoint they were "
                f"first used for ('{request.path}' vs '{kept['path']}'). Try using a key other "
                f"than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        if kept["digest"] != digest:
            raise Refusal(
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}' if you meant to execute a "
                "different request.",
                kind="idempotency_error",
            )
        self._books.write("answered again", path=request.path)
        answer = Answer(kept["status"], kept["body"], {"Content-Type": "application/json"})
        answer.headers["Idempotent-Replayed"] = "true"
        answer.headers["Original-Request"] = kept["request"]
        return answer

    # GET

    def _get(self, request: Request, tree: parameters.Tree) -> Answer:
        if request.method != "GET":
            raise self._unrecognized(request)
        self._till.expire_due()
        if kind := KINDS.get(request.path):
            return self._list(kind, self._books.rows(kind), request, tree)
        lines = re.fullmatch(r"(/v1/checkout/sessions/[^/]+)/line_items", request.path)
        path, _, number = (lines[1] if lines else request.path).rpartition("/")
        kind = KINDS.get(path)
        if not kind:
            raise self._unrecognized(request)
        if lines:
            session = self._books.get(kind, number, PARAM_OF[kind])
            return self._list("item", session["_line_items"]["data"], request, tree)
        expand = _checked_expand(kind, parameters.ONE(tree, "").get("expand", []))
        record = self._books.get(kind, number, PARAM_OF.get(kind, "id"))
        return json_answer(200, self._expanded(record, expand))

    def _list(
        self, kind: str, rows: list[Record], request: Request, tree: parameters.Tree
    ) -> Answer:
        wanted = parameters.LIST[kind](tree, "")
        expand = _checked_expand(kind, wanted.get("expand", []), of_list=True)
        rows = [row for row in rows if _matches(row, wanted)]
        limit = wanted.get("limit", ROWS_UNASKED)
        if before := wanted.get("ending_before"):
            end = _place(rows, kind, before, "ending_before")
            start, more = max(0, end - limit), end > limit
        else:
            after = wanted.get("starting_after")
            start = _place(rows, kind, after, "starting_after") + 1 if after else 0
            end = start + limit
            more = end < len(rows)
        chosen = [self._expanded(row, expand) for row in rows[start:end]]
        return json_answer(200, page(chosen, request.path, more=more))

    def _expanded(self, record: Record, paths: list[str]) -> Record:
        """The record as Stripe shows it, each checked path replaced by what it names."""
        view = shown(record)
        tails: dict[str, list[str]] = {}
        for path in paths:
            head, _, tail = path.partition(".")
            tails.setdefault(head, []).extend([tail] if tail else [])
        for head, rest in tails.items():
            if f"_{head}" in record:
                view[head] = record[f"_{head}"]
            elif head == "refunds":
                rows = [r for r in self._books.rows("refund") if r["charge"] == record["id"]]
                view[head] = page(list(map(shown, rows)), f"/v1/charges/{record['id']}/refunds")
            elif found := self._books.find(view.get(head) or ""):
                view[head] = self._expanded(found, rest)
        return view


def _checked_expand(kind: str, paths: list[str], *, of_list: bool = False) -> list[str]:
    """The paths, as seen from one record. Raises Refusal for one that cannot be expanded."""
    tails = []
    for path in paths:
        parts = path.split(".")
        if len(parts) > DEEPEST_EXPAND:
            raise Refusal(f"You cannot expand more than {DEEPEST_EXPAND} levels of a property.")
        head = [parts.pop(0)] if of_list else ["data"]
        known = kind if head == ["data"] else ""
        for part in parts:
            if part not in EXPANDABLE.get(known, {}):
                known = ""
                break
            known = EXPANDABLE[known][part] or "null"
        if not known or not parts:
            raise Refusal(f"This property cannot be expanded ({path}).")
        tails.append(".".join(parts))
    return tails


def _matches(row: Record, wanted: Record) -> bool:
    created = wanted.get("created", {})
    email = wanted.get("customer_details", {}).get("email")
    return (
        all(row[name] == wanted[name] for name in FILTERS if name in wanted)
        and ("types" not in wanted or row["type"] in wanted["types"])
        and created.get("gt", -1) < row.get("created", 0) < created.get("lt", 2**60)
        and created.get("gte", 0) <= row.get("created", 0) <= created.get("lte", 2**60)
        and (email is None or (row["customer_details"] or {}).get("email") == email)
    )


def _place(rows: list[Record], kind: str, number: str, param: str) -> int:
    for place, row in enumerate(rows):
        if row["id"] == number:
            return place
    raise Refusal(f"No such {kind}: '{number}'", code="resource_missing", param=param)
