"""How the face_gen stand-in treats a submit, a look or a file when a scenario wants a fault.

Knows answers, jobs, the clock and the caller's socket.
"""

import contextlib
import socket
import struct
from typing import NoReturn

from config.standins import Cut
from config.standins.answers import Answer, Refused, json_answer, page, refusal
from config.standins.clock import Clock
from config.standins.jobs import Job
from config.standins.switches import Switches

METADATA_URL = "http://169.254.169.254/latest/meta-data/"  # where clouds keep their secrets
MEGABYTE = 1_000_000
CHUNK = 65536
LOOK_HANG = 30.0  # seconds; three times our client's patience with a look


def hang_up(connection: socket.socket) -> NoReturn:
    """Resets the line without a word."""
    with contextlib.suppress(OSError):  # the caller may have gone before us
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Cut


def before_job(switches: Switches, connection: socket.socket, clock: Clock) -> Answer | None:
    """The scenarios that make no job. Raises Refused or Cut, or gives the answer; None: go on."""
    if wait := switches.seconds("hang-before"):
        clock.wait_until(clock.now() + wait)
        hang_up(connection)
    if switches.is_on("drop-before"):
        hang_up(connection)
    if switches.is_on("html502"):
        return page(502, "502 Bad Gateway")
    if switches.is_on("429-in-200"):
        return refusal(Refused("rate"), switches.over({"errors": "always200"}))
    if switches.is_on("invalid") or switches.is_on("invalid-object"):
        form = "object" if switches.is_on("invalid-object") else switches["validation"]
        no = Refused("validation", "The prompt field is required.", field="prompt")
        return refusal(no, switches.over({"validation": form}))
    for name, kind in {
        "429": "rate",
        "no-credit": "credit",
        "no-plan": "plan",
        "no-route": "route",
        "error-unknown": "unknown",
        "500": "server",
        "503": "upstream",
    }.items():
        if switches.is_on(name):
            raise Refused(kind)
    return None


def after_job(job: Job, usual: Answer, connection: socket.socket, clock: Clock) -> Answer:
    """The scenarios in which the job is made, but the caller may not learn of it. Raises Cut."""
    switches = job.switches
    if wait := switches.seconds("hang-after"):
        clock.wait_until(clock.now() + wait)
    if switches.is_on("drop-after"):
        hang_up(connection)
    if switches.is_on("html524"):
        return page(524, "524: A timeout occurred")
    if switches.is_on("500-after"):
        return refusal(Refused("server"), switches)
    if switches.is_on("truncated"):
        length = [("Content-Length", str(len(usual.body)))]
        return Answer(200, usual.body[: len(usual.body) // 2], headers=length)
    if switches.is_on("wrong-content-type"):
        return Answer(200, usual.body, "text/html; charset=UTF-8")
    return usual


def look(kind: str, switches: Switches, connection: socket.socket, clock: Clock) -> Answer | None:
    """An answer to a look that says nothing about the job; None for the usual one. Raises Cut."""
    if kind == "drop":
        hang_up(connection)
    if kind == "hang":
        clock.wait_until(clock.now() + LOOK_HANG)
        hang_up(connection)
    if kind == "html502":
        return page(502, "502 Bad Gateway")
    if kind == "unknown-word":
        return json_answer({"status": "pondering", "id": "", "output": ""})
    refused = {"429": "rate", "500": "server", "invalid-key": "key", "error": "unknown"}
    return refusal(Refused(refused[kind]), switches) if kind in refused else None


def file_refusal(job: Job, now: float, *, by_proxy: bool, decoy_url: str) -> Answer | None:
    """Why a file that exists is not given out just now; None if it is.

    `now` and all spans are virtual seconds, counted from when the file could first be read.
    """
    switches = job.switches
    readable_at = (job.ended_at or 0) + switches.seconds("file-delay")
    missing = page(404, "Object not found")
    if switches.is_on("gone") or (switches.is_on("proxy-only") and not by_proxy):
        return missing
    if now < readable_at + switches.seconds("late404"):
        return missing
    if now < readable_at + switches.seconds("late403"):
        return page(403, "403 Forbidden")
    if switches.is_on("html-file"):
        return page(200, "Just a moment...")
    if switches["redirect"] != "off":
        target = METADATA_URL if switches["redirect"] == "metadata" else decoy_url
        return Answer(302, b"", "text/html", [("Location", target)])
    return None


def spoil(job: Job, content: bytes, now: float) -> bytes:
    """A file's bytes as they are handed out now: all, or half while `short` lasts."""
    readable_at = (job.ended_at or 0) + job.switches.seconds("file-delay")
    if now < readable_at + job.switches.seconds("short"):
        return content[: len(content) // 2]
    return content


def trickle(job: Job, content: bytes, connection: socket.socket, clock: Clock) -> int:
    """Sends a file by `huge` or `drip` over the bare line, until it is done or the caller is gone.

    Returns how many bytes of the body were sent; the caller of this then raises Cut.
    """
    huge = int(job.switches.seconds("huge")) * MEGABYTE
    length = huge or len(content)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n"
    head += "X-Stand-In: face_gen\r\nConnection: close\r\n\r\n"
    sent = 0
    # A drip is broken off, not finished, when the stand-in closes: its clock stops waiting.
    with contextlib.suppress(OSError):
        connection.sendall(head.encode())
        while sent < length:
            if huge:
                piece = (content if not sent else bytes(CHUNK))[: length - sent]
            else:
                piece = content[sent : sent + 1]
                if not clock.wait_until(clock.now() + 1):
                    break
            connection.sendall(piece)
            sent += len(piece)
    return sent
