"""The clerk's desk for money: buyers, what their rows say, and whoever looks at open ones.

Knows the models, the accounts' verbs and tasks. Answers are JSON.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts import reconciling, tasks
from accounts.models import CreditPack, Purchase, Refund, User
from tests import factories

PASSWORD = "correct horse battery"  # everybody's, see factories


def buyer() -> dict[str, Any]:
    """Somebody without credits whose browser has just said who they are; and what is sold."""
    user = factories.create_user()
    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(user)
    answer = browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert answer.status_code == 302
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    pack = CreditPack.objects.first() or factories.create_pack()
    return {"user": user.pk, "email": user.email, "cookie": cookie, "pack": pack.pk}


def wallet(user: int) -> dict[str, Any]:
    """Pockets, purchases and refunds of one person, oldest first."""
    own = User.objects.get(pk=user).wallet
    bought = Purchase.objects.filter(user=user).order_by("pk")
    returned = Refund.objects.filter(purchase__user=user).order_by("pk")
    return {
        "pockets": [own.available, own.reserved, own.owed],
        "purchases": list(bought.values_list("state", flat=True)),
        "numbers": [str(number) for number in bought.values_list("public_id", flat=True)],
        "refunds": list(returned.values_list("state", flat=True)),
    }


def look_at_open(*, hours: int = 0, by_worker: bool = False) -> None:
    """The ten minutes' look, done by a worker or here, so many hours from now."""
    if by_worker:
        tasks.look_at_open.apply_async(queue="look")
    else:
        reconciling.look_at_open(timezone.now() + timedelta(hours=hours))


def reconcile() -> list[dict[str, Any]]:
    """The nightly comparison with Stripe: what it found."""
    return [finding.as_dict() for finding in reconciling.reconcile(timezone.now())]
