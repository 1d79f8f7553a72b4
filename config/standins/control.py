"""The face_gen stand-in's routes for tests and people who steer it: log, jobs, switches, clock.

Knows calls and answers; the stand-in itself by what `Steered` names.
"""

from typing import Protocol
from urllib.parse import parse_qs

from config.standins.answers import Answer, Refused, json_answer
from config.standins.books import Books
from config.standins.calls import Call
from config.standins.clock import Clock
from config.standins.jobs import Jobs

ROUTE = "/__standin__/"


class Steered(Protocol):
    """What can be steered from outside."""

    books: Books
    clock: Clock
    jobs: Jobs

    def switch(self, **wanted: object) -> None: ...
    def advance(self, seconds: float) -> None: ...
    def reset(self) -> None: ...


def answer(stand_in: Steered, call: Call) -> Answer:
    """Answers a call below `ROUTE`. Raises Refused for what there is not, or cannot be set."""
    name = call.path.removeprefix(ROUTE).rstrip("/")
    if call.method == "GET" and name == "log":
        since = parse_qs(call.environ["QUERY_STRING"]).get("since", ["0"])[0]
        after = int(since) if since.isdecimal() and len(since) < 16 else 0
        return json_answer({"lines": stand_in.books.lines(after=after)})
    if call.method == "GET" and name == "jobs":
        jobs = stand_in.jobs.all()
        told = [{"id": job.number, "state": job.state, **job.recorded()} for job in jobs]
        return json_answer({"jobs": told})
    if call.method != "POST" or name not in ("switches", "clock", "reset"):
        raise Refused("route")
    wanted = call.read_json()  # demanding JSON also keeps other sites' pages out
    try:
        if name == "switches":
            stand_in.switch(**wanted)
        elif name == "clock":
            stand_in.advance(float(wanted.get("advance", 0)))
        else:
            stand_in.reset()
    except (ValueError, TypeError, OverflowError) as wrong:
        raise Refused("scenario", str(wrong)) from None
    return json_answer({"status": "success", "now": stand_in.clock.now()})
