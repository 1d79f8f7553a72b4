"""The command line: `python -m tests.bench NAME [--rounds N] [--quick]`, one JSON object a line.

Knows the benchmarks by name. Exit code 1 when a goal was missed, 2 when nothing was measured.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence

from tests.bench import calls, desks, lines, pictures, recovery, submits
from tests.bench.measuring import Result, say

ROUNDS = 5
ALL = "all"
# In the order of engine.md §16: P5–P10, P15–P19; then the desk.
BENCHES: dict[str, Callable[..., Iterable[Result]]] = {
    "submit_postgres": submits.submit_postgres,
    "submit_sqlite": submits.submit_sqlite,
    "waiting": lines.waiting,
    "overhead": pictures.overhead,
    "utilisation": pictures.utilisation,
    "fairness": lines.fairness,
    "doorbell": calls.doorbell,
    "sweep": lines.sweep,
    "audit": lines.audit,
    "recovery": recovery.recovery,
    "status_poll": calls.status_poll,
    "desk": desks.desk,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=f"The benchmarks: {', '.join(BENCHES)}."
    )
    parser.add_argument("name", nargs="?", help=f"one of them, or {ALL}", default="")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="small sizes: a trial, not a measure")
    asked = parser.parse_args(arguments)
    if not asked.name:
        parser.print_help()
        return 0
    if asked.rounds < 1:
        return refuse("--rounds must be at least 1.")
    if asked.name == ALL:
        return measure_all(arguments)
    if asked.name not in BENCHES:
        return refuse(
            f"There is no benchmark “{asked.name}”: choose {', '.join(BENCHES)} or {ALL}."
        )
    say(asked.name)
    missed = 0
    for result in BENCHES[asked.name](rounds=asked.rounds, quick=asked.quick):
        sys.stdout.write(result.line() + "\n")
        sys.stdout.flush()
        missed += not result.passed
    return 1 if missed else 0


def measure_all(arguments: Sequence[str]) -> int:
    """Each in a process of its own: one that breaks does not take the others along."""
    others = [word for word in arguments if word != ALL]
    codes = []
    for name in BENCHES:
        one = subprocess.Popen([sys.executable, "-m", "tests.bench", name, *others])
        try:
            codes.append(one.wait())
        finally:
            one.terminate()
            one.wait()
    return 1 if any(codes) else 0


def refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


if __name__ == "__main__":
    # Whoever is told to go still takes its servers and folders along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
