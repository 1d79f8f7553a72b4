"""The trail of staff: written with the act, never rewritten.

Knows the models and the factories.
"""

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import auditing, gifts
from accounts.models import Decision, Transfer, decide

pytestmark = pytest.mark.django_db


@pytest.fixture
def decision(mo, ada):
    return decide(mo, "credits_given", person=ada, reason=" Sorry. ", after={"credits": 3})


def test_a_decision_says_who_what_about_whom_and_why(decision, mo, ada):
    row = Decision.objects.get()
    assert (row.actor, row.person, row.act) == (mo, ada, "credits_given")
    assert (row.reason, row.before, row.after) == ("Sorry.", {}, {"credits": 3})


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Same person as ada@example.org, see there.", "Same person as [address], see there."),
        ("<Grace.Hopper+x@mail.example.co.uk>: sorry", "<[address]>: sorry"),
        ("3 credits @ 10 cents", "3 credits @ 10 cents"),
    ],
)
def test_no_mail_address_is_written_where_nobody_can_take_it_back(mo, ada, typed, kept):
    gifts.give(ada, 3, actor=mo, reason=typed, number="77")
    gifts.give(ada, 3, actor=mo, reason=typed, number="77")
    assert Decision.objects.get().reason == kept
    assert Transfer.objects.get(reference="adjust:77").note == kept


def test_a_decision_without_a_why_is_refused(mo, ada):
    with pytest.raises(IntegrityError, match="decision_says_why"), transaction.atomic():
        decide(mo, "credits_given", person=ada, reason="   ")


def test_decisions_about_one_thing_are_found_by_its_name(mo):
    first = decide(mo, "looked", subject=("photo", 7), reason="asked")
    decide(mo, "looked", subject=("photo", 8), reason="asked")
    second = decide(mo, "closed", subject=("photo", 7), category="spam")
    assert list(Decision.objects.about("photo", 7)) == [first, second]


@pytest.mark.parametrize("change", [{"reason": "other"}, {"act": "x"}, {"after": {"credits": 4}}])
def test_a_decision_is_never_edited(decision, change):
    with pytest.raises(IntegrityError, match="decision_is_never_edited"), transaction.atomic():
        Decision.objects.update(**change)


def test_on_postgresql_a_decision_is_never_deleted(decision):
    """On SQLite it can be: emptying tables between tests deletes rows."""
    if connection.vendor == "postgresql":
        with pytest.raises(IntegrityError), transaction.atomic():
            decision.delete()
    assert Decision.objects.filter(pk=decision.pk).exists()


def test_its_people_may_vanish_from_it(decision):
    Decision.objects.update(actor=None, person=None)
    assert Decision.objects.get().reason == "Sorry."


def test_the_audit_misses_a_trigger(decision):
    with connection.cursor() as cursor:
        on_table = f" ON {Decision._meta.db_table}" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER decision_is_never_edited{on_table}")
    assert [each.invariant for each in auditing.findings()] == ["I12"]
