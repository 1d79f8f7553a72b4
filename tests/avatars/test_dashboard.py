"""The staff's front page: what it counts, when it calls for somebody, and what it costs.

Knows the factories and the roles.
"""

import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts import people
from accounts.models import BookCheck, Kind, Purchase
from avatars import auditing, counting, dashboard
from avatars.models import AvatarRequest, ReviewItem, State
from avatars.models.attempts import Breaker, Service
from config import roles
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewers(db) -> Client:
    roles.set_up()
    viewer = factories.create_user()
    people.appoint(viewer, ["viewer"], actor=None, reason="for a test")
    client = Client()
    client.force_login(viewer)
    return client


def tile(word: str) -> dashboard.Tile:
    shown = dashboard.tiles(counting.figures(timezone.now()))
    return next(each for each in shown if each.word == word)


def test_a_quiet_house_shows_noughts_and_asks_for_its_audit(viewers):
    text = viewers.get("/admin/").text
    assert text.count('class="p-tile t-ok"') == 6
    assert tile("Ledger check") == dashboard.Tile(
        "0", "Ledger check", "has not run yet", "warn", "/admin/accounts/wallet/?frozen__exact=1"
    )


def test_a_tile_leads_nobody_to_a_page_that_is_shut_to_them(viewers):
    text = viewers.get("/admin/").text
    hrefs = re.findall(r'class="p-tile[^"]*" href="([^"]+)"', text)
    assert len(hrefs) == 5
    assert [viewers.get(unescape(href)).status_code for href in hrefs] == [200] * 5


def test_the_line_is_counted_with_its_oldest(ada, ben):
    now = timezone.now()
    for person, minutes in ((ada, 3), (ada, 12), (ben, 1)):
        wish = factories.create_request_in(State.QUEUED, person)
        created = now - timedelta(minutes=minutes)
        AvatarRequest.objects.filter(pk=wish.pk).update(created_at=created)
    shown = tile("In line")
    assert (shown.number, shown.tone, shown.href) == (
        "3",
        "warn",
        "/admin/avatars/avatarrequest/?state=queued",
    )
    assert shown.more == "oldest: 12\xa0minutes"


def test_a_pause_is_told_beside_the_line(ada):
    Breaker.of(Service.FACE_GEN).stop(timezone.now() + timedelta(minutes=30))
    shown = tile("In line")
    assert shown.tone == "warn"
    assert "paused until" in shown.more


@pytest.mark.parametrize(
    ("failed", "ready", "number", "tone"),
    [(0, 6, "0%", "ok"), (1, 9, "10%", "warn"), (2, 3, "40%", "bad"), (1, 1, "50%", "ok")],
)
def test_the_failure_rate_is_of_the_last_hour_and_needs_enough_to_say_so(
    ada, failed, ready, number, tone
):
    for state, count in ((State.FAILED, failed), (State.READY, ready)):
        for _number in range(count):
            factories.create_request_in(state, ada)
    long_ago = factories.create_request_in(State.FAILED, ada)
    AvatarRequest.objects.filter(pk=long_ago.pk).update(
        ended_at=timezone.now() - timedelta(hours=2)
    )
    shown = tile("Failure rate, 1 h")
    assert (shown.number, shown.tone) == (number, tone)


def test_review_tells_the_nearest_deadline():
    now = timezone.now()
    figures = counting.Figures(at=now)
    figures.review = counting.Line(2, now - timedelta(hours=4), now + timedelta(hours=5))
    shown = dashboard.in_review(figures)
    assert (shown.number, shown.tone) == ("2", "warn")
    assert shown.more == "oldest: 4\xa0hours · nearest deadline in 5\xa0hours"


def test_reports_wait_in_review_beside_held_descriptions(viewers, ada):
    factories.create_held(ada)
    reported = factories.create_reported(ada)
    deadline = timezone.now() + timedelta(hours=1)
    ReviewItem.objects.filter(pk=reported.pk).update(deadline_at=deadline)
    review = viewers.get("/admin/").context["figures"].review
    assert (review.count, review.deadline) == (2, deadline)


def test_a_deadline_that_has_passed_says_so():
    now = timezone.now()
    figures = counting.Figures(at=now)
    figures.takedowns = counting.Line(1, now - timedelta(hours=50), now - timedelta(hours=2))
    shown = dashboard.takedowns(figures)
    assert (shown.tone, shown.more) == (
        "bad",
        "oldest: 2\xa0days · deadline passed 2\xa0hours ago",
    )


def test_a_purchase_that_does_not_fit_calls_somebody(ada):
    Purchase.objects.create(
        user=ada,
        pack=factories.create_pack(),
        credits=1,
        amount_cents=1,
        currency="usd",
        state=Purchase.State.ODD,
    )
    assert (tile("Paid, not credited").number, tile("Paid, not credited").tone) == ("1", "bad")


def test_a_picture_paid_and_not_delivered_calls_somebody(ada):
    wish = factories.create_request_in(State.GENERATING, ada)
    wish.attempts.update(outputs=[["https://provider.example/a.png"]])
    assert wish.finish(State.FAILED, "late", now=timezone.now())
    shown = tile("Paid at provider, not delivered")
    assert (shown.number, shown.tone) == ("1", "bad")


def test_the_ledger_check_says_when_both_audits_ran_and_what_they_found(ada):
    accounts_auditing.check_books()
    assert tile("Ledger check").more == "has not run yet"  # only half of it has
    auditing.check_books()
    assert (tile("Ledger check").number, tile("Ledger check").tone) == ("0", "ok")
    with time_machine.travel(timezone.now() + timedelta(hours=27)):
        assert tile("Ledger check").tone == "warn"
    type(ada.wallet).objects.filter(pk=ada.wallet.pk).update(available=99)
    accounts_auditing.check_books()
    assert (tile("Ledger check").number, tile("Ledger check").tone) == ("1", "bad")
    assert BookCheck.objects.count() == 2


def test_credits_of_today_are_those_since_midnight(ada):
    with time_machine.travel(timezone.now() - timedelta(days=1, hours=1)):
        factories.create_purchase(ada)
    factories.create_purchase(ada)
    factories.create_request_in(State.READY, ada)
    factories.create_request_in(State.FAILED, ada)
    found = counting.figures(timezone.now())
    # The two gifts are of the two requests; Ada's own ten were given before yesterday's purchase.
    assert found.credits == {"sold": 60, "charged": 1, "returned": 1, "gifted": 2}


def test_disputes_stand_until_they_are_won(ada):
    purchase = factories.create_purchase(ada)
    for key in ("dp_1", "dp_2"):
        ada.wallet.take_back(Kind.DISPUTE, 1, key)
    ada.wallet.give_back(Kind.DISPUTE, 1, "dp_1")
    assert purchase.state == Purchase.State.PAID
    assert counting.figures(timezone.now()).disputes == 1


def test_the_hours_and_the_reasons_of_the_last_day(ada, viewers):
    for state in (State.READY, State.READY, State.FAILED, State.CANCELLED):
        factories.create_request_in(state, ada)
    [hour] = counting.figures(timezone.now()).hours
    assert (hour["ready"], hour["failed"], hour["cancelled"]) == (2, 1, 1)
    text = viewers.get("/admin/").text
    assert "drawing took too long" in text
    assert "Failed, credits returned" in text


def test_ten_queries_at_most_and_three_for_half_a_minute(
    viewers, ada, ben, django_assert_max_num_queries
):
    for person in (ada, ben):
        for state in (State.QUEUED, State.READY, State.FAILED):
            factories.create_request_in(state, person)
        factories.create_purchase(person)
    Breaker.of(Service.FACE_GEN)  # its row is made at the first look of all
    cache.clear()
    with django_assert_max_num_queries(9):  # the door's question is the tenth
        viewers.get("/admin/")
    with django_assert_max_num_queries(4):
        viewers.get("/admin/")


def test_what_is_shown_is_half_a_minute_old_at_most(viewers, ada):
    viewers.get("/admin/")
    factories.create_request_in(State.QUEUED, ada)
    assert viewers.get("/admin/").context["figures"].waiting.count == 0
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        assert viewers.get("/admin/").context["figures"].waiting.count == 1


def test_staff_without_figures_see_their_lists_alone(client):
    roles.set_up()
    clerk = factories.create_user()
    people.appoint(clerk, ["viewer"], actor=None, reason="for a test")
    group = clerk.groups.get()
    group.permissions.remove(group.permissions.get(codename="view_figures"))
    client.force_login(clerk)
    answer = client.get("/admin/")
    assert answer.status_code == 200
    assert "p-tile" not in answer.text
    assert 'href="/admin/accounts/user/"' in answer.text


def test_every_staff_page_names_a_site_that_is_not_production(viewers, settings):
    assert "Not production: local demo" in viewers.get("/admin/").text
    settings.ENVIRONMENT = "staging"
    assert "Not production: staging" in viewers.get("/admin/provider/").text
    settings.ENVIRONMENT = ""
    assert "Not production" not in viewers.get("/admin/").text
