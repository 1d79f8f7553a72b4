"""The app's start: the ledger's triggers are installed after every migrate.

Knows the models by name, because they are not loaded yet when this file is.
"""

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def install_triggers(using: str, **_signal: Any) -> None:  # noqa: ANN401 - a signal's arguments
    import_module("accounts.models.wallets").install_triggers(using)


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        post_migrate.connect(install_triggers, sender=self)
