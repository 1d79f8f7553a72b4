"""Every behaviour of the provider, met by the whole product: a picture or the credit back.

Nothing of ours is replaced; the provider is its stand-in over real HTTP, told by a word in the
prompt how to behave, and judged by its own books.
"""

import pytest

from accounts import auditing as accounts_auditing
from avatars import auditing as avatars_auditing
from avatars import download, face_gen, generation
from avatars.models import Attempt, Avatar, AvatarRequest, Reason, State
from tests import engine, factories

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 14  # looks and waits, each as if its time had come, before the promise runs out

READY = (
    "sync",
    "hang-after=0.2",
    "drop-after",
    "html524",
    "500-after",
    "truncated",
    "no-id",
    "no-status",
    "wrong-content-type",
    "id=string",
    "eta=float",
    "eta=0",
    "eta=absent",
    "eta=huge",
    "eta=nan",
    "output=empty-string",
    "no-fetch-result",
    "foreign-fetch-result",
    "proxy-links=empty",
    "proxy-links=null",
    "proxy-links=absent",
    "proxy-links=object",
    "late=3",
    "not-found=3",
    "empty-success=2",
    "late404=20",
    "late403=5",
    "proxy-only",
    "short=3",
    "file-delay=3",
    "jpeg-as-png",
    "webp",
    "text-plain",
    "two",
    "wrong-size",
    "hook=once",
    "hook=twice",
    "hook=early",
    "hook=never",
    "hook=late=5",
    "hook=failed",
    "hook=forged",
    "hook=foreign-id",
    "hook=garbage",
    "hook=string-track",
    "face-fetches=3",
    "face=at-start",
)
# (word, why it failed, how many jobs the provider took)
FAILED = (
    ("429", Reason.LINE_LATE, 0),
    ("429-in-200", Reason.LINE_LATE, 0),
    ("no-credit", Reason.LINE_LATE, 0),
    ("no-plan", Reason.LINE_LATE, 0),
    ("no-route", Reason.LINE_LATE, 0),
    ("invalid", Reason.REFUSED, 0),
    ("invalid-object", Reason.REFUSED, 0),
    ("error-unknown", Reason.PROVIDER_FAILED, 0),
    ("503", Reason.PROVIDER_FAILED, 0),
    ("500", Reason.UNCONFIRMED, 0),
    ("html502", Reason.UNCONFIRMED, 0),
    ("drop-before", Reason.UNCONFIRMED, 0),
    ("hang-before=0.2", Reason.UNCONFIRMED, 0),
    ("failed-now", Reason.PROVIDER_FAILED, 2),
    ("fail", Reason.PROVIDER_FAILED, 2),
    ("stuck", Reason.LATE, 1),
    ("look=429", Reason.LATE, 1),
    ("look=500", Reason.LATE, 1),
    ("look=html502", Reason.LATE, 1),
    ("look=invalid-key", Reason.LATE, 1),
    ("look=unknown-word", Reason.LATE, 1),
    ("look=error", Reason.LATE, 1),
    ("look=drop", Reason.LATE, 1),
    ("black", Reason.BLOCKED, 1),
    ("blur", Reason.BLOCKED, 1),
    ("gone", Reason.UNSAVED, 1),
    ("html-file", Reason.UNSAVED, 1),
    ("foreign-host", Reason.UNSAVED, 1),
    ("redirect=decoy", Reason.UNSAVED, 1),
    ("redirect=metadata", Reason.UNSAVED, 1),
    ("huge=13", Reason.UNSAVED, 1),
    ("drip", Reason.UNSAVED, 1),
    ("bomb", Reason.BROKEN, 1),
)


@pytest.fixture
def in_link_mode(settings, live_server, provider, monkeypatch):
    """The provider reads the face by our counted link and rings our doorbell."""
    settings.PUBLIC_BASE_URL = live_server.url
    monkeypatch.setattr(download, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(face_gen, "LOOK_SECONDS", 2.0)
    return provider


@pytest.fixture
def inline(settings, provider):
    """The face travels inside the order; nothing rings."""
    settings.PUBLIC_BASE_URL = ""
    return provider


def live_through(provider, scenario: str) -> AvatarRequest:
    """Submit a wish with the scenario's word in it and see it to its end."""
    ada = factories.create_user(credits=2)
    photo = factories.create_photo(ada, factories.portrait())
    avatar_request = generation.submit(
        ada, factories.wish(photo, prompt=f"a lighthouse keeper [[{scenario}]]")
    )
    for _round in range(ROUNDS):
        engine.hurry()
        engine.step()
        provider.advance(2)
        avatar_request.refresh_from_db()
        if not avatar_request.is_open():
            return avatar_request
    engine.promise_runs_out()
    engine.step()
    avatar_request.refresh_from_db()
    return avatar_request


def promise_is_kept(provider, avatar_request: AvatarRequest) -> None:
    """By our rows and by the provider's own books."""
    wallet = avatar_request.user.wallet
    wallet.refresh_from_db()
    assert not avatar_request.is_open()
    pictures = Avatar.objects.filter(request=avatar_request, gift=False).count()
    if avatar_request.state == State.READY:
        assert (wallet.available, wallet.reserved, pictures) == (1, 0, 1)
    else:
        assert (wallet.available, wallet.reserved, pictures) == (2, 0, 0)
        assert avatar_request.reason
    assert provider.books.generated() <= 1
    assert provider.books.violations() == []
    assert [line for line in provider.books.strays() if line["key_seen"]] == []
    assert not Attempt.objects.live().exists()
    assert [*accounts_auditing.findings(), *avatars_auditing.findings()] == []


@pytest.mark.parametrize("scenario", READY)
def test_with_a_link_a_picture_arrives_whatever_the_provider_does(in_link_mode, scenario):
    avatar_request = live_through(in_link_mode, scenario)
    assert (avatar_request.state, avatar_request.reason) == (State.READY, "")
    assert in_link_mode.books.accepted() == 1
    promise_is_kept(in_link_mode, avatar_request)


@pytest.mark.parametrize(("scenario", "reason", "jobs"), FAILED)
def test_with_a_link_the_credit_returns_when_no_picture_can_come(
    in_link_mode, scenario, reason, jobs
):
    avatar_request = live_through(in_link_mode, scenario)
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, reason)
    assert in_link_mode.books.accepted() == jobs
    promise_is_kept(in_link_mode, avatar_request)


@pytest.mark.parametrize("scenario", ["sync", "base64=bare", "base64=inline", "late404=5", "two"])
def test_inline_a_picture_arrives(inline, scenario):
    avatar_request = live_through(inline, scenario)
    assert (avatar_request.state, avatar_request.reason) == (State.READY, "")
    promise_is_kept(inline, avatar_request)


@pytest.mark.parametrize(
    "scenario",
    ["drop-after", "html524", "500-after", "truncated", "no-id]] [[no-fetch-result", "no-status"],
)
def test_inline_an_unclear_answer_is_never_ordered_again(inline, scenario):
    avatar_request = live_through(inline, scenario)
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.UNCONFIRMED)
    assert inline.books.accepted() == 1
    promise_is_kept(inline, avatar_request)


def test_a_key_that_does_not_work_leaves_people_in_line_and_calls_staff(
    in_link_mode, settings, caplog
):
    settings.MODELSLAB_API_KEY = "test-invalid"
    with caplog.at_level("ERROR"):
        avatar_request = live_through(in_link_mode, "hook=once")
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.LINE_LATE)
    assert any(record.name == "likeness.staff" for record in caplog.records)
    promise_is_kept(in_link_mode, avatar_request)


def test_a_picture_after_the_promise_is_a_gift(in_link_mode):
    avatar_request = live_through(in_link_mode, "late=500")
    assert (avatar_request.state, avatar_request.reason) == (State.FAILED, Reason.LATE)
    in_link_mode.advance(600)
    AvatarRequest.objects.update(due_at=avatar_request.ended_at)
    engine.step()
    gift = Avatar.objects.get(request=avatar_request)
    assert gift.gift
    promise_is_kept(in_link_mode, avatar_request)


def test_a_provider_that_is_not_there_costs_nothing(settings, ada):
    settings.FACE_GEN_URL = "http://127.0.0.1:9/api/"
    settings.PUBLIC_BASE_URL = ""
    avatar_request = factories.create_request(ada)
    engine.step()
    avatar_request.refresh_from_db()
    assert avatar_request.state == State.QUEUED
    engine.promise_runs_out()
    engine.step()
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (11, 0)
