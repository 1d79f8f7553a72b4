"""The ledger of one person as they read it: events (a hold and its end are one) and movements.

Knows wallets and purchases.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, F, IntegerField, Q, QuerySet, Subquery, Sum, Value, When, Window
from django.db.models.expressions import OuterRef
from django.db.models.functions import Coalesce, Concat, RowNumber, Substr
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Kind, Pocket, Transfer, Wallet
from accounts.models.wallets import GIFTS

HISTORY_PAGE = 50
SPENDABLE = (Pocket.AVAILABLE, Pocket.OWED)
ENDS = frozenset({Kind.CAPTURE, Kind.RELEASE})
OF_PURCHASES = frozenset(
    {Kind.PURCHASE, Kind.REFUND, Kind.REFUND_UNDONE, Kind.DISPUTE, Kind.DISPUTE_WON}
)
HOLD_NAME, END_NAME = "hold:", "resolve:"  # how references begin (accounts.models.wallets)
CHANGE = Case(
    When(source__in=SPENDABLE, then=-F("amount")),
    When(target__in=SPENDABLE, then=F("amount")),
    default=0,
    output_field=IntegerField(),
)
# Beside the word of a movement, unless staff have said why themselves.
EXPLAINED: dict[Kind, Promise] = {
    Kind.WELCOME: gettext_lazy("free with your e-mail address"),
    Kind.MONTHLY: gettext_lazy("free each month"),
    Kind.HOLD: gettext_lazy("set aside while an avatar is made"),
    Kind.CAPTURE: gettext_lazy("the avatar is yours"),
    Kind.RELEASE: gettext_lazy("no avatar came of it; not charged"),
    Kind.REROLL: gettext_lazy("for an avatar that did not look like you"),
    Kind.REFUND: gettext_lazy("the money went back to you"),
    Kind.LAPSE: gettext_lazy("left when the account was closed"),
}
ICONS: dict[Kind, str] = {
    Kind.HOLD: "clock",
    Kind.CAPTURE: "check",
    Kind.RELEASE: "rotate-ccw",
}
# What each filter of the page shows. Returns are holds that came back.
FILTERS: dict[str, tuple[Promise, Q]] = {
    "": (gettext_lazy("All"), Q()),
    "purchases": (gettext_lazy("Purchases"), Q(kind__in=sorted(OF_PURCHASES))),
    "avatars": (gettext_lazy("Avatars"), Q(kind=Kind.HOLD)),
    "returns": (gettext_lazy("Returns"), Q(returned__gt=0)),
    "gifts": (gettext_lazy("Gifts"), Q(kind__in=sorted(GIFTS))),
}


@dataclass(frozen=True)
class Event:
    """What happened once: a movement, or a hold with its end. `number` is its place in the
    person's history (1 for the first), `change` what it did to the balance so far and `balance`
    what stood after it, in credits; a negative balance is owed.
    """

    transfer: Transfer
    number: int
    change: int
    balance: int
    end: Transfer | None

    @property
    def kind(self) -> Kind:
        """As it stands now: a hold that ended is a charge or a return."""
        return Kind(self.end.kind if self.end else self.transfer.kind)

    @property
    def request_id(self) -> str:
        """The number of the avatar in the making that this is about; empty for anything else."""
        is_hold = self.transfer.kind == Kind.HOLD
        return self.transfer.reference.removeprefix(HOLD_NAME) if is_hold else ""


def events(wallet: Wallet, chosen: Q, before: int | None = None) -> list[Event]:
    """The next events, newest first, one more than a page holds; balances added up from the very
    first one on. An event stands where it began, so that its place never changes and every balance
    is the one below it plus its own credits.
    """
    end_of_hold = Transfer.objects.filter(reference=OuterRef("end_name"), kind=Kind.RELEASE)
    rows: QuerySet[Any] = (
        wallet.transfers.exclude(kind__in=sorted(ENDS))
        .annotate(
            end_name=Concat(Value(END_NAME), Substr("reference", len(HOLD_NAME) + 1)),
            returned=Case(
                When(kind=Kind.HOLD, then=Coalesce(Subquery(end_of_hold.values("amount")[:1]), 0)),
                default=0,
                output_field=IntegerField(),
            ),
        )
        .annotate(
            number=Window(RowNumber(), order_by="pk"),
            change=CHANGE + F("returned"),
            balance=Window(Sum(CHANGE + F("returned")), order_by="pk"),
        )
        .select_related("purchase")
    )
    if before is not None:
        rows = rows.filter(number__lt=before)
    if chosen:
        # There is no number 0: naming it keeps this condition outside of the sum, which must
        # run over all events whatever is shown of them.
        rows = rows.filter(chosen | Q(number=0))
    found = list(rows.order_by("-pk")[: HISTORY_PAGE + 1])
    names = [row.end_name for row in found if row.kind == Kind.HOLD]
    ends = Transfer.objects.in_bulk(names, field_name="reference") if names else {}
    return [
        Event(row, row.number, row.change, row.balance, ends.get(row.end_name)) for row in found
    ]


def event_row(event: Event) -> dict[str, Any]:
    """One event in words and figures."""
    purchase = getattr(event.transfer, "purchase", None)
    return {
        "created_at": event.transfer.created_at,
        "number": event.number,
        "word": event.kind.label,
        "note": note(event.end or event.transfer),
        "amount_text": signed(event.change),
        "balance": event.balance,
        "debt": -event.balance,
        "request_id": event.request_id,
        "steps": steps(event) if event.request_id else [],
        "paid": (purchase.paid_cents, purchase.currency) if purchase else None,
        "href": receipt_address(event),
    }


def receipt_address(event: Event) -> str:
    purchase = getattr(event.transfer, "purchase", None)
    if purchase:
        return reverse("credits_receipt", args=[purchase.public_id])
    return reverse("job_receipt", args=[event.request_id]) if event.request_id else ""


def steps(event: Event) -> list[dict[str, Any]]:
    """The timeline of a hold, oldest first, to the second."""
    moved = [event.transfer, *([event.end] if event.end else [])]
    return [
        {
            "at": transfer.created_at,
            "icon": ICONS[Kind(transfer.kind)],
            "text": _("%(word)s %(amount)s")
            % {"word": Kind(transfer.kind).label, "amount": step_amount(transfer)},
        }
        for transfer in moved
    ]


def step_amount(transfer: Transfer) -> str:
    """A charge spends what was held already: its own credits, without a sign."""
    change = transfer.spendable_change()
    return signed(change) if change else str(transfer.amount)


def movements(wallet: Wallet) -> Iterator[tuple[Transfer, int]]:
    """Every movement, oldest first, with the balance after it; read a few at a time."""
    balance = 0
    for transfer in wallet.transfers.select_related("purchase").order_by("pk").iterator():
        balance += transfer.spendable_change()
        yield transfer, balance


def note(transfer: Transfer) -> str | Promise:
    return transfer.note or EXPLAINED.get(Kind(transfer.kind), "")


def signed(amount: int) -> str:
    """“+5”, “−1”, “±0”."""
    return f"{'+' if amount > 0 else '−' if amount < 0 else '±'}{abs(amount)}"


def held_change(transfer: Transfer) -> int:
    """By how many credits this movement changed what is set aside."""
    changes = {transfer.source: -transfer.amount, transfer.target: transfer.amount}
    return changes.get(Pocket.RESERVED, 0)
