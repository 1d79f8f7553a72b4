"""The switches of the face_gen stand-in: their names, what each may be set to, and who sets them.

Knows the standard library alone.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Self

FLAG = "on|off"
SPAN = "off|n.n"  # a scenario that lasts, or waits, so many seconds
PATTERNS = {"n": r"\d+", "n.n": r"\d+(?:\.\d+)?"}

# Name: what it is unless set, and what it may be; n stands for a whole number, n.n for any.
SWITCHES: dict[str, tuple[str, str]] = {
    # Speed
    "delay": ("4", "n.n"),  # seconds to draw; also the eta
    "file-delay": ("0", "n.n"),  # seconds from success until the file can be read
    "parallel": ("cap", "cap|n"),  # jobs of one account drawn at once, first in first out
    "draw": ("full", "full|plain"),
    "cap": ("5", "n"),  # unfinished jobs of one account; more are refused
    "price": ("0.02", "n.n"),  # dollars a job; the real price is not known
    # Submit, no job made
    "429": ("off", FLAG),
    "429-in-200": ("off", FLAG),
    "spam": ("off", FLAG),  # an identical body within 30 s is refused
    "invalid": ("off", FLAG),
    "invalid-object": ("off", FLAG),
    "no-route": ("off", FLAG),
    "no-credit": ("off", FLAG),
    "no-plan": ("off", FLAG),
    "error-unknown": ("off", FLAG),
    "500": ("off", FLAG),
    "503": ("off", FLAG),
    "html502": ("off", FLAG),
    "hang-before": ("off", SPAN),  # silence for so long, then the line is cut
    "drop-before": ("off", FLAG),
    # Submit, job made
    "sync": ("off", FLAG),
    "hang-after": ("off", SPAN),  # silence for so long, then the usual answer
    "drop-after": ("off", FLAG),
    "html524": ("off", FLAG),
    "500-after": ("off", FLAG),
    "truncated": ("off", FLAG),
    "wrong-content-type": ("off", FLAG),
    "no-id": ("off", FLAG),
    "no-status": ("off", FLAG),
    "failed-now": ("off", FLAG),
    # Shape
    "id": ("int", "int|string"),
    "eta": ("int", "int|float|0|absent|huge|nan"),
    "output": ("list", "list|empty-string"),
    "message-key": ("message", "message|messege"),
    "validation": ("string", "string|object"),
    "errors": ("docs", "docs|always200"),
    "codes": ("off", FLAG),
    "strict": ("off", FLAG),
    "retry-after": ("30", "absent|n"),
    "no-fetch-result": ("off", FLAG),
    "foreign-fetch-result": ("off", FLAG),
    "proxy-links": ("list", "list|empty|null|absent|object"),
    # Look: what a fetch answers whatever the job's state is
    "look": ("usual", "usual|429|500|html502|invalid-key|unknown-word|error|drop|hang"),
    # Generation
    "stuck": ("off", FLAG),
    "fail": ("off", "on|off|n.n"),
    "not-found": ("off", SPAN),
    "forgotten": ("off", FLAG),
    "empty-success": ("off", "off|n"),  # looks
    "late": ("off", SPAN),  # beyond the delay; the eta does not say so
    "noface": ("picture", "picture|fail|error"),
    # File
    "late404": ("off", SPAN),
    "late403": ("off", SPAN),
    "gone": ("off", FLAG),
    "proxy-only": ("off", FLAG),
    "html-file": ("off", FLAG),
    "short": ("off", SPAN),  # half the file for so many seconds
    "jpeg-as-png": ("off", FLAG),
    "webp": ("off", FLAG),
    "text-plain": ("off", FLAG),
    "black": ("off", FLAG),
    "blur": ("off", FLAG),  # what the safety checker does instead of black, if it is told to
    "two": ("off", FLAG),
    "wrong-size": ("off", FLAG),
    "bomb": ("off", FLAG),
    "huge": ("off", "off|n"),  # megabytes
    "drip": ("off", FLAG),  # a byte a second
    "redirect": ("off", "off|decoy|metadata"),
    "foreign-host": ("off", FLAG),
    "base64": ("prefixed", "prefixed|bare|inline"),
    # Webhook
    "hook": (
        "once",
        "once|twice|early|late=n.n|never|failed|forged|foreign-id|garbage|string-track",
    ),
    "hook-on-sync": ("on", FLAG),
    # Face fetch
    "face": ("at-submit", "at-submit|at-start|never"),
    "face-fetches": ("1", "n"),
    "face-follows": ("off", FLAG),
    "strict-urls": ("off", FLAG),  # on: https and a host name, as the real one demands
    "bare-base64": ("off", FLAG),
}

# Keys that behave. Every other non-empty key is simply an account of its own.
INVALID_KEY = "test-invalid"
KEYS: dict[str, str] = {
    "test-nocredit": "no-credit",
    "test-noplan": "no-plan",
    "test-ratelimit": "429",
    "test-slots-10": "cap=10",
    "test-slots-15": "cap=15",
    "test-strict": "strict",
    "test-always200": "errors=always200",
}

TOKEN = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


class UnknownSwitch(ValueError):
    """A name, or a value, that no switch has; the text names it."""


class Switches(Mapping[str, str]):
    """A full set of switches. Never changed: setting one gives a new set."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = {name: default for name, (default, _) in SWITCHES.items()}
        self._values.update(values or {})

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def over(self, wanted: Mapping[str, object]) -> Self:
        """These switches with the wanted ones set over them.

        Names may be written with `_` for `-`, flags given as booleans. Raises UnknownSwitch.
        """
        values = dict(self._values)
        for given, value in wanted.items():
            name, word = _checked(given, value)
            values[name] = word
        return type(self)(values)

    def is_on(self, name: str) -> bool:
        return self[name] == "on"

    def seconds(self, name: str) -> float:
        """The number a switch is set to; 0 while it is off."""
        return 0.0 if self[name] in ("off", "on") else float(self[name])

    def scenario(self) -> dict[str, str]:
        """Whatever differs from the defaults: what makes a job unlike the others."""
        return {name: word for name, word in self.items() if word != SWITCHES[name][0]}


def parse(text: str) -> dict[str, str]:
    """`"delay=0.05 strict=on stuck"` as names and words, for `Switches.over`."""
    return dict(_split(part) for part in text.split())


def tokens(prompt: str) -> dict[str, str]:
    """The switches a prompt carries: each `[[name]]` or `[[name=value]]` in it."""
    return dict(_split(found.strip()) for found in TOKEN.findall(prompt))


def _split(setting: str) -> tuple[str, str]:
    name, equals, word = setting.partition("=")
    return name.strip(), word.strip() if equals else "on"


def _checked(given: str, value: object) -> tuple[str, str]:
    name = given.replace("_", "-")
    if name not in SWITCHES:
        raise UnknownSwitch(f"The stand-in knows no scenario “{given}”.")
    word = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    if not any(_fits(word, allowed) for allowed in SWITCHES[name][1].split("|")):
        raise UnknownSwitch(f"The stand-in's scenario “{name}” cannot be “{word}”.")
    return name, word


def _fits(word: str, allowed: str) -> bool:
    fixed, equals, kind = allowed.rpartition("=")
    if kind not in PATTERNS:
        return word == allowed
    return re.fullmatch(re.escape(fixed + equals) + PATTERNS[kind], word) is not None
