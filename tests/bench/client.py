"""A process inside a world: reads one call a line, answers with one line; Django is set up here.

Knows Django and, by name alone, the modules of tests.bench.inside.
"""

import importlib
import json
import os
import sys
import traceback

import django
from django.conf import settings

TOLD = 3000  # characters of a traceback, its end


def main() -> None:
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the product prints (letters, for one) is no answer
    django.setup()
    # As Django's own test runner does: DEBUG keeps every statement in memory, and production has
    # it off. The passwords of a benchmark protect nobody.
    settings.DEBUG = False
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for line in sys.stdin:
        asked = json.loads(line)
        module, _, name = asked["call"].rpartition(".")
        try:
            verb = getattr(importlib.import_module(f"tests.bench.inside.{module}"), name)
            answer = {"result": verb(**asked["with"])}
        except BaseException:  # told to whoever called, which raises it there
            answer = {"error": traceback.format_exc()[-TOLD:]}
        channel.write(json.dumps(answer) + "\n")
        channel.flush()


if __name__ == "__main__":
    main()
