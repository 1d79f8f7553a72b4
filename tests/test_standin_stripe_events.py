"""What the Stripe stand-in tells the site, and what it remembers when it is started again.

Knows the stand-in's app and its control routes; signatures are judged by the official library.
"""

import json
import time

import pytest
import stripe

from config.standins.stripe import StripeStandIn
from config.standins.stripe_parameters import Refusal
from tests.standin_stripe import PURCHASE, SECRET, Shop, send

PAID = ["payment_intent.succeeded", "checkout.session.completed"]
BY_BANK = ["checkout.session.completed"]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.delenv("STANDIN_STRIPE", raising=False)
    with Shop(tmp_path, listening=True) as shop:
        yield shop


def believed(heard):
    return [stripe.Webhook.construct_event(body, signed, SECRET) for body, signed in heard]


def test_the_official_library_believes_every_event(shop):
    session, intent, _ = shop.paid()
    assert shop.site.wait_for(2) == PAID
    paid, completed = believed(shop.site.heard)
    assert (paid.data.object.id, paid.data.object.status) == (intent.id, "succeeded")
    assert (completed.data.object.id, completed.data.object.payment_status) == (session.id, "paid")
    assert completed.livemode is False
    assert shop.api.events.retrieve(completed.id).data.object.id == session.id
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(*shop.site.heard[0], "whsec_another")
    body, signed = shop.site.heard[0]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", signed, SECRET)


def test_each_act_tells_its_own_events(shop):
    _, _, charge = shop.paid()
    told = list(PAID)
    assert shop.site.wait_for(len(told)) == told  # events of two acts may overtake each other
    refund = shop.api.refunds.create({"charge": charge.id, "amount": 100})
    told += ["refund.created", "charge.refunded"]
    assert shop.site.wait_for(len(told)) == told
    before = believed(shop.site.heard)[-1].data.previous_attributes
    assert before.to_dict() == {"amount_refunded": 0}
    shop.control(f"refunds/{refund.id}/settle", outcome="failed")
    told += ["refund.updated", "refund.failed"]
    assert shop.site.wait_for(len(told)) == told
    dispute = shop.control("disputes", charge=charge.id)
    assert shop.site.wait_for(len(told) + 1)[-1] == "charge.dispute.created"
    shop.control(f"disputes/{dispute['id']}/close", outcome="won")
    assert shop.site.wait_for(len(told) + 2)[-1] == "charge.dispute.closed"
    assert believed(shop.site.heard)[-1].data.object.status == "won"
    shop.sessions.expire(shop.create().id)
    assert shop.site.wait_for(len(told) + 3)[-1] == "checkout.session.expired"


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("succeeded", ["payment_intent.succeeded", "checkout.session.async_payment_succeeded"]),
        ("failed", ["checkout.session.async_payment_failed"]),
    ],
)
def test_a_bank_payment_tells_its_outcome_later(shop, outcome, told):
    session = shop.create()
    shop.press(session, "bank")
    assert shop.site.wait_for(1) == BY_BANK
    assert believed(shop.site.heard)[0].data.object.payment_status == "unpaid"
    shop.control(f"sessions/{session.id}/settle", outcome=outcome)
    assert shop.site.wait_for(1 + len(told)) == [*BY_BANK, *told]


def test_events_come_twice_or_last_first_when_asked(shop):
    shop.switch(hook="twice")
    shop.paid()
    assert shop.site.wait_for(4) == [PAID[0], PAID[0], PAID[1], PAID[1]]
    assert len({event.id for event in believed(shop.site.heard)}) == 2
    shop.switch(hook="reorder")
    shop.paid()
    assert shop.site.wait_for(6)[4:] == PAID[::-1]


def test_events_come_late_when_asked(shop):
    shop.switch(hook="late=0.3")
    started = time.monotonic()
    shop.paid()
    assert shop.site.wait_for(2) == PAID
    assert time.monotonic() - started >= 0.3


def test_lost_events_are_listed_and_can_be_sent_by_hand(shop):
    shop.switch(hook="never")
    shop.paid()
    acts = [act for entry in shop.log() for act in entry["acts"] if "event" in act]
    assert [(act["act"], act["type"]) for act in acts] == [("withheld", kind) for kind in PAID]
    completed, paid = shop.api.events.list().data
    assert [paid.type, completed.type] == PAID
    shop.control(f"events/{completed.id}/send")
    assert shop.site.wait_for(1) == ["checkout.session.completed"]
    assert believed(shop.site.heard)[0].id == completed.id


def test_a_wrong_signature_and_an_old_one_are_not_believed(shop):
    shop.switch(hook="wrong-signature")
    shop.paid()
    shop.site.wait_for(2)
    shop.switch(hook="once", clock=-400)
    shop.paid()
    shop.site.wait_for(4)
    forged, old = shop.site.heard[0], shop.site.heard[2]
    with pytest.raises(stripe.SignatureVerificationError, match="No signatures found matching"):
        stripe.Webhook.construct_event(*forged, SECRET)
    with pytest.raises(stripe.SignatureVerificationError, match="outside the tolerance"):
        stripe.Webhook.construct_event(*old, SECRET)


def test_an_event_is_told_again_until_it_is_heard(shop):
    shop.site.answers = [500, 302, 200]
    shop.sessions.expire(shop.create().id)
    assert shop.site.wait_for(3) == ["checkout.session.expired"] * 3
    bodies = {body for body, _ in shop.site.heard}
    assert len(bodies) == 1
    (event,) = shop.api.events.list().data
    deadline = time.monotonic() + 5
    while shop.api.events.retrieve(event.id).pending_webhooks and time.monotonic() < deadline:
        time.sleep(0.01)
    told = [act for entry in shop.log() for act in entry["acts"] if act["act"] == "told"]
    assert [(act["telling"], act["status"]) for act in told] == [(1, 500), (2, 302), (3, 200)]


def test_a_restart_forgets_nothing(shop):
    session, intent, charge = shop.paid()
    made = shop.sessions.create(PURCHASE, {"idempotency_key": "purchase:8"})
    refund = shop.api.refunds.create({"charge": charge.id, "amount": 100})
    shop.switch(clock=60)
    shop.site.wait_for(4)
    shop.close()
    shop.open()
    assert shop.sessions.retrieve(session.id) == session
    assert shop.api.payment_intents.retrieve(intent.id) == intent
    assert shop.api.charges.retrieve(charge.id).amount_refunded == 100
    assert shop.api.refunds.retrieve(refund.id).amount == 100
    assert shop.sessions.create(PURCHASE, {"idempotency_key": "purchase:8"}).id == made.id
    assert [row.id for row in shop.sessions.list().data] == [made.id, session.id]
    assert json.loads(send("GET", f"{shop.url}/__standin__/switches")[2])["clock"] == "60"
    numbers = [entry["seq"] for entry in shop.log()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_event_not_heard_before_a_restart_is_told_after_it(shop):
    shop.switch(hook="late=3600")
    shop.paid()
    shop.close()
    assert shop.site.heard == []
    shop.open()
    assert shop.site.wait_for(2) == PAID


def test_a_line_cut_short_by_a_crash_never_happened(shop, tmp_path):
    kept = shop.create()
    shop.create()
    shop.close()
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    shop.open()
    assert [row.id for row in shop.sessions.list().data] == [kept.id]
    third = shop.create()
    shop.close()
    shop.open()
    assert [row.id for row in shop.sessions.list().data] == [third.id, kept.id]


def test_an_unreadable_journal_is_named_and_kept(shop, tmp_path):
    shop.close()
    journal = tmp_path / "broken" / "journal.jsonl"
    journal.parent.mkdir()
    journal.write_text("not json\n")
    with pytest.raises(ValueError, match=r"journal\.jsonl, line 1: unreadable"):
        StripeStandIn(journal.parent, webhook_url="", webhook_secret=SECRET)
    assert journal.read_text() == "not json\n"


def test_reset_forgets_everything_even_after_a_restart(shop):
    shop.paid()
    shop.switch(hook="never")
    shop.control("reset")
    shop.close()
    shop.open()
    assert shop.sessions.list().data == []
    assert json.loads(send("GET", f"{shop.url}/__standin__/switches")[2])["hook"] == "once"
    assert [entry.get("reset") for entry in shop.log()] == [True]


def test_a_later_switch_beats_an_earlier_one(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_STRIPE", "hook=twice clock=-400 retry=7")
    with Shop(tmp_path / "second", clock=5) as second:
        second.switch(hook="never")
        switches = json.loads(send("GET", f"{second.url}/__standin__/switches")[2])
    assert (switches["hook"], switches["clock"], switches["retry"]) == ("never", "5", "0.02")


@pytest.mark.parametrize(
    ("switches", "why"),
    [({"hok": "twice"}, "No such switch: hok"), ({"hook": "thrice"}, "hook=thrice: must be once")],
)
def test_a_misspelt_switch_is_refused_by_name(shop, tmp_path, monkeypatch, switches, why):
    assert shop.control("switches", **switches)["error"]["message"].startswith(why)
    with pytest.raises(Refusal, match=why):
        StripeStandIn(tmp_path / "second", webhook_url="", webhook_secret=SECRET, **switches)
    name, value = switches.popitem()
    monkeypatch.setenv("STANDIN_STRIPE", f"{name}={value}")
    with pytest.raises(Refusal, match=why):
        StripeStandIn(tmp_path / "third", webhook_url="", webhook_secret=SECRET)


def test_play_money_is_told_to_this_machine_only(tmp_path):
    with pytest.raises(ValueError, match="only http addresses of this machine"):
        StripeStandIn(tmp_path, webhook_url="http://example.com/hook", webhook_secret=SECRET)
