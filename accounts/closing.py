"""Closing an account: asked for, called off or carried out, until nothing names the person.

Knows the nouns, `signals` and `devices`. The plot: `close` (at once: signed out everywhere, and
whoever listens to `account_closing` lets go of what is theirs), `keep` within the window, `go_on`
when its time has come. The files and rows of the room above go between `start` and `end`, in steps
of its own.

Stripe keeps the invoices, which the law asks for, and nothing else of ours: a checkout is given an
address alone, and makes no Customer (docs.stripe.com/api/checkout/sessions/create,
customer_creation "if_required", read 2026-11-22). So there is nobody to delete there.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction
from django.db.models import F

from accounts import devices
from accounts.models import Closing, Purchase, User
from accounts.models.closings import CANCEL_WINDOW, Step
from accounts.signals import account_closing

logger = logging.getLogger("likeness.closing")
staff = logging.getLogger("likeness.staff")

CLOSED_ACCOUNT = "a closed account"


# ── Asked for, and called off ───────────────────────────────────────────────────────────────────


def close(user: User, now: datetime, *, at_once: bool = False) -> Closing:
    """Begin the closing: signed out everywhere, and everything that goes at once is gone, in one
    transaction. `at_once` leaves no days to call it off. The standing Closing when there is one.
    """
    with transaction.atomic():
        start_at = now if at_once else now + CANCEL_WINDOW
        begun = User.objects.filter(pk=user.pk, closes_at=None)
        if not begun.update(closes_at=start_at, sign_outs=F("sign_outs") + 1):
            return Closing.objects.open().get(user=user)
        closing = Closing.objects.create(
            user=user,
            wanted_at=now,
            start_at=start_at,
            due_at=start_at,
            letter_due=not at_once,
        )
        account_closing.send(sender=Closing, user=user, closing=closing, now=now)
    user.refresh_from_db(fields=["closes_at", "sign_outs"])
    logger.info("an account closes", extra={"closing": closing.pk})
    return closing


def keep(user: User) -> bool:
    """Call the closing off. What went at once does not come back. False when it is too late, or
    nothing was to be called off.
    """
    with transaction.atomic():
        waiting = Closing.objects.filter(user=user, step=Step.WAITING)
        called_off = {"step": Step.CALLED_OFF, "due_at": None, "letter_due": False}
        if not waiting.update(**called_off):
            return False
        User.objects.filter(pk=user.pk).update(closes_at=None)
    user.refresh_from_db(fields=["closes_at"])
    return True


# ── Carried out ─────────────────────────────────────────────────────────────────────────────────


def go_on(now: datetime) -> None:
    """Every closing whose time has come, as far as it goes. Harmless when run twice at once."""
    for pk in list(Closing.objects.due(STEPS, now).values_list("pk", flat=True)):
        closing = Closing.objects.claimed(pk, STEPS, now)
        if closing is not None:
            STEPS[Step(closing.step)](closing, now)


def start(closing: Closing, now: datetime) -> None:
    """The days are over: nobody comes back in, and the room above may begin."""
    with transaction.atomic():
        if closing.move(Step.EMPTYING, due_at=now, letter_due=False):
            User.objects.filter(pk=closing.user_id or 0).update(
                is_active=False, sign_outs=F("sign_outs") + 1
            )


def end(closing: Closing, now: datetime) -> None:
    """Nothing but wallet and login is left: the credits lapse, the ledger loses its person and the
    login goes, in one transaction. The address outlives it for one letter.
    """
    user = closing.user
    if user is None:
        return
    typed = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    devices.forget(user.pk, {user.email, *typed})
    try:
        with transaction.atomic():
            late = forget(user, closing, now)
    except IntegrityError as error:
        # A writer that had slept added something, before or while the person went (Django's own
        # ProtectedError, or the database's word at the commit): it goes the way of the rest.
        staff.warning("a closing met rows that were gone before: %s", type(error).__name__)
        closing.refresh_from_db()  # as it was before the transaction that came to nothing
        closing.move(Step.EMPTYING, due_at=now)
        return
    for purchase in late:
        staff.error("paid while its account closed, to be refunded: %s", purchase.public_id)


def forget(user: User, closing: Closing, now: datetime) -> list[Purchase]:
    """Locks as everywhere: purchases, then the wallet, then the person. The closing's own comes
    first, so that of two who came as far one does it. Returns the payments that came too late.
    """
    if not closing.move(Step.ENDING):
        return []
    user.purchases.update(touches=F("touches") + 1)  # whoever credits one now is waited for
    late = late_payments(user, closing)
    user.purchases.update(user=None)
    lapsed = user.wallet.lapse()
    closing.note({"credits": lapsed.amount if lapsed else 0}, [])
    user.wallet.leave_its_person()
    log_forgets(user)
    gone = {"user": None, "gone_at": now, "letter_to": user.email, "due_at": now}
    closing.move(Step.GONE, **gone)
    user.delete()
    return late


def late_payments(user: User, closing: Closing) -> list[Purchase]:
    """Money that came after they had asked to go was hardly meant: a person looks."""
    late = Purchase.objects.paid().filter(user=user, transfer__created_at__gte=closing.wanted_at)
    return [purchase for purchase in late if purchase.unused()]


def log_forgets(user: User) -> None:
    """The admin's own log writes down what it calls a person, which is their address."""
    about = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk)
    )
    about.update(object_repr=CLOSED_ACCOUNT)


STEPS: dict[Step, Callable[[Closing, datetime], None]] = {Step.WAITING: start, Step.ENDING: end}
