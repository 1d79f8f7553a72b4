"""The provider's page: its verdict, its figures, and acts that leave a record.

Knows the factories and the roles; the provider itself is asked only by the clock.
"""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import people
from accounts.models import Decision, User
from avatars import measuring, sending, tasks, watching
from avatars.models import Attempt, AvatarRequest, Heartbeat, State
from avatars.models.attempts import Breaker, Outcome, Service
from config import roles
from tests import factories

pytestmark = pytest.mark.django_db
REASON = "The provider told us"


@pytest.fixture
def lead(db) -> User:
    roles.set_up()
    Heartbeat.beat("sweep", timezone.now())
    person = factories.create_user()
    people.appoint(person, ["lead"], actor=None, reason="for a test")
    return person


@pytest.fixture
def leads(lead) -> Client:
    client = Client()
    client.force_login(lead)
    return client


def act(client: Client, name: str, *arguments, **facts):
    form = {"reason": REASON, "confirmed": "yes", **facts}
    return client.post(reverse(name, args=arguments), form)


def breaker() -> Breaker:
    return Breaker.of(Service.FACE_GEN)


def verdict(client: Client) -> tuple[str, str]:
    context = client.get("/admin/provider/").context
    return str(context["word"]), context["why"]


# ── Is it us or them? ───────────────────────────────────────────────────────────────────────────


def test_all_is_well(leads):
    assert verdict(leads) == ("Up", "")


def test_nobody_sweeps(leads):
    Heartbeat.objects.all().delete()
    assert verdict(leads) == ("Asleep", "us: nobody sweeps")


def test_the_account_is_refused(leads):
    breaker().account_trouble(timezone.now(), "out of funds")
    assert verdict(leads) == ("Failing", "us: our account: out of funds")


def test_they_do_not_answer(leads):
    breaker().strike(timezone.now(), "not reachable")
    assert verdict(leads) == ("Failing", "them: not reachable")


def test_their_places_are_taken(leads):
    breaker().full(30, timezone.now())
    assert verdict(leads) == ("Slow", "them: full, so we send less")


def test_staff_paused_it(leads):
    breaker().stop(timezone.now() + timedelta(minutes=5))
    assert verdict(leads) == ("Paused", "us: staff paused it")


def test_most_requests_fail(leads, ada):
    for _number in range(5):
        factories.create_request_in(State.FAILED, ada)
    assert verdict(leads) == ("Failing", "them: 5 of the last 5 requests failed")


def test_what_fails_before_it_is_sent_is_ours(leads, ada):
    for _number in range(5):
        factories.create_request_in(State.FAILED, ada)
    AvatarRequest.objects.update(reason="line_late")
    assert verdict(leads) == ("Failing", "us: 5 of the last 5 requests failed")


def test_something_is_due_and_nobody_works(leads, ada):
    wish = factories.create_request_in(State.GENERATING, ada)
    late = timezone.now() - timedelta(seconds=60)
    AvatarRequest.objects.filter(pk=wish.pk).update(due_at=late)
    assert verdict(leads)[0] == "Slow"


# ── Pause and resume ────────────────────────────────────────────────────────────────────────────


def test_a_pause_stops_sending_and_says_why(leads, lead, ada):
    wish = factories.create_request_in(State.QUEUED, ada)
    assert act(leads, "provider_pause", minutes=30).status_code == 302
    assert sending.dispatch() == []
    assert AvatarRequest.objects.get(pk=wish.pk).state == State.QUEUED
    decision = Decision.objects.get(act="drawing_paused")
    assert (decision.actor, decision.reason, decision.subject) == (
        lead,
        REASON,
        "provider:face_gen",
    )
    text = leads.get("/admin/provider/").text
    assert REASON in text
    assert f'href="{reverse("provider_resume")}"' in text


def test_a_success_of_an_order_under_way_ends_no_pause_of_staff(leads):
    act(leads, "provider_pause", minutes=30)
    breaker().account_trouble(timezone.now(), "busy")
    breaker().success()
    assert breaker().is_pausing(timezone.now())


def test_a_pause_ends_by_itself(leads, ada):
    wish = factories.create_request_in(State.QUEUED, ada)
    act(leads, "provider_pause", minutes=5)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert sending.dispatch() == [wish.pk]


def test_resuming_moves_the_line_and_trusts_a_fault_no_further_than_one_order(leads, ada):
    for _number in range(2):
        factories.create_request_in(State.QUEUED, ada)
    breaker().account_trouble(timezone.now(), "out of funds")
    act(leads, "provider_resume")
    assert len(sending.dispatch()) == 1
    decision = Decision.objects.get(act="drawing_resumed")
    assert decision.before["why"] == "our account: out of funds"


def test_resuming_what_does_not_pause_is_no_decision(leads):
    act(leads, "provider_resume")
    assert not Decision.objects.filter(act="drawing_resumed").exists()


@pytest.mark.parametrize("minutes", ["0", "-5", "1441", "soon", ""])
def test_a_pause_of_no_sense_is_refused(leads, minutes):
    assert act(leads, "provider_pause", minutes=minutes).status_code == 422
    assert not breaker().is_pausing(timezone.now())


# ── Orders that hang ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def doubtful(ada) -> AvatarRequest:
    """In doubt for two minutes, its next look a while away."""
    wish = factories.create_request_in(State.UNCERTAIN, ada)
    now = timezone.now()
    wish.attempts.update(sent_at=now - timedelta(minutes=2), face_hits=1)
    AvatarRequest.objects.filter(pk=wish.pk).update(due_at=now + timedelta(seconds=30))
    wish.refresh_from_db()
    return wish


def test_what_is_in_doubt_or_slow_is_listed_and_nothing_else(leads, ada, doubtful):
    quick = factories.create_request_in(State.GENERATING, ada)
    slow = factories.create_request_in(State.GENERATING, ada)
    slow.attempts.update(sent_at=timezone.now() - timedelta(minutes=6))
    text = leads.get("/admin/provider/").text
    assert str(doubtful.public_id) in text
    assert str(slow.public_id) in text
    assert str(quick.public_id) not in text


def test_looking_again_makes_it_due_with_a_record(leads, lead, ada, doubtful):
    act(leads, "provider_look", doubtful.public_id)
    decision = Decision.objects.get(act="looked_again")
    assert (decision.person, decision.subject) == (ada, f"request:{doubtful.public_id}")


def test_a_fresh_doubt_is_left_alone(leads, doubtful):
    """Its copy might still arrive, and a second order now would draw twice."""
    doubtful.attempts.update(sent_at=timezone.now() - timedelta(seconds=10))
    before = AvatarRequest.objects.get(pk=doubtful.pk).due_at
    act(leads, "provider_look", doubtful.public_id)
    assert AvatarRequest.objects.get(pk=doubtful.pk).due_at == before
    assert not Decision.objects.exclude(act="roles_changed").exists()


def test_failing_returns_the_credits_at_once_with_a_record(leads, lead, ada, doubtful):
    ada.wallet.refresh_from_db()
    before = ada.wallet.available
    act(leads, "provider_fail", doubtful.public_id)
    ada.wallet.refresh_from_db()
    doubtful.refresh_from_db()
    assert (doubtful.state, doubtful.reason) == (State.FAILED, "unconfirmed")
    assert (ada.wallet.available, ada.wallet.reserved) == (before + 1, 0)
    assert doubtful.attempts.get().slot_no is None
    decision = Decision.objects.get(act="request_failed")
    assert (decision.actor, decision.before, decision.after) == (
        lead,
        {"state": "uncertain"},
        {"state": "failed", "credits_back": 1},
    )


@pytest.mark.parametrize("state", [State.QUEUED, State.READY, State.FAILED])
def test_only_what_is_under_way_can_be_failed(leads, ada, state):
    wish = factories.create_request_in(state, ada)
    act(leads, "provider_fail", wish.public_id)
    assert AvatarRequest.objects.get(pk=wish.pk).state == state
    assert not Decision.objects.filter(act="request_failed").exists()


@pytest.mark.parametrize("name", ["provider_pause", "provider_resume"])
def test_support_reads_and_does_nothing(name, ada):
    roles.set_up()
    support = factories.create_user()
    people.appoint(support, ["support"], actor=None, reason="for a test")
    client = Client()
    client.force_login(support)
    page = client.get("/admin/provider/")
    assert page.status_code == 200
    assert reverse("provider_pause") not in page.text
    assert act(client, name, minutes=5).status_code == 403
    assert not breaker().is_pausing(timezone.now())


# ── Figures ─────────────────────────────────────────────────────────────────────────────────────


def drawn(person: User, seconds: float, **fields) -> Attempt:
    """A finished picture that took so long."""
    wish = factories.create_request_in(State.READY, person)
    return factories.create_attempt(
        wish,
        slot_no=None,
        face_open=False,
        sent_at=wish.ended_at - timedelta(seconds=seconds),
        accepted_at=wish.ended_at,
        ended_at=wish.ended_at,
        outcome=Outcome.DONE,
        **fields,
    )


def test_speeds_are_measured_by_style_and_quality(ada):
    for seconds in range(1, 101):
        drawn(ada, seconds)
    [speed] = measuring.speeds()
    assert (speed.style, speed.quality, speed.samples) == ("Anime", "Standard", 50)
    assert (speed.p50, speed.p95, speed.p99) == (76.0, 98.0, 100.0)


def test_bells_that_rang_first_are_told_from_looks_that_were_first(ada):
    now = timezone.now()
    for lag in (0.4, 1.2, None, -5.0):
        attempt = drawn(ada, 10)
        rung = attempt.ended_at - timedelta(seconds=lag) if lag else None
        Attempt.objects.filter(pk=attempt.pk).update(rung_at=rung, sent_at=now)
    assert measuring.bells() == measuring.Bells(first=2, pictures=4, lag=0.8)


def test_the_first_ring_is_noted_and_stays(ada):
    attempt = factories.create_request_in(State.GENERATING, ada).attempts.get()
    first = timezone.now()
    assert attempt.count_ring(first)
    assert attempt.count_ring(first + timedelta(seconds=5))
    attempt.refresh_from_db()
    assert (attempt.rings, attempt.rung_at) == (2, first)


def test_reasons_are_counted_with_their_first_their_last_and_one_of_them(leads, ada):
    wishes = [factories.create_request_in(State.FAILED, ada) for _number in range(2)]
    [row] = measuring.errors(timezone.now())
    assert (row["reason"], row["count"], row["sample"]) == ("late", 2, wishes[1].pk)
    assert (row["first"], row["last"]) == (wishes[0].ended_at, wishes[1].ended_at)
    assert "drawing took too long" in leads.get("/admin/provider/").text


def test_the_days_cost_stands_beside_what_was_sold(ada, settings):
    settings.FACE_GEN_PRICE = 0.02
    factories.create_request_in(State.GENERATING, ada)
    factories.create_purchase(ada)
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert measuring.cost_since(midnight) == measuring.Cost(accepted=1, price=0.02, sold=60)


def test_the_providers_books_are_asked_by_the_clock_and_shown_from_memory(leads, provider):
    tasks.note_account()
    provider.close()
    text = leads.get("/admin/provider/").text
    account, asked_at = watching.noted_account()
    assert f"{account.balance:.2f}" in text
    assert asked_at is not None


def test_the_page_asks_the_provider_nothing_and_costs_the_same_however_long_the_line(
    leads, ada, settings, django_assert_max_num_queries
):
    settings.FACE_GEN_URL = "http://127.0.0.1:9/api/"  # nobody answers there
    for _number in range(5):
        factories.create_request_in(State.GENERATING, ada)
        drawn(ada, 3)
    with django_assert_max_num_queries(36):
        leads.get("/admin/provider/")
