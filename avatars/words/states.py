"""A state of a request as word, icon and tone, for badge, tile, page and letter alike.

Knows requests.
"""

from dataclasses import dataclass

from django.utils.functional import Promise

from avatars.models import AvatarRequest, State

Words = str | Promise


@dataclass(frozen=True)
class Status:
    """How a state is shown: never by colour alone."""

    word: Words
    icon: str
    tone: str


DRAWING = ("brush", "accent")
LOOKS: dict[State, tuple[str, str]] = {
    State.HELD: ("scan-eye", "info"),
    State.QUEUED: ("clock", "muted"),
    State.SENDING: DRAWING,
    State.UNCERTAIN: DRAWING,
    State.GENERATING: DRAWING,
    State.STORING: ("save", "accent"),
    State.READY: ("check", "ok"),
    State.FAILED: ("rotate-ccw", "bad"),
    State.CANCELLED: ("x", "muted"),
    State.REJECTED: ("shield-x", "bad"),
}
STATUS = {state: Status(state.label, *look) for state, look in LOOKS.items()}


def status(avatar_request: AvatarRequest) -> Status:
    """Word, icon and tone of a request, for badge, tile, page and letter alike."""
    return STATUS[State(avatar_request.state)]
