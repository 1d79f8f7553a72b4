"""The till as in tests/accounts, the scene of two actors, and what is collected where: the plant
brings its own PostgreSQL, so once is enough.
"""

import os

import pytest

from tests.accounts.conftest import pack, till
from tests.faults.pairs import opened

PLANTS = ["test_processes.py", "test_secrets_in_processes.py", "test_till_processes.py"]
collect_ignore = [] if os.environ.get("TEST_DATABASE") == "postgres" else PLANTS
__all__ = ["pack", "till"]


@pytest.fixture
def scene(monkeypatch, request):
    with opened(monkeypatch) as scene:
        yield scene
        request.node.user_properties.append(("orders", scene.orders))
