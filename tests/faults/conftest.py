"""What is collected where: the plant brings its own PostgreSQL, so once is enough."""

import os

collect_ignore = [] if os.environ.get("TEST_DATABASE") == "postgres" else ["test_processes.py"]
