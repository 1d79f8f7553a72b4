"""Somebody closes their account while something else happens to it, in every order of their steps.

Knows the verbs and the pairs. Each test names all the endings that keep the promise.
"""

from types import SimpleNamespace

import pytest
from django.utils import timezone

from accounts import billing, closing
from accounts.models import Closing, Consent, NotEnoughCredits, Purchase, Transfer, User
from accounts.models.closings import Step
from accounts.models.purchases import Payment
from avatars import generation, leaving, safekeeping, sending
from avatars.models import Attempt, Avatar, Evidence, FacePhoto, Reason, State, StoredFile
from tests import factories, lives
from tests.faults.pairs import (
    Scene,
    advancing,
    nothing_starts,
    play,
    running_out,
    slots_are_free,
)
from tests.faults.stage import Act

pytestmark = pytest.mark.django_db(transaction=True)


def closes(scene: Scene) -> Act:
    def act() -> str:
        ada = User.objects.select_related("wallet").get(pk=scene.ada.pk)
        return closing.close(ada, timezone.now()).step

    return act


def enters(scene: Scene, state: State) -> int:
    """Ada is back, with a new photo and one request in that state."""
    closing.keep(scene.ada)
    scene.photo = factories.create_photo(scene.ada)
    return scene.enter(state)


def is_wholly_closed(scene: Scene) -> bool:
    """What the closing promises at once, whoever came first."""
    open_now = scene.ada.requests.open().exists()
    faces = FacePhoto.objects.filter(user=scene.ada, deleted_at=None).exists()
    links = Attempt.objects.filter(request__user=scene.ada, face_open=True).exists()
    held = User.objects.get(pk=scene.ada.pk).wallet.reserved
    writing = StoredFile.objects.filter(user=scene.ada, state="writing").exists()
    return not (open_now or faces or links or held or writing)


# ── The engine ──────────────────────────────────────────────────────────────────────────────────


def test_closing_while_a_picture_is_stored_is_a_picture_or_the_credit_back(scene):
    def set_up() -> list[Act]:
        pk = enters(scene, State.STORING)
        return [closes(scene), advancing(pk)]

    def outcome(*_results: object) -> object:
        shown = Avatar.objects.filter(request=scene.row).count()
        return scene.now().state, scene.row.reason, shown, is_wholly_closed(scene)

    # A file that was begun after the closing is written in vain, and doomed by its own writer.
    legal = {(State.READY, "", 1, True), (State.CANCELLED, Reason.CLOSED, 0, True)}
    play(scene, set_up, outcome, legal)


@pytest.mark.parametrize("state", [State.GENERATING, State.UNCERTAIN])
def test_closing_while_the_provider_is_looked_at_or_doubted_ends_it(scene, state):
    def set_up() -> list[Act]:
        pk = enters(scene, state)
        return [closes(scene), advancing(pk)]

    def outcome(*_results: object) -> object:
        return scene.now().state, scene.row.attempts.live().count(), is_wholly_closed(scene)

    play(scene, set_up, outcome, {(State.CANCELLED, 0, True)})


def test_closing_while_an_order_is_sent_sends_at_most_one(scene):
    def set_up() -> list[Act]:
        pk = enters(scene, State.QUEUED)
        slots_are_free()
        assert sending.dispatch() == [pk]
        nothing_starts()
        return [closes(scene), advancing(pk)]

    def outcome(*_results: object) -> object:
        return scene.now().state, scene.posts, is_wholly_closed(scene)

    play(scene, set_up, outcome, {(State.CANCELLED, 0, True), (State.CANCELLED, 1, True)})


def test_closing_while_a_slot_is_given_out_frees_it(scene):
    def set_up() -> list[Act]:
        enters(scene, State.QUEUED)
        slots_are_free()
        return [closes(scene), sending.dispatch]

    def outcome(*_results: object) -> object:
        taken = Attempt.objects.filter(slot_no__isnull=False).count()
        return scene.now().state, taken, is_wholly_closed(scene)

    play(scene, set_up, outcome, {(State.CANCELLED, 0, True)})


@pytest.mark.parametrize("state", [State.QUEUED, State.STORING])
def test_closing_as_the_promise_runs_out_returns_the_credit_once(scene, state):
    def set_up() -> list[Act]:
        pk = enters(scene, state)
        return [closes(scene), running_out(pk)]

    def outcome(*_results: object) -> object:
        released = Transfer.objects.filter(reference=f"resolve:{scene.now().reference}")
        return scene.row.state, released.count(), is_wholly_closed(scene)

    play(scene, set_up, outcome, {(State.CANCELLED, 1, True), (State.FAILED, 1, True)})


def test_closing_while_its_owner_cancels_returns_the_credit_once(scene):
    def set_up() -> list[Act]:
        enters(scene, State.QUEUED)
        waiting = type(scene.row).objects.filter(pk=scene.row.pk)
        return [closes(scene), lambda: generation.cancel(waiting.get())]

    def outcome(_closed: object, cancelled: object) -> object:
        return cancelled, scene.now().state, scene.row.reason, is_wholly_closed(scene)

    legal = {
        (True, State.CANCELLED, Reason.OWNER, True),
        (False, State.CANCELLED, Reason.CLOSED, True),
    }
    play(scene, set_up, outcome, legal)


# ── New things ──────────────────────────────────────────────────────────────────────────────────


def test_a_wish_submitted_as_its_account_closes_is_stopped_or_refused(scene):
    def set_up() -> list[Act]:
        enters(scene, State.CANCELLED)
        wish = factories.wish(scene.photo)
        factories.give(scene.ada, 1)

        def submits() -> str:
            ada = User.objects.select_related("wallet", "quota").get(pk=scene.ada.pk)
            try:
                return generation.submit(ada, wish).state
            except (NotEnoughCredits, generation.SubmitRefused) as refusal:
                return type(refusal).__name__

        return [closes(scene), submits]

    def outcome(_closed: object, submitted: object) -> object:
        return submitted, is_wholly_closed(scene)

    legal = {(State.QUEUED, True), ("PhotoGone", True), ("ConsentMissing", True)}
    play(scene, set_up, outcome, legal)


def test_a_photo_kept_as_its_account_closes_goes_or_is_never_kept(scene, monkeypatch):
    clean = factories.portrait()
    read = safekeeping.imaging.clean_photo(clean)
    seen = safekeeping.face_check.check(clean, original=(read.width, read.height))
    monkeypatch.setattr(safekeeping.imaging, "clean_photo", lambda _upload: read)
    monkeypatch.setattr(safekeeping.face_check, "check", lambda _jpeg, **_size: seen)

    def set_up() -> list[Act]:
        enters(scene, State.CANCELLED)
        agreed = Consent.objects.standing().get(user=scene.ada)

        def accepts() -> str:
            try:
                safekeeping.accept(scene.ada, clean, consent=agreed)
            except safekeeping.ConsentGone as refusal:
                return type(refusal).__name__
            return "kept"

        return [closes(scene), accepts]

    def outcome(_closed: object, kept: object) -> object:
        return kept, is_wholly_closed(scene)

    play(scene, set_up, outcome, {("kept", True), ("ConsentGone", True)})


def test_evidence_found_as_the_account_is_emptied_is_kept_or_was_not_there_any_more(scene):
    avatars = []

    def set_up() -> list[Act]:
        for kept in Evidence.objects.all():
            kept.let_go(timezone.now())
        User.objects.filter(pk=scene.ada.pk).update(is_active=True, closes_at=None)
        Closing.objects.open().update(step=Step.CALLED_OFF)
        enters(scene, State.CANCELLED)
        avatars.append(factories.create_avatar(scene.ada))
        closes(scene)()
        begun = Closing.objects.open().get(user=scene.ada)
        avatar = Avatar.objects.get(pk=avatars[-1].pk)
        return [
            lambda: leaving.order_everything_to_go(scene.ada, begun),
            lambda: avatar.take_down(timezone.now(), as_evidence=True),
        ]

    def outcome(_emptied: object, taken_down: object) -> object:
        found = Avatar.objects.get(pk=avatars[-1].pk).evidence_until is not None
        return taken_down, found, Evidence.objects.filter(number=avatars[-1].public_id).count()

    play(scene, set_up, outcome, {(True, True, 1), (True, False, 0)})


# ── The closing itself ──────────────────────────────────────────────────────────────────────────


def test_pressed_twice_at_once_it_closes_once(scene):
    def set_up() -> list[Act]:
        enters(scene, State.QUEUED)
        return [closes(scene), closes(scene)]

    def outcome(one: object, other: object) -> object:
        standing = Closing.objects.open().filter(user=scene.ada).count()
        return one, other, standing, is_wholly_closed(scene)

    play(scene, set_up, outcome, {(Step.WAITING, Step.WAITING, 1, True)})


def test_closing_and_withdrawing_at_once_return_every_credit_once(scene):
    """Whoever else stops everything of a person takes its locks in the same order."""

    def set_up() -> list[Act]:
        enters(scene, State.GENERATING)
        factories.create_request(scene.ada, scene.photo)
        return [closes(scene), lambda: safekeeping.withdraw(scene.ada).requests]

    def outcome(_closed: object, stopped: object) -> object:
        return stopped, is_wholly_closed(scene)

    play(scene, set_up, outcome, {(0, True), (2, True)})


def test_keeping_as_the_days_run_out_has_one_winner(scene):
    def set_up() -> list[Act]:
        User.objects.filter(pk=scene.ada.pk).update(is_active=True, closes_at=None)
        Closing.objects.open().update(step=Step.CALLED_OFF)
        enters(scene, State.CANCELLED)
        closes(scene)()
        lives.hurry_closings()

        def keeps() -> bool:
            return closing.keep(User.objects.get(pk=scene.ada.pk))

        return [lambda: closing.go_on(timezone.now()), keeps]

    def outcome(_started: object, kept: object) -> object:
        last = Closing.objects.filter(user=scene.ada).latest("pk")
        person = User.objects.get(pk=scene.ada.pk)
        return kept, last.step, person.is_active, person.closes_at is None

    legal = {(True, Step.CALLED_OFF, True, True), (False, Step.EMPTYING, False, False)}
    play(scene, set_up, outcome, legal)


def ready_to_end() -> tuple[User, Closing]:
    """Everything of theirs has gone but wallet and login."""
    user = factories.create_user(credits=3)
    begun = closing.close(user, timezone.now(), at_once=True)
    closing.go_on(timezone.now())
    leaving.go_on()
    begun.refresh_from_db()
    assert begun.step == Step.ENDING
    return user, begun


def test_two_who_end_it_lapse_once(scene):
    left = SimpleNamespace()

    def set_up() -> list[Act]:
        scene.photo = factories.create_photo(scene.ada)
        scene.enter(State.CANCELLED)
        left.user, left.begun = ready_to_end()
        left.wallet = left.user.wallet

        def ends() -> None:
            mine = Closing.objects.select_related("user").get(pk=left.begun.pk)
            closing.end(mine, timezone.now())

        return [ends, ends]

    def outcome(*_results: object) -> object:
        left.begun.refresh_from_db()
        lapsed = Transfer.objects.filter(reference=f"close:{left.wallet.pk}")
        return left.begun.step, lapsed.count(), User.objects.filter(pk=left.user.pk).exists()

    play(scene, set_up, outcome, {(Step.GONE, 1, False)})


def test_a_payment_that_meets_the_end_is_credited_before_or_odd_after(scene, monkeypatch, caplog):
    """Credited in time it lapses with the rest, so staff are told; afterwards it is set aside."""
    left = SimpleNamespace()
    pack = factories.create_pack()
    monkeypatch.setattr(billing, "payment_in", lambda session: session)

    def set_up() -> list[Act]:
        scene.photo = factories.create_photo(scene.ada)
        scene.enter(State.CANCELLED)
        left.user, left.begun = ready_to_end()
        left.wallet = left.user.wallet
        left.purchase = Purchase.objects.create(
            user=left.user, pack=pack, credits=60, amount_cents=900, currency="usd"
        )
        paid = Payment(f"cs_{left.purchase.pk}", f"pi_{left.purchase.pk}", 900)

        def ends() -> None:
            mine = Closing.objects.select_related("user").get(pk=left.begun.pk)
            closing.end(mine, timezone.now())

        def pays() -> None:
            purchase = Purchase.objects.get(pk=left.purchase.pk)
            if purchase.user_id is None or billing.credit(paid, purchase):
                purchase.set_aside(paid)

        return [ends, pays]

    def outcome(*_results: object) -> object:
        left.purchase.refresh_from_db()
        left.wallet.refresh_from_db()
        told = str(left.purchase.public_id) in caplog.text
        return left.purchase.state, left.wallet.spendable, left.purchase.user_id is None, told

    legal = {(Purchase.State.PAID, 0, True, True), (Purchase.State.ODD, 0, True, False)}
    play(scene, set_up, outcome, legal)
