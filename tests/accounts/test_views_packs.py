"""What the credits page says beside the balance: packs, payments that wait, the limits of the day.

Knows the factories; Ben has bought and asked for things too whenever Ada's page is read.
"""

import re
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from accounts.models import Purchase, Quota
from accounts.views.credits import CHOICE_PERIOD, CHOICES_LEAST
from avatars import generation
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def adas(client, ada):
    client.force_login(ada)
    return client


def sell(user, pack, number: int) -> None:
    """Paid and credited, so many times."""
    for _number in range(number):
        factories.create_purchase(user, pack)


def wait_for_bank(user, pack) -> Purchase:
    return Purchase.objects.create(
        user=user,
        pack=pack,
        credits=pack.credits,
        amount_cents=pack.price_cents,
        currency=pack.currency,
        letter_due=True,
    )


def chosen(client, address="/credits/") -> list[str]:
    """The credits of the packs that are called most chosen."""
    cards = re.findall(r"<article.*?</article>", client.get(address).text, re.DOTALL)
    return [re.search(r">(\d+)<", card)[1] for card in cards if "Most chosen" in card]


# ── Most chosen ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["/credits/", "/pricing/"])
def test_a_pack_that_plainly_leads_is_called_most_chosen(adas, ben, address):
    small, large = factories.create_pack(credits=20), factories.create_pack(credits=150)
    sell(ben, large, CHOICES_LEAST)
    sell(ben, small, CHOICES_LEAST - 1)
    assert chosen(adas, address) == ["150"]


def test_too_few_sales_or_a_tie_say_nothing(adas, ben):
    small, large = factories.create_pack(credits=20), factories.create_pack(credits=150)
    sell(ben, large, CHOICES_LEAST - 1)
    assert chosen(adas) == []
    sell(ben, large, 1)
    sell(ben, small, CHOICES_LEAST)
    assert chosen(adas) == []


def test_a_single_pack_is_no_choice(adas, ben):
    sell(ben, factories.create_pack(), CHOICES_LEAST)
    sell(ben, factories.create_pack(credits=20, active=False), 1)
    assert chosen(adas) == []


def test_old_unpaid_and_returned_purchases_choose_nothing(adas, ben):
    factories.create_pack(credits=20)
    large = factories.create_pack(credits=150)
    sell(ben, large, CHOICES_LEAST)
    newest = Purchase.objects.latest("pk")
    Purchase.objects.filter(pk=newest.pk).update(credits_back=newest.credits)
    assert chosen(adas) == []
    wait_for_bank(ben, large)
    assert chosen(adas) == []
    sell(ben, large, 1)
    assert chosen(adas) == ["150"]
    with time_machine.travel(timezone.now() + CHOICE_PERIOD + timedelta(days=1)):
        assert chosen(adas) == []


# ── Nothing bought, and payments that wait ──────────────────────────────────────────────────────


def test_whoever_has_bought_nothing_reads_what_is_free(adas, ada, ben):
    sentence = "No purchases yet. You have 10 free credits."
    factories.create_purchase(ben)
    assert adas.get("/credits/").text.count(sentence) == 1
    assert adas.get("/credits/?show=purchases").text.count(sentence) == 1
    assert sentence not in adas.get("/credits/?show=returns").text
    factories.create_purchase(ada)
    assert "No purchases yet." not in adas.get("/credits/").text
    assert "No purchases yet." not in adas.get("/credits/?show=purchases").text


def test_a_payment_that_a_bank_confirms_is_told_until_it_has(adas, ada, ben):
    pack, retired = factories.create_pack(), factories.create_pack(price_cents=400, active=False)
    wait_for_bank(ben, factories.create_pack(price_cents=1900))
    waiting = [wait_for_bank(ada, pack), wait_for_bank(ada, pack), wait_for_bank(ada, retired)]
    text = adas.get("/credits/").text
    told = re.findall(r"Your bank is confirming a payment of (\S+)\.<", text)
    assert told == ["$9", "$9", "$4"]
    assert re.findall(r"Buy for (\S+)</span>", text) == ["$9", "$19"]
    for purchase in waiting:
        purchase.expire()
    assert "Your bank is confirming" not in adas.get("/credits/").text


def test_a_checkout_that_was_only_left_open_is_no_payment(adas, ada):
    purchase = wait_for_bank(ada, factories.create_pack())
    Purchase.objects.filter(pk=purchase.pk).update(letter_due=False)
    assert "Your bank is confirming" not in adas.get("/credits/").text


# ── What is held, and the day's limit ───────────────────────────────────────────────────────────


def test_what_is_held_leads_to_the_one_request_or_to_all_of_them(adas, ada, ben):
    factories.create_request(ben)
    one = factories.create_request(ada)
    address = re.compile(r'<a href="([^"]+)">See it</a></p>')
    assert address.search(adas.get("/credits/").text)[1] == reverse("job", args=[one.public_id])
    factories.create_request(ada)
    assert address.search(adas.get("/credits/").text)[1] == reverse("gallery")


@pytest.mark.parametrize("show", ["", "?show=purchases"])
def test_the_days_limit_says_what_is_used_and_when_it_counts_anew(adas, ada, ben, show):
    Quota.objects.filter(user=ada).update(max_per_day=5)
    type(ada).objects.filter(pk=ada.pk).update(time_zone="Asia/Tokyo")
    with time_machine.travel("2026-11-21 23:59:00Z", tick=False):
        factories.create_request(ada)
    with time_machine.travel("2026-11-22 12:00:00Z", tick=False):
        factories.create_request(ben)
        factories.create_request(ada)
        generation.cancel(factories.create_request(ada))
        adas.force_login(ada)
        text = adas.get(f"/credits/{show}").text
    assert ">2 of 5 today, anew at 09:00<" in text
