"""Commands: the audit's exit code, the demo's people, and that they can be asked for at once.

Knows the commands by name. make_avatar and seed_demo run whole in tests/journeys.
"""

import io
import json
import threading

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from accounts.models import CreditPack, Transfer, User, Wallet
from avatars import storage
from avatars.models import AvatarRequest, State
from config import demo
from tests import factories


@pytest.mark.django_db
def test_an_honest_house_audits_clean(ada):
    out = io.StringIO()
    call_command("audit", "--files", stdout=out)
    assert out.getvalue() == "Everything adds up.\n"


@pytest.mark.django_db
def test_a_broken_promise_is_printed_with_its_rows_and_exits_with_one(ada):
    Wallet.objects.filter(pk=ada.wallet.pk).update(available=99)
    out = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("audit", "--json", stdout=out)
    assert caught.value.code == 1
    assert Wallet.objects.get(pk=ada.wallet.pk).frozen
    assert json.loads(out.getvalue()) == [
        {
            "invariant": "I2",
            "sentence": "a pocket is not the sum of its transfers",
            "rows": [ada.wallet.pk],
        }
    ]


@pytest.mark.django_db
def test_an_object_that_changed_or_went_is_found_by_its_bytes(ada):
    photo = factories.create_photo(ada)
    storage.put(photo.file.key, b"another face")
    storage.remove(photo.thumb.key)
    call_command("audit", stdout=io.StringIO())  # not asked to read
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("audit", "--json", "--contents", stdout=out)
    [found] = json.loads(out.getvalue())
    assert (found["invariant"], set(found["rows"])) == ("I7", {photo.file.key, photo.thumb.key})


@pytest.mark.django_db
def test_a_storage_that_is_away_is_said_in_one_sentence(ada, settings, tmp_path):
    (tmp_path / "no-folder").write_text("")
    private = {
        "BACKEND": "avatars.storage.PrivateFileStorage",
        "OPTIONS": {"location": str(tmp_path / "no-folder")},
    }
    settings.STORAGES = {**settings.STORAGES, "private": private}
    with pytest.raises(CommandError, match="The storage does not answer"):
        call_command("audit", "--files", stdout=io.StringIO())


@pytest.mark.django_db
def test_only_looking_freezes_nobody(ada):
    Wallet.objects.filter(pk=ada.wallet.pk).update(available=99)
    with pytest.raises(SystemExit):
        call_command("audit", "--look", stdout=io.StringIO())
    assert not Wallet.objects.get(pk=ada.wallet.pk).frozen


@pytest.mark.django_db(transaction=True)
def test_one_sweep_without_any_broker_goes_as_far_as_it_can(ada, provider, settings):
    settings.PUBLIC_BASE_URL = ""
    provider.switch(sync="on")
    factories.create_request(ada, factories.create_photo(ada, factories.portrait()))
    call_command("sweep")
    assert AvatarRequest.objects.get().state == State.READY


@pytest.mark.django_db
def test_the_demos_people_are_made_once(db):
    for _time in range(2):
        people = demo.people()
    assert set(User.objects.values_list("email", flat=True)) == set(demo.PEOPLE)
    assert people["ada"].wallet.available == 3 + demo.ADAS_CREDITS
    assert (people["ben"].wallet.available, people["mo"].is_staff) == (3, True)


def test_a_clone_has_three_packs_made_once_and_never_again_beside_those_of_staff(db):
    for _time in range(2):
        demo.packs()
    sold = list(CreditPack.objects.values_list("credits", "price_cents", "currency", "active"))
    assert sold == [(20, 400, "usd", True), (60, 900, "usd", True), (150, 1900, "usd", True)]
    CreditPack.objects.update(active=False)
    demo.packs()
    assert CreditPack.objects.filter(active=True).count() == 0


@pytest.mark.django_db(transaction=True)
def test_two_commands_may_ask_for_the_demos_people_at_once(db):
    gate = threading.Barrier(4)
    failed = []

    def ask() -> None:
        gate.wait(10)
        try:
            demo.people()
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert User.objects.count() == 3
    assert Transfer.objects.filter(kind="welcome").count() == 3


@pytest.mark.django_db
def test_whoever_is_there_already_stays_as_they_are(db):
    factories.create_user(demo.BEN, credits=7)
    assert demo.people()["ben"].wallet.available == 7
