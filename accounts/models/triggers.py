"""Triggers: promises of the database that no constraint can say (a row is never rewritten).

Knows nothing of ours. Installed after every migrate, because SQLite silently drops a table's
triggers when a migration rebuilds the table.
"""

from collections.abc import Iterable

from django.db import connections, models


def append_only(
    using: str, model: type[models.Model], *, names: tuple[str, str], but: Iterable[str]
) -> None:
    """Rows of `model` are added and never changed: `names` are the triggers against UPDATE (of
    anything but `but`, the persons who may vanish) and against DELETE.
    """
    kept = [field.name for field in model._meta.concrete_fields if field.name not in but]
    edited, deleted = names
    refuse_updates(using, model, name=edited, fields=kept)
    if deleted in standing(using, names):
        install(using, model, name=deleted, event="DELETE")


def standing(using: str, names: tuple[str, str]) -> list[str]:
    """Of the two triggers, those this database has. The one against DELETE is PostgreSQL's alone:
    emptying tables between tests on SQLite deletes rows.
    """
    return list(names) if connections[using].vendor == "postgresql" else [names[0]]


def refuse_updates(
    using: str, model: type[models.Model], *, name: str, fields: Iterable[str], when: str = ""
) -> None:
    """Refuse every UPDATE of `model` that changes one of `fields` (and for which `when`, SQL over
    OLD and NEW that both databases read, is true). `name` is the sentence the trigger enforces.
    """
    vendor = connections[using].vendor
    differs = "IS DISTINCT FROM" if vendor == "postgresql" else "IS NOT"
    column_of = {field.name: field.column for field in model._meta.concrete_fields}
    columns = [column_of[field] for field in fields]
    changed = " OR ".join(f'OLD."{column}" {differs} NEW."{column}"' for column in columns)
    condition = f"({changed}) AND ({when})" if when else changed
    install(using, model, name=name, event="UPDATE", condition=condition)


def install(
    using: str, model: type[models.Model], *, name: str, event: str, condition: str = ""
) -> None:
    """One BEFORE trigger that refuses `event` (UPDATE or DELETE) under `condition`."""
    table = model._meta.db_table
    when = f"WHEN ({condition})" if condition else ""
    with connections[using].cursor() as cursor:
        if connections[using].vendor == "postgresql":
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{name}' USING ERRCODE = 'integrity_constraint_violation'; END $$"  # noqa: E501 - one statement
            )
            cursor.execute(f'DROP TRIGGER IF EXISTS {name} ON "{table}"')
            cursor.execute(
                f'CREATE TRIGGER {name} BEFORE {event} ON "{table}" '
                f"FOR EACH ROW {when} EXECUTE FUNCTION {name}()"
            )
        else:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            cursor.execute(
                f'CREATE TRIGGER {name} BEFORE {event} ON "{table}" FOR EACH ROW {when} '
                f"BEGIN SELECT RAISE(ABORT, '{name}'); END"
            )


def installed(using: str, names: Iterable[str]) -> set[str]:
    """Which of the named triggers stand in the database (the audit's proof of I12)."""
    wanted = sorted(names)
    marks = ", ".join(["%s"] * len(wanted))
    with connections[using].cursor() as cursor:
        if connections[using].vendor == "postgresql":
            sql = f"SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND tgname IN ({marks})"  # noqa: S608 - marks only
        else:
            sql = f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND name IN ({marks})"  # noqa: S608 - marks only
        cursor.execute(sql, wanted)
        return {row[0] for row in cursor.fetchall()}
