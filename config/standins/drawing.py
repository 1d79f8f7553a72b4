"""Draws the pictures of the face_gen stand-in: the sent face, treated in one of five styles.

Knows Pillow, NumPy, the sitting and the treatments; nothing of ours and no Django.
"""

import hashlib
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from PIL.PngImagePlugin import PngInfo

from config.standins.sitting import (
    NotAPicture,
    Pixels,
    Sitting,
    as_lab,
    blurred,
    find_faces,
    read,
    sit,
    spread,
)
from config.standins.treatments import TREATMENTS, as_rgb

__all__ = ["STYLES", "NotAPicture", "count_faces", "draw", "portrait"]

STYLES = tuple(TREATMENTS)
SMOOTHING = {21: 2, 31: 3, 41: 4}  # passes by steps
GRAIN = {21: 2.0, 31: 1.6, 41: 1.3}  # standard deviation of 255; makes a PNG of 0.6–0.8 MB
INK, PAPER = (27, 26, 23), (251, 250, 248)


def draw(
    photo: bytes,
    *,
    prompt: str,
    style: str,
    steps: int,
    seed: int,
    width: int = 512,
    height: int = 768,
    job: str,
) -> bytes:
    """A PNG of `width` × `height` pixels, drawn from the widest face of `photo`.

    Equal arguments give equal bytes; `job` only stands on the plate and in the text entry
    "Description". Without a face, the place where one usually is gets drawn.
    Raises NotAPicture if `photo` cannot be read, KeyError for an unknown style.
    """
    said = repr((hashlib.sha256(photo).digest(), prompt, style, steps, seed, width, height))
    chance = np.random.default_rng(int.from_bytes(hashlib.sha256(said.encode()).digest()))
    effort = min(SMOOTHING, key=lambda known: abs(known - steps))
    sitting = sit(read(photo), style, width, height, SMOOTHING[effort], chance)
    drawn = _relit(sitting, _joined(sitting, *TREATMENTS[style](sitting))) * 255
    drawn += GRAIN[effort] * chance.standard_normal(drawn.shape, np.float32)
    image = Image.fromarray(np.uint8(np.clip(np.round(drawn), 0, 255)))
    words = f"LOCAL STAND-IN · {style} · seed {seed} · job {job}"
    _fix_plate(image, words)
    entry = PngInfo()
    entry.add_text("Description", words)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1, pnginfo=entry)
    return out.getvalue()


def count_faces(image: bytes) -> int:
    """How many faces are surely in the picture. Raises NotAPicture if it cannot be read."""
    return len(find_faces(read(image)))


def _joined(s: Sitting, person: Pixels, backdrop: Pixels) -> Pixels:
    """The person before the backdrop. Along the edge the colours come from further inside,
    because there the photo's own background shines through."""
    inside = np.clip(1.5 * _eroded(s.person, 5) - 0.5, 0, 1)
