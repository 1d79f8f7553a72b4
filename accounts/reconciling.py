"""Reconciling: what no event told. Open rows every ten minutes, the books with Stripe every night.

Knows the nouns, billing and refunding; everything goes through their verbs.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from accounts import billing, refunding
from accounts.models import Purchase, Refund
from accounts.models.findings import Finding, finding, report

staff = logging.getLogger("likeness.staff")

# A session lives a day at most; what was never named by then was never shown to anybody.
UNNAMED_AGE = timedelta(hours=25)
WINDOW = timedelta(days=4)  # Stripe tells an event for three days
CLOCK_SKEW = timedelta(hours=1)
PAGE = 100  # rows a list call brings; Stripe's largest
LATE_EVENTS = ["refund.failed", "refund.updated", "charge.dispute.closed"]


def look_at_open(now: datetime) -> None:
    """Every OPEN purchase and ASKED refund against Stripe, every ten minutes. One that Stripe
    refuses does not keep the others waiting; a Stripe that is away ends the pass.
    """
    unnamed = Purchase.objects.open().filter(session_id=None, created_at__lt=now - UNNAMED_AGE)
    for purchase in unnamed:
        purchase.expire()
    named = Purchase.objects.open().exclude(session_id=None)
    for session_id in named.values_list("session_id", flat=True):
        try:
            billing.fulfil(str(session_id))
        except billing.Refused as refusal:
            staff.error("checkout %s cannot be read: %s", session_id, refusal)
    for refund in Refund.objects.filter(state=Refund.State.ASKED).select_related("purchase"):
        try:
            refunding.send_refund(refund)
        except billing.Refused as refusal:
            staff.error("refund %s was refused by Stripe: %s", refund.key, refusal)


def reconcile(now: datetime) -> list[Finding]:
    """The books of the last days with Stripe, nightly: everything it lists through the same verbs,
    then "paid there" = "PAID here", both ways. Staff are called about every finding.
    """
    since = now - WINDOW
    chosen: Any = {"created": {"gte": int(since.timestamp())}, "limit": PAGE}
    with billing.asking():
        listed = list(billing.client().v1.checkout.sessions.list(chosen).auto_paging_iter())
        rows = [
            *billing.client().v1.refunds.list(chosen).auto_paging_iter(),
            *billing.client().v1.disputes.list(chosen).auto_paging_iter(),
            *late_changes(chosen),
        ]
    ours = [session for session in listed if billing.number_in(session, "purchase")]
    done = credited_or_returned(ours)
    for session in ours:
        if session.id not in done:
            billing.fulfil(session.id)
    for payment in sorted({row["payment_intent"] for row in rows} - {None}):
        billing.claw_back(payment)
    found = [*comparison(ours, since)]
    report(found)
    return found


def late_changes(chosen: Any) -> Iterable[Any]:  # noqa: ANN401 - Stripe's own objects
    """Refunds and disputes made before the window that changed within it."""
    events = billing.client().v1.events.list({**chosen, "types": LATE_EVENTS})
    return [event.data.object for event in events.auto_paging_iter()]


def credited_or_returned(sessions: Sequence[Any]) -> set[str | None]:
    """Of these checkouts, those whose credits are in a wallet or whose money has gone back."""
    ended = [Purchase.State.PAID, Purchase.State.RETURNED]
    numbers = [session.id for session in sessions]
    done = Purchase.objects.filter(state__in=ended, session_id__in=numbers)
    return set(done.values_list("session_id", flat=True))


def comparison(sessions: Sequence[Any], since: datetime) -> Iterator[Finding]:
    """I6 between the two houses. A purchase paid since the listing is read again one by one."""
    paid = {session.id for session in sessions if billing.is_paid(session)}
    yield from finding(
        "I6", "paid at Stripe and not credited here", sorted(paid - credited_or_returned(sessions))
    )
    here = Purchase.objects.paid().filter(created_at__gte=since + CLOCK_SKEW)
    unlisted = {str(number) for number in here.values_list("session_id", flat=True)} - paid
    yield from finding(
        "I6", "credited here and not paid at Stripe", sorted(filter(is_unpaid, unlisted))
    )


def is_unpaid(session_id: str) -> bool:
    try:
        with billing.asking():
            session = billing.client().v1.checkout.sessions.retrieve(session_id)
    except billing.Refused:  # Stripe knows no such session
        return True
    return not billing.is_paid(session)
