"""The app's start: after every migrate the state machine's triggers are installed and a database
without screening rules gets the first ones; whoever answers a closing account is there.

Knows models and `leaving` by name, because they are not loaded yet when this file is.
"""

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def install_triggers(using: str, **_signal: Any) -> None:  # noqa: ANN401 - a signal's arguments
    import_module("avatars.models.avatar_requests").install_triggers(using)


def seed_rules(using: str, **_signal: Any) -> None:  # noqa: ANN401 - a signal's arguments
    import_module("avatars.rules").seed(using)


class AvatarsConfig(AppConfig):
    name = "avatars"

    def ready(self) -> None:
        post_migrate.connect(install_triggers, sender=self)
        import_module("avatars.leaving")
        post_migrate.connect(seed_rules, sender=self)
