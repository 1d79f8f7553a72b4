"""Remarks: words of staff in rows that nobody edits, the trail and the ledger.

Knows nothing of ours.
"""

import re

ADDRESS = re.compile(r"[^\s<>()\"',;:@]+@[^\s<>()\"',;:@]+\.[^\s<>()\"',;:@.]+")


def nameless(words: str) -> str:
    """Those words without any mail address: such rows outlive their people, and whoever closes an
    account is promised that nothing in them names them. Numbers tell staff as much.
    """
    return ADDRESS.sub("[address]", words)
