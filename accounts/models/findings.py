"""Finding: one broken promise, as the audits of both apps report it.

Knows nothing of ours.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

staff = logging.getLogger("likeness.staff")

ROWS_NAMED = 20


@dataclass(frozen=True)
class Finding:
    """The invariant's number (engine.md §14), a sentence, and the first rows it is about."""

    invariant: str
    sentence: str
    rows: list[Any]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def finding(invariant: str, sentence: str, rows: Any) -> Iterator[Finding]:  # noqa: ANN401 - a list or a queryset of values
    """Nothing when there are no rows: `yield from finding(…)`."""
    named = list(rows[:ROWS_NAMED])
    if named:
        yield Finding(invariant, sentence, named)


def report(findings: Iterable[Finding]) -> None:
    """Call staff about every finding."""
    for found in findings:
        staff.error("%s %s: %s", found.invariant, found.sentence, found.rows)
