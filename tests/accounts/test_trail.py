"""The trail of decisions: read, filtered and taken along, never rewritten, never a formula.

Knows the factories.
"""

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import decide
from tests import factories

pytestmark = pytest.mark.django_db
SHEET = "/admin/accounts/decision/export.csv"


@pytest.fixture
def mos(client, mo):
    client.force_login(mo)
    return client


def rows(client, **query) -> list[dict[str, str]]:
    answer = client.get(SHEET, query)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_sheet_says_who_did_what_to_whom_and_why(mos, mo, ada):
    decide(mo, "limits_changed", person=ada, reason="Workshop", before={"a": 1}, after={"a": 2})
    [row] = rows(mos)
    assert (row["Who"], row["Act"], row["Person"], row["Reason"], row["Before"], row["After"]) == (
        mo.email,
        "limits_changed",
        ada.email,
        "Workshop",
        '{"a": 1}',
        '{"a": 2}',
    )


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@x", " =1+1", "\t=1"])
def test_no_cell_is_a_formula(mos, mo, words):
    decide(mo, "looked", subject=("request", 1), reason=f"x{words}", category=words.strip()[:8])
    decide(mo, words, reason="why")
    cells = [cell for row in rows(mos) for cell in row.values()]
    assert not [cell for cell in cells if cell.lstrip(" ").startswith(tuple("=+-@\t"))]


def test_the_sheet_has_the_filters_of_the_list(mos, mo, ada, ben):
    for person in (ada, ben):
        decide(mo, "person_suspended", person=person, reason="spam")
        decide(mo, "suspension_lifted", person=person, reason="sorry")
    found = rows(mos, act="person_suspended", q="ada@example.org")
    assert [(row["Act"], row["Person"]) for row in found] == [("person_suspended", ada.email)]
    text = mos.get("/admin/accounts/decision/", {"act": "person_suspended"}).text
    assert f'href="{SHEET}?act=person_suspended"' in text


def test_the_sheet_goes_by_days(mos, mo):
    old = decide(mo, "looked", reason="x")
    assert [row["Number"] for row in rows(mos)] == [str(old.pk)]
    tomorrow = (timezone.now() + timedelta(days=1)).date()
    assert rows(mos, created_at__gte=f"{tomorrow} 00:00:00+00:00") == []


def test_only_those_who_may_read_it_take_it_along(client, ada):
    assert client.get(SHEET).status_code == 302
    for person in (ada, factories.create_user(is_staff=True)):
        client.force_login(person)
        assert client.get(SHEET, follow=True).status_code == 403


@pytest.mark.parametrize(
    "query", [{"created_at__gte": "soon"}, {"act__nothing": "1"}, {"nonsense": "1"}, {"p": "x"}]
)
def test_a_filter_that_means_nothing_is_no_fault(mos, mo, query):
    decide(mo, "looked", reason="x")
    assert mos.get(SHEET, query).status_code in (200, 302, 400)


def test_the_sheet_is_read_and_never_sent(mos):
    assert mos.post(SHEET).status_code == 405
