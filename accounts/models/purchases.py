"""CreditPack, Purchase and Refund: what is sold, one checkout each, and money asked back.

Knows wallets. Every method that moves credits moves the row in the same transaction, and locks the
purchase before the wallet.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.wallets import (
    REVERSALS,
    Kind,
    NotEnoughCredits,
    Transfer,
    Wallet,
    reversal_reference,
)

# Unused credits are refundable by their owner for so long (experience.md 5.6).
REFUND_WINDOW = timedelta(days=14)


class NothingToRefund(Exception):
    """Too old, never paid, or all of it spent; nothing moved."""


class PersonGone(Exception):
    """The account was closed at this very moment; nothing was credited."""


class CreditPack(models.Model):
    """What staff sell. A sold pack is retired, not changed; a purchase keeps its own snapshot."""

    name = models.CharField(max_length=80)
    credits = models.PositiveIntegerField()
    price_cents = models.PositiveIntegerField()
    # As Stripe writes currencies: what we compare must be equal to the letter.
    currency = models.CharField(
        max_length=3, default="usd", validators=[RegexValidator(r"^[a-z]{3}\Z")]
    )
    active = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(credits__gt=0) & Q(price_cents__gt=0), name="pack_sells_something"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_sold(self) -> bool:
        return self.purchases.exists()


@dataclass(frozen=True)
class Payment:
    """What Stripe says was paid: `paid_cents` with discounts off and taxes on."""

    session_id: str
    payment_intent: str
    paid_cents: int


@dataclass(frozen=True)
class Reversal:
    """One refund or dispute as it stands at Stripe. `key` is the end of its reference in the
    ledger; `credits` is what it takes at most; `stands` is False once it failed or was won; `own`
    is the Refund its owner asked for, if this is that one.
    """

    kind: Kind
    key: str
    credits: int
    stands: bool
    stripe_id: str
    own: "Refund | None" = None

    @property
    def reference(self) -> str:
        return reversal_reference(self.kind, self.key)

    @property
    def undoing(self) -> str:
        return reversal_reference(REVERSALS[self.kind], self.key)


class PurchaseQuerySet(models.QuerySet["Purchase"]):
    def open(self) -> "PurchaseQuerySet":
        return self.filter(state=Purchase.State.OPEN)

    def paid(self) -> "PurchaseQuerySet":
        return self.filter(state=Purchase.State.PAID)

    def letter_due(self) -> "PurchaseQuerySet":
        """Their banks have answered, and their buyers wait to hear of it."""
        return self.filter(letter_due=True).exclude(state=Purchase.State.OPEN)


class Purchase(models.Model):
    class State(models.TextChoices):
        OPEN = "open", _("Open")
        PAID = "paid", _("Paid")
        EXPIRED = "expired", _("Expired")
        ODD = "odd", _("Needs a look")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # A closed account keeps its purchases, without a person.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="purchases"
    )
    pack = models.ForeignKey(CreditPack, on_delete=models.PROTECT, related_name="purchases")
    credits = models.PositiveIntegerField()
    amount_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPEN)
    # NULL apart: both are unknown until Stripe has named them.
    session_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    payment_intent = models.CharField(max_length=255, unique=True, null=True, blank=True)
    paid_cents = models.PositiveIntegerField(default=0)
    credits_back = models.PositiveIntegerField(default=0)
    transfer = models.OneToOneField(Transfer, on_delete=models.PROTECT, null=True, blank=True)
    # How often the row was touched: who read Stripe before another's touch reads again.
    touches = models.PositiveIntegerField(default=0)
    # Its buyer was told that a letter comes once their bank has answered.
    letter_due = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    objects = PurchaseQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["state", "created_at"], name="purchases_by_state"),
            models.Index(fields=["user", "-id"], name="purchases_of_a_user"),
            models.Index(
                fields=["state"], condition=Q(letter_due=True), name="purchases_letter_due"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="paid", transfer__isnull=False, paid_cents__gt=0)
                | (~Q(state="paid") & Q(transfer__isnull=True)),
                name="purchase_paid_exactly_when_credited",
            ),
            models.CheckConstraint(
                condition=Q(credits_back__gte=0) & Q(credits_back__lte=F("credits")),
                name="purchase_gives_back_at_most_all",
            ),
            models.CheckConstraint(
                condition=Q(credits__gt=0) & Q(amount_cents__gt=0),
                name="purchase_buys_something",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.credits} credits, {self.state} ({self.public_id})"

    # ── Paid or not ─────────────────────────────────────────────────────────────────────────────

    def attach(self, session_id: str) -> None:
        """Note which checkout is ours; the first one named stays."""
        if Purchase.objects.filter(pk=self.pk, session_id=None).update(session_id=session_id):
            self.session_id = session_id

    def promise_letter(self) -> None:
        """Also when the bank answers at this very moment: then the letter goes at once."""
        Purchase.objects.filter(pk=self.pk, letter_due=False).update(letter_due=True)

    def claim_letter(self) -> bool:
        """One caller may tell the buyer; False for everybody else."""
        owed = Purchase.objects.letter_due().filter(pk=self.pk)
        return bool(owed.update(letter_due=False))

    def expire(self) -> bool:
        """No money will come of this checkout."""
        return bool(self._move([self.State.OPEN], self.State.EXPIRED))

    def set_aside(self) -> bool:
        """Money came that does not fit what we sold; a person looks. False if that was known."""
        return bool(self._move([self.State.OPEN, self.State.EXPIRED], self.State.ODD))

    def _move(self, sources: Sequence[str], to: str, **fields: Any) -> int:  # noqa: ANN401 - any columns
        unmoved = Purchase.objects.filter(pk=self.pk, state__in=sources)
        return unmoved.update(state=to, touches=F("touches") + 1, **fields)

    @transaction.atomic
    def credit(self, payment: Payment) -> bool:
        """The credits of a paid checkout, once, however many call at the same moment. False when
        another was first. An EXPIRED one that was paid after all is credited too. Raises
        PersonGone.
        """
        payable = Q(state__in=[self.State.OPEN, self.State.EXPIRED])
        if not Purchase.objects.filter(payable, pk=self.pk).update(touches=F("touches") + 1):
            return False
        self.refresh_from_db()
        if self.user is None:
            raise PersonGone
        transfer = self.user.wallet.buy(self.credits, payment.session_id)
        self._move(
            [self.State.OPEN, self.State.EXPIRED],
            self.State.PAID,
            transfer=transfer,
            session_id=payment.session_id,
            payment_intent=payment.payment_intent,
            paid_cents=payment.paid_cents,
        )
        self.refresh_from_db()
        return True

    # ── Money that goes back ────────────────────────────────────────────────────────────────────

    @property
    def wallet(self) -> Wallet:
        """The wallet that was credited, also after its person has gone. PAID purchases only."""
        if self.transfer is None:
            raise ValueError("only a paid purchase has credited a wallet")
        return self.transfer.wallet

    def credits_for(self, cents: int) -> int:
        """The credits that so much money back takes, rounded up: ⌈credits × cents ÷ paid⌉."""
        return -(-self.credits * cents // self.paid_cents)

    @transaction.atomic
    def settle(self, reversals: Sequence[Reversal], *, touches: int) -> list[Reversal] | None:
        """Make the ledger say what Stripe says of this payment: standing reversals have taken
        their credits, the others have given them back.

        `touches` is what the row held before Stripe was read; None when it has moved on, because
        the reading may be old: read again. Otherwise the reversals that stand although their
        credits were given back before, which a person must look at.
        """
        unmoved = Purchase.objects.filter(pk=self.pk, state=self.State.PAID, touches=touches)
        if not unmoved.update(touches=F("touches") + 1):
            return None
        self.refresh_from_db()
        references = [word for each in reversals for word in (each.reference, each.undoing)]
        posted = Transfer.objects.in_bulk(references, field_name="reference")
        disputed = any(each.kind == Kind.DISPUTE and each.stands for each in reversals)
        for each in reversals:
            # A failed refund of a disputed payment waits: the bank holds that money as well.
            if not each.stands and (each.kind == Kind.DISPUTE or not disputed):
                if each.reference in posted and each.undoing not in posted:
                    self._give_back(each.kind, posted[each.reference].amount, each.key)
                self._note(each, [Refund.State.ASKED, Refund.State.SENT], Refund.State.UNDONE)
        for each in reversals:
            if each.stands:
                if each.reference not in posted:
                    self._take(each.kind, each.credits, each.key)
                self._note(each, [Refund.State.ASKED], Refund.State.SENT)
        return [each for each in reversals if each.stands and each.undoing in posted]

    def _take(self, kind: Kind, credits: int, key: str) -> int:
        """As many of `credits` as are left. The row is locked by the caller's touch."""
        credits = min(credits, self.credits - self.credits_back)
        if credits:
            self.wallet.take_back(kind, credits, key)
            self._add_back(credits)
        return credits

    def _give_back(self, kind: Kind, credits: int, key: str) -> None:
        self.wallet.give_back(kind, credits, key)
        self._add_back(-credits)

    def _add_back(self, credits: int) -> None:
        row = Purchase.objects.filter(pk=self.pk)
        row.update(credits_back=F("credits_back") + credits)
        self.credits_back += credits

    def _note(self, reversal: Reversal, sources: Sequence[str], to: str) -> None:
        """The owner's own refund hears of it. UNDONE is for ever: its credits were given back."""
        if reversal.own:
            row = Refund.objects.filter(pk=reversal.own.pk, state__in=sources)
            row.update(state=to, refund_id=reversal.stripe_id)

    # ── Asked back by the owner ─────────────────────────────────────────────────────────────────

    def unused(self) -> int:
        """Credits of this purchase not spent yet, as far as the wallet can give them: what is left
        counts as belonging to the newest purchase.
        """
        if self.transfer is None:
            return 0
        newer = Purchase.objects.paid().filter(
            transfer__wallet=self.transfer.wallet, transfer__gt=self.transfer_id
        )
        theirs = newer.aggregate(left=Sum(F("credits") - F("credits_back")))["left"] or 0
        return self.unused_beside(theirs, self.wallet.spendable)

    def unused_beside(self, newer: int, spendable: int) -> int:
        """The same when it is known what newer purchases have left and what the wallet can give
        (credits).
        """
        return max(0, min(self.credits - self.credits_back, spendable - newer))

    def cents_for(self, credits: int) -> int:
        """What so many unused credits are worth in money, rounded down to the cent."""
        return self.paid_cents * credits // self.credits

    @transaction.atomic
    def open_refund(self, now: datetime) -> "Refund":
        """Take the unused credits and write down the money owed for them; the standing Refund when
        there is one already. Raises NothingToRefund, or NotEnoughCredits when they were spent at
        the same moment.
        """
        Purchase.objects.filter(pk=self.pk).update(touches=F("touches") + 1)
        self.refresh_from_db()
        standing = self.refunds.exclude(state=Refund.State.UNDONE).first()
        if standing:
            return standing
        credits = self.unused()
        cents = self.cents_for(credits)
        if self.transfer is None or now > self.transfer.created_at + REFUND_WINDOW or not cents:
            raise NothingToRefund
        refund = self.refunds.create(credits=credits, amount_cents=cents)
        self._take(Kind.REFUND, credits, refund.key)
        # The transfer has locked the wallet: whoever spends now waits, whoever spent is seen.
        wallet = Wallet.objects.get(pk=self.wallet.pk)
        if wallet.available < wallet.owed:
            raise NotEnoughCredits(wallet, credits)
        return refund

    @transaction.atomic
    def undo_refund(self, refund: "Refund") -> bool:
        """Stripe will not send it: the credits return. False when it was not waiting any more."""
        Purchase.objects.filter(pk=self.pk).update(touches=F("touches") + 1)
        self.refresh_from_db()
        waiting = Refund.objects.filter(pk=refund.pk, state=Refund.State.ASKED)
        if not waiting.update(state=Refund.State.UNDONE):
            return False
        self._give_back(Kind.REFUND, refund.credits, refund.key)
        return True


class Refund(models.Model):
    """Money the owner asked back for credits not used; other refunds are known to Stripe alone."""

    class State(models.TextChoices):
        ASKED = "asked", _("Asked")
        SENT = "sent", _("Sent")
        UNDONE = "undone", _("Undone")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    purchase = models.ForeignKey(Purchase, on_delete=models.PROTECT, related_name="refunds")
    credits = models.PositiveIntegerField()
    amount_cents = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.ASKED)
    refund_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["purchase"], condition=~Q(state="undone"), name="one_standing_refund"
            ),
            models.CheckConstraint(
                condition=Q(credits__gt=0) & Q(amount_cents__gt=0), name="refund_gives_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_cents} cents for {self.credits} credits, {self.state}"

    @property
    def key(self) -> str:
        """The end of its reference in the ledger, and its number at Stripe."""
        return str(self.public_id)
