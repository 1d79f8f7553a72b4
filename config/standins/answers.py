"""The bodies the face_gen stand-in answers and sends, in the provider's documented shapes.

Knows the switches that bend a shape, and jobs by their attributes; nothing of HTTP connections.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from config.standins.jobs import Job
from config.standins.switches import Switches

Body = dict[str, Any]

TIP = "Your image is processing in background, you can get this image using fetch API"
HUGE_ETA = 36000  # seconds; clients have met hours

# Kind of trouble: HTTP status and code of the error page of 2026, and the text. The texts are those
# of docs.modelslab.com/error-codes where it gives one; codes are sent with `codes=on` only.
ERRORS: dict[str, tuple[int, str, str]] = {
    "broken": (400, "invalid_request", "Invalid API Request"),
    "validation": (400, "validation_error", ""),
    "scenario": (400, "validation_error", ""),
    "face": (400, "validation_error", "Unable to fetch image from provided URL"),
    "key": (401, "invalid_api_key", "Invalid API key"),
    "credit": (
        402,
        "insufficient_balance",
        "Insufficient credits. Please add more credits to continue.",
    ),
    "plan": (403, "no_subscription", "This feature requires a premium subscription"),
    "route": (404, "not_found", "The requested route could not be found."),
    "method": (
        405,
        "method_not_allowed",
        "The GET method is not supported for this route. Supported methods: POST.",
    ),
    "large": (413, "validation_error", "The file may not be larger than 5 MB."),
    "rate": (429, "rate_limited", ""),
    "spam": (
        429,
        "rate_limited",
        "Identical requests are refused for 30 seconds. Rate limit exceeded.",
    ),
    "server": (500, "internal_error", "Internal server error. Please try again."),
    "upstream": (
        503,
        "upstream_unavailable",
        "The service is temporarily unavailable. Please try again later.",
    ),
    "unknown": (200, "unknown_error", "Something unexpected has happened."),
}


class Refused(Exception):
    """The stand-in's no: a kind of `ERRORS`, its own text if it has one, the field at fault."""

    def __init__(self, kind: str, text: str = "", *, field: str = "") -> None:
        super().__init__(text or ERRORS[kind][2])
        self.kind = kind
        self.text = text or ERRORS[kind][2]
        self.field = field


@dataclass
class Answer:
    """What goes back over HTTP."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)


def encoded(body: object) -> bytes:
    """JSON as the provider's PHP writes it: with `\\/`, and NaN where a scenario asks for it."""
    return json.dumps(body).replace("/", "\\/").encode()


def json_answer(body: Body, status: int = 200) -> Answer:
    return Answer(status, encoded(body))


def page(status: int, title: str) -> Answer:
    """The HTML an edge or a storage answers instead of JSON or a picture."""
    head = f"<!DOCTYPE html><html><head><title>{title}</title></head>"
    html = f"{head}<body><h1>{title}</h1></body></html>"
    return Answer(status, html.encode(), "text/html; charset=UTF-8")


def refusal(no: Refused, switches: Switches) -> Answer:
    """An error in the shape the switches ask for."""
    status, code, _ = ERRORS[no.kind]
    text: object = no.text
    if no.kind == "validation" and switches["validation"] == "object":
        text = {no.field: [no.text]}
    if no.kind == "rate":
        text = no.text or f"Rate limit exceeded. Maximum {switches['cap']} queued requests allowed."
    body: Body = {"status": "error", switches["message-key"]: text}
    if no.kind in ("rate", "spam") and switches["retry-after"] != "absent":
        body["retry_after"] = int(switches["retry-after"])
    if switches.is_on("codes"):
        body["code"] = code
    return json_answer(body, 200 if switches["errors"] == "always200" else status)


def number(job: Job) -> int | str:
    return str(job.number) if job.switches["id"] == "string" else job.number


def eta(job: Job) -> Body:
    """The `eta` field, or nothing."""
    delay = job.switches.seconds("delay")
    told: dict[str, object] = {
        "int": max(1, math.ceil(delay)),
        "float": delay,
        "0": 0,
        "huge": HUGE_ETA,
        "nan": math.nan,
    }
    kind = job.switches["eta"]
    return {} if kind == "absent" else {"eta": told[kind]}


def proxy_links(job: Job, links: list[str]) -> Body:
    """The `proxy_links` field, or nothing."""
    told: dict[str, object] = {
        "list": links,
        "empty": [],
        "null": None,
        "object": {str(index): link for index, link in enumerate(links)},
    }
    kind = job.switches["proxy-links"]
    return {} if kind == "absent" else {"proxy_links": told[kind]}


def meta(job: Job) -> Body:
    """The order echoed as the provider does: numbers as numbers, truths as "yes" and "no"."""
    echoed = dict(job.order)
    for name in ("base64", "safety_checker"):
        echoed[name] = "yes" if echoed[name] else "no"
    del echoed["webhook"], echoed["track_id"]
    return {**echoed, "seed": job.seed, "file_prefix": job.prefix}


def done(job: Job, output: list[str], proxies: list[str]) -> Body:
    """A submit answered with its result at once."""
    return {
        "status": "success",
        "generationTime": job.generation_time,
        "id": number(job),
        "output": output,
        **proxy_links(job, proxies),
        "meta": meta(job),
    }


def processing(job: Job, fetch_result: str, future: list[str]) -> Body:
    """A submit that was accepted and will take its time."""
    body: Body = {
        "status": "processing",
        **eta(job),
        "id": number(job),
        "output": "" if job.switches["output"] == "empty-string" else [],
        "tip": TIP,
        "message": "Try to fetch request after seconds estimated",
        "fetch_result": fetch_result,
        "future_links": future,
        **proxy_links(job, []),
        "meta": meta(job),
    }
    if job.switches.is_on("no-id"):
        del body["id"]
    if job.switches.is_on("no-status"):
        del body["status"]
    if job.switches.is_on("no-fetch-result"):
        del body["fetch_result"]
    return body


def failed(message: str = "Failed, Try Again") -> Body:
    return {"status": "failed", "id": "", "message": message, "output": ""}


def still_running() -> Body:
    return {"status": "processing", "message": "try again later.", "output": "", "tip": TIP}


def fetched(job: Job, output: list[str], proxies: list[str]) -> Body:
    """A look at a finished job. The documented sample has three fields; the proxies are added only
    where a scenario is about them."""
    body: Body = {"status": "success", "id": number(job), "output": output}
    if job.switches.is_on("proxy-only") or job.switches["proxy-links"] != "list":
        body |= proxy_links(job, proxies)
    return body


def success_hook(job: Job, output: list[str]) -> Body:
    """The documented webhook of a finished job, with `track_id` as it came."""
    return {
        "status": "success",
        "id": number(job),
        "output": output,
        "generationTime": job.generation_time,
        "track_id": job.order["track_id"],
        "meta": meta(job),
    }


def failure_hook(job: Job, message: str) -> Body:
    return {
        "status": "failed",
        "id": number(job),
        "message": message,
        "track_id": job.order["track_id"],
    }
