"""The nightly audit of the ledger, beside the cheapest reading of the same rows.

Knows the audit and the models.
"""

import time
from typing import Any

from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from accounts import auditing
from accounts.models import Transfer


def lift_time_limit() -> None:
    """A page may not take longer than PostgreSQL's statement_timeout; a nightly pass may."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")


def audit_pockets() -> float:
    """Seconds of I2 over the whole ledger."""
    began_at = time.perf_counter()
    assert list(auditing.unbalanced()) == []
    return time.perf_counter() - began_at


def add_up() -> float:
    """Seconds of the floor: one sum over the same table."""
    began_at = time.perf_counter()
    assert Transfer.objects.aggregate(total=Sum("amount"))["total"] > 0
    return time.perf_counter() - began_at


def queries() -> dict[str, Any]:
    with CaptureQueriesContext(connection) as asked:
        list(auditing.unbalanced())
    return {"queries": len(asked), "transfers": Transfer.objects.count()}
