"""What the provider's answers mean: its shapes and words in, an Outcome out, and it never raises.

May know the settings FACE_GEN_URL and MODELSLAB_API_KEY; no row of ours. `avatars.face_gen` asks.
"""

import json
import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from django.conf import settings

DEFAULT_ETA = 5.0
LONGEST_ETA = 24 * 3600.0  # outputs are gone by then; some estimates do not fit any clock
SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 300.0  # seconds a "full" may make everybody wait
MOST_TEXTS = 64  # strings read of one field; a real answer has one or two
DETAIL_LENGTH = 200  # characters of vendor text that staff get to read
SECRET = re.compile(r"://|data:|www\.|[\w+/=.~%-]{20,}", re.IGNORECASE)  # a word with this goes


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
class Answer:
    """What came back. `eta` and `retry_after` are seconds; `detail` is for staff alone."""

    outcome: Outcome
    job_id: str = ""
    outputs: tuple[str, ...] = field(default=(), repr=False)
    alternatives: tuple[str, ...] = field(default=(), repr=False)
    eta: float = DEFAULT_ETA
    retry_after: float | None = None
    detail: str = ""


def read_submit(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The meaning of one HTTP answer to a submit, whatever its bytes: contract §4 and §5."""
    seen = Seen(status, headers, body)
    return seen.answer(after_submit(seen))


def read_look(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The meaning of one HTTP answer to a look, whatever its bytes: contract §6."""
    seen = Seen(status, headers, body)
    return seen.answer(after_look(seen))


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


class Seen:
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
        self.codes = {*map(_word, (self.found.get("code"), error, self._error.get("code")))}
        self._marks = {
            *([HAS_QUEUE] if "current_queue" in {*self.found, *self._error} else ()),
            *([MESSAGE_IS_OBJECT] if any(isinstance(m, dict) for m in messages) else ()),
        }
        self.outputs = _addresses(self.found.get("output"))
        self.job_id = id_in(self.found.get("id")) or _linked_id(self.found.get("fetch_result"))

    @property
    def has_picture(self) -> bool:
        return self.word in ("success", "ready") and bool(self.outputs)

    @property
    def is_complaint(self) -> bool:
        """Whether the text may be weighed at all: that of a running job may say anything."""
        if self.word in ("error", "failed") or self.status >= 400:
            return True
        known = any(row.codes & self.codes for row in ROWS)
        return not self.word and (known or bool(self.found.get("error")))

    @property
    def is_missing(self) -> bool:
        return self.status == 404 and self.is_object

    def by_words(self) -> Outcome | None:
        signs = self.codes | self._marks
        for row in ROWS if self.is_complaint else ():
            if row.codes & signs or any(text in self.small_text for text in row.texts):
                return row.outcome
        return None

    def by_status(self) -> Outcome | None:
        return next((row.outcome for row in ROWS if self.status in row.statuses), None)

    def trouble(self) -> Outcome | None:
        """FULL, ACCOUNT or ODD where it is about the call and not about what was asked for."""
        told = self.by_words() or (None if self.status == 404 else self.by_status())
        return told if told in (Outcome.FULL, Outcome.ACCOUNT, Outcome.ODD) else None

    def answer(self, outcome: Outcome) -> Answer:
        pause = number_in(self.found.get("retry_after", self._error.get("retry_after")))
        if pause is None:
            pause = number_in(self._headers.get("retry-after"))
        eta = number_in(self.found.get("eta"))
        words = self.text if self.is_object else f"no JSON object in {self._size} bytes"
        links = self.found.get("proxy_links")
        return Answer(
            outcome,
            job_id=self.job_id,
            outputs=self.outputs if outcome is Outcome.DONE else (),
            alternatives=_addresses(links) if outcome is Outcome.DONE else (),
            eta=min(eta, LONGEST_ETA) if eta and eta > 0 else DEFAULT_ETA,
            retry_after=None if pause is None else min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE),
            detail=_for_staff(f"HTTP {self.status}: {words}" if words else f"HTTP {self.status}"),
        )


def after_submit(seen: Seen) -> Outcome:
    """Contract §5, top to bottom: body first, HTTP status second, then what is left."""
    has_ended = seen.word in ("error", "failed")
    if seen.has_picture:
        return Outcome.DONE
    if seen.job_id and (has_ended or seen.word in ("success", "processing")):
        return Outcome.ACCEPTED  # also an error with an id: the first look decides
    if seen.word in ("success", "processing", "ready"):
        return Outcome.UNKNOWN
    if not has_ended and (seen.job_id or seen.outputs):  # a new word, but something was made
        return Outcome.UNKNOWN
    if seen.word == "failed" or (seen.is_complaint and "provider_error" in seen.codes):
        return Outcome.ENDED
    if told := seen.by_words() or seen.by_status():
        return told
    if seen.is_complaint and "is required" in seen.small_text:
        return Outcome.REFUSED  # below the status, because so loose a text must not hide a 401
    if seen.word == "error" and seen.status < 500 and seen.status != 408:
        return Outcome.ODD
    return Outcome.UNKNOWN


def after_look(seen: Seen) -> Outcome:
    """Contract §6. Trouble with the call says nothing about the job, even where it says failed."""
    if seen.has_picture:
        return Outcome.DONE
    if seen.word in ("success", "processing"):
        return Outcome.PROCESSING
    if seen.word in ("error", "failed") and "request not found" in seen.small_text:
        return Outcome.NOT_FOUND
    if told := seen.trouble():
        return Outcome.UNKNOWN if told is Outcome.ODD else told
    if seen.is_missing:
        return Outcome.NOT_FOUND
    return Outcome.FAILED if seen.word == "failed" else Outcome.UNKNOWN


def after_account_call(seen: Seen) -> Outcome:
    """DONE, FULL, ACCOUNT, REFUSED if the provider says no to this very wish, else UNKNOWN."""
    if seen.word == "success":
        return Outcome.DONE
    if told := seen.trouble():
        return told
    declined = seen.word in ("error", "failed") and seen.status < 500
    return Outcome.REFUSED if declined or seen.is_missing else Outcome.UNKNOWN


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def _texts(value: object) -> list[str]:
    """The strings inside lists and objects; without recursion, which deep answers would exhaust."""
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


def number_in(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def id_in(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    text = str(value).strip()  # "null" as a word is known from this provider's own pages
    return text if re.fullmatch(r"(?!(?:0|(?i:null))\Z)[A-Za-z0-9_-]{1,64}", text) else ""


def _linked_id(link: object) -> str:
    """The id at the end of `fetch_result`, believed only on our host; the link is not followed."""
    ours = re.escape(settings.FACE_GEN_URL)
    text = link if isinstance(link, str) else ""
    last = re.fullmatch(rf"{ours}(?:[\w-]+/)*fetch/([\w-]+)/?", text, re.ASCII)
    return id_in(last[1]) if last else ""


def _for_staff(text: str) -> str:
    """Vendor text made short, without addresses, our key and anything as long as a token."""
    if key := settings.MODELSLAB_API_KEY:
        text = text.replace(key, "…")
    near = text[: 20 * DETAIL_LENGTH]
    words = "".join(letter if letter.isprintable() else " " for letter in near).split()
    return " ".join("…" if SECRET.search(word) else word for word in words)[:DETAIL_LENGTH]
