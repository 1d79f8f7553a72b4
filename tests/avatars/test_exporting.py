"""The export: everything the pages show, nobody else's, once, for a day, and never in memory.

Knows the verb, the storage, a whole life and the pages.
"""

import io
import json
import tracemalloc
import zipfile
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import Transfer, decide
from avatars import (
    auditing,
    exporting,
    moderation,
    notices,
    safekeeping,
    storage,
    tasks,
)
from avatars.models import (
    Avatar,
    Category,
    Export,
    FileState,
    State,
    StoredFile,
)
from avatars.models.exports import BUILD_LIMIT, LEASE, LINK_LIFE, MOST_TRIES, RETRY
from tests import factories, lives

pytestmark = pytest.mark.django_db


@pytest.fixture
def grace(db):
    return lives.live(exported=False)


def made(user) -> zipfile.ZipFile:
    exporting.ask(user, timezone.now())
    assert exporting.prepare_due() == 1
    file = lives.ready_export(user).file
    return zipfile.ZipFile(io.BytesIO(storage.read(file.key)))


def rows(box: zipfile.ZipFile, name: str) -> list[dict]:
    return json.loads(box.read(f"{name}.json"))


def test_the_zip_holds_every_picture_as_made_and_every_photo_as_kept(grace, ben):
    factories.create_avatar(ben)
    box = made(grace.user)
    kept = grace.avatars.filter(file__isnull=False)
    shown = {row["file"]: row for row in rows(box, "avatars") if row["file"]}
    photos = [row["file"] for row in rows(box, "photos") if row["file"]]
    names = set(box.namelist())
    assert len(shown) == kept.count() == 3
    assert {name for name in names if "/" in name} == {*shown, *photos}
    for avatar in kept:
        assert box.read(exporting.avatar_name(avatar)) == storage.read(avatar.master_key)
    [photo] = grace.photos.filter(deleted_at=None)
    assert box.read(photos[0]) == storage.read(photo.file.key)
    assert box.testzip() is None
    assert "This zip holds your face." in box.read("README.txt").decode()


def test_every_row_that_the_pages_show_is_in_it(grace, ben):
    decide(ben, "credits_given", person=ben, category="goodwill", reason="only for Ben")
    box = made(grace.user)
    requests = rows(box, "requests")
    assert [row["id"] for row in requests] == [
        str(pk) for pk in grace.requests.order_by("pk").values_list("public_id", flat=True)
    ]
    assert {row["state"] for row in requests} >= {*State} - {State.REJECTED}
    assert all(row["prompt"].startswith(lives.WORDS) for row in requests)
    transfers = rows(box, "transfers")
    assert len(transfers) == Transfer.objects.filter(wallet=grace.user.wallet).count()
    [profile] = rows(box, "profile")
    assert (profile["email"], profile["display_name"]) == (lives.EMAIL, lives.NAME)
    assert {entry["email"] for entry in profile["addresses"]} == {
        lives.EMAIL,
        "hopper.other@example.org",
    }
    assert [entry["uid"] for entry in profile["linked_accounts"]] == ["gh-at-the-service"]
    wallet = grace.user.wallet
    wallet.refresh_from_db()
    assert profile["credits"]["spendable"] == wallet.spendable
    purchases = rows(box, "purchases")
    assert [row["state"] for row in purchases] == ["paid", "paid", "open"]
    assert [len(row["refunds"]) for row in purchases] == [1, 0, 0]
    assert [row["address"] for row in rows(box, "consents")] == [lives.ADDRESS]
    assert [row["act"] for row in rows(box, "decisions")] == ["credits_given"]
    assert len(rows(box, "photos")) == grace.photos.count() == 2
    assert len(rows(box, "exports")) == 1
    whole = "".join(box.read(name).decode(errors="replace") for name in box.namelist())
    assert "only for Ben" not in whole
    assert "ben@example.org" not in whole


def test_the_balance_re_adds_from_the_transfers_of_the_zip(grace):
    box = made(grace.user)
    signs = {"available": 1, "owed": 1}
    total = sum(
        row["amount"] * (signs.get(row["target"], 0) - signs.get(row["source"], 0))
        for row in rows(box, "transfers")
    )
    assert total == rows(box, "profile")[0]["credits"]["spendable"]


def test_a_photo_tells_where_it_has_been(grace):
    box = made(grace.user)
    used, deleted = sorted(rows(box, "photos"), key=lambda row: row["deleted_at"] or "")
    assert [event["what"] for event in deleted["timeline"]] == [
        "uploaded, cleaned and kept",
        "deleted for good",
    ]
    sent = [event for event in used["timeline"] if event["what"].startswith("sent to")]
    assert len(sent) == 4
    assert all(event["request"] for event in sent)


def test_a_picture_that_was_taken_down_is_told_of_and_not_given_out(ada):
    avatar = factories.create_avatar(ada, hidden=True)
    box = made(ada)
    [row] = rows(box, "avatars")
    assert (row["id"], row["taken_down"], row["file"]) == (str(avatar.public_id), True, None)
    assert not [name for name in box.namelist() if name.startswith("avatars/")]


def test_somebody_with_nothing_gets_a_zip_of_empty_lists(ben):
    box = made(ben)
    assert rows(box, "avatars") == rows(box, "requests") == rows(box, "transfers") == []


# ── Once, and for a day ─────────────────────────────────────────────────────────────────────────


def test_pressed_twice_it_is_made_once_and_two_a_day_are_enough(ada):
    now = timezone.now()
    first = exporting.ask(ada, now)
    assert exporting.ask(ada, now) == first
    exporting.prepare_due()
    second = exporting.ask(ada, now + timedelta(hours=1))
    assert second != first
    with time_machine.travel(now + timedelta(hours=1)):
        exporting.prepare_due()
    with pytest.raises(exporting.TooManyExports) as refused:
        exporting.ask(ada, now + timedelta(hours=2))
    assert refused.value.again_at == first.created_at + timedelta(days=1)
    assert exporting.ask(ada, now + timedelta(hours=24, minutes=1)) not in (first, second)


def test_after_a_day_the_file_goes_and_the_page_knows(ada):
    made(ada)
    with time_machine.travel(timezone.now() + LINK_LIFE + timedelta(seconds=1)):
        assert not Export.objects.ready(timezone.now()).exists()
        safekeeping.erase_due()
        assert storage.keys("exports") == set()
    assert [each.state for each in Export.objects.all()] == ["expired"]
    assert auditing.findings(files=True) == []


@pytest.mark.parametrize("what", ["photo", "avatar", "removed", "removed at the desk"])
def test_what_is_gone_for_good_does_not_live_on_in_an_export(ada, mo, what):
    photo, item = factories.create_photo(ada), factories.create_reported(ada)
    made(ada)
    if what == "photo":
        safekeeping.erase(photo)
    elif what == "avatar":
        safekeeping.purge(item.avatar)
    elif what == "removed":
        assert factories.take_down(item.avatar, mo)
    else:
        assert moderation.remove(item, mo, Category.SPAM)
    assert [each.state for each in Export.objects.all()] == ["expired"]
    safekeeping.erase_due()
    assert storage.keys("exports") == set()


def test_an_export_under_way_begins_anew_when_something_in_it_is_deleted(ada, ben):
    photo = factories.create_photo(ada)
    export = exporting.ask(ada, timezone.now())
    other = exporting.ask(ben, timezone.now())
    assert export.claim(timezone.now())
    safekeeping.erase(photo)
    assert not exporting.prepare(export)  # it may have read the photo before
    assert exporting.prepare_due() == 2
    box = zipfile.ZipFile(io.BytesIO(storage.read(lives.ready_export(ada).file.key)))
    assert not [name for name in box.namelist() if name.startswith("photos/")]
    assert Export.objects.get(pk=other.pk).state == "ready"


def test_a_zip_is_written_on_while_somebody_without_photos_withdraws(ada, monkeypatch):
    """Its row is not taken before its export's: whoever finishes one locks them that way round."""
    put = storage.put_file

    def withdrawn_meanwhile(key, content):
        put(key, content)
        safekeeping.withdraw(ada)

    monkeypatch.setattr(storage, "put_file", withdrawn_meanwhile)
    made(ada)


def test_a_dead_builder_is_followed_by_another_when_its_lease_has_run_out(ada):
    export = exporting.ask(ada, timezone.now())
    assert export.claim(timezone.now())
    assert exporting.prepare_due() == 0
    with time_machine.travel(timezone.now() + LEASE + timedelta(seconds=1)):
        assert exporting.prepare_due() == 1
    assert not exporting.prepare(export)  # the first one was only asleep
    lives.ready_export(ada)
    assert StoredFile.objects.filter(key__startswith="exports/", state=FileState.KEPT).count() == 1


def test_a_builder_is_stopped_long_before_another_would_follow_it():
    """A worker's own limit, or a large export would be begun for ever and never be ready."""
    limits = (tasks.make_exports.soft_time_limit, tasks.make_exports.time_limit)
    assert limits[0] == BUILD_LIMIT.total_seconds()
    assert timedelta(seconds=limits[1]) < LEASE
    assert RETRY * MOST_TRIES <= LEASE - BUILD_LIMIT  # what waits is not taken for being built


def test_an_export_that_kills_every_builder_ends(ada, monkeypatch, caplog):
    export = exporting.ask(ada, timezone.now())

    def dies(*_arguments: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "pack", dies)
        for number in range(MOST_TRIES):
            with time_machine.travel(timezone.now() + number * LEASE), pytest.raises(SystemExit):
                exporting.prepare_due()
    with time_machine.travel(timezone.now() + MOST_TRIES * LEASE):
        assert exporting.prepare_due() == 0
    export.refresh_from_db()
    assert (export.state, export.tries) == ("failed", MOST_TRIES)
    assert f"begun {MOST_TRIES} times in vain" in caplog.text
    assert exporting.ask(ada, timezone.now()) != export


def test_no_more_than_two_are_built_at_once(ada, ben, mo):
    asked = [exporting.ask(person, timezone.now()) for person in (ada, ben, mo)]
    assert [export.claim(timezone.now()) for export in asked[:2]] == [True, True]
    assert exporting.prepare_due() == 0
    assert exporting.prepare(asked[0])
    assert exporting.prepare_due() == 1
    assert exporting.prepare(asked[1])


def test_a_storage_that_is_away_puts_it_off_and_not_for_ever(ada, monkeypatch):
    factories.create_avatar(ada)
    export = exporting.ask(ada, timezone.now())

    def away(*_arguments: object) -> None:
        raise storage.StorageAway("away")

    monkeypatch.setattr(storage, "read", away)
    for number in range(1, MOST_TRIES + 1):
        Export.objects.update(due_at=timezone.now())
        assert exporting.prepare_due() == 0
        export.refresh_from_db()
        assert (export.tries, export.state == "failed") == (number, number == MOST_TRIES)
    monkeypatch.undo()
    again = exporting.ask(ada, timezone.now())  # what failed does not count
    exporting.ask(ada, timezone.now())
    assert exporting.prepare_due() == 1
    again.refresh_from_db()
    assert again.state == "ready"


def test_a_picture_purged_while_it_is_packed_is_left_out(ada, monkeypatch):
    factories.create_avatar(ada)
    read = storage.read

    def purged_first(key: str) -> bytes:
        if key.startswith("avatars/"):
            storage.remove(key)
        return read(key)

    monkeypatch.setattr(storage, "read", purged_first)
    box = made(ada)
    assert not [name for name in box.namelist() if name.startswith("avatars/")]


def test_memory_stays_small_however_large_the_zip_is(ada, monkeypatch):
    """Forty pictures of a megabyte each take a few megabytes, not forty."""
    picture = bytes(1_000_000)
    request = factories.create_request_in(State.READY, ada)
    for position in range(40):
        avatar = factories.create_avatar(ada, request, position=position)
        storage.put(avatar.file.key, picture)
    exporting.ask(ada, timezone.now())
    tracemalloc.start()
    assert exporting.prepare_due() == 1
    pieces = storage.pieces(lives.ready_export(ada).file.key)
    assert sum(len(piece) for piece in pieces) > 40_000_000
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_statements_do_not_grow_with_the_rows(ada, django_assert_max_num_queries):
    request = factories.create_request_in(State.READY, ada)
    for position in range(30):
        factories.create_avatar(ada, request, position=position)
    exporting.ask(ada, timezone.now())
    with django_assert_max_num_queries(40):
        exporting.prepare_due()
    assert Avatar.objects.count() == 30


def test_the_photos_page_counts_the_copy_in_an_export_while_there_is_one(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    page = f"/faces/{photo.public_id}/"
    assert "<strong>1 place</strong>" in client.get(page).text
    made(ada)
    assert "<strong>2 places</strong>" in client.get(page).text
    newer = factories.create_photo(ada)
    assert "<strong>1 place</strong>" in client.get(f"/faces/{newer.public_id}/").text
    Export.objects.all().void(timezone.now())
    assert "<strong>1 place</strong>" in client.get(page).text


# ── The letter ──────────────────────────────────────────────────────────────────────────────────


def test_its_owner_is_told_once_with_a_link_that_asks_for_the_password(ada, mailoutbox):
    made(ada)
    assert [notices.send_due(), notices.send_due()] == [1, 0]
    [letter] = mailoutbox
    assert letter.to == ["ada@example.org"]
    assert letter.subject == "Your data is ready to download"
    assert f"/settings/data/exports/{lives.ready_export(ada).public_id}/" in letter.body


def test_of_an_export_that_has_gone_nobody_is_told(ada, mailoutbox):
    made(ada)
    Export.objects.all().void(timezone.now())
    assert notices.send_due() == 0
    assert mailoutbox == []
