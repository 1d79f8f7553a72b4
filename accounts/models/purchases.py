"""Purchase: one checkout each, the credits it brought, and money that goes back.

Knows the other nouns of money and decisions. Every method that moves credits moves the row in the
same transaction, and locks the purchase before the wallet.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models.decisions import decide
from accounts.models.packs import CreditPack
from accounts.models.payments import Payment, Reversal
from accounts.models.refunds import Refund
from accounts.models.wallets import (
    Kind,
    NotEnoughCredits,
    Transfer,
    Wallet,
)

# Unused credits are refundable by their owner for so long (experience.md 5.6).
REFUND_WINDOW = timedelta(days=14)


class NothingToRefund(Exception):
    """Too old, never paid, all of it spent or sent back; nothing moved."""


class PersonGone(Exception):
    """The account was closed at this very moment; nothing was credited."""


class NotWaiting(Exception):
    """The purchase does not wait for a decision any more; nothing moved."""


class PurchaseQuerySet(models.QuerySet["Purchase"]):
    def begin(self, user: Any, pack: CreditPack) -> "Purchase":  # noqa: ANN401 - the user model stands above
        """A checkout to be, with the pack as it is now: what staff change later changes it not."""
        return self.create(
            user=user,
            pack=pack,
            credits=pack.credits,
            amount_cents=pack.price_cents,
            currency=pack.currency,
        )

    def open(self) -> "PurchaseQuerySet":
        return self.filter(state=Purchase.State.OPEN)

    def paid(self) -> "PurchaseQuerySet":
        return self.filter(state=Purchase.State.PAID)

    def waiting(self) -> "PurchaseQuerySet":
        """Money came that does not fit; staff credit it or send it back. The aim is none."""
        return self.filter(state=Purchase.State.ODD)

    def letter_due(self) -> "PurchaseQuerySet":
        """Their banks have answered, and their buyers wait to hear of it."""
        return self.filter(letter_due=True).exclude(state=Purchase.State.OPEN)


class Purchase(models.Model):
    class State(models.TextChoices):
        OPEN = "open", _("Open")
        PAID = "paid", _("Paid")
        EXPIRED = "expired", _("Expired")
        ODD = "odd", _("Needs a look")
        RETURNED = "returned", _("Money returned")

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
    # Of these, what refunds and disputes have taken back as Stripe said last.
    returned_cents = models.PositiveIntegerField(default=0)
    credits_back = models.PositiveIntegerField(default=0)
    transfer = models.OneToOneField(Transfer, on_delete=models.PROTECT, null=True, blank=True)
    # How often the row was touched: who read Stripe before another's touch reads again.
    touches = models.PositiveIntegerField(default=0)
    # A slow bank is at it: its buyer hears by letter what it answered.
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
                condition=Q(state="paid", transfer__isnull=False)
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
        permissions = [
            ("refund_purchase", "Can send the money of a purchase back"),
            ("refund_more", "Can send back more than support may"),
        ]

    def __str__(self) -> str:
        return f"{self.credits} credits, {self.state} ({self.public_id})"

    # ── Paid or not ─────────────────────────────────────────────────────────────────────────────

    def attach(self, session_id: str) -> None:
        """Note which checkout is ours; the first one named stays, also when another was faster."""
        if self.session_id is None:
            Purchase.objects.filter(pk=self.pk, session_id=None).update(session_id=session_id)
            self.refresh_from_db(fields=["session_id"])

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

    def set_aside(self, payment: Payment) -> bool:
        """Money came that does not fit what we sold; a person looks. False if that was known."""
        came = {"payment_intent": payment.payment_intent, "paid_cents": payment.paid_cents}
        return bool(self._move(PAYABLE, self.State.ODD, **came))

    def _move(self, sources: Sequence[str], to: str, **fields: Any) -> int:  # noqa: ANN401 - any columns
        unmoved = Purchase.objects.filter(pk=self.pk, state__in=sources)
        return unmoved.update(state=to, touches=F("touches") + 1, **fields)

    @transaction.atomic
    def credit(self, payment: Payment) -> bool:
        """The credits of a paid checkout, once, however many call at the same moment. False when
        another was first. An EXPIRED one that was paid after all is credited too. Raises
        PersonGone.
        """
        if not self._touch(state__in=PAYABLE):
            return False
        if self.user is None:
            raise PersonGone
        self._move(
            PAYABLE,
            self.State.PAID,
            transfer=self.user.wallet.buy(self.credits, payment.session_id),
            session_id=payment.session_id,
            payment_intent=payment.payment_intent,
            paid_cents=payment.paid_cents,
        )
        self.refresh_from_db()
        return True

    @transaction.atomic
    def accept(self, *, actor: Any, reason: str) -> None:  # noqa: ANN401 - the user model stands above
        """Staff find that the money is enough: what was set aside is credited after all. Raises
        NotWaiting when it was decided already, or some of the money has gone back.
        """
        self._touch()
        asked = self.refunds.standing().exists()
        if self.state != self.State.ODD or self.returned_cents or asked or self.user is None:
            raise NotWaiting
        transfer = self.user.wallet.buy(self.credits, str(self.session_id))
        self._move([self.State.ODD], self.State.PAID, transfer=transfer)
        self._decided("purchase_accepted", actor, reason, {"credits": self.credits})
        self.refresh_from_db()

    def _touch(self, **only: Any) -> bool:  # noqa: ANN401 - any columns
        """Lock the row and read it; False when it is not `only` so any more."""
        is_so = Purchase.objects.filter(pk=self.pk, **only).update(touches=F("touches") + 1)
        self.refresh_from_db()
        return bool(is_so)

    def _decided(self, act: str, actor: Any, reason: str, after: dict[str, Any]) -> None:  # noqa: ANN401 - see accept
        about = ("purchase", self.public_id)
        decide(actor, act, person=self.user, subject=about, reason=reason, after=after)

    # ── Money that goes back ────────────────────────────────────────────────────────────────────

    @property
    def wallet(self) -> Wallet:
        """The wallet that was credited, also after its person has gone. PAID purchases only."""
        if self.transfer is None:
            raise ValueError("only a paid purchase has credited a wallet")
        return self.transfer.wallet

    def credits_for(self, cents: int) -> int:
        """The credits that so much money back takes, rounded up: ⌈credits × cents ÷ paid⌉."""
        return -(-self.credits * cents // max(1, self.paid_cents))

    @transaction.atomic
    def settle(self, reversals: Sequence[Reversal], *, touches: int) -> list[Reversal] | None:
        """Make the ledger say what Stripe says of this payment: standing reversals have taken
        their credits, the others have given them back.

        `touches` is what the row held before Stripe was read; None when it has moved on, because
        the reading may be old: read again. Otherwise the reversals that stand although their
        credits were given back before, which a person must look at.
        """
        if not self._touch(state__in=SETTLED, touches=touches):
            return None
        back = min(self.paid_cents, sum(each.cents for each in reversals if each.stands))
        Purchase.objects.filter(pk=self.pk).update(returned_cents=back)
        if self.transfer_id is None:
            # Never credited: nothing to take, and no look is needed once all is back.
            to = self.State.RETURNED if back == self.paid_cents else self.State.ODD
            self._move([self.State.ODD, self.State.RETURNED], to)
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

    def _take(self, kind: Kind, credits: int, key: str, note: str = "") -> int:
        """As many of `credits` as are left. The row is locked by the caller's touch."""
        credits = min(credits, self.credits - self.credits_back) if self.transfer_id else 0
        if credits:
            self.wallet.take_back(kind, credits, key, note)
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
        """What so many unused credits are worth in money, rounded down to the cent, and never more
        than is still with us.
        """
        return min(self.paid_cents * credits // self.credits, self.returnable_cents())

    def gone_cents(self) -> int:
        """What has gone back, or been asked back."""
        waiting = [each for each in self.refunds.all() if each.state == Refund.State.ASKED]
        return self.returned_cents + sum(each.amount_cents for each in waiting)

    def returnable_cents(self) -> int:
        """What was paid and has not gone back, nor been asked back."""
        return max(0, self.paid_cents - self.gone_cents())

    @transaction.atomic
    def open_refund(self, now: datetime) -> Refund:
        """Take the unused credits and write down the money owed for them; the standing Refund when
        there is one already. Raises NothingToRefund, or NotEnoughCredits when they were spent at
        the same moment.
        """
        self._touch()
        standing = self.refunds.standing().of_owner().first()
        if standing:
            return standing
        credits = self.unused()
        cents = self.cents_for(credits)
        if self.transfer is None or now > self.transfer.created_at + REFUND_WINDOW or not cents:
            raise NothingToRefund
        refund = self.refunds.create(credits=credits, amount_cents=cents)
        self._take_unused(refund)
        return refund

    @transaction.atomic
    def open_refund_by_staff(
        self,
        cents: int,
        *,
        actor: Any,  # noqa: ANN401 - see accept
        reason: str,
        number: UUID,
        most: int,
    ) -> Refund:
        """Staff send `cents` back, also for credits that were used: of the unused ones it takes
        those that so much money bought, and nobody owes any for it. Pressed twice (`number`), done
        once. Raises NothingToRefund when so much is not with us or more than `most` would be gone
        in all, NotEnoughCredits as above.
        """
        self._touch()
        done = Refund.objects.filter(public_id=number, purchase=self).first()
        if done:
            return done
        left = min(self.paid_cents, most) - self.gone_cents()
        if self.state not in (self.State.PAID, self.State.ODD) or cents > left:
            raise NothingToRefund
        credits = self.credits_by_staff(cents)
        refund = self.refunds.create(
            public_id=number, credits=credits, amount_cents=cents, reason=reason.strip()
        )
        self._take_unused(refund)
        self._decided("purchase_refunded", actor, reason, {"cents": cents, "credits": credits})
        return refund

    def credits_by_staff(self, cents: int) -> int:
        """The credits that so much money back by staff takes: none that are used already."""
        return min(self.credits_for(cents), self.unused())

    def _take_unused(self, refund: Refund) -> None:
        if not self._take(Kind.REFUND, refund.credits, refund.key, refund.reason):
            return
        # The transfer has locked the wallet: whoever spends now waits, whoever spent is seen.
        wallet = Wallet.objects.get(pk=self.wallet.pk)
        if wallet.available < wallet.owed:
            raise NotEnoughCredits(wallet, refund.credits)

    @transaction.atomic
    def undo_refund(self, refund: Refund) -> bool:
        """Stripe will not send it: the credits return. False when it was not waiting any more."""
        self._touch()
        waiting = Refund.objects.filter(pk=refund.pk, state=Refund.State.ASKED)
        if not waiting.update(state=Refund.State.UNDONE):
            return False
        if refund.credits:
            self._give_back(Kind.REFUND, refund.credits, refund.key)
        return True


# In which of its states a checkout may still be credited, and in which money can go back.
PAYABLE = (Purchase.State.OPEN, Purchase.State.EXPIRED)
SETTLED = (Purchase.State.PAID, Purchase.State.ODD, Purchase.State.RETURNED)
