"""What the provider drew against what we delivered, and the operator's one screen.

Knows the verbs, the stand-in over real HTTP and the command.
"""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from avatars import face_gen, generation, reconciling
from avatars.models import Attempt, Avatar, AvatarRequest, Heartbeat, Reason, State
from avatars.models.attempts import Breaker, Outcome, Service
from tests import engine, factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def outside(settings, live_server, provider):
    settings.PUBLIC_BASE_URL = live_server.url
    return provider


def request_of(user) -> AvatarRequest:
    return factories.create_request(user, factories.create_photo(user, factories.portrait()))


def status(*arguments: str) -> tuple[dict, int]:
    out = io.StringIO()
    code = 0
    try:
        call_command("provider_status", "--json", *arguments, stdout=out)
    except SystemExit as left:
        code = left.code
    return json.loads(out.getvalue()), code


def test_a_picture_that_was_paid_and_never_fetched_is_woken_and_given(ada, outside, settings):
    settings.PUBLIC_BASE_URL = ""  # no doorbell tells us
    avatar_request = request_of(ada)
    engine.step()
    attempt = Attempt.objects.get()
    engine.promise_runs_out()
    generation.advance(avatar_request.pk)
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(due_at=None)
    outside.advance(60)
    now = timezone.now()
    assert list(reconciling.undelivered(now)) == [avatar_request]
    account = reconciling.reconcile(now)
    assert (account.drawn, account.unclaimed, account.woken) == (1, 0, 1)
    assert account.unavailable == {}
    engine.step()
    assert list(Avatar.objects.values_list("request", "gift")) == [(avatar_request.pk, True)]
    assert not reconciling.undelivered(timezone.now()).exists()
    assert attempt.provider_job_id


def test_a_picture_of_somebody_elses_order_is_counted_and_given_to_nobody(ada, outside, settings):
    settings.PUBLIC_BASE_URL = ""
    avatar_request = request_of(ada)
    engine.finish()
    assert Avatar.objects.count() == 1
    Attempt.objects.update(provider_job_id="91000000")  # as if we had never ordered it
    account = reconciling.reconcile(timezone.now())
    assert (account.drawn, account.unclaimed, account.woken) == (1, 1, 0)
    assert Avatar.objects.count() == 1
    avatar_request.refresh_from_db()
    assert avatar_request.state == State.READY


def test_an_account_that_may_not_list_its_pictures_is_no_alarm(ada, outside, caplog):
    for _call in range(30):
        face_gen.processing_count()
    account = reconciling.reconcile(timezone.now())  # the thirty-first count of this minute
    assert account.processing is None
    assert list(account.unavailable) == ["count of jobs"]
    assert [record for record in caplog.records if record.name == "likeness.staff"] == []


def test_what_failed_its_safety_check_was_not_left_undelivered(ada):
    now = timezone.now()
    failed = factories.create_request_in(State.FAILED, ada)
    Attempt.objects.create(
        request=failed, number=2, sent_at=now, ended_at=now, outcome=Outcome.DONE, outputs=[["x"]]
    )
    assert list(reconciling.undelivered(now)) == [failed]
    # Beyond the hours in which we look for it, it is still paid and still nobody's.
    assert list(reconciling.undelivered(now + timedelta(days=2))) == [failed]
    AvatarRequest.objects.filter(pk=failed.pk).update(reason=Reason.BLOCKED)
    assert list(reconciling.undelivered(now)) == []


def test_staff_find_what_was_paid_and_not_delivered_in_the_admin(ada, mo, client):
    now = timezone.now()
    forsaken, returned = (factories.create_request_in(State.FAILED, ada) for _ in range(2))
    Attempt.objects.create(
        request=forsaken, number=1, sent_at=now, ended_at=now, outcome=Outcome.DONE, outputs=[["x"]]
    )
    client.force_login(mo)
    page = client.get(
        reverse("admin:avatars_avatarrequest_changelist"), {"delivery": "missing"}
    ).content.decode()
    assert (str(forsaken.public_id) in page, str(returned.public_id) in page) == (True, False)


def test_the_screen_shows_a_healthy_house_and_exits_with_zero(ada, outside):
    Heartbeat.beat("sweep", timezone.now())
    factories.create_request(ada)
    figures, code = status()
    assert (code, figures["attention"]) == (0, [])
    assert figures["account"] == {"processing": 0, "ours": 0, "balance": 50.0, "unavailable": {}}
    assert figures["open"]["queued"]["count"] == 1
    assert figures["slots"] == {"busy": 0, "all": 5}


def test_the_screen_says_what_is_wrong_and_exits_with_one(ada, outside):
    now = timezone.now()
    Heartbeat.beat("sweep", now - timedelta(minutes=1))
    Breaker.of(Service.FACE_GEN).account_trouble(now, "no balance")
    late = factories.create_request_in(State.GENERATING, ada)
    AvatarRequest.objects.filter(pk=late.pk).update(due_at=now - timedelta(seconds=30))
    figures, code = status("--offline")
    assert code == 1
    nobody, oldest, pausing = figures["attention"]
    assert nobody.startswith("Nobody sweeps")
    assert oldest.startswith("The oldest request has been due for 30.")
    assert pausing.startswith("face_gen pauses for ")
    assert pausing.endswith(": no balance.")
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("provider_status", "--offline", stdout=out)
    assert "! Nobody sweeps" in out.getvalue()
    assert "1 generating" in out.getvalue()
