"""The nouns of avatars: photos, requests, attempts, pictures and the journal of their files.

Everybody above imports from here; these modules know accounts.models, storage and each other.
"""

from avatars.models.attempts import Attempt, Breaker, Heartbeat
from avatars.models.avatar_requests import MOVES, AvatarRequest, Quality, Reason, State, Style
from avatars.models.avatars import Avatar
from avatars.models.evidence import Evidence
from avatars.models.exports import Export
from avatars.models.files import FileState, StoredFile
from avatars.models.pace import Pace, pace
from avatars.models.photos import FacePhoto, Gone, Keep, KeepDefault
from avatars.models.reviews import ReviewItem, ReviewKind, ReviewOutcome
from avatars.models.rules import Category, ScreeningRule
from avatars.models.shares import Period, Share
from avatars.models.takedowns import BlockedPicture, Removal, Takedown

__all__ = [
    "MOVES",
    "Attempt",
    "Avatar",
    "AvatarRequest",
    "BlockedPicture",
    "Breaker",
    "Category",
    "Evidence",
    "Export",
    "FacePhoto",
    "FileState",
    "Gone",
    "Heartbeat",
    "Keep",
    "KeepDefault",
    "Pace",
    "Period",
    "Quality",
    "Reason",
    "Removal",
    "ReviewItem",
    "ReviewKind",
    "ReviewOutcome",
    "ScreeningRule",
    "Share",
    "State",
    "StoredFile",
    "Style",
    "Takedown",
    "pace",
]
