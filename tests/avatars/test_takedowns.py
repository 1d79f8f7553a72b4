"""One act takes a picture down for good, with its links, its likes, its letters and its record.

Knows the factories, the verbs and the books.
"""

import io
import json
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from accounts import auditing as accounts_auditing
from accounts.models import Decision, Kind, Transfer
from avatars import (
    auditing,
    exporting,
    imaging,
    journal,
    moderation,
    replies,
    reviewing,
    safekeeping,
    sharing,
    storage,
    takedowns,
)
from avatars.models import (
    Avatar,
    BlockedPicture,
    Category,
    FileState,
    Quality,
    Removal,
    ReviewItem,
    ReviewKind,
    Share,
    State,
    StoredFile,
    Takedown,
)
from tests import factories
from tests.avatars import pictures
from tests.avatars.hanging import hang

pytestmark = pytest.mark.django_db


def hang_portrait(user, **fields) -> Avatar:
    """An avatar with a face on it, as the delivery stores and hashes it."""
    raw = pictures.encoded(pictures.avatar(), "PNG")
    made = imaging.render_avatar(raw, mark_id=uuid.uuid4().hex)
    file = factories.create_file(user, "avatars", "webp", made.master)
    thumb = factories.create_file(user, "avatars", "webp", made.thumb)
    return hang(user, file=file, thumb=thumb, near_hash=made.near_hash, **fields)


@pytest.fixture
def avatar(ada) -> Avatar:
    return hang_portrait(ada)


def remove(avatar: Avatar, mo, category=Category.SEXUAL, **fields) -> bool:
    """Whether a notice about it took it down."""
    return accept(factories.create_takedown(avatar), mo, category=category, **fields) == 1


def accept(takedown: Takedown, mo, **fields) -> int:
    named = {
        "category": Category.PEOPLE,
        "reason": "seen",
        "give_back": False,
        "checked": ["shows"],
        "now": timezone.now(),
        **fields,
    }
    return takedowns.accept(takedown, actor=mo, **named)


def books() -> list[object]:
    return [*accounts_auditing.findings(), *auditing.findings(files=True, contents=True)]


def test_a_removed_picture_is_gone_with_every_size_and_its_link(avatar, mo, client):
    share = factories.create_share(avatar)
    keys = [avatar.file.key, avatar.thumb.key]
    assert remove(avatar, mo)
    avatar.refresh_from_db()
    assert (avatar.hidden, avatar.file, avatar.thumb) == (True, None, None)
    assert set(StoredFile.objects.filter(key__in=keys).values_list("state", flat=True)) == {
        FileState.DOOMED
    }
    assert client.get(f"/s/{share.token}/").status_code == 410
    share.refresh_from_db()
    assert share.state == Share.State.REMOVED
    safekeeping.erase_due()
    assert not StoredFile.objects.filter(key__in=keys).exists()
    for key in keys:
        with pytest.raises(storage.Missing):
            storage.read(key)
    assert books() == []


def test_removing_twice_is_removing_once_and_credits_asked_for_later_come_once(avatar, mo):
    assert (remove(avatar, mo), remove(avatar, mo)) == (True, False)
    assert Decision.objects.filter(act="picture_taken_down").count() == 1
    assert not Transfer.objects.filter(kind=Kind.GOODWILL).exists()
    for _twice in range(2):
        assert not remove(avatar, mo, give_back=True)
    assert Removal.objects.get().credits_back == 1
    assert Transfer.objects.filter(kind=Kind.GOODWILL).count() == 1
    assert books() == []


def test_it_stays_charged_unless_staff_give_the_credits_back(ada, mo):
    wish = factories.create_request_in(State.READY, ada, quality=Quality.FINE)
    kept, given = hang(ada), factories.create_avatar(ada, wish)
    ada.wallet.refresh_from_db()
    before = ada.wallet.available
    remove(kept, mo)
    remove(given, mo, give_back=True)
    ada.wallet.refresh_from_db()
    assert ada.wallet.available - before == 2
    transfer = Transfer.objects.get(kind=Kind.GOODWILL)
    assert (transfer.reference, transfer.amount, transfer.actor) == (
        f"goodwill:{wish.public_id}",
        2,
        mo,
    )
    assert transfer.note == "Given back by our staff: sexual content"
    assert [removal.credits_back for removal in Removal.objects.order_by("pk")] == [0, 2]
    assert books() == []


def test_a_gift_cost_nothing_and_gives_nothing_back(ada, mo):
    failed = factories.create_request_in(State.FAILED, ada)
    gift = factories.create_avatar(ada, failed, gift=True)
    assert remove(gift, mo, give_back=True)
    assert (
        Removal.objects.get().credits_back,
        Transfer.objects.filter(kind="goodwill").count(),
    ) == (
        0,
        0,
    )
    assert books() == []


def test_the_act_is_on_record_with_who_whose_and_why(avatar, ada, mo):
    remove(avatar, mo, Category.HATE, reason="a symbol on the flag", give_back=True)
    decision = Decision.objects.about("avatar", avatar.public_id).get()
    assert (decision.actor, decision.person, decision.act) == (mo, ada, "picture_taken_down")
    # What staff wrote about the notice is not about its owner, who may read this.
    assert (decision.category, decision.reason) == ("hate", "hate")
    assert decision.after == {"credits_back": 1, "evidence_kept": False}
    record = Decision.objects.get(act="takedown_accepted")
    assert (record.person, record.reason) == (None, "a symbol on the flag")


def test_under_18_keeps_the_files_as_evidence_where_nobody_sees_them(avatar, mo, client, ada):
    share = factories.create_share(avatar)
    Avatar.objects.filter(pk=avatar.pk).update(trashed_at=timezone.now() - timedelta(days=31))
    remove(avatar, mo, Category.MINORS)
    safekeeping.erase_due()
    avatar.refresh_from_db()
    assert storage.read(avatar.master_key)
    assert client.get(f"/s/{share.token}/picture.webp").status_code == 410
    client.force_login(ada)
    for path in ("download/jpeg/", "share/", "purge/"):
        assert client.get(f"/gallery/{avatar.public_id}/{path}").status_code in (404, 405)
    assert client.post(f"/gallery/{avatar.public_id}/purge/").status_code == 404
    assert books() == []


@pytest.mark.parametrize("kind", ["trashed", "purged"])
def test_what_its_owner_deleted_before_is_removed_and_blocked_all_the_same(avatar, mo, kind):
    if kind == "trashed":
        avatar.trash(timezone.now())
    else:
        safekeeping.purge(avatar)
    avatar.refresh_from_db()
    assert remove(avatar, mo)
    assert BlockedPicture.objects.filter(digest=avatar.near_hash).exists()
    assert books() == []


def test_storage_away_does_not_keep_a_picture_up(avatar, mo, monkeypatch):
    def away(_key: str) -> bytes:
        raise storage.StorageAway("timeout")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "read", away)
        assert remove(avatar, mo)
    near = BlockedPicture.objects.filter(kind=BlockedPicture.Kind.NEAR)
    assert [row.digest for row in near] == [avatar.near_hash]
    assert books() == []


def test_no_export_made_before_holds_a_removed_picture(avatar, mo, ada):
    exporting.ask(ada, timezone.now())
    exporting.prepare_due()
    export = ada.exports.get()
    key = export.file.key
    assert storage.pieces(key)
    remove(avatar, mo)
    safekeeping.erase_due()
    export.refresh_from_db()
    assert export.file is None
    with pytest.raises(storage.Missing):
        storage.read(key)


def test_neither_side_learns_who_the_other_is(avatar, ada, mo, client, mailoutbox):
    """On any page, in any letter, and in the owner's own export."""
    type(ada).objects.filter(pk=ada.pk).update(display_name="Ada Lovelace")
    share = factories.create_share(avatar)
    takedown = factories.create_takedown(avatar, links=f"http://127.0.0.1:8000/s/{share.token}/")
    status = reverse("report_status", args=[takedown.number])
    to_reporter = [client.get(status).content.decode()]
    accept(takedown, mo, reason="Cleo Doe wrote twice, cleo@example.org")
    replies.send_due()
    to_reporter += [client.get(status).content.decode()]
    client.force_login(ada)
    to_owner = [
        client.get(reverse(name, args=[number])).content.decode()
        for name, number in (
            ("avatar", avatar.public_id),
            ("job", avatar.request.public_id),
            ("job_receipt", avatar.request.public_id),
        )
    ]
    to_owner += [json.dumps(list(rows), default=str) for _name, rows in exporting.tables(ada)]
    for letter in mailoutbox:
        side = to_owner if letter.to == [ada.email] else to_reporter
        side.append(f"{letter.subject} {letter.body}")
    assert (len(mailoutbox), len(to_reporter)) == (2, 3)
    reporter = ("Cleo", "cleo@", takedown.number, takedown.what)
    owner = (ada.email, "Lovelace", str(avatar.public_id), avatar.request.prompt, share.token)
    assert [word for text in to_owner for word in reporter if word in text] == []
    assert [word for text in to_reporter for word in owner if word in text] == []


def test_the_audit_finds_what_was_removed_and_is_still_there(avatar, mo, ada):
    file, thumb = avatar.file, avatar.thumb
    share = factories.create_share(avatar)
    remove(avatar, mo)
    Avatar.objects.filter(pk=avatar.pk).update(hidden=False, file=file, thumb=thumb)
    Share.objects.filter(pk=share.pk).update(state=Share.State.LIVE, ended_at=None)
    assert [found.sentence for found in auditing.findings() if found.invariant == "I18"] == [
        "removed and still shown",
        "removed and linked",
        "removed for good and its file kept",
    ]


# ── It does not come back ───────────────────────────────────────────────────────────────────────


def photo_of(content: bytes, user):
    return safekeeping.accept(user, content, consent=factories.create_consent(user))


def as_jpeg(content: bytes, *, trim: float = 0.0, scale: float = 1.0) -> bytes:
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    x, y = int(picture.width * trim), int(picture.height * trim)
    picture = picture.crop((x, y, picture.width - x, picture.height - y))
    picture = picture.resize((int(picture.width * scale), int(picture.height * scale)))
    return pictures.encoded(picture, "JPEG", quality=70)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content,
        lambda content: imaging.download_as(content, "jpeg"),
        lambda content: imaging.download_as(content, "png"),
        as_jpeg,
        lambda content: as_jpeg(content, scale=0.6),
        lambda content: as_jpeg(content, trim=0.03),
    ],
    ids=["as made", "downloaded jpeg", "downloaded png", "saved anew", "smaller", "trimmed"],
)
def test_a_removed_picture_is_refused_as_a_photo(avatar, mo, ben, change):
    content = change(storage.read(avatar.master_key))
    photo_of(content, ben)  # until it was removed, it was a photo like any other
    remove(avatar, mo)
    before = StoredFile.objects.filter(user=ben).count()
    with pytest.raises(safekeeping.PhotoBlocked):
        photo_of(content, ben)
    assert StoredFile.objects.filter(user=ben).count() == before


def test_other_peoples_photos_still_come_in(avatar, mo, ben):
    remove(avatar, mo)
    assert photo_of(factories.portrait(), ben).pk


def test_a_blocked_upload_is_told_in_one_sentence(avatar, mo, ben, client):
    content = storage.read(avatar.master_key)
    remove(avatar, mo)
    factories.create_consent(ben)
    client.force_login(ben)
    upload = io.BytesIO(content)
    upload.name = "face.webp"
    answer = client.post("/faces/new/", {"photo": upload, "keep": "30d"})
    assert answer.status_code == 422
    sentence = "This photo can&#x27;t be used: it looks the same as a picture that was removed for"
    assert sentence in answer.content.decode()


def test_a_picture_like_a_removed_one_shows_nothing_until_a_person_has_looked(
    avatar, mo, ben, client
):
    bens, other = hang_portrait(ben), hang(ben, near_hash="0123456789abcdef" * 4)
    remove(avatar, mo)
    share = factories.create_share(bens)
    item = ReviewItem.objects.get()
    assert (item.kind, item.avatar, share.state) == ("lookalike", bens, Share.State.REVIEW)
    assert client.get(f"/s/{share.token}/").status_code == 410
    client.force_login(ben)
    text = client.get(reverse("avatar_share", args=[bens.public_id])).content.decode()
    assert "This picture looks like one we removed for good, so a person looks at it first." in text
    assert factories.create_share(other).state == Share.State.LIVE
    moderation.keep(item, mo)
    assert client.get(f"/s/{share.token}/").status_code == 200
    # Seen once, it is not asked about again.
    sharing.stop(bens, timezone.now())
    assert factories.create_share(bens).state == Share.State.LIVE
    assert not ReviewItem.objects.waiting().filter(avatar=bens).exists()


def test_what_a_person_let_show_by_mistake_is_held_again_by_an_undo(avatar, mo, ben):
    bens = hang_portrait(ben)
    remove(avatar, mo)
    share = factories.create_share(bens)
    item = ReviewItem.objects.get(kind=ReviewKind.LOOKALIKE)
    moderation.keep(item, mo)
    moderation.undo(item, mo)
    share.refresh_from_db()
    assert share.state == Share.State.REVIEW
    moderation.remove(item, mo, Category.SEXUAL)
    share.refresh_from_db()
    assert share.state == Share.State.REMOVED


def test_a_grave_notice_still_holds_what_a_moderator_found_unlike(avatar, mo, ben):
    bens = hang_portrait(ben)
    remove(avatar, mo)
    share = factories.create_share(bens)
    notice = factories.create_takedown(bens, kind="intimate")
    takedowns.refuse(notice, actor=mo, reason="No.", now=timezone.now())
    share.refresh_from_db()
    assert share.state == Share.State.REVIEW
    again = factories.create_takedown(bens, kind="other")
    assert not again.holds
    moderation.keep(ReviewItem.objects.get(), mo)
    share.refresh_from_db()
    assert share.state == Share.State.LIVE


@pytest.mark.parametrize(
    ("category", "is_blocked"),
    [(Category.PEOPLE, True), (Category.MINORS, True), (Category.SPAM, False)],
)
def test_the_photo_of_somebody_who_never_agreed_does_not_come_back_either(
    ada, ben, mo, category, is_blocked
):
    content = factories.portrait()
    photo = photo_of(content, ada)
    wish = factories.create_request_in(State.READY, ada, photo=photo)
    remove(factories.create_avatar(ada, wish, near_hash="0123456789abcdef" * 4), mo, category)
    if is_blocked:
        with pytest.raises(safekeeping.PhotoBlocked):
            photo_of(content, ben)
    else:
        assert photo_of(content, ben).pk


# ── A notice ────────────────────────────────────────────────────────────────────────────────────


def test_an_accepted_notice_removes_all_its_pictures_at_once(ada, ben, mo):
    hers, his = hang_portrait(ada), hang(ben, near_hash="0123456789abcdef" * 4)
    bystander = hang(ben, near_hash="fedcba9876543210" * 4)
    takedown = factories.create_takedown(hers, his)
    assert accept(takedown, mo) == 2
    takedown.refresh_from_db()
    assert (takedown.state, takedown.category) == (Takedown.State.REMOVED, "people")
    assert list(Avatar.objects.filter(hidden=False)) == [bystander]
    record = Decision.objects.about("takedown", takedown.number).get()
    assert (record.act, record.after) == (
        "takedown_accepted",
        {"pictures": 2, "checked": ["shows"]},
    )
    assert books() == []


def test_a_second_notice_about_a_removed_picture_is_answered_too(avatar, mo):
    first, second = (factories.create_takedown(avatar) for _ in range(2))
    assert (accept(first, mo), accept(second, mo)) == (1, 0)
    assert Removal.objects.count() == 1
    assert Takedown.objects.filter(state=Takedown.State.REMOVED).count() == 2


def test_a_notice_is_decided_once(avatar, mo):
    takedown = factories.create_takedown(avatar)
    stale = Takedown.objects.get(pk=takedown.pk)
    takedowns.refuse(takedown, actor=mo, reason="It is a teapot.", now=timezone.now())
    with pytest.raises(takedowns.DecidedMeanwhile):
        accept(stale, mo)
    with pytest.raises(takedowns.DecidedMeanwhile):
        takedowns.refuse(stale, actor=mo, reason="Again.", now=timezone.now())
    avatar.refresh_from_db()
    assert (avatar.hidden, Decision.objects.count()) == (False, 1)


def test_a_crash_before_the_end_leaves_the_notice_as_it_was(avatar, mo, client, monkeypatch):
    share = factories.create_share(avatar)
    takedown = factories.create_takedown(avatar)

    def crash(*_arguments: object, **_fields: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(takedowns, "decide", crash)
        with pytest.raises(KeyboardInterrupt):
            accept(takedown, mo)
    takedown.refresh_from_db()
    assert takedown.state == Takedown.State.OPEN
    assert client.get(f"/s/{share.token}/").status_code == 200
    assert not BlockedPicture.objects.exists()
    assert accept(takedown, mo) == 1
    assert books() == []


def test_a_decision_without_its_why_is_refused_by_the_database(avatar):
    takedown = factories.create_takedown(avatar)
    now = timezone.now()
    for fields in (
        {"state": Takedown.State.REMOVED, "decided_at": now},
        {"state": Takedown.State.REFUSED, "decided_at": now},
        {"state": Takedown.State.REFUSED, "answer": "No."},
        {"decided_at": now},
    ):
        with pytest.raises(IntegrityError, match="takedown_decided"), transaction.atomic():
            Takedown.objects.filter(pk=takedown.pk).update(**fields)


def test_staff_are_called_once_in_the_last_six_hours(avatar, caplog):
    now = timezone.now()
    near = factories.create_takedown(avatar, now=now - timedelta(hours=43))
    factories.create_takedown(avatar, now=now - timedelta(hours=41))
    assert [takedowns.call_staff(now), takedowns.call_staff(now)] == [1, 0]
    said = [record for record in caplog.records if record.name == "likeness.staff"]
    assert [record.levelname for record in said] == ["ERROR"]
    assert f"takedown {near.pk} must be decided by" in said[0].getMessage()
    assert near.number not in caplog.text


# ── Both desks ──────────────────────────────────────────────────────────────────────────────────


def reported(avatar: Avatar) -> ReviewItem:
    return moderation.put_on_desk(ReviewKind.REPORT, avatar=avatar)


def test_a_takedown_makes_the_moderators_removal_final(avatar, mo, ada):
    factories.create_share(avatar)
    item = reported(avatar)
    moderation.remove(item, mo, Category.SPAM)
    keys = [avatar.file.key, avatar.thumb.key]
    assert remove(avatar, mo)
    removal = Removal.objects.get()
    assert (removal.is_final, removal.category) == (True, "sexual")
    assert set(StoredFile.objects.filter(key__in=keys).values_list("state", flat=True)) == {
        FileState.DOOMED
    }
    with pytest.raises(reviewing.Stale):
        moderation.undo(item, mo)
    assert BlockedPicture.objects.filter(digest=avatar.near_hash).exists()
    assert Decision.objects.filter(act="decision_undone").count() == 0
    assert books() == []


@pytest.mark.parametrize("first", ["moderators", "takedown"])
def test_evidence_stays_evidence_whoever_called_it_so(avatar, mo, first):
    Avatar.objects.filter(pk=avatar.pk).update(trashed_at=timezone.now() - timedelta(days=29))
    if first == "moderators":
        moderation.remove(reported(avatar), mo, Category.MINORS)
        remove(avatar, mo, Category.SPAM)
    else:
        item = reported(avatar)
        remove(avatar, mo, Category.MINORS)
        moderation.remove(item, mo, Category.SPAM)
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        safekeeping.erase_due()
    avatar.refresh_from_db()
    assert storage.read(avatar.master_key)
    assert (avatar.hidden, Removal.objects.get().category) == (True, "minors")


def test_what_a_notice_says_is_under_18_waits_at_the_desk_for_leads(avatar, mo):
    first = moderation.put_on_desk(ReviewKind.FIRST_SHARE, avatar=avatar)
    remove(avatar, mo, Category.MINORS)
    sam = factories.create_moderator()
    items = ReviewItem.objects.filter(avatar=avatar).waiting()
    assert set(items.values_list("kind", "category", "leads_only")) == {
        ("first_share", "minors", True),
        ("report", "minors", True),
    }
    with pytest.raises(reviewing.ForLeads):
        moderation.keep(first, sam)
    # Whatever a lead finds, it stays away and stays evidence.
    moderation.keep(items.get(kind="report"), mo)
    avatar.refresh_from_db()
    assert (avatar.hidden, avatar.file is None) == (True, False)
    assert books() == []


def test_evidence_is_not_put_up_again_by_an_undo(avatar, mo):
    item = reported(avatar)
    moderation.remove(item, mo, Category.SPAM)
    remove(avatar, mo, Category.MINORS)
    with pytest.raises(reviewing.Stale):
        moderation.undo(item, mo)
    avatar.refresh_from_db()
    assert avatar.hidden


def test_an_undo_brings_the_link_back_and_an_appeal_does_not(avatar, mo, client):
    share = factories.create_share(avatar)
    item = reported(avatar)
    moderation.remove(item, mo, Category.SPAM)
    share.refresh_from_db()
    assert share.state == Share.State.REMOVED
    moderation.undo(item, mo)
    assert client.get(f"/s/{share.token}/").status_code == 200
    assert not Removal.objects.exists()
    moderation.remove(item, mo, Category.SPAM)
    appeal = moderation.put_on_desk(ReviewKind.APPEAL, avatar=avatar)
    moderation.answer(appeal, mo, granted=True)
    assert client.get(f"/s/{share.token}/").status_code == 410
    avatar.refresh_from_db()
    assert (avatar.hidden, Removal.objects.exists()) == (False, False)


def test_an_undo_leaves_a_link_held_by_a_notice_of_meanwhile(avatar, mo):
    share = factories.create_share(avatar)
    item = reported(avatar)
    moderation.remove(item, mo, Category.SPAM)
    factories.create_takedown(avatar, kind="intimate")
    moderation.undo(item, mo)
    share.refresh_from_db()
    assert share.state == Share.State.REVIEW


def test_a_note_written_after_a_removal_does_not_hide_it_from_the_undo(avatar, mo):
    item = reported(avatar)
    moderation.remove(item, mo, Category.SPAM)
    reviewing.add_note(item, mo, "on second thoughts")
    moderation.undo(item, mo)
    avatar.refresh_from_db()
    assert not avatar.hidden


def test_an_undo_puts_up_only_what_that_decision_took_down(avatar, mo):
    first = reported(avatar)
    second = moderation.put_on_desk(ReviewKind.FIRST_SHARE, avatar=avatar)
    moderation.remove(first, mo, Category.SPAM)
    moderation.remove(second, mo, Category.SPAM, gift=True)
    moderation.undo(second, mo)
    avatar.refresh_from_db()
    assert avatar.hidden
    assert Removal.objects.get().credits_back == 1
    assert Transfer.objects.filter(kind=Kind.GOODWILL).count() == 1


# ── The owner ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("give_back", "sentence"),
    [(False, "It stays charged: 1 credit."), (True, "We gave you 1 credit back as a gift.")],
)
def test_its_owner_reads_why_and_what_it_cost(client, avatar, ada, ben, mo, give_back, sentence):
    remove(avatar, mo, Category.COPYRIGHT, give_back=give_back)
    path = reverse("avatar", args=[avatar.public_id])
    client.force_login(ada)
    text = client.get(path).content.decode()
    assert "We removed this picture: it belongs to somebody else." in text
    assert sentence in text
    assert "seen" not in text
    job = client.get(reverse("job", args=[avatar.request.public_id])).content.decode()
    assert f'href="{path}"' in job
    assert str(avatar.public_id) not in client.get("/gallery/").content.decode()
    client.force_login(ben)
    assert client.get(path).status_code == 404


def test_the_journal_still_writes_after_a_removal(avatar, mo, ada):
    remove(avatar, mo)
    assert journal.write("avatars", "webp", b"x", ada, timezone.now()).pk


def test_who_sent_a_notice_is_forgotten_a_year_after_the_decision(avatar, ben, mo):
    open_still = factories.create_takedown(hang_portrait(ben))
    old = factories.create_takedown(avatar)
    accept(old, mo)
    replies.send_due()
    later = timezone.now() + timedelta(days=365)
    assert Takedown.objects.forget_senders(later - timedelta(hours=1)) == 0
    assert Takedown.objects.forget_senders(later) == 1
    old.refresh_from_db()
    assert (old.name, old.contact, old.what, old.links) == ("", "", "", "")
    assert (old.state, old.category) == (Takedown.State.REMOVED, Category.PEOPLE)
    open_still.refresh_from_db()
    assert open_still.contact == "cleo@example.org"
