"""Rules: which screening rules are in force, made ready once for each process, and the first ones.

Knows ScreeningRule, ReviewItem and `screening`. A change by staff counts from the next description
on, in every process: each asks for the edition (one small query) and reads the rows only when it
is another.
"""

from django.db import connections

from avatars import screening
from avatars.models import AvatarRequest, ReviewItem, ReviewKind, ScreeningRule
from avatars.models.rules import Edition

_ready: tuple[Edition, screening.Rules] | None = None


def in_force() -> screening.Rules:
    """The rules to screen with. A table without a single row is an accident: then those of the
    file count. Rules that staff have switched off do not.
    """
    global _ready  # one value, replaced whole: a thread sees the old one or the new
    edition = ScreeningRule.objects.edition()
    if _ready is None or _ready[0] != edition:
        rows = [of_row(row) for row in ScreeningRule.objects.active()]
        rules = rows if edition.rules else screening.shipped_rules()
        _ready = edition, screening.Rules(rules)
    return _ready[1]


def of_row(row: ScreeningRule) -> screening.Rule:
    return screening.Rule(row.name, row.category, row.effect, row.words, row.pk)


def put_on_desk(avatar_request: AvatarRequest, opinion: screening.Opinion) -> None:
    """A held description waits for a moderator: call in the transaction that makes the request."""
    if avatar_request.deadline_at is None:
        raise ValueError("what waits for a person has a deadline")
    ReviewItem.objects.put(
        ReviewKind.DESCRIPTION,
        person=avatar_request.user,
        request=avatar_request,
        deadline_at=avatar_request.deadline_at,
        category=opinion.category or "",
        terms=opinion.terms,
        rules=opinion.rules,
    )


def seed(using: str = "default") -> int:
    """The first rules, when there is none: what staff have made of them is never touched. Returns
    how many were added. Harmless before the table exists.
    """
    if ScreeningRule._meta.db_table not in connections[using].introspection.table_names():
        return 0
    rules = ScreeningRule.objects.using(using)
    if rules.exists():
        return 0
    shipped = [
        ScreeningRule(
            name=rule.name, category=rule.category, effect=rule.effect, words=rule.words.strip()
        )
        for rule in screening.shipped_rules()
    ]
    return len(rules.bulk_create(shipped, ignore_conflicts=True))
