"""Staff beside the engine, and beside each other, in every order of their steps: one ending, exact
credits, a record exactly when something was done.

Knows the verbs and the pairs. Each test names all the endings that keep the promise.
"""

import pytest
from django.db.models import Sum
from django.utils import timezone

from accounts import gifts, people
from accounts.models import Decision, Transfer, User
from avatars import delivery, generation, intervening
from avatars.models import Avatar, AvatarRequest, State
from tests import factories
from tests.faults.pairs import advancing, play, play_on
from tests.faults.stage import Act

pytestmark = pytest.mark.django_db(transaction=True)

FAILED = "request_failed"


@pytest.fixture
def scene(scene):
    scene.lead = factories.create_user(is_staff=True, is_superuser=True)
    return scene


def failing(scene, pk: int) -> Act:
    """As the page does it: read, then act."""

    def act() -> bool:
        row = AvatarRequest.objects.select_related("hold__wallet").get(pk=pk)
        return intervening.fail(row, actor=scene.lead, reason="hangs", now=timezone.now())

    return act


def recorded(scene, act: str) -> int:
    subject = ("request", scene.row.public_id)
    return Decision.objects.about(*subject).filter(act=act).count()


def test_an_order_failed_by_staff_as_its_picture_is_stored_ends_once(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.STORING)
        return [failing(scene, pk), advancing(pk)]

    def outcome(failed: object, _stored: object) -> object:
        pictures = Avatar.objects.filter(request=scene.row).count()
        return failed, scene.now().state, pictures, recorded(scene, FAILED)

    legal = {
        (True, State.FAILED, 0, 1),  # the credits are back; a late look may bring a gift
        (False, State.READY, 1, 0),
    }
    play(scene, set_up, outcome, legal)


def test_an_order_failed_by_staff_as_it_is_looked_at_ends_once(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.GENERATING)
        assert scene.row.claim(timezone.now())
        return [failing(scene, pk), lambda: delivery.look(scene.row)]

    def outcome(failed: object, _seen: object) -> object:
        return failed, scene.now().state, recorded(scene, FAILED)

    play(scene, set_up, outcome, {(True, State.FAILED, 1), (False, State.STORING, 0)})


def test_staff_and_the_promise_fail_an_order_once(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.GENERATING)
        row = AvatarRequest.objects.select_related("hold__wallet").get(pk=pk)
        return [failing(scene, pk), lambda: generation.run_out(row, timezone.now())]

    def outcome(failed: object, ran_out: object) -> object:
        released = Transfer.objects.filter(reference=f"resolve:{scene.row.reference}").count()
        return failed, ran_out, scene.now().state, released, recorded(scene, FAILED)

    legal = {(True, False, State.FAILED, 1, 1), (False, True, State.FAILED, 1, 0)}
    play(scene, set_up, outcome, legal)


def test_looking_again_while_a_worker_looks_draws_one_picture(scene):
    def set_up() -> list[Act]:
        pk = scene.enter(State.GENERATING)
        scene.row.attempts.update(sent_at=timezone.now() - 3 * intervening.DOUBT_PERIOD)

        def again() -> None:
            row = AvatarRequest.objects.get(pk=pk)
            if intervening.look_again(row, actor=scene.lead, reason="slow", now=timezone.now()):
                generation.advance(pk)

        return [again, advancing(pk)]

    def outcome(*_results: object) -> object:
        is_drawn = scene.now().state in (State.STORING, State.READY)
        return is_drawn, Avatar.objects.filter(request=scene.row, gift=True).count()

    play(scene, set_up, outcome, {(True, 0)})


# ── Staff beside staff ──────────────────────────────────────────────────────────────────────────


def test_two_gifts_at_once_are_no_way_round_the_limit(scene):
    givers = [factories.create_user(is_staff=True) for _giver in range(2)]

    def set_up() -> list[Act]:
        scene.person = factories.create_user()

        def giving(giver: User) -> Act:
            def act() -> str:
                person = User.objects.select_related("wallet").get(pk=scene.person.pk)
                number = f"{giver.pk}-{person.pk}"
                try:
                    gifts.give(person, 30, actor=giver, reason="sorry", number=number)
                except gifts.TooMuch:
                    return "too much"
                return "given"

            return act

        return [giving(giver) for giver in givers]

    def outcome(*results: object) -> object:
        given = Transfer.objects.filter(wallet__user=scene.person).aggregate(all=Sum("amount"))
        acts = Decision.objects.filter(person=scene.person).count()
        return sorted(map(str, results)), given["all"], acts

    endings = scene_of_two(scene, set_up, outcome)
    assert endings == {(("given", "too much"), 30, 1)}


def test_two_leads_suspend_once(scene):
    def set_up() -> list[Act]:
        scene.person = factories.create_user()

        def act() -> bool:
            person = User.objects.get(pk=scene.person.pk)
            return people.suspend(person, actor=scene.lead, reason="spam", now=timezone.now())

        return [act, act]

    def outcome(*results: object) -> object:
        acts = Decision.objects.filter(person=scene.person).count()
        return sorted(map(str, results)), True, acts

    assert scene_of_two(scene, set_up, outcome) == {(("False", "True"), True, 1)}


def scene_of_two(scene, set_up, outcome) -> set[object]:
    """Every order of two acts; what they led to."""
    seen = set()

    def noted(*results: object) -> object:
        for result in results:
            if isinstance(result, BaseException):
                raise AssertionError("somebody tripped") from result
        words, given, acts = outcome(*results)
        seen.add((tuple(words), given, acts))
        return True

    play_on(scene.stage, set_up, noted, {True}, lambda: None, 24)
    return seen
