"""Is the process there (/livez), and can it work (/readyz: database, storage, a fresh sweep)?

Knows the heartbeat and the storage.
"""

from datetime import timedelta

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from avatars import storage
from avatars.models import Heartbeat

# Health is a fresh sweep, not a process that is up: seven sweeps missed is not healthy.
SWEEP_FRESH = timedelta(seconds=15)


def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"alive": True})


def readyz(request: HttpRequest) -> JsonResponse:
    swept = last_sweep_is_fresh()
    checks = {"database": swept is not None, "storage": stored(), "sweep": bool(swept)}
    return JsonResponse(checks, status=200 if all(checks.values()) else 503)


def last_sweep_is_fresh() -> bool | None:
    """None when the database does not answer. Asked by a query: a connection may be long dead."""
    fresh = timezone.now() - SWEEP_FRESH
    try:
        return Heartbeat.objects.filter(name="sweep", seen_at__gte=fresh).exists()
    except Error:
        connection.close()
        return None


def stored() -> bool:
    try:
        storage.keys("health")
    except storage.StorageAway:
        return False
    return True
