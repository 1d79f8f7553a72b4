"""The till as in tests/accounts; and what is collected where: the plant brings its own PostgreSQL,
so once is enough.
"""

import os

from tests.accounts.conftest import pack, till

PLANTS = ["test_processes.py", "test_secrets_in_processes.py", "test_till_processes.py"]
collect_ignore = [] if os.environ.get("TEST_DATABASE") == "postgres" else PLANTS
__all__ = ["pack", "till"]
