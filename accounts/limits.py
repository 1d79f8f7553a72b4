"""Fixed-window rate limits on the shared cache.

Knows Django's cache and allauth's sight of proxies. Public: edges of avatars use both too.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from allauth.account.adapter import get_adapter
from django.core.cache import cache
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

# Seconds: the page prints hours and minutes, which must not be a minute too early.
ROUNDING_UP = 59


@dataclass(frozen=True)
class Limit:
    """`count` times in `seconds`, for a person (or an address when nobody is signed in)."""

    name: str
    count: int
    seconds: int

    def spend(self, who: str) -> int:
        """Use one. Returns 0, or the seconds until the next one when none is left."""
        now = time.time()
        window = int(now // self.seconds)
        key = f"limit:{self.name}:{who}:{window}"
        cache.add(key, 0, self.seconds)
        try:
            used = cache.incr(key)
        except ValueError:
            # The window's key expired between the two calls: a new window has begun.
            cache.set(key, 1, self.seconds)
            used = 1
        return 0 if used <= self.count else max(1, int((window + 1) * self.seconds - now))


def who(request: HttpRequest) -> str:
    if request.user.is_authenticated:
        return f"user:{request.user.pk}"
    return f"address:{address_of(request)}"


def address_of(request: HttpRequest) -> str:
    """The person's own address: behind PROXY_COUNT proxies the one they saw, never theirs. Raises
    PermissionDenied when there is none.
    """
    return get_adapter(request).get_client_ip(request)


View = Callable[..., HttpResponseBase]


def limited(limit: Limit) -> Callable[[View], View]:
    """Answer 429 with the time to wait once a POST goes over the limit; reading is free."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            wait = limit.spend(who(request)) if request.method == "POST" else 0
            if wait:
                retry_at = timezone.now() + timedelta(seconds=wait + ROUNDING_UP)
                answer = render(request, "429.html", {"retry_at": retry_at}, status=429)
                answer["Retry-After"] = str(wait)
                return answer
            return view(request, *args, **kwargs)

        return guarded

    return decorate
