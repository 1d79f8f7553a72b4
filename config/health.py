"""Is the process there (/livez), and can it work (/readyz: database, storage, a fresh sweep)?

Knows the heartbeat and the storage.
"""

from datetime import timedelta

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from avatars import storage
from avatars.models import Heartbeat

# Health is a fresh sweep, not a process that is up: seven sweeps missed is not healthy.
SWEEP_FRESH = timedelta(seconds=15)


def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"alive": True})


def readyz(request: HttpRequest) -> JsonResponse:
    checks = {"database": database(), "storage": stored(), "sweep": False}
    if checks["database"]:
        fresh = timezone.now() - SWEEP_FRESH
        checks["sweep"] = Heartbeat.objects.filter(name="sweep", seen_at__gte=fresh).exists()
    return JsonResponse(checks, status=200 if all(checks.values()) else 503)


def database() -> bool:
    try:
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True


def stored() -> bool:
    try:
        storage.keys("health")
    except storage.StorageAway:
        return False
    return True
