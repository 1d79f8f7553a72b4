"""Wallet and Transfer: every credit, where it is and how it came there. All of the money.

Knows triggers and remarks. `_post` is the only code in the house that writes a pocket.

A wallet has three pockets. `available` and `reserved` hold credits; `owed` counts credits that a
bank took back from us, set against available: a person may spend max(0, available - owed). The
other side of a transfer is a house pocket, a name without a row, so there is nothing to contend
for. Amounts are whole credits. Transfers are never edited: a mistake is answered by a new row.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import triggers
from accounts.models.remarks import nameless


class NotEnoughCredits(Exception):
    """The wallet cannot give what was asked; nothing moved."""

    def __init__(self, wallet: "Wallet", amount: int) -> None:
        super().__init__(f"{amount} credits asked")
        self.wallet, self.amount = wallet, amount


class WalletFrozen(NotEnoughCredits):
    """The books of this wallet did not add up; it spends nothing until staff have looked."""


class ReferenceTaken(Exception):
    """The reference already stands for another movement; nothing moved."""


class Pocket(models.TextChoices):
    AVAILABLE = "available"
    RESERVED = "reserved"
    OWED = "owed"
    GIVEN = "given"  # house: credits nobody paid for
    SOLD = "sold"  # house: credits bought, or bought back
    SPENT = "spent"  # house: credits that became pictures
    LAPSED = "lapsed"  # house: what a closed account left


class Kind(models.TextChoices):
    WELCOME = "welcome", _("Welcome")
    MONTHLY = "monthly", _("Monthly")
    PURCHASE = "purchase", _("Purchase")
    HOLD = "hold", _("Held")
    CAPTURE = "capture", _("Charged")
    RELEASE = "release", _("Returned")
    GOODWILL = "goodwill", _("Gift")
    REROLL = "reroll", _("Gift")
    ADJUST_UP = "adjust_up", _("Gift")
    ADJUST_DOWN = "adjust_down", _("Adjusted")
    REFUND = "refund", _("Refunded")
    DISPUTE = "dispute", _("Reversed by the bank")
    REFUND_UNDONE = "refund_undone", _("Refund undone")
    DISPUTE_WON = "dispute_won", _("Reversal undone")
    LAPSE = "lapse", _("Lapsed")


# kind → (source, target). The CHECK *transfer_moves_as_its_kind_says* is generated from this.
ROADS: dict[Kind, tuple[Pocket, Pocket]] = {
    Kind.WELCOME: (Pocket.GIVEN, Pocket.AVAILABLE),
    Kind.MONTHLY: (Pocket.GIVEN, Pocket.AVAILABLE),
    Kind.PURCHASE: (Pocket.SOLD, Pocket.AVAILABLE),
    Kind.HOLD: (Pocket.AVAILABLE, Pocket.RESERVED),
    Kind.CAPTURE: (Pocket.RESERVED, Pocket.SPENT),
    Kind.RELEASE: (Pocket.RESERVED, Pocket.AVAILABLE),
    Kind.GOODWILL: (Pocket.GIVEN, Pocket.AVAILABLE),
    Kind.REROLL: (Pocket.GIVEN, Pocket.AVAILABLE),
    Kind.ADJUST_UP: (Pocket.GIVEN, Pocket.AVAILABLE),
    Kind.ADJUST_DOWN: (Pocket.AVAILABLE, Pocket.GIVEN),
    Kind.REFUND: (Pocket.OWED, Pocket.SOLD),
    Kind.DISPUTE: (Pocket.OWED, Pocket.SOLD),
    Kind.REFUND_UNDONE: (Pocket.SOLD, Pocket.OWED),
    Kind.DISPUTE_WON: (Pocket.SOLD, Pocket.OWED),
    Kind.LAPSE: (Pocket.AVAILABLE, Pocket.LAPSED),
}
GIFTS = frozenset({Kind.WELCOME, Kind.MONTHLY, Kind.GOODWILL, Kind.REROLL, Kind.ADJUST_UP})
# What a bank or Stripe takes back, and the undoing of it.
REVERSALS = {Kind.REFUND: Kind.REFUND_UNDONE, Kind.DISPUTE: Kind.DISPUTE_WON}
NEEDS_A_REASON = frozenset({Kind.ADJUST_UP, Kind.ADJUST_DOWN, Kind.GOODWILL})


def pocket_changes(kind: Kind, amount: int) -> dict[str, Any]:
    """What a movement does to the wallet's own columns. A debt grows when credits leave through
    it and shrinks when they come back: `owed` is a pocket with the opposite sign.
    """
    source, target = ROADS[kind]
    changes: dict[str, Any] = {}
    for pocket, sign in ((source, -1), (target, 1)):
        if pocket in (Pocket.AVAILABLE, Pocket.RESERVED):
            changes[pocket.value] = F(pocket.value) + sign * amount
        elif pocket == Pocket.OWED:
            changes[pocket.value] = F(pocket.value) - sign * amount
    return changes


def _guard(kind: Kind, amount: int) -> Q:
    """What must still be true of the wallet at the very moment of the UPDATE."""
    source, target = ROADS[kind]
    if kind == Kind.HOLD:
        return Q(frozen=False, available__gte=F("owed") + amount)
    if source in (Pocket.AVAILABLE, Pocket.RESERVED):
        return Q(**{f"{source.value}__gte": amount})
    if target == Pocket.OWED:
        return Q(owed__gte=amount)
    return Q()


@transaction.atomic
def _post(
    wallet: "Wallet",
    kind: Kind,
    amount: int,
    reference: str,
    *,
    actor: Any = None,  # noqa: ANN401 - the user model, which stands above this module
    note: str = "",
) -> "Transfer":
    """Move `amount` credits the way of `kind`, once per `reference`, however often it is said.

    Raises NotEnoughCredits when the wallet cannot give them (WalletFrozen for a frozen one) and
    ReferenceTaken when the reference stands for another movement. Either way nothing has moved.
    """
    source, target = ROADS[kind]
    transfer = Transfer(
        wallet=wallet,
        kind=kind,
        source=source,
        target=target,
        amount=amount,
        reference=reference,
        actor=actor,
        note=nameless(note),
    )
    try:
        with transaction.atomic():
            transfer.save(force_insert=True)
    except IntegrityError:
        earlier = Transfer.objects.filter(reference=reference).first()
        if earlier is None:
            raise  # not the reference, but another promise of the table
        if (earlier.wallet_id, earlier.kind, earlier.amount) != (wallet.pk, kind, amount):
            raise ReferenceTaken(reference) from None
        return earlier
    guarded = Wallet.objects.filter(_guard(kind, amount), pk=wallet.pk)
    if not guarded.update(**pocket_changes(kind, amount)):
        wallet.refresh_from_db()
        raise (WalletFrozen if wallet.frozen else NotEnoughCredits)(wallet, amount)
    return transfer


def reversal_reference(kind: Kind, key: str) -> str:
    """`refund:…`, `refund-undone:…`, `dispute:…` or `dispute-won:…`."""
    return f"{kind.value.replace('_', '-')}:{key}"


class Wallet(models.Model):
    # A closed account keeps its ledger, without a person.
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    available = models.PositiveIntegerField(default=0)
    reserved = models.PositiveIntegerField(default=0)
    owed = models.PositiveIntegerField(default=0)
    frozen = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(available__gte=0) & Q(reserved__gte=0) & Q(owed__gte=0),
                name="wallet_never_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.available} credits, {self.reserved} held, {self.owed} owed"

    @property
    def spendable(self) -> int:
        """Credits this person may spend now."""
        return 0 if self.frozen else max(0, self.available - self.owed)

    @property
    def debt(self) -> int:
        """Credits this person owes after everything available is set against it."""
        return max(0, self.owed - self.available)

    def lock(self) -> None:
        """Nobody else moves credits of this wallet until the transaction ends. Whoever ends several
        requests at once, or one that somebody else may be ending, takes it before the first
        transfer: the other would else hold the transfer's reference and wait for the wallet.
        """
        Wallet.objects.filter(pk=self.pk).update(frozen=F("frozen"))

    def hold(self, amount: int, reference: str) -> "Transfer":
        """Set credits aside. Its UPDATE locks the wallet, so whatever the same transaction counts
        afterwards cannot be raced. Raises NotEnoughCredits.
        """
        return _post(self, Kind.HOLD, amount, f"hold:{reference}")

    def capture(self, amount: int, reference: str) -> "Transfer":
        """Spend what was held. Shares its reference with release: only one of the two can exist.
        Raises ReferenceTaken when the hold was already released.
        """
        return _post(self, Kind.CAPTURE, amount, f"resolve:{reference}")

    def release(self, amount: int, reference: str) -> "Transfer":
        """Give back what was held. Raises ReferenceTaken when the hold was already captured."""
        return _post(self, Kind.RELEASE, amount, f"resolve:{reference}")

    def lapse(self) -> "Transfer | None":
        """What the closed account could still have spent; what is set against a debt stays beside
        it. None when there was nothing.
        """
        Wallet.objects.filter(pk=self.pk).update(frozen=F("frozen"))  # locks: then it is read
        self.refresh_from_db()
        left = max(0, self.available - self.owed)
        return _post(self, Kind.LAPSE, left, f"close:{self.pk}") if left else None

    def leave_its_person(self) -> None:
        """The ledger stays and names nobody."""
        Wallet.objects.filter(pk=self.pk).update(user=None)

    def grant(
        self,
        kind: Kind,
        amount: int,
        reference: str,
        *,
        actor: Any = None,  # noqa: ANN401 - see _post
        note: str = "",
    ) -> "Transfer":
        """Credits nobody paid for, once per reference. A gift by staff needs a reason."""
        if kind not in GIFTS:
            raise ValueError(f"{kind} is not a gift")
        return _post(self, kind, amount, reference, actor=actor, note=note)

    def correct_down(self, amount: int, reference: str, *, actor: Any, note: str) -> "Transfer":  # noqa: ANN401 - see _post
        """Take back credits that were given in error. Raises NotEnoughCredits."""
        return _post(self, Kind.ADJUST_DOWN, amount, reference, actor=actor, note=note)

    def buy(self, amount: int, session_id: str) -> "Transfer":
        """Credits that were paid for, once per checkout."""
        return _post(self, Kind.PURCHASE, amount, f"purchase:{session_id}")

    def take_back(self, kind: Kind, amount: int, key: str, note: str = "") -> "Transfer":
        """The money of a purchase went back: its credits are owed, whether they are still here or
        not. `kind` is REFUND or DISPUTE, `key` names which.
        """
        return _post(self, kind, amount, reversal_reference(kind, key), note=note)

    def give_back(self, kind: Kind, amount: int, key: str) -> "Transfer":
        """Undo `take_back` of this kind and key: the refund failed, or the dispute was won."""
        return _post(self, REVERSALS[kind], amount, reversal_reference(REVERSALS[kind], key))


class TransferQuerySet(models.QuerySet["Transfer"]):
    def history(self) -> "TransferQuerySet":
        return self.order_by("-pk")

    def given_by_staff(self, since: datetime) -> "TransferQuerySet":
        """Gifts that somebody chose to make, whatever for."""
        return self.filter(kind=Kind.ADJUST_UP, actor__isnull=False, created_at__gt=since)


class Transfer(models.Model):
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="transfers")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    source = models.CharField(max_length=16, choices=Pocket.choices)
    target = models.CharField(max_length=16, choices=Pocket.choices)
    amount = models.PositiveIntegerField()
    reference = models.CharField(max_length=120, unique=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = TransferQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["wallet", "-id"], name="transfers_of_a_wallet"),
            # All that the nightly audit reads, so that it reads nothing else.
            models.Index(fields=["wallet", "source", "target", "amount"], name="transfers_summed"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_moves_something"),
            models.CheckConstraint(
                condition=models.Q(
                    *(
                        Q(kind=kind, source=source, target=target)
                        for kind, (source, target) in ROADS.items()
                    ),
                    _connector=Q.OR,
                ),
                name="transfer_moves_as_its_kind_says",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=sorted(NEEDS_A_REASON)) | ~Q(note=""),
                name="adjustment_says_why",
            ),
        ]
        permissions = [("give_more", "Can give more credits than support may")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} ({self.reference})"

    def spendable_change(self) -> int:
        """By how many credits this row changed what the person may spend (negative: less)."""
        changes = {self.source: -self.amount, self.target: self.amount}
        return changes.get(Pocket.AVAILABLE, 0) + changes.get(Pocket.OWED, 0)


TRIGGERS = ("transfer_is_never_edited", "transfer_is_never_deleted")


def install_triggers(using: str) -> None:
    """Append-only, promised by the database. Only `actor` may change: to NULL with its person."""
    triggers.append_only(using, Transfer, names=TRIGGERS, but=("actor",))
