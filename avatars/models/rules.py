"""ScreeningRule: words that staff may change, and what is done when a description has them.

Knows nothing of ours. The rules a site starts with stand in a file (see `avatars.rules`).
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import models
from django.db.models import Count, Max, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Category(models.TextChoices):
    """The one list of kinds and reasons, for rules, reports and decisions alike."""

    SEXUAL = "sexual", _("sexual content")
    MINORS = "minors", _("under 18")
    PEOPLE = "people", _("a real person without consent")
    HATE = "hate", _("hate")
    VIOLENCE = "violence", _("violence or cruelty")
    DECEPTION = "deception", _("deception or an identity document")
    COPYRIGHT = "copyright", _("copyright")
    SPAM = "spam", _("spam")
    QUALITY = "quality", _("low quality")


class Effect(models.TextChoices):
    REFUSE = "refuse", _("refuse at once and name the category")
    HOLD = "hold", _("a person reads it first")
    BESIDE_MINOR = "beside_minor", _("refuse beside a word for somebody under 18")
    MINOR = "minor", _("a word for somebody under 18")
    ALLOW = "allow", _("a harmless phrase, never counted")


RULES_WORDS_LIMIT = 20_000  # characters


@dataclass(frozen=True)
class Edition:
    """Changes whenever any rule does: rules are never deleted, and each change counts one up."""

    rules: int
    revisions: int | None
    changed_at: datetime | None


class ScreeningRuleQuerySet(models.QuerySet["ScreeningRule"]):
    def edition(self) -> Edition:
        """Which state of the rules is in force, in one small query."""
        return Edition(
            **self.aggregate(
                rules=Count("pk"), revisions=Sum("revision"), changed_at=Max("changed_at")
            )
        )

    def active(self) -> "ScreeningRuleQuerySet":
        return self.filter(active=True).order_by("pk")


class ScreeningRule(models.Model):
    """Retired, not deleted: what was once decided by it names its number."""

    name = models.CharField(_("name"), max_length=80, unique=True)
    category = models.CharField(
        _("category"),
        max_length=24,
        choices=[*Category.choices, ("rules", _("none in particular"))],
        help_text=_("What the person is told when a rule of this kind refuses."),
    )
    effect = models.CharField(_("effect"), max_length=16, choices=Effect.choices)
    words = models.TextField(
        _("words"),
        max_length=RULES_WORDS_LIMIT,
        help_text=_(
            "Words and phrases, parted by commas or lines. Whole words only; a * at the end takes "
            "any ending. Accents, capitals and tricks with letters need no entries of their own."
        ),
    )
    active = models.BooleanField(_("in force"), default=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ScreeningRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("screening rule")

    def __str__(self) -> str:
        return self.name

    def change(self, now: datetime) -> bool:
        """Store this row's fields as its next revision. False: somebody changed it meanwhile."""
        fields = {name: getattr(self, name) for name in RULE_FIELDS}
        unchanged = ScreeningRule.objects.filter(pk=self.pk, revision=self.revision)
        return bool(unchanged.update(revision=self.revision + 1, changed_at=now, **fields))


RULE_FIELDS = ("name", "category", "effect", "words", "active")
