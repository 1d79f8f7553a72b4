"""What Stripe says of a payment, in our words: plain values, read and thrown away.

Knows refunds and the kinds of the ledger.
"""

from dataclasses import dataclass

from accounts.models.refunds import Refund
from accounts.models.wallets import REVERSALS, Kind, reversal_reference


@dataclass(frozen=True)
class Payment:
    """What Stripe says was paid: `paid_cents` with discounts off and taxes on. No payment stands
    behind a checkout that a promotion code made free.
    """

    session_id: str
    payment_intent: str | None
    paid_cents: int


@dataclass(frozen=True)
class Reversal:
    """One refund or dispute as it stands at Stripe. `key` is the end of its reference in the
    ledger; `cents` went back and take `credits` at most; `stands` is False once it failed or was
    won; `own` is the Refund that we asked for, if this is that one.
    """

    kind: Kind
    key: str
    cents: int
    credits: int
    stands: bool
    stripe_id: str
    own: Refund | None = None

    @property
    def reference(self) -> str:
        return reversal_reference(self.kind, self.key)

    @property
    def undoing(self) -> str:
        return reversal_reference(REVERSALS[self.kind], self.key)
