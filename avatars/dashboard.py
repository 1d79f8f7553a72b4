"""The front page of the staff: is anything wrong, and where to look.

Knows counting, the board and the admin's frame. Counted once in half a minute for everybody.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib import admin
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from avatars import counting, watching
from avatars.counting import Figures, Line
from avatars.models import Reason, State
from avatars.models.takedowns import SOON, URGENT
from avatars.views import board

CACHED_SECONDS = 30
# From here on a tile asks for a look (warn), or for somebody now (bad).
WAITS = (timedelta(minutes=10), timedelta(minutes=30))
FAILURES = (0.05, 0.20)
FEW_ENDED = 5  # below that a share says nothing
REVIEW_LEFT = (timedelta(hours=6), timedelta(hours=1))
ENDINGS = (State.READY, State.FAILED, State.CANCELLED, State.REJECTED)
CHECK_IS_OLD = timedelta(hours=26)  # it runs every night


@dataclass(frozen=True)
class Tile:
    """A number, a word, what more there is to say, how bad it is, where its list is, and the right
    to open it where not everybody who reads figures has it.
    """

    number: str
    word: str
    more: str
    tone: str
    href: str
    right: str = ""


@require_safe
@admin.site.admin_view
def page(request: HttpRequest) -> HttpResponse:
    """Tiles and figures for whoever may read them; below, everything this person may open."""
    apps = admin.site.get_app_list(request)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Dashboard"),
        "app_list": apps,
    }
    if request.user.has_perm("avatars.view_figures"):
        figures = cast("Figures", cache.get_or_set("staff:figures", read, CACHED_SECONDS))
        account, asked_at = watching.noted_account()
        context |= {
            "figures": figures,
            "tiles": [
                (tile, not tile.right or request.user.has_perm(tile.right))
                for tile in tiles(figures)
            ],
            "states": ENDINGS,
            "hours": [
                (row["hour"], [row.get(state, 0) for state in ENDINGS]) for row in figures.hours
            ],
            "reasons": [(Reason(name).label, count) for name, count in figures.reasons],
            "recent": board.recent(),
            "account": account,
            "asked_at": asked_at,
        }
    elif not apps:
        return render(request, "admin/dashboard.html", context, status=403)
    return render(request, "admin/dashboard.html", context)


def read() -> Figures:
    return counting.figures(timezone.now())


def tiles(figures: Figures) -> list[Tile]:
    """What must be looked at first. Another desk's tile is one more line here."""
    return [
        in_line(figures),
        failures(figures),
        in_review(figures),
        takedowns(figures),
        undelivered(figures),
        odd_purchases(figures),
        books(figures),
    ]


def tone(value: Any, limits: tuple[Any, Any]) -> str:  # noqa: ANN401 - numbers or periods
    """ok, warn from the first limit on, bad from the second."""
    warn, bad = limits
    return "bad" if value >= bad else "warn" if value >= warn else "ok"


def since(moment: datetime | None, now: datetime) -> str:
    return _("oldest: %(time)s") % {"time": timesince(moment, now, depth=1)} if moment else ""


def requests_in(state: State) -> str:
    return f"{reverse('admin:avatars_avatarrequest_changelist')}?state={state.value}"


def in_line(figures: Figures) -> Tile:
    oldest, more = figures.waiting.oldest, since(figures.waiting.oldest, figures.at)
    how = tone(figures.at - oldest, WAITS) if oldest else "ok"
    if figures.paused_until:
        how = "bad" if how == "bad" else "warn"
        until = {"time": date_format(timezone.localtime(figures.paused_until), "H:i")}
        more = " · ".join(filter(None, [more, _("paused until %(time)s") % until]))
    return Tile(str(figures.waiting.count), _("In line"), more, how, requests_in(State.QUEUED))


def failures(figures: Figures) -> Tile:
    ended, failed = figures.ended_hour, figures.failed_hour
    share = failed / ended if ended else 0.0
    how = tone(share, FAILURES) if ended >= FEW_ENDED else "ok"
    more = ngettext("%(failed)d of %(count)d ended", "%(failed)d of %(count)d ended", ended)
    told = more % {"failed": failed, "count": ended}
    return Tile(f"{share:.0%}", _("Failure rate, 1 h"), told, how, requests_in(State.FAILED))


def in_review(figures: Figures) -> Tile:
    more, how = until_due(figures.review, figures.at, REVIEW_LEFT)
    count, href = str(figures.review.count), reverse("desk")
    return Tile(count, _("In review"), more, how, href, "avatars.moderate")


def takedowns(figures: Figures) -> Tile:
    more, how = until_due(figures.takedowns, figures.at, (SOON, URGENT))
    count, href = str(figures.takedowns.count), reverse("takedowns")
    return Tile(count, _("Takedowns"), more, how, href, "avatars.decide_takedown")


def until_due(line: Line, now: datetime, limits: tuple[timedelta, timedelta]) -> tuple[str, str]:
    """How long the oldest waits, when the nearest is due, and how bad that is."""
    if line.deadline is None:
        return since(line.oldest, now), "ok"
    left, (warn, bad) = line.deadline - now, limits
    if left <= timedelta(0):
        late = {"time": timesince(line.deadline, now, depth=1)}
        told = _("deadline passed %(time)s ago") % late
    else:
        told = _("nearest deadline in %(time)s") % {"time": timesince(now, line.deadline, depth=1)}
    more = f"{since(line.oldest, now)} · {told}"
    return more, "bad" if left <= bad else "warn" if left <= warn else "ok"


def undelivered(figures: Figures) -> Tile:
    href = f"{reverse('admin:avatars_avatarrequest_changelist')}?delivery=missing"
    how = "bad" if figures.undelivered else "ok"
    more = _("must be 0") if figures.undelivered else ""
    return Tile(str(figures.undelivered), _("Paid at provider, not delivered"), more, how, href)


def odd_purchases(figures: Figures) -> Tile:
    href = f"{reverse('admin:accounts_purchase_changelist')}?state__exact=odd"
    how = "bad" if figures.odd_purchases else "ok"
    more = _("must be 0") if figures.odd_purchases else ""
    return Tile(str(figures.odd_purchases), _("Paid, not credited"), more, how, href)


def books(figures: Figures) -> Tile:
    """What the nightly audit found, and whether it ran."""
    if figures.checked_at is None:
        more, how = _("has not run yet"), "warn"
    else:
        age = figures.at - figures.checked_at
        more = _("ran %(time)s ago") % {"time": timesince(figures.checked_at, figures.at, depth=1)}
        how = "warn" if age > CHECK_IS_OLD else "ok"
    how = "bad" if figures.findings else how
    href = f"{reverse('admin:accounts_wallet_changelist')}?frozen__exact=1"
    return Tile(str(figures.findings), _("Ledger check"), more, how, href)
