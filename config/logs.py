"""Log lines: one an event, in words or as JSON, with secrets masked wherever they come from.

Knows Django's error reporter alone. A path with a token, a signature, a key or a person's words
never reaches a line: the mask is the last wall, behind code that does not log them at all.
"""

import json
import logging
import re
from typing import Any

from django.http import HttpRequest
from django.utils.html import conditional_escape
from django.utils.log import AdminEmailHandler
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter

MASKS = (
    (re.compile(r"(/webhooks/provider/)[^/\s\"']+"), r"\1…"),
    (re.compile(r"(/p/face/)[^/\s\"']+"), r"\1…"),
    (re.compile(r"(/m/signed/)[^\s\"']+"), r"\1…"),
    (re.compile(r"((?<!\w)/s/|/safety/report/)[^/\s\"'?]+"), r"\1…"),
    # PostgreSQL tells the whole row that a constraint refused: addresses and words of a person.
    (re.compile(r"(DETAIL:).*?(?=\n\nThe above|\n\nDuring handling|\Z)", re.DOTALL), r"\1 …"),
    (re.compile(r"([?&](?:s|X-Amz-Signature|X-Amz-Credential|code|key)=)[^&\s\"']+"), r"\1…"),
    (re.compile(r"(key\\?[\"']?\s*[:=]\s*\\?[\"']?)[A-Za-z0-9_-]{8,}"), r"\1…"),
    (re.compile(r"\b(sk|rk|whsec)_[A-Za-z0-9_]+"), r"\1_…"),
    (re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+"), "data:image/…"),
)
# Where a request keeps its number (META: what comes with a request but not from its sender).
REQUEST_ID = "likeness.request_id"
# What a LogRecord holds by itself; everything else came as `extra` and is part of the event.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def mask(text: str) -> str:
    for pattern, replacement in MASKS:
        text = pattern.sub(replacement, text)
    return text


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """The event's own numbers and names; an HTTP request is named by method, path and number."""
    told = {name: value for name, value in vars(record).items() if name not in STANDARD}
    request = told.get("request")
    if isinstance(request, HttpRequest):
        told["request"] = f"{request.method} {request.path}"
        told["request_id"] = request.META.get(REQUEST_ID, "")
    return told


class ConsoleFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        told = " ".join(f"{name}={value}" for name, value in facts(record).items())
        return mask(f"{super().format(record)} {told}".rstrip())


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **{name: str(value) for name, value in facts(record).items()},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Before they are written: JSON escapes the quotes and ends of lines that masks look for.
        told = {name: mask(text) for name, text in line.items()}
        return json.dumps(told, ensure_ascii=False)


class StaffMail(AdminEmailHandler):
    """A call to staff. Its subject is the log line's own words, masked like the line itself."""

    def format_subject(self, subject: str) -> str:
        return mask(super().format_subject(subject))


class MaskedReporter(ExceptionReporter):
    """Mails to staff about errors hold no frames, cookies or fields: only what went wrong where."""

    def get_traceback_text(self) -> SafeString:
        said = mask(f"{self.exc_type}: {self.exc_value}\n(see the log for the traceback)")
        return conditional_escape(said)

    def get_traceback_html(self) -> SafeString:
        return self.get_traceback_text()
