"""The app's start: the triggers of ledger and decisions are installed after every migrate.

Knows the models by name, because they are not loaded yet when this file is.
"""

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def install_triggers(using: str, **_signal: Any) -> None:  # noqa: ANN401 - a signal's arguments
    for name in ("wallets", "decisions"):
        import_module(f"accounts.models.{name}").install_triggers(using)


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        post_migrate.connect(install_triggers, sender=self)
