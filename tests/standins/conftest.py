"""A face_gen stand-in per test, quick and plain, with somebody who calls it.

Knows the stand-ins alone.
"""

import pytest

from config.standins import serve
from config.standins.face_gen import FaceGen
from tests.standins.callers import Caller, Visited


@pytest.fixture
def stand_in(tmp_path):
    made = FaceGen(tmp_path / "face_gen", delay=0, draw="plain")
    yield made
    made.close()


@pytest.fixture
def server(stand_in):
    with serve(stand_in) as running:
        yield running


@pytest.fixture
def caller(stand_in, server):
    return Caller(stand_in, server)


@pytest.fixture
def site():
    visited = Visited()
    yield visited
    visited.close()
