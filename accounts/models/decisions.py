"""Decision: what a member of staff did, to what and whom, and why. The trail nobody rewrites.

Knows triggers and remarks. Rooms above write their own acts here, in the transaction of the act
itself.
"""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import triggers
from accounts.models.remarks import nameless


class DecisionQuerySet(models.QuerySet["Decision"]):
    def about(self, kind: str, number: object) -> "DecisionQuerySet":
        """Decisions about one thing, oldest first."""
        return self.filter(subject=subject_name(kind, number)).order_by("pk")

    def newest_first(self) -> "DecisionQuerySet":
        return self.order_by("-pk")


class Decision(models.Model):
    """`act` is a short name of what was done ("credits_given", "request_approved"); `category` is a
    name of a fixed list where the room that writes it has one; `before` and `after` are what was
    changed, as plain values.
    """

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    # Whom it concerned; a closed account leaves the decision without its person.
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="decisions"
    )
    act = models.CharField(max_length=40)
    subject = models.CharField(max_length=80, blank=True)
    category = models.CharField(max_length=24, blank=True)
    reason = models.CharField(max_length=300)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    objects = DecisionQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["subject", "id"], name="decisions_about_a_thing"),
            models.Index(fields=["person", "-id"], name="decisions_about_a_person"),
            models.Index(fields=["actor", "-id"], name="decisions_of_one_of_staff"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(reason="") | ~Q(category=""), name="decision_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.subject}"


def subject_name(kind: str, number: object) -> str:
    """How a thing is named in a decision: `purchase:<its number>`."""
    return f"{kind}:{number}"


def decide(
    actor: Any,  # noqa: ANN401 - the user model, which stands above this module
    act: str,
    *,
    person: Any = None,  # noqa: ANN401 - see actor
    subject: tuple[str, object] | None = None,
    category: str = "",
    reason: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Decision:
    """Write one decision down. The caller's transaction makes act and record one. Mail addresses
    in `reason` are left out (see `nameless`).
    """
    return Decision.objects.create(
        actor=actor,
        person=person,
        act=act,
        subject=subject_name(*subject) if subject else "",
        category=category,
        reason=nameless(reason).strip(),
        before=before or {},
        after=after or {},
    )


TRIGGERS = ("decision_is_never_edited", "decision_is_never_deleted")


def install_triggers(using: str) -> None:
    """Append-only, promised by the database. Persons may only vanish from it, with their rows."""
    triggers.append_only(using, Decision, names=TRIGGERS, but=("actor", "person"))
