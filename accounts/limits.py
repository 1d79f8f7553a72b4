"""Fixed-window rate limits on the shared cache.

Knows Django's cache. Public: edges of avatars use the decorator too.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


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
    return f"address:{request.META.get('REMOTE_ADDR', '')}"


View = Callable[..., HttpResponse]


def limited(limit: Limit) -> Callable[[View], View]:
    """Answer 429 with the time to wait once a POST goes over the limit; reading is free."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            wait = limit.spend(who(request)) if request.method == "POST" else 0
            if wait:
                context = {"wait_seconds": wait, "wait_minutes": -(-wait // 60)}
                answer = render(request, "429.html", context, status=429)
                answer["Retry-After"] = str(wait)
                return answer
            return view(request, *args, **kwargs)

        return guarded

    return decorate
