"""Letters about removed pictures: to both sides, never two, none lost while the post is away.

Knows the verbs, the factories and a post office of its own that may be shut.
"""

from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from avatars import replies, takedowns
from avatars.models import Category, Removal, Takedown
from tests import factories
from tests.avatars.hanging import hang

pytestmark = pytest.mark.django_db


@pytest.fixture
def takedown(ada) -> Takedown:
    return factories.create_takedown(hang(ada))


def accept(takedown: Takedown, mo, **fields) -> None:
    takedowns.accept(
        takedown,
        actor=mo,
        category=Category.PEOPLE,
        reason="a note for us",
        checked=[],
        now=timezone.now(),
        **{"give_back": False, **fields},
    )


def letters() -> list[tuple[list[str], str]]:
    return [(letter.to, letter.subject) for letter in mail.outbox]


def test_the_reporter_gets_the_number_once(takedown):
    assert (replies.send_due(), replies.send_due()) == (1, 0)
    assert letters() == [(["cleo@example.org"], f"We have your report {takedown.number}")]
    assert f"http://127.0.0.1:8000/safety/report/{takedown.number}/" in mail.outbox[0].body
    assert "UTC" in mail.outbox[0].body


def test_a_removal_is_told_to_both_sides_once(takedown, mo):
    replies.send_due()
    mail.outbox.clear()
    accept(takedown, mo)
    assert (replies.send_due(), replies.send_due()) == (2, 0)
    assert letters() == [
        (["cleo@example.org"], "We removed what you reported"),
        (["ada@example.org"], "We removed one of your avatars"),
    ]
    to_reporter, to_owner = (letter.body for letter in mail.outbox)
    assert "it is about a real person who may not have agreed." in to_owner
    assert "It stays charged: 1 credit." in to_owner
    for secret in ("Cleo", "cleo@", takedown.number, "a note for us", takedown.what):
        assert secret not in to_owner
    assert "ada@" not in to_reporter


def test_credits_given_back_are_told_with_the_balance(takedown, mo, ada):
    accept(takedown, mo, give_back=True)
    replies.send_due()
    ada.wallet.refresh_from_db()
    body = mail.outbox[-1].body
    assert f"We gave you 1 credit back as a gift. Balance {ada.wallet.available}." in body


def test_a_refusal_is_answered_with_its_reason(takedown, mo):
    takedowns.refuse(takedown, actor=mo, reason="It shows a <teapot>.", now=timezone.now())
    assert replies.send_due() == 1
    assert "did not remove" in mail.outbox[0].subject
    assert "It shows a <teapot>." in mail.outbox[0].body


def test_a_notice_decided_before_its_first_letter_gets_the_answer_alone(takedown, mo):
    accept(takedown, mo)
    replies.send_due()
    assert [to for to, _subject in letters()] == [["cleo@example.org"], ["ada@example.org"]]


def test_two_senders_at_once_send_one_letter(takedown):
    first, second = (Takedown.objects.get() for _ in range(2))
    post = mail.get_connection()
    assert (replies.send(first, post), replies.send(second, post)) == (True, False)
    assert len(mail.outbox) == 1


def test_a_closed_account_is_not_written_to(takedown, mo, ada):
    accept(takedown, mo)
    type(ada).objects.filter(pk=ada.pk).update(is_active=False)
    replies.send_due()
    assert [to for to, _subject in letters()] == [["cleo@example.org"]]


def test_a_sender_killed_at_its_letter_leaves_it_owed(takedown, mo, monkeypatch):
    accept(takedown, mo)

    def killed(*_arguments: object, **_fields: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(replies, "send_mail", killed)
        with pytest.raises(KeyboardInterrupt):
            replies.send_due()
    # Claimed for a while, so that nobody else sends it at the same moment.
    replies.send_due()
    assert ["cleo@example.org"] not in [to for to, _subject in letters()]
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        replies.send_due()
    assert [to for to, _subject in letters()].count(["cleo@example.org"]) == 1


def test_decided_while_its_first_letter_goes_out_the_answer_is_still_owed(
    takedown, mo, monkeypatch
):
    sends = replies.send_mail

    def decided_meanwhile(*arguments: object, **fields: object) -> None:
        sends(*arguments, **fields)
        takedowns.refuse(takedown, actor=mo, reason="It is a teapot.", now=timezone.now())

    with monkeypatch.context() as patch:
        patch.setattr(replies, "send_mail", decided_meanwhile)
        assert replies.send_due() == 1
    assert replies.send_due() == 1
    assert [subject for _to, subject in letters()] == [
        f"We have your report {takedown.number}",
        "We looked at your report and did not remove the picture",
    ]


class ShutAtTheDoor(EmailBackend):
    def open(self) -> bool:
        raise ConnectionRefusedError


class BreaksOff(EmailBackend):
    def send_messages(self, messages) -> int:
        raise SMTPServerDisconnected("gone")


class KnowsNoCleo(EmailBackend):
    def send_messages(self, messages) -> int:
        for message in messages:
            if message.to == ["cleo@example.org"]:
                raise SMTPRecipientsRefused({message.to[0]: (550, b"no such user")})
        return super().send_messages(messages)


@pytest.mark.parametrize("outage", [ShutAtTheDoor, BreaksOff])
def test_an_outage_of_the_post_loses_no_letter_and_doubles_none(takedown, mo, settings, outage):
    accept(takedown, mo)
    at_work = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"{__name__}.{outage.__name__}"
    assert (replies.send_due(), replies.send_due()) == (0, 0)
    settings.EMAIL_BACKEND = at_work
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert (replies.send_due(), replies.send_due()) == (2, 0)
    assert [to for to, _subject in letters()] == [["cleo@example.org"], ["ada@example.org"]]


def test_an_address_nobody_has_holds_up_no_other_letter(takedown, mo, settings):
    accept(takedown, mo)
    settings.EMAIL_BACKEND = f"{__name__}.KnowsNoCleo"
    replies.send_due()
    assert [to for to, _subject in letters()] == [["ada@example.org"]]
    assert not Takedown.objects.filter(mail_due_at__isnull=False).exists()
    assert not Removal.objects.filter(mail_due_at__isnull=False).exists()
