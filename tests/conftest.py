"""The cast and the servers as fixtures. Ada has credits and a gallery, Ben neither; Mo is staff.

Knows the factories and the stand-ins.
"""

import os

import pytest
from django.core.cache import cache

from accounts.models import User
from config import standins
from config.standins.face_gen import FaceGen
from tests import factories

# It starts sites that bring their own SQLite, so once is enough.
collect_ignore = ["test_embedded.py"] if os.environ.get("TEST_DATABASE") == "postgres" else []
# Files whose tests start processes or die at every crossing: first, so that at the end no worker
# waits for the other's longest file.
LONG = ("tests/journeys/", "tests/faults/", "tests/test_embedded.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(autouse=True)
def _fresh_cache():
    """Rate limits and kept links of one test are not another's."""
    cache.clear()


@pytest.fixture(autouse=True)
def _own_storage(settings, tmp_path):
    """Each test puts its files into a storage of its own."""
    private = {
        "BACKEND": "avatars.storage.PrivateFileStorage",
        "OPTIONS": {"location": str(tmp_path / "media")},
    }
    settings.STORAGES = {**settings.STORAGES, "private": private}


@pytest.fixture
def ada(db) -> User:
    return factories.create_user("ada@example.org", credits=10)


@pytest.fixture
def ben(db) -> User:
    return factories.create_user("ben@example.org")


@pytest.fixture
def mo(db) -> User:
    return factories.create_user("mo@example.org", is_staff=True, is_superuser=True)


@pytest.fixture
def provider(settings, tmp_path):
    """The provider's stand-in over real HTTP, fast and strict, with our client pointed at it."""
    stand_in = FaceGen(tmp_path / "face_gen", delay=0.05, draw="plain", strict="on")
    server = standins.serve(stand_in)
    settings.FACE_GEN_URL = f"{server.url}/api/"
    settings.MODELSLAB_API_KEY = "test-key-0123456789"
    settings.FACE_GEN_RESULT_HOSTS = [server.url.removeprefix("http://")]
    yield stand_in
    stand_in.close()
    server.close()
