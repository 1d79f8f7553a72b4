"""Who goes next, what each answer to an order does, and how doubt ends.

Knows the verbs, the factories and, for whole orders, the provider's stand-in.
"""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from avatars import face_gen, generation, safekeeping, sending, storage
from avatars.face_gen import Answer
from avatars.face_gen import Outcome as Seen
from avatars.models import Attempt, AvatarRequest, Reason, State
from avatars.models.attempts import Breaker, Outcome, Service
from tests import factories

pytestmark = pytest.mark.django_db


def breaker() -> Breaker:
    return Breaker.of(Service.FACE_GEN)


def sent(user, **fields) -> tuple[AvatarRequest, Attempt]:
    """A claimed request whose POST has just come back."""
    avatar_request = factories.create_request_in(State.SENDING, user)
    attempt = avatar_request.attempts.get()
    Attempt.objects.filter(pk=attempt.pk).update(**fields)
    attempt.refresh_from_db()
    assert avatar_request.claim(timezone.now())
    return avatar_request, attempt


def answered(user, answer: Answer, **fields) -> tuple[AvatarRequest, Attempt]:
    avatar_request, attempt = sent(user, **fields)
    sending.record(avatar_request, attempt, answer)
    avatar_request.refresh_from_db()
    return avatar_request, attempt


def test_slots_are_given_out_up_to_the_providers_places(ada, settings):
    settings.FACE_GEN_SLOTS = 3
    waiting = [factories.create_request(ada) for _ in range(4)]
    assert sending.dispatch() == [r.pk for r in waiting[:3]]
    assert sorted(Attempt.objects.values_list("slot_no", flat=True)) == [1, 2, 3]
    assert sending.dispatch() == []


def test_the_next_slot_goes_to_the_fairest_turn(ada, ben, settings):
    settings.FACE_GEN_SLOTS = 2
    first = factories.create_request(ada)
    factories.create_request(ada)
    bens = factories.create_request(ben)
    assert sending.dispatch() == [first.pk, bens.pk]


def test_a_paused_breaker_gives_out_nothing(ada):
    factories.create_request(ada)
    breaker().pause(timezone.now() + timedelta(minutes=1), "full")
    assert sending.dispatch() == []


def test_a_request_past_its_deadline_is_not_started(ada):
    avatar_request = factories.create_request(ada)
    with time_machine.travel(avatar_request.deadline_at + timedelta(seconds=1)):
        assert sending.dispatch() == []


def test_a_batch_is_drawn_one_by_one(ada):
    batch = "0f8fad5b-d9cb-469f-a165-70867728950e"
    photo = factories.create_photo(ada)
    first, _second = (factories.create_request(ada, photo, batch=batch) for _ in range(2))
    assert sending.dispatch() == [first.pk]


def test_an_accepted_order_is_looked_at_by_the_providers_own_estimate(ada):
    with time_machine.travel("2026-11-22 10:00:00Z", tick=False):
        avatar_request, attempt = answered(ada, Answer(Seen.ACCEPTED, job_id="91", eta=12.0))
        assert avatar_request.due_at == timezone.now() + timedelta(seconds=12)
    attempt.refresh_from_db()
    assert avatar_request.state == State.GENERATING
    assert (attempt.provider_job_id, attempt.slot_no is not None) == ("91", True)


@pytest.mark.parametrize(("eta", "seconds"), [(0.1, 2), (3600.0, 20)])
def test_the_first_look_is_between_two_and_twenty_seconds(ada, eta, seconds):
    with time_machine.travel("2026-11-22 10:00:00Z", tick=False):
        avatar_request, _attempt = answered(ada, Answer(Seen.ACCEPTED, job_id="91", eta=eta))
        assert avatar_request.due_at == timezone.now() + timedelta(seconds=seconds)


def test_an_instant_success_frees_the_slot_and_closes_the_face_link(ada):
    answer = Answer(
        Seen.DONE, job_id="91", outputs=("https://a/1.png",), alternatives=("https://b/1.png",)
    )
    avatar_request, attempt = answered(ada, answer)
    attempt.refresh_from_db()
    assert avatar_request.state == State.STORING
    assert (attempt.slot_no, attempt.face_open, attempt.outcome) == (None, False, Outcome.DONE)
    assert attempt.outputs == [["https://a/1.png", "https://b/1.png"]]


@pytest.mark.parametrize("seen", [Seen.NOT_SENT, Seen.FULL, Seen.ACCOUNT, Seen.ODD])
def test_what_was_surely_not_taken_goes_back_in_line_as_if_never_sent(ada, seen):
    avatar_request, _attempt = answered(ada, Answer(seen))
    assert (avatar_request.state, avatar_request.turn) == (State.QUEUED, 0)
    assert not Attempt.objects.exists()
    assert breaker().is_pausing(timezone.now())
    ada.wallet.refresh_from_db()
    assert ada.wallet.reserved == 1


def test_a_face_that_was_read_keeps_its_attempt_for_the_owner_to_see(ada):
    _request, attempt = answered(ada, Answer(Seen.FULL), face_hits=1)
    attempt.refresh_from_db()
    assert (attempt.number, attempt.slot_no, attempt.face_open) == (None, None, False)


def test_full_pauses_for_as_long_as_asked_and_narrows_by_one(ada, settings):
    with time_machine.travel("2026-11-22 10:00:00Z", tick=False):
        answered(ada, Answer(Seen.FULL, retry_after=42.0))
        now = timezone.now()
        assert breaker().paused_until == now + timedelta(seconds=42)
        assert breaker().width == settings.FACE_GEN_SLOTS - 1


def test_five_quiet_minutes_widen_by_one(ada, settings):
    with time_machine.travel("2026-11-22 10:00:00Z", tick=False) as clock:
        breaker().full(None, timezone.now())
        clock.shift(timedelta(seconds=31))
        breaker().full(None, timezone.now())
        assert breaker().width_now(timezone.now()) == settings.FACE_GEN_SLOTS - 2
        clock.shift(timedelta(minutes=5))
        assert breaker().width_now(timezone.now()) == settings.FACE_GEN_SLOTS - 1
        clock.shift(timedelta(minutes=50))
        assert breaker().width_now(timezone.now()) == settings.FACE_GEN_SLOTS


def test_strikes_pause_longer_each_time_and_a_success_clears_them(ada):
    with time_machine.travel("2026-11-22 10:00:00Z", tick=False) as clock:
        for seconds in (2, 4, 8, 16, 32):
            now = timezone.now()
            breaker().strike(now, "odd")
            assert breaker().paused_until == now + timedelta(seconds=seconds)
            clock.shift(timedelta(seconds=seconds))
        assert breaker().width_now(now) == 1
        breaker().success()
        assert breaker().allowed(now) == breaker().width


def test_one_outage_met_by_ten_orders_is_one_strike_and_one_place_fewer(settings):
    now = timezone.now()
    for _order in range(10):
        breaker().strike(now, "not reachable")
    assert (breaker().strikes, breaker().paused_until) == (1, now + timedelta(seconds=2))
    later = now + timedelta(seconds=3)
    for _order in range(10):
        breaker().full(None, later)
    assert breaker().width == settings.FACE_GEN_SLOTS - 1


def test_while_we_try_one_at_a_time_an_order_in_doubt_keeps_nobody_waiting(ada):
    doubtful = factories.create_request_in(State.UNCERTAIN, ada)
    Attempt.objects.filter(request=doubtful).update(slot_no=1)
    first, second = factories.create_request(ada), factories.create_request(ada)
    Breaker.objects.filter(pk=breaker().pk).update(strikes=7)
    assert sending.dispatch() == [first.pk]
    assert sending.dispatch() == []
    second.refresh_from_db()
    assert second.state == State.QUEUED


def test_account_trouble_stops_everybody_for_ten_minutes(ada):
    with time_machine.travel("2026-11-22 10:00:00Z", tick=False):
        answered(ada, Answer(Seen.ACCOUNT, detail="invalid api key"))
        assert breaker().paused_until == timezone.now() + timedelta(minutes=10)


def test_the_third_odd_answer_returns_the_credits(ada):
    avatar_request, attempt = sent(ada)
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(setbacks=2)
    avatar_request.refresh_from_db()
    sending.record(avatar_request, attempt, Answer(Seen.ODD))
    avatar_request.refresh_from_db()
    ada.wallet.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.PROVIDER_FAILED)
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)


def test_each_odd_answer_is_counted_against_the_request(ada):
    avatar_request, _attempt = answered(ada, Answer(Seen.ODD))
    assert avatar_request.setbacks == 1


def test_a_refused_order_returns_the_credits_with_its_reason(ada):
    avatar_request, attempt = answered(ada, Answer(Seen.REFUSED, detail="validation"))
    attempt.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.REFUSED)
    assert (attempt.outcome, attempt.slot_no, attempt.face_open) == (Outcome.REFUSED, None, False)


@pytest.mark.parametrize(
    ("hits", "state", "reason"),
    [(0, State.QUEUED, ""), (1, State.FAILED, Reason.PHOTO_UNREADABLE)],
)
def test_an_unreachable_face_is_our_fault_only_while_nobody_read_it(ada, hits, state, reason):
    avatar_request, _ = answered(ada, Answer(Seen.FACE_UNREACHABLE), face_hits=hits)
    assert (avatar_request.state, avatar_request.reason) == (state, reason)


def test_a_job_that_failed_is_drawn_once_more(ada):
    avatar_request, attempt = answered(ada, Answer(Seen.ENDED))
    attempt.refresh_from_db()
    assert (avatar_request.state, attempt.outcome) == (State.QUEUED, Outcome.FAILED)
    assert sending.dispatch() == [avatar_request.pk] or breaker().is_pausing(timezone.now())
    assert avatar_request.attempts.live().get().number == 2


def test_a_second_failed_job_returns_the_credits(ada):
    avatar_request, _attempt = answered(ada, Answer(Seen.ENDED), number=2)
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.PROVIDER_FAILED)


def test_an_unclear_answer_is_doubt_with_the_slot_kept(ada):
    avatar_request, attempt = answered(ada, Answer(Seen.UNKNOWN))
    attempt.refresh_from_db()
    assert avatar_request.state == State.UNCERTAIN
    assert (attempt.slot_no is not None, attempt.face_open) == (True, True)


@pytest.mark.parametrize("seen", [Seen.UNKNOWN, Seen.NOT_SENT, Seen.FULL, Seen.ODD])
def test_a_doorbell_that_rang_first_proves_the_provider_has_it(ada, seen):
    avatar_request, attempt = answered(ada, Answer(seen), provider_job_id="91")
    attempt.refresh_from_db()
    assert (avatar_request.state, attempt.provider_job_id) == (State.GENERATING, "91")


def test_one_job_number_for_two_orders_is_believed_for_neither(ada):
    other = factories.create_request_in(State.GENERATING, ada)
    taken = other.attempts.get().provider_job_id
    avatar_request, _ = answered(ada, Answer(Seen.ACCEPTED, job_id=taken), slot_no=5)
    assert avatar_request.state == State.UNCERTAIN


def test_a_worker_that_died_after_announcing_leaves_doubt_and_sends_nothing(ada, settings):
    settings.FACE_GEN_URL = "http://127.0.0.1:9/api/"  # nobody listens; a POST would be a strike
    avatar_request = factories.create_request_in(State.SENDING, ada)
    assert avatar_request.claim(timezone.now())
    sending.send(avatar_request)
    avatar_request.refresh_from_db()
    assert avatar_request.state == State.UNCERTAIN
    assert breaker().strikes == 0


def uncertain(user, **fields) -> tuple[AvatarRequest, Attempt]:
    avatar_request = factories.create_request_in(State.UNCERTAIN, user)
    attempt = avatar_request.attempts.get()
    Attempt.objects.filter(pk=attempt.pk).update(**fields)
    assert avatar_request.claim(timezone.now())
    sending.settle(avatar_request)
    avatar_request.refresh_from_db()
    attempt.refresh_from_db()
    return avatar_request, attempt


def test_doubt_ends_when_a_doorbell_named_the_job(ada):
    avatar_request, _attempt = uncertain(ada, provider_job_id="91")
    assert avatar_request.state == State.GENERATING


def test_an_unread_face_is_revoked_and_the_order_may_be_sent_again(ada):
    avatar_request, attempt = uncertain(ada)
    assert avatar_request.state == State.QUEUED
    assert (attempt.face_open, attempt.outcome) == (False, Outcome.UNREAD)
    assert not Attempt.objects.serve_face(f"face-{avatar_request.pk}", timezone.now())


def test_a_crash_between_revoking_and_moving_is_met_again(ada):
    avatar_request, _attempt = uncertain(ada, face_open=False)
    assert avatar_request.state == State.QUEUED


def test_a_second_unread_order_returns_the_credits(ada):
    avatar_request, _attempt = uncertain(ada, number=2)
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.UNCONFIRMED)


def test_a_face_that_was_read_forbids_a_second_order(ada):
    avatar_request, attempt = uncertain(ada, face_hits=1)
    assert avatar_request.state == State.UNCERTAIN
    assert (attempt.slot_no is not None, attempt.ended_at) == (True, None)


def test_after_ten_minutes_of_doubt_the_slot_is_given_up(ada):
    long_ago = timezone.now() - timedelta(minutes=10, seconds=1)
    avatar_request, attempt = uncertain(ada, face_hits=1, sent_at=long_ago)
    assert (avatar_request.state, attempt.slot_no) == (State.UNCERTAIN, None)


def test_inline_there_is_never_a_second_order_after_an_unclear_answer(ada):
    avatar_request, _attempt = uncertain(ada, face_hash=None, face_open=False)
    assert avatar_request.state == State.UNCERTAIN
    with time_machine.travel(avatar_request.due_at, tick=True):
        assert avatar_request.claim(timezone.now())
        sending.settle(avatar_request)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.UNCONFIRMED)


def test_a_face_is_served_or_revoked_but_never_both(ada):
    avatar_request = factories.create_request_in(State.UNCERTAIN, ada)
    attempt, token = avatar_request.attempts.get(), f"face-{avatar_request.pk}"
    assert Attempt.objects.serve_face(token, timezone.now())
    assert not attempt.revoke_unread()


def test_a_face_link_dies_after_five_reads_and_after_fifteen_minutes(ada):
    avatar_request = factories.create_request_in(State.SENDING, ada)
    token, now = f"face-{avatar_request.pk}", timezone.now()
    assert not Attempt.objects.serve_face(token, now + timedelta(minutes=16))
    served = [Attempt.objects.serve_face(token, now) for _ in range(6)]
    assert served == [True] * 5 + [False]


def test_a_photo_deleted_while_waiting_for_a_slot_returns_the_credits(ada):
    avatar_request = factories.create_request_in(State.SENDING, ada)
    avatar_request.attempts.update(sent_at=None)
    photo = avatar_request.photo
    photo.file, photo.thumb, photo.deleted_at = None, None, timezone.now()
    photo.save(update_fields=["file", "thumb", "deleted_at"])
    assert avatar_request.claim(timezone.now())
    sending.send(AvatarRequest.objects.get(pk=avatar_request.pk))
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.PHOTO_DELETED)


def test_storage_that_is_away_before_the_order_is_waited_for(ada, monkeypatch):
    avatar_request = factories.create_request_in(State.SENDING, ada)
    avatar_request.attempts.update(sent_at=None)

    def away(key: str) -> bytes:
        raise storage.StorageAway("test")

    monkeypatch.setattr(storage, "read", away)
    assert avatar_request.claim(timezone.now())
    sending.send(avatar_request)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.tries) == (State.SENDING, 1)
    assert avatar_request.due_at > timezone.now()
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(tries=5)
    avatar_request.refresh_from_db()
    sending.send(avatar_request)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.OURS)


def test_inline_the_whole_order_reaches_the_provider_once(ada, provider, settings):
    settings.PUBLIC_BASE_URL = ""
    avatar_request = factories.create_request(
        ada, factories.create_photo(ada, factories.portrait())
    )
    assert sending.dispatch() == [avatar_request.pk]
    avatar_request.refresh_from_db()
    assert avatar_request.claim(timezone.now())
    sending.send(avatar_request)
    avatar_request.refresh_from_db()
    attempt = avatar_request.attempts.get()
    assert avatar_request.state in (State.GENERATING, State.STORING)
    assert (attempt.doorbell_hash, attempt.face_hash, attempt.face_open) == (None, None, False)
    assert attempt.sent_at is not None


def test_a_lease_lost_before_the_post_sends_nothing(ada, settings):
    settings.FACE_GEN_URL = "http://127.0.0.1:9/api/"
    avatar_request = factories.create_request_in(State.SENDING, ada)
    avatar_request.attempts.update(sent_at=None, doorbell_hash=None, face_hash=None)
    assert avatar_request.claim(timezone.now())
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(lease_no=99)
    sending.send(avatar_request)
    assert avatar_request.attempts.get().sent_at is None
    assert breaker().strikes == 0


def test_the_order_carries_fresh_secrets_and_only_their_hashes_are_kept(ada, settings):
    settings.PUBLIC_BASE_URL = "https://likeness.example"
    avatar_request = factories.create_request_in(State.SENDING, ada)
    attempt = avatar_request.attempts.get()
    first, doorbell, face = sending.write_order(avatar_request, attempt, b"jpeg")
    second, *_ = sending.write_order(avatar_request, attempt, b"jpeg")
    assert first.webhook == f"https://likeness.example/webhooks/provider/{doorbell}/"
    assert first.face == f"https://likeness.example/p/face/{face}/"
    assert (first.inline, first.track_id) == (False, attempt.pk)
    assert len({first.face, first.webhook, second.face, second.webhook}) == 4
    assert isinstance(first, face_gen.Order)


def test_a_photo_erased_just_before_the_post_never_leaves(ada, settings, monkeypatch):
    settings.PUBLIC_BASE_URL = ""
    sent_orders = []
    monkeypatch.setattr(face_gen, "submit", sent_orders.append)
    avatar_request = factories.create_request_in(State.SENDING, ada)
    avatar_request.attempts.update(sent_at=None, doorbell_hash=None, face_hash=None)
    read = sending.face_for

    def read_and_erase(row: AvatarRequest) -> bytes | None:
        face = read(row)
        safekeeping.erase(row.photo)
        return face

    monkeypatch.setattr(sending, "face_for", read_and_erase)
    assert avatar_request.claim(timezone.now())
    sending.send(avatar_request)
    assert sent_orders == []
    monkeypatch.setattr(sending, "face_for", read)
    generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.PHOTO_DELETED)


def test_a_link_closed_by_its_owner_is_nobodys_fault(ada):
    avatar_request, _attempt = answered(ada, Answer(Seen.FACE_UNREACHABLE), face_open=False)
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.PHOTO_DELETED)
    assert breaker().strikes == 0


def test_more_places_are_used_as_soon_as_the_plan_has_them(ada, settings):
    assert breaker().width_now(timezone.now()) == 5
    settings.FACE_GEN_SLOTS = 15
    assert breaker().width_now(timezone.now()) == 15


def test_a_clock_set_back_narrows_nothing(ada):
    now = timezone.now()
    breaker().full(None, now + timedelta(hours=1))
    assert breaker().width_now(now) == 4
