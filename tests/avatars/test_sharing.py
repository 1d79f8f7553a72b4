"""A link to one avatar: off until its owner makes it, dead the moment it should be.

Knows the factories, and pages as owner and stranger see them.
"""

from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from avatars import safekeeping, sharing, storage
from avatars.models import Avatar, BlockedPicture, Period, Share
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


@pytest.mark.parametrize("field", ["suspended_at", "is_active"])
def test_links_of_suspended_and_closed_accounts_show_nothing(client, share, ada, field):
    value = timezone.now() if field == "suspended_at" else False
    type(ada).objects.filter(pk=ada.pk).update(**{field: value})
    assert statuses(client, share) == DEAD


def test_a_suspended_person_is_told_that_they_cannot_share(adas, avatar, ada):
    type(ada).objects.filter(pk=ada.pk).update(suspended_at=timezone.now())
    answer = adas.post(reverse("avatar_share", args=[avatar.public_id]), {"period": "7d"})
    assert answer.status_code == 409
    assert "Your account is suspended" in answer.content.decode()


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


def test_all_dead_links_look_the_same_to_strangers(client, ada):
    def dead(**fields) -> str:
        return page(factories.create_share(hang(ada), **fields))

    now = timezone.now()
    paths = [
        dead(expires_at=now),
        dead(state=Share.State.ENDED, ended_at=now),
        dead(state=Share.State.STOPPED, ended_at=now),
        dead(state=Share.State.REMOVED, ended_at=now),
        dead(state=Share.State.REVIEW),
        "/s/never-made/",
    ]
    answers = [client.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {410}
    assert len({answer.content for answer in answers}) == 1
    assert GONE in answers[0].content.decode()
    # As all pages, on a clone too.
    assert "default-src 'none'" in answers[0].headers["Content-Security-Policy"]


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
