"""The mail of a clone: printed, kept in .local/mail, and read at /dev/mail/ (DEBUG only).

Knows settings alone. So a newcomer finishes sign-up without leaving the browser.
"""

import email
import re
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage as ParsedMail
from email.policy import default as default_policy
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

SHOWN = 50
LINK = re.compile(r"https?://[^\s<>\"]+")


def folder() -> Path:
    path = settings.LOCAL_DIR / "mail"
    path.mkdir(parents=True, exist_ok=True)
    return path


class Mailbox(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            raw = message.message().as_bytes()
            # Newest first by name; the random part keeps two of the same instant apart.
            name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.eml"
            (folder() / name).write_bytes(raw)
            sys.stderr.write(
                f"\n── mail to {', '.join(message.to)}: {message.subject}\n{message.body}\n──\n"
            )
        return len(email_messages)


@dataclass(frozen=True)
class Letter:
    to: str
    subject: str
    date: str
    body: str
    links: list[str]


def letters() -> list[Letter]:
    """The newest mails of this clone, newest first."""
    paths = sorted(folder().glob("*.eml"), reverse=True)[:SHOWN]
    return [read(path) for path in paths]


def read(path: Path) -> Letter:
    mail = email.message_from_bytes(path.read_bytes(), policy=default_policy)
    part = mail.get_body(("plain",)) if isinstance(mail, ParsedMail) else None
    body = part.get_content().strip() if part is not None else ""
    return Letter(
        to=str(mail["To"]),
        subject=str(mail["Subject"]),
        date=str(mail["Date"]),
        body=body,
        links=LINK.findall(body),
    )


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "dev_mail.html", {"letters": letters()})
