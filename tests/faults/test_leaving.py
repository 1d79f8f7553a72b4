"""A death at every crossing of a closing and of an export (F23): finished by the next, to the last
row and object, and the books add up at every moment between.

Knows the verbs, the crossings and a whole life.
"""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts import closing, notices
from accounts.models import Closing, User
from accounts.models.closings import Step
from avatars import auditing as avatars_auditing
from avatars import exporting, safekeeping
from avatars.models import Export, State
from avatars.models.exports import LEASE
from tests import factories, lives
from tests.faults.crossings import Crossings, watched_doors
from tests.faults.test_crashes import dies, moments

pytestmark = pytest.mark.django_db(transaction=True)

STATES = (State.QUEUED, State.GENERATING, State.STORING)


@pytest.fixture
def crossings(monkeypatch) -> Crossings:
    watched = watched_doors(monkeypatch)
    letter = watched.around("a letter", notices.send_mail)
    monkeypatch.setattr(notices, "send_mail", letter)
    return watched


def findings() -> list[object]:
    return [*accounts_auditing.findings(), *avatars_auditing.findings(files=True)]


def press(pk: int) -> None:
    """The button; pressed again by whoever saw no answer."""
    person = User.objects.filter(pk=pk, closes_at=None).first()
    if person is not None:
        closing.close(person, timezone.now(), at_once=True)


def sweep() -> None:
    lives.leave_for_good()
    notices.tell_of_closings(timezone.now() + timedelta(hours=1))
    safekeeping.erase_due()


def nothing_is_left(pk: int) -> None:
    assert not User.objects.filter(pk=pk).exists()
    assert lives.references(pk) == []
    assert lives.traces(*lives.MARKS) == []
    assert lives.objects() == set()
    assert not Closing.objects.open().exists()
    assert findings() == []


def test_a_closing_that_dies_at_any_crossing_is_finished_by_the_next(
    provider, crossings, mailoutbox
):
    def is_finished(moment: int) -> bool:
        life = lives.live()
        pk, wallet = life.user.pk, life.user.wallet

        def work() -> None:
            press(pk)
            sweep()

        died = dies(crossings, moment, work)
        connection.close()
        assert findings() == []
        sold = Closing.objects.filter(user=pk).values_list("step", flat=True)
        assert len(sold) <= 1
        work()
        nothing_is_left(pk)
        wallet.refresh_from_db()
        assert (wallet.reserved, wallet.spendable) == (0, 0)
        # At least once: a death between the letter and its address's end sends it again.
        assert 1 <= len(mailoutbox) <= 1 + died
        mailoutbox.clear()
        return died

    # One moment in two: what is lasting after one commit is the same before the next.
    deaths = moments(is_finished, 2)
    assert deaths >= 25


def test_a_closing_called_off_after_any_death_keeps_what_was_promised(provider, crossings):
    def is_kept(moment: int) -> bool:
        life = lives.live(states=STATES, exported=False, email=f"kept{moment}@example.org")
        ready = life.avatars.filter(file__isnull=False).count()
        pk = life.user.pk
        died = dies(crossings, moment, lambda: closing.close(life.user, timezone.now()))
        connection.close()
        person = User.objects.get(pk=pk)
        is_open = Closing.objects.open().filter(user=pk).exists()
        assert is_open is (person.closes_at is not None)
        # Wholly or not at all.
        assert life.requests.open().exists() is not is_open
        assert life.photos.filter(deleted_at=None).exists() is not is_open
        assert closing.keep(person) is is_open
        assert life.avatars.filter(file__isnull=False).count() == ready
        assert findings() == []
        closing.close(person, timezone.now())  # so that the next one finds the slots free
        return died

    deaths = moments(is_kept, 1)
    assert deaths >= 2


def test_an_export_that_dies_at_any_crossing_is_made_by_the_next_and_leaves_nothing_else(
    crossings,
):
    ada = factories.create_user()
    factories.create_avatar(ada)
    factories.create_photo(ada)

    def is_made(moment: int) -> bool:
        Export.objects.all().delete()

        def work() -> None:
            exporting.ask(ada, timezone.now())
            exporting.prepare_due()

        died = dies(crossings, moment, work)
        connection.close()
        with time_machine.travel(timezone.now() + LEASE + timedelta(seconds=1)):
            if not Export.objects.ready(timezone.now()).exists():
                work()
            assert [each.state for each in Export.objects.all()] == ["ready"]
        for hours in (2, 26):  # what the dead one wrote is doomed, and goes; then the day is over
            with time_machine.travel(timezone.now() + timedelta(hours=hours)):
                safekeeping.erase_due()
            with time_machine.travel(timezone.now() + timedelta(hours=hours, minutes=6)):
                safekeeping.erase_due()
            exports = {key for key in lives.objects() if key.startswith("exports/")}
            assert len(exports) == (1 if hours == 2 else 0)
        assert findings() == []
        return died

    deaths = moments(is_made, 1)
    assert deaths >= 8


def test_control_a_closing_whose_steps_are_skipped_is_caught(provider, ada):
    """The guard removed: whoever ends before all is gone would leave a face nobody owns."""
    factories.create_photo(ada)
    closing.close(ada, timezone.now(), at_once=True)
    Closing.objects.update(step=Step.ENDING, due_at=timezone.now())
    closing.go_on(timezone.now())
    [back] = Closing.objects.all()
    assert back.step == Step.EMPTYING
    lives.leave_for_good()
    assert not User.objects.filter(pk=ada.pk).exists()
    assert lives.objects() == set()
