"""The whole ledger of one person to keep: a sheet for a spreadsheet, and a month to print.

Knows wallets, the history, and `billing` for the mode.
"""

import csv
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Sum
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts import billing, money
from accounts.models import Kind, Transfer, Wallet
from accounts.views.guards import PersonRequest, signed_in
from accounts.views.history import CHANGE, held_change, movements, note, signed

# A spreadsheet runs a cell that begins with one of these (owasp.org, “CSV Injection”).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])\Z", re.ASCII)


# ── For a spreadsheet ───────────────────────────────────────────────────────────────────────────


class Line:
    """A file that hands on what is written to it, so that a sheet is sent as it is made."""

    def write(self, text: str) -> str:
        return text


@require_safe
@signed_in
def sheet(request: PersonRequest) -> StreamingHttpResponse:
    """Every movement, oldest first. Numbers are numbers; whatever is words cannot be a formula."""
    answer = StreamingHttpResponse(
        lines(request.user.wallet), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = 'attachment; filename="likeness-credits.csv"'
    return answer


def lines(wallet: Wallet) -> Iterator[str]:
    writer = csv.writer(Line())
    head = (
        "Number",
        "Time (UTC)",
        "What",
        "Note",
        "Credits",
        "Held",
        "Balance",
        "Paid",
        "Currency",
    )
    yield "\ufeff" + writer.writerow(head)  # the mark by which spreadsheets know UTF-8
    for number, (transfer, balance) in enumerate(movements(wallet), 1):
        purchase = getattr(transfer, "purchase", None)
        paid = money.decimal(purchase.paid_cents, purchase.currency) if purchase else ""
        yield writer.writerow(
            (
                number,
                f"{transfer.created_at:%Y-%m-%d %H:%M:%S}",
                harmless(str(Kind(transfer.kind).label)),
                harmless(str(note(transfer))),
                transfer.spendable_change(),
                held_change(transfer),
                balance,
                paid,
                purchase.currency.upper() if purchase else "",
            )
        )


def harmless(text: str) -> str:
    """Words that no spreadsheet takes for a formula, white space before them included."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


# ── To print ────────────────────────────────────────────────────────────────────────────────────


@require_safe
@signed_in
def page(request: PersonRequest) -> HttpResponse:
    """One month by the person's own calendar: what there was, each movement, what was left."""
    today = timezone.localdate()
    first = month_of(request, today)
    following = (first + timedelta(days=31)).replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    of_wallet = request.user.wallet.transfers
    start, end = midnight(first), midnight(following)
    sum_before = of_wallet.filter(created_at__lt=start).aggregate(sum=Sum(CHANGE))
    opening = balance = sum_before["sum"] or 0
    rows = []
    inside = of_wallet.filter(created_at__gte=start, created_at__lt=end)
    for transfer in inside.select_related("purchase").order_by("pk"):
        balance += transfer.spendable_change()
        rows.append(statement_row(transfer, balance))
    context = {
        "month": first,
        "opening": opening,
        "rows": rows,
        "closing": balance,
        "made_at": timezone.now(),
        "is_test": not billing.is_live(),
        "earlier": month_address(before),
        "later": month_address(following) if following <= today else "",
    }
    return render(request, "accounts/statement.html", context)


def month_of(request: PersonRequest, today: date) -> date:
    """The first day of the month that is asked for, of this one when none is."""
    asked = request.GET.get("month")
    if asked is None:
        return today.replace(day=1)
    if not MONTH.match(asked):
        raise Http404
    first = datetime.strptime(asked, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    if first > today:
        raise Http404
    return first


def midnight(day: date) -> datetime:
    """When a day begins by the person's clock."""
    return timezone.make_aware(datetime.combine(day, time.min))


def month_address(first: date) -> str:
    return f"{reverse('credits_statement')}?month={first:%Y-%m}"


def statement_row(transfer: Transfer, balance: int) -> dict[str, Any]:
    purchase = getattr(transfer, "purchase", None)
    return {
        "created_at": transfer.created_at,
        "word": Kind(transfer.kind).label,
        "note": note(transfer),
        "amount_text": signed(transfer.spendable_change()),
        "balance": balance,
        "paid": money.amount(purchase.paid_cents, purchase.currency) if purchase else "",
    }
