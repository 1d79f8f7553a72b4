"""The moderation desk: what a moderator sees, presses and cannot press; its price in queries.

Knows the pages through the client, and the verbs only to look at what came of a press.
"""

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import Decision, Quota, User
from avatars import moderation
from avatars.models import Avatar, AvatarRequest, Category, ReviewItem, ReviewKind, State
from avatars.models.near import HEX_DIGITS
from avatars.words import desk as words
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def sam(db) -> User:
    return factories.create_moderator()


@pytest.fixture
def sams(client, sam):
    client.force_login(sam)
    return client


@pytest.fixture
def lees(client):
    client.force_login(factories.create_moderator("lee@example.org", lead=True))
    return client


def path(item: ReviewItem, more: str = "") -> str:
    return f"/admin/moderation/{item.public_id}/{more}"


def press(client, item: ReviewItem, act: str, **fields):
    return client.post(path(item), {"act": act, **fields}, follow=True)


def outcome(item: ReviewItem) -> str:
    return ReviewItem.objects.values_list("outcome", flat=True).get(pk=item.pk)


def test_the_first_lines_say_why_it_is_here_and_until_when(sams, ada):
    with time_machine.travel("2026-11-22 10:00:00Z", tick=False):
        item = factories.create_held(ada)
    text = sams.get(path(item)).text
    assert "Held by the rules: a real person without consent." in text
    assert "Decide by 23 November 2026, 10:00; then the credits return by themselves." in text
    assert "as <mark>Taylor Swift</mark> on stage" in text
    assert "Well-known living people" in text
    assert ada.email in text


def test_a_picture_is_blurred_until_asked_for_and_gone_once_decided(sams, ada):
    item = factories.create_reported(ada)
    text = sams.get(path(item)).text
    assert 'class="p-desk__picture"' in text
    assert '<input type="checkbox" id="reveal" data-key="B">' in text
    assert "/m/signed/avatars/" in text
    assert "/m/signed/photos/" not in text
    press(sams, item, "keep")
    text = sams.get(path(item)).text
    assert "/m/signed/avatars/" not in text
    assert "Decided: the picture is not shown any more." in text


def test_start_takes_the_most_urgent_and_a_decision_takes_the_next(sams, sam, ada):
    first, second = factories.create_held(ada), factories.create_reported(ada)
    page = sams.post("/admin/moderation/next/", follow=True)
    assert page.redirect_chain == [(path(first), 302)]
    assert "Yours until" in page.text
    page = press(sams, first, "approve", note="her stage name")
    assert page.redirect_chain == [(path(second), 302)]
    assert "Approved: it joins the line." in page.text
    assert (outcome(first), second.claim(sam, timezone.now())) == ("approved", True)
    assert AvatarRequest.objects.get(pk=first.request_id).state == State.QUEUED
    assert Decision.objects.get().reason == "her stage name"
    page = press(sams, second, "keep")
    assert page.redirect_chain == [("/admin/moderation/", 302)]
    with_time = f"Last decision {timezone.now():%H}:"
    assert "Nothing waits." in page.text
    assert with_time in page.text


def test_looking_takes_nothing(sams, ada):
    item = factories.create_held(ada)
    sams.get("/admin/moderation/")
    assert "Nobody is looking at this." in sams.get(path(item)).text
    assert ReviewItem.objects.filter(claimed_by=None).count() == 1


def test_a_rejection_needs_a_reason_and_keeps_the_note(sams, ada):
    item = factories.create_held(ada)
    response = sams.post(path(item), {"act": "reject", "note": "looked <her> up"})
    # What the rules found is chosen already on the page, but a form without it decides nothing.
    assert (response.status_code, outcome(item)) == (422, "")
    assert str(words.REASON_MISSING) in response.text
    assert "looked &lt;her&gt; up</textarea>" in response.text
    press(sams, item, "reject", reason="sexual")
    assert ReviewItem.objects.get(pk=item.pk).category == "sexual"


def test_every_reason_shows_the_sentence_the_person_will_read(sams, ada):
    text = sams.get(path(factories.create_held(ada))).text
    assert text.count('name="reason"') == len(Category)
    assert "A reviewer said no: it spreads hate or shows its symbols." in text
    text = sams.get(path(factories.create_reported(ada))).text
    assert "We removed this picture: it spreads hate or shows its symbols." in text


@pytest.mark.parametrize("act", ["remove", "remove_gift", "remove_stop"])
def test_a_removal_can_be_undone_from_the_next_page(sams, ada, act):
    item = factories.create_reported(ada)
    page = press(sams, item, act, reason="spam")
    assert f'action="{path(item, "undo/")}"' in page.text
    sams.post(path(item, "undo/"))
    assert outcome(item) == ""
    assert 'class="p-desk__undo"' not in sams.get("/admin/moderation/").text
    press(sams, item, act, reason="spam")
    with time_machine.travel(timezone.now() + timedelta(minutes=5), tick=False):
        assert 'class="p-desk__undo"' not in sams.get("/admin/moderation/").text
        assert "too late" in sams.post(path(item, "undo/"), follow=True).text
    assert outcome(item) in ("removed", "gifted")


def test_a_rejection_offers_no_undo(sams, ada):
    page = press(sams, factories.create_held(ada), "reject", reason="hate")
    assert 'class="p-desk__undo"' not in page.text


def test_who_comes_too_late_reads_who_decided(sams, ada):
    item = factories.create_held(ada)
    moderation.approve(item, factories.create_moderator("kim@example.org"))
    page = press(sams, item, "reject", reason="hate")
    assert "Kim decided this" in page.text
    assert "approved." in page.text
    assert outcome(item) == "approved"


def test_an_item_before_other_eyes_says_whose(sams, ada):
    item = factories.create_held(ada)
    item.claim(factories.create_moderator("kim@example.org"), timezone.now())
    assert "Kim is looking at this." in sams.get(path(item)).text
    assert "Kim is looking at this." in press(sams, item, "approve").text
    assert outcome(item) == ""


def test_under_eighteen_locks_it_and_hides_it_from_all_but_leads(sams, client, ada):
    item = factories.create_reported(ada, why="she is 15")
    page = press(sams, item, "remove", reason="minors")
    assert str(words.LOCKED) in page.text
    text = sams.get(path(item)).text
    assert "This is for a lead." in text
    assert "she is 15" not in text
    assert "/m/signed/" not in text
    client.force_login(factories.create_moderator("lee@example.org", lead=True))
    text = client.get(path(item)).text
    assert str(words.CHECKLIST[0]) in text
    press(client, item, "remove", reason="minors")
    assert outcome(item) == "removed"


def test_put_back_escalate_note_next_and_previous(sams, ada):
    now = timezone.now()
    one, two, three = (
        factories.create_reported(ada, deadline_at=now + timedelta(hours=hours))
        for hours in (20, 30, 40)
    )
    assert press(sams, one, "next").redirect_chain == [(path(two), 302)]
    assert press(sams, two, "previous").redirect_chain == [(path(one), 302)]
    assert press(sams, one, "note").status_code == 422
    assert "Noted." in press(sams, one, "note", note="ask Kim").text
    assert "ask Kim" in sams.get(path(one)).text
    assert press(sams, one, "put_back").redirect_chain == [(path(two), 302)]
    assert press(sams, two, "escalate").redirect_chain == [(path(three), 302)]
    waiting = ReviewItem.objects.waiting().order_by("pk")
    assert list(waiting.values_list("leads_only", flat=True)) == [False, True, False]


def test_keys_can_be_switched_off_and_on_again(sams, ada):
    item = factories.create_held(ada)
    assert "js/desk.js" in sams.get(path(item)).text
    sams.post("/admin/moderation/keys/", {"item": str(item.public_id)})
    text = sams.get(path(item)).text
    assert "js/desk.js" not in text
    assert "data-desk" not in text
    sams.post("/admin/moderation/keys/", {"item": "nonsense"})
    assert "js/desk.js" in sams.get(path(item)).text


def test_clear_cases_are_decided_together_and_at_most_fifty(sams, ada, ben):
    held = [factories.create_held(ada) for _ in range(2)]
    reported = factories.create_reported(ben)
    chosen = [str(item.public_id) for item in (*held, reported)] + ["nonsense"]
    page = sams.post("/admin/moderation/clear/", {"act": "against", "item": chosen}, follow=True)
    assert "Choose items, and a reason" in page.text
    form = {"act": "against", "reason": "spam", "item": chosen}
    page = sams.post("/admin/moderation/clear/", form, follow=True)
    assert "3 items decided." in page.text
    assert [outcome(item) for item in (*held, reported)] == ["rejected", "rejected", "removed"]
    assert User.objects.filter(suspended_at__isnull=False).count() == 0
    young = factories.create_held(ada)
    form = {"act": "against", "reason": "minors", "item": [str(young.public_id)]}
    page = sams.post("/admin/moderation/clear/", form, follow=True)
    assert "0 items decided." in page.text
    assert str(words.LOCKED) in page.text
    many = ["nonsense"] * 50 + [str(factories.create_held(ada).public_id)]
    sams.post("/admin/moderation/clear/", {"act": "fine", "item": many})
    assert ReviewItem.objects.waiting().count() == 2


def test_one_of_the_list_that_somebody_else_has_is_left_and_named(sams, ada):
    mine, kims = factories.create_held(ada), factories.create_held(ada)
    kims.claim(factories.create_moderator("kim@example.org"), timezone.now())
    form = {"act": "fine", "item": [str(mine.public_id), str(kims.public_id)]}
    page = sams.post("/admin/moderation/clear/", form, follow=True)
    assert "1 item decided." in page.text
    assert "Kim is looking at this." in page.text


def test_only_leads_reach_the_suspension_and_come_back_from_it(sams, client, ada, mailoutbox):
    item = factories.create_held(ada)
    there = f"/admin/people/{ada.pk}/suspend/?next={path(item)}"
    assert there not in sams.get(path(item)).text
    assert sams.get(there).status_code == 403
    lee = factories.create_moderator("lee@example.org", lead=True)
    lee.user_permissions.add(Permission.objects.get(codename="suspend_user"))
    client.force_login(lee)
    assert f'href="{there}"' in client.get(path(item)).text
    assert client.post(there, {"reason": " "}).status_code == 422
    elsewhere = there.replace(path(item), "//evil.example/")
    assert "evil.example" not in client.get(elsewhere).text.split("<main")[-1]
    assert f'href="{path(item)}">Cancel' in client.post(there, {"reason": "spam all day"}).text
    sent = client.post(there, {"reason": "spam all day", "confirmed": "yes"}, follow=True)
    assert sent.redirect_chain == [(path(item), 302)]
    ada.refresh_from_db()
    assert ada.suspended_at is not None
    assert [letter.to for letter in mailoutbox] == [[ada.email]]
    assert there not in client.get(path(item)).text
    # The descriptions that wait are decided all the same; what is approved is still drawn.
    press(client, item, "approve")
    assert AvatarRequest.objects.get(pk=item.request_id).state == State.QUEUED


def test_nobody_sees_who_reported_their_own_picture(client, ada):
    boss = factories.create_moderator("boss@example.org", lead=True)
    item = factories.create_reported(boss, why="written by Ben")
    client.force_login(boss)
    text = client.get(path(item)).text
    assert "Somebody else has to decide this one." in text
    assert "written by Ben" not in text


def test_an_appeal_is_granted_or_denied(sams, ada):
    kim = factories.create_moderator("kim@example.org")
    item = factories.create_reported(ada)
    moderation.remove(item, kim, Category.SPAM)
    appeal = moderation.put_on_desk(
        ReviewKind.APPEAL, avatar=item.avatar, why="It is my own shop", not_for=kim
    )
    text = sams.get(path(appeal)).text
    assert "An appeal: the picture was removed." in text
    assert "It is my own shop" in text
    press(sams, appeal, "grant")
    assert outcome(appeal) == "granted"


def test_an_act_that_is_not_on_the_page_is_refused(sams, ada):
    item = factories.create_held(ada)
    for act in ("remove", "keep", "grant", "", "drop table"):
        assert sams.post(path(item), {"act": act, "reason": "spam"}).status_code == 403
    assert outcome(item) == ""


def test_the_desk_carries_the_strict_policy_and_no_jquery(sams, ada):
    response = sams.get(path(factories.create_held(ada)))
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "jquery" not in response.text


TELLING = "f0f0f0f00f0f0f0f" + "f0f0f0f00f0f0f0f" * (HEX_DIGITS // 16 - 1)
NEARLY = TELLING[:-1] + "e"


def look_alike(user: User, near_hash: str = NEARLY) -> ReviewItem:
    avatar = factories.create_avatar(user, near_hash=near_hash)
    return moderation.put_on_desk(ReviewKind.REPORT, avatar=avatar)


def test_pictures_that_look_the_same_stand_beside_with_what_came_of_them(sams, sam, ada, ben):
    kept, removed, waits = (look_alike(ben) for _ in range(3))
    moderation.keep(kept, sam)
    moderation.remove(removed, sam, Category.SPAM)
    look_alike(ben, TELLING[::-1].translate(str.maketrans("0f", "f0")))
    private = factories.create_avatar(ben, near_hash=NEARLY)
    item = look_alike(ada, TELLING)
    text = sams.get(path(item)).text
    shown = re.findall(r'<li><a href="([^"]+)"><img src="([^"]+)".*?<span>[^·]+· ([^<]+)<', text)
    assert [(where, said) for where, _picture, said in shown] == [
        (path(waits), "waits"),
        (path(removed), "removed: spam"),
        (path(kept), "kept"),
    ]
    thumbs = [Avatar.objects.get(pk=one.avatar_id).thumb_key for one in (waits, removed, kept)]
    assert [thumb in picture for thumb, (_, picture, _) in zip(thumbs, shown, strict=True)] == [
        True
    ] * 3
    assert str(private.thumb_key) not in text


def test_look_alikes_that_are_locked_are_for_leads(sams, lees, ada, ben):
    locked = look_alike(ben)
    ReviewItem.objects.filter(pk=locked.pk).update(leads_only=True)
    item = look_alike(ada, TELLING)
    assert path(locked) in lees.get(path(item)).text
    lees.force_login(User.objects.get(email="sam@example.org"))
    assert path(locked) not in lees.get(path(item)).text


def test_plain_pictures_are_not_taken_for_each_other(sams, ada, ben):
    look_alike(ben, "0" * HEX_DIGITS)
    assert (
        "Pictures that look the same" not in sams.get(path(look_alike(ada, "0" * HEX_DIGITS))).text
    )


@pytest.mark.parametrize("make", [factories.create_held, factories.create_reported, look_alike])
@pytest.mark.parametrize("count", [1, 30])
def test_an_item_costs_nine_queries_however_much_waits(
    sams, ada, django_assert_num_queries, make, count
):
    Quota.objects.filter(user=ada).update(max_open=count)
    ada.quota.refresh_from_db()
    item = [make(ada) for _ in range(count)][-1]
    sams.get(path(item))
    # session, person, two of rights, the item, how many wait, decisions, what else there is
    # about the person, and the rules that matched or the pictures that look the same
    with django_assert_num_queries(9):
        assert sams.get(path(item)).status_code == 200


@pytest.mark.parametrize("count", [1, 30])
def test_the_queue_costs_six_queries(sams, ada, django_assert_num_queries, count):
    Quota.objects.filter(user=ada).update(max_open=count)
    ada.quota.refresh_from_db()
    for _ in range(count):
        factories.create_held(ada)
    sams.get("/admin/moderation/")
    with django_assert_num_queries(6):
        assert sams.get("/admin/moderation/").status_code == 200
