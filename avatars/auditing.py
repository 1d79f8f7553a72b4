"""Auditing: what must always be true of requests, attempts, slots, files and holds (engine.md §14).

Knows the nouns, accounts.models and storage. Each finding names its invariant and its rows.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Concat, Substr
from django.utils import timezone

from accounts.models import BookCheck, Closing, Kind, Transfer, Wallet, triggers
from accounts.models.closings import LEAVING
from accounts.models.findings import Finding, finding, report
from avatars import storage
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Category,
    FacePhoto,
    FileState,
    Removal,
    ReviewItem,
    ReviewKind,
    Share,
    State,
    StoredFile,
)
from avatars.models.avatar_requests import ENDED, LEASES, OPEN, TRIGGERS

SWEEPS_MISSED = timedelta(seconds=6)
WRITING_AGE = timedelta(hours=2)
DOOMED_AGE = timedelta(days=1)
LATE_LOOKS_BEHIND = timedelta(hours=2)


def findings(*, files: bool = False, contents: bool = False) -> list[Finding]:
    """Everything that does not add up; an empty list is the good answer. `files` also compares
    the storage's listing with the journal, and only reports strangers; `contents` reads every
    object, which takes as long as that takes.
    """
    now = timezone.now()
    found = [*reserves(), *endings(), *pictures(), *slots(), *clocks(now), *journal(now), *locks()]
    found += [*strangers(), *faces(), *desk(), *removals()]
    found += listing() if files else ()
    found += altered() if contents else ()
    return found


def check_books(*, files: bool = False, contents: bool = False) -> list[Finding]:
    """The nightly pass: findings call staff, and every wallet whose reserve is not what its open
    requests cost is frozen, because stopping beats going on wrong.
    """
    found = findings(files=files, contents=contents)
    report(found)
    Wallet.objects.filter(pk__in=list(unreserved())).update(frozen=True)
    BookCheck.note("requests", timezone.now(), len(found))
    return found


def unreserved() -> models.QuerySet[Wallet, int]:
    """Wallets that have not reserved exactly what their open requests cost."""
    costs = (
        AvatarRequest.objects.open()
        .order_by()
        .filter(hold__wallet=OuterRef("pk"))
        .values("hold__wallet")
        .annotate(total=Sum("cost"))
        .values("total")
    )
    unequal = Wallet.objects.annotate(open_cost=Coalesce(Subquery(costs), 0)).exclude(
        reserved=F("open_cost")
    )
    return unequal.values_list("pk", flat=True)


def reserves() -> Iterator[Finding]:
    """I4: what a wallet has reserved is what its open requests cost."""
    yield from finding("I4", "reserved is not the cost of open requests", unreserved())


def endings() -> Iterator[Finding]:
    """I5: one hold a request, ended exactly when resolved, captured exactly when READY."""
    ids = AvatarRequest.objects.values_list("pk", flat=True)
    unresolved = Q(state__in=ENDED, resolution=None) | Q(state__in=OPEN, resolution__isnull=False)
    captured = Q(state=State.READY) & ~Q(resolution__kind=Kind.CAPTURE)
    released = Q(state__in=ENDED - {State.READY}) & ~Q(resolution__kind=Kind.RELEASE)
    amounts = ~Q(hold__amount=F("cost")) | (
        Q(resolution__isnull=False) & ~Q(resolution__amount=F("cost"))
    )
    yield from finding("I5", "ended without a resolution, or open with one", ids.filter(unresolved))
    yield from finding("I5", "READY without a capture", ids.filter(captured))
    yield from finding("I5", "ended without a picture and not released", ids.filter(released))
    yield from finding("I5", "an amount differs from the cost", ids.filter(amounts))
    stray = Transfer.objects.filter(kind=Kind.HOLD).exclude(
        pk__in=AvatarRequest.objects.values("hold")
    )
    # A closed account leaves its holds in the ledger, each with its resolution.
    own = Concat(Value("resolve:"), Substr(OuterRef("reference"), len("hold:") + 1))
    resolved = Exists(Transfer.objects.filter(reference=own))
    kept = stray.exclude(resolved, wallet__in=left_behind())
    yield from finding("I5", "a hold without a request", kept.values_list("reference", flat=True))


def left_behind() -> models.QuerySet[Wallet, int]:
    """Wallets whose person has left, or is leaving for good."""
    leaving = Closing.objects.filter(step__in=LEAVING).values("user")
    return Wallet.objects.filter(Q(user=None) | Q(user__in=leaving)).values_list("pk", flat=True)


def pictures() -> Iterator[Finding]:
    """I7: READY has a picture of its owner with kept files (or purged at the owner's wish); other
    endings have none, unless a gift on FAILED.
    """
    ids = AvatarRequest.objects.values_list("pk", flat=True)
    yield from finding("I7", "READY without a picture", ids.filter(state=State.READY, avatars=None))
    avatars = Avatar.objects.values_list("pk", flat=True)
    yield from finding(
        "I7",
        "a picture on a request that is not READY and no gift",
        avatars.exclude(request__state=State.READY).exclude(request__state=State.FAILED, gift=True),
    )
    yield from finding(
        "I7", "a picture that is not its requester's", avatars.exclude(user=F("request__user"))
    )
    yield from finding(
        "I7",
        "a picture whose files are not kept",
        avatars.filter(file__isnull=False).exclude(
            file__state=FileState.KEPT, thumb__state=FileState.KEPT
        ),
    )


def slots() -> Iterator[Finding]:
    """I8: slots in use are distinct and not more than we have; one live attempt a request."""
    taken = Attempt.objects.filter(slot_no__isnull=False)
    yield from finding(
        "I8",
        "a slot beyond the provider's places",
        taken.filter(slot_no__gt=settings.FACE_GEN_SLOTS).values_list("pk", flat=True),
    )
    doubled = Attempt.objects.live().values("request").annotate(n=Count("pk")).filter(n__gt=1)
    yield from finding(
        "I8", "two live attempts of one request", doubled.values_list("request", flat=True)
    )
    idle = Attempt.objects.live().filter(request__resolution__isnull=False)
    yield from finding(
        "I8", "a live attempt of an ended request", idle.values_list("pk", flat=True)
    )


def clocks(now: datetime) -> Iterator[Finding]:
    """I10: nothing is overdue by more than three sweeps, nothing open is past its deadline."""
    late = AvatarRequest.objects.open().filter(due_at__lt=now - SWEEPS_MISSED)
    yield from finding(
        "I10", "overdue by more than three sweeps", late.values_list("pk", flat=True)
    )
    # Late looks take turns, one a second, so a crowd of them may wait its time.
    gifts = AvatarRequest.objects.filter(state=State.FAILED, due_at__lt=now - LATE_LOOKS_BEHIND)
    yield from finding("I10", "a late look is hours late", gifts.values_list("pk", flat=True))
    past = AvatarRequest.objects.open().filter(
        deadline_at__lt=now - SWEEPS_MISSED - max(LEASES.values())
    )
    yield from finding("I10", "open past its deadline", past.values_list("pk", flat=True))


def journal(now: datetime) -> Iterator[Finding]:
    """I11, the journal's half: nobody writes for hours, nothing doomed lives for days."""
    keys = StoredFile.objects.values_list("key", flat=True)
    yield from finding(
        "I11",
        "still being written after two hours",
        keys.filter(state=FileState.WRITING, created_at__lt=now - WRITING_AGE),
    )
    yield from finding(
        "I11",
        "doomed for more than a day",
        keys.filter(state=FileState.DOOMED, due_at__lt=now - DOOMED_AGE),
    )


def listing() -> Iterator[Finding]:
    """I11, the storage's half: every object has a row and every kept row an object. The site goes
    on meanwhile: rows are read before and after, and what seems a stranger is listed once more.
    """
    before = kept_keys()
    stored = storage.keys()
    known = set(StoredFile.objects.values_list("key", flat=True))
    strangers = stored - known
    strangers &= storage.keys() if strangers else set()
    yield from finding("I11", "an object without a row", sorted(strangers))
    missing = (before - stored) & kept_keys()
    yield from finding("I11", "a kept row without an object", sorted(missing))


def kept_keys() -> set[str]:
    return set(StoredFile.objects.filter(state=FileState.KEPT).values_list("key", flat=True))


def altered() -> Iterator[Finding]:
    """I7, to the byte: what is kept is what was written, and that was a picture we encoded."""
    kept = StoredFile.objects.filter(state=FileState.KEPT).only("key", "sha256")
    yield from finding(
        "I7",
        "an object is not what was written",
        [file.key for file in kept.iterator() if not is_as_written(file)],
    )


def is_as_written(file: StoredFile) -> bool:
    found = hashlib.sha256()
    try:
        for piece in storage.pieces(file.key):
            found.update(piece)
    except storage.Missing:
        return False
    return found.hexdigest() == file.sha256


def strangers() -> Iterator[Finding]:
    """I13, our half: nothing is kept of a person who is gone, but what the law asks for."""
    nobodys = StoredFile.objects.filter(user=None, state=FileState.KEPT, evidence=None)
    yield from finding("I13", "a kept file of nobody", nobodys.values_list("key", flat=True))


def faces() -> Iterator[Finding]:
    """I13, the half that lives in rows: no photo outlives the consent it was given under."""
    kept = FacePhoto.objects.filter(deleted_at=None, consent__withdrawn_at__isnull=False)
    yield from finding(
        "I13", "a photo whose consent is withdrawn", kept.values_list("public_id", flat=True)
    )


def desk() -> Iterator[Finding]:
    """I17: what is in review waits at the desk, and nothing else waits there as a description."""
    waiting = ReviewItem.objects.waiting().filter(kind=ReviewKind.DESCRIPTION)
    held = AvatarRequest.objects.filter(state=State.HELD)
    unseen = held.exclude(pk__in=waiting.values("request"))
    yield from finding("I17", "held and not on the desk", unseen.values_list("pk", flat=True))
    over = waiting.exclude(request__state=State.HELD)
    yield from finding("I17", "on the desk and not held", over.values_list("pk", flat=True))


def removals() -> Iterator[Finding]:
    """I18: what staff took down shows to nobody; for good, it has left no file but evidence."""
    removed = Removal.objects.all()
    shown = removed.filter(avatar__hidden=False)
    yield from finding("I18", "removed and still shown", shown.values_list("avatar", flat=True))
    linked = Share.objects.open().filter(avatar__removal__isnull=False)
    yield from finding("I18", "removed and linked", linked.values_list("avatar", flat=True))
    final = removed.filter(is_final=True, avatar__file__isnull=False)
    kept = final.exclude(category=Category.MINORS).values_list("avatar", flat=True)
    yield from finding("I18", "removed for good and its file kept", kept)


def locks() -> Iterator[Finding]:
    """I12: the triggers that forbid rewriting history stand in the database."""
    missing = set(TRIGGERS) - triggers.installed("default", TRIGGERS)
    yield from finding("I12", "a trigger is missing", sorted(missing))
