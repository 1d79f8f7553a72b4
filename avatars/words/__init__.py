"""Words: the one place where codes of the house become sentences for people. An edge.

Pages, letters and tiles say `words.…`; these modules know the nouns and the verbs' errors.
"""

from avatars.words.appeals import ANSWER_HOURS, appeal_answer, decided_against, why_removed
from avatars.words.consents import AGREE, PERSON, consent_body, consent_text
from avatars.words.endings import (
    ENDINGS,
    NO_CREDITS_USED,
    Step,
    credits,
    credits_back,
    credits_charged,
    credits_held,
    next_step,
    reason_sentence,
)
from avatars.words.photos import (
    BLOCKS,
    MEGABYTE,
    PHOTO_BLOCKED,
    PHOTO_GONE,
    PHOTO_MISSING,
    PHOTO_REFUSALS,
    STORAGE_AWAY,
    WARNINGS,
    Judgement,
    judgement,
    photo_refusal,
)
from avatars.words.reviews import (
    IN_REVIEW,
    REASONS,
    rejected,
    removed,
    review_until,
    why_ended,
)
from avatars.words.sharing import (
    SHARE_REFUSALS,
)
from avatars.words.states import (
    STATUS,
    Status,
    Words,
    status,
)
from avatars.words.waiting import (
    about,
    drawing,
    duration,
    place,
    so_far,
    tab_place,
    wait_in_line,
)
from avatars.words.wishes import (
    CATEGORIES,
    FORM_TOO_OLD,
    barred,
    not_enough,
    refusal,
    too_fast,
    welcome,
    words_missing,
)

__all__ = [
    "AGREE",
    "ANSWER_HOURS",
    "BLOCKS",
    "CATEGORIES",
    "ENDINGS",
    "FORM_TOO_OLD",
    "IN_REVIEW",
    "MEGABYTE",
    "NO_CREDITS_USED",
    "PERSON",
    "PHOTO_BLOCKED",
    "PHOTO_GONE",
    "PHOTO_MISSING",
    "PHOTO_REFUSALS",
    "REASONS",
    "SHARE_REFUSALS",
    "STATUS",
    "STORAGE_AWAY",
    "WARNINGS",
    "Judgement",
    "Status",
    "Step",
    "Words",
    "about",
    "appeal_answer",
    "barred",
    "consent_body",
    "consent_text",
    "credits",
    "credits_back",
    "credits_charged",
    "credits_held",
    "decided_against",
    "drawing",
    "duration",
    "judgement",
    "next_step",
    "not_enough",
    "photo_refusal",
    "place",
    "reason_sentence",
    "refusal",
    "rejected",
    "removed",
    "review_until",
    "so_far",
    "status",
    "tab_place",
    "too_fast",
    "wait_in_line",
    "welcome",
    "why_ended",
    "why_removed",
    "words_missing",
]
