"""The Stripe stand-in seen by the official client: sessions, payments, refunds, disputes, errors.

Knows the stand-in through its shop; its pages and its events have files of their own.
"""

import typing
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from tests.standin_stripe import DAY, KEY, PURCHASE, Shop, line, send


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.delenv("STANDIN_STRIPE", raising=False)
    with Shop(tmp_path) as shop:
        yield shop


def refusal(call, *arguments, **options):
    with pytest.raises(stripe.StripeError) as caught:
        call(*arguments, **options)
    error = caught.value
    return type(error).__name__, error.http_status, error.code, getattr(error, "param", None)


def test_a_card_payment_turns_an_open_session_into_a_paid_one(shop):
    session = shop.create()
    assert (session.status, session.payment_status, session.payment_intent) == (
        "open",
        "unpaid",
        None,
    )
    status, headers, _ = shop.press(session, "card")
    assert (status, headers["location"]) == (303, f"http://localhost/return?session={session.id}")
    session = shop.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    charge = session.payment_intent.latest_charge
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert (session.payment_intent.status, session.payment_intent.amount_received) == (
        "succeeded",
        900,
    )
    assert (charge.paid, charge.amount, charge.currency) == (True, 900, "usd")
    assert send("GET", charge.receipt_url)[0] == 200


def test_a_session_carries_back_what_was_asked_for(shop):
    session = shop.create(
        client_reference_id="purchase-7",
        metadata={"purchase": "7", "_note": "kept"},
        allow_promotion_codes=True,
        automatic_tax={"enabled": True},
        invoice_creation={"enabled": True, "invoice_data": {"description": "60 credits"}},
        payment_intent_data={"metadata": {"purchase": "7"}},
        expand=["line_items"],
    )
    assert session.client_reference_id == "purchase-7"
    assert session.metadata.to_dict() == {"purchase": "7", "_note": "kept"}
    assert session.allow_promotion_codes is True
    assert session.automatic_tax.enabled is True
    assert (session.amount_subtotal, session.amount_total, session.currency) == (900, 900, "usd")
    assert [(line.description, line.quantity) for line in session.line_items.data] == [
        ("60 credits", 1)
    ]
    assert session.line_items.data == shop.sessions.line_items.list(session.id).data
    shop.press(session, "card")
    paid = shop.sessions.retrieve(session.id, {"expand": ["invoice", "payment_intent"]})
    assert paid.payment_intent.metadata.to_dict() == {"purchase": "7"}
    assert (paid.invoice.status, paid.invoice.total) == ("paid", 900)
    assert paid.invoice.description == "60 credits"
    assert send("GET", paid.invoice.hosted_invoice_url)[0] == 200


def differences(kind, record, path):
    """Fields unknown to the library's class, and fields it promises that are absent or null."""
    typed = {name: hint for name, hint in kind.__annotations__.items() if name != "OBJECT_NAME"}
    found = [f"{path}.{name} is unknown" for name in record if name not in {*typed, "object"}]
    inner = getattr(kind, "_inner_class_types", {})
    for name, hint in typed.items():
        if record.get(name) is None and type(None) not in typing.get_args(hint):
            found.append(f"{path}.{name} is missing")
        if name in inner and isinstance(record.get(name), dict):
            found += differences(inner[name], record[name], f"{path}.{name}")
    return found


def test_every_record_has_the_fields_the_official_library_types(shop):
    session, intent, charge = shop.paid(
        invoice_creation={"enabled": True}, automatic_tax={"enabled": True}
    )
    shop.api.refunds.create({"charge": charge.id, "amount": 100})
    shop.control("disputes", charge=charge.id)
    expand = {"expand": ["line_items", "invoice"]}
    whole = shop.sessions.retrieve(session.id, expand).to_dict()
    line, invoice = whole.pop("line_items")["data"][0], whole.pop("invoice")
    waiting = shop.create()
    shop.press(waiting, "bank")
    by_bank = shop.api.charges.list({"limit": 1}).data[0]
    failed = shop.create()
    shop.press(failed, "decline")
    declined = shop.api.payment_intents.list({"limit": 1}).data[0]
    seen = [
        (stripe.checkout.Session, whole),
        (stripe.checkout.Session, shop.create().to_dict()),
        (stripe.LineItem, line),
        (stripe.Price, line["price"]),
        (stripe.Invoice, invoice),
        (stripe.InvoiceLineItem, invoice["lines"]["data"][0]),
        (stripe.PaymentIntent, intent.to_dict()),
        (stripe.PaymentIntent, declined.to_dict()),
        (stripe.Charge, charge.to_dict()),
        (stripe.Charge, by_bank.to_dict()),
        (stripe.Refund, shop.api.refunds.list().data[0].to_dict()),
        (stripe.Dispute, shop.api.disputes.list().data[0].to_dict()),
        (stripe.Event, shop.api.events.list().data[0].to_dict()),
    ]
    assert [
        text for kind, record in seen for text in differences(kind, record, kind.__name__)
    ] == []


def test_sessions_are_listed_newest_first_page_by_page(shop):
    made = [shop.create().id for _ in range(5)][::-1]
    first = shop.sessions.list({"limit": 2})
    assert ([row.id for row in first.data], first.has_more) == (made[:2], True)
    last = shop.sessions.list({"limit": 2, "starting_after": made[3]})
    assert ([row.id for row in last.data], last.has_more) == (made[4:], False)
    back = shop.sessions.list({"limit": 2, "ending_before": made[3]})
    assert ([row.id for row in back.data], back.has_more) == (made[1:3], True)
    assert [row.id for row in first.auto_paging_iter()] == made


def test_lists_are_filtered_by_creation_state_and_payment(shop):
    early = shop.create()
    shop.switch(clock=DAY // 2)
    session, intent, charge = shop.paid()
    later = {"created": {"gt": early.created}}
    assert [row.id for row in shop.sessions.list(later).data] == [session.id]
    assert [row.id for row in shop.sessions.list({"created": early.created}).data] == [early.id]
    assert [row.id for row in shop.sessions.list({"status": "open"}).data] == [early.id]
    by_payment = shop.sessions.list(
        {"payment_intent": intent.id, "expand": ["data.payment_intent"]}
    )
    assert [row.payment_intent.id for row in by_payment.data] == [intent.id]
    assert [row.id for row in shop.api.charges.list({"payment_intent": intent.id}).data] == [
        charge.id
    ]
    kinds = ["checkout.session.completed", "refund.created"]
    assert [row.type for row in shop.api.events.list({"types": kinds}).data] == kinds[:1]


def test_the_same_key_and_body_give_the_same_session(shop):
    options = {"idempotency_key": "purchase:7"}
    first = shop.sessions.create(PURCHASE, options)
    again = shop.sessions.create(PURCHASE, options)
    assert (again.id, again.last_response.headers["Idempotent-Replayed"]) == (first.id, "true")
    assert again.last_response.headers["Original-Request"] == first.last_response.request_id
    other = {**PURCHASE, "client_reference_id": "another"}
    assert refusal(shop.sessions.create, other, options)[:2] == ("IdempotencyError", 400)
    assert len(shop.sessions.list().data) == 1


def test_a_key_belongs_to_one_address(shop):
    first, second = shop.create(), shop.create()
    shop.sessions.expire(first.id, options={"idempotency_key": "expire"})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        shop.sessions.expire(second.id, options={"idempotency_key": "expire"})
    assert shop.sessions.retrieve(second.id).status == "open"


def test_eight_calls_at_once_with_one_key_make_one_session(shop):
    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(shop.sessions.create, PURCHASE, {"idempotency_key": "once"})
            for _ in range(8)
        ]
        assert len({call.result().id for call in calls}) == 1
    assert len(shop.sessions.list().data) == 1


def test_a_key_is_free_again_after_a_day(shop):
    first = shop.sessions.create(PURCHASE, {"idempotency_key": "purchase:7"})
    shop.switch(clock=DAY + 1)
    assert shop.sessions.create(PURCHASE, {"idempotency_key": "purchase:7"}).id != first.id


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"colour": "red"}, "parameter_unknown", "colour"),
        ({"line_items": [{"quantity": 1}]}, "parameter_missing", "line_items[0][price_data]"),
        (
            {"line_items": line(shade="red")},
            "parameter_unknown",
            "line_items[0][price_data][shade]",
        ),
        (
            {"line_items": line(unit_amount="much")},
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
        ),
        ({"line_items": line(unit_amount=49)}, "amount_too_small", None),
        ({"line_items": line(currency="xyz")}, None, "line_items[0][price_data][currency]"),
        ({"success_url": "/return"}, "url_invalid", "success_url"),
        ({"customer_email": "nobody"}, "email_invalid", "customer_email"),
        ({"customer_email": ""}, "parameter_invalid_empty", "customer_email"),
        ({"mode": "subscription"}, None, "mode"),
        ({"metadata": {"k" * 41: "v"}}, None, "metadata"),
        ({"expires_at": 1}, None, "expires_at"),
        ({"expand": ["colour"]}, None, None),
        ({"automatic_tax": {"enabled": "maybe"}}, None, "automatic_tax[enabled]"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name_and_makes_nothing(shop, change, code, param):
    error = refusal(shop.sessions.create, {**PURCHASE, **change})
    assert error == ("InvalidRequestError", 400, code, param)
    assert shop.sessions.list().data == []


def test_what_is_not_there_is_404_resource_missing(shop):
    missing = ("InvalidRequestError", 404, "resource_missing")
    assert refusal(shop.sessions.retrieve, "cs_test_no") == (*missing, "session")
    assert refusal(shop.sessions.expire, "cs_test_no") == (*missing, "session")
    assert refusal(shop.api.payment_intents.retrieve, "pi_no") == (*missing, "intent")
    assert refusal(shop.api.refunds.retrieve, "re_no") == (*missing, "id")
    assert refusal(shop.api.refunds.create, {"charge": "ch_no"}) == (*missing, "charge")
    assert refusal(shop.api.disputes.retrieve, "du_no") == (*missing, "dispute")
    assert refusal(shop.api.customers.list)[:2] == ("InvalidRequestError", 404)


@pytest.mark.parametrize("key", ["sk_test_another", "sk_live_somebodys"])
def test_a_wrong_key_is_401_and_not_repeated_in_full(shop, key):
    stranger = stripe.StripeClient(key, base_addresses={"api": shop.url})
    with pytest.raises(stripe.AuthenticationError) as caught:
        stranger.v1.checkout.sessions.list()
    assert caught.value.http_status == 401
    assert key not in str(caught.value)


def test_answers_carry_stripes_headers_and_the_stand_ins(shop):
    key = {"Authorization": f"Bearer {KEY}", "Stripe-Version": "2025-09-30.clover"}
    status, headers, _ = send("GET", f"{shop.url}/v1/charges", headers=key)
    assert (status, headers["stripe-version"]) == (200, "2025-09-30.clover")
    assert headers["request-id"].startswith("req_")
    for path in ("/v1/charges", "/", "/style.css", "/nowhere", "/__standin__/log"):
        assert send("GET", shop.url + path)[1]["x-stand-in"] == "stripe"


def test_refunds_in_parts_stop_at_what_was_paid(shop):
    _, intent, charge = shop.paid()
    first = shop.api.refunds.create(
        {"payment_intent": intent.id, "amount": 300, "metadata": {"refund": "1"}}
    )
    assert (first.status, first.amount, first.metadata.to_dict()) == (
        "succeeded",
        300,
        {"refund": "1"},
    )
    too_much = refusal(shop.api.refunds.create, {"charge": charge.id, "amount": 601})
    assert too_much == ("InvalidRequestError", 400, None, "amount")
    rest = shop.api.refunds.create({"charge": charge.id, "expand": ["charge"]})
    assert (rest.amount, rest.charge.amount_refunded, rest.charge.refunded) == (600, 900, True)
    over = refusal(shop.api.refunds.create, {"charge": charge.id})
    assert over == ("InvalidRequestError", 400, "charge_already_refunded", None)
    listed = shop.api.refunds.list({"payment_intent": intent.id}).data
    assert [row.id for row in listed] == [rest.id, first.id]
    assert shop.api.refunds.retrieve(first.id).amount == 300


def test_eight_whole_refunds_at_once_give_the_money_back_once(shop):
    _, _, charge = shop.paid()
    outcomes = []

    def refund(_):
        try:
            outcomes.append(shop.api.refunds.create({"charge": charge.id}).amount)
        except stripe.InvalidRequestError as error:
            outcomes.append(error.code)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(refund, range(8)))
    assert sorted(outcomes, key=str) == [900, *["charge_already_refunded"] * 7]


def test_a_failed_refund_can_be_asked_for_again(shop):
    _, _, charge = shop.paid()
    shop.switch(refunds="pending")
    refund = shop.api.refunds.create({"charge": charge.id})
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    shop.control(f"refunds/{refund.id}/settle", outcome="failed")
    refund = shop.api.refunds.retrieve(refund.id)
    assert (refund.status, refund.failure_reason) == ("failed", "lost_or_stolen_card")
    assert shop.api.charges.retrieve(charge.id).amount_refunded == 0
    again = shop.api.refunds.create({"charge": charge.id})
    shop.control(f"refunds/{again.id}/settle", outcome="succeeded")
    assert shop.api.refunds.retrieve(again.id).status == "succeeded"
    refunds = shop.api.charges.retrieve(charge.id, {"expand": ["refunds"]}).refunds
    assert [row.id for row in refunds.data] == [again.id, refund.id]


def test_a_payment_that_is_not_there_cannot_be_refunded(shop):
    session = shop.create()
    shop.press(session, "bank")
    intent = shop.sessions.retrieve(session.id).payment_intent
    error = refusal(shop.api.refunds.create, {"payment_intent": intent})
    assert error == ("InvalidRequestError", 400, None, "payment_intent")


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_a_dispute_blocks_refunds_and_ends_once(shop, outcome):
    _, intent, charge = shop.paid()
    number = shop.control("disputes", charge=charge.id, amount="500")["id"]
    dispute = shop.api.disputes.retrieve(number, {"expand": ["charge"]})
    assert (dispute.status, dispute.amount, dispute.charge.disputed) == (
        "needs_response",
        500,
        True,
    )
    assert refusal(shop.api.refunds.create, {"charge": charge.id})[2] == "charge_disputed"
    shop.control(f"disputes/{number}/close", outcome=outcome)
    assert [row.status for row in shop.api.disputes.list({"payment_intent": intent.id}).data] == [
        outcome
    ]
    assert shop.control(f"disputes/{number}/close", outcome="won")["error"]["message"] == (
        f"{number} is {outcome} already."
    )


def test_a_session_expires_on_demand_and_in_time(shop):
    now, later = shop.create(), shop.create()
    assert shop.sessions.expire(now.id).status == "expired"
    assert refusal(shop.sessions.expire, now.id)[:2] == ("InvalidRequestError", 400)
    assert shop.sessions.retrieve(later.id).status == "open"
    shop.switch(clock=DAY)
    assert shop.sessions.retrieve(later.id).status == "expired"
    assert shop.press(later, "card")[0] == 410


def test_the_api_can_be_down_or_busy_or_lose_its_answer(shop):
    shop.switch(api="down")
    assert refusal(shop.sessions.create, PURCHASE)[:2] == ("APIError", 500)
    shop.switch(api="busy")
    assert refusal(shop.sessions.create, PURCHASE)[:2] == ("RateLimitError", 429)
    shop.switch(api="lost")
    with pytest.raises(stripe.APIConnectionError):
        shop.sessions.create(PURCHASE, {"idempotency_key": "purchase:7"})
    shop.switch(api="up")
    (made,) = shop.sessions.list().data
    assert shop.sessions.create(PURCHASE, {"idempotency_key": "purchase:7"}).id == made.id


def test_a_promotion_code_and_live_mode_are_told_truthfully(shop):
    shop.switch(discount=100, livemode="on")
    session, intent, _ = shop.paid(allow_promotion_codes=True)
    assert (session.amount_subtotal, session.amount_total) == (900, 800)
    assert (session.total_details.amount_discount, intent.amount) == (100, 800)
    assert (session.livemode, intent.livemode) == (True, True)
    assert shop.paid()[1].amount == 900
