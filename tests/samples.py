"""Makes the pictures of the landing and the photo page: `uv run python -m tests.samples`.

Knows the stand-in's drawing and one public-domain photo; writes only under static/img.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from config.standins import drawing, sitting

PHOTO = Path(__file__).parent / "photos" / "portrait_astronaut.png"
IMAGES = Path(__file__).parents[1] / "static" / "img"
PROMPT = "portrait in soft window light"
# Chosen by eye for the backdrop, among those that leave the head where it is in the original:
# the landing page lays the pictures over each other.
SEEDS = {"realistic": 2142, "anime": 1741, "3d": 3314, "chibi": 80, "comic": 1384}
STILL = 9749  # a generator started with it frames the original without zoom or shift
SIZES = {"": (512, 768), "-256": (256, 384)}
# Bytes. The hero shows the original and one style in 60 kB; comic, whose dots are costly to
# keep, is not for the hero.
MOST = {"": 30_000, "-256": 15_000}
MOST_COMIC = {"": 45_000, "-256": 15_000}

INK, TEAL, TINT, SUNKEN, HAIRLINE = "#1b1a17", "#0f6b62", "#dff1ee", "#f1efeb", "#dedad2"
SIDE = 240  # pixels of a guidance picture
FINER = 4  # drawn so many times larger, for smooth edges


def main() -> None:
    for name, image in {"original": original(), **styles()}.items():
        for suffix, size in SIZES.items():
            most = (MOST_COMIC if name == "comic" else MOST)[suffix]
            smaller = image.resize(size, Image.Resampling.LANCZOS)
            save(smaller, IMAGES / "samples" / f"{name}{suffix}.webp", most)
    for name, draw in GUIDANCE.items():
        save(draw(), IMAGES / "guidance" / f"{name}.webp", MOST["-256"])


def save(image: Image.Image, path: Path, most: int) -> None:
    """As WebP, in the best quality that stays within `most` bytes."""
    for quality in range(82, 20, -3):
        out = io.BytesIO()
        image.save(out, "WEBP", quality=quality, method=6)
        if out.tell() <= most:
            break
    else:
        raise SystemExit(f"{path.name} does not fit in {most} bytes.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())
    sys.stdout.write(f"{path.relative_to(IMAGES)}: {out.tell()} bytes at quality {quality}\n")


def original() -> Image.Image:
    """The photo, framed as the styles are. The wall above it, a tenth, is continued softly."""
    chance = np.random.default_rng(STILL)
    photo = sitting.read(PHOTO.read_bytes())
    seat = sitting.sit(photo, 512, 768, chance, eye_swell=0, large_head=False)
    image = Image.fromarray(sitting.octets(seat.picture * 255))
    above = Image.linear_gradient("L").resize((512, 256)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    fade = Image.new("L", image.size)
    fade.paste(above.point(lambda value: min(255, max(0, 4 * (value - 160)))))
    return Image.composite(image.filter(ImageFilter.GaussianBlur(14)), image, fade)


def styles() -> dict[str, Image.Image]:
    photo = PHOTO.read_bytes()
    pictures = {}
    for style, seed in SEEDS.items():
        picture = drawing.draw(photo, prompt=PROMPT, style=style, steps=41, seed=seed, job="sample")
        pictures[style] = Image.open(io.BytesIO(picture))
    return pictures


class Easel:
    """A square sheet of 240 units a side, on which flat shapes are laid."""

    def __init__(self, ground: str) -> None:
        self._sheet = Image.new("RGB", (SIDE * FINER, SIDE * FINER), ground)
        self._pen = ImageDraw.Draw(self._sheet)

    def oval(self, x: float, y: float, wide: float, high: float, colour: str) -> None:
        self._pen.ellipse(self._box(x, y, wide, high), colour)

    def slab(
        self, x: float, y: float, wide: float, high: float, round_by: float, colour: str
    ) -> None:
        self._pen.rounded_rectangle(self._box(x, y, wide, high), round_by * FINER, colour)

    def cap(self, x: float, y: float, wide: float, high: float, colour: str) -> None:
        """The upper third of an oval."""
        self._pen.chord(self._box(x, y, wide, high), 202, 338, colour)

    def arc(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        turn: tuple[int, int],
        thick: float,
        colour: str = INK,
    ) -> None:
        self._pen.arc(self._box(x, y, wide, high), *turn, fill=colour, width=round(thick * FINER))

    def finished(self) -> Image.Image:
        return self._sheet.resize((SIDE, SIDE), Image.Resampling.LANCZOS)

    def _box(self, x: float, y: float, wide: float, high: float) -> tuple[float, ...]:
        return tuple(FINER * v for v in (x - wide, y - high, x + wide, y + high))


def draw_bust(
    easel: Easel, x: float, y: float, size: float, skin: str, hair: str, shirt: str, *, long: bool
) -> None:
    """Head and shoulders around the middle of the face; at size 1 the head is 100 units high."""
    if long:
        easel.slab(x, y + 8 * size, 47 * size, 62 * size, 44 * size, hair)
    easel.slab(x, y + 136 * size, 86 * size, 78 * size, 62 * size, shirt)
    easel.slab(x, y + 54 * size, 15 * size, 26 * size, 14 * size, skin)
    for side in (-1, 1):
        easel.oval(x + side * 37 * size, y + 4 * size, 7 * size, 10 * size, skin)
    easel.oval(x, y - 9 * size, 41 * size, 46 * size, hair)
    easel.oval(x, y + 2 * size, 37 * size, 45 * size, skin)
    easel.cap(x, y - 6 * size, 40 * size, 48 * size, hair)
    for side in (-1, 1):
        easel.oval(x + side * 15 * size, y + 2 * size, 3.6 * size, 4.4 * size, INK)
        easel.arc(x + side * 15 * size, y - 6 * size, 8 * size, 6 * size, (215, 325), 2.4 * size)
    easel.arc(x, y + 12 * size, 5 * size, 4 * size, (20, 160), 2 * size)
    easel.arc(x, y + 18 * size, 15 * size, 11 * size, (25, 155), 3 * size)


def draw_good() -> Image.Image:
    easel = Easel(TINT)
    draw_bust(easel, 120, 104, 1.05, "#a8714f", "#3a2a22", TEAL, long=True)
    return easel.finished()


def draw_sunglasses() -> Image.Image:
    easel = Easel(SUNKEN)
    draw_bust(easel, 120, 104, 1.05, "#e3b795", "#7a4b2a", "#5d5a52", long=False)
    for side in (-1, 1):
        easel.slab(120 + side * 19, 105, 17, 13, 10, INK)
        easel.arc(120 + side * 19, 105, 11, 8, (200, 250), 2, "#86817a")
    easel.slab(120, 97, 42, 2.4, 2, INK)
    return easel.finished()


def draw_far() -> Image.Image:
    easel = Easel(SUNKEN)
    easel.oval(190, 52, 20, 20, "#fbeed6")
    easel.oval(60, 250, 150, 92, HAIRLINE)
    easel.oval(220, 262, 130, 92, "#cfd8d0")
    easel.slab(112, 190, 9, 17, 7, TEAL)  # a whole person, small
    for side in (-1, 1):
        easel.slab(112 + side * 4.5, 212, 3.4, 14, 3, INK)
    easel.oval(112, 165, 6, 7.4, "#6f4630")
    easel.cap(112, 164.5, 6.6, 8.4, INK)
    return easel.finished()


def draw_group() -> Image.Image:
    easel = Easel(SUNKEN)
    draw_bust(easel, 58, 100, 0.66, "#e3b795", "#b5762f", "#8a5a00", long=True)
    draw_bust(easel, 182, 100, 0.66, "#6f4630", "#1b1a17", "#1c5a9c", long=False)
    draw_bust(easel, 120, 122, 0.78, "#a8714f", "#3a2a22", TEAL, long=False)
    return easel.finished()


GUIDANCE = {
    "good": draw_good,
    "sunglasses": draw_sunglasses,
    "far": draw_far,
    "group": draw_group,
}

if __name__ == "__main__":
    main()
