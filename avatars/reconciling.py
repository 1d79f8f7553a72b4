"""Reconciling: what the provider drew and charged for, against what we know and delivered.

Knows the nouns and the client `face_gen`. A picture found in the account's list is never given to
anybody by guessing: it could be another person's face (contract §5, §10).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from avatars import face_gen
from avatars.models import Attempt, AvatarRequest, Reason, State
from avatars.models.attempts import GIFT_WATCH, Outcome

staff = logging.getLogger("likeness.staff")

LOW_BALANCE = 5.0  # in the account's own currency; some hundred pictures
IN_SIGHT = timedelta(days=7)
MOST_PAGES = 100  # 3,000 pictures, more than an account of fifteen places draws in twenty hours


@dataclass
class Account:
    """The provider's own books. `None`: it did not say, and `unavailable` says why not."""

    processing: int | None = None
    balance: float | None = None
    drawn: int | None = None
    unclaimed: int | None = None
    woken: int = 0
    unavailable: dict[str, str] = field(default_factory=dict)


def reconcile(now: datetime) -> Account:
    """The nightly pass: ask the provider, wake what it drew and we never fetched, call staff about
    what cannot be explained. Needs no lock and may be repeated.
    """
    account = read_account()
    with noting(account, "list of pictures"):
        listed = set(all_assets())
        requests = dict(
            Attempt.objects.filter(provider_job_id__in=listed).values_list(
                "provider_job_id", "request_id"
            )
        )
        account.drawn, account.unclaimed = len(listed), len(listed - set(requests))
        sleeping = undelivered(now).filter(due_at=None, user__is_active=True)
        account.woken = AvatarRequest.objects.filter(
            pk__in=list(sleeping.filter(pk__in=requests.values()).values_list("pk", flat=True)),
            due_at=None,
        ).update(due_at=now)
    for sentence in alarms(account, now):
        staff.error("%s", sentence)
    return account


def read_account() -> Account:
    """How many jobs the provider has under way for the account, and what is left in it."""
    account = Account()
    with noting(account, "count of jobs"):
        account.processing = face_gen.processing_count()
    with noting(account, "balance"):
        account.balance = face_gen.balance()
    return account


@contextmanager
def noting(account: Account, name: str) -> Iterator[None]:
    """The provider may refuse any of these calls to our kind of key: that is no fault of ours."""
    try:
        yield
    except face_gen.Unavailable as error:
        account.unavailable[name] = str(error)


def all_assets() -> Iterator[str]:
    """Job numbers in the account's list, newest first. Raises Unavailable."""
    for page in range(1, MOST_PAGES + 1):
        numbers = face_gen.assets(page)
        yield from numbers
        if not numbers:
            return


def undelivered(now: datetime) -> QuerySet[AvatarRequest]:
    """Paid at the provider, not delivered: ended without a picture though the provider has one, or
    may have. The aim is an empty list. What failed its safety check was no picture. What was surely
    drawn stays in sight beyond our looking for it, or the list would empty itself.
    """
    surely = ~Q(outputs=[]) & Q(sent_at__gt=now - IN_SIGHT)
    maybe = Q(outcome=Outcome.UNCERTAIN, provider_job_id__isnull=False)
    maybe &= Q(sent_at__gt=now - GIFT_WATCH)
    drawn = Attempt.objects.filter(surely | maybe, request=OuterRef("pk"))
    failed = AvatarRequest.objects.filter(Exists(drawn), state=State.FAILED, avatars=None)
    return failed.exclude(reason=Reason.BLOCKED)


def alarms(account: Account, now: datetime) -> Iterator[str]:
    """What staff should look at, a sentence each."""
    if account.balance is not None and account.balance < LOW_BALANCE:
        yield f"The provider's account is nearly empty: {account.balance:.2f} left."
    if account.unclaimed:
        yield (
            f"{account.unclaimed} pictures in the provider's list were ordered by no request of "
            "ours. Does somebody else use the key?"
        )
    if given_up := undelivered(now).filter(due_at=None).count():
        yield f"{given_up} pictures were paid at the provider and not delivered."
