"""Buying by the pages: to the Stripe stand-in's checkout and back, with every way it can end.

Knows the till, the factories and the pages' addresses.
"""

import re

import pytest
from django.urls import reverse

from accounts.limits import Limit
from accounts.models import CreditPack, Purchase, Transfer
from accounts.views import buying
from accounts.views.buying import LOOKS, LOOKS_SOON
from tests import factories
from tests.standin_stripe import line
from tests.till import PAID, pockets

pytestmark = pytest.mark.django_db

State = Purchase.State


@pytest.fixture
def adas(client, ada):
    client.force_login(ada)
    return client


def title(response) -> str:
    return re.search(r"<h1[^>]*>([^<]*)</h1>", response.text)[1]


def back(purchase: Purchase, **more: object) -> str:
    extra = "".join(f"&{name}={value}" for name, value in more.items())
    return f"/credits/return/?session={purchase.session_id}{extra}"


def hx(client, address: str):
    return client.get(address, headers={"HX-Request": "true"})


# ── The packs ───────────────────────────────────────────────────────────────────────────────────


def test_packs_stand_with_their_price_and_what_an_avatar_costs(adas):
    for credits, cents in ((20, 400), (60, 900), (150, 1900)):
        factories.create_pack(credits=credits, price_cents=cents)
    factories.create_pack(credits=7, active=False)
    text = adas.get("/credits/").text
    assert re.findall(r"Buy for (\S+)</span>", text) == ["$4", "$9", "$19"]
    assert re.findall(r">(\S+) an avatar<", text) == ["20¢", "15¢", "12.7¢"]
    assert "refundable for 14 days" in text


def test_without_packs_the_page_says_so(adas):
    assert "No packs are sold at the moment." in adas.get("/credits/").text


@pytest.mark.parametrize(("key", "told"), [("sk_test_1", True), ("sk_live_1", False)])
def test_test_mode_is_told_where_money_is_spoken_of(adas, settings, key, told):
    settings.STRIPE_SECRET_KEY = key
    for address in ("/credits/", "/credits/refund/"):
        assert ("no card is charged" in adas.get(address).text) == told


@pytest.mark.parametrize(
    ("pictures", "payments", "sentence"),
    [
        (True, True, "Pictures are drawn by a stand-in and payments are play money."),
        (True, False, "Pictures are drawn by a stand-in."),
        (False, True, "Payments are play money."),
        (False, False, ""),
    ],
)
def test_the_demo_banner_names_the_stand_ins_that_play(
    client, settings, pictures, payments, sentence
):
    settings.FACE_GEN_STANDIN, settings.STRIPE_STANDIN = pictures, payments
    told = re.findall(r"<strong>Local demo.</strong> ([^<]*)<", client.get("/pricing/").text)
    assert told == ([sentence] if sentence else [])


# ── To Checkout ─────────────────────────────────────────────────────────────────────────────────


def test_buying_leads_to_a_checkout_of_that_pack(till, adas, ada, pack):
    response = adas.post(f"/credits/buy/{pack.pk}/")
    purchase = Purchase.objects.get()
    assert response.status_code == 303
    assert response["Location"] == f"{till.shop.url}/c/pay/{purchase.session_id}"
    assert (purchase.user, purchase.credits, purchase.amount_cents) == (ada, 60, 900)
    assert pockets(ada) == (10, 0, 0)


def test_a_price_in_the_form_changes_nothing(till, adas, pack):
    form = {"price_cents": "1", "amount": "1", "credits": "100000", "currency": "jpy", "pack": "9"}
    adas.post(f"/credits/buy/{pack.pk}/?price_cents=1", form)
    session = till.shop.sessions.retrieve(Purchase.objects.get().session_id)
    assert (session.amount_total, session.currency) == (900, "usd")


def test_a_retired_pack_is_not_sold_and_says_so(till, adas, pack):
    CreditPack.objects.update(active=False)
    response = adas.post(f"/credits/buy/{pack.pk}/", follow=True)
    assert response.redirect_chain == [("/credits/", 303)]
    assert "That pack isn&#x27;t sold any more. No charge was made." in response.text
    assert Purchase.objects.count() == 0
    assert till.shop.sessions.list().data == []


@pytest.mark.parametrize("number", ["999", "9" * 30, "0"])
def test_a_pack_that_never_was_is_not_found(adas, pack, number):
    assert adas.post(f"/credits/buy/{number}/").status_code == 404
    assert Purchase.objects.count() == 0


def test_looking_at_a_buy_address_buys_nothing(adas, pack):
    assert adas.get(f"/credits/buy/{pack.pk}/").status_code == 405
    assert Purchase.objects.count() == 0


def test_a_stranger_signs_in_and_comes_back_to_the_packs(client, pack):
    response = client.post(f"/credits/buy/{pack.pk}/")
    assert response["Location"] == "/accounts/login/?next=/credits/"


def test_a_stripe_that_is_away_costs_nothing_and_is_told(till, adas, pack, settings):
    settings.STRIPE_API_URL = "http://127.0.0.1:9"
    text = adas.post(f"/credits/buy/{pack.pk}/", follow=True).text
    assert "The pay page can&#x27;t be opened right now. No charge was made." in text


def test_a_stripe_that_refuses_is_told_and_staff_are_called(till, adas, ada, pack, caplog):
    type(ada).objects.filter(pk=ada.pk).update(email="no address")
    text = adas.post(f"/credits/buy/{pack.pk}/", follow=True).text
    assert "No charge was made. Our staff look at it." in text
    calls = [record.getMessage() for record in caplog.records if record.name == "likeness.staff"]
    assert calls == ["a checkout was refused by Stripe: email_invalid customer_email"]


def test_the_eleventh_checkout_of_an_hour_waits(till, adas, pack):
    pack.active = False
    pack.save(update_fields=["active"])
    statuses = [adas.post(f"/credits/buy/{pack.pk}/").status_code for _number in range(11)]
    assert statuses == [303] * 10 + [429]


# ── And back ────────────────────────────────────────────────────────────────────────────────────


def test_coming_back_paid_adds_the_credits_without_a_webhook(till, adas, ada, pack):
    purchase = till.pay(ada, pack)
    response = adas.get(back(purchase))
    assert title(response) == "60 credits added"
    assert "You have 70 credits now." in response.text
    assert '<a class="c-button c-button--filled" href="/create/"' in response.text
    assert pockets(ada) == (70, 0, 0)
    assert response.text.count("70 credits") == 2  # the page and its header


def test_a_replayed_return_and_the_webhook_change_nothing(till, adas, ada, pack):
    purchase = till.pay(ada, pack)
    titles = [title(adas.get(back(purchase))) for _number in range(3)]
    assert till.bring(adas, PAID) == [200, 200]
    assert titles == ["60 credits added"] * 3
    assert pockets(ada) == (70, 0, 0)
    assert Transfer.objects.filter(kind="purchase").count() == 1


def test_a_return_after_the_webhook_says_the_same(till, adas, ada, pack):
    purchase = till.pay(ada, pack)
    till.bring(adas, PAID)
    assert title(adas.get(back(purchase))) == "60 credits added"
    assert pockets(ada) == (70, 0, 0)


def test_the_draft_is_there_after_checkout(till, adas, ada, pack):
    adas.post("/create/", {"prompt": "keeper of bees", "style": "anime", "go": "quality:fine"})
    adas.get(back(till.pay(ada, pack)))
    assert "keeper of bees" in adas.get("/create/").text


def test_somebody_elses_checkout_is_not_found_and_not_touched(till, adas, ada, ben, pack):
    bens = till.pay(ben, pack)
    for address in (back(bens), f"/credits/return/?cancelled={bens.public_id}"):
        assert adas.get(address).status_code == 404
    bens.refresh_from_db()
    assert (bens.state, pockets(ada), pockets(ben)) == (State.OPEN, (10, 0, 0), (0, 0, 0))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?session=",
        "?session=cs_test_never",
        "?cancelled=",
        "?cancelled=x",
        "?cancelled=00000000-0000-4000-8000-000000000000",
    ],
)
def test_a_checkout_that_never_was_is_not_found(adas, query):
    assert adas.get(f"/credits/return/{query}").status_code == 404


def test_a_purchase_without_a_session_is_not_found_by_an_empty_one(adas, ada, pack):
    Purchase.objects.create(
        user=ada, pack=pack, credits=60, amount_cents=900, currency="usd", session_id=None
    )
    for query in ("?session=", "?session=None", "?session"):
        assert adas.get(f"/credits/return/{query}").status_code == 404


def test_turning_back_costs_nothing_and_is_told(till, adas, ada, pack):
    purchase = till.begin(ada, pack)
    response = adas.get(f"/credits/return/?cancelled={purchase.public_id}")
    assert title(response) == "No charge was made."
    assert 'href="/create/"' in response.text


def test_turning_back_in_one_tab_after_paying_in_another_tells_the_truth(till, adas, ada, pack):
    purchase = till.pay(ada, pack)
    response = adas.get(f"/credits/return/?cancelled={purchase.public_id}")
    assert title(response) == "60 credits added"


def test_a_checkout_nobody_paid_is_told_as_that(till, adas, ada, pack):
    response = adas.get(back(till.begin(ada, pack)))
    assert title(response) == "This checkout is not paid yet"
    assert "No charge was made." in response.text
    assert 'hx-trigger="load delay' not in response.text


def test_a_slow_bank_is_told_and_not_polled(till, adas, ada, pack):
    purchase = till.begin(ada, pack)
    till.press(purchase, "bank")
    response = adas.get(back(purchase))
    assert title(response) == "Your bank is confirming"
    assert "payment-look" not in response.text
    till.shop.control(f"sessions/{purchase.session_id}/settle", outcome="succeeded")
    assert title(adas.get(back(purchase))) == "60 credits added"


def test_an_expired_checkout_is_told(till, adas, ada, pack):
    purchase = till.begin(ada, pack)
    till.shop.sessions.expire(purchase.session_id)
    response = adas.get(back(purchase))
    assert title(response) == "This checkout has ended"
    assert "No charge was made." in response.text
    assert pockets(ada) == (10, 0, 0)


def test_a_payment_that_does_not_fit_is_looked_at_by_staff(till, adas, ada, pack):
    purchase = till.begin(ada, pack)
    cheap = till.shop.create(
        line_items=line(unit_amount=100), metadata={"purchase": str(purchase.public_id)}
    )
    Purchase.objects.update(session_id=cheap.id)
    till.shop.press(cheap, "card")
    purchase.refresh_from_db()
    response = adas.get(back(purchase))
    assert title(response) == "We are looking at your payment"
    assert "our staff look at it" in response.text
    assert pockets(ada) == (10, 0, 0)


# ── While Stripe does not answer ────────────────────────────────────────────────────────────────


def look_of(response) -> tuple[str, str] | None:
    found = re.search(r'hx-get="([^"]*)" hx-trigger="load delay:(\d+)s"', response.text)
    return (found[1].replace("&amp;", "&"), found[2]) if found else None


def test_the_page_asks_until_it_knows_and_then_says_so_once(till, adas, ada, pack, settings):
    purchase, url = till.pay(ada, pack), settings.STRIPE_API_URL
    settings.STRIPE_API_URL = "http://127.0.0.1:9"
    first = adas.get(back(purchase))
    assert (title(first), look_of(first)) == (
        "Checking your payment…",
        (back(purchase, look=1), "2"),
    )
    still = hx(adas, back(purchase, look=1))
    assert look_of(still) == (back(purchase, look=2), "2")
    assert "<h1" not in still.text
    settings.STRIPE_API_URL = url
    news = hx(adas, back(purchase, look=2))
    assert (title(news), news["HX-Retarget"]) == ("60 credits added", "#payment")
    assert '<p id="payment-said" hx-swap-oob="innerHTML">60 credits added</p>' in news.text
    assert look_of(news) is None


def test_it_asks_more_seldom_and_then_stops(till, adas, ada, pack, settings):
    purchase = till.pay(ada, pack)
    settings.STRIPE_API_URL = "http://127.0.0.1:9"
    later = hx(adas, back(purchase, look=LOOKS_SOON))
    assert look_of(later) == (back(purchase, look=LOOKS_SOON + 1), "5")
    last = hx(adas, back(purchase, look=LOOKS))
    assert (title(last), look_of(last)) == ("This takes longer than usual", None)
    assert "nothing is lost" in last.text


def test_somebody_who_asks_without_end_is_not_passed_on_to_stripe(
    till, adas, ada, pack, monkeypatch
):
    monkeypatch.setattr(buying, "QUESTIONS", Limit("stripe", 1, 3600))
    purchase = till.begin(ada, pack)
    assert title(adas.get(back(purchase))) == "This checkout is not paid yet"
    till.press(purchase, "card")
    assert title(adas.get(back(purchase))) == "Checking your payment…"
    till.bring(adas, PAID)
    assert title(adas.get(back(purchase))) == "60 credits added"


@pytest.mark.parametrize("look", ["x", "-1", "²", "9" * 30])
def test_an_odd_number_of_looks_is_a_first_look(till, adas, ada, pack, look):
    assert title(hx(adas, back(till.pay(ada, pack), look=look))) == "60 credits added"


# ── Receipts ────────────────────────────────────────────────────────────────────────────────────


def test_a_purchase_in_the_history_leads_to_the_invoice_at_stripe(till, adas, ada, pack):
    purchase = till.buy(ada, pack)
    own = reverse("credits_receipt", args=[purchase.public_id])
    row = adas.get("/credits/").context["rows"][0]
    assert (row["href"], row["paid"]) == (own, (900, "usd"))
    invoice = till.shop.sessions.retrieve(purchase.session_id, {"expand": ["invoice"]}).invoice
    response = adas.get(own)
    assert (response.status_code, response["Location"]) == (302, invoice.hosted_invoice_url)


def test_without_an_invoice_the_receipt_of_the_payment_does(till, adas, ada, pack):
    purchase = till.begin(ada, pack)
    plain = till.shop.create(metadata={"purchase": str(purchase.public_id)})
    Purchase.objects.update(session_id=plain.id)
    till.shop.press(plain, "card")
    purchase.refresh_from_db()
    adas.get(back(purchase))
    charge = till.shop.api.charges.retrieve(till.charge(purchase))
    own = reverse("credits_receipt", args=[purchase.public_id])
    assert adas.get(own)["Location"] == charge.receipt_url


def test_a_receipt_of_somebody_else_or_of_nothing_paid_is_not_found(till, adas, ada, ben, pack):
    for purchase in (till.buy(ben, pack), till.begin(ada, pack)):
        own = reverse("credits_receipt", args=[purchase.public_id])
        assert adas.get(own).status_code == 404


def test_a_receipt_that_cannot_be_fetched_is_told(till, adas, ada, pack, settings):
    own = reverse("credits_receipt", args=[till.buy(ada, pack).public_id])
    settings.STRIPE_API_URL = "http://127.0.0.1:9"
    assert "can&#x27;t be fetched right now" in adas.get(own, follow=True).text
