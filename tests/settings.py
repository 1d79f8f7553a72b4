"""Settings of the tests: the product's own, read from an empty environment.

Only the database (TEST_DATABASE=postgres) and what costs time without proving anything differ.
"""

import os
import tempfile
from pathlib import Path

KEPT = {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "TEST_DATABASE", "TEST_DATABASE_URL", "CI"}
# The long runs of tests/faults: how much of everything.
KEPT |= {"BANK_MINUTES", "CRASHES", "FUZZ", "HISTORIES", "INTERLEAVINGS", "ROUNDS"}
for name in list(os.environ):
    if name not in KEPT and not name.startswith(("PYTEST", "UV_", "COV")):
        del os.environ[name]
os.environ["LOCAL_DIR"] = tempfile.mkdtemp(prefix="likeness-tests-")
if os.environ.get("TEST_DATABASE") == "postgres":
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

from config.settings import *  # noqa: E402, F403 - after the environment is empty
from config.settings import DATABASES, LOCAL_DIR  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, not memory: several threads and processes of a test see one database.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(LOCAL_DIR) / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    # A test is one transaction, which may wait for a stand-in on a busy machine.
    DATABASES["default"]["OPTIONS"]["options"] += (
        " -c synchronous_commit=off -c idle_in_transaction_session_timeout=120s"
    )
# Most tests of staff pages are about the pages; those about their door shut it
# (tests/accounts/test_second_factor.py).
STAFF_SECOND_FACTOR = False
