"""Guards removed one at a time, to see that a test misses each: `python -m tests.faults.mutants`.

Knows the sources as text alone: it copies them, cuts one guard out, and runs a few tests there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.cuts import Cut, Mutant
from tests.faults.mutants_of_access import MUTANTS as ACCESS
from tests.faults.mutants_of_money import MUTANTS as MONEY

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("config", "accounts", "avatars", "templates", "static", "tests")
FILES = ("manage.py", "pyproject.toml")
# Seconds. A selection takes a few; one that takes so many hangs.
PATIENCE = 300
# What would let a run elsewhere read this tree, or run other tests than those named.
FOREIGN = ("PYTHONPATH", "PYTHONSAFEPATH", "PYTEST_ADDOPTS", "DJANGO_SETTINGS_MODULE")


ACCOUNTS_TABLES = "accounts/migrations/0001_initial.py"
AVATARS_TABLES = "avatars/migrations/0001_initial.py"
GUARDS = "tests/faults/test_guards.py::test_"
WALLETS = "tests/accounts/test_wallets.py::test_"
REQUESTS = "tests/avatars/test_avatar_requests.py::test_"
SENDING = "tests/avatars/test_sending.py::test_"
IMAGING = "tests/avatars/test_imaging.py::test_"

MUTANTS = (
    Mutant(
        "reference UNIQUE dropped",
        Cut(ACCOUNTS_TABLES, "(max_length=120, unique=True)", "(max_length=120)"),
        tests=[GUARDS + "the_database_refuses_a_second_transfer_of_one_reference"],
    ),
    Mutant(
        "different keys for capture and release",
        Cut(
            "accounts/models/wallets.py", 'RELEASE, amount, f"resolve:', 'RELEASE, amount, f"back:'
        ),
        tests=[
            GUARDS + "a_hold_is_not_resolved_twice_at_the_cost_of_another",
            WALLETS + "release_after_capture_is_refused",
        ],
    ),
    Mutant(
        "guard on available",
        Cut("accounts/models/wallets.py", ', available__gte=F("owed") + amount)', ")"),
        tests=[
            WALLETS + "a_debt_is_set_against_what_is_available",
            WALLETS + "a_hold_beyond_the_credits_is_refused_and_nothing_moves",
        ],
    ),
    Mutant(
        "pocket CHECK",
        Cut(
            ACCOUNTS_TABLES,
            "models.Q(('available__gte', 0), ('reserved__gte', 0), ('owed__gte', 0))",
            "models.Q(('id__gte', 0))",
        ),
        # A column for positive numbers has a CHECK of its own.
        *(
            Cut(ACCOUNTS_TABLES, f"('{pocket}', models.Positive", f"('{pocket}', models.")
            for pocket in ("available", "reserved", "owed")
        ),
        tests=[GUARDS + "the_database_keeps_each_pocket_from_going_below_zero"],
    ),
    Mutant(
        "ended exactly when resolved",
        Cut(
            AVATARS_TABLES,
            "models.Q(models.Q(('resolution__isnull', False), ",
            "models.Q(models.Q(('id__gte', 0)), models.Q(('resolution__isnull', False), ",
        ),
        tests=[REQUESTS + "an_ending_without_a_resolution_cannot_be_stored"],
    ),
    Mutant(
        "state trigger",
        Cut(
            "avatars/models/avatar_requests.py", '"NOT ({allowed})"', '"NOT ({allowed}) AND 1 = 0"'
        ),
        tests=[
            f"{REQUESTS}the_database_allows_exactly_the_planned_moves[{pair}]"
            for pair in ("queued-generating", "storing-queued", "failed-ready")
        ],
    ),
    Mutant(
        "lease_no in WHERE",
        Cut("avatars/models/avatar_requests.py", ", lease_no=self.lease_no)", ")"),
        tests=[REQUESTS + "a_worker_that_slept_through_its_lease_commits_nothing"],
    ),
    Mutant(
        "deadline check first",
        Cut(
            "avatars/generation.py",
            """\
        if avatar_request.is_past_deadline(now):
            run_out(avatar_request, now)
        elif not poisoned(avatar_request, now):
            STEPS[State(avatar_request.state)](avatar_request)
""",
            """\
        if avatar_request.state in STEPS and not poisoned(avatar_request, now):
            STEPS[State(avatar_request.state)](avatar_request)
        if avatar_request.is_past_deadline(now):
            run_out(avatar_request, now)
""",
        ),
        tests=[GUARDS + "at_the_promised_moment_even_a_broken_row_returns_its_credit"],
    ),
    Mutant(
        "count before hold",
        Cut("avatars/generation.py", "    hold = user.wallet.hold(cost, str(number))\n", ""),
        Cut(
            "avatars/generation.py",
            "    place = (\n",
            "    hold = user.wallet.hold(cost, str(number))\n    place = (\n",
        ),
        tests=[GUARDS + "nothing_is_counted_before_the_hold_has_locked_the_wallet"],
    ),
    Mutant(
        "sent_at after POST",
        Cut(
            "avatars/sending.py",
            """\
    if not announce(avatar_request, attempt, doorbell, face_token):
        return
    answer = face_gen.submit(order)
""",
            """\
    answer = face_gen.submit(order)
    if not announce(avatar_request, attempt, doorbell, face_token):
        return
""",
        ),
        tests=[
            GUARDS + "an_order_is_written_down_before_a_byte_of_it_leaves",
            GUARDS + "whoever_has_lost_the_claim_posts_nothing",
        ],
    ),
    Mutant(
        "slot UNIQUE",
        Cut(AVATARS_TABLES, "SmallIntegerField(null=True, unique=True)", "IntegerField(null=True)"),
        tests=[GUARDS + "a_slot_that_was_just_given_out_is_not_given_out_again"],
    ),
    Mutant(
        "revoke without face_hits = 0",
        Cut("avatars/models/attempts.py", "face_open=True, face_hits=0)", "face_open=True)"),
        tests=[SENDING + "a_face_is_served_or_revoked_but_never_both"],
    ),
    Mutant(
        "resend in base64 mode",
        Cut(
            "avatars/sending.py", "elif attempt.face_hash is None:", "elif attempt.face_hash == '':"
        ),
        tests=[SENDING + "inline_there_is_never_a_second_order_after_an_unclear_answer"],
    ),
    Mutant(
        "doorbell token compare",
        Cut("avatars/delivery.py", "doorbell_hash=token_hash(token), sent_at__gt", "sent_at__gt"),
        tests=["tests/avatars/test_delivery.py::test_a_forged_doorbell_is_nobodys"],
    ),
    Mutant(
        "outputs taken from the doorbell",
        Cut("avatars/webhooks.py", "body = json.loads(", "body = request.told = json.loads("),
        Cut(
            "avatars/webhooks.py",
            "    if bell.is_news:\n",
            """\
    outputs = tuple(request.told.get("output", ()))
    if outputs:
        told = Attempt.objects.select_related("request").filter(request=bell.request)
        attempt = told.latest("pk")
        answer = delivery.face_gen.Answer(delivery.Seen.DONE, outputs=outputs)
        delivery.sending.bring_home(attempt.request, attempt, answer, timezone.now())
    if bell.is_news:
""",
        ),
        tests=[GUARDS + "no_picture_is_ever_taken_from_a_doorbell"],
    ),
    Mutant(
        "redirects on",
        Cut("avatars/exchange.py", "allow_redirects=False)", "allow_redirects=True)"),
        Cut("avatars/exchange.py", "def get_redirect_target(", "def no_redirect_target("),
        tests=[
            "tests/avatars/test_download.py::test_a_redirect_is_refused_and_its_target_stays_silent"
        ],
    ),
    Mutant(
        "host suffix match",
        Cut(
            "avatars/download.py",
            "if name not in hosts:",
            'if not any(f".{name}".endswith(f".{host}") for host in hosts):',
        ),
        tests=[GUARDS + "a_name_below_an_allowed_one_is_foreign"],
    ),
    Mutant(
        "metadata kept",
        Cut("avatars/imaging.py", "    picture.info.clear()\n", ""),
        Cut(
            "avatars/imaging.py",
            "picture.save(target, form, **options)",
            'picture.save(target, form, **{"exif": picture.getexif(), **options})',
        ),
        tests=[
            IMAGING + "every_phone_orientation_ends_upright_and_without_its_place",
            IMAGING + "trailing_bytes_and_comments_never_reach_the_stored_file",
        ],
    ),
    Mutant(
        "link signed without owner check",
        Cut("avatars/views/gallery.py", "there = own(request.user)", "there = Avatar.objects"),
        tests=[
            "tests/avatars/test_views_gallery.py::"
            "test_everything_of_bens_is_a_404_for_ada_and_stays_as_it_is"
        ],
    ),
    Mutant(
        "amount taken from the client",
        Cut(
            "avatars/generation.py", "wish.shown_cost != wish.quality.cost:", "wish.shown_cost < 0:"
        ),
        Cut(
            "avatars/generation.py",
            "    cost = wish.quality.cost\n",
            "    cost = wish.shown_cost or wish.quality.cost\n",
        ),
        tests=[
            "tests/avatars/test_views_create.py::"
            "test_a_price_that_moved_is_said_and_nothing_is_lost"
        ],
    ),
    *MONEY,
    *ACCESS,
)


@dataclass(frozen=True)
class Run:
    """What pytest said: its exit code, each test that failed with its reason, its last words."""

    code: int
    failed: tuple[tuple[str, str], ...]
    last_words: str


def copy_sources(source: Path, target: Path) -> Path:
    """The product and its tests, without what tools leave beside them. Returns the target."""
    for folder in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(source / folder, target / folder, ignore=ignored)
    for file in FILES:
        shutil.copy2(source / file, target / file)
    return target


def run_tests(root: Path, tests: Iterable[str]) -> Run:
    """Run these tests on the sources at `root`. Raises subprocess.TimeoutExpired."""
    report, temporary = root / "report.xml", root / "tmp"
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment |= {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider"]
    command.append(f"--junitxml={report}")
    done = subprocess.run(
        [*command, *dict.fromkeys(tests)],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    failed = []
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            # A fixture that breaks is an <error>: it proves nothing about the guard.
            if (failure := case.find("failure")) is not None:
                reason = failure.get("message", "").strip().splitlines()
                failed.append((case.get("name", ""), reason[0] if reason else ""))
    last_words = "\n".join(done.stdout.strip().splitlines()[-12:])
    return Run(done.returncode, tuple(failed), last_words)


def try_out(mutant: Mutant, pristine: Path, workshop: Path) -> tuple[str, str]:
    """The verdict (killed, survived or error), and by whom or why."""
    root = copy_sources(pristine, workshop)
    try:
        for cut in mutant.cuts:
            cut.make(root)
        seen = run_tests(root, mutant.tests)
    except (ValueError, FileNotFoundError, subprocess.TimeoutExpired) as error:
        return "error", str(error)
    finally:
        shutil.rmtree(root)
    if seen.code == 0:
        return "survived", ", ".join(mutant.tests)
    if seen.code != 1 or not seen.failed:
        return "error", f"no test failed, pytest ended with {seen.code}:\n{seen.last_words}"
    name, reason = seen.failed[0]
    others = f" and {len(seen.failed) - 1} more" if len(seen.failed) > 1 else ""
    return "killed", f"{name}{others}: {reason}"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def hunt(mutants: Sequence[Mutant], jobs: int) -> bool:
    """Try all of them, a line each. Whether every one was killed."""
    width = max(len(mutant.name) for mutant in mutants)
    with tempfile.TemporaryDirectory(prefix="likeness-mutants-") as folder:
        pristine = copy_sources(ROOT, Path(folder) / "pristine")
        green = run_tests(
            copy_sources(pristine, Path(folder) / "green"),
            (test for mutant in mutants for test in mutant.tests),
        )
        if green.code != 0:
            say(f"The tests are not green before anything is cut:\n{green.last_words}")
            return False

        def tried(mutant: Mutant) -> str:
            began_at = time.monotonic()
            workshop = Path(folder) / str(mutants.index(mutant))
            verdict, detail = try_out(mutant, pristine, workshop)
            seconds = time.monotonic() - began_at
            say(f"{verdict:<8} {mutant.name:<{width}} {seconds:5.1f} s  {detail}")
            return verdict

        with ThreadPoolExecutor(jobs) as pool:
            verdicts = list(pool.map(tried, mutants))
    say(f"{verdicts.count('killed')}/{len(mutants)} killed")
    return verdicts.count("killed") == len(mutants)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.mutants", description=__doc__)
    parser.add_argument("name", nargs="*", help="mutants whose name contains this (default: all)")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="how many at once")
    asked = parser.parse_args()
    for name in asked.name:
        if not any(name in mutant.name for mutant in MUTANTS):
            known = "\n  ".join(mutant.name for mutant in MUTANTS)
            parser.error(f"no mutant is called {name!r}; there are\n  {known}")
    chosen = [m for m in MUTANTS if not asked.name or any(name in m.name for name in asked.name)]
    return 0 if hunt(chosen, asked.jobs) else 1


if __name__ == "__main__":
    raise SystemExit(main())
