"""What a submit to the face_gen stand-in asks for: fields made even, breaches of ranges noted.

Knows the errors of `answers`; nothing of jobs, files or switches.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from config.standins.answers import Refused

MODEL = "ai-avatar-generatorface-gen"
STYLES = ("realistic", "anime", "3d", "chibi", "comic")
STEPS = (21, 31, 41)
CHECKER_TYPES = ("black", "blur", "sensitive_content_text", "pixelate")
LARGEST_SEED = 2**32 - 1

# Lowest and highest value of each number, as docs.modelslab.com/image-editing/face-gen gives them
# (state of 2026-05); the seed is in its examples only.
RANGES: dict[str, tuple[float, float]] = {
    "width": (1, 512),
    "height": (1, 768),
    "samples": (1, 2),
    "guidance_scale": (1, 20),
    "s_scale": (0, 2),
    "seed": (0, LARGEST_SEED),
}
WHOLE = ("width", "height", "samples", "seed", "num_inference_steps")
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
KNOWN = (
    *("key", "model_id", "prompt", "negative_prompt", "face_image", "style", "width", "height"),
    *("num_inference_steps", "samples", "guidance_scale", "s_scale", "seed", "base64"),
    *("safety_checker", "safety_checker_type", "webhook", "track_id"),
)


@dataclass
class Order:
    """A submit, made even. Absent numbers have the provider's defaults, where it names any."""

    prompt: str
    face_image: str
    negative_prompt: str = ""
    style: str = "realistic"
    num_inference_steps: int = 21
    # Left out, the size of the face image counts, within these bounds; we take the bounds.
    width: int = 512
    height: int = 768
    samples: int = 1
    guidance_scale: float = 7.5
    s_scale: float = 1.0
    safety_checker: bool = False
    safety_checker_type: str = "sensitive_content_text"
    base64: bool = False
    seed: int | None = None
    webhook: str = ""
    track_id: int | str | None = None
    violations: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)  # fields this service does not know

    @property
    def face_is_inline(self) -> bool:
        return not self.face_image.startswith(("http://", "https://"))

    def recorded(self) -> dict[str, Any]:
        """What the log may hold: everything but an inline face."""
        record = asdict(self)
        del record["violations"], record["noted"]
        if self.face_is_inline:
            record["face_image"] = ""
        return record


def absent(value: object) -> bool:
    """Absent, null, empty and the model page's string "null" are the same."""
    return value is None or value in ("", "null")


def read(body: Mapping[str, Any]) -> Order:
    """The order in a submit's body.

    Never refuses: a value that cannot be used is noted as a violation and left at its default, so
    that foreign clients run; `demand` refuses.
    """
    given = {name: value for name, value in body.items() if not absent(value)}
    order = Order(prompt=_text(given.get("prompt")), face_image=_text(given.get("face_image")))
    order.noted = sorted(set(body) - set(KNOWN))
    breaches = order.violations
    if given.get("model_id", MODEL) != MODEL:
        breaches.append(f"model_id: not {MODEL}")
    breaches += [
        f"{name}: not a text"
        for name in ("prompt", "face_image", "negative_prompt", "webhook")
        if name in given and not isinstance(given[name], str)
    ]
    order.negative_prompt = _text(given.get("negative_prompt"))
    order.webhook = _text(given.get("webhook"))
    style = _text(given.get("style")).strip().lower()
    if style and style not in STYLES:
        breaches.append(f"style: not one of {', '.join(STYLES)}")
    order.style = style if style in STYLES else order.style
    _read_numbers(given, order)
    for name in ("safety_checker", "base64"):
        if name in given:
            truth = TRUTHS.get(str(given[name]).strip().lower())
            if truth is None:
                breaches.append(f"{name}: not true or false")
            else:
                setattr(order, name, truth)
    if "safety_checker_type" in given:
        order.safety_checker_type = _text(given["safety_checker_type"])
        if order.safety_checker_type not in CHECKER_TYPES:
            breaches.append(f"safety_checker_type: not one of {', '.join(CHECKER_TYPES)}")
    if "track_id" in given:
        if isinstance(given["track_id"], int | str):
            order.track_id = given["track_id"]
        else:
            breaches.append("track_id: not a number or a text")
    return order


def demand(order: Order, *, bare_base64: bool, strict: bool) -> None:
    """Raises Refused for what is missing and, if `strict`, for the first violation."""
    for name in ("prompt", "face_image"):
        if not getattr(order, name):
            raise Refused("validation", f"The {name} field is required.", field=name)
    inline = order.face_is_inline
    if inline and not order.base64:
        text = "The face image must be a valid url when base64 is false."
        raise Refused("validation", text, field="face_image")
    if inline and not order.face_image.startswith("data:image/") and not bare_base64:
        text = "The face image must be a valid base64 image."
        raise Refused("validation", text, field="face_image")
    if strict and order.violations:
        name, _, why = order.violations[0].partition(": ")
        raise Refused("validation", f"The {name} field is invalid: {why}.", field=name)


def _read_numbers(given: Mapping[str, Any], order: Order) -> None:
    for name in (*RANGES, "num_inference_steps"):
        if name not in given:
            continue
        number = _number(given[name], whole=name in WHOLE)
        if number is None:
            order.violations.append(f"{name}: not a number")
            continue
        if name == "num_inference_steps":
            if number not in STEPS:
                order.violations.append(f"{name}: {number} is not one of 21, 31, 41")
        elif not RANGES[name][0] <= number <= RANGES[name][1]:
            lowest, highest = RANGES[name]
            order.violations.append(f"{name}: {number} is not within {lowest} and {highest}")
            if name in ("width", "height", "samples"):  # never draw what no picture can be
                number = int(min(max(number, lowest), highest))
        setattr(order, name, number)


def _number(value: object, *, whole: bool) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if number != number or abs(number) == float("inf"):
        return None
    if number == int(number) and (whole or isinstance(value, int)):
        return int(number)
    return None if whole else number


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
