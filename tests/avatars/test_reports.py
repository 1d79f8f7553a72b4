"""Anybody may report a picture, gets a number, and sees by it how the report stands.

Knows the factories and the pages as a stranger meets them.
"""

import re
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from avatars import takedowns
from avatars.models import Category, Share, Takedown
from avatars.models.takedowns import new_number
from tests import factories
from tests.avatars.hanging import hang

pytestmark = pytest.mark.django_db

HOME = "http://127.0.0.1:8000"


@pytest.fixture
def share(ada) -> Share:
    return factories.create_share(hang(ada))


def filled(link: str, **fields) -> dict[str, str]:
    return {
        "kind": "me",
        "links": link,
        "what": "This is my <b>face</b>.",
        "contact": "cleo@example.org",
        "name": "Cleo Doe",
        "statement": "on",
        **fields,
    }


def link_of(share: Share) -> str:
    return f"{HOME}/s/{share.token}/"


def test_a_report_without_login_gives_a_number_and_a_page_by_it(client, share):
    answer = client.post("/safety/report/", filled(link_of(share)), follow=True)
    takedown = Takedown.objects.get()
    path = reverse("report_status", args=[takedown.number])
    assert answer.redirect_chain == [(path, 302)]
    assert (takedown.kind, takedown.name, takedown.contact) == (
        "me",
        "Cleo Doe",
        "cleo@example.org",
    )
    assert list(takedown.pictures.all()) == [share.avatar]
    assert takedown.deadline_at - takedown.created_at == timedelta(hours=48)
    text = answer.content.decode()
    assert takedown.number in text
    assert "We have your report." in text


def test_numbers_are_long_and_never_alike():
    numbers = {new_number() for _ in range(1000)}
    assert len(numbers) == 1000
    assert all(
        re.fullmatch(r"(?:[0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", n) for n in numbers
    )


def test_a_guessed_number_finds_nothing(client, share):
    factories.create_takedown(share.avatar)
    assert client.get(reverse("report_status", args=[new_number()])).status_code == 404


@pytest.mark.parametrize("odd", ["%00", "é", "A" * 1000, "%2e"])
def test_what_is_no_number_finds_nothing(client, odd):
    assert client.get(f"/safety/report/{odd}/").status_code == 404


def test_a_number_typed_in_small_letters_is_found(client, share):
    number = factories.create_takedown(share.avatar).number
    assert client.get(f"/safety/report/{number.lower()}/").status_code == 200


def test_the_page_of_a_report_names_neither_picture_nor_anybody(client, share, mo):
    takedown = factories.create_takedown(share.avatar, links=link_of(share))
    path = reverse("report_status", args=[takedown.number])
    said = {Takedown.State.OPEN: "Being looked at"}
    texts = [client.get(path).content.decode()]
    takedowns.refuse(takedown, actor=mo, reason="It shows a teapot.", now=timezone.now())
    texts.append(client.get(path).content.decode())
    hidden = ("Cleo", "cleo@", "my face", share.token, "ada@", "mo@", str(share.avatar.public_id))
    assert [secret for text in texts for secret in hidden if secret in text] == []
    assert said[Takedown.State.OPEN] in texts[0]
    assert "It shows a teapot." in texts[1]
    assert "noindex" in client.get(path).headers["X-Robots-Tag"]


@pytest.mark.parametrize(
    ("link", "is_ours"),
    [
        ("{home}/s/{token}/", True),
        ("{home}/s/{token}", True),
        ("{home}/s/{token}/picture.webp", True),
        ("{home}/s/{token}/?utm=1#x", True),
        ("testserver/s/{token}/", True),
        ("https://evil.example/s/{token}/", False),
        ("https://127.0.0.1:8000.evil.example/s/{token}/", False),
        ("{home}/s/{token}x/", False),
        ("{home}/gallery/", False),
        ("{token}", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_links_of_pictures_shared_here_are_taken(client, share, link, is_ours):
    said = link.format(home=HOME, token=share.token)
    answer = client.post("/safety/report/", filled(said))
    assert (answer.status_code == 302, Takedown.objects.count()) == (is_ours, int(is_ours))


def test_a_strange_link_is_named_and_nothing_typed_is_lost(client, share):
    links = f"{link_of(share)}\nhttps://elsewhere.example/x.jpg"
    answer = client.post("/safety/report/", filled(links, kind="intimate"))
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "“https://elsewhere.example/x.jpg” is not the link of a picture shared here." in text
    for kept in (
        "This is my &lt;b&gt;face&lt;/b&gt;.",
        'value="cleo@example.org"',
        'value="Cleo Doe"',
        link_of(share),
    ):
        assert kept in text
    assert re.search(r'value="intimate"[^>]*checked', text)
    assert re.search(r'name="statement"[^>]*checked', text)


def test_links_of_dead_shares_find_the_picture_too(client, share):
    Share.objects.filter(pk=share.pk).stop(timezone.now())
    client.post("/safety/report/", filled(link_of(share)))
    assert list(Takedown.objects.get().pictures.all()) == [share.avatar]


def test_several_links_are_one_report_about_several_pictures(client, share, ben):
    bens = factories.create_share(hang(ben))
    links = f"{link_of(share)}\r\n\r\n{link_of(bens)}\r\n{link_of(share)}"
    client.post("/safety/report/", filled(links))
    assert set(Takedown.objects.get().pictures.all()) == {share.avatar, bens.avatar}


def test_more_than_ten_links_are_refused(client, share):
    answer = client.post("/safety/report/", filled("\n".join([link_of(share)] * 11)))
    assert answer.status_code == 422
    assert "At most 10 links at once" in answer.content.decode()


def test_everything_missing_is_named_beside_its_field(client):
    answer = client.post("/safety/report/", {})
    text = answer.content.decode()
    for sentence in (
        "Choose what it is about.",
        "Without its link we can&#x27;t find the picture.",
        "Tell us in a few words what is wrong.",
        "We need an address to answer to.",
        "Please sign with your name.",
        "We can act only on a notice made in good faith.",
    ):
        assert sentence in text
    assert answer.status_code == 422


@pytest.mark.parametrize("odd", ["\x00", "a" * 5000])
def test_odd_words_are_refused_not_broken_on(client, share, odd):
    answer = client.post("/safety/report/", filled(link_of(share), what=odd))
    assert (answer.status_code, Takedown.objects.count()) == (422, 0)


def test_a_form_sent_twice_is_one_report(client, share):
    form = client.get("/safety/report/").content.decode()
    number = re.search(r'name="number" value="([^"]+)"', form)[1]
    sent = [
        client.post("/safety/report/", filled(link_of(share), number=number)) for _twice in range(2)
    ]
    assert Takedown.objects.count() == 1
    assert sent[0].headers["Location"] == sent[1].headers["Location"]
    # Somebody else's choice of a number is not taken.
    forged = filled(link_of(share), number=Takedown.objects.get().number)
    client.post("/safety/report/", forged)
    assert Takedown.objects.count() == 2


def test_five_reports_an_hour_from_one_address_and_the_sixth_keeps_its_words(client, share):
    with time_machine.travel("2026-11-22 10:00:00+00:00"):
        for _ in range(7):
            client.post("/safety/report/", {})  # mistakes are not counted
        asked = [client.post("/safety/report/", filled(link_of(share))) for _ in range(6)]
    assert [answer.status_code for answer in asked] == [302] * 5 + [429]
    last = asked[-1]
    assert "Try again in" in last.content.decode()
    assert 'value="Cleo Doe"' in last.content.decode()
    assert int(last.headers["Retry-After"]) > 0
    assert Takedown.objects.count() == 5


@pytest.mark.parametrize(("kind", "is_held"), [("intimate", True), ("minor", True), ("me", False)])
def test_the_gravest_kinds_show_nothing_until_a_person_has_looked(client, share, kind, is_held):
    client.post("/safety/report/", filled(link_of(share), kind=kind))
    share.refresh_from_db()
    assert (share.state == Share.State.REVIEW) == is_held
    assert (client.get(f"/s/{share.token}/").status_code == 410) == is_held


def test_a_held_picture_gets_no_new_link_and_its_owner_is_told(client, share, ada):
    factories.create_takedown(share.avatar, kind="intimate")
    client.force_login(ada)
    path = reverse("avatar_share", args=[share.avatar.public_id])
    assert "In review" in client.get(path).content.decode()
    client.post(reverse("avatar_share_stop", args=[share.avatar.public_id]))
    answer = client.post(path, {"period": "7d"})
    assert answer.status_code == 409
    assert "Somebody reported this picture" in answer.content.decode()


def test_a_refused_report_shows_the_link_again_and_the_next_alone_hides_nothing(share, mo):
    first = factories.create_takedown(share.avatar, kind="intimate")
    takedowns.refuse(first, actor=mo, reason="It is a teapot.", now=timezone.now())
    share.refresh_from_db()
    assert share.state == Share.State.LIVE
    second = factories.create_takedown(share.avatar, kind="minor")
    share.refresh_from_db()
    assert (share.state, second.holds) == (Share.State.LIVE, False)


def test_a_link_held_by_two_reports_waits_for_both(share, mo):
    reports = [factories.create_takedown(share.avatar, kind="intimate") for _ in range(2)]
    states = []
    for each in reports:
        takedowns.refuse(each, actor=mo, reason="No.", now=timezone.now())
        share.refresh_from_db()
        states.append(share.state)
    assert states == [Share.State.REVIEW, Share.State.LIVE]


def test_what_the_owner_stopped_meanwhile_stays_stopped(share, mo):
    report = factories.create_takedown(share.avatar, kind="intimate")
    Share.objects.filter(pk=share.pk).stop(timezone.now())
    takedowns.refuse(report, actor=mo, reason="No.", now=timezone.now())
    share.refresh_from_db()
    assert share.state == Share.State.STOPPED


def test_a_removed_report_says_so_by_its_number(client, share, mo):
    takedown = factories.create_takedown(share.avatar)
    takedowns.accept(
        takedown,
        actor=mo,
        category=Category.PEOPLE,
        reason="",
        give_back=False,
        checked=[],
        now=timezone.now(),
    )
    text = client.get(reverse("report_status", args=[takedown.number])).content.decode()
    assert "We removed what you reported." in text
