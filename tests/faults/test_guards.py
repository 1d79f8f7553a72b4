"""Guards that no other test would miss, and the list of mutants, which must not rot.

Knows the verbs, the models, the factories, and mutants.py as a list of texts.
"""

import json
import socket
import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Kind, ReferenceTaken, Transfer, Wallet
from avatars import download, generation, sending
from avatars.models import Attempt, AvatarRequest, State
from tests import factories
from tests.avatars.scripted import recorded, serving, wire
from tests.faults.mutants import MUTANTS, ROOT
from tests.faults.mutants_of_access import MUTANTS as ACCESS

pytestmark = pytest.mark.django_db


def pockets(user) -> tuple[int, int]:
    user.wallet.refresh_from_db()
    return user.wallet.available, user.wallet.reserved


@pytest.fixture
def serve():
    with serving() as start:
        yield start


# ── Money ───────────────────────────────────────────────────────────────────────────────────────


def test_the_database_refuses_a_second_transfer_of_one_reference(ada):
    hold = ada.wallet.hold(1, "wish")
    with pytest.raises(IntegrityError), transaction.atomic():
        Transfer.objects.create(
            wallet=ada.wallet,
            kind=Kind.HOLD,
            source=hold.source,
            target=hold.target,
            amount=1,
            reference=hold.reference,
        )


@pytest.mark.parametrize(("first", "second"), [("capture", "release"), ("release", "capture")])
def test_a_hold_is_not_resolved_twice_at_the_cost_of_another(ada, first, second):
    """Its own credits are gone, but those of another hold are there to be taken."""
    ada.wallet.hold(2, "wish")
    ada.wallet.hold(2, "another")
    getattr(ada.wallet, first)(2, "wish")
    before = pockets(ada)
    with pytest.raises(ReferenceTaken):
        getattr(ada.wallet, second)(2, "wish")
    assert pockets(ada) == before


@pytest.mark.parametrize("pocket", ["available", "reserved", "owed"])
def test_the_database_keeps_each_pocket_from_going_below_zero(ada, pocket):
    with pytest.raises(IntegrityError), transaction.atomic():
        Wallet.objects.filter(pk=ada.wallet.pk).update(**{pocket: -1})


def test_nothing_is_counted_before_the_hold_has_locked_the_wallet(ada):
    """Two tabs at once show it on PostgreSQL alone: SQLite locks the whole transaction."""
    wish = factories.wish(factories.create_photo(ada))
    with CaptureQueriesContext(connection) as statements:
        generation.submit(ada, wish)
    told = [query["sql"] for query in statements.captured_queries]
    locked = [n for n, sql in enumerate(told) if sql.startswith('UPDATE "accounts_wallet"')]
    counted = [
        n for n, sql in enumerate(told) if "COUNT(" in sql and '"avatars_avatarrequest"' in sql
    ]
    assert len(locked) == 1
    assert len(counted) >= 2  # open ones and today's
    assert locked[0] < min(counted)


# ── The engine ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [State.SENDING, State.UNCERTAIN, State.GENERATING, State.STORING])
def test_at_the_promised_moment_even_a_broken_row_returns_its_credit(ada, state):
    """Without an attempt no step can be taken; the deadline must not come behind one."""
    avatar_request = factories.create_request_in(state, ada)
    avatar_request.attempts.all().delete()
    with time_machine.travel(avatar_request.deadline_at + timedelta(seconds=1), tick=False):
        generation.advance(avatar_request.pk)
    avatar_request.refresh_from_db()
    assert (avatar_request.state, pockets(ada)) == (State.FAILED, (11, 0))


def test_a_slot_that_was_just_given_out_is_not_given_out_again(ada):
    first, second = (factories.create_request(ada) for _ in range(2))
    now = timezone.now()
    assert (sending.start(first, 1, now), sending.start(second, 1, now)) == (True, False)
    second.refresh_from_db()
    assert (second.state, list(Attempt.objects.values_list("slot_no"))) == (State.QUEUED, [(1,)])


def waiting_to_be_sent(user) -> AvatarRequest:
    """Its slot is given out and its claim is ours."""
    photo = factories.create_photo(user, factories.portrait())
    avatar_request = factories.create_request(user, photo)
    assert sending.dispatch() == [avatar_request.pk]
    avatar_request.refresh_from_db()
    assert avatar_request.claim(timezone.now())
    return avatar_request


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("base", ["", "https://likeness.example"], ids=["inline", "by link"])
def test_an_order_is_written_down_before_a_byte_of_it_leaves(ada, serve, settings, base):
    """What another process would find in the rows at the moment the provider has the order."""
    found = []

    def look_into_the_rows(incoming: socket.socket, _over: threading.Event) -> None:
        try:
            found.append(Attempt.objects.values_list("sent_at", "doorbell_hash", "face_open").get())
        finally:
            connection.close()
        incoming.sendall(wire(200, recorded("submit_processing")))

    server = serve(look_into_the_rows)
    settings.FACE_GEN_URL = f"http://{server.netloc}/api/"
    settings.MODELSLAB_API_KEY = "test-key-0123456789"
    settings.PUBLIC_BASE_URL = base
    sending.send(waiting_to_be_sent(ada))
    assert server.connections == 1
    [(sent_at, doorbell_hash, face_open)] = found
    assert sent_at is not None
    assert (doorbell_hash is not None, face_open) == (bool(base), bool(base))


def test_whoever_has_lost_the_claim_posts_nothing(ada, serve, settings):
    server = serve(lambda *_: None)
    settings.FACE_GEN_URL = f"http://{server.netloc}/api/"
    settings.MODELSLAB_API_KEY = "test-key-0123456789"
    settings.PUBLIC_BASE_URL = ""
    avatar_request = waiting_to_be_sent(ada)
    AvatarRequest.objects.filter(pk=avatar_request.pk).update(lease_no=99)
    sending.send(avatar_request)
    assert (server.connections, avatar_request.attempts.get().sent_at) == (0, None)


# ── The outside ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", [State.SENDING, State.UNCERTAIN, State.GENERATING, State.STORING])
def test_no_picture_is_ever_taken_from_a_doorbell(ada, client, state):
    """Not even from a true one: it may name the job, and results are read back with our key."""
    avatar_request = factories.create_request_in(state, ada)
    job_id = avatar_request.attempts.get().provider_job_id

    def known() -> tuple:
        rows = Attempt.objects.values_list("outputs", "outcome", "slot_no", "ended_at")
        return AvatarRequest.objects.values_list("state", "lease_no").get(), rows.get()

    before = known()
    body = {
        "status": "success",
        "id": job_id or 917,
        "output": ["https://decoy.example/a.png"],
        "proxy_links": ["https://decoy.example/b.png"],
        "fetch_result": "https://decoy.example/fetch/917",
    }
    answer = client.post(
        f"/webhooks/provider/doorbell-{avatar_request.pk}/",
        json.dumps(body),
        content_type="application/json",
    )
    assert (answer.status_code, known()) == (200, before)


@pytest.mark.parametrize(
    "host", ["evil.cdn.modelslab.com", "a.b.cdn.modelslab.com", "xcdn.modelslab.com"]
)
def test_a_name_below_an_allowed_one_is_foreign(settings, monkeypatch, host):
    """Anyone may open a bucket beside ours."""
    settings.FACE_GEN_RESULT_HOSTS = ["cdn.modelslab.com"]
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *_, **__: asked.append(name) or [])
    with pytest.raises(download.ForeignHost) as caught:
        download.fetch(f"https://{host}/a.png")
    assert (caught.value.host, asked) == (host, [])


# ── The list ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_guard_stands_where_its_mutant_cuts_and_its_tests_are_there(mutant):
    assert [cut.count(ROOT) for cut in mutant.cuts] == [1] * len(mutant.cuts)
    for test in mutant.tests:
        path, name = test.split("::")
        assert f"\ndef {name.partition('[')[0]}(" in (ROOT / path).read_text()


def test_there_is_one_mutant_for_each_of_the_twenty_guards_and_seven_of_payments():
    others = len(MUTANTS) - len(ACCESS)
    assert (len({mutant.name for mutant in MUTANTS}), others) == (len(MUTANTS), 20 + 7)


def test_every_line_of_the_security_checklist_has_a_mutant():
    """Thirteen is payments: a signature, an age, a mode and a price are among their seven."""
    lines = {int(mutant.name.split()[0]) for mutant in ACCESS}
    assert lines == set(range(1, 17)) - {13}
