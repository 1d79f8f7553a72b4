"""What staff do about one purchase: money back with a reason and a limit, or credits after all.

Knows the till, the verbs and the models. The limit is that of experience.md §7.4.
"""

import re
import uuid

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts import auditing, billing, reconciling, refunding
from accounts.models import Decision, NothingToRefund, NotWaiting, Purchase, Refund, Transfer, User
from tests import factories
from tests.standin_stripe import line
from tests.till import pockets

pytestmark = pytest.mark.django_db

State = Purchase.State
REASON = "It was charged twice"


@pytest.fixture
def support(db) -> User:
    user = factories.create_user("support@example.org", is_staff=True)
    rights = ["refund_purchase", "view_purchase"]
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


@pytest.fixture
def supports(client, support):
    client.force_login(support)
    return client


@pytest.fixture
def leads(supports, support):
    """The same person, who may give more than support."""
    support.user_permissions.add(Permission.objects.get(codename="give_more"))
    return supports


@pytest.fixture
def eve(db) -> User:
    """Nothing but what she buys."""
    return factories.create_user("eve@example.org")


@pytest.fixture
def bought(till, eve, pack) -> Purchase:
    """60 credits for $9.00."""
    return till.buy(eve, pack)


@pytest.fixture
def odd(till, eve, pack) -> Purchase:
    """A payment of $4.00 where $9.00 were asked."""
    purchase = till.begin(eve, pack)
    Purchase.objects.update(session_id=None)
    number = {"purchase": str(purchase.public_id)}
    session = till.shop.paid(metadata=number, line_items=line(unit_amount=400))[0]
    found = billing.fulfil(session.id)
    assert found is not None
    assert (found.state, found.paid_cents) == (State.ODD, 400)
    return found


@pytest.fixture(autouse=True)
def _honest_books(db):
    """Whatever a test does, the audit has nothing to say afterwards."""
    yield
    assert auditing.findings() == []


def refund_page(purchase: Purchase) -> str:
    return f"/admin/purchases/{purchase.public_id}/refund/"


def accept_page(purchase: Purchase) -> str:
    return f"/admin/purchases/{purchase.public_id}/accept/"


def asked(amount: str = "4.50", **changes) -> dict[str, object]:
    return {"amount": amount, "reason": REASON, "number": str(uuid.uuid4()), **changes}


def spend(user: User, credits: int) -> None:
    user.wallet.hold(credits, "spent")
    user.wallet.capture(credits, "spent")


def sent(till) -> list[int]:
    return [row.amount for row in till.shop.api.refunds.list().data][::-1]


def state_of(purchase: Purchase) -> str:
    purchase.refresh_from_db()
    return purchase.state


# ── Who may, and how much ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", [refund_page, accept_page])
def test_only_staff_with_the_right_decide_about_a_purchase(client, eve, bought, page):
    path = page(bought)
    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"
    for user in (eve, factories.create_user(is_staff=True)):
        client.force_login(user)
        assert client.get(path).status_code == 403
        assert client.post(path, asked(confirmed="yes")).status_code == 403
    assert Refund.objects.count() == 0


def test_support_sends_twenty_dollars_at_once_and_a_lead_all(till, client, support, eve):
    dear = till.buy(eve, factories.create_pack(credits=300, price_cents=5000))
    client.force_login(support)
    assert "Up to $20." in client.get(refund_page(dear)).text
    refused = client.post(refund_page(dear), asked("20.01", confirmed="yes"))
    assert (refused.status_code, sent(till)) == (422, [])
    support.user_permissions.add(Permission.objects.get(codename="refund_more"))
    assert "Up to $50." in client.get(refund_page(dear)).text
    client.post(refund_page(dear), asked("50.00", confirmed="yes"))
    assert sent(till) == [5000]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"amount": "9.01"}, "less than or equal to 9.00"),
        ({"amount": "0"}, "greater than or equal to 0.01"),
        ({"amount": "-1"}, "greater than or equal to 0.01"),
        ({"amount": "1.005"}, "no more than 2 decimal places"),
        ({"amount": "all"}, "Enter a number."),
        ({"reason": "   "}, "This field is required."),
        ({"number": "x"}, "This form is not complete. Open it again."),
    ],
)
def test_a_wrong_amount_or_no_reason_sends_nothing(till, supports, bought, change, sentence):
    response = supports.post(refund_page(bought), asked(confirmed="yes") | change)
    assert response.status_code == 422
    assert sentence in response.text
    assert (sent(till), pockets(bought.user)) == ([], (60, 0, 0))


# ── Money back ──────────────────────────────────────────────────────────────────────────────────


def test_a_look_comes_first_and_moves_nothing(till, supports, bought):
    form = asked()
    text = supports.post(refund_page(bought), form).text
    assert all(word in text for word in ("$4.50", "30 unused credits", REASON, form["number"]))
    assert sent(till) == []


def test_money_goes_back_with_the_credits_it_bought_and_leaves_a_decision(
    till, supports, support, eve, bought
):
    response = supports.post(refund_page(bought), asked(confirmed="yes"), follow=True)
    assert "$4.50 sent back." in response.text
    assert (sent(till), pockets(eve)) == ([450], (60, 0, 30))
    decision = Decision.objects.get()
    assert (decision.actor, decision.person, decision.reason) == (support, eve, REASON)
    assert (decision.act, decision.after) == ("purchase_refunded", {"cents": 450, "credits": 30})
    assert Transfer.objects.get(kind="refund").note == REASON
    assert Refund.objects.get().state == Refund.State.SENT


def test_a_form_pressed_twice_sends_once(till, supports, eve, bought):
    form = asked(confirmed="yes")
    for _press in range(2):
        supports.post(refund_page(bought), form)
    assert (sent(till), pockets(eve), Decision.objects.count()) == ([450], (60, 0, 30), 1)


def test_staff_may_send_back_what_is_used_and_nobody_owes_for_it(till, supports, eve, bought):
    spend(eve, 50)
    supports.post(refund_page(bought), asked("9.00", confirmed="yes"))
    eve.wallet.refresh_from_db()
    assert (sent(till), pockets(eve), eve.wallet.debt) == ([900], (10, 0, 10), 0)


def test_all_used_up_takes_no_credits_and_the_person_still_reads_why(till, supports, eve, bought):
    spend(eve, 60)
    text = supports.post(refund_page(bought), asked("1")).text
    assert "none: what it bought is used" in text
    supports.post(refund_page(bought), asked("1", confirmed="yes"))
    assert (sent(till), pockets(eve)) == ([100], (0, 0, 0))
    supports.force_login(eve)
    assert "$1 sent back by our staff.</p>" in re.sub(
        r" <span.*?</span>", "", supports.get("/credits/refund/").text
    )
    assert REASON in supports.get("/credits/refund/").text


def test_never_more_goes_back_than_came(till, supports, support, eve, bought):
    spend(eve, 30)
    supports.post(refund_page(bought), asked("6.00", confirmed="yes"))
    assert "less than or equal to 3.00" in supports.post(refund_page(bought), asked("3.01")).text
    with pytest.raises(NothingToRefund):
        refunding.send_back(
            bought, 301, actor=support, reason=REASON, number=uuid.uuid4(), most=900
        )
    supports.post(refund_page(bought), asked("3.00", confirmed="yes"))
    assert (sent(till), pockets(eve)) == ([600, 300], (30, 0, 30))
    page = supports.get(refund_page(bought), follow=True)
    assert "No money of this purchase is left to send back." in page.text


def test_the_owner_may_still_ask_for_the_rest_and_gets_no_cent_twice(till, supports, eve, bought):
    spend(eve, 20)
    supports.post(refund_page(bought), asked("5.00", confirmed="yes"))  # takes 34 of 40 credits
    own = refunding.ask_refund(Purchase.objects.get(), timezone.now())
    assert (own.credits, own.amount_cents, sent(till)) == (6, 90, [500, 90])
    with pytest.raises(NothingToRefund):
        refunding.send_back(bought, 311, actor=eve, reason=REASON, number=uuid.uuid4(), most=900)


def test_a_refund_that_stripe_refuses_gives_the_credits_back(till, supports, eve, bought):
    till.shop.api.refunds.create({"payment_intent": bought.payment_intent, "amount": 900})
    response = supports.post(refund_page(bought), asked(confirmed="yes"), follow=True)
    assert "Stripe refused this refund." in response.text
    assert (sent(till), Refund.objects.get().state) == ([900], Refund.State.UNDONE)


def test_a_purchase_that_was_never_paid_has_nothing_to_send(till, supports, eve, pack):
    purchase = till.begin(eve, pack)
    response = supports.get(refund_page(purchase), follow=True)
    assert "No money of this purchase is left to send back." in response.text
    assert supports.get(f"/admin/purchases/{uuid.uuid4()}/refund/").status_code == 404


# ── Paid, and not credited ──────────────────────────────────────────────────────────────────────


def test_money_that_does_not_fit_goes_back_and_the_list_is_empty(till, supports, eve, odd):
    assert list(Purchase.objects.waiting()) == [odd]
    supports.post(refund_page(odd), asked("4.00", confirmed="yes"))
    assert (sent(till), pockets(eve), state_of(odd)) == ([400], (0, 0, 0), State.RETURNED)
    assert list(Purchase.objects.waiting()) == []
    assert reconciling.reconcile(timezone.now()) == []
    assert billing.fulfil(str(odd.session_id)).state == State.RETURNED


def test_a_part_of_it_back_is_not_an_end(till, supports, odd):
    supports.post(refund_page(odd), asked("3.99", confirmed="yes"))
    assert state_of(odd) == State.ODD
    with pytest.raises(NotWaiting):
        odd.accept(actor=None, reason=REASON)


def test_money_sent_back_at_stripe_itself_ends_it_too(till, client, odd):
    till.shop.api.refunds.create({"payment_intent": odd.payment_intent})
    billing.claw_back(odd.payment_intent)
    assert state_of(odd) == State.RETURNED


def test_money_that_came_back_to_us_waits_again(till, supports, odd):
    supports.post(refund_page(odd), asked("4.00", confirmed="yes"))
    refund_id = till.shop.api.refunds.list().data[0].id
    till.shop.control(f"refunds/{refund_id}/settle", outcome="failed")
    billing.claw_back(odd.payment_intent)
    assert (state_of(odd), odd.returned_cents) == (State.ODD, 0)


def test_staff_may_find_it_enough_and_credit_it_once(leads, support, eve, odd):
    assert "60 credits for $9" in leads.get(accept_page(odd)).text
    assert leads.post(accept_page(odd), {"reason": " "}).status_code == 422
    for _press in range(2):
        leads.post(accept_page(odd), {"reason": REASON})
    assert (state_of(odd), pockets(eve)) == (State.PAID, (60, 0, 0))
    decision = Decision.objects.get()
    assert (decision.act, decision.actor, decision.after) == (
        "purchase_accepted",
        support,
        {"credits": 60},
    )
    assert billing.fulfil(str(odd.session_id)).state == State.PAID


def test_what_was_credited_after_all_is_refunded_by_what_was_paid(till, leads, eve, odd):
    leads.post(accept_page(odd), {"reason": REASON})
    own = refunding.ask_refund(Purchase.objects.get(), timezone.now())
    assert (own.credits, own.amount_cents, sent(till)) == (60, 400, [400])


def test_a_purchase_that_waits_for_nothing_is_not_credited(supports, eve, bought):
    response = supports.post(accept_page(bought), {"reason": REASON}, follow=True)
    assert "does not wait for a decision any more" in response.text
    assert pockets(eve) == (60, 0, 0)


def test_a_closed_account_is_not_credited(leads, odd):
    Purchase.objects.update(user=None)
    response = leads.post(accept_page(odd), {"reason": REASON}, follow=True)
    assert "send the money back" in response.text
    assert state_of(odd) == State.ODD


def test_the_purchase_shows_who_decided_what_and_why(leads, odd):
    leads.post(accept_page(odd), {"reason": REASON})
    page = leads.get(f"/admin/accounts/purchase/{odd.pk}/change/").text
    assert re.search(rf"<div>[^<]*, support@example.org: {REASON}</div>", page)


def test_the_purchase_shows_what_can_be_done_about_it(supports, odd, till, pack, ben):
    page = supports.get(f"/admin/accounts/purchase/{odd.pk}/change/").text
    assert (refund_page(odd) in page, accept_page(odd) in page) == (True, True)
    fine = till.buy(ben, pack)
    page = supports.get(f"/admin/accounts/purchase/{fine.pk}/change/").text
    assert (refund_page(fine) in page, accept_page(fine) in page) == (True, False)
    rows = re.findall(
        r'field-state nowrap">[^<]*|field-state">[^<]*',
        supports.get("/admin/accounts/purchase/").text,
    )
    assert [row.rpartition(">")[2] for row in rows] == ["Needs a look", "Paid"]


# ── Ways round ──────────────────────────────────────────────────────────────────────────────────


def test_twenty_dollars_twice_is_twenty_dollars(till, supports, support, eve):
    dear = till.buy(eve, factories.create_pack(credits=300, price_cents=5000))
    supports.post(refund_page(dear), asked("15.00", confirmed="yes"))
    assert "Up to $5." in supports.get(refund_page(dear)).text
    assert supports.post(refund_page(dear), asked("5.01", confirmed="yes")).status_code == 422
    supports.post(refund_page(dear), asked("5.00", confirmed="yes"))
    page = supports.post(refund_page(dear), asked("1.00", confirmed="yes"), follow=True)
    assert "What support may send back of a purchase has been sent. Ask a lead." in page.text
    assert sent(till) == [1500, 500]


def test_two_forms_at_once_send_no_more_than_one_may(till, support, eve):
    dear = till.buy(eve, factories.create_pack(credits=300, price_cents=5000))
    facts = {"actor": support, "reason": REASON, "most": 2000}
    refunding.send_back(dear, 1500, number=uuid.uuid4(), **facts)
    with pytest.raises(NothingToRefund):
        refunding.send_back(dear, 501, number=uuid.uuid4(), **facts)
    assert sent(till) == [1500]


def test_many_credits_for_odd_money_are_accepted_by_a_lead(till, supports, support, odd):
    page = supports.post(accept_page(odd), {"reason": REASON}, follow=True)
    assert "So many credits for what came: a lead decides this." in page.text
    assert state_of(odd) == State.ODD
    support.user_permissions.add(Permission.objects.get(codename="give_more"))
    supports.post(accept_page(odd), {"reason": REASON})
    assert state_of(odd) == State.PAID


def test_nobody_decides_about_their_own_purchase(till, client, mo, pack):
    own = till.buy(mo, pack)
    client.force_login(mo)
    for page in (refund_page, accept_page):
        assert client.post(page(own), asked(confirmed="yes")).status_code == 403
    assert sent(till) == []
