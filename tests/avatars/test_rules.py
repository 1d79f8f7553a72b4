"""The rules as rows: seeded once, never overwritten, in force at once and in every process.

Knows `rules`, its rows and the submit that asks them.
"""

import html

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.utils import timezone

from accounts.models import Decision
from avatars import generation, rules, screening
from avatars.models import Category, ReviewItem, ScreeningRule, State
from avatars.models.rules import Effect
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_fresh_database_has_the_shipped_rules():
    shipped = [(rule.name, rule.category, rule.effect) for rule in screening.shipped_rules()]
    rows = ScreeningRule.objects.order_by("pk").values_list("name", "category", "effect")
    assert list(rows) == shipped
    assert set(Effect) == set(screening.EFFECTS)
    assert {rule.category for rule in screening.shipped_rules()} <= {*Category, "rules"}
    assert [rule.name for rule in screening.shipped_rules() if screening.faults(rule.words)] == []


def test_seeding_again_changes_nothing_that_staff_have_made():
    ScreeningRule.objects.filter(category="hate").update(words="frogs", active=False)
    ScreeningRule.objects.filter(category="violence").delete()
    before = list(ScreeningRule.objects.order_by("pk").values())
    assert rules.seed() == 0
    call_command("migrate", verbosity=0)
    assert list(ScreeningRule.objects.order_by("pk").values()) == before


def test_an_emptied_table_is_seeded_by_the_next_migrate_and_guarded_until_then():
    ScreeningRule.objects.all().delete()
    assert rules.in_force().screen("a nude").category == "sexual"
    call_command("migrate", verbosity=0)
    assert ScreeningRule.objects.count() == len(screening.shipped_rules())


def test_rules_that_staff_have_switched_off_count_no_more():
    ScreeningRule.objects.update(active=False)
    assert rules.in_force().screen("a nude").outcome == "pass"


def test_an_edited_rule_counts_from_the_next_text_on():
    assert rules.in_force().screen("a frog").outcome == "pass"
    rule = ScreeningRule.objects.get(name="Hate and its symbols")
    rule.words = "frog*"
    assert rule.change(timezone.now())
    assert rules.in_force().screen("two frogs") == screening.Opinion(
        "refuse", "hate", (rule.pk,), ("frogs",)
    )
    assert rules.in_force().screen("a swastika").outcome == "pass"


def test_of_two_who_edit_one_rule_the_second_is_told(db):
    first, second = (ScreeningRule.objects.get(name="Sexual content") for _ in range(2))
    first.words, second.words = "one", "two"
    assert (first.change(timezone.now()), second.change(timezone.now())) == (True, False)
    assert ScreeningRule.objects.get(pk=first.pk).words == "one"


def test_asking_the_rules_costs_one_query_once_they_are_read(django_assert_num_queries):
    rules.in_force()
    with django_assert_num_queries(1):
        assert rules.in_force() is rules.in_force.__globals__["_ready"][1]


def test_a_held_wish_holds_its_credits_and_waits_a_day_for_a_person(ada, settings):
    settings.REVIEW_HOURS = 24
    asked = factories.wish(factories.create_photo(ada), prompt="as Taylor Swift on stage")
    mine = generation.submit(ada, asked)
    ada.wallet.refresh_from_db()
    assert (mine.state, ada.wallet.available, ada.wallet.reserved) == (State.HELD, 9, 1)
    assert (mine.deadline_at - mine.created_at).total_seconds() == 24 * 3600
    assert (mine.due_at, mine.queued_at) == (mine.deadline_at, None)
    item = ReviewItem.objects.get(request=mine)
    people = ScreeningRule.objects.get(name="Well-known living people")
    assert (item.person, item.category, item.deadline_at) == (ada, "people", mine.deadline_at)
    assert (item.terms, item.rules, item.outcome) == (["taylor swift"], [people.pk], "")
    assert generation.submit(ada, asked).pk == mine.pk
    assert ReviewItem.objects.count() == 1


def test_a_refused_wish_moves_nothing_and_waits_for_nobody(ada):
    asked = factories.wish(factories.create_photo(ada), prompt="Taylor Swift, nude")
    with pytest.raises(generation.WordsRefused) as refused:
        generation.submit(ada, asked)
    ada.wallet.refresh_from_db()
    assert (refused.value.category, str(refused.value)) == ("sexual", "sexual")
    assert (ada.wallet.reserved, ReviewItem.objects.count()) == (0, 0)


def test_a_limit_reached_by_a_held_wish_leaves_no_item_behind(ada):
    type(ada.quota).objects.filter(user=ada).update(max_open=1)
    ada.quota.refresh_from_db()
    factories.create_held(ada)
    asked = factories.wish(factories.create_photo(ada), prompt="as Elon Musk")
    with pytest.raises(generation.TooManyOpen):
        generation.submit(ada, asked)
    assert ReviewItem.objects.count() == 1


# ── In the admin ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lees(client):
    lee = factories.create_moderator("lee@example.org", lead=True)
    rights = ["view_screeningrule", "add_screeningrule", "change_screeningrule"]
    lee.user_permissions.add(*Permission.objects.filter(codename__in=rights))
    client.force_login(lee)
    return client


LIST = "/admin/avatars/screeningrule/"


def form_of(rule: ScreeningRule, **fields) -> dict[str, object]:
    return {
        "name": rule.name,
        "category": rule.category,
        "effect": rule.effect,
        "words": rule.words,
        "active": "on",
        "seen_revision": rule.revision,
        "why": "because",
        **fields,
    }


def test_a_lead_edits_a_rule_and_the_record_says_why(lees):
    rule = ScreeningRule.objects.get(name="Hate and its symbols")
    address = f"{LIST}{rule.pk}/change/"
    assert lees.get(address).status_code == 200
    form = form_of(rule, words="frog*", why="frogs are the new thing")
    assert lees.post(address, form).status_code == 302
    rule.refresh_from_db()
    assert (rule.words, rule.revision) == ("frog*", 2)
    decision = Decision.objects.get()
    assert (decision.act, decision.subject) == ("rule_changed", f"rule:{rule.pk}")
    assert (decision.reason, decision.after) == ("frogs are the new thing", {"words": "frog*"})
    assert rules.in_force().screen("a frog").category == "hate"


def test_a_lead_adds_a_rule_and_nobody_deletes_one(lees):
    form = form_of(
        ScreeningRule(name="Mice", category="copyright", effect="hold", words="mickey mouse")
    )
    assert lees.post(f"{LIST}add/", form).status_code == 302
    rule = ScreeningRule.objects.get(name="Mice")
    assert rules.in_force().screen("Mickey Mouse").rules == (rule.pk,)
    assert Decision.objects.get().act == "rule_added"
    assert lees.post(f"{LIST}{rule.pk}/delete/").status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [{"words": "x, hat"}, {"words": " , "}, {"why": ""}, {"seen_revision": 0}, {"category": ""}],
)
def test_a_rule_that_makes_no_sense_is_not_saved(lees, wrong):
    rule = ScreeningRule.objects.get(name="Hate and its symbols")
    response = lees.post(f"{LIST}{rule.pk}/change/", form_of(rule, **wrong))
    assert (response.status_code, "errornote" in response.text) == (200, True)
    rule.refresh_from_db()
    assert (rule.revision, Decision.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("(a+)+$", "Too short to mean anything: (a+)+$"),
        (" , ,", "Too short to mean anything:"),
        ("hat, *", "Too short to mean anything: *"),
        ("the, in, with", "Too wide: it would stop our own preset “"),
        ("", "This field is required."),
        ("x" * 20_001, "at most 20000 characters"),
    ],
)
def test_a_bad_row_is_told_in_a_sentence(lees, words, sentence):
    rule = ScreeningRule.objects.get(name="Hate and its symbols")
    response = lees.post(f"{LIST}{rule.pk}/change/", form_of(rule, words=words))
    assert sentence in html.unescape(response.text)
    assert rules.in_force().screen("with a hat in the rain").outcome == "pass"


def test_signs_of_patterns_are_letters_of_no_meaning(lees):
    """Nobody can write an expression that never ends: words are compared as words."""
    rule = ScreeningRule.objects.get(name="Hate and its symbols")
    form = form_of(rule, words=r"(frog|frog)*+, [^x]{1,99}toad, \w+newt*")
    assert lees.post(f"{LIST}{rule.pk}/change/", form).status_code == 302
    assert rules.in_force().screen("frog").outcome == "pass"
    assert rules.in_force().screen("frog " * 80).outcome == "refuse"
    assert rules.in_force().screen("w newts").outcome == "refuse"


def test_the_rules_are_tried_out_on_any_text(lees):
    response = lees.post(f"{LIST}try/", {"prompt": "Taylor  Swift in a hat"})
    assert "Held: a person reads it first." in response.text
    assert "<mark>Taylor Swift</mark> in a hat" in response.text
    assert "Well-known living people" in response.text
    assert "The desk says: a real person who may not have agreed." in response.text
    assert "Passes" in lees.post(f"{LIST}try/", {"prompt": "a hat"}).text
    refused = lees.post(f"{LIST}try/", {"prompt": "n u d e", "avoid": "hats"}).text
    assert "Refused at once." in refused
    assert "The person reads: sexual content." in refused
    assert lees.post(f"{LIST}try/", {"prompt": ""}).status_code == 422
    assert ReviewItem.objects.count() == 0


def test_the_rules_are_closed_to_moderators_without_the_right(client):
    client.force_login(factories.create_moderator())
    assert client.get(LIST).status_code == 403
    assert client.get(f"{LIST}try/").status_code == 403
