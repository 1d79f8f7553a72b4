"""The Stripe stand-in seen by a person: the pay page with its buttons, and the first page.

Knows the stand-in through its shop.
"""

from html.parser import HTMLParser

import pytest

from tests.standin_stripe import PURCHASE, Shop, line, send


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.delenv("STANDIN_STRIPE", raising=False)
    with Shop(tmp_path) as shop:
        yield shop


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.seen = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def test_the_pay_page_shows_what_is_bought_escaped_and_without_script(shop):
    session = shop.create(line_items=line(product_data={"name": "<b>60</b> credits"}))
    status, headers, page = send("GET", session.url)
    assert status == 200
    assert "&lt;b&gt;60&lt;/b&gt; credits" in page
    assert "$9.00" in page
    assert "Stand-in: play money." in page
    tags = Tags(page).seen
    assert [attrs["value"] for tag, attrs in tags if tag == "button"] == [
        "card",
        "bank",
        "decline",
        "back",
    ]
    assert [tag for tag, attrs in tags if tag in {"script", "style"} or "style" in attrs] == []
    assert "form-action 'self' http://localhost;" in headers["content-security-policy"] + ";"
    assert send("GET", f"{shop.url}/style.css")[1]["content-type"] == "text/css; charset=utf-8"


def test_a_declined_card_stays_on_the_page_and_can_be_tried_again(shop):
    session = shop.create()
    status, headers, _ = shop.press(session, "decline")
    assert (status, headers["location"]) == (303, f"/c/pay/{session.id}")
    assert "Your card was declined." in send("GET", session.url)[2]
    declined = shop.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (declined.status, declined.payment_intent.status) == ("open", "requires_payment_method")
    shop.press(session, "card")
    paid = shop.sessions.retrieve(session.id)
    assert (paid.payment_status, paid.payment_intent) == ("paid", declined.payment_intent.id)


def test_going_back_leaves_the_session_open(shop):
    session = shop.create()
    status, headers, _ = shop.press(session, "back")
    assert (status, headers["location"]) == (303, "http://localhost/credits")
    assert shop.sessions.retrieve(session.id).status == "open"


def test_pressing_pay_twice_pays_once_and_leads_to_the_same_place(shop):
    session = shop.create()
    first, second = shop.press(session, "card"), shop.press(session, "card")
    assert first[1]["location"] == second[1]["location"]
    assert len(shop.api.charges.list().data) == 1
    assert "This checkout is finished." in send("GET", session.url)[2]


def test_without_an_address_the_page_asks_for_one(shop):
    session = shop.sessions.create({k: v for k, v in PURCHASE.items() if k != "customer_email"})
    assert shop.press(session, "card")[0] == 422
    shop.press(session, "card", email="ada@example.com")
    paid = shop.sessions.retrieve(session.id)
    assert (paid.payment_status, paid.customer_details.email) == ("paid", "ada@example.com")


@pytest.mark.parametrize(
    ("outcome", "paid", "intent"),
    [("succeeded", "paid", "succeeded"), ("failed", "unpaid", "requires_payment_method")],
)
def test_a_bank_payment_is_settled_later(shop, outcome, paid, intent):
    session = shop.create()
    assert shop.press(session, "bank")[0] == 303
    waiting = shop.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    assert waiting.payment_intent.status == "processing"
    shop.control(f"sessions/{session.id}/settle", outcome=outcome)
    settled = shop.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (settled.payment_status, settled.payment_intent.status) == (paid, intent)
    assert "error" in shop.control(f"sessions/{session.id}/settle", outcome=outcome)


def test_the_first_page_offers_a_person_the_banks_answer(shop):
    session = shop.create()
    shop.press(session, "bank")
    address = f"/__standin__/sessions/{session.id}/settle"
    forms = [attrs["action"] for tag, attrs in Tags(send("GET", shop.url)[2]).seen if tag == "form"]
    assert forms == [address, address]
    browser = {"Accept": "text/html"}
    status, headers, _ = send("POST", shop.url + address, {"outcome": "succeeded"}, browser)
    assert (status, headers["location"]) == (303, "/")
