"""The files of a face_gen stand-in's job, whole or spoiled as its scenario wants them.

Knows jobs; the drawing, Pillow and OpenCV are loaded when the first picture needs them.
"""

import base64
import functools
import importlib
import io
import struct
import zlib
from types import ModuleType

from config.standins.jobs import Job

BOMB_SIDE = 30_000  # pixels; 2.7 GB if somebody decodes it
WRONG_SIZE = (640, 640)
BLUR_RADIUS = 20  # pixels; no face can be told
STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8")

# Digits of a 3×5 dot font, one number a row, for the plain picture: no library draws it.
DIGITS = {
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 2, 2, 2),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
}
DOT = 10  # pixels of a dot's side
PALETTE = b"\x30\x60\x90\xd8\xe4\xf0\x18\x20\x28"  # blue, pale, ink


def drawing() -> ModuleType:
    """The module that draws; its libraries take most of a second to load, so nobody pays early."""
    return importlib.import_module("config.standins.drawing")


def paint(job: Job, face: bytes) -> dict[str, bytes]:
    """The job's files by name. `face` is empty where the built-in portrait serves."""
    width, height = job.order["width"], job.order["height"]
    if job.switches.is_on("wrong-size"):
        width, height = WRONG_SIZE
    files = {}
    for index, name in enumerate(job.names):
        picture = _picture(job, face, width, height, job.seed + index)
        files[name] = _as_text(job, picture) if name.endswith(".base64") else picture
    return files


def is_image(content: bytes, *, closely: bool) -> bool:
    """Whether these bytes are a picture: decoded whole if `closely`, else by their first bytes."""
    if not closely:
        return content.startswith(STARTS)
    image = importlib.import_module("PIL.Image")
    try:
        with image.open(io.BytesIO(content)) as opened:
            opened.load()
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError):
        return False
    return True


def has_face(photo: bytes) -> bool:
    return bool(drawing().count_faces(photo))


def _picture(job: Job, face: bytes, width: int, height: int, seed: int) -> bytes:
    switches = job.switches
    if switches.is_on("black"):
        return _black(width, height)
    if switches.is_on("bomb"):
        return _png(BOMB_SIDE, BOMB_SIDE, 0, zlib.compress(b"\0"))
    if switches["draw"] == "plain":
        picture = _plain(width, height, job.number)
    else:
        picture = drawing().draw(
            face or drawing().portrait(),
            prompt=job.order["prompt"],
            style=job.order["style"],
            steps=job.order["num_inference_steps"],
            seed=seed,
            width=width,
            height=height,
            job=str(job.number),
        )
    if switches.is_on("blur"):
        picture = _blurred(picture)
    if switches.is_on("jpeg-as-png"):
        return _converted(picture, "JPEG")
    if switches.is_on("webp"):
        return _converted(picture, "WEBP")
    return picture


def _as_text(job: Job, picture: bytes) -> bytes:
    text = base64.b64encode(picture)
    return text if job.switches["base64"] == "bare" else b"data:image/png;base64," + text


def _converted(picture: bytes, kind: str) -> bytes:
    image = importlib.import_module("PIL.Image")
    out = io.BytesIO()
    with image.open(io.BytesIO(picture)) as opened:
        opened.convert("RGB").save(out, kind)
    return out.getvalue()


def _blurred(picture: bytes) -> bytes:
    image = importlib.import_module("PIL.Image")
    blur = importlib.import_module("PIL.ImageFilter").GaussianBlur(BLUR_RADIUS)
    out = io.BytesIO()
    with image.open(io.BytesIO(picture)) as opened:
        opened.convert("RGB").filter(blur).save(out, "PNG")
    return out.getvalue()


def _plain(width: int, height: int, number: int) -> bytes:
    """Broad stripes with the job's number: a few hundred bytes, no library, never flat."""
    rows = list(_stripes(width, height))
    text = str(number)
    for line in range(5):
        dots = "0".join(format(DIGITS[digit][line], "03b") for digit in text)
        ink = b"".join((b"\2" if dot == "1" else b"\1") * DOT for dot in dots)
        ink = ink[: max(0, width - 2 * DOT)]
        for y in range((line + 1) * DOT, min(height, (line + 2) * DOT)):
            row = b"\1" * width
            rows[y] = b"\0" + row[:DOT] + ink + row[DOT + len(ink) :]
    label = f"LOCAL STAND-IN plain job {number}".encode()
    return _png(width, height, 3, zlib.compress(b"".join(rows), 1), label)


@functools.lru_cache(maxsize=8)
def _stripes(width: int, height: int) -> tuple[bytes, ...]:
    return tuple(b"\0" + bytes([(y // 64) % 2]) * width for y in range(height))


@functools.lru_cache(maxsize=8)
def _black(width: int, height: int) -> bytes:
    return _png(width, height, 0, zlib.compress(b"\0" * ((width + 1) * height)))


def _png(width: int, height: int, colour: int, packed: bytes, label: bytes = b"") -> bytes:
    """A PNG of 8-bit grey (0) or palette (3) rows that are already compressed."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))]
    if colour == 3:
        parts.append((b"PLTE", PALETTE))
    if label:
        parts.append((b"tEXt", b"Comment\0" + label))
    parts += [(b"IDAT", packed), (b"IEND", b"")]
    return STARTS[0] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
