"""The till as a fixture: our side of the Stripe stand-in, and one pack to sell."""

import pytest

from accounts.models import CreditPack
from tests import factories
from tests.till import Till


@pytest.fixture
def till(tmp_path, settings, monkeypatch):
    monkeypatch.delenv("STANDIN_STRIPE", raising=False)
    till = Till(tmp_path / "stripe", settings)
    yield till
    till.close()


@pytest.fixture
def pack(db) -> CreditPack:
    """60 credits for $9.00."""
    return factories.create_pack()
