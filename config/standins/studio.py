"""Where face_gen jobs of the stand-in come to their end: face read, drawn, webhook rung.

Knows jobs, pictures, outgoing calls, clock and log; nothing of the requests that are answered.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from config.standins import answers, pictures
from config.standins.answers import Refused
from config.standins.books import Log
from config.standins.clock import Clock
from config.standins.jobs import FAILED, LIFETIME, READY, WAITING, Job, Jobs
from config.standins.outgoing import Outgoing, is_public_address
from config.standins.switches import Switches

HANDS = 2  # drawings at once; one per core of a small machine
FACE_SECONDS = 10.0
LARGEST_FACE = 10_000_000  # bytes
DRAW_SECONDS = 60.0  # far beyond any drawing; a `sync` submit waits no longer
HOOK_SECONDS = 30.0  # the documented patience with a webhook
FOREIGN_STEP = 7_000_000  # how far the id of a `foreign-id` webhook is from any of ours


class Studio:
    """Draws in a pool of two threads; rings each webhook in a thread of its own."""

    def __init__(
        self, directory: Path, clock: Clock, log: Log, jobs: Jobs, outgoing: Outgoing
    ) -> None:
        self.files = directory / "files"
        self._faces = directory / "faces"  # only until the job ends
        for folder in (self.files, self._faces):
            folder.mkdir(parents=True, exist_ok=True)
        self._clock, self._log, self._jobs, self._outgoing = clock, log, jobs, outgoing
        self._pool = ThreadPoolExecutor(HANDS, thread_name_prefix="standin-draw")

    # A face

    def face_of(self, url: str, number: int, account: str, switches: Switches) -> bytes | None:
        """The face at an address, read as often as `face-fetches` says.

        None where the built-in portrait serves instead, because this stand-in may not go there.
        Raises Refused when the address gives no picture.
        """
        if switches.is_on("strict-urls") and not is_public_address(url):
            raise Refused("face")
        if not self._outgoing.may_reach(url):
            return None
        content = b""
        for _ in range(int(switches["face-fetches"])):
            reply = self._outgoing.get(
                url,
                seconds=FACE_SECONDS,
                most=LARGEST_FACE,
                follow=switches.is_on("face-follows"),
            )
            self._log.write(
                "face_fetched",
                job=number,
                account=account,
                status=reply.status,
                error=reply.error,
                bytes=len(reply.body),
                sha256=hashlib.sha256(reply.body).hexdigest(),
            )
            content = reply.body
            if reply.status != 200 or not self.can_use(content, switches):
                raise Refused("face")
        return content

    def can_use(self, photo: bytes, switches: Switches) -> bool:
        """Whether these bytes are a picture; with `noface=error` there must be a face in it too."""
        whole = pictures.is_image(photo, closely=switches["draw"] == "full")
        if whole and switches["noface"] == "error" and not pictures.has_face(photo):
            raise Refused("unknown", "No face was detected in the image.")
        return whole

    # A job's life

    def keep_face(self, number: int, face: bytes) -> None:
        (self._faces / str(number)).write_bytes(face)

    def schedule(self, job: Job) -> None:
        """Sees to it that the job starts and ends when it should; also after a restart."""
        if job.switches.is_on("stuck"):
            end = partial(self._fail, job, "given up after a day", rings=False)
            self._clock.at(job.accepted_at + LIFETIME, end)
        elif job.switches.is_on("forgotten"):
            self._clock.at(job.ready_at, partial(self._fail, job, "forgotten", rings=False))
        elif job.switches["fail"] != "off":
            self._clock.at(job.ready_at, partial(self._fail, job, "the scenario says so"))
        elif job.start_at < float("inf"):
            self._clock.at(job.start_at, partial(self._hand_over, job))

    def draw_now(self, job: Job) -> None:
        """Draws a job whose submit is answered with the result; returns when it has ended."""
        wait([self._hand_over(job)])
        with self._jobs.changed:
            self._jobs.changed.wait_for(lambda: job.state != WAITING, DRAW_SECONDS)

    def fail_now(self, job: Job) -> None:
        self._fail(job, "failed at once", rings=False)

    def drop(self, job: Job) -> None:
        """Removes what a job has on disk."""
        (self._faces / str(job.number)).unlink(missing_ok=True)
        for name in job.names:
            (self.files / name).unlink(missing_ok=True)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _hand_over(self, job: Job) -> "Future[None]":
        drawing = self._pool.submit(self._draw, job)
        drawing.add_done_callback(partial(self._notice_crash, job))
        return drawing

    def _notice_crash(self, job: Job, drawing: "Future[None]") -> None:
        """A drawing that crashed fails its job; the traceback goes to the thread's hook, loudly."""
        if not drawing.cancelled() and (error := drawing.exception()) is not None:
            self._fail(job, f"the drawing crashed: {type(error).__name__}: {error}")
            threading.excepthook(
                threading.ExceptHookArgs(
                    (type(error), error, error.__traceback__, threading.current_thread())
                )
            )

    def _draw(self, job: Job) -> None:
        face_file = self._faces / str(job.number)
        face = face_file.read_bytes() if face_file.exists() else b""
        if job.face_mode == "url" and not face:
            try:
                url = job.order["face_image"]
                face = self.face_of(url, job.number, job.account, job.switches) or b""
            except Refused as no:
                self._fail(job, no.text)
                return
        if face and job.switches["noface"] == "fail" and not pictures.has_face(face):
            self._fail(job, "no face in the photo")
            return
        files = pictures.paint(job, face)
        for name, content in files.items():
            (self.files / name).write_bytes(content)
        self._clock.at(job.ready_at, partial(self._finish, job, files))

    def _finish(self, job: Job, files: dict[str, bytes]) -> None:
        with self._jobs.changed:  # so that whoever sees the job ended finds its line written
            if job.state != WAITING:
                return
            self._log.write(
                "generated",
                job=job.number,
                account=job.account,
                files={name: hashlib.sha256(body).hexdigest() for name, body in files.items()},
                bytes={name: len(body) for name, body in files.items()},
            )
            self._jobs.end(job, READY, self._clock.now())
        (self._faces / str(job.number)).unlink(missing_ok=True)
        self._ring_ended(job)

    def _fail(self, job: Job, why: str, *, rings: bool = True) -> None:
        with self._jobs.changed:
            if job.state != WAITING:
                return
            self._log.write("failed", job=job.number, account=job.account, why=why)
            self._jobs.end(job, FAILED, self._clock.now())
        (self._faces / str(job.number)).unlink(missing_ok=True)
        if rings:
            self._ring_ended(job)

    # Its webhook

    def ring_early(self, job: Job) -> None:
        """The bell before the answer to the submit has left; returns when it has been answered."""
        self._ring(job, "success", 1)

    def _ring_ended(self, job: Job) -> None:
        hook = job.switches["hook"]
        silent = job.switches.is_on("sync") and not job.switches.is_on("hook-on-sync")
        if not job.order["webhook"] or silent or hook in ("never", "early"):
            return
        form = "success" if job.state == READY else "failed"
        if hook in ("failed", "forged", "foreign-id", "garbage", "string-track"):
            form = hook
        tries = 2 if hook == "twice" else 1
        wait = float(hook.partition("=")[2] or 0)
        for number in range(1, tries + 1):
            ring = partial(self._aside, partial(self._ring, job, form, number))
            if wait:
                self._clock.at(self._clock.now() + wait, ring)
            else:
                ring()

    def _aside(self, call: Callable[[], None]) -> None:
        threading.Thread(target=call, name="standin-hook", daemon=True).start()

    def _ring(self, job: Job, form: str, number: int) -> None:
        url = job.order["webhook"]
        output = [f"{job.origin}/temp/{name}" for name in job.names]
        if form == "failed" or (form == "string-track" and job.state == FAILED):
            body = answers.failure_hook(job, "Failed, Try Again")
        else:
            body = answers.success_hook(job, output)
        if form == "string-track":
            body["track_id"] = str(body["track_id"])
        if form == "foreign-id":
            body["id"] = job.number + FOREIGN_STEP
        if form == "forged":
            # Same path but for the token, and a result that was never ours.
            url = forged(url)
            body["output"] = ["http://127.0.0.1:9/forged.png"]
        content = b"<<garbage>>" if form == "garbage" else answers.encoded(body)
        started = time.perf_counter()
        if job.switches.is_on("strict-urls") and not url.startswith("https://"):
            status, error = None, "the real service takes https only"
        else:
            reply = self._outgoing.post(url, content, seconds=HOOK_SECONDS)
            status, error = reply.status, reply.error
        self._log.write(
            "webhook",
            job=job.number,
            account=job.account,
            form=form,
            number=number,
            status=status,
            error=error,
            ms=round((time.perf_counter() - started) * 1000, 1),
        )


def forged(url: str) -> str:
    """A webhook address whose token, its last path segment, is as long but wrong."""
    head, slash, token = url.rstrip("/").rpartition("/")
    tail = "/" if url.endswith("/") else ""
    return f"{head}{slash}{token[::-1]}{tail}" if token != token[::-1] else f"{url}x"
