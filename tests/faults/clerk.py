"""The plant's clerk: a process with the product's own settings that acts, reads rows and judges.

Knows the verbs, models, audits and the stand-in's books. One JSON question a line on stdin, one
JSON answer a line on stdout; `Plant.ask` speaks with it.
"""

import json
import sys
import uuid
from collections import Counter, defaultdict
from datetime import timedelta
from itertools import accumulate
from typing import Any

import django
from django.conf import settings

django.setup()
# Hashing a password well takes half a second of a core; nobody signs in with one here.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

from django.db import InterfaceError, OperationalError, close_old_connections, connection  # noqa: E402
from django.db.models import Count, F  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts import auditing as accounts_auditing  # noqa: E402
from accounts import closing  # noqa: E402
from accounts import tasks as accounts_tasks  # noqa: E402
from accounts.models import Closing, Kind, NotEnoughCredits, Quota, Transfer, User  # noqa: E402
from avatars import auditing as avatars_auditing  # noqa: E402
from avatars import generation, safekeeping, tasks  # noqa: E402
from avatars.models import (  # noqa: E402
    Attempt,
    Avatar,
    AvatarRequest,
    FacePhoto,
    Heartbeat,
    State,
    StoredFile,
)
from avatars.models.attempts import SLOT_LIMIT, Breaker  # noqa: E402
from avatars.models.avatar_requests import LEASES, UNDER_WAY  # noqa: E402
from config.standins.books import ENDED, Books  # noqa: E402
from tests import factories, lives  # noqa: E402
from tests.faults import cashier  # noqa: E402
from tests.faults.marks import mark_of  # noqa: E402

# Whoever dies with a claim delays the ending by its lease; we allow two such deaths.
PROMISE_GRACE = 2 * max(LEASES.values())
ENOUGH_CREDITS = 1_000_000
LONGEST_STOP = timedelta(minutes=1)  # the killer's stops are shorter


# ── Acting ──────────────────────────────────────────────────────────────────────────────────────


def person() -> dict[str, Any]:
    """Somebody with a photo, credits without end and a signed-in browser."""
    user = factories.create_user(credits=ENOUGH_CREDITS)
    Quota.objects.filter(user=user).update(max_per_day=ENOUGH_CREDITS)
    photo = factories.create_photo(user)
    browser = Client()
    browser.force_login(user)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    return {"user": user.pk, "photo": str(photo.public_id), "cookie": cookie}


def submit(user: int, number: str, prompt: str, *, rings: bool = True) -> str:
    """The state after submit and its doorbell; the same number twice is the same request."""
    owner = User.objects.get(pk=user)
    photo = FacePhoto.objects.filter(user=owner).latest("pk")
    wish = factories.wish(photo, prompt=prompt, number=uuid.UUID(number))
    avatar_request = generation.submit(owner, wish)
    if rings:
        tasks.ring([avatar_request.pk])
    return avatar_request.state


def ring(mark: str) -> None:
    """One doorbell, as if the sweep had found it."""
    tasks.ring(AvatarRequest.objects.filter(prompt__contains=mark).values_list("pk", flat=True))


def sweep(*, by_worker: bool = False) -> None:
    """One tick of beat, done by a worker or here: who sweeps does not matter."""
    if by_worker:
        tasks.sweep.apply_async(queue="look")
    else:
        tasks.ring(generation.sweep())


def hurry() -> None:
    """Whoever holds a claim has lost it, all waits are over and no breaker pauses: time that
    passes without anybody waiting for it. Only `due_at` moves, never a promise.
    """
    now = timezone.now()
    AvatarRequest.objects.filter(state__in=UNDER_WAY, due_at__gt=now).update(due_at=now)
    Breaker.objects.update(paused_until=None)


def end_doubts() -> None:
    """The promised moment of every order in doubt is now."""
    now = timezone.now()
    doubtful = AvatarRequest.objects.filter(state=State.UNCERTAIN)
    doubtful.update(deadline_at=now, due_at=now, lease_no=F("lease_no") + 1)


def forget_heartbeat() -> None:
    """The last sweep was a minute ago."""
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=1))


def throw_away(mark: str) -> None:
    """The owner wants the finished picture gone: its files are doomed, and due."""
    safekeeping.purge(Avatar.objects.get(request__prompt__contains=mark))


def erase() -> None:
    """Have a worker delete what is doomed, as beat does once a minute."""
    tasks.erase_due.apply_async(queue="look")


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────


def request(mark: str) -> dict[str, Any] | None:
    """One wish as its rows have it."""
    same = AvatarRequest.objects.filter(prompt__contains=mark)
    row = same.first()
    if row is None:
        return None
    attempt = row.attempts.order_by("-pk").first()
    return {
        "state": row.state,
        "reason": row.reason,
        "lease_no": row.lease_no,
        "tries": row.tries,
        "attempts": row.attempts.count(),
        "sent": attempt is not None and attempt.sent_at is not None,
        "outcome": attempt.outcome if attempt else "",
        "pictures": row.avatars.count(),
        "same": same.count(),
    }


def count() -> dict[str, int]:
    """Requests by state."""
    states = AvatarRequest.objects.values_list("state").annotate(Count("pk")).order_by()
    return dict(states)


def leaver() -> int:
    """Somebody with a photo and a picture, who has closed their account for now."""
    user = factories.create_user(credits=2)
    photo = factories.create_photo(user)
    factories.create_avatar(user, factories.create_request_in(State.READY, user, photo=photo))
    closing.close(user, timezone.now(), at_once=True)
    return user.pk


def go_on_leaving(room: str) -> None:
    """The days are over and whoever had a claim has lost it; a worker goes on with its steps."""
    lives.hurry_closings()
    task = {"accounts": accounts_tasks.go_on_closing, "avatars": tasks.leave}[room]
    task.apply_async(queue="look")


def closing_step(user: int) -> str:
    """Where the closing stands; "gone" once it has no person any more."""
    row = Closing.objects.filter(user=user).first()
    return row.step if row else "gone"


def left_behind(user: int) -> list[str]:
    """What still points at that person, and what the storage has that is nobody's."""
    kept = StoredFile.objects.filter(user=None).values_list("key", flat=True)
    return [*lives.references(user), *kept]


def doomed_files() -> int:
    """Journal rows whose object is to be deleted now."""
    return StoredFile.objects.doomed(timezone.now()).count()


# ── Judging ─────────────────────────────────────────────────────────────────────────────────────


def verdict(confirmed: list[str], started: list[str] | None = None) -> dict[str, Any]:
    """What was lost, doubled or violated, by our rows and by the provider's own books.

    `confirmed`: the marks of wishes whose owners were told that they are in line; `started`: only
    wishes with these marks are judged (None: all).
    """
    rows = [
        row
        for row in AvatarRequest.objects.select_related("resolution")
        if started is None or mark_of(row.prompt) in started
    ]
    known = {mark_of(row.prompt) for row in rows}
    books = Books(settings.LOCAL_DIR / "standins" / "face_gen")
    lost = [f"{mark}: confirmed, but there is no request" for mark in set(confirmed) - known]
    lost += [f"{mark_of(row.prompt)}: {wrong}" for row in rows for wrong in broken_promises(row)]
    most = most_with_a_slot(books)
    violations = [finding.as_dict() for finding in accounts_auditing.findings()]
    violations += [finding.as_dict() for finding in avatars_auditing.findings(files=True)]
    violations += books.violations()
    violations += [line for line in books.strays() if line["key_seen"]]
    if most > settings.FACE_GEN_SLOTS:
        violations.append(f"{most} orders held a slot at once")
    ended = [row for row in rows if row.ended_at is not None]
    return {
        "requests": len(rows),
        "lost": lost,
        "double": doubles(books, known),
        "violations": violations,
        "states": Counter(row.state for row in rows),
        "reasons": Counter(row.reason for row in rows if row.reason),
        "gifts": Avatar.objects.filter(gift=True).count(),
        "attempts": Attempt.objects.filter(number__isnull=False).count(),
        "orders": books.accepted(),
        "generated": books.generated(),
        "most_with_a_slot": most,
        "most_in_flight": books.most_in_flight(),
        "slowest": max(
            ((row.ended_at - row.created_at).total_seconds() for row in ended), default=0.0
        ),
    }


def most_with_a_slot(books: Books) -> int:
    """The most orders that held a slot at once, by the provider's own books. Ten minutes after
    sending a slot is given up, whatever becomes of the job; and who was stopped between writing
    down that it sends and sending was accepted that much later.
    """
    held = (SLOT_LIMIT - LONGEST_STOP).total_seconds()
    ended = {line["job"]: line["wall"] for line in books.lines(*ENDED)}
    changes = []
    for line in books.lines("accepted"):
        until = line["wall"] + held
        changes += [(line["wall"], 1), (min(until, ended.get(line["job"], until)), -1)]
    return max(accumulate(change for _moment, change in sorted(changes)), default=0)


def broken_promises(row: AvatarRequest) -> list[str]:
    """Why this request was lost; an empty list for one that ended as it should."""
    if row.is_open() or row.ended_at is None:
        return [f"still {row.state}"]
    wrong = []
    if row.deadline_at is None or row.ended_at > row.deadline_at + PROMISE_GRACE:
        wrong.append(f"ended at {row.ended_at}, promised by {row.deadline_at}")
    resolutions = list(
        Transfer.objects.filter(reference=f"resolve:{row.reference}").values_list("kind", "amount")
    )
    is_ready = row.state == State.READY
    wanted = (Kind.CAPTURE if is_ready else Kind.RELEASE, row.cost)
    if resolutions != [wanted]:
        wrong.append(f"{row.state} with {resolutions} in the ledger")
    pictures = list(row.avatars.values_list("gift", flat=True))
    if is_ready and False not in pictures:
        wrong.append("READY without a picture")
    if not is_ready and not row.reason:
        wrong.append("ended without a picture and without a reason")
    return wrong


def doubles(books: Books, known: set[str]) -> list[str]:
    """Wishes drawn twice, delivered twice or paid for twice."""
    generated: dict[str, int] = defaultdict(int)
    for job in books.jobs():
        generated[mark_of(job.order["prompt"])] += job.generated
    found = [f"{mark}: drawn {n} times" for mark, n in generated.items() if n > 1 and mark in known]
    pictures = Avatar.objects.values("request__prompt").annotate(n=Count("pk")).filter(n__gt=1)
    found += [f"{mark_of(row['request__prompt'])}: {row['n']} pictures" for row in pictures]
    paid = Transfer.objects.filter(kind=Kind.CAPTURE).values("reference").annotate(n=Count("pk"))
    return found + [f"{row['reference']}: {row['n']} captures" for row in paid.filter(n__gt=1)]


# ── The desk ────────────────────────────────────────────────────────────────────────────────────

VERBS = {
    verb.__name__: verb
    for verb in (
        *(person, submit, ring, sweep, hurry, end_doubts, forget_heartbeat, throw_away, erase),
        *(request, count, doomed_files, verdict),
        *(cashier.buyer, cashier.wallet, cashier.look_at_open, cashier.reconcile),
        *(leaver, go_on_leaving, closing_step, left_behind),
    )
}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Whatever else goes wrong ends the clerk, with its traceback in the plant's log."""
    close_old_connections()
    try:
        return {"answer": VERBS[question["verb"]](**question["words"])}
    except (OperationalError, InterfaceError) as error:
        connection.close()
        return {"away": str(error)}
    except (generation.SubmitRefused, NotEnoughCredits) as error:
        return {"refused": type(error).__name__}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line)), default=str) + "\n")
        sys.stdout.flush()
