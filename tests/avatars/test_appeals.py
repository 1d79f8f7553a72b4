"""A person against a decision: what they read, send, and get back; who may read it.

Knows the pages through the client, the letters, and the verbs that decide.
"""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts import auditing as accounts_auditing
from accounts.models import Decision, Kind, Transfer, User, decide
from accounts.notices import tell_suspended
from avatars import (
    appealing,
    auditing,
    moderation,
    notices,
    replies,
    reviewing,
    safekeeping,
)
from avatars.models import (
    Avatar,
    AvatarRequest,
    Category,
    ReviewItem,
    ReviewKind,
)
from avatars.models.reviews import WHY_LIMIT
from tests import factories

pytestmark = pytest.mark.django_db

WORDS = "It is my own stage name,\nand I can prove it."


@pytest.fixture
def sam(db) -> User:
    return factories.create_moderator()


@pytest.fixture
def lee(db) -> User:
    return factories.create_moderator("lee@example.org", lead=True)


@pytest.fixture
def adas(client, ada):
    client.force_login(ada)
    return client


def rejected(ada, sam, category=Category.PEOPLE) -> AvatarRequest:
    item = factories.create_held(ada)
    assert moderation.reject(item, sam, category)
    return AvatarRequest.objects.get(pk=item.request_id)


def removed(ada, sam, category=Category.SPAM, **fields) -> Avatar:
    item = factories.create_reported(ada)
    assert moderation.remove(item, sam, category, **fields)
    return Avatar.objects.select_related("request").get(pk=item.avatar_id)


def page(wish: AvatarRequest) -> str:
    return f"/jobs/{wish.public_id}/appeal/"


def appeals() -> list[tuple[object, ...]]:
    said = ReviewItem.objects.filter(kind=ReviewKind.APPEAL).order_by("pk")
    return list(said.values_list("request", "avatar", "why", "category", "not_for", "leads_only"))


def letters(later: timedelta = timedelta(minutes=6)) -> dict[str, str]:
    """Every letter that is due by then, subject → text."""
    with time_machine.travel(timezone.now() + later, tick=False):
        while notices.send_due() + replies.send_due():
            pass
    return {letter.subject: letter.body for letter in mail.outbox}


def key_in(letter: str) -> str:
    """The path of the appeal that a letter names, with its key."""
    found = re.search(r"http://[^/\s]+(/(?:jobs/\S+|safety)/appeal/\?key=\S+)", letter)
    assert found, letter
    return found[1]


# ── To write one ────────────────────────────────────────────────────────────────────────────────


def test_a_rejected_description_is_appealed_from_its_page(adas, ada, sam):
    wish = rejected(ada, sam)
    assert f'href="{page(wish)}"' in adas.get(f"/jobs/{wish.public_id}/").text
    text = adas.get(page(wish)).text
    assert "A reviewer said no: it is about a real person who may not have agreed." in text
    assert "as Taylor Swift on stage" in text
    answer = adas.post(page(wish), {"why": WORDS}, follow=True)
    assert answer.redirect_chain == [(page(wish), 302)]
    assert "A different person will read it, usually within 48 hours" in answer.text
    assert "It is my own stage name,<br>and I can prove it." in answer.text
    assert "<textarea" not in answer.text
    assert appeals() == [(wish.pk, None, WORDS, "people", sam.pk, False)]


def test_a_removed_picture_is_appealed_from_its_page(adas, ada, sam):
    avatar = removed(ada, sam)
    there = page(avatar.request)
    assert f'href="{there}"' in adas.get(f"/jobs/{avatar.request.public_id}/").text
    assert "We removed this picture: it is advertising or spam." in adas.get(there).text
    adas.post(there, {"why": "It is my shop"})
    assert appeals() == [(None, avatar.pk, "It is my shop", "spam", sam.pk, False)]


def test_a_picture_removed_for_a_notice_is_appealed_like_any_other(adas, ada, mo):
    avatar = factories.create_avatar(ada)
    factories.take_down(avatar, mo, Category.COPYRIGHT)
    there = page(avatar.request)
    assert f'href="{there}"' in adas.get(f"/gallery/{avatar.public_id}/").text
    assert "We removed this picture: it belongs to somebody else." in adas.get(there).text
    adas.post(there, {"why": "I drew it"})
    assert appeals() == [(None, avatar.pk, "I drew it", "copyright", mo.pk, False)]
    letter = letters()["We removed one of your avatars"]
    assert Client().get(key_in(letter)).status_code == 200


def test_a_suspension_is_appealed_from_create_and_for_leads_alone(adas, ada, lee):
    assert "nothing to appeal" in adas.get("/safety/appeal/").text
    ada.suspend(timezone.now())
    decide(lee, "person_suspended", person=ada, reason="said nobody")
    assert 'href="/safety/appeal/"' in adas.get("/create/").text
    text = adas.get("/safety/appeal/").text
    assert "Our staff suspended your account" in text
    assert "said nobody" not in text
    adas.post("/safety/appeal/", {"why": "It was my brother"})
    assert appeals() == [(None, None, "It was my brother", "", lee.pk, True)]


def test_what_is_about_somebody_under_eighteen_waits_for_a_lead(adas, ada, lee):
    wish = rejected(ada, lee, Category.MINORS)
    adas.post(page(wish), {"why": "I am 40"})
    assert appeals() == [(wish.pk, None, "I am 40", "minors", lee.pk, True)]


@pytest.mark.parametrize("why", ["", "  \n ", "\u200b\u202e", "x" * (WHY_LIMIT + 1)])
def test_words_that_are_missing_or_too_many_are_told_and_kept(adas, ada, sam, why):
    wish = rejected(ada, sam)
    answer = adas.post(page(wish), {"why": why})
    assert answer.status_code == 422
    assert "c-field__errors" in answer.text
    assert (why.strip() in answer.text, appeals()) == (True, [])


def test_a_thousand_letters_fit_with_their_line_ends_counted_once(adas, ada, sam):
    wish = rejected(ada, sam)
    why = "\n".join(["x" * 99] * 10)
    assert len(why) == WHY_LIMIT - 1
    adas.post(page(wish), {"why": why.replace("\n", "\r\n")})
    assert appeals()[0][2] == why


def test_words_are_shown_as_words(adas, client, ada, sam, lee):
    wish = rejected(ada, sam)
    adas.post(page(wish), {"why": "<script>alert(1)</script>"})
    assert "&lt;script&gt;" in adas.get(page(wish)).text
    client.force_login(lee)
    item = ReviewItem.objects.get(kind=ReviewKind.APPEAL)
    text = client.get(f"/admin/moderation/{item.public_id}/").text
    assert "&lt;script&gt;alert(1)" in text


def test_what_was_never_decided_against_cannot_be_appealed(adas, ada, ben, sam):
    wish = factories.create_held(ada).request
    assert "nothing to appeal" in adas.get(page(wish)).text
    assert adas.post(page(wish), {"why": WORDS}).status_code == 409
    assert adas.get(page(rejected(ben, sam))).status_code == 404
    assert adas.post(page(rejected(ben, sam)), {"why": WORDS}).status_code == 404
    assert appeals() == []


def test_pressed_twice_it_waits_once(adas, ada, sam):
    wish = rejected(ada, sam)
    for why in ("first", "second"):
        assert adas.post(page(wish), {"why": why}).status_code == 302
    assert [why for _request, _avatar, why, *_rest in appeals()] == ["first"]


def test_the_sixth_appeal_of_an_hour_keeps_its_words(adas, ada, sam):
    wish = rejected(ada, sam)
    for _ in range(5):
        adas.post(page(wish), {"why": "again"})
    other = rejected(ada, sam)
    answer = adas.post(page(other), {"why": "my own words"})
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert "my own words</textarea>" in answer.text
    assert len(appeals()) == 1


# ── Without signing in ──────────────────────────────────────────────────────────────────────────


def test_the_letters_of_a_rejection_and_a_removal_lead_to_it_without_a_password(ada, sam):
    wish, avatar = rejected(ada, sam), removed(ada, sam)
    found = letters()
    for decided, subject in (
        (wish, "1 credit returned: A reviewer said no"),
        (avatar.request, "We removed one of your avatars"),
    ):
        letter = next(text for told, text in found.items() if told.startswith(subject))
        stranger = Client(enforce_csrf_checks=True)
        there = key_in(letter)
        assert there.startswith(page(decided))
        text = stranger.get(there).text
        assert "“" + decided.prompt + "”" in text
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', text)[1]
        sent = stranger.post(there, {"why": "mine", "csrfmiddlewaretoken": token})
        assert (sent.status_code, sent.headers["Location"]) == (302, there)
    assert len(appeals()) == 2


def test_a_suspended_person_appeals_by_their_letter_alone(ada, lee):
    ada.suspend(timezone.now())
    assert tell_suspended(ada, is_suspended=True)
    there = key_in(mail.outbox[0].body)
    assert "Our staff suspended your account" in Client().get(there).text
    Client().post(there, {"why": "It was my brother"})
    assert appeals() == [(None, None, "It was my brother", "", None, True)]
    moderation.answer(ReviewItem.objects.get(), lee, granted=True)
    assert "You can make avatars again." in Client().get(there).text
    assert User.objects.get(pk=ada.pk).suspended_at is None


@pytest.mark.parametrize("key", ["", "x", "MQ:1xgR4r:forged", "%00", "é" * 500])
def test_a_forged_key_asks_for_a_sign_in(client, ada, sam, key):
    wish = rejected(ada, sam)
    answer = client.get(page(wish), {"key": key})
    assert (answer.status_code, answer.headers["Location"][:16]) == (302, "/accounts/login/")
    assert client.post(page(wish), {"why": WORDS}).status_code == 302
    assert appeals() == []


def test_a_key_opens_nothing_of_anybody_else_and_not_for_ever(client, ada, ben, sam):
    wish, key = rejected(ada, sam), ben.appeal_key()
    assert client.get(page(wish), {"key": key}).status_code == 404
    key = ada.appeal_key()
    assert client.get(page(wish), {"key": key}).status_code == 200
    assert client.get(f"/jobs/{wish.public_id}/", {"key": key}).status_code == 302
    with time_machine.travel(timezone.now() + timedelta(days=184), tick=False):
        assert client.get(page(wish), {"key": key}).status_code == 302
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get(page(wish), {"key": key}).status_code == 302


def test_the_page_is_kept_by_nobody_and_found_by_no_search(client, ada, sam):
    answer = client.get(page(rejected(ada, sam)), {"key": ada.appeal_key()})
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]


# ── What comes of it ────────────────────────────────────────────────────────────────────────────


def answered(matter_page: str, adas, decider: User, *, granted: bool) -> ReviewItem:
    adas.post(matter_page, {"why": WORDS})
    item = ReviewItem.objects.waiting().get(kind=ReviewKind.APPEAL)
    moderation.answer(item, decider, granted=granted)
    return item


def wallet_of(user: User) -> int:
    user.wallet.refresh_from_db()
    return user.wallet.available


def books() -> list[object]:
    return [*accounts_auditing.findings(), *auditing.findings()]


def test_the_first_decider_cannot_answer_it(adas, ada, sam, lee):
    wish = rejected(ada, sam)
    adas.post(page(wish), {"why": WORDS})
    item = ReviewItem.objects.get(kind=ReviewKind.APPEAL)
    assert reviewing.take_next(sam) is None
    with pytest.raises(reviewing.NotTheirs):
        moderation.answer(item, sam, granted=False)
    moderation.answer(item, lee, granted=False)


def test_a_rejection_that_was_wrong_opens_create_filled_in_and_moves_no_credit(adas, ada, sam, lee):
    wish = rejected(ada, sam)
    before = wallet_of(ada)
    answered(page(wish), adas, lee, granted=True)
    assert (wallet_of(ada), Transfer.objects.filter(kind=Kind.GOODWILL).count()) == (before, 0)
    letter = letters()["You were right: we changed our decision"]
    assert "Your description should not have been refused." in letter
    assert "wallet" not in letter
    again = f"/create/?from={wish.public_id}"
    assert again in letter
    assert "as Taylor Swift on stage</textarea>" in adas.get(again).text
    text = adas.get(page(wish)).text
    assert "Your description should not have been refused." in text
    assert again in text
    assert books() == []


def test_a_picture_that_should_not_have_gone_hangs_again(adas, ada, sam, lee):
    avatar = removed(ada, sam)
    before = wallet_of(ada)
    answered(page(avatar.request), adas, lee, granted=True)
    assert Avatar.objects.shown().filter(pk=avatar.pk).exists()
    assert wallet_of(ada) == before
    letter = letters()["You were right: we changed our decision"]
    assert "It hangs in your gallery again." in letter
    assert "/create/?from=" not in letter
    assert "It hangs in your gallery again." in adas.get(page(avatar.request)).text
    assert Decision.objects.newest_first().first().after == {"granted": True, "hangs_again": True}


def test_what_a_notice_removed_is_gone_for_good_and_its_cost_comes_back(adas, ada, lee, mo):
    avatar = factories.create_avatar(ada)
    assert factories.take_down(avatar, mo, Category.MINORS)
    before = wallet_of(ada)
    answered(page(avatar.request), adas, lee, granted=True)
    assert "you can make it again" in adas.get(page(avatar.request)).text
    assert wallet_of(ada) == before + avatar.request.cost
    moderation.keep(ReviewItem.objects.waiting().get(), lee)  # what it asked leads to look at
    safekeeping.erase_due()
    avatar.refresh_from_db()
    assert (avatar.hidden, avatar.file) == (True, None)


def test_a_picture_whose_files_are_gone_is_given_back_once_and_made_again(adas, ada, sam, lee):
    avatar = removed(ada, sam, gift=True)
    with time_machine.travel(timezone.now() + timedelta(days=31), tick=False):
        safekeeping.erase_due()
    before = wallet_of(ada)
    answered(page(avatar.request), adas, lee, granted=True)
    assert wallet_of(ada) == before  # it was given back when it was removed
    letter = letters()["You were right: we changed our decision"]
    assert "Its files are deleted by now" in letter
    assert "What it cost is in your wallet again: 1 credit." in letter
    assert f"/create/?from={avatar.request.public_id}" in letter
    assert books() == []


def test_what_cost_nothing_is_not_paid_for(adas, ada, sam, lee):
    failed = factories.create_request_in(factories.State.FAILED, ada)
    item = moderation.put_on_desk(
        ReviewKind.REPORT, avatar=factories.create_avatar(ada, failed, gift=True)
    )
    moderation.remove(item, sam, Category.SPAM)
    Avatar.objects.update(file=None, thumb=None)
    before = wallet_of(ada)
    answered(page(failed), adas, lee, granted=True)
    letter = letters()["You were right: we changed our decision"]
    assert (wallet_of(ada), "wallet" in letter) == (before, False)


@pytest.mark.parametrize("decide_against", [moderation.reject, moderation.remove])
def test_whose_sharing_was_stopped_with_it_may_share_again(adas, ada, sam, lee, decide_against):
    make = factories.create_held if decide_against is moderation.reject else None
    item = make(ada) if make else factories.create_reported(ada)
    decide_against(item, sam, Category.SPAM, stop_sharing=True)
    ada.refresh_from_db()
    assert ada.sharing_stopped_at is not None
    wish = item.request or item.avatar.request
    assert "With it our staff stopped your sharing." in adas.get(page(wish)).text
    answered(page(wish), adas, lee, granted=True)
    ada.refresh_from_db()
    assert ada.sharing_stopped_at is None


def test_a_stop_of_sharing_that_came_for_another_reason_stays(adas, ada, sam, lee):
    wish = rejected(ada, sam)
    ada.stop_sharing(timezone.now())
    answered(page(wish), adas, lee, granted=True)
    ada.refresh_from_db()
    assert ada.sharing_stopped_at is not None


def test_an_undone_removal_pays_nothing_when_its_appeal_is_granted(adas, ada, sam, lee):
    item = factories.create_reported(ada)
    moderation.remove(item, sam, Category.SPAM)
    there = page(item.avatar.request)
    adas.post(there, {"why": WORDS})
    moderation.undo(item, sam)
    before = wallet_of(ada)
    moderation.answer(ReviewItem.objects.get(kind=ReviewKind.APPEAL), lee, granted=True)
    assert wallet_of(ada) == before
    assert "It hangs in your gallery again." in adas.get(there).text


def test_a_denied_appeal_is_told_and_is_the_last_about_that_decision(adas, ada, sam, lee):
    wish = rejected(ada, sam)
    item = answered(page(wish), adas, lee, granted=False)
    letter = letters()["We looked again, and our decision stays"]
    assert "The decision stays." in letter
    assert "/create/?from=" not in letter
    assert Client().get(key_in(letter)).status_code == 200
    text = adas.get(page(wish)).text
    assert "A different person has read what you wrote. The decision stays." in text
    assert adas.post(page(wish), {"why": "once more"}).status_code == 409
    assert [row.pk for row in ReviewItem.objects.filter(kind=ReviewKind.APPEAL)] == [item.pk]


def test_a_new_suspension_can_be_appealed_anew(ada, sam, lee):
    for n in (1, 2):
        ada.suspend(timezone.now())
        ada.refresh_from_db()
        decide(sam, "person_suspended", person=ada, reason="spam")
        item = appealing.appeal(appealing.about(ada), f"{n}")
        moderation.answer(item, lee, granted=n == 1)
        ada.refresh_from_db()
    with pytest.raises(appealing.NothingToAppeal):
        appealing.appeal(appealing.about(ada), "3")
    assert [why for _request, _avatar, why, *_rest in appeals()] == ["1", "2"]


def test_two_appeals_of_a_suspension_at_once_are_one(ada):
    ada.suspend(timezone.now())
    ada.refresh_from_db()
    about = appealing.about(ada)
    first = appealing.appeal(about, "one")
    again = moderation.put_on_desk(ReviewKind.APPEAL, person=ada, why="two")
    assert (again.pk, ReviewItem.objects.get().why) == (first.pk, "one")
