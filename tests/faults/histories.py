"""The world of a history: people, the doors to the outside, and the comparison with the oracle.

Knows the models, the audits, the factories and the oracle.
"""

import copy
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime, timedelta

import time_machine
from django.db import connection, transaction
from django.utils import timezone
from hypothesis.stateful import RuleBasedStateMachine, invariant

from accounts import auditing as accounts_auditing
from accounts.models import NotEnoughCredits, ReferenceTaken, Transfer, User, Wallet
from avatars import auditing as avatars_auditing
from avatars import download, face_gen, generation, imaging, safekeeping, storage
from avatars.face_gen import Answer
from avatars.face_gen import Outcome as Seen
from avatars.imaging import Renditions
from avatars.models import Attempt, Avatar, AvatarRequest, Breaker, FacePhoto
from avatars.models.attempts import Service
from tests import factories
from tests.faults.oracle import MOST_OPEN, Oracle, Order, Photo, Purse, Refused, Wish

MONTHLY = 2
LATE_LOOKS = 2  # a sweep: one a second for all together, and a sweep each two seconds
CREDITS = {"ada": 4, "ben": 2}
START = datetime(2026, 11, 30, 23, 40, tzinfo=UTC)  # a month begins in nearly every history
OUTPUT = "http://127.0.0.1:9/temp/x-0.png"
PICTURE = Renditions(b"master", b"thumb", 512, 768, 3, "0" * 16)


class Left(BaseException):
    """The worker got this far: its order is on the way, or it died over a picture's file."""


@dataclass
class Outside:
    """What provider and storage answer just now, and what has reached them."""

    look: str = "processing"
    store: str = "good"
    orders: list[face_gen.Order] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)

    def submit(self, order: face_gen.Order) -> Answer:
        self.orders.append(order)
        raise Left

    def answer_look(self, job_id: str) -> Answer:
        return Answer(Seen(self.look), job_id, outputs=(OUTPUT,))

    def fetch(self, _address: str) -> bytes:
        match self.store:
            case "not there":
                raise download.NotThere
            case "too large":
                raise download.TooLarge
            case "foreign host":
                raise download.ForeignHost("elsewhere")
        return b"picture"

    def render(self, _content: bytes, *, mark_id: str) -> Renditions:
        if self.store in ("blocked", "broken"):
            raise imaging.PictureBlocked if self.store == "blocked" else imaging.PictureBroken
        return PICTURE

    def put(self, key: str, content: bytes) -> None:
        self.read(key)
        self.objects[key] = content
        if self.store == "dies":
            raise Left

    def read(self, key: str) -> bytes:
        if self.store == "away":
            raise storage.StorageAway
        return self.objects.get(key, b"")

    def remove(self, key: str) -> None:
        self.objects.pop(key, None)

    def keys(self, folder: str = "") -> set[str]:
        return {key for key in self.objects if key.startswith(folder)}


OUTSIDE = Outside()
DOORS = (
    (face_gen, "submit", OUTSIDE.submit),
    (face_gen, "look", OUTSIDE.answer_look),
    (download, "fetch", OUTSIDE.fetch),
    (imaging, "render_avatar", OUTSIDE.render),
    *((storage, name, getattr(OUTSIDE, name)) for name in ("put", "read", "remove", "keys")),
)


@dataclass
class Cast:
    """Ada and Ben with two photos each, and Mo, who is staff. Made once; each history is undone."""

    mo: User
    users: dict[str, User] = field(default_factory=dict)
    photos: list[FacePhoto] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    audit: tuple[str, Sequence[object]] = ("", ())

    @classmethod
    def assemble(cls) -> "Cast":
        """Call behind the doors. Ben's address is not proved yet; Ada has credits each month."""
        with time_machine.travel(START, tick=False):
            cast = cls(factories.create_user("mo@example.org", is_staff=True))
            for name, credits in CREDITS.items():
                email, proved = f"{name}@example.org", name == "ada"
                user = factories.create_user(email, credits=credits, verified=proved)
                user.quota.max_open, user.quota.monthly_free = MOST_OPEN, MONTHLY * proved
                user.quota.save()
                cast.users[name] = user
                cast.photos += [factories.create_photo(user) for _ in range(2)]
        cast.objects = dict(OUTSIDE.objects)
        cast.audit = prepare_audit()
        return cast


@dataclass
class Letter:
    """An order on its way: the worker that waits for its answer, and the two secrets in it."""

    pk: int
    worker: AvatarRequest
    attempt_pk: int
    order: Order
    bell: str
    face: str
    is_answered: bool = False

    @property
    def job(self) -> str:
        return f"job-{self.attempt_pk}"


def prepare_audit() -> tuple[str, Sequence[object]]:
    """The statements of the audits about I1–I8, noted from the audits themselves, as one: whether
    any of them finds a row. So it can be asked after every step.
    """
    parts, values = [], []

    def note(execute, sql, params, many, context):
        parts.append(f"EXISTS ({sql})")
        values.extend(params or ())
        return execute(sql, params, many, context)

    audits = (accounts_auditing.pockets, avatars_auditing.reserves, avatars_auditing.endings)
    with connection.execute_wrapper(note):
        for audit in (*audits, avatars_auditing.pictures, avatars_auditing.slots):
            assert list(audit()) == []
    sql = f"SELECT {' OR '.join(parts)}"
    if connection.vendor != "postgresql":
        return sql, values
    with connection.cursor() as cursor:  # planning it each time would take longer than answering
        cursor.execute("DEALLOCATE ALL")
        cursor.execute(f"PREPARE history_audit AS {sql}", values)
    return "EXECUTE history_audit", ()


def rows(sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def everything() -> list[list[tuple[object, ...]]]:
    models = (Wallet, Transfer, AvatarRequest, Attempt, Avatar)
    return [rows(f"SELECT * FROM {model._meta.db_table} ORDER BY id") for model in models]


class World(RuleBasedStateMachine):
    """After every step the rows are as the oracle has them."""

    cast: Cast

    def __init__(self) -> None:
        super().__init__()
        self.over = ExitStack()
        self.over.enter_context(transaction.atomic())
        self.over.callback(transaction.set_rollback, True)  # noqa: FBT003 - Django's signature
        self.traveller = self.over.enter_context(time_machine.travel(START, tick=False))
        OUTSIDE.store = "good"
        OUTSIDE.orders.clear()
        OUTSIDE.objects = dict(self.cast.objects)
        self.oracle = Oracle()
        self.oracle.purses = {name: Purse(credits) for name, credits in CREDITS.items()}
        self.oracle.photos = [
            Photo(name, photo.delete_at)
            for name, user in self.cast.users.items()
            for photo in self.cast.photos
            if photo.user_id == user.pk
        ]
        self.linked, self.mood, self.storing = True, None, None
        self.letters: list[Letter] = []
        self.copies: list[AvatarRequest] = []
        self.ledger: list[tuple[object, ...]] = []
        self.promises: dict[object, object] = {}

    def teardown(self) -> None:
        with self.over:
            if sys.exc_info()[0] is None:
                self.comes_to_an_end()

    # ── Acts, by the product and by the oracle ──────────────────────────────────────────────────

    def agree(self, act: Callable[[], object], expected: Callable[[], object]) -> object:
        """Both do it, or both refuse for the same reason (then None)."""
        refusals, done = [], None
        for asked in (expected, act):
            try:
                done = asked()
                refusals.append("")
            except Refused as no:
                refusals.append(str(no))
            except (NotEnoughCredits, ReferenceTaken, generation.SubmitRefused) as no:
                refusals.append(type(no).__name__)
        assert refusals[0] == refusals[1]
        return None if refusals[0] else done

    def pick(self, which: int, *states: str) -> AvatarRequest:
        """The so-manieth of those in these states (in any, if none is named)."""
        pks = [pk for pk, wish in self.oracle.wishes.items() if wish.state in states or not states]
        return self.row(pks[which % len(pks)])

    def row(self, pk: int) -> AvatarRequest:
        return AvatarRequest.objects.get(pk=pk)

    def agree_on_dispatch(self, started: Sequence[int]) -> None:
        under_way = [wish for wish in self.oracle.wishes.values() if wish.state == "uncertain"]
        in_doubt = sum(wish.live.slot is not None for wish in under_way)
        breaker = Breaker.of(Service.FACE_GEN)
        expected = self.oracle.dispatch(breaker.allowed(timezone.now(), in_doubt))
        assert [self.oracle.wishes[pk] for pk in started] == expected

    def step(
        self, row: AvatarRequest, look: str = "processing", store: str = "good"
    ) -> Sequence[int]:
        """`advance`, by both. Returns the ids that deserve a doorbell."""
        wish, sent = self.oracle.wishes[row.pk], len(OUTSIDE.orders)
        is_due = row.due_at is not None and row.due_at <= timezone.now()
        store = self.storing or store
        rests = Breaker.of(Service.STORAGE).is_pausing(timezone.now())
        OUTSIDE.look, OUTSIDE.store = look, store
        self.copies.append(row)
        try:
            rung = list(dict.fromkeys(generation.advance(row.pk)))
        except Left:
            rung = None
        OUTSIDE.store = "good"
        leaves = is_due and self.expect_step(wish, look, store, rests=rests)
        assert leaves == (len(OUTSIDE.orders) > sent)
        if leaves:
            self.note_letter(row.pk, wish)
        if rung is None:
            assert leaves or store == "dies"
            return ()
        self.agree_on_dispatch([pk for pk in rung if self.oracle.wishes[pk].state == "queued"])
        return rung

    def when_due(self, row: AvatarRequest, look: str = "done", store: str = "good") -> None:
        if row.due_at is not None and row.due_at > timezone.now():
            self.traveller.move_to(row.due_at)
        self.step(row, look, store)

    def die_over(self, row: AvatarRequest) -> None:
        """A claim, and nothing after it."""
        if row.due_at is not None:
            self.traveller.move_to(max(row.due_at, timezone.now()))
            self.copies.append(copy.copy(row))
            assert row.claim(timezone.now())
            self.oracle.claim(self.oracle.wishes[row.pk])

    def expect_step(self, wish: Wish, look: str, store: str, *, rests: bool) -> bool:
        """Whether an order leaves. `rests`: the storage is given no new objects just now."""
        oracle = self.oracle
        oracle.claim(wish)
        if oracle.comes_to_nothing(wish):
            return False
        match wish.state:
            case "sending":
                return oracle.send(wish, linked=self.linked, storage_away=store == "away")
            case "uncertain":
                oracle.settle(wish)
            case "generating":
                oracle.look(wish, look)
            case "storing":
                oracle.store(wish, "resting" if rests else store)
            case "failed":
                oracle.look_late(wish, look, "resting" if rests else store)
        return False

    def note_letter(self, pk: int, wish: Wish) -> None:
        order, worker = OUTSIDE.orders[-1], self.row(pk)
        bell, face = "", ""
        if self.linked:
            bell, face = (url.rstrip("/").rpartition("/")[2] for url in (order.webhook, order.face))
        attempt_pk = worker.attempts.live().get().pk
        assert order.track_id == (attempt_pk if self.linked else None)
        self.letters.append(Letter(pk, worker, attempt_pk, wish.live, bell, face))

    def sweep_once(self, look: str = "processing", store: str = "good") -> None:
        """One sweep, and whoever it names advanced as far as they go: then nobody is due."""
        now = timezone.now()
        rows_due = (
            AvatarRequest.objects.due(now),
            AvatarRequest.objects.late_looks(now)[:LATE_LOOKS],
        )
        due = {row.pk for found in rows_due for row in found}
        rung = deque(generation.sweep())
        assert due <= set(rung)
        self.agree_on_dispatch([pk for pk in rung if pk not in due])
        while rung:
            rung.extend(self.step(self.row(rung.popleft()), look, store))
        assert not AvatarRequest.objects.due(now).exists()

    def comes_to_an_end(self) -> None:
        """The faults stop. A day later all has ended, each credit is back or spent, each wallet
        re-adds from its transfers, and each object has a row.
        """
        self.storing = None
        self.traveller.shift(timedelta(hours=25))
        self.sweep_once()
        while AvatarRequest.objects.late_looks(timezone.now()).exists():
            self.sweep_once()
        self.all_is_as_the_oracle_says()
        assert not any(wish.is_open for wish in self.oracle.wishes.values())
        assert not AvatarRequest.objects.open().exists()
        for wallet in Wallet.objects.all():
            pockets: Counter[str] = Counter()
            for transfer in Transfer.objects.filter(wallet=wallet):
                pockets[transfer.source] -= transfer.amount
                pockets[transfer.target] += transfer.amount
            summed = (pockets["available"], pockets["reserved"], -pockets["owed"])
            assert summed == (wallet.available, 0, wallet.owed)
        for _minutes_apart in range(2):
            safekeeping.erase_due()
            self.oracle.erase_due()
            self.traveller.shift(timedelta(minutes=10))
        found = [*accounts_auditing.pockets(), *avatars_auditing.findings(files=True)]
        assert found == []  # I6 apart: these disputes are posted without a purchase

    # ── After every step ────────────────────────────────────────────────────────────────────────

    @invariant()
    def all_is_as_the_oracle_says(self) -> None:
        wishes = self.oracle.wishes
        assert {name: astuple(purse) for name, purse in self.oracle.purses.items()} == {
            email.partition("@")[0]: tuple(pockets)
            for email, *pockets in rows(
                "SELECT email, available, reserved, owed FROM accounts_wallet"
                " JOIN accounts_user ON accounts_user.id = user_id WHERE NOT is_staff"
            )
        }
        assert [
            (pk, w.state, w.reason, w.turn, w.lease, w.tries, w.setbacks)
            for pk, w in wishes.items()
        ] == rows(
            "SELECT id, state, reason, turn, lease_no, tries, setbacks"
            " FROM avatars_avatarrequest ORDER BY id"
        )
        assert [
            (
                *(pk, order.number, order.slot, order.sent_at is not None, order.link_open),
                *(order.reads, order.rings, order.job or None, order.outcome, order.has_outputs),
            )
            for pk, wish in wishes.items()
            for order in wish.orders
        ] == rows(
            "SELECT request_id, number, slot_no, sent_at IS NOT NULL, face_open, face_hits, rings,"
            " provider_job_id, outcome, outputs <> '[]'"
            " FROM avatars_attempt ORDER BY request_id, id"
        )
        assert [
            (pk, picture == "gift") for pk, wish in wishes.items() for picture in wish.pictures
        ] == rows("SELECT request_id, gift FROM avatars_avatar ORDER BY request_id, id")

    @invariant()
    def nothing_said_is_taken_back(self) -> None:
        """Transfers are only added to, and a promise is never moved."""
        ledger = rows("SELECT * FROM accounts_transfer ORDER BY id")
        assert ledger[: len(self.ledger)] == self.ledger
        self.ledger = ledger
        for pk, deadline in rows("SELECT id, deadline_at FROM avatars_avatarrequest"):
            assert self.promises.setdefault(pk, deadline) == deadline

    @invariant()
    def the_audits_are_silent(self) -> None:
        if rows(*self.cast.audit) != [(False,)]:
            found = [*accounts_auditing.pockets(), *avatars_auditing.findings()]
            raise AssertionError(found)
