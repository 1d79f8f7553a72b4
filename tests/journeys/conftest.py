"""A running site for journeys.

Knows the command line alone.
"""

from collections.abc import Iterator

import pytest

from tests.site import Site


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    running = Site(tmp_path)
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()
