"""The near hash: 256 bits that stay when a picture is saved anew, and differ for another picture.

Ground: knows nothing, not even Pillow. The picture comes as 32 × 32 grey bytes; its slow waves are
found by a cosine transform (the one of JPEG), 16 of them across and 16 down, and each bit says
whether one of these waves is there upright or upside down.
"""

import math
from collections.abc import Iterable
from operator import mul

SIDE = 32  # pixels of the grey square
WAVES = 16
# Below it a wave is the rounding of a plain wall (0.004 of 255 grey levels) and its bit stays 0.
QUIET = 1.0
# What may be left of a picture, in per cent: a little cut off all round, or on one side.
BOXES = (
    *((cut, cut, 100 - cut, 100 - cut) for cut in range(5)),
    *((cut, 0, 100, 100) for cut in (2, 4)),
    *((0, cut, 100, 100) for cut in (2, 4)),
    *((0, 0, 100 - cut, 100) for cut in (2, 4)),
    *((0, 0, 100, 100 - cut) for cut in (2, 4)),
)

_CURVES = tuple(
    tuple(math.cos(math.pi * wave * (2 * place + 1) / (2 * SIDE)) for place in range(SIDE))
    for wave in range(WAVES)
)


def near_hash(grey: bytes) -> str:
    """64 hex digits of SIDE × SIDE grey bytes, row by row. ValueError for any other number."""
    if len(grey) != SIDE * SIDE:
        raise ValueError(f"a near hash is taken from {SIDE} x {SIDE} pixels")
    rows = (grey[start : start + SIDE] for start in range(0, len(grey), SIDE))
    across = [[_strength(curve, row) for curve in _CURVES] for row in rows]
    waves = (_strength(curve, column) for curve in _CURVES for column in zip(*across, strict=True))
    bits = sum((wave > QUIET) << bit for bit, wave in enumerate(waves))
    return f"{bits:0{WAVES * WAVES // 4}x}"


def _strength(curve: tuple[float, ...], values: Iterable[float]) -> float:
    return sum(map(mul, curve, values))
