"""Random histories of credits and requests: after each step all is as the oracle's books say.

Knows the verbs and the world of a history. HISTORIES=50000 plays that many, longer ones and each
time others.
"""

import copy
import logging
import os
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from accounts import gifts
from accounts.models import Kind, User, wallets
from avatars import delivery, generation, safekeeping, sending
from avatars.face_gen import Answer
from avatars.face_gen import Outcome as Seen
from avatars.models import Attempt, AvatarRequest, FacePhoto, Quality, State, StoredFile
from avatars.models.attempts import Outcome
from tests import factories
from tests.faults import oracle
from tests.faults.histories import DOORS, MONTHLY, OUTPUT, PICTURE, Cast, Letter, World, everything

LONG = int(os.environ.get("HISTORIES", "0"))
# What fits into some 45 seconds of two free cores; over a socket each statement costs more.
PER_COMMIT = {"sqlite": 160, "postgresql": 100}
WELCOME = 3
BATCH = {name: uuid.uuid5(uuid.NAMESPACE_URL, name) for name in ("ada", "ben")}
LOOKS = ("done",) * 4 + ("failed",) * 2
LOOKS += ("processing", "not found", "full", "account", "unknown")
FAULTS = ("blocked", "broken", "too large", "not there", "foreign host", "away", "dies")

some = st.integers(0, 20)  # which of those there are, modulo their number
now_and_then = st.one_of(st.none(), st.none(), st.none(), some)
photos = st.sampled_from((0, 0, 1, 2, 2, 3))  # Ada's, Ada's, Ben's, Ben's
kinds = st.sampled_from(
    (*("accepted",) * 6, *("done", "ended", "unknown") * 2, *(seen.value for seen in Seen))
)
looks, stores = st.sampled_from(LOOKS), st.sampled_from(("good",) * 6 + FAULTS)
also = st.sampled_from(("", "rings", "rings", "deaths"))
people = st.sampled_from(("ada", "ben"))
mostly = st.sampled_from((True, True, True, False))


def has(*states: str) -> Callable[["Histories"], bool]:
    return lambda self: any(wish.state in states for wish in self.oracle.wishes.values())


class Histories(World):
    # ── Credits ─────────────────────────────────────────────────────────────────────────────────

    @rule(
        what=st.sampled_from(("gift", "gift", "dispute", "dispute", "correction", "top-up")),
        person=people,
        amount=st.integers(1, 3),
        number=st.integers(1, 9),
    )
    def credits_move(self, what: str, person: str, amount: int, number: int) -> None:
        """Staff give (also twice under one number) or take, a bank takes back, a month begins."""
        user, mo, next_number = self.person(person), self.cast.mo, len(self.ledger)
        match what:
            case "gift":
                reference = f"up-{number}"
                self.agree(
                    lambda: gifts.give(user, amount, actor=mo, reason="?", number=reference),
                    lambda: self.oracle.give(person, amount, reference),
                )
            case "correction":
                reference = f"adjust:down-{next_number}"
                self.agree(
                    lambda: user.wallet.correct_down(amount, reference, actor=mo, note="?"),
                    lambda: self.oracle.take(person, amount),
                )
            case "dispute":
                for _said_twice in range(2):
                    wallets._post(user.wallet, Kind.DISPUTE, amount, f"dispute:{next_number}")
                self.oracle.purses[person].owed += amount
            case _:
                for _said_twice in range(2):
                    gifts.top_up_everybody(timezone.now())
                self.oracle.give("ada", MONTHLY, self.month())

    @rule(person=people)
    def an_address_is_proved(self, person: str) -> None:
        """The first proof brings the welcome; Ada's was proved before."""
        gifts.welcome(self.person(person))
        if person == "ben":
            self.oracle.give("ben", WELCOME, "welcome")

    def person(self, name: str) -> User:
        return User.objects.get(pk=self.cast.users[name].pk)

    def month(self) -> str:
        return f"{timezone.now():%Y%m}"

    # ── Wishes ──────────────────────────────────────────────────────────────────────────────────

    @initialize(
        linked=mostly,
        mood=st.one_of(st.none(), st.none(), kinds),
        storing=st.one_of(st.none(), st.none(), st.none(), st.sampled_from(FAULTS)),
        photos=st.lists(photos, min_size=2, max_size=4),
        answers=st.lists(st.sampled_from([kind.value for kind in Seen]), min_size=1, max_size=2),
    )
    def the_line_forms(
        self,
        photos: list[int],
        answers: list[str],
        mood: str | None,
        storing: str | None,
        *,
        linked: bool,
    ) -> None:
        """A history begins in the middle of the day: some wait, some orders have been answered.
        In some the provider gives the same answer all the time, or every picture has one fault.
        """
        self.linked, self.mood, self.storing = linked, mood, storing
        address = "http://127.0.0.1:9" if linked else ""
        self.over.enter_context(override_settings(PUBLIC_BASE_URL=address))
        for photo in photos:
            self.submit(photo, Quality.FAST, earlier=None, in_batch=False)
        self.agree_on_dispatch(sending.dispatch())
        for kind in answers:
            if has("sending")(self):
                self.an_order_is_due(0, "good", kind)

    @rule(
        photo=photos,
        quality=st.sampled_from(Quality),
        earlier=now_and_then,
        in_batch=st.booleans(),
    )
    def submit(self, photo: int, quality: Quality, earlier: int | None, *, in_batch: bool) -> None:
        """A new wish, or the number of an earlier one again: by its owner, or by somebody else."""
        wanted, numbers = self.oracle.photos[photo], self.oracle.numbers
        number = uuid.uuid4()
        if earlier is not None and numbers:
            number = list(numbers)[earlier % len(numbers)]
        person, cost = wanted.person, {"fast": 1, "standard": 1, "fine": 2}[quality]
        is_due = person == "ada" and self.month() not in self.oracle.gifts
        wish = factories.wish(
            FacePhoto.objects.get(pk=self.cast.photos[photo].pk),
            quality=quality,
            number=number,
            batch=BATCH[person] if in_batch else None,
        )
        if number in numbers and self.oracle.wishes[numbers[number]].person == person:
            assert generation.submit(self.person(person), wish).pk == numbers[number]
            return
        row = self.agree(
            lambda: generation.submit(self.person(person), wish),
            lambda: self.oracle.check_submit(wanted, cost, MONTHLY * is_due, number),
        )
        if row is None:
            return
        promised = row.deadline_at - timezone.now()
        assert timedelta(minutes=15) <= promised <= timedelta(minutes=60)
        if is_due:
            self.oracle.give(person, MONTHLY, self.month())
        self.oracle.submit(row.pk, wanted, cost, wish.batch, row.deadline_at)
        numbers[number] = row.pk
        self.copies.append(row)

    @precondition(has("queued", "sending"))
    @rule(which=some)
    def cancel(self, which: int) -> None:
        row = self.pick(which, "queued", "sending")
        assert generation.cancel(row) == self.oracle.cancel(self.oracle.wishes[row.pk])

    @precondition(has("queued"))
    @rule()
    def dispatch(self) -> None:
        self.agree_on_dispatch(sending.dispatch())

    # ── Time and steps ──────────────────────────────────────────────────────────────────────────

    @rule(
        seconds=st.sampled_from((1,) * 4 + (31,) * 4 + (151,) * 3 + (400, 620, 4000, 864_000)),
        erased=st.sampled_from((None,) * 12 + (0, 1, 2, 3)),
        is_swept=mostly,
    )
    def time_passes(self, seconds: int, erased: int | None, *, is_swept: bool) -> None:
        self.traveller.shift(seconds)
        if erased is not None:
            safekeeping.erase(FacePhoto.objects.get(pk=self.cast.photos[erased].pk))
            self.oracle.erase(self.oracle.photos[erased])
        safekeeping.erase_due()
        self.oracle.erase_due()
        if is_swept:
            self.sweep_once()

    @precondition(has(*oracle.OPEN))
    @rule(person=st.sampled_from((None,) * 4 + ("ada", "ben")))
    def a_consent_is_withdrawn(self, person: str | None) -> None:
        """Seldom: whoever has done it has no photo any more."""
        if person:
            stopped = safekeeping.withdraw(self.person(person))
            assert stopped.requests == self.oracle.withdraw(person)

    @precondition(lambda self: self.oracle.wishes)
    @rule(which=some)
    def somebody_advances_whatever_there_is(self, which: int) -> None:
        self.step(self.pick(which))

    @precondition(lambda self: self.oracle.wishes)
    @rule(
        seconds=st.sampled_from((0, 2, 5, 31, 31, 65)),
        look=looks,
        store=stores,
        kind=st.one_of(st.none(), kinds),
        restarted=st.booleans(),
    )
    def the_sweep_comes(
        self, seconds: int, look: str, store: str, kind: str | None, *, restarted: bool
    ) -> None:
        """Also the first one of an engine that starts again and waits for nobody's lease."""
        self.traveller.shift(seconds)
        earlier = len(self.letters)
        if restarted:
            generation.take_over()
        self.sweep_once(look, store)
        for letter in self.letters[earlier:] if kind else ():
            self.answer(letter, kind, 12.0)

    @precondition(has("sending", "uncertain", "generating", "storing", "failed"))
    @rule(which=some)
    def a_worker_dies_over_its_claim(self, which: int) -> None:
        self.die_over(self.pick(which, "sending", "uncertain", "generating", "storing", "failed"))

    @precondition(has("queued", "sending", "uncertain", "generating", "storing"))
    @rule(which=some, kind=kinds, look=looks, store=stores, also=also)
    def it_goes_on_like_that(self, which: int, kind: str, look: str, store: str, also: str) -> None:
        """The same again and again, to one wish, until it is enough. Maybe five workers die."""
        pk = self.pick(which, "queued", "sending", "uncertain", "generating", "storing").pk
        for again in range(8):
            row, earlier = self.row(pk), len(self.letters)
            if row.state == State.QUEUED:
                self.traveller.shift(10)
                self.dispatch()
            elif row.is_open() and again < 5 and also == "deaths":
                self.die_over(row)
            elif row.is_open():
                self.when_due(row, look, store)
                for letter in self.letters[earlier:]:
                    self.answer(letter, kind, 12.0)
                    if self.linked and also == "rings":
                        self.the_provider_rings(0, 1, "own")

    @precondition(has("sending"))
    @rule(
        which=some,
        store=st.sampled_from(("good", "good", "good", "away")),
        kind=st.one_of(kinds, kinds, st.none()),
    )
    def an_order_is_due(self, which: int, store: str, kind: str | None) -> None:
        """Mostly it is answered at once."""
        earlier = len(self.letters)
        self.when_due(self.pick(which, "sending"), store=store)
        if kind and len(self.letters) > earlier:
            self.answer(self.letters[-1], kind, 12.0)

    @precondition(has("uncertain"))
    @rule(which=some)
    def a_doubt_is_due(self, which: int) -> None:
        self.when_due(self.pick(which, "uncertain"))

    @precondition(has("generating"))
    @rule(which=some, look=looks)
    def a_look_is_due(self, which: int, look: str) -> None:
        self.when_due(self.pick(which, "generating"), look)

    @precondition(has("storing"))
    @rule(which=some, store=stores)
    def a_picture_is_due(self, which: int, store: str) -> None:
        self.when_due(self.pick(which, "storing"), store=store)

    @precondition(has("failed"))
    @rule(which=some, look=looks, store=stores)
    def a_late_look_is_due(self, which: int, look: str, store: str) -> None:
        self.when_due(self.pick(which, "failed"), look, store)

    # ── What the provider does ──────────────────────────────────────────────────────────────────

    @precondition(lambda self: any(not letter.is_answered for letter in self.letters))
    @rule(which=some, kind=kinds, eta=st.sampled_from((0.5, 12.0, 200.0)), is_own=mostly)
    def an_answer_comes(self, which: int, kind: str, eta: float, *, is_own: bool) -> None:
        """At last; the worker that waited for it may have lost its claim meanwhile."""
        waiting = [letter for letter in self.letters if not letter.is_answered]
        letter = waiting[which % len(waiting)]
        self.answer(letter, kind, eta, letter.job if is_own else self.latest(which).job)

    def answer(self, letter: Letter, kind: str, eta: float, job: str = "") -> None:
        letter.is_answered, kind = True, self.mood or kind
        wish, job = self.oracle.wishes[letter.pk], job or letter.job
        counts = (wish.state, wish.lease) == (State.SENDING, letter.worker.lease_no)
        answer = Answer(Seen(kind), job, outputs=(OUTPUT,), eta=eta)
        sending.record(letter.worker, Attempt.objects.get(pk=letter.attempt_pk), answer)
        if counts:
            self.oracle.answer(wish, kind, job, eta)
        else:
            self.oracle.answered_too_late(letter.order, kind, job)

    def latest(self, which: int) -> Letter:
        """Mostly one that is still waited for."""
        wishes = self.oracle.wishes
        live = [letter for letter in self.letters if letter.order is wishes[letter.pk].live]
        letters = live if live and which % 4 < 3 else self.letters
        return letters[-1 - which % len(letters)]

    @precondition(lambda self: self.linked and self.letters)
    @rule(which=some)
    def the_provider_reads_the_face(self, which: int) -> None:
        letter = self.latest(which)
        served = Attempt.objects.serve_face(letter.face, timezone.now())
        stands = letter.order in self.oracle.wishes[letter.pk].orders
        assert served == (stands and self.oracle.read_face(letter.order))

    @precondition(lambda self: self.linked and self.letters)
    @rule(
        which=some,
        other=some,
        says=st.sampled_from(("own", "own", "own", "other's", "", "wrong track", "forged")),
    )
    def the_provider_rings(self, which: int, other: int, says: str) -> None:
        letter, foreign = self.latest(which), self.latest(other).job
        job = {"other's": foreign, "": ""}.get(says, letter.job)
        track = "12345678" if says == "wrong track" else str(letter.attempt_pk) * (other % 2)
        bell = letter.bell[::-1] if says == "forged" else letter.bell
        heard = delivery.answer_doorbell(bell, job, track)
        stands = letter.order in self.oracle.wishes[letter.pk].orders and says != "forged"
        agrees = says not in ("", "wrong track")
        is_known = stands and self.oracle.ring(letter.order, job, agrees=agrees)
        assert (heard and heard.request) == (letter.pk if is_known else None)

    # ── Whoever comes too late ──────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.stale())
    @rule(which=some, verb=st.integers(0, 13))
    def a_stale_worker_commits(self, which: int, verb: int) -> None:
        """With an old copy of the row nothing can be changed, whatever is tried."""
        stale = self.stale()
        row = copy.copy(stale[which % len(stale)])
        attempt = row.attempts.last() or Attempt(request=row, number=1)
        # The one thing told of an order that was taken back is its number (see an_answer_comes).
        job = "" if attempt.outcome == Outcome.WITHDRAWN else "job-x"
        now, answer = timezone.now(), Answer(Seen.DONE, job, outputs=(OUTPUT,))
        verbs: tuple[Callable[[], object], ...] = (
            lambda: row.finish(State.READY, now=now),
            lambda: row.finish(State.FAILED, "late", now=now),
            lambda: row.move(State.STORING, due_at=now),
            lambda: row.wait(now),
            lambda: row.renew(now),
            lambda: row.claim(now + timedelta(days=2)),
            lambda: generation.cancel(row),
            lambda: sending.give_up(row, "late", now),
            lambda: sending.bring_home(row, attempt, answer, now),
            lambda: sending.accept(row, attempt, job, 1.0, now),
            lambda: sending.back_in_line(row, attempt, now),
            lambda: sending.drawn_in_vain(row, attempt, now),
            lambda: sending.start(row, 1, now),
            lambda: delivery.hang_up(row, PICTURE, (written(row), written(row)), "mark"),
        )
        before = everything()
        assert not verbs[verb]()
        assert everything() == before

    def stale(self) -> list[AvatarRequest]:
        wishes = self.oracle.wishes
        return [
            row
            for row in self.copies
            if (row.state, row.lease_no) != (wishes[row.pk].state, wishes[row.pk].lease)
        ]


def written(row: AvatarRequest) -> StoredFile:
    now = timezone.now()
    return StoredFile.objects.begin("avatars", "webp", b"picture", user=row.user, now=now)


@pytest.mark.django_db
def test_every_history_keeps_the_promise_and_every_move_is_seen(settings, monkeypatch, caplog):
    settings.FACE_GEN_SLOTS = oracle.SLOTS
    settings.WELCOME_CREDITS = WELCOME
    for name in ("likeness", "likeness.staff"):
        caplog.set_level(logging.CRITICAL, logger=name)
    for room, name, door in DOORS:
        monkeypatch.setattr(room, name, door)
    Histories.cast = Cast.assemble()
    oracle.SEEN.clear()
    run_state_machine_as_test(
        Histories,
        settings=hypothesis_settings(
            max_examples=LONG or PER_COMMIT[connection.vendor],
            stateful_step_count=40 if LONG else 30,
            derandomize=not LONG,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert oracle.LISTED - set(oracle.SEEN) == set()
