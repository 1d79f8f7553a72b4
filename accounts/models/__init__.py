"""The public nouns of accounts: who you are and what you may spend.

Everybody above imports from here; these modules know `django` and each other, downwards.
"""

from accounts.models.checks import BookCheck
from accounts.models.closings import Closing
from accounts.models.consents import TERMS_VERSION, Consent, ConsentText
from accounts.models.decisions import Decision, decide
from accounts.models.packs import CreditPack
from accounts.models.purchases import NothingToRefund, NotWaiting, Purchase
from accounts.models.quotas import Quota
from accounts.models.refunds import Refund
from accounts.models.remarks import nameless
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
    "TERMS_VERSION",
    "BookCheck",
    "Closing",
    "Consent",
    "ConsentText",
    "CreditPack",
    "Decision",
    "Kind",
    "NotEnoughCredits",
    "NotWaiting",
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
    "nameless",
]
