"""Pricing, the credits page with its history, and appearance.

Knows the factories; Ben's movements are there whenever Ada's history is read.
"""

import re
from datetime import UTC, datetime

import pytest
import time_machine
from django.utils import timezone

from accounts import gifts
from accounts.models import Kind, Transfer, Wallet
from accounts.models.wallets import _post
from accounts.views.credits import next_top_up
from accounts.views.history import HISTORY_PAGE
from avatars.models import Quality, State
from tests import factories

pytestmark = pytest.mark.django_db


def welcome(user) -> None:
    user.wallet.grant(Kind.WELCOME, 3, f"welcome:{user.pk}")


@pytest.fixture
def adas(client, ada, ben):
    """Ada's browser; Ben has a history too."""
    welcome(ben)
    factories.create_request_in(State.READY, ben)
    client.force_login(ada)
    return client


def live(ada) -> None:
    """A bit of everything: welcome, gift, an avatar, a return, something in line, a reversal."""
    welcome(ada)
    factories.create_request_in(State.READY, ada, quality=Quality.FINE)
    factories.create_request_in(State.FAILED, ada)
    factories.create_request(ada)
    _post(ada.wallet, Kind.PURCHASE, 20, "purchase:1")
    _post(ada.wallet, Kind.DISPUTE, 5, "dispute:1")


def rows(client, address="/credits/") -> list[dict]:
    return client.get(address).context["rows"]


# ── Pricing ─────────────────────────────────────────────────────────────────────────────────────


def test_pricing_says_what_a_credit_buys_and_costs_in_one_query(
    client, db, settings, django_assert_num_queries
):
    settings.WELCOME_CREDITS = 4
    factories.create_pack()
    factories.create_pack(credits=20, price_cents=400, active=False)
    with django_assert_num_queries(1):
        response = client.get("/pricing/")
    assert "4 credits are free when you sign up." in response.text
    prices = re.findall(r"<h3>(\w+)</h3>\s*<p[^>]*><strong>(\d)</strong> (credits?)", response.text)
    assert prices == [
        ("Fast", "1", "credit"),
        ("Standard", "1", "credit"),
        ("Fine", "2", "credits"),
    ]
    assert 'href="/accounts/signup/"' in response.text
    assert re.findall(r">(\$\S+)</strong>", response.text) == ["$9"]
    assert "15¢ an avatar" in response.text
    assert "/credits/buy/" not in response.text


def test_somebody_signed_in_is_led_to_create(adas):
    text = adas.get("/pricing/").text
    assert "Open Create" in text
    assert 'href="/accounts/signup/"' not in text


# ── The balance ─────────────────────────────────────────────────────────────────────────────────


def test_a_stranger_signs_in_first(client):
    assert client.get("/credits/")["Location"] == "/accounts/login/?next=/credits/"


def test_the_balance_says_what_it_is_enough_for_and_what_is_held(adas, ada):
    factories.create_request(ada, quality=Quality.FINE)
    text = adas.get("/credits/").text
    assert "10 credits</h1>" in text
    assert "enough for 10 avatars, or 5 in Fine" in text
    assert "2 held" in text


def test_a_debt_is_told_plainly_and_never_as_a_minus(adas, ada):
    _post(ada.wallet, Kind.DISPUTE, 22, "dispute:1")
    response = adas.get("/credits/")
    assert "0 credits</h1>" in response.text
    assert "12 owed:" in response.text
    assert "owed 12" in response.text
    assert "-12" not in response.text


def test_a_debt_that_is_covered_is_no_debt(adas, ada):
    _post(ada.wallet, Kind.DISPUTE, 4, "dispute:1")
    text = adas.get("/credits/").text
    assert "6 credits</h1>" in text
    assert "owed:" not in text


def test_a_frozen_wallet_says_who_is_looking(adas, ada):
    Wallet.objects.filter(pk=ada.wallet.pk).update(frozen=True)
    text = adas.get("/credits/").text
    assert "0 credits</h1>" in text
    assert "Your credits are being checked by our staff." in text


def test_the_limits_come_from_the_quota(adas, ada):
    type(ada.quota).objects.filter(user=ada).update(max_open=7, max_per_day=55, monthly_free=5)
    with time_machine.travel("2026-12-31 23:00:00Z", tick=False):
        adas.force_login(ada)
        text = adas.get("/credits/").text
    for expected in (">7<", ">0 of 55 today, anew at 00:00<", "5, next on 1 January"):
        assert expected in text


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-02-01"),
        (datetime(2026, 11, 30, 23, tzinfo=UTC), "2026-12-01"),
        (datetime(2026, 12, 1, tzinfo=UTC), "2027-01-01"),
    ],
)
def test_free_credits_come_on_the_first_of_the_next_month(ada, now, expected):
    ada.quota.monthly_free = 5
    assert str(next_top_up(ada.quota, now)) == expected


def test_without_free_credits_there_is_no_date(ada):
    assert next_top_up(ada.quota, timezone.now()) is None


# ── The history ─────────────────────────────────────────────────────────────────────────────────


def test_the_history_adds_up_to_the_balance_row_by_row(adas, ada):
    live(ada)
    balance = 0
    for row in reversed(rows(adas)):
        balance += int(row["amount_text"].replace("−", "-").replace("±", ""))
        assert row["balance"] == balance
    ada.wallet.refresh_from_db()
    assert balance == ada.wallet.available - ada.wallet.owed


def test_every_event_is_there_once_in_words_newest_first(adas, ada):
    live(ada)
    told = [(str(row["word"]), row["amount_text"], len(row["steps"])) for row in rows(adas)]
    gift = ("Gift", "+1", 0)
    assert told == [
        ("Reversed by the bank", "−5", 0),
        ("Purchase", "+20", 0),
        ("Held", "−1", 1),
        gift,
        ("Returned", "±0", 2),
        gift,
        ("Charged", "−2", 2),
        ("Gift", "+2", 0),
        ("Welcome", "+3", 0),
        ("Gift", "+10", 0),
    ]
    ends = ada.wallet.transfers.filter(kind__in=[Kind.CAPTURE, Kind.RELEASE])
    assert len(told) + ends.count() == ada.wallet.transfers.count() < Transfer.objects.count()


def test_a_hold_unfolds_to_what_became_of_it_and_why(adas, ada):
    with time_machine.travel("2026-11-22 10:02:11Z", tick=False) as clock:
        wish = factories.create_request(ada)
        clock.shift(29)
        wish.finish(State.FAILED, "photo_unreadable", now=timezone.now())
        adas.force_login(ada)
        response = adas.get("/credits/")
    steps = [
        (step["text"], f"{step['at']:%H:%M:%S}") for step in response.context["rows"][0]["steps"]
    ]
    assert steps == [("Held −1", "10:02:11"), ("Returned +1", "10:02:40")]
    for expected in (
        "10:02:40",
        "Our image service couldn&#x27;t find one clear face in this photo. You were not charged.",
        f'<a href="/jobs/{wish.public_id}/">',
    ):
        assert expected in response.text


def test_a_charge_unfolds_to_its_own_credits(adas, ada):
    factories.create_request_in(State.READY, ada, quality=Quality.FINE)
    assert [step["text"] for step in rows(adas)[0]["steps"]] == ["Held −2", "Charged 2"]


def test_a_balance_on_another_page_is_that_of_the_whole_history(adas, ada):
    live(ada)
    whole = {row["number"]: row["balance"] for row in rows(adas)}
    older = rows(adas, "/credits/?before=6")
    assert [row["number"] for row in older] == [5, 4, 3, 2, 1]
    assert {row["number"]: row["balance"] for row in older}.items() <= whole.items()


@pytest.mark.parametrize(
    ("show", "words"),
    [
        ("purchases", ["Reversed by the bank", "Purchase"]),
        ("avatars", ["Held", "Returned", "Charged"]),
        ("returns", ["Returned"]),
        ("gifts", ["Gift", "Gift", "Gift", "Welcome", "Gift"]),
    ],
)
def test_a_filter_shows_its_kind_with_the_balance_of_the_whole_history(adas, ada, show, words):
    live(ada)
    whole = {row["number"]: row["balance"] for row in rows(adas)}
    filtered = rows(adas, f"/credits/?show={show}")
    assert [str(row["word"]) for row in filtered] == words
    assert all(row["balance"] == whole[row["number"]] for row in filtered)


def test_pages_go_on_where_the_last_one_ended_and_keep_the_filter(adas, ada):
    for _number in range(HISTORY_PAGE + 2):
        factories.give(ada, 1)
    factories.create_request_in(State.FAILED, ada)
    first = adas.get("/credits/?show=gifts")
    second = adas.get(first.context["next"])
    shown = [*first.context["rows"], *second.context["rows"]]
    numbers = [row["number"] for row in shown]
    assert numbers == sorted(set(numbers), reverse=True)
    assert {str(row["word"]) for row in shown} == {"Gift"}
    assert len(first.context["rows"]) == HISTORY_PAGE
    assert len(shown) == HISTORY_PAGE + 4
    assert second.context["next"] == ""


@pytest.mark.parametrize("movements", [1, HISTORY_PAGE + 5])
def test_a_history_of_any_length_costs_the_same(adas, ada, movements, django_assert_num_queries):
    for _number in range(movements):
        factories.give(ada, 1)
    for price in range(3):
        purchase = factories.create_purchase(ada, factories.create_pack(price_cents=900 + price))
        factories.create_request_in(State.FAILED, ada)
    # session, person, events, ends of holds, packs and payments that wait, requests and how many
    # of them today, tray
    with django_assert_num_queries(7):
        response = adas.get("/credits/")
    assert f"/credits/receipt/{purchase.public_id}/" in response.text


@pytest.mark.parametrize(
    "query", ["show=bens", "before=0", "before=x", "before=-1", "before=²", f"before={'9' * 30}"]
)
def test_an_address_that_cannot_be_is_not_found(adas, query):
    assert adas.get(f"/credits/?{query}").status_code == 404


def test_a_reason_of_staff_is_read_as_they_wrote_it(adas, ada, mo):
    gifts.give(ada, 5, actor=mo, reason="Sorry about <b>yesterday</b>", number="1")
    text = adas.get("/credits/").text
    assert "Sorry about &lt;b&gt;yesterday&lt;/b&gt;" in text
    assert "mo@example.org" not in text


def test_what_an_avatar_cost_leads_to_its_receipt(adas, ada):
    wish = factories.create_request_in(State.READY, ada)
    receipt = f"/jobs/{wish.public_id}/receipt/"
    assert [row["href"] for row in rows(adas)] == [receipt, "", ""]


def test_times_are_in_the_persons_own_zone(client, ben):
    ben.time_zone = "Asia/Tokyo"
    ben.save(update_fields=["time_zone"])
    with time_machine.travel("2026-11-22 20:30:00Z", tick=False):
        welcome(ben)
        client.force_login(ben)
        assert "23 Nov 2026, 05:30" in client.get("/credits/").text


def test_an_empty_history_is_told_from_an_empty_filter(client, ben):
    client.force_login(ben)
    assert "No movements yet." in client.get("/credits/").text
    assert "Nothing of that kind so far." in client.get("/credits/?show=returns").text


# ── Appearance ──────────────────────────────────────────────────────────────────────────────────


def test_the_choice_is_kept_in_a_cookie_for_a_year(client, settings):
    settings.SESSION_COOKIE_SECURE = True
    response = client.post("/settings/appearance/", {"theme": "dark"})
    cookie = response.cookies["theme"]
    assert response["Location"] == "/settings/appearance/"
    assert (cookie.value, cookie["max-age"], cookie["samesite"]) == ("dark", 31536000, "Lax")
    assert cookie["secure"]
    assert cookie["httponly"]
    page = client.get("/settings/appearance/").text
    assert 'data-theme="dark"' in page
    assert 'value="dark" checked' in page


def test_an_unknown_theme_is_refused_and_changes_nothing(client):
    response = client.post("/settings/appearance/", {"theme": "sepia"})
    assert response.status_code == 422
    assert "theme" not in response.cookies


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("/gallery/?style=anime", "/gallery/?style=anime"),
        ("https://evil.example/", "/settings/appearance/"),
        ("//evil.example/", "/settings/appearance/"),
        ("javascript:alert(1)", "/settings/appearance/"),
        ("foo", "/settings/appearance/"),
        ("create", "/settings/appearance/"),
    ],
)
def test_it_leads_back_to_our_own_pages_only(client, asked, expected):
    response = client.post("/settings/appearance/", {"theme": "light", "next": asked})
    assert response["Location"] == expected


def test_the_form_remembers_where_it_came_from(client):
    text = client.get("/settings/appearance/?next=/gallery/").text
    assert '<input type="hidden" name="next" value="/gallery/">' in text
