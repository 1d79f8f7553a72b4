"""What a mutant is: a guard by name and the cuts that remove it.

Knows files as text alone.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cut:
    """`text`, which stands once in the file at `path`, becomes `instead`."""

    path: str
    text: str
    instead: str

    def count(self, root: Path) -> int:
        """How often the text stands in its file."""
        return (root / self.path).read_text().count(self.text)

    def make(self, root: Path) -> None:
        """Raises ValueError when the text is no longer found exactly once."""
        if self.count(root) != 1:
            raise ValueError(f"found {self.count(root)} times in {self.path}: {self.text.strip()}")
        path = root / self.path
        path.write_text(path.read_text().replace(self.text, self.instead))


class Mutant:
    """One guard by name, the cuts that remove it, and the tests of which one must turn red."""

    def __init__(self, name: str, *cuts: Cut, tests: list[str]) -> None:
        self.name, self.cuts, self.tests = name, cuts, tests
