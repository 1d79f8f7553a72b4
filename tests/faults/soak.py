"""The soak: `python -m tests.faults.soak --minutes 60`. People ask, a killer kills, books judge.

Knows the plant, its crowd and its killer. The last line on stdout is the verdict; exit code 1 for
a bad one.
"""

import argparse
import json
import signal
import sys
import time
from typing import Any

from tests.faults.crowd import Crowd
from tests.faults.killer import Killer
from tests.faults.plant import Away, Plant

SLOTS = 10
STORE_HANDS = 2
RATE = 2.5  # wishes a second, while the lines are short
# More than so many in line or waiting to be saved would be about waiting, not about faults.
LINE_MOST = 80
LINES = ("queued", "storing")
TICK_SECONDS = 0.05
# The promise is 15 minutes here; beyond it comes at most a lease, and what the faults delayed.
SETTLE_SECONDS = 18 * 60


class Soak:
    def __init__(self, plant: Plant, minutes: float, seed: str) -> None:
        self.plant = plant
        self.began_at = time.monotonic()
        self.ends_at = self.began_at + 60 * minutes
        self.crowd = Crowd(plant, seed, self.ends_at)
        self.killer = Killer(plant, seed)
        self.states: dict[str, int] = {}
        self._told_at = self._counted_at = 0.0

    def run(self) -> dict[str, Any]:
        next_at = time.monotonic()
        while (now := time.monotonic()) < self.ends_at:
            self.killer.tick(breaks=True)
            self.look(60)
            if now >= next_at and self.waiting() < LINE_MOST:
                next_at = max(next_at, now - 1) + 1 / RATE
                self.crowd.wish()
            time.sleep(TICK_SECONDS)
        say("no more faults, no more wishes")
        self.killer.stop()
        self.crowd.leave()
        give_up_at = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < give_up_at and (self.is_open() or not self.states):
            self.killer.tick(breaks=False)
            self.look(30)
            time.sleep(TICK_SECONDS)
        return self.plant.ask("verdict", confirmed=self.crowd.confirmed)

    def waiting(self) -> int:
        return self.crowd.backlog() + sum(self.states.get(state, 0) for state in LINES)

    def is_open(self) -> bool:
        ended = {"ready", "failed", "cancelled", "rejected"}
        return bool(set(self.states) - ended)

    def look(self, period: float) -> None:
        """The states, each second; a line of progress each `period` seconds."""
        now = time.monotonic()
        if now - self._counted_at < 1:
            return
        self._counted_at = now
        try:
            self.states = self.plant.ask("count")
        except Away:
            return
        if now - self._told_at >= period:
            self._told_at = now
            say(
                f"{(now - self.began_at) / 60:5.1f} min  asked={self.crowd.asked}"
                f" confirmed={len(self.crowd.confirmed)} kills={self.killer.kills} {self.states}"
            )


def say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def leave(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="of wishes and faults")
    parser.add_argument("--seed", default="1", help="of wishes and faults; times are not seeded")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, leave)
    with Plant(slots=SLOTS, store_hands=STORE_HANDS) as plant:
        say(f"the plant stands in {plant.folder}")
        soak = Soak(plant, wanted.minutes, wanted.seed)
        try:
            judged = soak.run()
        finally:
            soak.crowd.abandon()
        wrong = {name: judged[name] for name in ("lost", "double", "violations")}
        plant.keeps_folder = any(wrong.values())
        told = {
            **judged,
            "seconds": round(time.monotonic() - soak.began_at),
            "asked": soak.crowd.asked,
            "confirmed": len(soak.crowd.confirmed),
            "refused": soak.crowd.refused,
            "pressed_again": soak.crowd.pressed_again,
            "faults": soak.killer.done,
            "died_of_themselves": soak.killer.died,
        }
        say(json.dumps(told, indent=1))
        if plant.keeps_folder:
            say(f"logs and books are kept in {plant.folder}")
    sys.stdout.write(
        f"requests={judged['requests']} kills={soak.killer.kills} lost={len(wrong['lost'])}"
        f" double={len(wrong['double'])} violations={len(wrong['violations'])}\n"
    )
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
