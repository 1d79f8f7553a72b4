"""The bank test's other processes: tellers who post all kinds of transfers, a reader who adds up.

Knows the ledger's verbs. Each runs START on the product's own settings with DATABASE_URL, takes
orders as lines of JSON and answers each with one line.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import DatabaseError, connection, transaction

from accounts import gifts
from accounts.models import Kind, NotEnoughCredits, ReferenceTaken, Transfer, User, Wallet
from accounts.models.wallets import _post

START = "import django; django.setup(); from tests.faults import tellers; tellers.main()"

WELCOME, MONTHLY = 3, 2
REASON = "said by the bank test"
# Papers that lie on the counter for everybody: so many new ones a second, so many at a time.
SHARED_PER_SECOND, SHARED_AT_ONCE = 12, 10
SHARED_SHARE = 0.5  # the other acts are about papers of the teller's own
# So often, whoever is free in the breath before says one paper at the very same moment.
CHORUS_SECONDS, BREATH = 0.2, 0.06
WITHDRAWN_SHARE = 0.05  # submits that meet a limit after their hold
WRONG_SHARE = 0.03  # a reference said again with another amount
LEAST_ACTS = 80
POOR = 8  # of the wallets: they get no packs, so that holds are refused
MONTH_SECONDS = 4.0
MOST_FINDINGS = 20

# Every number of the audit in one statement, hence in one snapshot. Per wallet: its pockets; what
# its transfers make of them; what came from the house and went to it; what is held and not
# resolved, reference by reference; how many transfers there are.
BOOKS = """
SELECT w.id, w.available, w.reserved, w.owed,
  COALESCE(SUM(CASE 'available' WHEN t.target THEN t.amount WHEN t.source THEN -t.amount END), 0),
  COALESCE(SUM(CASE 'reserved' WHEN t.target THEN t.amount WHEN t.source THEN -t.amount END), 0),
  COALESCE(SUM(CASE 'owed' WHEN t.source THEN t.amount WHEN t.target THEN -t.amount END), 0),
  COALESCE(SUM(CASE WHEN t.source IN ('given', 'sold', 'spent', 'lapsed') THEN t.amount END), 0),
  COALESCE(SUM(CASE WHEN t.target IN ('given', 'sold', 'spent', 'lapsed') THEN t.amount END), 0),
  COALESCE(SUM(CASE WHEN t.kind = 'hold' AND NOT EXISTS (
    SELECT 1 FROM accounts_transfer r WHERE r.reference = 'resolve:' || SUBSTR(t.reference, 6)
  ) THEN t.amount END), 0),
  COUNT(t.id)
FROM accounts_wallet w LEFT JOIN accounts_transfer t ON t.wallet_id = w.id
GROUP BY w.id, w.available, w.reserved, w.owed
"""


def read_books() -> tuple[int, list[str]]:
    """How many transfers there are, and everything that does not add up in this one read."""
    with connection.cursor() as cursor:
        cursor.execute(BOOKS)
        rows = [[int(value) for value in row] for row in cursor.fetchall()]
    found = []
    for pk, *pockets, available, reserved, owed, _came, _went, held, _count in rows:
        if pockets != [available, reserved, owed]:
            found.append(f"I2: wallet {pk} has {pockets}, not {[available, reserved, owed]}")
        if min(pockets) < 0:
            found.append(f"I3: wallet {pk} is below zero: {pockets}")
        if pockets[1] != held:
            found.append(f"I4: wallet {pk} has reserved {pockets[1]}, its open holds are {held}")
    kept = sum(row[1] + row[2] - row[3] for row in rows)
    brought = sum(row[7] - row[8] for row in rows)
    if kept != brought:
        found.append(f"I1: the wallets have {kept} credits, the house gave {brought}")
    return sum(row[10] for row in rows), found


@dataclass(frozen=True)
class Line:
    """One movement as it is to be said: by whom often, by others as well."""

    kind: Kind
    amount: int
    reference: str


@dataclass(frozen=True)
class Paper:
    """One piece of business: a wallet (by its place) and lines, each of which needs the one
    before it. Everything follows from the number, so any teller who knows it says the same.
    """

    number: str
    wallet: int
    lines: tuple[Line, ...]


def paper(number: str, wallets: int) -> Paper:
    """The paper of this number. A hold has no second line: captured or released, who is first."""
    chance = random.Random(number)
    place = chance.randrange(wallets)
    story = chance.choices(["wish", "pack", "gift", "once", "down"], [6, 3, 2, 1, 1])[0]
    if story == "pack" and place < POOR:
        story = "wish"
    amount = chance.randint(1, 2)
    match story:
        case "wish":
            lines = [Line(Kind.HOLD, amount, f"hold:{number}")]
        case "pack":
            credits = chance.randint(3, 20)
            lines = [Line(Kind.PURCHASE, credits, f"purchase:cs_{number}")]
            back = chance.randint(1, credits)
            lines += chance.choice(
                [
                    [],
                    [
                        Line(Kind.REFUND, back, f"refund:re_{number}"),
                        Line(Kind.REFUND_UNDONE, back, f"refund-undone:re_{number}"),
                    ],
                    [
                        Line(Kind.DISPUTE, credits, f"dispute:dp_{number}"),
                        Line(Kind.DISPUTE_WON, credits, f"dispute-won:dp_{number}"),
                    ],
                ]
            )
        case "gift":
            kind = chance.choice([Kind.GOODWILL, Kind.REROLL, Kind.ADJUST_UP])
            prefix = "adjust" if kind == Kind.ADJUST_UP else kind.value
            lines = [Line(kind, amount, f"{prefix}:{number}")]
        case "once":
            kinds = [
                Line(Kind.WELCOME, WELCOME, f"welcome:{place}"),
                Line(Kind.LAPSE, 1, f"close:{place}"),
            ]
            lines = [chance.choice(kinds)]
        case _:
            lines = [Line(Kind.ADJUST_DOWN, amount, f"adjust:{number}")]
    return Paper(number, place, tuple(lines))


class Withdrawn(Exception):
    """A limit was reached after the hold; the whole transaction is rolled back."""


class Teller:
    """Posts papers and writes down, after each commit, what it was told."""

    def __init__(self, number: int, wallets: list[int], staff: int, told: str) -> None:
        self.number = number
        self.chance = random.Random(number)
        own = Wallet.objects.select_related("user__quota").in_bulk(wallets)
        self.wallets = [own[pk] for pk in wallets]
        for wallet in self.wallets:
            wallet.user.quota.user, wallet.user.wallet = wallet.user, wallet
        self.staff = User.objects.get(pk=staff)
        self.told = Path(told).open("w", buffering=1 << 16)  # noqa: SIM115 - open as long as we are
        self.events: Counter[str] = Counter()
        self.escaped: list[str] = []

    def trade(self, began: float, until: float) -> dict[str, object]:
        """Say papers, one's own and everybody's, again and again, until the moment `until` (and,
        on a machine that does little until then, LEAST_ACTS of them).
        """
        own = acts = 0
        while (now := time.time()) < until or acts < LEAST_ACTS:
            acts += 1
            bar, left = divmod(now - began, CHORUS_SECONDS)
            if (left := CHORUS_SECONDS - left) < BREATH:
                time.sleep(left)
                number = f"chorus-{bar:.0f}"
            elif self.chance.random() < SHARED_SHARE:
                newest = int((now - began) * SHARED_PER_SECOND)
                number = f"shared-{newest - self.chance.randrange(SHARED_AT_ONCE)}"
            else:
                own += 1
                number = f"{self.number}-{own - self.chance.choice([0, 0, 0, 1])}"
            month = int((now - began) / MONTH_SECONDS)
            self.guarded(lambda number=number, month=month: self.say(number, month))
        return self.report()

    def run(self, pieces: dict[str, int]) -> dict[str, object]:
        """A run on the bank: hold so much of each of these wallets until there is no more."""
        wallets = {str(wallet.pk): wallet for wallet in self.wallets}
        for pk, amount in self.chance.sample(sorted(pieces.items()), len(pieces)):
            before = self.events["NotEnoughCredits"]
            piece = 0
            while self.events["NotEnoughCredits"] == before and not self.escaped:
                piece += 1
                number = f"run-{pk}-{self.number}-{piece}"
                self.guarded(
                    lambda pk=pk, amount=amount, number=number: self.tell(
                        wallets[pk].hold(amount, number)
                    )
                )
        return self.report()

    def naive(self, wallet: int, until: float) -> dict[str, object]:
        """The control: reads a balance in order to write one."""
        while time.time() < until:
            self.guarded(lambda: self.check_then_save(wallet))
        return self.report()

    def check_then_save(self, pk: int) -> None:
        wallet = Wallet.objects.get(pk=pk)
        if wallet.available < 1:
            raise NotEnoughCredits(wallet, 1)
        self.events["naive"] += 1
        self.tell(
            Transfer.objects.create(
                wallet=wallet,
                kind=Kind.HOLD,
                source="available",
                target="reserved",
                amount=1,
                reference=f"hold:naive-{self.number}-{self.events['naive']}",
            )
        )
        wallet.available, wallet.reserved = wallet.available - 1, wallet.reserved + 1
        wallet.save()

    def guarded(self, act: Callable[[], object]) -> None:
        """The refusals a person may meet are counted; anything the database says has escaped."""
        try:
            act()
        except (NotEnoughCredits, ReferenceTaken, Withdrawn) as no:
            self.events[type(no).__name__] += 1
        except DatabaseError as error:
            self.escaped.append(f"{type(error).__name__}: {error}")

    def say(self, number: str, month: int) -> None:
        """The lines of a paper in their order, as far as this teller gets."""
        said = paper(number, len(self.wallets))
        wallet = self.wallets[said.wallet]
        for line in said.lines[: self.chance.randint(1, len(said.lines))]:
            for transfer in self.post(wallet, line, said.number, month):
                self.tell(transfer)
            if self.chance.random() < WRONG_SHARE:
                self.say_wrongly(wallet, line)
        if said.lines[0].kind == Kind.HOLD and (end := self.chance.choice(["", "take", "give"])):
            resolve = wallet.capture if end == "take" else wallet.release
            self.tell(resolve(said.lines[0].amount, said.number))

    def post(
        self, wallet: Wallet, line: Line, number: str, month: int
    ) -> Iterator[Transfer] | list[Transfer]:
        """By the product's own verb where it has one. Committed when this returns."""
        user, own = wallet.user, {"actor": self.staff, "note": REASON}
        match line.kind:
            case Kind.HOLD:
                return self.submit(wallet, line, number, month)
            case Kind.WELCOME | Kind.REROLL:
                return [wallet.grant(line.kind, line.amount, line.reference)]
            case Kind.GOODWILL:
                return [wallet.grant(line.kind, line.amount, line.reference, **own)]
            case Kind.ADJUST_UP:
                gift = {"actor": self.staff, "reason": REASON, "number": number}
                return [gifts.give(user, line.amount, **gift)]
            case Kind.ADJUST_DOWN:
                return [wallet.correct_down(line.amount, line.reference, **own)]
        return [_post(wallet, line.kind, line.amount, line.reference)]

    def submit(self, wallet: Wallet, line: Line, number: str, month: int) -> list[Transfer]:
        """As the product does: the month's credits if due, then the hold, then the limits."""
        first_of_month = datetime(2026 + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        with transaction.atomic():
            monthly = wallet.user.quota.top_up(first_of_month + timedelta(hours=12))
            hold = wallet.hold(line.amount, number)
            if self.chance.random() < WITHDRAWN_SHARE:
                raise Withdrawn
        return [transfer for transfer in (monthly, hold) if transfer]

    def say_wrongly(self, wallet: Wallet, line: Line) -> None:
        try:
            _post(wallet, line.kind, line.amount + 1, line.reference, note=REASON)
        except ReferenceTaken:
            self.events["wrong amounts"] += 1
        else:
            self.escaped.append(f"{line.reference} served for two amounts")

    def tell(self, transfer: Transfer) -> None:
        fields = (transfer.reference, transfer.wallet_id, transfer.kind, transfer.amount)
        self.told.write("\t".join(map(str, (*fields, transfer.pk))) + "\n")
        self.events["told"] += 1

    def report(self) -> dict[str, object]:
        self.told.flush()
        return {"events": self.events, "escaped": self.escaped[:MOST_FINDINGS]}


def read_until(stop: str) -> dict[str, object]:
    """Read all the time until the file `stop` is there: the ledger adds up and only grows."""
    reads, counts, found = 0, [0], list[str]()
    while not Path(stop).exists():
        count, wrong = read_books()
        reads += 1
        if count < counts[-1]:
            wrong.append(f"{counts[-1] - count} transfers are gone")
        if count > counts[-1]:
            counts.append(count)
        found = (found + wrong)[:MOST_FINDINGS]
    return {"reads": reads, "stages": len(counts) - 1, "findings": found}


def main() -> None:
    """Obey: each line is the name of an act and its arguments."""
    role = json.loads(sys.argv[1])
    acts: dict[str, Callable[..., object]] = {"read_until": read_until}
    if role:
        teller = Teller(**role)
        acts = {"trade": teller.trade, "run": teller.run, "naive": teller.naive}
    connection.ensure_connection()
    answer({"ready": True})
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer(acts[name](**arguments))


def answer(said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
