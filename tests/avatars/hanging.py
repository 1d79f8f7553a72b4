"""Avatars on somebody's wall, for the tests of gallery, viewer and trash.

Knows the factories and imaging.
"""

import io
import uuid

from PIL import Image

from avatars import imaging
from avatars.models import Avatar, State, Style
from tests import factories

MARK = "0123456789abcdef0123456789abcdef"


def hang(user, prompt="as a lighthouse keeper", **fields) -> Avatar:
    """One avatar on somebody's wall, made by a request of that style and description."""
    style = fields.pop("style", Style.ANIME)
    wish = factories.create_request_in(State.READY, user, prompt=prompt, style=style)
    alt = f"{style.label} avatar: {prompt}"
    return factories.create_avatar(user, wish, **{"alt": alt, **fields})


def drawn() -> bytes:
    """A master as the delivery stores it, with its mark."""
    stripes = Image.linear_gradient("L").resize((512, 768)).convert("RGB")
    stripes.paste("white", (100, 100, 400, 400))
    raw = io.BytesIO()
    stripes.save(raw, "PNG")
    return imaging.render_avatar(raw.getvalue(), mark_id=MARK).master


def hang_drawn(user, **fields) -> Avatar:
    return hang(user, file=factories.create_file(user, "avatars", "webp", drawn()), **fields)


def shown(response) -> list[uuid.UUID]:
    return [tile["avatar"]["public_id"] for tile in response.context["tiles"]]
