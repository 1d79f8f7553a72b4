"""The files of the face_gen stand-in: results and uploads, given out for a day, spoiled on request.

Knows jobs, the log, the clock and the faults of files.
"""

import base64
import binascii
import uuid
from collections.abc import Iterable
from pathlib import Path

from config.standins import Cut, faults
from config.standins.answers import Answer, Refused, page
from config.standins.books import Line, Log
from config.standins.calls import Call
from config.standins.clock import Clock
from config.standins.jobs import LIFETIME, READY, Job, Jobs

LARGEST_UPLOAD = 5_000_000  # bytes, as documented
TYPES = {"png": "image/png", "base64": "text/plain; charset=utf-8", "upload": "image/jpeg"}


class Shelf:
    """Gives out what the studio has drawn and what callers have uploaded."""

    def __init__(self, folder: Path, clock: Clock, log: Log, jobs: Jobs) -> None:
        self._folder, self._clock, self._log, self._jobs = folder, clock, log, jobs
        self._uploads: dict[str, float] = {}  # name: when

    def replay(self, lines: Iterable[Line]) -> None:
        self._uploads.update(
            {line["file"]: line["virtual"] for line in lines if line["event"] == "uploaded"}
        )

    def give(self, call: Call, decoy_url: str, *, at_decoy: bool = False) -> Answer:
        """The answer to GET or HEAD of `/temp/<name>`, or `/proxy/<name>` for the other address.

        At the decoy, the port nobody should come to, files are plainly given. Raises Cut.
        """
        folder, _, name = call.path.strip("/").partition("/")
        job = self._jobs.of_file(name)
        if job is None:
            return self._upload(call, name)
        now = self._clock.now()
        spoiled = self._refusal(job, name, now)
        if spoiled is None and not at_decoy:
            spoiled = faults.file_refusal(
                job, now, by_proxy=folder == "proxy", decoy_url=f"{decoy_url}/temp/{name}"
            )
        if spoiled is not None:
            self._note(call, job, name, spoiled.status, len(spoiled.body), whole=False)
            return spoiled
        content = (self._folder / name).read_bytes()
        switches = job.switches
        if call.method == "GET" and (switches.is_on("drip") or switches["huge"] != "off"):
            sent = faults.trickle(job, content, call.connection, self._clock)
            self._note(call, job, name, 200, sent, whole=sent >= len(content))
            raise Cut
        body = faults.spoil(job, content, now)
        whole = call.method == "GET" and len(body) == len(content)
        self._note(call, job, name, 200, len(body), whole=whole)
        return Answer(200, body, self._type(job, name))

    def show(self, name: str) -> Answer:
        """A result for the page for people: without its scenario's faults and not in the books."""
        job = self._jobs.of_file(name)
        if job is None:
            return page(404, "Object not found")
        missing = self._refusal(job, name, self._clock.now())
        return missing or Answer(200, (self._folder / name).read_bytes(), self._type(job, name))

    def store(self, call: Call, field: str) -> str:
        """Keeps the picture in that field for a day; returns its address. Raises Refused."""
        text = call.body.get(field)
        if not isinstance(text, str) or not text:
            raise Refused("validation", f"The {field} field is required.", field=field)
        try:
            content = base64.b64decode(text.partition(",")[2].strip() or text, validate=True)
        except (binascii.Error, ValueError):
            no = f"The {field} field must be a valid base64 string."
            raise Refused("validation", no, field=field) from None
        if len(content) > LARGEST_UPLOAD:
            raise Refused("large")
        name = f"{uuid.uuid4()}.upload"
        (self._folder / name).write_bytes(content)
        self._uploads[name] = self._clock.now()
        self._log.write("uploaded", account=call.account, file=name, bytes=len(content))
        return f"{call.origin}/temp/{name}"

    def drop_all(self) -> None:
        for name in list(self._uploads):
            (self._folder / name).unlink(missing_ok=True)
        self._uploads.clear()

    def _refusal(self, job: Job, name: str, now: float) -> Answer | None:
        """The 404 every caller gets before the file is there and after it is gone."""
        ended = job.ended_at if job.state == READY else None
        if (
            ended is None
            or job.deleted
            or not (self._folder / name).exists()
            or not ended + job.switches.seconds("file-delay") <= now < ended + LIFETIME
        ):
            return page(404, "Object not found")
        return None

    def _upload(self, call: Call, name: str) -> Answer:
        stored = self._uploads.get(name)
        if stored is None or self._clock.now() >= stored + LIFETIME:
            self._note(call, None, name, 404, 0, whole=False)
            return page(404, "Object not found")
        content = (self._folder / name).read_bytes()
        self._note(call, None, name, 200, len(content), whole=call.method == "GET")
        return Answer(200, content, TYPES["upload"])

    def _type(self, job: Job, name: str) -> str:
        if job.switches.is_on("text-plain"):
            return "text/plain"
        if job.switches.is_on("webp"):
            return "image/webp"
        return TYPES[name.rpartition(".")[2]]

    def _note(
        self, call: Call, job: Job | None, name: str, status: int, size: int, *, whole: bool
    ) -> None:
        seq = self._log.write(
            "served",
            job=job.number if job else None,
            account=job.account if job else "",
            file=name,
            status=status,
            bytes=size,
            whole=whole,
        )

        def correct(sent: bool) -> None:  # noqa: FBT001  # the server's signature
            if whole and not sent:
                self._log.write("unsent", job=job.number if job else None, of=seq)

        call.environ["standin.afterwards"].append(correct)
