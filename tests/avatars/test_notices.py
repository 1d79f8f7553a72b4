"""Letters: sent once, to whoever left, and never to whoever saw the page.

Knows the verbs and the factories.
"""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from avatars import notices
from avatars.models import AvatarRequest, State
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _a_minute_later():
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=True) as clock:
        yield clock


def ended(user, state: State) -> AvatarRequest:
    avatar_request = factories.create_request_in(state, user)
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(mail_due_at=timezone.now())
    return avatar_request


def test_a_finished_avatar_is_told_once(ada, ben):
    ended(ada, State.READY)
    assert (notices.send_due(), notices.send_due()) == (1, 0)
    assert [(m.to, m.subject) for m in mail.outbox] == [([ada.email], "Your anime avatar is ready")]
    assert "1 credit charged" in mail.outbox[0].body


def test_a_return_is_told_with_its_reason_and_that_nothing_was_charged(ada):
    ended(ada, State.FAILED)
    notices.send_due()
    assert mail.outbox[0].subject.startswith("1 credit returned: ")
    assert "You were not charged." in mail.outbox[0].body
    assert "\n\n" not in mail.outbox[0].subject


def test_whoever_saw_the_page_gets_no_letter(ada):
    avatar_request = ended(ada, State.READY)
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(mail_due_at=None)
    assert (notices.send_due(), mail.outbox) == (0, [])


def test_a_letter_is_not_sent_within_the_first_minute(ada):
    factories.create_request_in(State.READY, ada)
    assert notices.send_due() == 0


def test_two_senders_at_once_send_one_letter(ada):
    ended(ada, State.READY)
    first, second = (AvatarRequest.objects.select_related("user__wallet").get() for _ in range(2))
    post = mail.get_connection()
    assert (notices.send(first, post), notices.send(second, post)) == (True, False)
    assert len(mail.outbox) == 1
