"""A true page while it runs, the money in words when it has ended, and one tray for all pages.

Knows the pages, the factories and the ledger.
"""

import gzip
import re
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from avatars import words
from avatars.models import AvatarRequest, Pace, Reason, State
from avatars.models.attempts import Attempt, Breaker, Service
from avatars.models.avatar_requests import ENDED
from avatars.views import progress
from tests import factories

HTMX = {"headers": {"HX-Request": "true"}}


def text(response) -> str:
    return response.content.decode().replace("&#x27;", "'")


def page_of(client, avatar_request, **extra):
    return client.get(reverse("job", args=[avatar_request.public_id]), **extra)


def version_on(page: str) -> str:
    return re.search(r'id="job-live" hx-get="[^"?]+\?v=([^"]+)"', page)[1]


def poll(client, avatar_request, version: str):
    address = reverse("job", args=[avatar_request.public_id])
    return client.get(address, {"v": version}, **HTMX)


def stages(page: str) -> list[tuple[str, str]]:
    listed = re.findall(r'c-stage-list__(\w+)".*?<strong>(.*?)</strong>(.*?)</li>', page, re.S)
    return [(status, label) for status, label, _note in listed]


def know_the_pace(avatar_request, p50: float = 20.0) -> None:
    known = Pace(known=True, p50=p50, p80=24.0, p90=30.0, p95=41.0)
    cache.set(f"board:pace:{avatar_request.style}:{avatar_request.quality}", known, 60)


# ── In line ─────────────────────────────────────────────────────────────────────────────────────


def test_the_place_is_the_dispatchers_and_not_that_of_arrival(client, ada, ben):
    for _wish in range(3):
        factories.create_request(ada)
    bens = factories.create_request(ben)
    client.force_login(ben)
    page = text(page_of(client, bens))
    assert "<title>(2nd) Avatar" in page
    assert "2nd of 4" in page


def test_a_waiting_request_says_place_wait_and_clock(client, ada):
    ada.time_zone = "Asia/Tokyo"
    ada.save(update_fields=["time_zone"])
    mine = factories.create_request(ada)
    know_the_pace(mine)
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert stages(page) == [
        ("done", "1 credit held"),
        ("now", "In line"),
        ("next", "Drawing"),
        ("next", "Saving"),
        ("next", "Ready"),
    ]
    assert "1st in line, about 20 seconds; 95 % are done within 45 seconds." in page
    promised = mine.deadline_at + timedelta(hours=9)
    assert f">{promised:%H:%M}</time>" in page
    assert "Cancel · 1 credit back" in page
    assert '<meta http-equiv="refresh" content="5">' in page


def test_behind_busy_slots_the_wait_counts(client, ada, settings):
    settings.FACE_GEN_SLOTS = 1
    factories.create_request_in(State.GENERATING, ada)
    Attempt.objects.update(slot_no=1)
    mine = factories.create_request(ada)
    know_the_pace(mine)
    client.force_login(ada)
    assert "1st in line, about 40 seconds" in text(page_of(client, mine))


def test_a_pause_is_said_to_whoever_waits(client, ada):
    mine = factories.create_request(ada)
    Breaker.of(Service.FACE_GEN).pause(timezone.now() + timedelta(minutes=5), "a test")
    client.force_login(ada)
    assert "Drawing is paused for a moment. Your place is kept." in text(page_of(client, mine))


def test_a_request_in_review_says_who_reads_it(client, ada):
    mine = factories.create_request(ada)
    shown = progress.stages(AvatarRequest(state=State.HELD, cost=1), progress.Waiting())
    assert [str(stage["label"]) for stage in shown] == [
        "1 credit held",
        "In review",
        "In line",
        "Drawing",
        "Saving",
        "Ready",
    ]
    mine.state = State.HELD
    assert progress.waiting(mine, timezone.now()).line == (
        "A person reads this one first, usually within an hour."
    )


# ── Under way ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [State.SENDING, State.UNCERTAIN, State.GENERATING])
def test_sending_unsure_and_drawing_are_one_word(client, ada, state):
    mine = factories.create_request_in(state, ada)
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert ("now", "Drawing") in stages(page)
    assert "Already drawing; it can't be stopped now." in page
    assert reverse("job_cancel", args=[mine.public_id]) not in page


def test_while_unsure_it_says_that_nothing_is_charged_twice(client, ada):
    mine = factories.create_request_in(State.UNCERTAIN, ada)
    client.force_login(ada)
    assert "You can't be charged twice." in text(page_of(client, mine))


def test_the_bar_knows_when_it_began_and_how_long_most_take(client, ada):
    mine = factories.create_request_in(State.GENERATING, ada)
    know_the_pace(mine)
    sent = timezone.now().replace(microsecond=0)
    mine.attempts.update(sent_at=sent)
    client.force_login(ada)
    with time_machine.travel(sent + timedelta(seconds=6), tick=False):
        page = text(page_of(client, mine))
    bar = re.search(r"<progress[^>]+>", page)[0]
    assert f'data-started="{int(sent.timestamp())}" data-span="24"' in bar
    assert 'value="0.25"' in bar
    assert 'aria-label="Drawing, about 20 seconds in all"' in bar
    assert "About 15 seconds left." in page


def test_the_bar_never_passes_95_percent_and_slow_is_called_slow(client, ada):
    mine = factories.create_request_in(State.GENERATING, ada)
    know_the_pace(mine)
    sent = timezone.now().replace(microsecond=0)
    mine.attempts.update(sent_at=sent)
    client.force_login(ada)
    with time_machine.travel(sent + timedelta(seconds=100), tick=False):
        page = text(page_of(client, mine))
    assert 'value="0.95"' in page
    assert "Taking longer than usual, 1 min 40 s so far." in page


def test_saving_says_that_it_is_drawn(client, ada):
    mine = factories.create_request_in(State.STORING, ada)
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert ("now", "Saving") in stages(page)
    assert "It is drawn. We are bringing the picture home." in page


# ── The poll ────────────────────────────────────────────────────────────────────────────────────


def test_a_poll_that_brings_nothing_new_is_a_204(client, ada):
    mine = factories.create_request(ada)
    client.force_login(ada)
    version = version_on(text(page_of(client, mine)))
    assert poll(client, mine, version).status_code == 204


def test_a_poll_swaps_only_the_words_while_the_state_stays(client, ada, ben):
    factories.create_request(ben)
    mine = factories.create_request(ada)
    client.force_login(ada)
    version = version_on(text(page_of(client, mine)))
    AvatarRequest.objects.exclude(pk=mine.pk).update(turn=7)
    cache.clear()
    response = poll(client, mine, version)
    page = text(response)
    assert "HX-Retarget" not in response.headers
    assert page.lstrip().startswith("<title>(1st) Avatar")
    assert 'id="job-live"' in page
    assert "<progress" not in page
    assert "<form" not in page


def test_a_poll_after_a_new_state_brings_the_whole_card_and_says_so_once(client, ada):
    mine = factories.create_request(ada)
    client.force_login(ada)
    version = version_on(text(page_of(client, mine)))
    mine.move(State.SENDING, due_at=timezone.now())
    response = poll(client, mine, version)
    assert (response.headers["HX-Retarget"], response.headers["HX-Reswap"]) == (
        "#job",
        "outerHTML",
    )
    page = text(response)
    assert '<p id="job-said" hx-swap-oob="innerHTML">Drawing</p>' in page
    assert 'id="job"' in page
    assert "<html" not in page


def test_the_credits_in_the_header_follow_an_ending(client, ada):
    mine = factories.create_request_in(State.FAILED, ada)
    client.force_login(ada)
    page = text(poll(client, mine, "queued.x"))
    assert '<span hx-swap-oob="innerHTML:.c-nav__credits">11 credits</span>' in page
    assert 'class="c-nav__credits"' in text(page_of(client, mine))


def test_the_ending_takes_the_focus_when_it_comes_by_itself(client, ada):
    mine = factories.create_request_in(State.READY, ada)
    factories.create_avatar(ada, mine)
    client.force_login(ada)
    assert "autofocus" not in text(page_of(client, mine))
    assert "autofocus>Your avatar is ready</h1>" in text(poll(client, mine, "storing.x"))


def test_an_ended_page_asks_no_more(client, ada):
    mine = factories.create_request_in(State.READY, ada)
    factories.create_avatar(ada, mine)
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert "?v=" not in page.split('id="job"')[1]
    assert 'http-equiv="refresh"' not in page


def test_a_poll_after_signing_out_loads_the_page_anew(client, ada):
    mine = factories.create_request(ada)
    response = poll(client, mine, "queued.x")
    assert response.headers["HX-Refresh"] == "true"
    assert response.content == b""


# ── Endings ─────────────────────────────────────────────────────────────────────────────────────


def test_a_ready_avatar_is_shown_with_what_it_cost(client, ada):
    mine = factories.create_request_in(State.READY, ada)
    avatar = factories.create_avatar(ada, mine)
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert "Your avatar is ready" in page
    assert "1 credit charged. 10 left." in page
    assert f'alt="{avatar.alt}"' in page
    assert reverse("avatar_download", args=[avatar.public_id, "jpeg"]) in page
    assert reverse("avatar", args=[avatar.public_id]) in page
    assert f'href="{reverse("create")}?from={mine.public_id}"' in page
    assert page.count("c-button--filled") == 1
    assert "You were not charged." not in page


def test_low_balance_is_said_on_the_result_only(client, ben):
    mine = factories.create_request_in(State.READY, ben)
    factories.create_avatar(ben, mine)
    factories.give(ben, 2)
    client.force_login(ben)
    assert "2 credits left.</p>" in text(page_of(client, mine))
    for cents, active in ((900, True), (400, True), (100, False)):
        factories.create_pack(price_cents=cents, active=active)
    page = text(page_of(client, mine))
    assert '<p class="u-small">2 credits left. <a href="/credits/">Packs start at $4.</a>' in page
    factories.give(ben, 1)
    assert "Packs start at" not in text(page_of(client, mine))


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_names_cause_credits_and_a_way_on(client, ada, reason):
    mine = factories.create_request(ada)
    state = State.CANCELLED if reason == Reason.OWNER else State.FAILED
    assert mine.finish(state, reason, now=timezone.now())
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert words.reason_sentence(reason) in page
    assert "Your credit is back (balance 11). You were not charged." in page
    step = words.next_step(reason)
    again = f"?from={mine.public_id}" if step.again else ""
    assert f'href="{reverse(step.address)}{again}"><span>{step.label}</span>' in page
    assert stages(page) == []


def test_a_picture_that_came_late_is_a_gift_and_its_credits_stay_back(client, ada):
    mine = factories.create_request_in(State.FAILED, ada)
    factories.create_avatar(ada, mine, gift=True)
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert "It arrived after all. It's on us." in page
    assert "Failed, credits returned" in page
    assert "Gift</span>" in page
    assert "You were not charged." in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trashed_at": "now"}, "You moved this avatar to the trash"),
        ({"hidden": True}, "We removed this picture"),
        ({"trashed_at": "now", "file": None, "thumb": None}, "You deleted this avatar for good"),
    ],
)
def test_a_picture_that_is_not_shown_says_why(client, ada, changed, said):
    mine = factories.create_request_in(State.READY, ada)
    avatar = factories.create_avatar(ada, mine)
    changed = {name: timezone.now() if value == "now" else value for name, value in changed.items()}
    type(avatar).objects.filter(pk=avatar.pk).update(**changed)
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert said in page
    assert f'alt="{avatar.alt}"' not in page


def test_seeing_the_ending_takes_back_its_letter(client, ada):
    mine = factories.create_request_in(State.FAILED, ada)
    assert mine.mail_due_at is not None
    client.force_login(ada)
    page_of(client, mine)
    mine.refresh_from_db()
    assert mine.mail_due_at is None


def test_words_of_a_person_are_never_markup(client, ada):
    mine = factories.create_request(ada, prompt="<script>alert(1)</script> at dusk")
    client.force_login(ada)
    page = text(page_of(client, mine))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; at dusk" in page
    assert "<script>alert" not in page


# ── Receipt ─────────────────────────────────────────────────────────────────────────────────────


def amounts(page: str) -> list[tuple[str, str]]:
    lines = re.findall(r"<li><time.*?</time><span><strong>(\w+)</strong>.*?u-end\">(.*?)<", page)
    return [(word, amount) for word, amount in lines]


def receipt_of(client, avatar_request) -> str:
    return text(client.get(reverse("job_receipt", args=[avatar_request.public_id])))


def test_the_receipt_of_a_picture_says_held_and_charged(client, ada):
    mine = factories.create_request_in(State.READY, ada)
    factories.give(ada, 30)
    client.force_login(ada)
    page = receipt_of(client, mine)
    assert amounts(page) == [("Held", "−1"), ("Charged", "±0")]
    assert '<span class="u-figures">10 credits</span>' in page
    assert "You were not charged." not in page
    assert str(mine.public_id) in page


def test_the_receipt_of_a_return_adds_up_to_nothing_and_says_so(client, ada):
    mine = factories.create_request_in(State.FAILED, ada)
    client.force_login(ada)
    page = receipt_of(client, mine)
    assert amounts(page) == [("Held", "−1"), ("Returned", "+1")]
    assert '<span class="u-figures">11 credits</span>' in page
    assert "<strong>You were not charged.</strong>" in page
    assert "This took too long, so we stopped." in page


def test_the_receipt_of_an_open_request_says_until_when_it_is_held(client, ada):
    mine = factories.create_request(ada)
    client.force_login(ada)
    page = receipt_of(client, mine)
    assert amounts(page) == [("Held", "−1")]
    assert '<span class="u-figures">10 credits</span>' in page
    assert f"The credits are held until {mine.deadline_at:%H:%M} at the latest" in page


# ── Acts ────────────────────────────────────────────────────────────────────────────────────────


def test_cancelling_in_line_brings_the_credit_back_at_once(client, ada):
    mine = factories.create_request(ada)
    client.force_login(ada)
    response = client.post(reverse("job_cancel", args=[mine.public_id]), follow=True)
    mine.refresh_from_db()
    ada.wallet.refresh_from_db()
    assert (mine.state, mine.reason) == (State.CANCELLED, Reason.OWNER)
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)
    assert "Your credit is back (balance 11). You were not charged." in text(response)


def test_what_is_being_drawn_cannot_be_cancelled(client, ada):
    mine = factories.create_request_in(State.GENERATING, ada)
    client.force_login(ada)
    response = client.post(reverse("job_cancel", args=[mine.public_id]), follow=True)
    mine.refresh_from_db()
    assert mine.state == State.GENERATING
    assert text(response).count("Already drawing; it can't be stopped now.") == 2


def test_a_failed_card_can_be_taken_off_the_wall_and_an_open_one_not(client, ada):
    failed = factories.create_request_in(State.FAILED, ada)
    waiting = factories.create_request(ada)
    client.force_login(ada)
    for avatar_request in (failed, waiting):
        response = client.post(reverse("job_dismiss", args=[avatar_request.public_id]))
        assert response.url == reverse("gallery")
        avatar_request.refresh_from_db()
    assert failed.dismissed_at is not None
    assert waiting.dismissed_at is None


@pytest.mark.parametrize("name", ["job_cancel", "job_dismiss"])
def test_acts_are_posts(client, ada, name):
    mine = factories.create_request(ada)
    client.force_login(ada)
    assert client.get(reverse(name, args=[mine.public_id])).status_code == 405


@pytest.mark.parametrize(
    ("name", "method"),
    [("job", "get"), ("job_receipt", "get"), ("job_cancel", "post"), ("job_dismiss", "post")],
)
def test_ben_cannot_see_or_touch_adas_request(client, ada, ben, name, method):
    mine = factories.create_request(ada)
    client.force_login(ben)
    assert getattr(client, method)(reverse(name, args=[mine.public_id])).status_code == 404
    mine.refresh_from_db()
    assert mine.state == State.QUEUED


# ── The tray ────────────────────────────────────────────────────────────────────────────────────


def test_the_tray_counts_ones_own_open_requests(client, ada, ben):
    for state in (State.QUEUED, State.GENERATING, State.READY, State.FAILED):
        factories.create_request_in(state, ada)
    factories.create_request(ben)
    client.force_login(ada)
    page = text(client.get(reverse("jobs_tray"), **HTMX))
    assert "2 making" in page
    assert "data-idle" not in page


def test_the_tray_is_a_204_until_something_moves(client, ada):
    mine = factories.create_request(ada)
    client.force_login(ada)
    version = progress.tray_state(ada)["revision"]
    address = f"{reverse('jobs_tray')}?v={version}"
    assert client.get(address, **HTMX).status_code == 204
    mine.move(State.SENDING, due_at=timezone.now())
    assert client.get(address, **HTMX).status_code == 200


def test_an_empty_tray_says_that_it_is_idle(client, ada):
    client.force_login(ada)
    state = progress.tray_state(ada)
    assert (state["count"], state["idle"]) == (0, True)
    assert "data-idle" in text(client.get(reverse("jobs_tray"), **HTMX))


@pytest.mark.parametrize("count", [1, 9])
def test_the_tray_costs_one_query_beyond_the_sign_in_state(
    client, ada, count, django_assert_num_queries
):
    for _wish in range(count):
        factories.create_request(ada)
    client.force_login(ada)
    with django_assert_num_queries(3):  # session, person, open requests
        response = client.get(reverse("jobs_tray"), **HTMX)
    assert len(gzip.compress(response.content)) <= 2_000


# ── Budgets ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [State.QUEUED, State.GENERATING, State.READY, State.FAILED])
def test_a_requests_page_costs_five_queries_at_most(client, ada, state, django_assert_num_queries):
    mine = factories.create_request_in(state, ada)
    if state == State.READY:
        factories.create_avatar(ada, mine)
    client.force_login(ada)
    page_of(client, mine)  # the board is read, the letter is taken back
    # session, person, request; then its place, its attempt or its avatar; tray
    with django_assert_num_queries(5):
        response = page_of(client, mine)
    assert len(gzip.compress(response.content)) <= 8_000
    if state not in ENDED:
        with django_assert_num_queries(4):
            poll(client, mine, "an earlier state.x")
