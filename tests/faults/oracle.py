"""The oracle: what must become of credits, wishes and orders, in plain Python, told by the design.

Knows nothing of ours: the words are written out, so that a mistake in the code is not repeated.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

# engine.md §3 by its numbers; M1 makes a wish. Review (M2, M3) has no verbs.
MOVES: dict[str, tuple[tuple[str, ...], str]] = {
    "M4": (("queued",), "cancelled"),
    "M5": (("queued",), "sending"),
    "M6": (("sending",), "queued"),
    "M7": (("sending",), "generating"),
    "M8": (("sending", "generating"), "storing"),
    "M9": (("sending",), "uncertain"),
    "M10": (("uncertain",), "generating"),
    "M11": (("uncertain",), "queued"),
    "M12": (("sending", "generating"), "queued"),
    "M13": (("queued", "sending", "uncertain", "generating", "storing"), "failed"),
    "M14": (("storing",), "ready"),
}
LISTED = {("M1", ""), *((move, state) for move, (states, _) in MOVES.items() for state in states)}
SEEN: Counter[tuple[str, str]] = Counter()  # moves and where from, in all histories of a run
OPEN = MOVES["M13"][0]
LATE = dict(zip(OPEN, ("line_late", "late", "unconfirmed", "late", "unsaved"), strict=True))
SLOTS, MOST_OPEN = 2, 4
MOST_ORDERS, MOST_RINGS, MOST_READS, MOST_SETBACKS, MOST_UNUSABLE, MOST_TRIES = 2, 5, 5, 3, 5, 5
LINK_LIFE, SLOT_LIFE, INLINE_DOUBT = (timedelta(minutes=minutes) for minutes in (15, 10, 3))
GIFT_WATCH, PHOTO_LIFE = timedelta(hours=20), timedelta(days=30)


def now() -> datetime:
    return datetime.now(UTC)


class Refused(Exception):
    """A wish or a movement that must not be taken; the text names the exception to expect."""


@dataclass
class Purse:
    available: int = 0
    reserved: int = 0
    owed: int = 0


@dataclass
class Photo:
    person: str
    until: datetime
    is_gone: bool = False

    def used(self) -> None:
        self.until = self.until if self.is_gone else now() + PHOTO_LIFE


@dataclass
class Order:
    """One attempt. `can_draw`: a picture may still come of it, as far as anybody can know."""

    number: int | None
    slot: int | None
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    has_link: bool = False
    link_open: bool = False
    reads: int = 0
    rings: int = 0
    job: str = ""
    eta: float = 5.0
    outcome: str = ""
    has_outputs: bool = False
    can_draw: bool = False

    def end(self, outcome: str) -> None:
        self.outcome, self.slot, self.link_open = outcome, None, False

    def may_still_bring(self) -> bool:
        return (
            self.sent_at is not None
            and self.sent_at + GIFT_WATCH > now()
            and self.outcome not in ("refused", "unread", "failed")
            and bool(self.job or self.has_outputs)
        )


@dataclass
class Wish:
    person: str
    photo: Photo
    cost: int
    batch: object
    turn: int
    deadline: datetime
    state: str = "queued"
    reason: str = ""
    lease: int = 0
    tries: int = 0
    setbacks: int = 0
    orders: list[Order] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def live(self) -> Order | None:
        return next((order for order in self.orders if not order.outcome), None)

    def go(self, move: str, reason: str = "") -> None:
        states, to = MOVES[move]
        assert self.state in states, f"{move} from {self.state} was never planned"
        SEEN[move, self.state] += 1
        self.state, self.reason, self.tries = to, reason, 0


class Oracle:
    """The world as it should be. Wishes are in the order of their submitting."""

    def __init__(self) -> None:
        self.purses: dict[str, Purse] = {}
        self.photos: list[Photo] = []
        self.wishes: dict[int, Wish] = {}
        self.numbers: dict[object, int] = {}  # of the forms; whose wishes
        self.gifts: dict[str, tuple[str, int]] = {}  # by their references

    def give(self, person: str, amount: int, reference: str) -> None:
        if reference not in self.gifts:
            self.gifts[reference] = (person, amount)
            self.purses[person].available += amount
        elif self.gifts[reference] != (person, amount):
            raise Refused("ReferenceTaken")

    def take(self, person: str, amount: int) -> None:
        if self.purses[person].available < amount:
            raise Refused("NotEnoughCredits")
        self.purses[person].available -= amount

    def resolve(self, wish: Wish, move: str, reason: str = "") -> None:
        wish.go(move, reason)
        wish.photo.used()
        purse = self.purses[wish.person]
        purse.reserved -= wish.cost
        if wish.state != "ready":
            purse.available += wish.cost

    def check_submit(self, photo: Photo, cost: int, bonus: int, number: object) -> None:
        """`bonus`: the month's credits, if they come with this very submit."""
        purse = self.purses[photo.person]
        if photo.is_gone or photo.until <= now():
            raise Refused("PhotoGone")
        if number in self.numbers:
            raise Refused("ReferenceTaken")
        if purse.available + bonus - purse.owed < cost:
            raise Refused("NotEnoughCredits")
        if sum(w.is_open and w.person == photo.person for w in self.wishes.values()) >= MOST_OPEN:
            raise Refused("TooManyOpen")

    def submit(self, pk: int, photo: Photo, cost: int, batch: object, deadline: datetime) -> None:
        SEEN["M1", ""] += 1
        own = [wish.turn for wish in self.line() if wish.person == photo.person]
        lowest = min((wish.turn for wish in self.line()), default=0)
        turn = max(lowest, max(own) + 1 if own else 0)
        self.wishes[pk] = Wish(photo.person, photo, cost, batch, turn, deadline)
        self.purses[photo.person].available -= cost
        self.purses[photo.person].reserved += cost
        photo.used()

    def line(self) -> list[Wish]:
        waiting = [wish for wish in self.wishes.values() if wish.state == "queued"]
        return sorted(waiting, key=lambda wish: wish.turn)  # stable: older first

    def cancel(self, wish: Wish, reason: str = "owner") -> bool:
        if wish.state != "queued":
            return False
        self.resolve(wish, "M4", reason)
        return True

    def erase(self, photo: Photo) -> None:
        photo.is_gone = True
        for wish in self.wishes.values():
            if wish.photo is photo:
                self.cancel(wish, "photo_deleted")
                for order in wish.orders:
                    order.link_open = False

    def erase_due(self) -> None:
        """A photo in use stays, however old."""
        in_use = [wish.photo for wish in self.wishes.values() if wish.is_open]
        for photo in self.photos:
            if not photo.is_gone and photo.until <= now() and photo not in in_use:
                self.erase(photo)

    def dispatch(self, allowed: int) -> list[Wish]:
        started = []
        for wish in self.line():
            under_way = [w for w in self.wishes.values() if w.is_open and w.state != "queued"]
            taken = {order.slot for w in under_way for order in w.orders if order.slot}
            free = sorted(set(range(1, SLOTS + 1)) - taken)
            if not free or len(taken) >= allowed:
                break
            siblings = [w for w in under_way if wish.batch and w.batch == wish.batch]
            if wish.deadline > now() and not siblings:
                wish.go("M5")
                numbered = sum(order.number is not None for order in wish.orders)
                wish.orders.append(Order(numbered + 1, free[0]))
                started.append(wish)
        return started

    # What others do to an order

    def read_face(self, order: Order) -> bool:
        ok = order.link_open and order.reads < MOST_READS and order.sent_at > now() - LINK_LIFE
        order.reads += ok
        return ok

    def ring(self, order: Order, job: str, *, agrees: bool) -> bool:
        """Whether the bell is known. A job number is taken once, by one order alone."""
        if order.sent_at is None or order.sent_at <= now() - GIFT_WATCH:
            return False
        if order.rings < MOST_RINGS:
            order.rings += 1
            wanted = order.outcome in ("", "uncertain") and not order.job
            if agrees and wanted and not self.whose(job):
                order.job = job
        return True

    def whose(self, job: str) -> Order | None:
        every = (order for wish in self.wishes.values() for order in wish.orders)
        return next((order for order in every if order.job == job), None) if job else None

    # A step of one wish

    def claim(self, wish: Wish) -> None:
        wish.lease, wish.tries = wish.lease + 1, wish.tries + 1

    def fail(self, wish: Wish, reason: str, outcome: str = "stopped") -> None:
        self.resolve(wish, "M13", reason)
        if wish.live:
            wish.live.end(outcome)

    def comes_to_nothing(self, wish: Wish) -> bool:
        """The promise has run out, or it was claimed too often before anything was sent."""
        if wish.is_open and wish.deadline <= now():
            self.fail(wish, LATE[wish.state], "uncertain")
            return True
        if wish.tries <= MOST_TRIES or wish.state in ("storing", "failed"):
            return False
        if wish.live is None or wish.live.sent_at is None:
            self.fail(wish, "ours")
            return True
        wish.live.slot = None
        return False

    def send(self, wish: Wish, *, linked: bool, storage_away: bool) -> bool:
        """Whether an order may leave now. If so, no earlier one can draw any more."""
        if wish.live.sent_at is not None:
            self.doubt(wish)
        elif wish.photo.is_gone:
            self.fail(wish, "photo_deleted")
        elif storage_away:
            if wish.tries >= MOST_TRIES:
                self.fail(wish, "ours")
        else:
            assert not any(order.can_draw for order in wish.orders), "two may draw at once"
            assert wish.live.number <= MOST_ORDERS
            wish.live.sent_at, wish.live.can_draw = now(), True
            wish.live.has_link = wish.live.link_open = linked
            return True
        return False

    def answer(self, wish: Wish, kind: str, job: str, eta: float) -> None:
        """The provider's answer to the order that has just left."""
        order = wish.live
        if kind == "face unreachable":
            read = "unreadable" if order.reads or not order.has_link else "odd"
            kind = "photo gone" if order.has_link and not order.link_open else read
        match kind:
            case "done":
                self.bring_home(wish, job)
            case "accepted":
                self.accept(wish, job, eta)
            case "ended":
                self.in_vain(wish)
            case "refused" | "unreadable":
                self.fail(wish, "photo_unreadable" if kind == "unreadable" else kind, "refused")
            case "photo gone":
                self.fail(wish, "photo_deleted")
            case "odd" if wish.setbacks + 1 >= MOST_SETBACKS:
                self.fail(wish, "provider_failed", "refused")
            case "odd" | "not sent" | "full" | "account":
                self.put_back(wish, setbacks=kind == "odd")
            case _:
                self.doubt(wish)

    def accept(self, wish: Wish, job: str, eta: float = 0.0) -> None:
        order = wish.live
        if self.whose(job) not in (None, order):
            self.doubt(wish)
            return
        wish.go("M10" if wish.state == "uncertain" else "M7")
        order.job, order.eta, order.accepted_at = job, eta, now()

    def doubt(self, wish: Wish) -> None:
        if wish.live.job:
            self.accept(wish, wish.live.job)
        else:
            wish.go("M9")

    def put_back(self, wish: Wish, *, setbacks: int) -> None:
        order = wish.live
        if order.job:  # a doorbell proves the answer wrong
            self.accept(wish, order.job)
            return
        wish.go("M6")
        wish.setbacks += setbacks
        order.can_draw = False
        if order.reads:
            order.end("returned")
            order.number = None
        else:
            wish.orders.remove(order)

    def bring_home(self, wish: Wish, job: str) -> None:
        order = wish.live
        wish.go("M8")
        wish.setbacks = 0
        order.job = order.job or (job if not self.whose(job) else "")
        order.accepted_at = order.accepted_at or now()
        order.has_outputs = True
        order.end("done")

    def in_vain(self, wish: Wish) -> None:
        order = wish.live
        order.can_draw = False
        if order.number >= MOST_ORDERS:
            self.fail(wish, "provider_failed", "failed")
        else:
            wish.go("M12")
            order.end("failed")

    def settle(self, wish: Wish) -> None:
        order = wish.live
        if order.job:
            self.accept(wish, order.job)
        elif not order.has_link and now() - order.sent_at >= INLINE_DOUBT:
            self.fail(wish, "unconfirmed", "uncertain")
        elif not order.has_link or order.reads:
            self.wait_on(wish)
        else:
            order.link_open = order.can_draw = False
            if order.number >= MOST_ORDERS:
                self.fail(wish, "unconfirmed", "unread")
            else:
                wish.go("M11")
                order.end("unread")

    def wait_on(self, wish: Wish) -> None:
        wish.tries = 0
        if now() - wish.live.sent_at >= SLOT_LIFE:
            wish.live.slot = None

    def look(self, wish: Wish, kind: str) -> None:
        patience = timedelta(seconds=max(wish.live.eta, 60.0) + 50.0)
        match kind:
            case "done":
                self.bring_home(wish, wish.live.job)
            case "failed":
                self.in_vain(wish)
            case "not found" if now() - wish.live.accepted_at >= patience:
                self.fail(wish, "lost", "uncertain")
            case _:
                self.wait_on(wish)

    def store(self, wish: Wish, kind: str) -> None:
        match kind:
            case "good":
                self.resolve(wish, "M14")
                wish.pictures.append("paid")
            case "resting":  # the storage; not counted as a try
                wish.tries -= 1
            case "blocked":
                self.fail(wish, "blocked")
            case "broken" | "too large":
                if wish.setbacks + 1 < MOST_UNUSABLE:
                    wish.setbacks += 1
                else:
                    self.fail(wish, "broken" if kind == "broken" else "unsaved")

    def look_late(self, wish: Wish, look: str, store: str) -> None:
        """FAILED is final for money; a picture that still comes is a gift, once."""
        order = next((o for o in reversed(wish.orders) if o.may_still_bring()), None)
        if order is None or wish.pictures:
            return
        order.has_outputs = order.has_outputs or look == "done"
        if order.has_outputs and store == "good":
            wish.pictures.append("gift")
