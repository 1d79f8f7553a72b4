"""How often anybody may do what: every number in one place, counted on the shared cache.

Knows Django's cache and allauth's sight of proxies. Public: edges of avatars use these too. The
limits of sign-up, sign-in and codes are allauth's own (ACCOUNT_RATE_LIMITS in the settings); those
of exports and open requests are rows (avatars.exporting, Quota).
"""

import functools
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

# Seconds: the page prints hours and minutes, which must not be a minute too early.
ROUNDING_UP = 59
MINUTE, HOUR = 60, 3600
NETWORK_BITS = 64  # of an IPv6 address; whoever has one has the others of its network too


@dataclass(frozen=True)
class Limit:
    """`count` times in `seconds`, for a person (or an address when nobody is signed in)."""

    name: str
    count: int
    seconds: int

    def key(self, who: str, now: float) -> str:
        return f"limit:{self.name}:{who}:{int(now // self.seconds)}"

    def is_spent(self, who: str) -> bool:
        """Whether none is left, without using one."""
        return cache.get(self.key(who, time.time()), 0) >= self.count

    def spend(self, who: str) -> int:
        """Use one. Returns 0, or the seconds until the next one when none is left."""
        now = time.time()
        key = self.key(who, now)
        cache.add(key, 0, self.seconds)
        try:
            used = cache.incr(key)
        except ValueError:
            # The window's key expired between the two calls: a new window has begun.
            cache.set(key, 1, self.seconds)
            used = 1
        return 0 if used <= self.count else max(1, int(self.seconds - now % self.seconds))


MAKING = Limit("making", 10, MINUTE)
UPLOADS = Limit("photos", 20, HOUR)
LINKS = Limit("links", 30, HOUR)
APPEALS = Limit("appeals", 5, HOUR)  # by whose it is, signed in or by their letter
REPORTS = Limit("reports", 5, HOUR)  # by address, whoever is signed in
CHECKOUTS = Limit("checkouts", 10, HOUR)
QUESTIONS = Limit("stripe", 120, HOUR)  # that reading pages asks of Stripe
REFUNDS = Limit("refunds", 10, HOUR)
CLOSINGS = Limit("closings", 10, HOUR)
OPENINGS = Limit("openings", 30, HOUR)  # of faces, by one member of staff
KNOCKS = Limit("knocks", 60, MINUTE)  # doorbells of no attempt, by address


def who(request: HttpRequest) -> str:
    if request.user.is_authenticated:
        return f"user:{request.user.pk}"
    return whence(request)


def whence(request: HttpRequest) -> str:
    """The address as limits count it: of IPv6 the network, which is one connection's."""
    address = ipaddress.ip_address(address_of(request))
    if address.version == 4:
        return f"address:{address}"
    return f"address:{ipaddress.ip_network((address, NETWORK_BITS), strict=False)}"


def address_of(request: HttpRequest) -> str:
    """The person's own address: behind PROXY_COUNT proxies the one they saw, never theirs. Raises
    PermissionDenied when there is none.
    """
    return get_adapter(request).get_client_ip(request)


def too_fast(request: HttpRequest, wait: int) -> HttpResponse:
    """The page for whoever has to wait so many seconds."""
    retry_at = timezone.now() + timedelta(seconds=wait + ROUNDING_UP)
    answer = render(request, "429.html", {"retry_at": retry_at}, status=429)
    answer["Retry-After"] = str(wait)
    return answer


View = Callable[..., HttpResponseBase]


def limited(limit: Limit) -> Callable[[View], View]:
    """Answer 429 with the time to wait once a POST goes over the limit; reading is free."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            wait = limit.spend(who(request)) if request.method == "POST" else 0
            return too_fast(request, wait) if wait else view(request, *args, **kwargs)

        return guarded

    return decorate
