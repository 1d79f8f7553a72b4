"""What the staff's page about one person shows, and how a person is found by a number.

Knows the nouns, `people` and allauth's. Reads only; requests, photos and avatars are the other
app's.
"""

import uuid
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db.models import Case, Q, Sum, When

from accounts import money, people
from accounts.models import Kind, Purchase, User
from accounts.models.wallets import GIFTS

ROWS_SHOWN = 20
# Paid and not credited: a person must look.
ODD_FIRST = Case(When(state=Purchase.State.ODD, then=0), default=1)
LARGEST_NUMBER = 2**63 - 1  # of a row; beyond it both databases refuse to compare


def by_number(asked: str) -> list[int] | None:
    """The persons of a request, a purchase, a receipt line or a number of Stripe's; None when
    what was asked is none of these, but words or an address.
    """
    asked = asked.strip()
    if asked.startswith(("cs_", "pi_")):
        of = Q(purchases__session_id=asked) | Q(purchases__payment_intent=asked)
    elif asked.isdecimal() and int(asked) <= LARGEST_NUMBER:
        of = Q(wallet__transfers=int(asked))
    else:
        try:
            number = uuid.UUID(asked)
        except ValueError:
            return None
        # One after the other: an OR over two joins would read both tables whole.
        found = User.objects.filter(requests__public_id=number).values_list("pk", flat=True)
        of = Q(pk__in=list(found)) if found else Q(purchases__public_id=number)
    return list(User.objects.filter(of).values_list("pk", flat=True).distinct())


def panels(person: User) -> dict[str, Any]:
    """Sums and the newest rows of everything about this person's account."""
    transfers = person.wallet.transfers
    return {
        "sums": sums(transfers),
        "ledger": transfers.select_related("actor").order_by("-pk")[:ROWS_SHOWN],
        "purchases": [
            {"row": row, "price": money.amount(row.amount_cents, row.currency)}
            for row in person.purchases.order_by(ODD_FIRST, "-pk")[:ROWS_SHOWN]
        ],
        "decisions": person.decisions.select_related("actor").newest_first()[:ROWS_SHOWN],
        "devices": UserSession.objects.filter(user=person).order_by("-last_seen_at")[:ROWS_SHOWN],
        "factors": Authenticator.objects.filter(user=person).order_by("type"),
        "consents": person.consents.order_by("-pk")[:ROWS_SHOWN],
        "quota": person.quota,
        "roles": people.roles_of(person),
    }


def sums(transfers: Any) -> dict[str, int]:  # noqa: ANN401 - a related manager of Transfer
    """Credits spent, bought, given back for money, and given."""
    by_kind: dict[str, int] = dict(
        transfers.order_by().values_list("kind").annotate(total=Sum("amount"))
    )

    def of(*kinds: Kind) -> int:
        return sum(by_kind.get(kind, 0) for kind in kinds)

    return {
        "spent": of(Kind.CAPTURE),
        "bought": of(Kind.PURCHASE),
        "refunded": of(Kind.REFUND, Kind.DISPUTE) - of(Kind.REFUND_UNDONE, Kind.DISPUTE_WON),
        "given": of(*GIFTS),
    }
