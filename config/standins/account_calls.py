"""What an account may ask the face_gen stand-in about itself: its queue, its money, its pictures.

Knows jobs, the log, the clock and the shelf.
"""

from collections import defaultdict, deque
from collections.abc import Callable

from config.standins.answers import Answer, Refused, json_answer
from config.standins.books import Log
from config.standins.calls import Call
from config.standins.clock import Clock
from config.standins.jobs import LIFETIME, READY, Job, Jobs
from config.standins.shelf import Shelf
from config.standins.studio import Studio

START_BALANCE = 50.00  # dollars
COUNTS_A_MINUTE = 30  # documented throttle of request_count
MOST_PER_PAGE = 30  # documented
DEFAULT_PER_PAGE = 10  # documented


class AccountCalls:
    """The answers; each takes a call that has been opened."""

    def __init__(
        self,
        clock: Clock,
        log: Log,
        jobs: Jobs,
        shelf: Shelf,
        studio: Studio,
        outputs: Callable[[Job, str], list[str]],
    ) -> None:
        self._clock, self._log, self._jobs = clock, log, jobs
        self._shelf, self._studio, self._outputs = shelf, studio, outputs
        self._counts: defaultdict[str, deque[float]] = defaultdict(deque)

    def request_count(self, call: Call) -> Answer:
        now, counts = self._clock.now(), self._counts[call.account]
        while counts and counts[0] <= now - 60:
            counts.popleft()
        if len(counts) >= COUNTS_A_MINUTE:
            raise Refused("rate", "Rate limit exceeded. Maximum 30 requests per minute allowed.")
        counts.append(now)
        return json_answer(
            {"status": "success", "processing_count": self._jobs.unfinished(call.account)}
        )

    def wallet_balance(self, call: Call) -> Answer:
        spent = sum(job.charged for job in self._jobs.all(call.account))
        balance = round(START_BALANCE - spent, 2)
        return json_answer({"status": "success", "data": {"balance": balance, "currency": "USD"}})

    def assets_generated(self, call: Call) -> Answer:
        per_page = min(MOST_PER_PAGE, _count(call, "per_page", DEFAULT_PER_PAGE))
        number = _count(call, "page", 1)
        since = self._clock.now() - LIFETIME
        ready = [
            job
            for job in reversed(self._jobs.all(call.account))
            if job.state == READY and not job.deleted and (job.ended_at or 0) > since
        ]
        first = (number - 1) * per_page
        shown = ready[first : first + per_page]
        return json_answer(
            {
                "status": "success",
                "type": "image",
                "data": [
                    {"id": job.number, "output": self._outputs(job, call.origin)} for job in shown
                ],
                "pagination": {
                    "current_page": number,
                    "per_page": per_page,
                    "total": len(ready),
                    "last_page": max(1, -(-len(ready) // per_page)),
                    "from": first + 1 if shown else None,
                    "to": first + len(shown) if shown else None,
                },
            }
        )

    def delete_image(self, call: Call) -> Answer:
        job = self._jobs.find(str(call.body.get("request_id", "")), call.account)
        if job is None or job.state != READY or job.deleted:
            raise Refused("route", "Request not found")
        job.deleted = True
        self._studio.drop(job)
        self._log.write("deleted", job=job.number, account=call.account)
        return json_answer({"status": "success", "messege": "image deleted"})

    def upload(self, field: str) -> Callable[[Call], Answer]:
        """base64_to_url, whose two routes differ in the name of their field."""

        def store(call: Call) -> Answer:
            link = self._shelf.store(call, field)
            return json_answer({"status": "success", "id": len(call.raw), "output": [link]})

        return store

    def reset(self) -> None:
        self._counts.clear()


def _count(call: Call, name: str, default: int) -> int:
    """A page number or size, from 1 up; numbers may come as texts."""
    given = str(call.body.get(name) or default)
    return max(1, int(given)) if given.isdecimal() and len(given) < 10 else default
