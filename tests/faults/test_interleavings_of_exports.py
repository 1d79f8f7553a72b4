"""An export is finished while its person deletes, withdraws or closes, in every order of the steps.

Knows the verbs and the pairs.
"""

from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts import closing
from accounts.models import User
from avatars import exporting, journal, safekeeping
from avatars.models import Export, FacePhoto, State, StoredFile
from tests import factories
from tests.faults.pairs import Scene, play
from tests.faults.stage import Act

pytestmark = pytest.mark.django_db(transaction=True)


def erases(scene: Scene) -> object:
    return safekeeping.erase(FacePhoto.objects.get(pk=scene.photo.pk))


def withdraws(scene: Scene) -> object:
    return safekeeping.withdraw(User.objects.get(pk=scene.ada.pk)).photos


def closes(scene: Scene) -> object:
    return closing.close(User.objects.get(pk=scene.ada.pk), timezone.now()).step


@pytest.mark.parametrize("what", [erases, withdraws, closes])
def test_no_zip_with_the_photo_in_it_survives(scene, what: Callable[[Scene], object]):
    def set_up() -> list[Act]:
        closing.keep(scene.ada)
        scene.photo = factories.create_photo(scene.ada)
        scene.enter(State.CANCELLED)
        now = timezone.now()
        Export.objects.filter(user=scene.ada).end(now)
        export = Export.objects.create(user=scene.ada, due_at=now)
        assert export.claim(now)
        file = journal.write("exports", "zip", b"with the photo", scene.ada, now)
        return [lambda: what(scene), lambda: exporting.hand_over(export, file, timezone.now())]

    def outcome(_gone: object, _finished: object) -> object:
        ready = Export.objects.filter(user=scene.ada, state=Export.State.READY).exists()
        zips = StoredFile.objects.filter(user=scene.ada, key__startswith="exports/")
        return ready, zips.filter(state="kept").exists()

    play(scene, set_up, outcome, {(False, False)})
