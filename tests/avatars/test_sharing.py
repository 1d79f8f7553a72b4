"""A link to one avatar: off until its owner makes it, dead the moment it should be.

Knows the factories, and pages as owner and stranger see them.
"""

from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from avatars import moderation, safekeeping, sharing, storage
from avatars.models import Avatar, BlockedPicture, Category, Period, ReviewItem, Share
from tests import factories
from tests.avatars.hanging import drawn, hang, hang_drawn

pytestmark = pytest.mark.django_db

PROMPT = "secret garden at dusk"
GONE = "This link no longer shows a picture."


@pytest.fixture
def avatar(ada) -> Avatar:
    return hang_drawn(ada, prompt=PROMPT)


@pytest.fixture
def share(avatar) -> Share:
    return factories.create_share(avatar)


@pytest.fixture
def adas(ada, client):
    client.force_login(ada)
    return client


def page(share: Share) -> str:
    return reverse("shared", args=[share.token])


def picture(share: Share) -> str:
    return reverse("shared_picture", args=[share.token])


def statuses(client, share: Share) -> tuple[int, int]:
    return client.get(page(share)).status_code, client.get(picture(share)).status_code


LIVE, DEAD = (200, 200), (410, 410)


# ── The owner ───────────────────────────────────────────────────────────────────────────────────


def test_sharing_is_off_until_its_owner_creates_a_link(adas, avatar):
    path = reverse("avatar_share", args=[avatar.public_id])
    assert "Only you see this picture." in adas.get(path).content.decode()
    assert not Share.objects.exists()
    before = timezone.now()
    answer = adas.post(path, {"period": "7d"}, follow=True)
    made = Share.objects.get()
    assert (made.avatar, made.with_words, made.state) == (avatar, False, Share.State.LIVE)
    assert timedelta(0) <= made.expires_at - before - timedelta(days=7) < timedelta(minutes=1)
    assert f'value="http://127.0.0.1:8000/s/{made.token}/"' in answer.content.decode()
    assert "The description stays hidden." in answer.content.decode()


@pytest.mark.parametrize(("period", "days"), [("7d", 7), ("30d", 30), ("stop", None)])
def test_a_link_ends_when_its_owner_said(adas, avatar, period, days):
    adas.post(reverse("avatar_share", args=[avatar.public_id]), {"period": period})
    made = Share.objects.get()
    lasts = made.expires_at and (made.expires_at - made.created_at).days
    assert lasts == days


def test_a_period_of_nobodys_making_is_refused_and_nothing_is_shared(adas, avatar):
    answer = adas.post(reverse("avatar_share", args=[avatar.public_id]), {"period": "forever"})
    assert (answer.status_code, Share.objects.count()) == (422, 0)


def test_pressed_twice_there_is_one_link(adas, avatar):
    path = reverse("avatar_share", args=[avatar.public_id])
    for period in ("7d", "30d"):
        assert adas.post(path, {"period": period}).status_code == 302
    assert Share.objects.count() == 1


def test_a_second_open_link_is_refused_by_the_database(share):
    with pytest.raises(IntegrityError), transaction.atomic():
        Share.objects.create(user=share.user, avatar=share.avatar)


def test_a_link_over_without_an_end_is_refused_by_the_database(share):
    with pytest.raises(IntegrityError, match="share_over_exactly"), transaction.atomic():
        Share.objects.filter(pk=share.pk).update(state=Share.State.STOPPED)


def test_tokens_are_long_and_never_alike(avatar, ada):
    tokens = {factories.create_share(hang(ada)).token for _ in range(20)}
    assert (len(tokens), {len(token) for token in tokens}) == (20, {32})


def test_nobody_shares_or_stops_another_persons_picture(client, share, avatar, ben):
    client.force_login(ben)
    for name in ("avatar_share", "avatar_share_stop"):
        path = reverse(name, args=[avatar.public_id])
        assert client.post(path, {"period": "7d"}).status_code == 404
    assert Share.objects.get().state == Share.State.LIVE


def test_a_stopped_link_is_dead_on_the_next_request_and_a_new_one_is_another(adas, share, avatar):
    assert statuses(adas, share) == LIVE
    answer = adas.post(reverse("avatar_share_stop", args=[avatar.public_id]), follow=True)
    assert "Its last link was stopped on" in answer.content.decode()
    assert statuses(adas, share) == DEAD
    again = factories.create_share(avatar)
    assert again.token != share.token
    assert (statuses(adas, share), statuses(adas, again)) == (DEAD, LIVE)


def test_a_link_dies_at_its_date_and_a_new_one_can_be_made(client, share, avatar):
    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=1)):
        assert statuses(client, share) == DEAD
        again = factories.create_share(avatar)
        assert statuses(client, again) == LIVE
    share.refresh_from_db()
    assert (share.state, share.ended_at) == (Share.State.ENDED, share.expires_at)


def test_the_owner_is_told_that_a_link_has_ended(adas, share, avatar):
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        adas.force_login(share.user)
        text = adas.get(reverse("avatar_share", args=[avatar.public_id])).content.decode()
    assert "Its last link ended on" in text


def test_trash_ends_the_link_and_restoring_does_not_bring_it_back(adas, share, avatar):
    adas.post(reverse("avatar_delete", args=[avatar.public_id]))
    assert statuses(adas, share) == DEAD
    adas.post(reverse("avatar_restore", args=[avatar.public_id]))
    assert statuses(adas, share) == DEAD
    share.refresh_from_db()
    assert share.state == Share.State.STOPPED


def test_a_purge_ends_the_link(client, share, avatar):
    assert safekeeping.purge(avatar)
    assert statuses(client, share) == DEAD
    share.refresh_from_db()
    assert share.state == Share.State.STOPPED


@pytest.mark.parametrize("how", [{"trashed_at": timezone.now()}, {"hidden": True}])
def test_what_is_not_in_the_gallery_gets_no_link(adas, avatar, how):
    Avatar.objects.filter(pk=avatar.pk).update(**how)
    path = reverse("avatar_share", args=[avatar.public_id])
    assert adas.post(path, {"period": "7d"}).status_code == 404
    with pytest.raises(sharing.ShareRefused, match="gone"):
        sharing.share(avatar, period=Period.WEEK, with_words=False, now=timezone.now())
    assert not Share.objects.exists()


# Why a link may show nothing though it is not over: the person, and the picture.
PERSON = {
    "suspended": {"suspended_at": timezone.now()},
    "sharing stopped": {"sharing_stopped_at": timezone.now()},
    "closing": {"closes_at": timezone.now() + timedelta(days=7)},
    "closed": {"is_active": False},
}
PICTURE = {
    "hidden": {"hidden": True},
    "trashed": {"trashed_at": timezone.now()},
    "purged": {"file": None, "thumb": None},
}


@pytest.mark.parametrize("why", PERSON)
def test_links_of_a_person_who_may_not_publish_show_nothing_until_they_may(
    client, share, ada, ben, why
):
    bens = factories.create_share(hang_drawn(ben))
    before = {field: getattr(ada, field) for field in PERSON[why]}
    type(ada).objects.filter(pk=ada.pk).update(**PERSON[why])
    assert (statuses(client, share), statuses(client, bens)) == (DEAD, LIVE)
    type(ada).objects.filter(pk=ada.pk).update(**before)
    assert statuses(client, share) == LIVE


@pytest.mark.parametrize("why", PICTURE)
def test_links_of_a_picture_that_is_away_show_nothing(client, share, ada, why):
    other = factories.create_share(hang_drawn(ada))
    Avatar.objects.filter(pk=share.avatar_id).update(**PICTURE[why])
    assert (statuses(client, share), statuses(client, other)) == (DEAD, LIVE)


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        ("suspended", "Your account is suspended"),
        ("sharing stopped", "Our staff stopped your sharing."),
    ],
)
def test_who_may_not_publish_is_told_why_and_never_that_a_link_shows(
    adas, share, ada, why, sentence
):
    type(ada).objects.filter(pk=ada.pk).update(**PERSON[why])
    for avatar, is_shared in ((share.avatar, True), (hang(ada), False)):
        path = reverse("avatar_share", args=[avatar.public_id])
        text = adas.get(path).content.decode()
        assert sentence in text
        assert "Anyone with the link" not in text
        assert ("The link of this picture shows nothing meanwhile." in text) is is_shared
        answer = adas.post(path, {"period": "7d"})
        assert (answer.status_code, sentence in answer.content.decode()) == (409, True)
    assert Share.objects.count() == 1


def test_a_closing_account_makes_no_link(avatar, ada):
    """Its pages lead to the one that says so; another device may be in the middle of a form."""
    ada.closes_at = timezone.now() + timedelta(days=7)
    ada.save()
    with pytest.raises(sharing.ShareRefused, match="closing"):
        factories.create_share(Avatar.objects.get(pk=avatar.pk))


def test_a_removed_picture_is_refused_with_a_sentence(adas, avatar):
    BlockedPicture.objects.block(exact=[avatar.file.sha256])
    answer = adas.post(reverse("avatar_share", args=[avatar.public_id]), {"period": "30d"})
    assert answer.status_code == 409
    assert "This is a picture we removed for good" in answer.content.decode()
    assert not Share.objects.exists()


def test_the_viewer_says_whether_an_avatar_is_shared(adas, share, ada):
    other = hang(ada)
    for avatar, word in ((share.avatar, "Shared"), (other, "Share")):
        text = adas.get(reverse("avatar", args=[avatar.public_id])).content.decode()
        assert f"<span>{word}</span>" in text


def test_links_are_limited_to_thirty_an_hour(adas, avatar):
    path = reverse("avatar_share", args=[avatar.public_id])
    with time_machine.travel("2026-11-22 10:00:00+00:00"):
        adas.force_login(avatar.user)
        asked = [adas.post(path, {"period": "7d"}).status_code for _ in range(31)]
    assert asked == [302] * 30 + [429]


# ── A new person's first ────────────────────────────────────────────────────────────────────────


def test_a_new_persons_first_link_shows_at_once_and_stands_on_the_desk_once(client, ada, ben):
    links = [factories.create_share(hang_drawn(ada)) for _ in range(12)]
    factories.create_share(hang_drawn(ben))
    assert {statuses(client, link) for link in links} == {LIVE}
    items = ReviewItem.objects.order_by("pk").values_list("kind", "person", "avatar", "times")
    assert list(items) == [
        ("first_share", ada.pk, links[0].avatar_id, 1),
        ("first_share", ben.pk, Share.objects.last().avatar_id, 1),
    ]


def test_making_and_stopping_a_first_link_again_and_again_asks_nobody_twice(ada):
    avatar = hang_drawn(ada)
    for _ in range(5):
        factories.create_share(avatar)
        assert sharing.stop(avatar, timezone.now())
    assert ReviewItem.objects.values_list("times", flat=True).get() == 1


def test_a_refused_first_link_leaves_nothing_on_the_desk(ada, avatar):
    Avatar.objects.filter(pk=avatar.pk).update(hidden=True)
    with pytest.raises(sharing.ShareRefused):
        factories.create_share(avatar)
    assert not ReviewItem.objects.exists()


def test_a_first_link_kept_or_not_looked_at_stays_and_one_removed_is_dead(client, ada, ben, mo):
    kept, removed = (factories.create_share(hang_drawn(user)) for user in (ada, ben))
    first, second = ReviewItem.objects.order_by("pk")
    moderation.keep(first, mo)
    moderation.remove(second, mo, Category.SPAM)
    assert (statuses(client, kept), statuses(client, removed)) == (LIVE, DEAD)


# ── Strangers ───────────────────────────────────────────────────────────────────────────────────


def test_a_stranger_sees_the_picture_and_nothing_of_whose_it_is(
    client, share, ada, django_assert_num_queries
):
    type(ada).objects.filter(pk=ada.pk).update(display_name="Ada Lovelace")
    with django_assert_num_queries(1):
        answer = client.get(page(share))
    text = answer.content.decode()
    for told in ("Anime avatar", "Made with AI", "by a Likeness user", "Make yours", "Report"):
        assert told in text
    hidden = (PROMPT, "ada@", "Lovelace", str(share.avatar.public_id), "/m/signed/")
    assert [secret for secret in hidden if secret in text] == []
    assert share.avatar.file.key not in text


def test_the_description_shows_only_when_its_owner_ticked_so(adas, avatar, client):
    adas.post(
        reverse("avatar_share", args=[avatar.public_id]), {"period": "7d", "with_words": "on"}
    )
    client.logout()
    assert PROMPT in client.get(page(Share.objects.get())).content.decode()


def test_no_search_engine_lists_it_and_no_cache_keeps_it(client, share):
    for path in (page(share), picture(share)):
        headers = client.get(path).headers
        assert headers["Cache-Control"] == "private, no-store"
        assert "noindex" in headers["X-Robots-Tag"]
    assert '<meta name="robots" content="noindex' in client.get(page(share)).content.decode()


def test_a_preview_finds_title_picture_and_size_at_whole_addresses(client, share):
    text = client.get(page(share)).content.decode()
    for name, content in {
        "og:title": "Anime avatar",
        "og:image": f"http://127.0.0.1:8000{picture(share)}",
        "og:url": f"http://127.0.0.1:8000{page(share)}",
        "og:image:width": "512",
        "og:image:height": "768",
        "og:image:alt": "Anime avatar",
    }.items():
        assert f'<meta property="{name}" content="{content}">' in text


def test_the_picture_comes_as_it_was_made_with_its_mark(client, share, avatar):
    answer = client.get(picture(share))
    assert answer.content == drawn() == storage.read(avatar.file.key)
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_report_carries_the_link(client, share):
    text = client.get(page(share)).content.decode()
    link = f"http%3A%2F%2F127.0.0.1%3A8000%2Fs%2F{share.token}%2F"
    assert f'href="/safety/report/?link={link}"' in text
    form = client.get(f"/safety/report/?link={link}").content.decode()
    assert f"http://127.0.0.1:8000/s/{share.token}/</textarea>" in form


def dead_links(cast) -> list[str]:
    """One token of every way in which a link shows nothing, and some that never were one."""

    def dead(user, **fields) -> str:
        return factories.create_share(hang(user), **fields).token

    now, ada = timezone.now(), factories.create_user("dora@example.org")
    tokens = [
        dead(ada, expires_at=now),
        dead(ada, state=Share.State.ENDED, ended_at=now),
        dead(ada, state=Share.State.STOPPED, ended_at=now),
        dead(ada, state=Share.State.REMOVED, ended_at=now),
        dead(ada, state=Share.State.REVIEW),
    ]
    for fields in PICTURE.values():
        link = factories.create_share(hang(ada))
        Avatar.objects.filter(pk=link.avatar_id).update(**fields)
        tokens.append(link.token)
    for number, fields in enumerate(PERSON.values()):
        person = factories.create_user(f"person{number}@example.org")
        tokens.append(dead(person))
        cast.objects.filter(pk=person.pk).update(**fields)
    return [*tokens, "never-made", "A" * 32, "A" * 1000, "é", "%00", "a%00b", "..", "%2e"]


@pytest.mark.parametrize("what", ["", "picture.webp"])
def test_all_dead_links_look_the_same_to_strangers(client, share, what, django_assert_num_queries):
    answers = []
    for token in dead_links(type(share.user)):
        # The same work for all: a clock tells no more than the page.
        with django_assert_num_queries(1):
            answers.append(client.get(f"/s/{token}/{what}"))
    assert {answer.status_code for answer in answers} == {410}
    assert len({answer.content for answer in answers}) == 1
    for answer in answers:
        del answer.headers["X-Request-ID"]  # of every answer its own
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1
    assert not any(answer.cookies for answer in answers)
    [said] = {answer.content.decode() for answer in answers}
    assert (GONE in said) is (what == "")
    headers = answers[0].headers
    assert headers["Cache-Control"] == "private, no-store"
    assert "noindex" in headers["X-Robots-Tag"]
    # As all pages, on a clone too.
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_a_live_link_costs_what_a_dead_one_costs(client, share, django_assert_num_queries):
    for path in (page(share), picture(share)):
        with django_assert_num_queries(1):
            assert client.get(path).status_code == 200


def test_a_browser_cannot_ask_whether_its_copy_is_still_good(client, share):
    answer = client.get(picture(share))
    assert {"ETag", "Last-Modified", "Expires"} & set(answer.headers) == set()
    share.avatar.shares.all().stop(timezone.now())
    headers = {"If-None-Match": "*", "If-Modified-Since": "Sun, 22 Nov 2026 10:00:00 GMT"}
    assert client.get(picture(share), headers=headers).status_code == 410


def test_a_form_cannot_be_sent_to_a_share(client, share):
    assert client.post(page(share)).status_code == 405


def test_storage_away_is_not_a_dead_link(client, share, monkeypatch):
    def away(_key: str) -> bytes:
        raise storage.StorageAway("timeout")

    monkeypatch.setattr(storage, "read", away)
    answer = client.get(picture(share))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert client.get(page(share)).status_code == 200


def test_a_missing_file_calls_staff(client, share, avatar, caplog):
    storage.remove(avatar.file.key)
    assert client.get(picture(share)).status_code == 410
    assert "its file is missing" in caplog.text
