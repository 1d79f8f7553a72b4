"""What the processes of a plant agree on: the marks of wishes, and the files that doom somebody.

Knows nothing.
"""

import re

# Every wish of a plant carries its mark in its words, so that our rows and the provider's books
# can be compared without asking our rows which order belongs to which request.
MARK = re.compile(r"\bwish-\d{6}\b")

# In LOCAL_DIR: who is to die where; who did, and what was to be seen; who slept and has ended.
DOOM, MET, OVER = "doom.json", "doom_met.json", "doom_over"


def mark(number: int) -> str:
    return f"wish-{number:06}"


def mark_of(words: str) -> str:
    """The mark in a prompt, or nothing."""
    found = MARK.search(words)
    return found.group() if found else ""
