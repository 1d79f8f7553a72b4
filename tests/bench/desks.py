"""The moderation desk among a hundred thousand reviews.

Knows worlds and measuring.
"""

from collections.abc import Iterator
from functools import partial

from tests.bench import worlds
from tests.bench.measuring import Result, at_most, judged, medians, say

MANY, FEW = 100_000, 1_000
VIEWS = 20  # a round
QUERIES = 9
MOST_MS = 100


def desk(*, rounds: int, quick: bool) -> Iterator[Result]:
    many = MANY // 10 if quick else MANY
    for database in ("sqlite", "postgresql"):
        with worlds.on(database, 2, STAFF_SECOND_FACTOR="0") as made:
            few, crowd = (world.client() for world in made)
            say(f"{database}: {many} reviews")
            shown = {
                client: client.call("deciding.desk", number=number)
                for client, number in ((few, FEW), (crowd, many))
            }
            pages = {
                "item": {client: known["item"] for client, known in shown.items()},
                "queue": dict.fromkeys(shown, "/admin/moderation/"),
            }
            seen, queries = {}, {}
            for page, paths in pages.items():
                sides = {
                    side: partial(
                        client.call,
                        "answering.page_seconds",
                        path=paths[client],
                        cookie=shown[client]["cookie"],
                        status=200,
                    )
                    for side, client in (("few", few), ("many", crowd))
                }
                for side in sides.values():
                    side()
                seen[page] = medians(rounds, VIEWS, **sides)
                asked = {"path": paths[crowd], "cookie": shown[crowd]["cookie"]}
                queries[page] = len(crowd.call("answering.page_queries", **asked))
        for page, times in seen.items():
            yield judged(
                "desk",
                f"the desk's {page} on {database} with {many} reviews against {FEW}",
                at_most(1.5),
                value=1000 * times["many"],
                floor=1000 * times["few"],
                unit="ms",
                rounds=rounds,
            )
            yield judged(
                "desk",
                f"server time of the desk's {page} on {database} with {many} reviews",
                at_most(MOST_MS, "value", "ms"),
                value=1000 * times["many"],
                rounds=rounds,
            )
            yield judged(
                "desk",
                f"queries of the desk's {page} on {database}",
                at_most(QUERIES, "value"),
                value=queries[page],
                rounds=1,
            )
