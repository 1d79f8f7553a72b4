"""The bank: eight processes post all kinds of transfers at once, a ninth adds up all the time.

Knows the tellers, the audit and the factories. BANK_MINUTES=30 makes the long run of it.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from accounts import auditing
from accounts.models import Kind, Quota, Transfer, Wallet
from accounts.models.findings import Finding
from tests import factories
from tests.faults import tellers

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
TELLERS, WALLETS = 8, 50
SECONDS = 60 * float(os.environ.get("BANK_MINUTES", "0")) or 7.0
NAIVE_SECONDS = 1.5
# A run empties some wallets only, in about so many pieces: it proves itself with the first.
EMPTIED, PIECES = 10, 25
PATIENCE = 5.0  # seconds for whoever has nothing more to do; then it is ended

# What one credit of each kind does to available, reserved and owed (engine.md, section 4).
EFFECTS = {
    **dict.fromkeys(["welcome", "monthly", "purchase", "goodwill", "reroll"], (1, 0, 0)),
    **dict.fromkeys(["adjust_down", "lapse"], (-1, 0, 0)),
    **dict.fromkeys(["refund", "dispute"], (0, 0, 1)),
    **dict.fromkeys(["refund_undone", "dispute_won"], (0, 0, -1)),
    "adjust_up": (1, 0, 0),
    "hold": (-1, 1, 0),
    "release": (1, -1, 0),
    "capture": (0, -1, 0),
}


def other_findings() -> list[Finding]:
    """All but I6: the tellers post the ledger's side of purchases, and nobody buys anything."""
    return [each for each in auditing.findings() if each.invariant != "I6"]


def database_url() -> str:
    """The test's database, as the environment of another process names it."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["TEST_DATABASE_URL"])._replace(path=f"/{name}").geturl()


class Clerk:
    """One other process, on the product's own settings; `role` is None for the reader."""

    def __init__(self, name: str, folder: Path, role: dict[str, Any] | None) -> None:
        self.name = name
        self.errors = folder / f"{name}.log"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", tellers.START, json.dumps(role)],
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(folder),
                    "LOCAL_DIR": str(folder),
                    "SECRET_KEY": "of the bank test",
                    "DATABASE_URL": database_url(),
                    "DJANGO_SETTINGS_MODULE": "config.settings",
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def order(self, act: str, **arguments: object) -> None:
        self.process.stdin.write(json.dumps([act, arguments]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Blocks until it comes; AssertionError with the log when the process has died instead."""
        line = self.process.stdout.readline()
        assert line, f"{self.name} is gone:\n{self.errors.read_text()[-3000:]}"
        return json.loads(line)

    def dismiss(self) -> None:
        """Ends by itself once nobody orders any more, or else is ended."""
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)
        finally:
            self.process.stdout.close()


class Bank:
    """Wallets with owners, and the processes that work on them."""

    def __init__(self, folder: Path, hired: ExitStack, wallets: int) -> None:
        self.folder, self.hired = folder, hired
        self.owners = [factories.create_user() for _ in range(wallets)]
        self.wallets = [owner.wallet.pk for owner in self.owners]
        Quota.objects.update(monthly_free=tellers.MONTHLY)
        self.staff = factories.create_user(is_staff=True)
        self.tellers: list[Clerk] = []

    def hire(self, number: int, *, reader: bool) -> Clerk | None:
        """So many tellers, and the reader; returns the reader once everybody is ready."""
        for each in range(number):
            role = {"number": each, "wallets": self.wallets, "staff": self.staff.pk}
            role["told"] = str(self.folder / f"{each}.told")
            self.tellers.append(Clerk(f"teller-{each}", self.folder, role))
            self.hired.callback(self.tellers[-1].dismiss)
        auditor = Clerk("reader", self.folder, None) if reader else None
        if auditor:
            self.hired.callback(auditor.dismiss)
        for clerk in (*self.tellers, *([auditor] if auditor else [])):
            assert clerk.answer() == {"ready": True}
        return auditor

    def all_do(self, act: str, **arguments: object) -> list[dict[str, Any]]:
        for teller in self.tellers:
            teller.order(act, **arguments)
        return [teller.answer() for teller in self.tellers]

    def told(self) -> Iterator[tuple[str, int, str, int, int]]:
        """Everything any teller was told: reference, wallet, kind, amount, the transfer's id."""
        for path in sorted(self.folder.glob("*.told")):
            with path.open() as lines:
                for line in lines:
                    reference, wallet, kind, amount, pk = line.rstrip("\n").split("\t")
                    yield reference, int(wallet), kind, int(amount), int(pk)


@pytest.fixture
def open_bank(tmp_path):
    @contextmanager
    def opening(wallets: int) -> Iterator[Bank]:
        with ExitStack() as hired:
            yield Bank(tmp_path, hired, wallets)

    return opening


def deadlocks() -> int:
    """How many the database itself has broken up; SQLite has one writer and knows none."""
    if connection.vendor == "sqlite":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


def pockets(transfers: Iterable[tuple[int, str, int]]) -> dict[int, list[int]]:
    """What wallets must have (available, reserved, owed) after these: wallet, kind, amount."""
    held: dict[int, list[int]] = {}
    for wallet, kind, amount in transfers:
        own = held.setdefault(wallet, [0, 0, 0])
        for place, sign in enumerate(EFFECTS[kind]):
            own[place] += sign * amount
    return held


def nothing_is_lost_and_nothing_doubled(bank: Bank) -> int:
    """The ledger is what was told, reference by reference. Returns how often it was said."""
    ledger = {
        row[0]: row[1:]
        for row in Transfer.objects.values_list("reference", "wallet", "kind", "amount", "pk")
    }
    assert len(ledger) == Transfer.objects.count()
    told: dict[str, tuple[int, str, int, int]] = {}
    said = 0
    for reference, *meant in bank.told():
        said += 1
        assert told.setdefault(reference, tuple(meant)) == tuple(meant), reference
    assert told == ledger
    expected = pockets((wallet, kind, amount) for wallet, kind, amount, _pk in told.values())
    rows = Wallet.objects.filter(pk__in=bank.wallets)
    assert {
        pk: list(own) for pk, *own in rows.values_list("pk", "available", "reserved", "owed")
    } == {pk: expected.get(pk, [0, 0, 0]) for pk in bank.wallets}
    for reference, (wallet, _kind, amount, _pk) in told.items():
        if reference.startswith("resolve:"):
            hold = told[f"hold:{reference.removeprefix('resolve:')}"]
            assert (hold[0], hold[2]) == (wallet, amount), reference
    return said


def test_eight_processes_lose_and_double_nothing_and_every_read_adds_up(
    open_bank, tmp_path, record_testsuite_property
):
    broken_up = deadlocks()
    with open_bank(WALLETS) as bank:
        reader = bank.hire(TELLERS, reader=True)
        stop = tmp_path / "stop"
        reader.order("read_until", stop=str(stop))
        began = time.time()
        traded = bank.all_do("trade", began=began, until=began + SECONDS)
        rich = {each.pk: each for each in Wallet.objects.filter(pk__in=bank.wallets)}
        # Those in debt first: what they may spend is less than what they have.
        full = sorted(rich.values(), key=lambda each: (each.spendable * each.owed, each.spendable))
        pieces = {each.pk: max(1, each.spendable // PIECES) for each in full[-EMPTIED:]}
        ended = bank.all_do("run", pieces=pieces)
        stop.touch()
        read = reader.answer()

    assert [report["escaped"] for report in ended] == [[]] * TELLERS
    said = nothing_is_lost_and_nothing_doubled(bank)
    for pk, piece in pieces.items():
        runs = Transfer.objects.filter(wallet=pk, reference__startswith="hold:run-")
        assert runs.count() == rich[pk].spendable // piece
    assert read["findings"] == []
    assert other_findings() == []
    assert deadlocks() == broken_up

    events = sum((Counter(report["events"]) for report in ended), Counter())
    transfers = Transfer.objects.count()
    record_testsuite_property("bank", {"transfers": transfers, **events, **read})
    # Nothing of this was idle: every kind moved, replays and refusals of each sort were met.
    assert set(Transfer.objects.values_list("kind", flat=True)) == set(Kind)
    assert {report["events"]["told"] > 0 for report in traded} == {True}
    assert said == events["told"] > transfers
    assert min(events[no] for no in ("NotEnoughCredits", "ReferenceTaken", "wrong amounts")) > 0
    assert events["Withdrawn"] > 0
    assert min(read["reads"], read["stages"]) >= 10


def test_control_tellers_who_read_a_balance_in_order_to_write_one_are_caught(open_bank):
    """The guard removed: the same processes with check-then-save, and the same read finds it."""
    with open_bank(1) as bank:
        factories.give(bank.owners[0], 100_000)
        assert tellers.read_books() == (1, [])
        bank.hire(3, reader=False)
        bank.all_do("naive", wallet=bank.wallets[0], until=time.time() + NAIVE_SECONDS)
    found = tellers.read_books()[1]
    assert [finding[:2] for finding in found] == ["I2", "I4"]
    assert [(each.invariant, each.rows) for each in other_findings()] == [("I2", bank.wallets)]


@pytest.mark.parametrize(
    ("pocket", "broken"),
    [("available", ["I2", "I1"]), ("reserved", ["I2", "I4", "I1"]), ("owed", ["I2", "I1"])],
)
def test_control_one_credit_too_many_in_any_pocket_is_read(pocket, broken):
    ada = factories.create_user(credits=5)
    ada.wallet.hold(2, "a")
    assert tellers.read_books() == (2, [])
    Wallet.objects.filter(pk=ada.wallet.pk).update(**{pocket: 7})
    assert [finding[:2] for finding in tellers.read_books()[1]] == broken
