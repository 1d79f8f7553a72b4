"""Letters about payments that a slow bank decided later, through the Stripe stand-in.

Knows the till, the notices and the models.
"""

from smtplib import SMTPServerDisconnected

import pytest
from django.core import mail

from accounts import notices, tasks
from accounts.models import Purchase
from accounts.models.payments import Payment
from tests.till import pockets

pytestmark = pytest.mark.django_db

NOTHING_YET = (0, [])


@pytest.fixture
def slow(till, client, ada, pack):
    """Ada has paid by a slow bank and was told so on the page."""
    purchase = till.begin(ada, pack)
    till.press(purchase, "bank")
    client.force_login(ada)
    assert "we e-mail you" in client.get(f"/credits/return/?session={purchase.session_id}").text
    return purchase


def answer(till, client, purchase: Purchase, outcome: str) -> None:
    """The bank's answer, told to our webhook."""
    before = len(till.shop.site.heard)
    till.shop.control(f"sessions/{purchase.session_id}/settle", outcome=outcome)
    till.bring(client, len(till.shop.site.wait_for(before + 2)) - till.brought)


def test_a_bank_that_pays_is_told_once(till, client, ada, slow):
    assert (notices.send_due(), mail.outbox) == NOTHING_YET
    answer(till, client, slow, "succeeded")
    assert pockets(ada) == (70, 0, 0)
    for _time in range(2):
        tasks.send_letters()
    assert [(m.to, m.subject) for m in mail.outbox] == [([ada.email], "60 credits added")]
    assert "60 credits are yours. Balance 70." in mail.outbox[0].body


def test_a_bank_that_does_not_pay_is_told_with_no_charge(till, client, ada, slow):
    answer(till, client, slow, "failed")
    assert (notices.send_due(), pockets(ada)) == (1, (10, 0, 0))
    assert mail.outbox[0].subject == "Your bank did not confirm the payment"
    assert "The payment of $9 for 60 credits did not come" in mail.outbox[0].body
    assert "No charge was made." in mail.outbox[0].body


def test_a_payment_that_does_not_fit_says_that_staff_look(slow):
    assert slow.set_aside(Payment("cs_odd", "pi_odd", 900))
    assert notices.send_due() == 1
    assert mail.outbox[0].subject == "We are looking at your payment"


def test_whoever_reads_it_on_the_page_gets_no_letter(till, client, slow):
    answer(till, client, slow, "succeeded")
    assert "60 credits added" in client.get(f"/credits/return/?session={slow.session_id}").text
    assert (notices.send_due(), mail.outbox) == NOTHING_YET


def test_whoever_closed_the_page_is_told_as_well(till, client, ada, pack):
    purchase = till.begin(ada, pack)
    till.press(purchase, "bank")
    till.bring(client, 1)  # checkout.session.completed, unpaid
    client.force_login(ada)
    assert "Your bank is confirming a payment of $9." in client.get("/credits/").text
    answer(till, client, purchase, "succeeded")
    assert (notices.send_due(), mail.outbox[0].subject) == (1, "60 credits added")


def test_whoever_paid_by_card_gets_no_letter(till, client, ada, pack):
    till.buy(ada, pack)
    assert (notices.send_due(), mail.outbox) == NOTHING_YET


def test_two_senders_at_once_send_one_letter(till, client, slow):
    answer(till, client, slow, "succeeded")
    first, second = Purchase.objects.get(), Purchase.objects.get()
    post = mail.get_connection()
    assert [notices.send(first, post), notices.send(second, post)] == [True, False]
    assert len(mail.outbox) == 1


def test_a_post_office_that_is_closed_loses_no_letter(till, client, slow, monkeypatch):
    answer(till, client, slow, "succeeded")

    def closed():
        raise SMTPServerDisconnected

    with monkeypatch.context() as patch:
        patch.setattr(notices, "get_connection", closed)
        assert notices.send_due() == 0
    assert notices.send_due() == 1


def test_a_suspended_person_is_not_written_to(till, client, ada, slow):
    answer(till, client, slow, "succeeded")
    type(ada).objects.filter(pk=ada.pk).update(is_active=False)
    assert (notices.send_due(), mail.outbox) == NOTHING_YET
