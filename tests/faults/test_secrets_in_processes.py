"""Canaries in production's shape: what PostgreSQL, Valkey and the logs of all processes hold.

Knows the plant and its clerk. Collected on PostgreSQL only, because the plant brings its own.
"""

import json
import threading
import urllib.request
from collections.abc import Iterator

import psycopg
import pytest
import redis

from tests.faults.plant import Plant
from tests.faults.town import Town
from tests.journeys.test_secrets import KEYS, found_in

CACHE = 1  # a database of its own beside the broker's


class Overheard:
    """Every command that anybody sends to the Valkey of a plant, from now on."""

    def __init__(self, port: int) -> None:
        self.commands: list[str] = []
        self._server = redis.Redis(port=port)
        self._hears = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        assert self._hears.wait(10)

    def _listen(self) -> None:
        with self._server.monitor() as monitor:
            self._hears.set()
            for command in monitor.listen():
                self.commands.append(command["command"])


@pytest.fixture
def plant() -> Iterator[Plant]:
    plant = Plant(switches="delay=0.1 draw=plain cap=64 strict=on")
    marked = KEYS | {
        "CACHE_URL": f"redis://127.0.0.1:{plant.broker_port}/{CACHE}",
        "STRIPE_API_URL": plant.stripe_url,
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        # Beside the site's own name, so that the order's addresses lead to it.
        "FACE_GEN_URL": f"{plant.provider_url}/api/",
    }
    plant.environment |= marked
    for part in (plant.clerk, *plant.parts.values()):
        part.environment |= marked
    with plant:
        yield plant


def orders(plant: Plant) -> list[dict[str, str]]:
    with urllib.request.urlopen(f"{plant.provider_url}/__standin__/jobs", timeout=10) as answer:
        return [job["order"] for job in json.load(answer)["jobs"]]


def rows(plant: Plant) -> bytes:
    """Every row of every table, as text."""
    with psycopg.connect(f"host={plant.folder}/postgres user=postgres dbname=postgres") as database:
        tables = database.execute(
            "select tablename from pg_tables where schemaname = 'public'"
        ).fetchall()
        return "\n".join(
            str(row)
            for (table,) in tables
            for row in database.execute(f'select t::text from "{table}" t').fetchall()
        ).encode()


def test_no_process_writes_a_canary_anywhere(plant):
    overheard = Overheard(plant.broker_port)
    town = Town(plant, plant.ask("person"), [])
    marked, prompt = town.prompt("canarybird at dusk")
    visitor = town.visitor()
    town.press_until_told(visitor, visitor.load(), marked, prompt)
    town.until(lambda: town.has_ended(marked), lambda: None)
    assert town.row(marked)["state"] == "ready"

    (order,) = orders(plant)
    tokens = {order[name].rstrip("/").rpartition("/")[2] for name in ("webhook", "face_image")}
    assert {len(token) for token in tokens} == {43}
    own = {"postgres", "valkey", "provider", "stripe", "clerk"}
    places = {
        "database": rows(plant),
        "broker and cache": "\n".join(overheard.commands).encode(),
        **{
            name: part.log.read_bytes()
            for name, part in plant.parts.items()
            if name not in own and part.log.exists()
        },
    }
    assert found_in({*KEYS.values(), *tokens}, places) == []
    told = {name: text for name, text in places.items() if name != "database"}
    assert found_in({"canarybird", "data:image", town.ada["cookie"]}, told) == []
    # The search is no blind one.
    assert found_in({"canarybird"}, places) == [("canarybird", "database")]
    assert b"avatars.tasks.advance_request" in places["broker and cache"]
    assert b"limit:making" in places["broker and cache"]
    assert {"web", "look1", "store"} <= set(told)
    assert any(b'"logger": "likeness.' in text for text in told.values())
