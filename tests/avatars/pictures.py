"""Pictures made by code for the tests of imaging: portraits, camera files, a hostile corpus.
It knows Pillow, pillow-heif and the test photos, nothing of ours."""

import random
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pillow_heif
from PIL import Image, ImageChops, ImageDraw, ImageStat

PHOTOS = Path(__file__).parents[1] / "photos"
GPS, ORIENTATION = 0x8825, 0x0112  # EXIF tags

pillow_heif.register_heif_opener()


def encoded(picture, form, **options):
    target = BytesIO()
    picture.save(target, form, **options)
    return target.getvalue()


def opened(picture_bytes):
    picture = Image.open(BytesIO(picture_bytes))
    picture.load()
    return picture


def portrait(width=240, height=320):
    """Four quarters of known colours, red at the upper left: turns and colours can be told."""
    picture = Image.new("RGB", (width, height), (200, 30, 30))
    drawing = ImageDraw.Draw(picture)
    drawing.rectangle((width // 2, 0, width, height // 2), fill=(30, 160, 30))
    drawing.rectangle((0, height // 2, width // 2, height), fill=(30, 30, 200))
    drawing.rectangle((width // 2, height // 2, width, height), fill=(230, 230, 230))
    return picture


def avatar(width=512, height=768):
    face = Image.open(PHOTOS / "portrait_official.jpg").convert("RGB")
    return face.crop((0, 0, 758, 1137)).resize((width, height))


def noise(width, height, seed=1):
    return Image.frombytes(
        "RGB", (width, height), random.Random(seed).randbytes(3 * width * height)
    )


def png_of(*chunks):
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in chunks:
        checksum = zlib.crc32(kind + content)
        parts += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)]
    return b"".join(parts)


def png_by_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return png_of((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b""))


def jpeg_by_header(width, height):
    whole = bytearray(encoded(Image.new("RGB", (16, 16)), "JPEG"))
    size = whole.index(b"\xff\xc0") + 5
    whole[size : size + 4] = struct.pack(">HH", height, width)
    return bytes(whole)


def heic_by_header(width, height):
    whole = bytearray(encoded(Image.new("RGB", (64, 64)), "HEIF"))
    size = whole.index(b"ispe") + 8
    whole[size : size + 8] = struct.pack(">II", width, height)
    return bytes(whole)


def corner(picture, *, left, top):
    """The colour in the middle of one quarter."""
    spot = (picture.width // 4 * (1 if left else 3), picture.height // 4 * (1 if top else 3))
    return picture.convert("RGB").getpixel(spot)


def close(colour, expected, tolerance=12):
    return all(abs(mine - its) <= tolerance for mine, its in zip(colour, expected, strict=True))


def deviation(one, other):
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def camera_exif(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010F] = "Canary Camera"
    exif.get_ifd(GPS)[2] = (52.0, 31.0, 12.0)
    return exif


def display_p3():
    """The smallest ICC profile of Display P3's primaries (adapted to D50) with gamma 2.2."""
    red, green, blue = (0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)
    points = {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue, b"wtpt": (0.9642, 1.0, 0.8249)}
    tags = {
        name: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65_536 * value) for value in point))
        for name, point in points.items()
    }
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(2.2 * 256), 0)
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    head = struct.pack(
        ">I4xI4s4s4s12x4s", start + len(body), 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    return head.ljust(128, b"\0") + table + body


WHOLE = encoded(portrait(), "JPEG")
FRAMES = [portrait(), portrait().rotate(180)]
MOVING = {"save_all": True, "append_images": FRAMES[1:]}

HOSTILE = {
    "nothing": b"",
    "html": b"<!doctype html><script>alert(1)</script>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "gif": encoded(portrait(), "GIF"),
    "bmp": encoded(portrait(), "BMP"),
    "tiff": encoded(portrait(), "TIFF"),
    "avif": encoded(portrait(), "AVIF"),
    "pdf": encoded(portrait(), "PDF"),
    "zip": b"PK\x03\x04" + bytes(100),
    "html before a jpeg": b"<html>" + WHOLE,
    "truncated jpeg": WHOLE[: len(WHOLE) // 2],
    "truncated png": encoded(noise(200, 200), "PNG")[:60_000],
    "truncated webp": encoded(portrait(), "WEBP")[:300],
    "truncated heic": encoded(portrait(), "HEIF")[:-200],
    "only a jpeg's first bytes": WHOLE[:3],
    "png with a broken row": encoded(portrait(), "PNG").replace(b"IDAT", b"IDAT\0", 1),
    "heic saying less than it holds": heic_by_header(320, 320),
}


BOMBS = {
    "png 30000 x 30000": (png_by_header(30_000, 30_000), 16),
    "png 17 MP": (png_by_header(5_000, 3_400), 16),
    "jpeg 65000 x 65000": (jpeg_by_header(65_000, 65_000), 50),
    "jpeg 51 MP": (jpeg_by_header(6_000, 8_500), 50),
    "progressive jpeg 26 MP": (
        encoded(Image.new("L", (5_200, 5_000)), "JPEG", progressive=True),
        25,
    ),
    "webp 16.2 MP": (encoded(Image.new("RGB", (16_000, 1_016)), "WEBP", method=0), 16),
    "heic 26 MP": (heic_by_header(5_200, 5_000), 25),
}
