"""The public nouns of accounts: who you are and what you may spend.

Everybody above imports from here; these modules know `django` and each other, downwards.
"""

from accounts.models.closings import Closing
from accounts.models.consents import Consent
from accounts.models.decisions import Decision, decide
from accounts.models.purchases import CreditPack, NothingToRefund, Purchase, Refund
from accounts.models.quotas import Quota
from accounts.models.users import User
from accounts.models.wallets import (
    Kind,
    NotEnoughCredits,
    Pocket,
    ReferenceTaken,
    Transfer,
    Wallet,
    WalletFrozen,
)

__all__ = [
    "Closing",
    "Consent",
    "CreditPack",
    "Decision",
    "Kind",
    "NotEnoughCredits",
    "NothingToRefund",
    "Pocket",
    "Purchase",
    "Quota",
    "ReferenceTaken",
    "Refund",
    "Transfer",
    "User",
    "Wallet",
    "WalletFrozen",
    "decide",
]
