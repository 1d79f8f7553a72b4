"""The five styles: what becomes of a person and a backdrop in each.

Knows NumPy, OpenCV and the sitting; nothing of ours and no Django.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from config.standins.sitting import Pixels, Sitting, as_lab, as_rgb, blurred, floats, octets, spread

LAMP = floats((-0.5, -0.55, 0.67))  # towards the light: upper left, in front


@dataclass(frozen=True)
class Brush:
    """What seed, prompt and steps decide."""

    chance: np.random.Generator
    hues: Pixels  # two, 0…1
    passes: int  # of smoothing


@dataclass(frozen=True)
class Treatment:
    """How one style draws, and how it wants the person to sit."""

    draw: Callable[[Sitting, Brush], tuple[Pixels, Pixels]]  # person and backdrop
    hues: tuple[tuple[int, int], ...]  # degrees, in pairs that please together
    eye_swell: float = 0.0
    large_head: bool = False


# The styles


def _draw_realistic(s: Sitting, brush: Brush) -> tuple[Pixels, Pixels]:
    lab = as_lab(s.picture)
    light = octets(np.round(lab[..., 0] * 2.55))
    local = floats(cv2.createCLAHE(1.6, (6, 4)).apply(light)) / 2.55
    local = 0.35 * lab[..., 0] + 0.65 * local
    detail = local - cv2.bilateralFilter(local, 5, 8, 3)
    lab[..., 0] = local
    for _ in range(brush.passes - 2):
        lab = cv2.bilateralFilter(lab, 5, 5, 3)
    lab = lab * floats((1, 1.06, 1.06)) + floats((0, 1.5, 4))
    lab[..., 0] += 0.6 * detail
    behind = np.clip(1 - cv2.dilate(s.person, np.ones((15, 15))), 0, 1) + 1e-3
    own = spread(s.picture, behind, 30 * s.unit)
    own = as_lab(0.5 * own + 0.5 * own.mean((0, 1)))
    tint = as_lab(_between(_colour(brush.hues[0], 0.55, 0.8), _colour(brush.hues[1], 0.6, 0.5), s))
    own[..., 0] = 0.33 * own[..., 0] + 8.4 + 0.4 * tint[..., 0]
    own[..., 1:] = 0.3 * own[..., 1:] + 0.7 * tint[..., 1:]
    glow = 0.8 + 0.45 * blurred(s.person, 60 * s.unit)[..., None]
    height, width = s.person.shape
    from_middle = (s.x / width - 0.5) ** 2 * 2 + (s.y / height - 0.5) ** 2 * 2.4
    vignette = 1 - 0.28 * np.clip(from_middle - 0.15, 0, 1)[..., None]
    return as_rgb(lab) * vignette, as_rgb(own) * glow * vignette


def _draw_anime(s: Sitting, brush: Brush) -> tuple[Pixels, Pixels]:
    lab = as_lab(_smoothed(s.picture, brush.passes + 2, 0.13))
    tone = cv2.bilateralFilter(lab[..., 0], 9, 12, 5 * s.unit)
    lab[..., 0] = 0.35 * lab[..., 0] + 0.65 * _in_bands(tone, 7, 0.55)
    lab = _vivid(lab, 1.65) * floats((1, 1, 0.93)) + floats((0, 2, 0))
    lines = np.maximum(_ink(s, 1.6, 18, 0.3), 0.95 * _outline(s.person, 1.6))
    person = _mixed(as_rgb(lab), _colour(brush.hues[0], 0.5, 0.16), 0.85 * lines)
    sky = _between(_colour(brush.hues[0], 0.62, 0.95), _colour(brush.hues[1], 0.28, 1), s)
    billows = 0.25 * s.y / len(s.y) - 0.1  # more clouds low in the sky
    for cell, part in ((160, 0.55), (64, 0.3), (26, 0.15)):
        billows += part * _noise(s, brush, max(1, round(cell * s.unit)))
    layers = billows[..., None] - (0.56, 0.64, 0.72)
    clouds = np.clip(layers * 14, 0, 1).sum(2) / 4
    return person, _mixed(sky, np.ones(3, np.float32), clouds)


def _draw_3d(s: Sitting, brush: Brush) -> tuple[Pixels, Pixels]:
    u = s.unit
    lab = as_lab(_smoothed(_smoothed(s.picture, brush.passes + 3, 0.13), 1, 0.1))
    tone = cv2.bilateralFilter(lab[..., 0], 9, 14, 6 * u)
    # The relief: a little of the lightness, and a cushion rising from the person's outline.
    below = cv2.copyMakeBorder(s.person, 0, round(90 * u), 0, 0, cv2.BORDER_REPLICATE)
    inward = cv2.distanceTransform(octets(below > 0.5), cv2.DIST_L2, 5)[: len(s.y)]
    cushion = np.sqrt(1 - (1 - np.clip(inward / (64 * u), 0, 1)) ** 2) * 46 * u
    relief = blurred(tone, 8 * u) * 0.09 * u + blurred(cushion, 11 * u)
    slope_y, slope_x = np.gradient(2 * relief)
    normal = np.dstack([-slope_x, -slope_y, np.ones_like(relief)])
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    shade = np.clip(normal @ LAMP / LAMP[2], 0.45, 1.35)[..., None]
    halfway = LAMP + floats((0, 0, 1))
    shine = np.clip(normal @ (halfway / np.linalg.norm(halfway)), 0, 1) ** 24
    shine = blurred(floats(shine), 3 * u) * (tone / 100) ** 2
    turned = np.clip(1.02 - normal[..., 2], 0, 1) * np.clip(normal @ (0.85, -0.35, 0.1), 0, 1)
    rim = blurred(floats(np.clip(2.2 * turned - 0.2, 0, 1)), 1.5 * u)[..., None]
    lab[..., 0] = 0.5 * lab[..., 0] + 0.5 * tone
    person = as_rgb(_vivid(lab, 1.55)) * (0.25 + 0.75 * shade) + 0.22 * shine[..., None]
    person = person * (1 + np.clip(1 - shade, 0, 1) * floats((0.22, 0.02, -0.02)))
    person = person + rim * (0.12 + 0.24 * person) * _colour(brush.hues[1], 0.25, 1)
    person = person + 0.6 * (blurred(s.picture, 0.8) - blurred(s.picture, 3))
    height, width = s.person.shape
    away = np.clip(np.hypot(s.x / width - 0.42, s.y / height - 0.33) / 0.85, 0, 1)
    wall = _mixed(_colour(brush.hues[0], 0.28, 0.92), _colour(brush.hues[0] + 0.03, 0.5, 0.5), away)
    moved = floats([[1, 0, 26 * u], [0, 1, 22 * u]])
    shadow = blurred(s.person, 26 * u)
    shadow = cv2.warpAffine(shadow, moved, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return person, wall * (1 - 0.38 * shadow[..., None])


def _draw_chibi(s: Sitting, brush: Brush) -> tuple[Pixels, Pixels]:
    lab = as_lab(_smoothed(s.picture, brush.passes + 2, 0.13))
    lab[..., 0] = 12 + 0.88 * (0.3 * lab[..., 0] + 0.7 * _in_bands(lab[..., 0], 8, 0.5))
    lines = np.maximum(_ink(s, 2, 15, 0.35), _outline(s.person, 3.2))
    person = _mixed(as_rgb(_vivid(lab, 1.5)), _colour(brush.hues[1], 0.45, 0.25), 0.9 * lines)
    pastel = _between(_colour(brush.hues[0], 0.24, 1), _colour(brush.hues[1], 0.22, 1), s)
    pitch = 64 * s.unit
    odd = np.floor(s.y / pitch) % 2
    dots = np.hypot((s.x + odd * pitch / 2) % pitch - pitch / 2, s.y % pitch - pitch / 2)
    dots = 0.7 * np.clip(13 * s.unit - dots, 0, 1)
    size = round(25 * s.unit) | 1
    border = cv2.dilate(s.person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return person, _mixed(pastel, np.ones(3, np.float32), np.maximum(dots, blurred(border, 1)))


def _draw_comic(s: Sitting, brush: Brush) -> tuple[Pixels, Pixels]:
    u, face = s.unit, s.face
    lab = as_lab(_smoothed(s.picture, brush.passes + 1, 0.12))
    tone = lab[..., 0].copy()
    lab[..., 0] = _in_bands(cv2.bilateralFilter(tone, 9, 12, 5 * u), 6, 0.25)
    pitch = 7 * u
    along, across = (s.x + s.y) / np.sqrt(2), (s.x - s.y) / np.sqrt(2)
    from_dot = np.hypot(along % pitch - pitch / 2, across % pitch - pitch / 2)
    # Shadow is what is darker than the lit part of this face: dark skin is not a shadow.
    lit = np.percentile(tone[face.box()], 70)
    dots = np.clip(0.62 * pitch * np.sqrt(np.clip((lit - tone) / 45, 0, 1)) - from_dot, 0, 1)
    person = as_rgb(_vivid(lab, 1.7))
    person = _mixed(person, person * floats((0.74, 0.46, 0.5)), dots)
    lines = np.maximum(_ink(s, 1.9, 22, 0.4), _outline(s.person, 2.6))
    warm_paper = floats((1, 0.98, 0.93))
    person = _mixed(person * warm_paper, floats((0.07, 0.05, 0.08)), lines)
    right, down = s.x - face.x, s.y - face.y
    from_face = np.hypot(right, down)
    rays = np.sin((np.arctan2(down, right) + brush.hues[0] * 6) * 11) * from_face * 0.12
    rays = np.clip(rays, -1, 1) / 2 + 0.5
    loud = _mixed(_colour(brush.hues[1], 0.8, 0.9), _colour(brush.hues[0], 0.85, 0.98), rays)
    wide = np.hypot(along % (2 * pitch) - pitch, across % (2 * pitch) - pitch)
    large = np.clip(from_face / len(s.y) * 4 / 3 - 0.15, 0, 1) * pitch - 0.75 * wide
    return person, loud * (1 - 0.45 * np.clip(large, 0, 1)[..., None])


TREATMENTS = {
    "realistic": Treatment(
        _draw_realistic, ((205, 35), (175, 45), (25, 215), (150, 40), (330, 20), (260, 200))
    ),
    "anime": Treatment(
        _draw_anime,
        ((212, 30), (196, 160), (268, 345), (225, 18), (182, 55), (240, 340)),
        eye_swell=0.26,
    ),
    "3d": Treatment(
        _draw_3d,
        ((174, 30), (16, 190), (225, 40), (42, 205), (150, 20), (340, 200), (262, 45)),
        eye_swell=0.3,
    ),
    "chibi": Treatment(
        _draw_chibi,
        ((340, 48), (165, 205), (262, 330), (48, 15), (205, 285), (120, 55)),
        eye_swell=0.34,
        large_head=True,
    ),
    "comic": Treatment(
        _draw_comic, ((2, 46), (190, 52), (22, 188), (325, 50), (212, 32), (262, 46))
    ),
}


# Pixels


def _smoothed(picture: Pixels, passes: int, strength: float) -> Pixels:
    """Flat areas with their borders kept; at half size, where a pass reaches twice as far."""
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for _ in range(passes):
        half = cv2.bilateralFilter(half, 7, strength, 6)
    size = picture.shape[1::-1]
    return cv2.resize(blurred(half, 0.6), size, interpolation=cv2.INTER_CUBIC)


def _in_bands(tone: Pixels, count: int, softness: float) -> Pixels:
    """Lightness in flat bands; `softness` is the part of a band spent on the step to the next."""
    position = tone * (count / 100) - 0.5
    band = np.floor(position)
    step = np.clip((position - band - 0.5) / softness + 0.5, 0, 1)
    return (band + step * step * (3 - 2 * step) + 0.5) * (100 / count)


def _vivid(lab: Pixels, gain: float) -> Pixels:
    """More colour, and less so where there is much: plain gain turns skin orange."""
    much = (np.hypot(lab[..., 1], lab[..., 2]) / 38)[..., None] ** 2
    factor = 1 + (gain - 1) / (1 + much)
    return np.dstack([lab[..., :1], lab[..., 1:] * factor])


def _ink(s: Sitting, sigma: float, gain: float, floor: float) -> Pixels:
    """Dark lines of the picture: where it is darker than its near surroundings."""
    grey = cv2.cvtColor(cv2.bilateralFilter(s.picture, 5, 0.1, 3), cv2.COLOR_RGB2GRAY)
    valley = blurred(grey, 1.6 * sigma * s.unit) - blurred(grey, sigma * s.unit)
    return np.clip(valley / (blurred(grey, 12 * s.unit) + 0.15) * gain - floor, 0, 1) * s.person


def _outline(mask: Pixels, sigma: float) -> Pixels:
    """A line along the edge of the mask, none along the frame."""
    soft = cv2.copyMakeBorder(mask, 8, 8, 8, 8, cv2.BORDER_REPLICATE)
    soft = blurred(soft, sigma)[8:-8, 8:-8]
    return np.clip(5.2 * soft * (1 - soft) - 0.25, 0, 1)


def _noise(s: Sitting, brush: Brush, cell: int) -> Pixels:
    """Smooth chance, 0…1, changing over `cell` pixels."""
    rows, columns = s.person.shape
    coarse = brush.chance.random((rows // cell + 3, columns // cell + 3), np.float32)
    size = (coarse.shape[1] * cell, coarse.shape[0] * cell)
    fine = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    return fine[cell : cell + rows, cell : cell + columns]


def _colour(hue: float, saturation: float, value: float) -> Pixels:
    return floats(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _mixed(first: Pixels, second: Pixels, share: Pixels) -> Pixels:
    """`first` with a share, a mask, of `second`; both pictures or single colours."""
    return first + (second - first) * floats(share)[..., None]


def _between(top: Pixels, bottom: Pixels, s: Sitting) -> Pixels:
    rows, columns = s.person.shape
    return _mixed(top, bottom, np.clip(s.y / rows + 0.2 * (s.x / columns - 0.5), 0, 1))
