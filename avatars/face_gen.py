"""The provider's client: an Order in, an Answer out; its shapes and words stop in this file.

May know the settings FACE_GEN_URL and MODELSLAB_API_KEY, and `avatars.download`; no row of ours.
"""

import json
import logging
import math
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from avatars.download import (
    CONNECT_SECONDS,
    Limits,
    NoAnswer,
    NoConnection,
    exchange,
    is_loopback,
    names_loopback,
)

SUBMIT_SECONDS = 120.0  # beyond the 100 s after which their front proxy answers 524: we read that
LOOK_SECONDS = 10.0  # looks and account calls; nothing waits behind them
ANSWER_BYTES = 8 * 1024 * 1024  # an inline picture in base64 fits
DETAIL_LENGTH = 200  # characters of vendor text that staff get to read
LONGEST_PROMPT = 500
GREATEST_NUMBER = 2**31 - 1  # their seeds and track ids are 32-bit
DEFAULT_ETA = 5.0
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 300.0  # seconds a "full" may make everybody wait
MOST_TEXTS = 64  # leaves read of one field; a real answer has one or two
MODEL = "ai-avatar-generatorface-gen"
STEPS = (21, 31, 41)  # satisfy both published readings, a range and a list of three

# Kept out on purpose: words for nakedness, because their filter reads this field as well.
HOUSE_AVOID = {
    "realistic": "blurry, low quality, deformed face, extra fingers, extra limbs, text, watermark",
    "anime": "blurry, low quality, deformed face, extra fingers, extra limbs, text, watermark",
    "3d": "blurry, low quality, flat lighting, deformed face, extra fingers, text, watermark",
    "chibi": "blurry, low quality, deformed face, extra limbs, text, watermark",
    "comic": "blurry, low quality, deformed face, extra fingers, speech bubbles, text, watermark",
}

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What an answer means for us. Which ones `submit` and `look` can give is said there."""

    NOT_SENT = "not sent"
    FULL = "full"
    ACCOUNT = "account"
    FACE_UNREACHABLE = "face unreachable"
    ODD = "odd"
    REFUSED = "refused"
    DONE = "done"
    ACCEPTED = "accepted"
    ENDED = "ended"
    UNKNOWN = "unknown"
    PROCESSING = "processing"
    FAILED = "failed"
    NOT_FOUND = "not found"


@dataclass(frozen=True)
class Order:
    """One submission. `avoid` is what `avoid_words` gives, or "". ValueError if it cannot be sent.

    `face` is an address of ours, or, when `inline`, the JPEG itself as a data URI; then there can
    be no webhook, and without a webhook no track id is sent.
    """

    prompt: str = field(repr=False)
    avoid: str = field(repr=False)
    style: str
    steps: int
    seed: int
    face: str = field(repr=False)
    inline: bool
    webhook: str | None = field(repr=False)
    track_id: int | None

    def __post_init__(self) -> None:
        face_starts = ("data:image/jpeg;base64,",) if self.inline else ("https://", "http://")
        demands = {
            "style": self.style in HOUSE_AVOID,
            "steps": self.steps in STEPS,
            "seed": 1 <= self.seed <= GREATEST_NUMBER,
            "track_id": self.track_id is None or 1 <= self.track_id <= GREATEST_NUMBER,
            "prompt": 1 <= len(self.prompt.strip()) <= LONGEST_PROMPT,
            "face": self.face.startswith(face_starts),
            "webhook": not (self.inline and self.webhook),
        }
        if unmet := [name for name, met in demands.items() if not met]:
            raise ValueError(f"an order with this {', '.join(unmet)} cannot be sent")

    def fields(self) -> dict[str, Any]:
        """The body of the submit but for the key: contract §2 and §3."""
        body = {
            "model_id": MODEL,
            "prompt": self.prompt.strip(),
            "negative_prompt": self.avoid,
            "face_image": self.face,
            "style": self.style,
            "width": 512,
            "height": 768,
            "samples": 1,
            "num_inference_steps": self.steps,
            "guidance_scale": 7.5,
            "s_scale": 1.0,
            "safety_checker": True,
            "safety_checker_type": "black",  # the only kind that can be told for certain afterwards
            "base64": self.inline,
            "seed": self.seed,
            "webhook": self.webhook,
            "track_id": self.track_id if self.webhook else None,
        }
        return {name: value for name, value in body.items() if value not in (None, "")}


def avoid_words(style: str, own: str) -> str:
    """A person's own words and the house list of the style, joined by commas, each once."""
    words = (word.strip() for word in f"{own},{HOUSE_AVOID[style]}".split(","))
    return ", ".join({word.casefold(): word for word in words if word}.values())


@dataclass(frozen=True)
class Answer:
    """What came back. `eta` and `retry_after` are seconds; `detail` is for staff alone."""

    outcome: Outcome
    job_id: str = ""
    outputs: tuple[str, ...] = field(default=(), repr=False)
    alternatives: tuple[str, ...] = field(default=(), repr=False)
    eta: float = DEFAULT_ETA
    retry_after: float | None = None
    detail: str = ""


class Unavailable(Exception):
    """An account call that gave nothing usable; `outcome` says whose fault it looks like."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.outcome}: {answer.detail}")
        self.outcome = answer.outcome


def submit(order: Order) -> Answer:
    """Send one order, once. Never PROCESSING, FAILED or NOT_FOUND; UNKNOWN may have been accepted.

    Takes up to SUBMIT_SECONDS. Raises ValueError if FACE_GEN_URL may not receive the key.
    """
    answer, _ = _ask("v6/image_editing/face_gen", order.fields(), SUBMIT_SECONDS, _after_submit)
    return replace(answer, detail=_without_echo(answer.detail, order.prompt, order.avoid))


def look(job_id: str) -> Answer:
    """Ask for a job: DONE, PROCESSING, FAILED, NOT_FOUND, FULL, ACCOUNT or UNKNOWN.

    Generates nothing and may be repeated. Takes up to LOOK_SECONDS. Raises ValueError as `submit`.
    """
    answer, _ = _ask(f"v6/image_editing/fetch/{_plain(job_id)}", {}, LOOK_SECONDS, _after_look)
    if answer.outcome is Outcome.NOT_SENT:
        return replace(answer, outcome=Outcome.UNKNOWN)
    if answer.job_id not in ("", job_id):  # another job's picture shows another person's face
        return Answer(Outcome.UNKNOWN, job_id, detail="the answer names another job")
    return replace(answer, job_id=job_id)


def read_submit(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The meaning of one HTTP answer to a submit, whatever its bytes: contract §4 and §5."""
    seen = _Seen(status, headers, body)
    return seen.answer(_after_submit(seen))


def read_look(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The meaning of one HTTP answer to a look, whatever its bytes: contract §6."""
    seen = _Seen(status, headers, body)
    return seen.answer(_after_look(seen))


def processing_count() -> int:
    """Jobs the provider has under way for the whole account; it allows 30 such calls a minute."""
    return int(_account_number("v6/processing/request_count", "processing_count"))


def balance() -> float:
    """What is left in the account, in its own currency (so far always USD)."""
    return _account_number("wallet_balance", "data", "balance")


def assets(page: int) -> tuple[str, ...]:
    """Job ids of one page of the account's pictures, from page 1; empty after the last.

    For counting what nobody claimed. A picture found here is never to be given to anyone.
    """
    fields = {"type": "image", "per_page": 30, "page": page}
    answer, found = _account("v6/assets_generated", fields)
    entries = found.get("data")
    if not isinstance(entries, list):
        raise Unavailable(replace(answer, outcome=Outcome.UNKNOWN))
    return tuple(filter(None, (_id(e.get("id")) for e in entries if isinstance(e, dict))))


def delete_image(job_id: str) -> bool:
    """Whether the provider says it deleted a job's picture; False if it declined to."""
    try:
        _account("v3/delete_image", {"request_id": _plain(job_id), "type": "image"})
    except Unavailable as error:
        if error.outcome is Outcome.REFUSED:
            return False
        raise
    return True


def _account_number(route: str, *path: str) -> float:
    answer, found = _account(route, {})
    value: Any = found
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if (number := _number(value)) is None:
        raise Unavailable(replace(answer, outcome=Outcome.UNKNOWN))
    return number


def _account(route: str, fields: Mapping[str, Any]) -> tuple[Answer, dict[str, Any]]:
    answer, found = _ask(route, fields, LOOK_SECONDS, _after_account_call)
    if answer.outcome is not Outcome.DONE:
        raise Unavailable(answer)
    return answer, found


def _ask(
    route: str, fields: Mapping[str, Any], seconds: float, judge: "Callable[[_Seen], Outcome]"
) -> tuple[Answer, dict[str, Any]]:
    """One POST to the configured host, which alone gets the key; the answer and its fields."""
    base = _base()
    body = json.dumps({"key": settings.MODELSLAB_API_KEY, **fields}).encode()
    limits = Limits(CONNECT_SECONDS, seconds, ANSWER_BYTES)
    allowed = is_loopback if base.scheme == "http" else _anywhere
    found: dict[str, Any] = {}
    began_at = monotonic()
    try:
        reply = exchange("POST", f"{base.geturl()}{route}", limits, allowed, body)
    except NoConnection as error:
        answer = Answer(Outcome.NOT_SENT, detail=str(error))
    except NoAnswer as error:
        answer = Answer(Outcome.UNKNOWN, detail=str(error))
    else:
        seen = _Seen(reply.status, reply.headers, reply.body)
        answer, found = seen.answer(judge(seen)), seen.found
    log.info("%s: %s in %d ms", route, answer.outcome, (monotonic() - began_at) * 1000)
    return answer, found


def _base() -> SplitResult:
    """Where the key may go. ValueError unless https, or http on this machine."""
    parts = urlsplit(settings.FACE_GEN_URL)
    host = parts.hostname or ""
    plain = parts.scheme == "http" and names_loopback(host)
    if not (plain or parts.scheme == "https") or not host:
        raise ValueError("FACE_GEN_URL must be https; http is for this machine alone")
    if "@" in parts.netloc or parts.query or parts.fragment or not parts.path.endswith("/"):
        raise ValueError("FACE_GEN_URL must be a plain address that ends with a slash")
    return parts


def _anywhere(_: Address) -> bool:
    return True  # the certificate says who it is


def _plain(job_id: str) -> str:
    if not _id(job_id):
        raise ValueError("not a job id")
    return job_id


class _Row(NamedTuple):
    """One row of contract §5, by code, by text (in small letters) and by HTTP status."""

    outcome: Outcome
    codes: frozenset[str]
    texts: tuple[str, ...]
    statuses: Container[int]


HAS_QUEUE, MESSAGE_IS_OBJECT = "(current_queue)", "(message is an object)"  # marks, not codes
ROWS = (
    _Row(
        Outcome.FULL,
        frozenset({"rate_limited", HAS_QUEUE}),
        ("rate limit", "queued requests", "too many requests"),
        (429,),
    ),
    _Row(
        Outcome.ACCOUNT,
        frozenset(
            {
                *("invalid_api_key", "unauthenticated"),
                *("insufficient_balance", "no_subscription", "forbidden"),
            }
        ),
        (
            *("invalid api key", "api key required", "api key is required"),
            *("insufficient credits", "requires a premium subscription"),
            *("model id not found", "model not found"),
            *("invalid api request", "method is not supported"),
        ),
        {401, 402, 403, 404, 405, *range(300, 400)},
    ),
    _Row(Outcome.FACE_UNREACHABLE, frozenset(), ("unable to fetch image",), ()),
    _Row(
        Outcome.REFUSED,
        frozenset({"validation_error", MESSAGE_IS_OBJECT}),
        ("valid url when base64 is false", "field is required"),
        (400, 413, 422),
    ),
    _Row(Outcome.ODD, frozenset({"upstream_unavailable"}), ("temporarily unavailable",), ()),
)


class _Seen:
    """An HTTP answer with its many spellings made one: contract §4."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        parsed = _parsed(body)
        self.is_object = isinstance(parsed, dict)
        self.found: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._size = len(body)
        error = self.found.get("error")
        self._error: dict[str, Any] = error if isinstance(error, dict) else {}
        messages = [self.found.get(name) for name in ("message", "messege")]
        self.text = " ".join(_texts([*messages, self._error.get("message", error)]))
        self.small_text = self.text.casefold()
        self.word = _word(self.found.get("status"))
        self.codes = {
            *map(_word, (self.found.get("code"), error, self._error.get("code"))),
            *([HAS_QUEUE] if "current_queue" in {*self.found, *self._error} else ()),
            *([MESSAGE_IS_OBJECT] if any(isinstance(m, dict) for m in messages) else ()),
        }
        self.outputs = _addresses(self.found.get("output"))
        self.job_id = _id(self.found.get("id")) or _linked_id(self.found.get("fetch_result"))

    @property
    def has_picture(self) -> bool:
        return self.word in ("success", "ready") and bool(self.outputs)

    @property
    def is_complaint(self) -> bool:
        """Whether words of the text may be weighed at all: a running job's may say anything."""
        said = self.word in ("error", "failed")
        return said or self.status >= 400 or (not self.word and bool(self.found.get("error")))

    def by_words(self) -> Outcome | None:
        for row in ROWS if self.is_complaint else ():
            if row.codes & self.codes or any(text in self.small_text for text in row.texts):
                return row.outcome
        return None

    def by_status(self) -> Outcome | None:
        return next((row.outcome for row in ROWS if self.status in row.statuses), None)

    def answer(self, outcome: Outcome) -> Answer:
        pause = _number(self.found.get("retry_after", self._error.get("retry_after")))
        if pause is None:
            pause = _number(self._headers.get("retry-after"))
        eta = _number(self.found.get("eta"))
        words = self.text if self.is_object else f"no JSON object in {self._size} bytes"
        return Answer(
            outcome,
            job_id=self.job_id,
            outputs=self.outputs if outcome is Outcome.DONE else (),
            alternatives=(
                _addresses(self.found.get("proxy_links")) if outcome is Outcome.DONE else ()
            ),
            eta=eta if eta and eta > 0 else DEFAULT_ETA,
            retry_after=pause and min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE),
            detail=_for_staff(f"HTTP {self.status}: {words}"),
        )


def _after_submit(seen: _Seen) -> Outcome:
    """Contract §5, top to bottom: body first, HTTP status second, then what is left."""
    if seen.has_picture:
        return Outcome.DONE
    if seen.word in ("success", "processing", "error", "failed") and seen.job_id:
        return Outcome.ACCEPTED
    if seen.word in ("success", "processing", "ready"):  # it may well be drawing
        return Outcome.UNKNOWN
    if seen.word == "failed" or (seen.is_complaint and "provider_error" in seen.codes):
        return Outcome.ENDED
    if told := seen.by_words() or seen.by_status():
        return told
    if seen.is_complaint and "is required" in seen.small_text:
        return Outcome.REFUSED  # so loose a text must not hide a 401
    if seen.word == "error" and seen.status < 500 and seen.status != 408:
        return Outcome.ODD
    return Outcome.UNKNOWN


def _after_look(seen: _Seen) -> Outcome:
    """Contract §6. Trouble with our call says nothing about the job, even where it says failed."""
    if seen.has_picture:
        return Outcome.DONE
    if seen.word in ("success", "processing"):
        return Outcome.PROCESSING
    if seen.word in ("error", "failed") and "request not found" in seen.small_text:
        return Outcome.NOT_FOUND
    told = seen.by_words() or (seen.by_status() if seen.status != 404 else None)
    if told in (Outcome.FULL, Outcome.ACCOUNT):
        return told
    if seen.status == 404 and seen.is_object:
        return Outcome.NOT_FOUND
    return Outcome.FAILED if seen.word == "failed" else Outcome.UNKNOWN


def _after_account_call(seen: _Seen) -> Outcome:
    if seen.word == "success":
        return Outcome.DONE
    told = seen.by_words() or seen.by_status()
    if told in (Outcome.FULL, Outcome.ACCOUNT):
        return told
    declined = seen.word in ("error", "failed") and seen.status < 500
    return Outcome.REFUSED if declined else Outcome.UNKNOWN


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def _texts(value: object) -> list[str]:
    """The strings inside lists and objects, without recursion, which a deep answer would exhaust."""
    ahead, found = [value], list[str]()
    while ahead and len(found) < MOST_TEXTS:
        match ahead.pop():
            case str(text):
                found.append(text)
            case list(inner):
                ahead.extend(reversed(inner))
            case dict(inner):
                ahead.extend(reversed(inner.values()))
    return found


def _addresses(value: object) -> tuple[str, ...]:
    # Printable keeps out what a database refuses: NUL and halves of surrogate pairs.
    stripped = (text.strip() for text in _texts(value))
    return tuple(text for text in stripped if text and text.isprintable())


def _word(value: object) -> str:
    word = value.strip().casefold() if isinstance(value, str) else ""
    return "processing" if word in ("queued", "pending") else word


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _id(value: object) -> str:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    text = text.strip()
    return text if re.fullmatch(r"(?!(?:0|null)\Z)[A-Za-z0-9_-]{1,64}", text) else ""


def _linked_id(link: object) -> str:
    """The id at the end of `fetch_result`, believed only on our host; the link is not followed."""
    try:
        parts, base = urlsplit(link if isinstance(link, str) else ""), _base()
        same = [(p.scheme, p.hostname, p.port or {"https": 443, "http": 80}.get(p.scheme))
                for p in (parts, base)]
    except ValueError:
        return ""
    last = re.search(r"/fetch/([^/]+)/?\Z", parts.path)
    return _id(last[1]) if last and same[0] == same[1] else ""


def _for_staff(text: str) -> str:
    """Vendor text made short, without addresses, our key and anything as long as a token."""
    text = text[: 20 * DETAIL_LENGTH]
    if key := settings.MODELSLAB_API_KEY:
        text = text.replace(key, "…")
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    return " ".join("…" if _SECRET.search(word) else word for word in words)[:DETAIL_LENGTH]


_SECRET = re.compile(r"://|data:|www\.|[\w+/=.~%-]{20,}", re.IGNORECASE)


def _without_echo(detail: str, *own: str) -> str:
    """The same, unless it repeats what a person wrote: prompts are theirs, not for staff lists."""
    told = " ".join(detail.casefold().split())
    for text in own:
        words = " ".join(text.casefold().split())
        pieces = {words[start : start + ECHO] for start in range(max(1, len(words) - ECHO + 1))}
        ...
    return detail
