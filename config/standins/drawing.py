"""Draws the pictures of the face_gen stand-in: the sent face, treated in one of five styles.

Knows Pillow, NumPy, OpenCV, the sitting and the treatments; nothing of ours and no Django.
"""

import hashlib
import io

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps
from PIL.PngImagePlugin import PngInfo

from config.standins.sitting import (
    NotAPicture,
    Pixels,
    Sitting,
    as_lab,
    as_rgb,
    blurred,
    find_faces,
    octets,
    read,
    sit,
    spread,
)
from config.standins.treatments import TREATMENTS, Brush

__all__ = ["STYLES", "NotAPicture", "count_faces", "draw", "portrait"]

STYLES = tuple(TREATMENTS)
SMOOTHING = {21: 2, 31: 3, 41: 4}  # passes by steps
GRAIN = {21: 1.9, 31: 1.6, 41: 1.3}  # standard deviation of 255; makes a PNG of 0.6–0.8 MB
HUE_PLAY = 9  # degrees to either side of the chosen hues
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
    "Comment". Without a face, the place where one usually is gets drawn.
    Raises NotAPicture if `photo` cannot be read, KeyError for an unknown style.
    """
    said = repr((hashlib.sha256(photo).digest(), prompt, style, steps, seed, width, height))
    chance = np.random.default_rng(int.from_bytes(hashlib.sha256(said.encode()).digest()))
    effort = min(SMOOTHING, key=lambda known: abs(known - steps))
    treatment = TREATMENTS[style]
    hues = chance.choice(treatment.hues) + chance.uniform(-HUE_PLAY, HUE_PLAY, 2)
    brush = Brush(chance, hues / 360, SMOOTHING[effort])
    large = treatment.large_head
    sitting = sit(
        read(photo), width, height, chance, eye_swell=treatment.eye_swell, large_head=large
    )
    drawn = _relit(sitting, _joined(sitting, *treatment.draw(sitting, brush))) * 255
    drawn += GRAIN[effort] * chance.standard_normal(drawn.shape, np.float32)
    image = Image.fromarray(octets(np.clip(np.round(drawn), 0, 255)))
    words = f"LOCAL STAND-IN · {style} · seed {seed} · job {job}"
    _fix_plate(image, words)
    entry = PngInfo()
    entry.add_text("Comment", words)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1, pnginfo=entry)
    return out.getvalue()


def count_faces(image: bytes) -> int:
    """How many faces are surely in the picture. Raises NotAPicture if it cannot be read."""
    return len(find_faces(read(image)))


def _joined(s: Sitting, person: Pixels, backdrop: Pixels) -> Pixels:
    """The person before the backdrop. The colours of the edge come from further inside, because
    along it the photo's own background shines through."""
    inside = np.clip(1.5 * cv2.erode(s.person, np.ones((5, 5))) - 0.5, 0, 1)
    known = np.clip(20 * blurred(inside, 4), 0, 1)
    own = np.maximum(blurred(inside, 1.2), 1 - known)[..., None]
    person = person * own + spread(person, inside, 4) * (1 - own)
    return backdrop + (person - backdrop) * s.person[..., None]


def _relit(s: Sitting, drawn: Pixels) -> Pixels:
    """The person with the face as light as in the photo: no style lightens or darkens people.

    By a power of the lightness, which leaves ink black and paper white.
    """
    lab = as_lab(drawn)
    wanted = as_lab(s.picture[s.face.box()])[..., 0].mean()
    face = lab[s.face.box()][..., 0] / 100
    low, high = 0.3, 3.0
    for _ in range(12):
        power = np.sqrt(low * high)
        low, high = (power, high) if 100 * (face**power).mean() > wanted else (low, power)
    lightness = lab[..., 0]
    lab[..., 0] += (100 * (np.maximum(lightness, 0) / 100) ** power - lightness) * s.person
    return as_rgb(lab)


def _fix_plate(image: Image.Image, words: str) -> None:
    """In the lower left corner, opaque; smaller letters where the picture is narrow."""
    pen = ImageDraw.Draw(image)
    size = min(13.0, 13.0 * (image.width - 16) / pen.textlength(words, ImageFont.load_default(13)))
    font = ImageFont.load_default(max(6.0, size))
    plate = (0, image.height - round(size * 1.9), pen.textlength(words, font) + size, image.height)
    pen.rectangle(plate, fill=INK)
    pen.text((size / 2, image.height - size * 0.95), words, PAPER, font, anchor="lm")


# The built-in portrait

HAIR, SKIN, SHADE, LINE = (58, 38, 30), (205, 146, 112), (176, 118, 88), (46, 30, 25)
LIP, WHITE = (168, 88, 82), (246, 240, 234)
WHOLE: tuple[int, ...] = ()
# Shape, corners of its box in a picture of 640 × 800, angles in degrees, colour, softness.
STROKES = (
    ("ellipse", (150, 70, 490, 520), WHOLE, HAIR, 2),
    ("rectangle", (158, 300, 482, 630), WHOLE, HAIR, 9),
    ("ellipse", (40, 590, 600, 1100), WHOLE, (28, 98, 92), 2),  # pullover
    ("rectangle", (262, 470, 378, 620), WHOLE, SHADE, 3),  # neck
    ("ellipse", (246, 565, 394, 655), WHOLE, SHADE, 2),
    ("ellipse", (262, 470, 378, 560), WHOLE, (146, 92, 68), 10),
    ("ellipse", (205, 130, 435, 450), WHOLE, SHADE, 2),  # head, darker where it turns away
    ("ellipse", (226, 280, 414, 506), WHOLE, SHADE, 2),
    ("ellipse", (222, 150, 418, 470), WHOLE, SKIN, 12),
    ("ellipse", (246, 300, 394, 494), WHOLE, SKIN, 10),
    ("ellipse", (234, 356, 286, 408), WHOLE, (218, 150, 120), 12),  # cheeks
    ("ellipse", (354, 356, 406, 408), WHOLE, (218, 150, 120), 12),
    ("ellipse", (270, 205, 370, 262), WHOLE, (224, 170, 138), 18),  # brow
    ("chord", (192, 100, 448, 400), (205, 335), HAIR, 3),  # fringe
    *(
        (shape, (left + x, top, right + x, bottom), angles, colour, softness)
        for x in (0, 94)  # one eye, then the other
        for shape, (left, top, right, bottom), angles, colour, softness in (
            ("ellipse", (240, 272, 306, 322), WHOLE, (146, 90, 66), 9),
            ("ellipse", (249, 291, 299, 315), WHOLE, (236, 228, 220), 1),
            ("ellipse", (261, 289, 287, 317), WHOLE, (74, 50, 36), 1),
            ("ellipse", (268, 296, 280, 309), WHOLE, (16, 12, 12), 1),
            ("ellipse", (275, 294, 281, 300), WHOLE, (255, 255, 255), 1),
            ("arc", (244, 286, 303, 330), (195, 345), LINE, 1),
            ("arc", (236, 258, 308, 306), (208, 332), LINE, 2),
        )
    ),
    ("ellipse", (296, 300, 344, 392), WHOLE, (184, 124, 94), 8),  # nose
    ("ellipse", (308, 290, 326, 378), WHOLE, (226, 174, 142), 6),
    ("ellipse", (300, 374, 316, 386), WHOLE, (112, 64, 50), 3),
    ("ellipse", (324, 374, 340, 386), WHOLE, (112, 64, 50), 3),
    ("ellipse", (270, 412, 370, 452), WHOLE, (190, 116, 96), 7),
    ("chord", (274, 394, 366, 456), (8, 172), LIP, 2),
    ("chord", (284, 402, 356, 442), (10, 170), WHITE, 1),
    ("ellipse", (288, 456, 352, 474), WHOLE, (170, 108, 82), 7),
)


def portrait() -> bytes:
    """A drawn head and shoulders of nobody, as a JPEG of 640 × 800; it counts as one face."""
    size = (640, 800)
    wall = ImageOps.colorize(Image.linear_gradient("L").resize(size), PAPER, (176, 186, 186))
    for shape, box, angles, colour, softness in STROKES:
        stencil = Image.new("L", (2 * size[0], 2 * size[1]))  # twice as large, for smooth edges
        stroke = {"width": 12} if shape == "arc" else {}
        corners = [2 * corner for corner in box]
        getattr(ImageDraw.Draw(stencil), shape)(corners, *angles, fill=255, **stroke)
        stencil = stencil.resize(size).filter(ImageFilter.GaussianBlur(softness))
        wall.paste(colour, mask=stencil)
    out = io.BytesIO()
    wall.save(out, "JPEG", quality=90)
    return out.getvalue()
