"""Erasing: asking the provider to delete what it drew from a photo that is gone.

Knows the nouns and the client `face_gen`. The debt is a column of the attempt (`erase_due_at`), set
in the transaction that takes the photo away; it ends with the provider's answer, or when its files
have ended by themselves.
"""

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from avatars import face_gen
from avatars.models import Attempt, State
from avatars.models.attempts import RESULT_LIFE, Outcome

logger = logging.getLogger("likeness.files")

ASKED_AT_ONCE = 20
# Somebody still waits for the picture: the question comes after it.
STILL_WANTED_WAIT = timedelta(minutes=5)


def ask_due() -> int:
    """Everything that is to be asked now. Returns how many questions were answered. Stops at the
    first one without an answer: the provider is away, and each waits its own time.
    """
    answered = 0
    due = Attempt.objects.erasures_due(timezone.now()).select_related("request")[:ASKED_AT_ONCE]
    for attempt in due:
        try:
            answered += ask(attempt, timezone.now())
        except face_gen.Unavailable as away:
            logger.warning("erasure postponed", extra={"attempt": attempt.pk, "why": str(away)})
            break
    return answered


def ask(attempt: Attempt, now: datetime) -> bool:
    """Ask about one order, if its time has come. Raises face_gen.Unavailable; it is asked again
    later. True: the provider has said its last word.
    """
    if attempt.sent_at is None or attempt.sent_at + RESULT_LIFE <= now:
        attempt.close_erasure(attempt.erase_answered_at, erased=attempt.erased)
        return False
    if is_wanted(attempt):
        attempt.put_off_erasure(now + STILL_WANTED_WAIT)
        return False
    if not attempt.claim_erasure(now) or not attempt.provider_job_id:
        return False
    erased = face_gen.delete_image(attempt.provider_job_id)
    if erased or attempt.outcome == Outcome.DONE:
        attempt.close_erasure(now, erased=erased)
        return True
    # Perhaps it is not drawn yet: noted, and asked again until its files would have ended.
    Attempt.objects.filter(pk=attempt.pk).update(erase_answered_at=now, erased=False)
    return False


def is_wanted(attempt: Attempt) -> bool:
    """Whether the order's picture is still waited for: its photo may go, and the picture come."""
    request = attempt.request
    return request.is_open() or (request.state == State.FAILED and request.due_at is not None)
