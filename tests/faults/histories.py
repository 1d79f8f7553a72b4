"""The world of a history: people, the doors to the outside, and the comparison with the oracle.

Knows the models, the audits, the factories and the oracle.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import time_machine
from django.db import transaction
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
from tests.faults.oracle import Oracle, Order, Purse, Refused, Wish

SLOTS, MOST_OPEN, MONTHLY = 2, 4, 2
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
OUTPUT = "http://127.0.0.1:9/temp/x-0.png"
PICTURE = Renditions(b"master", b"thumb", 512, 768, 3, "0" * 16)
# Time is nobody's invariant here: the clock jumps, and nobody sweeps unless a rule does.
OF_TIME = ("I10", "I11")


class Left(BaseException):
    """The order has left; its answer comes when a rule brings it, or never."""


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

    def read(self, key: str) -> bytes:
        if self.store == "away":
            raise storage.StorageAway
        return self.objects.get(key, b"")

    def remove(self, key: str) -> None:
        self.objects.pop(key, None)

    def keys(self, folder: str) -> set[str]:
        return {key for key in self.objects if key.startswith(f"{folder}/")}


OUTSIDE = Outside()
DOORS = (
    (face_gen, "submit", OUTSIDE.submit),
    (face_gen, "look", OUTSIDE.answer_look),
    (download, "fetch", OUTSIDE.fetch),
    (imaging, "render_avatar", OUTSIDE.render),
    *((storage, name, getattr(OUTSIDE, name)) for name in ("put", "read", "remove", "keys")),
)


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


class World(RuleBasedStateMachine):
    """Ada and Ben with two photos each, and after every step the rows as the oracle has them."""

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.clock = time_machine.travel(START, tick=False)
        self.traveller = self.clock.start()
        OUTSIDE.store = "good"
        OUTSIDE.orders.clear()
        OUTSIDE.objects.clear()
        self.oracle = Oracle(SLOTS, MOST_OPEN)
        self.letters: list[Letter] = []
        self.copies: list[AvatarRequest] = []
        self.ledger: list[tuple[object, ...]] = []
        self.mo = factories.create_user("mo@example.org", is_staff=True)
        self.users: dict[str, User] = {}
        self.photos: list[FacePhoto] = []
        for name, credits in (("ada", 4), ("ben", 2)):
            user = factories.create_user(f"{name}@example.org", credits=credits)
            user.quota.max_open, user.quota.monthly_free = MOST_OPEN, MONTHLY * (name == "ada")
            user.quota.save()
            self.users[name] = user
            self.oracle.purses[name] = Purse(credits)
            far = START + timedelta(days=3650)
            self.photos += [factories.create_photo(user, delete_at=far) for _ in range(2)]

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.comes_to_an_end()
        finally:
            self.clock.stop()
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)

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

    def row(self, which: int, *states: str) -> AvatarRequest:
        """The so-manieth of those in these states (in any, if none is named)."""
        pks = [pk for pk, wish in self.oracle.wishes.items() if wish.state in states or not states]
        rows = AvatarRequest.objects.select_related("hold__wallet", "photo", "user")
        return rows.get(pk=pks[which % len(pks)])

    def agree_on_dispatch(self, started: Sequence[int]) -> None:
        now = timezone.now()
        expected = self.oracle.dispatch(Breaker.of(Service.FACE_GEN).allowed(now), now)
        assert [self.oracle.wishes[pk] for pk in started] == expected

    def step(self, row: AvatarRequest, look: str = "processing", store: str = "good") -> None:
        now, wish, sent = timezone.now(), self.oracle.wishes[row.pk], len(OUTSIDE.orders)
        is_due = row.due_at is not None and row.due_at <= now
        OUTSIDE.look, OUTSIDE.store = look, store
        self.copies.append(row)
        started: list[int] | None = None
        try:
            started = generation.advance(row.pk)
        except Left:
            assert len(OUTSIDE.orders) == sent + 1
        finally:
            OUTSIDE.store = "good"
        assert (started is None) == (is_due and self.expect_step(wish, look, store, now))
        if started is None:
            self.note_letter(row.pk, wish)
        else:
            in_line = {pk for pk, wish in self.oracle.wishes.items() if wish.state == "queued"}
            self.agree_on_dispatch([pk for pk in dict.fromkeys(started) if pk in in_line])

    def expect_step(self, wish: Wish, look: str, store: str, now: datetime) -> bool:
        """Whether an order leaves."""
        oracle = self.oracle
        oracle.claim(wish)
        if oracle.comes_to_nothing(wish, now):
            return False
        match wish.state:
            case "sending":
                return oracle.send(wish, now, storage_away=store == "away")
            case "uncertain":
                oracle.settle(wish, now)
            case "generating":
                oracle.look(wish, look, now)
            case "storing":
                oracle.store(wish, store)
            case "failed":
                oracle.look_late(wish, look, store, now)
        return False

    def note_letter(self, pk: int, wish: Wish) -> None:
        order = OUTSIDE.orders[-1]
        bell, face = (url.rstrip("/").rpartition("/")[2] for url in (order.webhook, order.face))
        worker = AvatarRequest.objects.select_related("hold__wallet").get(pk=pk)
        self.letters.append(Letter(pk, worker, order.track_id, wish.live, bell, face))

    def comes_to_an_end(self) -> None:
        """A day later all has ended, each credit is back or spent, each object has a row."""
        self.traveller.shift(timedelta(hours=25))
        for _sweep in range(2):
            for pk in self.oracle.wishes:
                self.step(AvatarRequest.objects.get(pk=pk))
        self.pockets_are_as_the_oracle_says()
        self.wishes_are_as_the_oracle_says()
        assert not AvatarRequest.objects.open().exists()
        assert set(Wallet.objects.values_list("reserved", flat=True)) == {0}
        for _minutes_apart in range(2):
            safekeeping.erase_due()
            self.traveller.shift(timedelta(minutes=10))
        assert [*accounts_auditing.findings(), *avatars_auditing.findings(files=True)] == []

    # ── After every step ────────────────────────────────────────────────────────────────────────

    @invariant()
    def pockets_are_as_the_oracle_says(self) -> None:
        pockets = Wallet.objects.exclude(user=self.mo)
        assert {
            email.partition("@")[0]: tuple(seen)
            for email, *seen in pockets.values_list("user__email", "available", "reserved", "owed")
        } == {name: purse.seen() for name, purse in self.oracle.purses.items()}

    @invariant()
    def wishes_are_as_the_oracle_says(self) -> None:
        rows = AvatarRequest.objects.order_by("pk").values_list(
            *("pk", "state", "reason", "turn", "lease_no", "tries", "setbacks", "deadline_at")
        )
        assert list(rows) == [
            (pk, w.state, w.reason, w.turn, w.lease, w.tries, w.setbacks, w.deadline)
            for pk, w in self.oracle.wishes.items()
        ]

    @invariant()
    def orders_are_as_the_oracle_says(self) -> None:
        seen = [
            (
                *(row.request_id, row.number, row.slot_no, row.sent_at is not None, row.face_open),
                *(row.face_hits, row.rings, row.provider_job_id, row.outcome, bool(row.outputs)),
            )
            for row in Attempt.objects.order_by("request", "pk")
        ]
        wishes = self.oracle.wishes.items()
        assert seen == [(pk, *order.seen()) for pk, wish in wishes for order in wish.orders]

    @invariant()
    def pictures_are_as_the_oracle_says(self) -> None:
        seen = Avatar.objects.order_by("request", "pk").values_list("request", "gift")
        wishes = self.oracle.wishes.items()
        assert list(seen) == [(pk, which == "gift") for pk, w in wishes for which in w.pictures]

    @invariant()
    def history_is_only_added_to(self) -> None:
        ledger = list(Transfer.objects.order_by("pk").values_list())
        assert ledger[: len(self.ledger)] == self.ledger
        self.ledger = ledger

    @invariant()
    def the_audits_are_silent(self) -> None:
        found = [*accounts_auditing.findings(), *avatars_auditing.findings()]
        assert [finding for finding in found if finding.invariant not in OF_TIME] == []
