"""A running site for journeys. It brings its own SQLite, so once is enough.

Knows the command line alone.
"""

import os
from collections.abc import Iterator

import pytest

from tests.site import Site

collect_ignore_glob = ["test_*.py"] if os.environ.get("TEST_DATABASE") == "postgres" else []


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    running = Site(tmp_path)
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()
