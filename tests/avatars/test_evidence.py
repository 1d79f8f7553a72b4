"""A picture of somebody under 18: kept for its period whatever its owner does, and no longer.

Knows the verbs, the desk's and the takedowns', a whole life and the letters.
"""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts import closing, notices
from accounts.models import Decision
from avatars import auditing, moderation, safekeeping, storage
from avatars.models import Avatar, Category, Evidence, ReviewItem, StoredFile
from avatars.models.avatars import TRASH_PERIOD
from avatars.models.evidence import EVIDENCE_PERIOD
from tests import factories, lives

pytestmark = pytest.mark.django_db


@pytest.fixture
def lee(db):
    return factories.create_moderator("lee@example.org", lead=True)


def removed_at_the_desk(ada, lee) -> Avatar:
    item = factories.create_reported(ada)
    assert moderation.remove(item, lee, Category.MINORS)
    return item.avatar


def removed_by_a_notice(ada, lee) -> Avatar:
    avatar = factories.create_avatar(ada)
    assert factories.take_down(avatar, lee, Category.MINORS)
    assert moderation.remove(ReviewItem.objects.waiting().get(), lee, Category.MINORS)
    return avatar


@pytest.fixture(params=[removed_at_the_desk, removed_by_a_notice])
def evidence(request, ada, lee) -> Avatar:
    avatar = request.param(ada, lee)
    avatar.refresh_from_db()
    return avatar


def at(moment):
    return time_machine.travel(moment)


def test_it_is_kept_a_year_and_then_goes_by_itself(evidence):
    key = evidence.master_key
    with at(timezone.now() + EVIDENCE_PERIOD - timedelta(hours=1)):
        safekeeping.erase_due()
        assert storage.read(key) == b"master"
    with at(timezone.now() + EVIDENCE_PERIOD + timedelta(hours=1)):
        safekeeping.erase_due()
    assert key not in lives.objects()
    evidence.refresh_from_db()
    assert (evidence.file, evidence.evidence_until, evidence.hidden) == (None, None, True)
    assert auditing.findings(files=True) == []


def test_what_its_owner_had_put_into_the_trash_does_not_go_with_the_trash(ada, lee):
    item = factories.create_reported(ada)
    item.avatar.trash(timezone.now())
    assert moderation.remove(item, lee, Category.MINORS)
    with at(timezone.now() + TRASH_PERIOD + timedelta(days=1)):
        safekeeping.erase_due()
    assert storage.read(item.avatar.master_key) == b"master"


def test_found_just_as_the_trash_is_emptied_it_stays(ada, lee):
    item = factories.create_reported(ada)
    item.avatar.trash(timezone.now())
    stale = Avatar.objects.get(pk=item.avatar_id)
    assert moderation.remove(item, lee, Category.MINORS)
    assert not safekeeping.purge(stale)


def test_a_finding_that_was_undone_keeps_nothing(ada, lee):
    item = factories.create_reported(ada)
    assert moderation.remove(item, lee, Category.MINORS)
    moderation.undo(item, lee)
    assert not Avatar.objects.evidence(timezone.now()).exists()


def test_a_closed_account_leaves_the_picture_its_words_and_its_address_and_no_more(
    evidence, ada, ben, mailoutbox
):
    bens = factories.create_avatar(ben)
    words, key = evidence.request.prompt, evidence.master_key
    factories.create_avatar(ada)
    begun = closing.close(ada, timezone.now(), at_once=True)
    lives.leave_for_good()
    assert lives.references(ada.pk) == []
    theirs = {bens.request.photo.file.key, bens.request.photo.thumb.key}
    assert lives.objects() == {key, bens.master_key, bens.thumb_key, *theirs}
    [kept] = Evidence.objects.all()
    assert (kept.number, kept.address, kept.words) == (evidence.public_id, ada.email, words)
    assert kept.keep_until == evidence.evidence_until
    assert (kept.file.key, kept.file.user) == (key, None)
    decided = Decision.objects.about("avatar", kept.number).filter(act__startswith="picture_")
    assert {one.person for one in decided} == {None}
    notices.tell_of_closings(timezone.now() + timedelta(hours=1))
    assert lives.traces("ada@example.org") == ["avatars_evidence.address: ada@example.org"]
    [letter] = mailoutbox
    assert "Kept as evidence, a year at most" in letter.body
    assert "1 picture that we removed because it shows somebody under 18" in letter.body
    assert "we forget your address" not in letter.body
    begun.refresh_from_db()
    assert (begun.counts["evidence"], begun.counts["avatars"]) == (1, 1)
    assert [*accounts_auditing.findings(), *auditing.findings(files=True)] == []


def test_after_its_year_nothing_names_the_person_any_more(evidence, ada):
    closing.close(ada, timezone.now(), at_once=True)
    lives.leave_for_good()
    notices.tell_of_closings(timezone.now() + timedelta(hours=1))
    with at(timezone.now() + EVIDENCE_PERIOD + timedelta(hours=1)):
        safekeeping.erase_due()
    assert not Evidence.objects.exists()
    assert lives.traces("ada@example.org") == []
    assert (lives.objects(), StoredFile.objects.count()) == (set(), 0)


def test_an_account_without_any_leaves_none_and_is_told_of_none(ada, mailoutbox):
    item = factories.create_reported(ada)
    moderation.remove(item, factories.create_moderator(), Category.SPAM)
    closing.close(ada, timezone.now(), at_once=True)
    lives.leave_for_good()
    notices.tell_of_closings(timezone.now() + timedelta(hours=1))
    assert not Evidence.objects.exists()
    assert "evidence" not in mailoutbox[0].body
    assert lives.objects() == set()


def test_leads_alone_see_what_is_kept(evidence, ada, lee, client):
    closing.close(ada, timezone.now(), at_once=True)
    lives.leave_for_good()
    [kept] = Evidence.objects.all()
    page = f"/admin/avatars/evidence/{kept.pk}/change/"
    client.force_login(factories.create_moderator())
    assert client.get(page).status_code == 403
    client.force_login(lee)
    shown = client.get(page).text
    assert "ada@example.org" in shown
    assert "p-blurred" in shown


def test_the_closing_page_says_so_before(ada, client):
    client.force_login(ada)
    client.post("/accounts/reauthenticate/", {"password": "correct horse battery"})
    told = "only a picture that we removed because it shows somebody under 18, if there is one"
    assert told in client.get("/settings/data/close/").text
