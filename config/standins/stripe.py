"""Plays Stripe's API and its Checkout page on loopback, for the official client and for people.

Knows the standard library and the modules beside it; nothing of ours, no Django, not the client.

API      /v1/checkout/sessions  payment_intents  charges  refunds  disputes  events  invoices
people   /  /c/pay/<session>  /receipts/<charge or invoice>
control  GET  /__standin__/log?since=n   /__standin__/switches
         POST /__standin__/switches               name=value, see stripe_books.SWITCHES
              /__standin__/reset                  forgets everything
              /__standin__/sessions/<id>/settle   outcome=succeeded|failed: the bank's answer
              /__standin__/refunds/<id>/settle    outcome=succeeded|failed
              /__standin__/disputes               charge=<id> [amount=n] [reason=word]
              /__standin__/disputes/<id>/close    outcome=won|lost
              /__standin__/events/<id>/send       once more, as the Dashboard's Resend

A control route takes a form or a JSON object and answers JSON; a browser is sent back to `/`.
The journey of money is in stripe_till, its memory in stripe_books, its news in stripe_courier.
"""

import json
import socket
import string
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from config.standins import Cut, Environ, StartResponse
from config.standins import stripe_pages as pages
from config.standins import stripe_parameters as parameters
from config.standins.stripe_api import Answer, Api, Request, json_answer, refused
from config.standins.stripe_books import Books, checked_switches
from config.standins.stripe_courier import Courier
from config.standins.stripe_parameters import Refusal
from config.standins.stripe_shapes import Record, new_id, shown
from config.standins.stripe_till import Till

PLAY_KEY = "sk_test_standin"  # the one key this account knows, unless told another
LARGEST_BODY = 1_000_000  # bytes; far above any request of this API
ROWS_ON_FIRST_PAGE = 50
OUTCOME = parameters.fields("outcome", outcome=parameters.choice("succeeded", "failed"))
VERDICT = parameters.fields("outcome", outcome=parameters.choice("won", "lost"))
DISPUTE = parameters.fields(
    "charge",
    charge=parameters.text(),
    amount=parameters.whole(1),
    reason=parameters.choice("fraudulent", "product_not_received", "duplicate", "general"),
)


class StripeStandIn:
    """The WSGI app. Its books are kept in `directory` and read again at the next start.

    `webhook_url` is where events are told (http on this machine, or empty for nowhere), signed
    with `webhook_secret`. `switches` are those of `stripe_books.SWITCHES`. Raises Refusal for a
    switch it does not know, ValueError for an address elsewhere or an unreadable journal.
    """

    def __init__(
        self,
        directory: Path,
        *,
        webhook_url: str,
        webhook_secret: str,
        key: str = PLAY_KEY,
        **switches: str | float,
    ) -> None:
        self._books = Books(directory / "journal.jsonl", switches)
        self._courier = Courier(self._books, webhook_url, webhook_secret)
        self._till = Till(self._books)
        self._api = Api(self._books, self._till, key)

    def close(self) -> None:
        """Tells no more events and closes the books. May be repeated; serve nothing afterwards."""
        self._courier.close()
        self._books.close()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = _request(environ)
        answer = self._answer(request)
        is_api = request.path.startswith("/v1/")
        if is_api and request.method == "POST" and self._books.switch("api") == "lost":
            environ["standin.connection"].shutdown(socket.SHUT_RDWR)
            raise Cut
        headers = {
            "X-Stand-In": "stripe",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache, no-store",
            **answer.headers,
        }
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        start_response(status, list(headers.items()))
        return [answer.body.encode()]

    def _answer(self, request: Request) -> Answer:
        if len(request.body) > LARGEST_BODY:
            return refused(Refusal("The request is too large.", status=413))
        if request.path.startswith("/v1/"):
            return self._api.answer(request)
        self._till.expire_due()
        try:
            if request.path.startswith("/__standin__/"):
                answer = json_answer(200, self._control(request))
                from_browser = "text/html" in request.headers.get("accept", "")
                if request.method == "POST" and from_browser:
                    return Answer(303, "", {"Location": "/"})
                return answer
            return self._page(request)
        except Refusal as refusal:
            return refused(refusal)

    # For people

    def _page(self, request: Request) -> Answer:
        match request.path.strip("/").split("/"):
            case [""]:
                return _html(pages.first_page(self._newest(), self._books.switches()))
            case ["style.css"]:
                return Answer(200, pages.STYLE, {"Content-Type": "text/css; charset=utf-8"})
            case ["c", "pay", number]:
                return self._checkout(request, number)
            case ["receipts", number]:
                charge = self._charge_of(number)
                if charge:
                    return _html(pages.receipt_page(charge))
        return _html(pages.message_page("Not found", "There is nothing here."), 404)

    def _newest(self) -> list[tuple[Record, Record | None, Record | None]]:
        rows, disputes = [], self._books.rows("dispute")
        for session in self._books.rows("checkout.session")[:ROWS_ON_FIRST_PAGE]:
            intent = self._books.find(session["payment_intent"] or "") or {}
            charge = self._books.find(intent.get("latest_charge") or "")
            dispute = next(
                (row for row in disputes if row["payment_intent"] == intent.get("id")), None
            )
            rows.append((session, charge, dispute))
        return rows

    def _charge_of(self, number: str) -> Record | None:
        """The charge of a receipt's or an invoice's address."""
        record = self._books.find(number) or {}
        if record.get("object") == "invoice":
            sessions = self._books.rows("checkout.session")
            session = next(row for row in sessions if row["invoice"] == number)
            intent = self._books.get("payment_intent", session["payment_intent"])
            return self._books.get("charge", intent["latest_charge"])
        return record if record.get("object") == "charge" else None

    def _checkout(self, request: Request, number: str) -> Answer:
        session = self._books.find(number)
        if not session or session["object"] != "checkout.session":
            return _html(pages.message_page("Not found", "There is no such checkout."), 404)
        if request.method == "POST":
            return self._choose(request, session)
        if session["status"] != "open":
            words = {"complete": "This checkout is finished.", "expired": "This checkout expired."}
            return _html(pages.message_page("Checkout", words[session["status"]]))
        intent = self._books.find(session["payment_intent"] or "") or {}
        refusal = (intent.get("last_payment_error") or {}).get("message", "")
        return self._pay_page(session, refusal)

    def _pay_page(self, session: Record, refusal: str, status: int = 200) -> Answer:
        total, off = self._till.due(session)
        answer = _html(pages.pay_page(session, total, off, refusal), status)
        # A form's redirect must be allowed too, so the way back to the site is named.
        ways = (session["success_url"], session["cancel_url"] or session["success_url"])
        origins = {f"{way.scheme}://{way.netloc}" for way in map(urlsplit, ways)}
        policy = f"{pages.POLICY}; form-action 'self' {' '.join(sorted(origins))}"
        return answer._replace(headers={**answer.headers, "Content-Security-Policy": policy})

    def _choose(self, request: Request, session: Record) -> Answer:
        """One button of the pay page. A second press after paying leads to the same place."""
        form = {name: values[-1] for name, values in parse_qs(request.body).items()}
        how = form.get("how")
        if session["status"] == "expired":
            return _html(pages.message_page("Checkout", "This checkout expired."), 410)
        if how == "back" and session["cancel_url"]:
            return _see_other(session["cancel_url"])
        if session["status"] == "open":
            if how not in ("card", "bank", "decline"):
                return self._pay_page(session, "Choose one of the buttons.", 400)
            address = session["customer_email"] or form.get("email", "").strip()
            if how != "decline" and not parameters.ADDRESS.fullmatch(address):
                return self._pay_page(session, "Enter an email address for the receipt.", 422)
            session = self._till.pay(session["id"], how, address, request.base_url)
            if how == "decline":
                return _see_other(request.path)
        return _see_other(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))

    # For tests and the first page's buttons

    def _control(self, request: Request) -> object:
        wanted = _control_form(request)
        match [request.method, *request.path.split("/")[2:]]:
            case ["GET", "log"]:
                since = parse_qs(request.query).get("since", ["0"])[-1]
                return self._books.log(parameters.whole()(since, "since"))
            case ["GET", "switches"]:
                return self._books.switches()
            case ["POST", "switches"]:
                with self._books.turn():
                    switches = checked_switches(wanted)
                    self._books.write("switched")
                    self._books.keep(switches=switches)
                return self._books.switches()
            case ["POST", "reset"]:
                self._books.keep(reset=True)
                return {"reset": True}
            case ["POST", "sessions", number, "settle"]:
                outcome = OUTCOME(wanted, "")["outcome"]
                return shown(self._till.settle(number, outcome, request.base_url))
            case ["POST", "refunds", number, "settle"]:
                return shown(self._till.settle_refund(number, OUTCOME(wanted, "")["outcome"]))
            case ["POST", "disputes"]:
                asked = DISPUTE(wanted, "")
                reason = asked.get("reason", "fraudulent")
                return shown(self._till.open_dispute(asked["charge"], asked.get("amount"), reason))
            case ["POST", "disputes", number, "close"]:
                return shown(self._till.close_dispute(number, VERDICT(wanted, "")["outcome"]))
            case ["POST", "events", number, "send"]:
                event = self._books.get("event", number)
                self._courier.again(event)
                return event
        raise Refusal(f"No such control route: {request.method} {request.path}", status=404)


def _request(environ: Environ) -> Request:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    method = "GET" if environ["REQUEST_METHOD"] == "HEAD" else environ["REQUEST_METHOD"]
    return Request(
        id=new_id("req_"),
        method=method,
        path=environ["PATH_INFO"],
        query=environ["QUERY_STRING"],
        body=body.decode(errors="replace"),
        headers=headers,
        base_url=f"{environ['wsgi.url_scheme']}://{host}",
    )


def _control_form(request: Request) -> parameters.Tree:
    if "json" not in request.headers.get("content-type", ""):
        return parameters.decode(request.body)
    try:
        wanted = json.loads(request.body)
    except ValueError:
        raise Refusal("The body must be a JSON object.") from None
    if not isinstance(wanted, dict):
        raise Refusal("The body must be a JSON object.")
    return {str(name): str(value) for name, value in wanted.items()}


def _html(body: str, status: int = 200) -> Answer:
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": pages.POLICY}
    return Answer(status, body, headers)


def _see_other(address: str) -> Answer:
    # A header carries ASCII; what is quoted already stays as it is.
    return Answer(303, "", {"Location": quote(address, safe=string.punctuation)})
