"""Your data by the pages: asking for the zip, fetching it, and what others get.

Knows the verb and the pages' addresses.
"""

import io
import zipfile
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from avatars import exporting, storage
from avatars.models import Export
from tests import factories, lives

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
DATA = "/settings/data/"


@pytest.fixture
def adas(client, ada):
    """Ada's browser, who has just said once more who she is."""
    client.force_login(ada)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def ready(user) -> Export:
    exporting.ask(user, timezone.now())
    exporting.prepare_due()
    return lives.ready_export(user)


def address(export: Export) -> str:
    return f"{DATA}exports/{export.public_id}/"


def test_a_press_begins_one_export_and_says_what_comes(client, ada):
    client.force_login(ada)
    page = client.post(DATA, follow=True)
    assert "write to you when it is ready" in page.text
    assert "Being put together" in page.text
    assert "Make an export" not in page.text
    assert Export.objects.filter(user=ada).count() == 1


def test_what_is_ready_can_be_fetched_with_the_password_and_is_the_very_zip(adas, ada):
    factories.create_avatar(ada)
    export = ready(ada)
    assert address(export) in adas.get(DATA).text
    answer = adas.get(address(export))
    content = b"".join(answer.streaming_content)
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    assert len(content) == int(answer["Content-Length"])
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"].startswith('attachment; filename="likeness-')
    assert answer["Cache-Control"] == "private, no-store"


def test_without_the_password_it_is_asked_for_first(client, ada):
    client.force_login(ada)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        answer = client.get(address(ready(ada)))
    assert answer.status_code == 302
    assert answer.url.startswith("/accounts/reauthenticate/")


def test_ben_gets_a_404_before_anybody_asks_for_his_password(client, ada, ben):
    export = ready(ada)
    client.force_login(ben)
    assert client.get(address(export)).status_code == 404


def test_whoever_is_suspended_takes_everything_along_all_the_same(adas, ada):
    assert ada.suspend(timezone.now())
    adas.post(DATA)
    exporting.prepare_due()
    answer = adas.get(address(lives.ready_export(ada)))
    assert zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))).testzip() is None


@pytest.mark.parametrize("state", ["preparing", "expired", "failed"])
def test_what_is_not_there_is_said_and_leads_back(adas, ada, state):
    export = exporting.ask(ada, timezone.now())
    if state != "preparing":
        Export.objects.update(state=state, due_at=None)
    page = adas.get(address(export), follow=True)
    assert "not there any more" in page.text
    assert page.redirect_chain[-1][0] == DATA


def test_a_file_past_its_day_is_not_handed_out_though_nobody_has_swept(adas, ada):
    export = ready(ada)
    Export.objects.update(until=timezone.now())
    assert adas.get(address(export)).status_code == 302
    assert "Gone" in adas.get(DATA).text


def test_a_storage_that_is_away_keeps_the_export_and_says_so(adas, ada, monkeypatch):
    export = ready(ada)

    def away(_key: str) -> None:
        raise storage.StorageAway("away")

    monkeypatch.setattr(storage, "pieces", away)
    answer = adas.get(address(export))
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert "Your export is still there" in answer.text


def test_a_third_one_today_is_refused_with_its_time(client, ada):
    client.force_login(ada)
    for _time in range(2):
        exporting.ask(ada, timezone.now())
        exporting.prepare_due()
    answer = client.post(DATA)
    assert answer.status_code == 429
    assert "second export today" in answer.text
    assert int(answer["Retry-After"]) > 0
    assert Export.objects.count() == 2


def test_each_state_is_one_clear_sentence(client, ada):
    client.force_login(ada)
    assert "Make an export" in client.get(DATA).text
    exporting.ask(ada, timezone.now())
    Export.objects.update(state="failed", due_at=None)
    page = client.get(DATA).text
    assert "Nothing of yours is lost; ask again." in page
    assert "Make an export" in page


def test_the_page_asks_the_same_for_one_export_and_for_many(client, ada, django_assert_num_queries):
    client.force_login(ada)
    client.get(DATA)
    for _export in range(3):
        exporting.ask(ada, timezone.now())
        Export.objects.update(state="failed", due_at=None)
    with django_assert_num_queries(4):
        client.get(DATA)
