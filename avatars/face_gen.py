"""The provider's client: an Order in, an Answer out, the key to one host alone.

May know the settings FACE_GEN_URL and MODELSLAB_API_KEY, `avatars.answers` and `avatars.exchange`.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from avatars.answers import (
    Answer,
    Outcome,
    Seen,
    after_account_call,
    after_look,
    after_submit,
    id_in,
    number_in,
    read_look,
    read_submit,
)
from avatars.exchange import (
    Address,
    Limits,
    NoAnswer,
    NoConnection,
    exchange,
    is_loopback,
    names_loopback,
)

__all__ = [
    "HOUSE_AVOID",
    "STEPS",
    "Answer",
    "Order",
    "Outcome",
    "Unavailable",
    "assets",
    "balance",
    "delete_image",
    "look",
    "processing_count",
    "read_look",
    "read_submit",
    "submit",
]

SUBMIT_SECONDS = 120.0  # beyond the 100 s after which their front proxy answers 524: we read that
LOOK_SECONDS = 10.0  # looks and account calls; nothing waits behind them
ANSWER_BYTES = 8 * 1024 * 1024  # an inline picture in base64 fits
LONGEST_PROMPT = 500
GREATEST_NUMBER = 2**31 - 1  # their seeds and track ids have 32 bits
ECHO_LENGTH = 12  # characters in a row that make vendor text an echo of somebody's words
MODEL = "ai-avatar-generatorface-gen"
STEPS = (21, 31, 41)  # satisfies both published readings, a range and a list of three

# No words for nakedness here, though they would fit: the provider's filter reads this field as
# well, and what it dislikes can suspend the whole account.
HOUSE_AVOID = {
    "realistic": "blurry, low quality, deformed face, extra fingers, extra limbs, text, watermark",
    "anime": "blurry, low quality, deformed face, extra fingers, extra limbs, text, watermark",
    "3d": "blurry, low quality, deformed face, extra fingers, flat lighting, text, watermark",
    "chibi": "blurry, low quality, deformed face, extra limbs, text, watermark",
    "comic": "blurry, low quality, deformed face, extra fingers, speech bubbles, text, watermark",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """One submission; ValueError if it cannot be sent as it is.

    `avoid` is a person's own words or ""; the house list of the style joins them. `face` is an
    address of ours or, when `inline`, the JPEG itself as a data URI; then no webhook can be had,
    and without one no track id is sent.
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
            raise ValueError(f"an order with this {' and '.join(unmet)} cannot be sent")

    def fields(self) -> dict[str, Any]:
        """The body of the submit but for the key: contract §2 and §3."""
        body = {
            "model_id": MODEL,
            "prompt": self.prompt.strip(),
            "negative_prompt": _avoid_words(f"{self.avoid},{HOUSE_AVOID[self.style]}"),
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


def _avoid_words(listed: str) -> str:
    """Each word once, in its first place and spelling."""
    once: dict[str, str] = {}
    for word in filter(None, map(str.strip, listed.split(","))):
        once.setdefault(word.casefold(), word)
    return ", ".join(once.values())


class Unavailable(Exception):
    """An account call that gave nothing usable; `outcome` says what stood in the way."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.outcome}: {answer.detail}")
        self.outcome = answer.outcome


def submit(order: Order) -> Answer:
    """Send one order, once: NOT_SENT, FULL, ACCOUNT, FACE_UNREACHABLE, ODD, REFUSED, DONE,
    ACCEPTED, ENDED or UNKNOWN, which may have been accepted.

    Takes up to SUBMIT_SECONDS. Raises ValueError if FACE_GEN_URL may not receive the key.
    """
    answer, _ = _ask("v6/image_editing/face_gen", order.fields(), SUBMIT_SECONDS, after_submit)
    return replace(answer, detail=_without_echo(answer.detail, order.prompt, order.avoid))


def look(job_id: str) -> Answer:
    """Ask for a job: DONE, PROCESSING, FAILED, NOT_FOUND, FULL, ACCOUNT or UNKNOWN.

    Generates nothing and may be repeated. Takes up to LOOK_SECONDS. Raises ValueError like submit.
    """
    answer, _ = _ask(f"v6/image_editing/fetch/{_plain(job_id)}", {}, LOOK_SECONDS, after_look)
    if answer.outcome is Outcome.NOT_SENT:
        return Answer(Outcome.UNKNOWN, job_id, detail=answer.detail)
    if answer.job_id not in ("", job_id):  # another job's picture shows another person's face
        return Answer(Outcome.UNKNOWN, job_id, detail="the answer names another job")
    return replace(answer, job_id=job_id)


def processing_count() -> int:
    """Jobs the provider has under way for the whole account; it allows 30 such calls a minute.

    This and the other calls about the account raise Unavailable when they give nothing usable.
    """
    return int(_account_number("v6/processing/request_count", "processing_count"))


def balance() -> float:
    """What is left in the account, in its own currency (USD in the provider's examples)."""
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
    ids = (id_in(entry.get("id")) for entry in entries if isinstance(entry, dict))
    return tuple(filter(None, ids))


def delete_image(job_id: str) -> bool:
    """Whether the provider says it deleted a job's picture; False if it said no to that."""
    try:
        _account("v3/delete_image", {"request_id": _plain(job_id), "type": "image"})
    except Unavailable as error:
        if error.outcome is Outcome.REFUSED:
            return False
        raise
    return True


def _account_number(route: str, *path: str) -> float:
    answer, value = _account(route, {})
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if (number := number_in(value)) is None:
        raise Unavailable(replace(answer, outcome=Outcome.UNKNOWN))
    return number


def _account(route: str, fields: Mapping[str, Any]) -> tuple[Answer, Any]:
    answer, found = _ask(route, fields, LOOK_SECONDS, after_account_call)
    if answer.outcome is not Outcome.DONE:
        raise Unavailable(answer)
    return answer, found


def _ask(
    route: str, fields: Mapping[str, Any], seconds: float, judge: Callable[[Seen], Outcome]
) -> tuple[Answer, dict[str, Any]]:
    """One POST with the key, which goes to the configured host alone; the answer and its fields.

    Neither bodies nor vendor texts are logged: the first hold the key and a face, the second may.
    """
    base = _base()
    body = json.dumps({"key": settings.MODELSLAB_API_KEY, **fields}).encode()
    allowed = is_loopback if base.scheme == "http" else _anywhere
    found: dict[str, Any] = {}
    began_at = monotonic()
    try:
        reply = exchange(
            "POST", base.geturl() + route, Limits(seconds, ANSWER_BYTES), allowed, body
        )
    except NoConnection as error:
        answer = Answer(Outcome.NOT_SENT, detail=str(error))
    except NoAnswer as error:
        answer = Answer(Outcome.UNKNOWN, detail=str(error))
    else:
        seen = Seen(reply.status, reply.headers, reply.body)
        answer, found = seen.answer(judge(seen)), seen.found
    log.info("%s: %s in %d ms", route, answer.outcome, (monotonic() - began_at) * 1000)
    return answer, found


def _base() -> SplitResult:
    """Where the key may go: https, or http on this machine. ValueError for anything else."""
    parts = urlsplit(settings.FACE_GEN_URL)
    host = parts.hostname or ""
    if not host or not (
        parts.scheme == "https" or (parts.scheme == "http" and names_loopback(host))
    ):
        raise ValueError("FACE_GEN_URL must be https; plain http is for this machine alone")
    odd = "@" in parts.netloc or parts.query or parts.fragment or parts.port == 0
    if odd or not parts.path.endswith("/"):
        raise ValueError("FACE_GEN_URL must be a plain address that ends with a slash")
    return parts


def _anywhere(_: Address) -> bool:
    return True  # the certificate says who it is


def _plain(job_id: str) -> str:
    if not job_id or id_in(job_id) != job_id:
        raise ValueError("not a job id")
    return job_id


def _without_echo(detail: str, *own: str) -> str:
    """The same, unless it repeats what a person wrote: prompts are theirs, not for staff lists."""
    told = " ".join(detail.casefold().split())
    for text in own:
        words = " ".join(text.casefold().split())
        whole = rf"(?<!\w){re.escape(words)}(?!\w)"  # a short one may be a part of any word
        pieces = (words[at : at + ECHO_LENGTH] for at in range(len(words) - ECHO_LENGTH + 1))
        if (words and re.search(whole, told)) or any(piece in told for piece in pieces):
            return "withheld: it repeats the prompt"
    return detail
