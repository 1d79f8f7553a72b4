"""A local stand-in of the ModelsLab face_gen service: a WSGI app that plays its contract.

Knows its neighbours here alone; reads STANDIN_FACE_GEN (switches) and STANDIN_HOSTS.
"""

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from config.standins import (
    Cut,
    Environ,
    StartResponse,
    answers,
    control,
    faults,
    orders,
    page,
    serve,
)
from config.standins.account_calls import AccountCalls
from config.standins.answers import Answer, Refused, json_answer
from config.standins.books import LOG_NAME, Books, Log, recover
from config.standins.calls import Call
from config.standins.clock import Clock
from config.standins.jobs import FAILED, READY, Job, Jobs
from config.standins.orders import Order
from config.standins.outgoing import Outgoing
from config.standins.shelf import Shelf
from config.standins.studio import Studio
from config.standins.switches import Switches, UnknownSwitch, parse, tokens

SUBMIT = "/api/v6/image_editing/face_gen"
FETCH = re.compile(r"/api/v6/(?:image_editing/fetch/[^/]+|images/fetch(?:/[^/]+)?)")
SPAM_SECONDS = 30.0  # older pages of the provider name this span
SETTLE_SECONDS = 10.0  # how long a moved clock waits for what has become due
PHRASES = {524: "A Timeout Occurred"}


class FaceGen:
    """The stand-in. Serve it with `config.standins.serve`; `close` it when the server is closed.

    `directory` holds its files and its log, from which it starts again where it stopped.
    `switches` are defaults (`delay=0.05, strict=True, **{"hang-after": 3}`); the environment's
    STANDIN_FACE_GEN, then the control route, an account key and a token in the prompt beat them.
    By default it reads faces over http and from 127.0.0.1, where the product of this machine
    shows them; `strict_urls=True` refuses both, as the real service does. Raises UnknownSwitch.
    """

    def __init__(self, directory: Path, **switches: object) -> None:
        environment = parse(os.environ.get("STANDIN_FACE_GEN", ""))
        self._defaults = Switches().over(switches).over(environment)
        directory.mkdir(parents=True, exist_ok=True)
        lines = recover(directory / LOG_NAME)
        self.clock = Clock(max(0.0, lines[-1]["virtual"] - lines[-1]["wall"]) if lines else 0.0)
        self._log = Log(directory / LOG_NAME, self.clock, lines[-1]["seq"] if lines else 0)
        self.books = Books(directory)
        self.jobs = Jobs()
        self.jobs.replay(lines)
        outgoing = Outgoing(os.environ.get("STANDIN_HOSTS", "").replace(",", " ").split())
        self._studio = Studio(directory, self.clock, self._log, self.jobs, outgoing)
        self._shelf = Shelf(self._studio.files, self.clock, self._log, self.jobs)
        self._shelf.replay(lines)
        self._accounts = AccountCalls(
            self.clock, self._log, self.jobs, self._shelf, self._studio, self._outputs
        )
        self._set: dict[str, object] = {}
        for line in lines:
            if line["event"] == "switched":
                self._set.update(line.get("set", {}))
        self._heard: dict[tuple[str, str], float] = {}  # account and body: when, for `spam`
        self._keys: set[bytes] = set()  # in memory only, to recognise one at the decoy
        self._decoy = serve(self._answer_decoy)
        self._posts: dict[str, Callable[[Call], Answer]] = {
            SUBMIT: self._submit,
            "/api/v6/image_editing/base64_to_url": self._accounts.upload("init_image"),
            "/api/v6/base64_to_url": self._accounts.upload("base64_string"),
            "/api/v6/processing/request_count": self._accounts.request_count,
            "/api/wallet_balance": self._accounts.wallet_balance,
            "/api/v6/assets_generated": self._accounts.assets_generated,
            "/api/assets_generated": self._accounts.assets_generated,
            "/api/v3/delete_image": self._accounts.delete_image,
        }
        for job in self.jobs.waiting():
            self._studio.schedule(job)

    # For tests and for whoever runs it

    @property
    def switches(self) -> Switches:
        """What holds for every account now."""
        return self._defaults.over(self._set)

    @property
    def decoy_url(self) -> str:
        """The port nobody should ever call; `books.strays()` tells who did."""
        return self._decoy.url

    def switch(self, **wanted: object) -> None:
        """Sets switches for all jobs to come. Raises UnknownSwitch and then changes nothing."""
        self.switches.over(wanted)
        named = {name.replace("_", "-"): value for name, value in wanted.items()}
        self._set.update(named)
        self._log.write("switched", set=named)

    def advance(self, seconds: float) -> None:
        """Moves the virtual time ahead and waits until what has become due is done."""
        self.clock.advance(seconds)
        self._log.write("switched", advanced=seconds)
        self.jobs.wait_for_due(self.clock.now(), SETTLE_SECONDS)

    def reset(self) -> None:
        """Forgets jobs, files, money and switches; the log stays and says so."""
        for job in self.jobs.drop_all():
            self._studio.drop(job)
        self._shelf.drop_all()
        self._accounts.reset()
        self._set.clear()
        self._heard.clear()
        self._log.write("switched", reset=True, last=self.jobs.last)

    def close(self) -> None:
        """Stops drawing and waiting; what is unfinished goes on when it is started again."""
        self.clock.close()
        self._decoy.close()
        self._studio.close()
        self._log.close()

    # WSGI

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return self._respond(environ, start_response, self._route)

    def _answer_decoy(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return self._respond(environ, start_response, self._stray)

    def _respond(
        self, environ: Environ, start_response: StartResponse, route: Callable[[Call], Answer]
    ) -> Iterable[bytes]:
        call = Call.of(environ, self.switches)
        try:
            answer = route(call)
        except Refused as no:
            answer = answers.refusal(no, call.switches)
        phrase = PHRASES.get(answer.status) or HTTPStatus(answer.status).phrase
        headers = [("Content-Type", answer.content_type), ("X-Stand-In", "face_gen")]
        start_response(f"{answer.status} {phrase}", headers + answer.headers)
        return [answer.body]

    def _route(self, call: Call) -> Answer:
        reading = call.method in ("GET", "HEAD")
        if reading and call.path == "/":
            return _html(page.render(self.jobs.all(), self.switches))
        if reading and call.path == "/style.css":
            return Answer(200, page.STYLE.encode(), "text/css; charset=utf-8")
        if reading and call.path.startswith("/shown/"):
            return self._shelf.show(call.path.removeprefix("/shown/"))
        if reading and call.path.startswith(("/temp/", "/proxy/")):
            return self._shelf.give(call, self.decoy_url)
        if call.path.startswith("/__standin__/"):
            return control.answer(self, call)
        path = call.path.rstrip("/")
        looked = FETCH.fullmatch(path)
        verb = self._look if looked else self._posts.get(path)
        if verb is None:
            raise Refused("route")
        if call.method != "POST":
            supported = f"The {call.method} method is not supported for this route."
            raise Refused("method", f"{supported} Supported methods: POST.")
        if path != SUBMIT:  # which writes down what it received before it opens it
            call.open()
            self._keys.add(call.key.encode())
        return verb(call)

    # Submit

    def _submit(self, call: Call) -> Answer:
        try:
            answer = self._submitted(call)
        except Refused as no:
            self._log.write("refused", account=call.account, why=no.kind, text=no.text)
            answer = answers.refusal(no, call.switches)
        except Cut:
            self._log.write("answered", job=call.job, account=call.account, status="cut")
            raise
        seq = self._log.write("answered", job=call.job, account=call.account, status=answer.status)

        def correct(sent: bool) -> None:  # noqa: FBT001  # the server's signature
            if not sent:
                self._log.write("unsent", job=call.job, account=call.account, of=seq)

        call.environ["standin.afterwards"].append(correct)
        return answer

    def _submitted(self, call: Call) -> Answer:
        try:
            call.open()
        except Refused:
            self._note_received(call, None)
            raise
        self._keys.add(call.key.encode())
        order = orders.read(call.body)
        self._note_received(call, order)
        try:
            call.switches = call.switches.over(tokens(order.prompt))
        except UnknownSwitch as unknown:
            raise Refused("scenario", str(unknown)) from None
        switches = call.switches
        orders.demand(
            order, bare_base64=switches.is_on("bare-base64"), strict=switches.is_on("strict")
        )
        self._refuse_spam(call)
        instead = faults.before_job(switches, call.connection, self.clock)
        if instead is not None:
            self._log.write("refused", account=call.account, why="scenario", text=instead.status)
            return instead
        return self._accepted(call, order)

    def _note_received(self, call: Call, order: Order | None) -> None:
        self._log.write(
            "received",
            account=call.account,
            route=call.path,
            fields=sorted(call.body),
            bytes=len(call.raw),
            sha256=hashlib.sha256(call.raw).hexdigest(),
            violations=order.violations if order else [],
            noted=order.noted if order else [],
        )

    def _refuse_spam(self, call: Call) -> None:
        if call.switches.is_on("spam"):
            heard = (call.account, hashlib.sha256(call.raw).hexdigest())
            before = self._heard.get(heard)
            self._heard[heard] = self.clock.now()
            if before is not None and self.clock.now() < before + SPAM_SECONDS:
                raise Refused("spam")

    def _accepted(self, call: Call, order: Order) -> Answer:
        switches = call.switches
        number = self.jobs.reserve(call.account, int(switches["cap"]))
        if number is None:
            raise Refused("rate")
        job = None
        try:
            mode, face = self._face(call, order, number)
            if face:
                self._studio.keep_face(number, face)
            with self.jobs.changed:  # first come, first drawn
                now = self.clock.now()
                start_at, ready_at = self.jobs.times(call.account, switches, now)
                job = Job(
                    number=number,
                    account=call.account,
                    order=order.recorded(),
                    switches=switches,
                    origin=call.origin,
                    face_mode=mode,
                    accepted_at=now,
                    start_at=start_at,
                    ready_at=ready_at,
                    charged=switches.seconds("price"),
                )
                if order.seed is not None:
                    job.seed = order.seed
                self.jobs.add(job)
                self._log.write("accepted", job=number, account=call.account, **job.recorded())
        finally:
            if job is None:
                self.jobs.give_back(call.account, number)
        call.job = number
        return self._answered(call, job)

    def _answered(self, call: Call, job: Job) -> Answer:
        if job.switches.is_on("failed-now"):
            self._studio.fail_now(job)
            return json_answer(answers.failed())
        if job.switches.is_on("sync"):
            self._studio.draw_now(job)
        else:
            self._studio.schedule(job)
        if job.order["webhook"] and job.switches["hook"] == "early":
            self._studio.ring_early(job)
        output, proxies = self._outputs(job, call.origin), self._proxies(job, call.origin)
        if job.switches.is_on("sync") and job.state == FAILED:
            usual = answers.failed()
        elif job.switches.is_on("sync"):
            usual = answers.done(job, output, proxies)
        else:
            host = self.decoy_url if job.switches.is_on("foreign-fetch-result") else call.origin
            fetch_result = f"{host}/api/v6/image_editing/fetch/{job.number}"
            usual = answers.processing(job, fetch_result, self._links(job, call.origin))
        return faults.after_job(job, json_answer(usual), call.connection, self.clock)

    def _face(self, call: Call, order: Order, number: int) -> tuple[str, bytes]:
        """How the face comes, and its bytes if they are here already. Raises Refused."""
        switches = call.switches
        if order.face_is_inline:
            text = order.face_image
            try:
                face = base64.b64decode(text.partition(",")[2] or text, validate=True)
            except (binascii.Error, ValueError):
                face = b""
            if not self._studio.can_use(face, switches):
                no = "The face image must be a valid base64 image."
                raise Refused("validation", no, field="face_image")
            return "inline", face
        if switches["face"] == "never":
            return "unread", b""
        if switches["face"] == "at-start":
            return "url", b""
        read = self._studio.face_of(order.face_image, number, call.account, switches)
        return ("portrait", b"") if read is None else ("url", read)

    # Look

    def _look(self, call: Call) -> Answer:
        named = call.path.rstrip("/").rpartition("/fetch")[2].removeprefix("/")
        number = named or call.body.get("request_id") or call.body.get("id")
        job = self.jobs.find(str(number), call.account)
        kind = job.switches["look"] if job else "usual"
        kind = call.switches["look"] if kind == "usual" else kind
        told, body = ("fault", {}) if kind != "usual" else self._told(job, call.origin)
        self._log.write(
            "looked", job=job.number if job else None, account=call.account, answer=told
        )
        instead = faults.look(kind, call.switches, call.connection, self.clock)
        return json_answer(body) if instead is None else instead

    def _told(self, job: Job | None, origin: str) -> tuple[str, dict[str, Any]]:
        """What a look at a job answers, and the log's word for it."""
        unknown = ("not found", answers.failed("Request not found"))
        if job is None or job.switches.is_on("forgotten"):
            return unknown
        if self.clock.now() < job.accepted_at + job.switches.seconds("not-found"):
            return unknown
        if job.state == READY:
            if job.empty_looks < job.switches.seconds("empty-success"):
                job.empty_looks += 1
                return "empty", answers.fetched(job, [], [])
            output, proxies = self._outputs(job, origin), self._proxies(job, origin)
            return "success", answers.fetched(job, output, proxies)
        if job.state == FAILED:
            return "failed", answers.failed()
        return "processing", answers.still_running()

    def _links(self, job: Job, origin: str) -> list[str]:
        host = self.decoy_url if job.switches.is_on("foreign-host") else origin
        return [f"{host}/temp/{name}" for name in job.names]

    def _proxies(self, job: Job, origin: str) -> list[str]:
        return [f"{origin}/proxy/{name}" for name in job.names]

    def _outputs(self, job: Job, origin: str) -> list[str]:
        inline = job.order["base64"] and job.switches["base64"] == "inline"
        if inline and job.state == READY and not job.deleted:
            return [(self._studio.files / name).read_text() for name in job.names]
        return self._links(job, origin)

    # The decoy

    def _stray(self, call: Call) -> Answer:
        """Whatever comes to the decoy is written down; a file is given, for it exists there."""
        self._log.write(
            "decoy",
            method=call.method,
            path=call.path,
            bytes=len(call.raw),
            key_seen=any(key in call.raw or key.decode() in call.path for key in list(self._keys)),
        )
        if call.method in ("GET", "HEAD") and call.path.startswith("/temp/"):
            return self._shelf.give(call, self.decoy_url, at_decoy=True)
        return json_answer(answers.still_running())


def _html(text: str) -> Answer:
    headers = [("Content-Security-Policy", page.POLICY), ("X-Content-Type-Options", "nosniff")]
    return Answer(200, text.encode(), "text/html; charset=utf-8", headers)
