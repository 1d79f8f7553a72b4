"""The only opener of image bytes: uploads cleaned, results turned into renditions, the AI mark.
Ground: it may know Pillow, pillow-heif and `near_hash`, none of our rows and no settings."""

import hashlib
import re
import struct
import threading
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from typing import BinaryIO, cast

import pillow_heif
from PIL import Image, ImageCms, ImageOps, ImageStat
from PIL.PngImagePlugin import PngInfo

from avatars.near_hash import BOXES, SIDE, near_hash

Size = tuple[int, int]  # width, height in pixels

UPLOAD_BYTES = 10 * 1024 * 1024
PHOTO_BOX = (1024, 1024)  # the provider draws 512 × 768; more would only be more to lose
PHOTO_BYTES = 1_000_000
PHOTO_QUALITIES = (90, 75, 50)  # the first that fits PHOTO_BYTES; black and white noise does at 75
PHOTO_THUMB_BOX = (256, 256)
PHOTO_THUMB_QUALITY = 80
LEAST_SIDE = 64  # of the stored photo; no face can be told below it, and 1 × 65535 ends here

# What a decode may cost: a JPEG is read at a fraction of its size, the others whole.
MEGAPIXEL = 1_000_000
PHOTO_PIXELS = {"JPEG": 50, "PNG": 16, "WEBP": 16, "HEIF": 25}
# A progressive JPEG keeps 6 bytes a pixel however small it is read, and every scan runs over all
# of them. Cameras write baseline; encoders write about ten scans; each
# of 64 bytes costs 15 ms.
PROGRESSIVE_PIXELS = 25
PROGRESSIVE_SCANS = 50
_SCAN = b"\xff\xda"

RESULT_FORMATS = ("PNG", "JPEG", "WEBP")
RESULT_PIXELS, RESULT_SIDE = 4_200_000, 16_383  # the longest side a WebP has
FLAT_DEVIATION = 2.0  # of 255; a result the provider blocks is one colour, mostly black
THUMB_BOX = (256, 384)
MASTER_QUALITY = 88
THUMB_QUALITY = 70
DOWNLOAD_QUALITY = 92
SQUARE_BOX = (512, 512)

# What stands in for a picture until it is there, as .lq-0 … .lq-23 of static/css/tokens.css: four
# greys, then ten hues of 36°, each deep and light.
PALETTE = (
    *("#2b2a26", "#615e56", "#a6a196", "#dfdcd8"),
    *("#743939", "#cc8e8e", "#745d39", "#ccb48e", "#687439", "#c0cc8e", "#457439", "#9bcc8e"),
    *("#397451", "#8ecca7", "#397474", "#8ecccc", "#395174", "#8ea7cc", "#453974", "#9b8ecc"),
    *("#683974", "#c08ecc", "#74395d", "#cc8eb4"),
)

# IPTC Photo Metadata Standard, Digital Source Type. xmpMM:DocumentID is XMP's name for what all
# renditions of one work share (XMP part 2, 2.2); it holds our opaque mark id.
DIGITAL_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about=""'
    ' xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmpMM:DocumentID="{mark_id}" Iptc4xmpExt:DigitalSourceType="{source}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
_MARK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Editors rewrite attributes as elements; both spellings are XMP.
_MARK_FOUND = re.compile(rb"xmpMM:DocumentID(?:=[\"']|>)([A-Za-z0-9_-]{1,64})[\"'<]")

# ISO 23008-12: HEVC still pictures, and the brand for any codec (whose reader then decides).
_HEIC_BRANDS = (b"ftypheic", b"ftypheix", b"ftypheim", b"ftypheis", b"ftypmif1")

# What the readers raise for bytes they cannot read.
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, RuntimeError, TypeError, LookupError),
    *(struct.error, zlib.error),
)
# Pillow's own guard lies under ours: above the number it warns (here an error), above twice the
# number it raises.
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
Image.MAX_IMAGE_PIXELS = max(PHOTO_PIXELS.values()) * MEGAPIXEL
warnings.simplefilter("error", Image.DecompressionBombWarning)

# An embedded thumbnail must never stand for the picture, and nobody needs the other layers.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)

_decoding = threading.BoundedSemaphore(2)  # one upload may take 300 MB while it is read


class PhotoRefused(Exception):
    """An upload we do not take. `code` says why, `facts` hold the numbers for a sentence:
    too_big (bytes, limit in bytes) · not_a_picture · animated (frames) ·
    too_many_pixels (limit in megapixels) · too_small (width, height in pixels)."""

    def __init__(self, code: str, **facts: int) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


class PictureBroken(Exception):
    """The bytes are not one whole PNG, JPEG or WebP picture of a size we asked for."""


class PictureBlocked(Exception):
    """A picture of one colour: what comes when the provider's safety check blocks a result."""


@dataclass(frozen=True)
class CleanPhoto:
    """An upload made harmless: upright sRGB and nothing else. Sizes in pixels, `original_*` as
    the upload is seen upright; `thumb` is a JPEG; `sha256` the hex digest of `jpeg`,
    `upload_sha256` that of what came; `near_hash` as of Renditions."""

    jpeg: bytes
    thumb: bytes
    width: int
    height: int
    original_width: int
    original_height: int
    sha256: str
    upload_sha256: str
    near_hash: str


@dataclass(frozen=True)
class Renditions:
    """An avatar's stored files, both WebP and marked, and what the gallery asks about it: pixels,
    `colour` as an index into PALETTE, `near_hash` as 64 hex digits (256 bits, of which similar
    pictures differ in few)."""

    master: bytes
    thumb: bytes
    width: int
    height: int
    colour: int
    near_hash: str


def clean_photo(data: BinaryIO | bytes) -> CleanPhoto:
    """The upload as the one JPEG we keep: longest side ≤ 1024 px, ≤ 1 MB, upright, sRGB, nothing
    but pixels. `data` is the bytes or a seekable binary file. Raises PhotoRefused."""
    upload = _upload(data)
    with _decoding:
        photo, original = _photo(upload)
    thumb = photo.resize(_fitted(photo.size, PHOTO_THUMB_BOX), reducing_gap=2.0)
    tries = (_encoded(photo, "JPEG", quality=quality) for quality in PHOTO_QUALITIES)
    jpeg = next(jpeg for jpeg in tries if len(jpeg) <= PHOTO_BYTES)
    return CleanPhoto(
        jpeg=jpeg,
        thumb=_encoded(thumb, "JPEG", quality=PHOTO_THUMB_QUALITY),
        width=photo.width,
        height=photo.height,
        original_width=original[0],
        original_height=original[1],
        sha256=hashlib.sha256(jpeg).hexdigest(),
        upload_sha256=hashlib.sha256(upload).hexdigest(),
        near_hash=_near_hash(photo),
    )


def render_avatar(data: bytes, *, mark_id: str) -> Renditions:
    """A provider's result, never stored as it came: a WebP of its own size, a thumb within
    256 × 384, both carrying the AI mark with `mark_id` (letters, digits, - and _, at most 64).

    Raises PictureBroken, PictureBlocked; ValueError for a mark id that is not one."""
    xmp = _mark(mark_id)
    picture = _result(data)
    if max(ImageStat.Stat(picture).stddev) < FLAT_DEVIATION:
        raise PictureBlocked
    thumb = picture.resize(_fitted(picture.size, THUMB_BOX), Image.Resampling.LANCZOS)
    return Renditions(
        master=_encoded(picture, "WEBP", quality=MASTER_QUALITY, xmp=xmp),
        thumb=_encoded(thumb, "WEBP", quality=THUMB_QUALITY, xmp=xmp),
        width=picture.width,
        height=picture.height,
        colour=_dominant_colour(picture),
        near_hash=_near_hash(picture),
    )


def download_as(master: bytes, form: str) -> bytes:
    """A stored master as "webp" (as made), "jpeg", "png" or "square" (JPEG of at most 512 px a
    side around the upper third; never enlarged), with the mark the master carries.

    Raises PictureBroken if the master is unreadable or unmarked, for nothing unmarked leaves;
    ValueError for any other form."""
    mark_id = read_mark(master)
    if mark_id is None:
        raise PictureBroken("the master carries no mark")
    xmp = _mark(mark_id)
    match form:
        case "webp":
            return master
        case "jpeg":
            return _encoded(_result(master), "JPEG", quality=DOWNLOAD_QUALITY, xmp=xmp)
        case "png":
            chunk = PngInfo()
            chunk.add_itxt("XML:com.adobe.xmp", xmp.decode())  # XMP part 3, 1.1.5: PNG
            return _encoded(_result(master), "PNG", pnginfo=chunk)
        case "square":
            return _encoded(_squared(_result(master)), "JPEG", quality=DOWNLOAD_QUALITY, xmp=xmp)
        case _:
            raise ValueError(f"no such download form: {form}")


def near_hashes(master: bytes) -> list[str]:
    """The near hashes of a stored master, whole and trimmed a little all round or on one side: what
    somebody who brings it back has cut off is between them. Raises PictureBroken."""
    picture = _result(master)
    width, height = picture.size
    boxes = (
        (width * x // 100, height * y // 100, width * to_x // 100, height * to_y // 100)
        for x, y, to_x, to_y in BOXES
    )
    return [_near_hash(picture.crop(box)) for box in boxes]


def read_mark(data: bytes) -> str | None:
    """The mark id of a JPEG, PNG or WebP that says it was made by AI; None for anything else."""
    try:
        with Image.open(BytesIO(data), formats=RESULT_FORMATS) as picture:
            xmp = picture.info.get("xmp", b"")
    except (*_UNREADABLE, *_TOO_LARGE):
        return None
    found = _MARK_FOUND.search(xmp)
    return found[1].decode() if found and DIGITAL_SOURCE.encode() in xmp else None


def _upload(data: BinaryIO | bytes) -> bytes:
    size = len(data) if isinstance(data, bytes) else data.seek(0, SEEK_END)
    if size > UPLOAD_BYTES:
        raise PhotoRefused("too_big", bytes=size, limit=UPLOAD_BYTES)
    if isinstance(data, bytes):
        return data
    data.seek(0)
    return data.read()


def _photo(upload: bytes) -> tuple[Image.Image, Size]:
    """The upload's pixels, fitted and upright, and its own size as seen upright."""
    form = _form(upload)
    limit = PHOTO_PIXELS[form]
    unreadable = PhotoRefused("not_a_picture")
    with _reading(unreadable, too_large=PhotoRefused("too_many_pixels", limit=limit)):
        picture = Image.open(BytesIO(upload), formats=(form,))
    with picture:
        if form == "JPEG" and "progressive" in picture.info:
            limit = PROGRESSIVE_PIXELS
            if upload.count(_SCAN) > PROGRESSIVE_SCANS:
                raise unreadable
        original = _allowed(picture.size, limit)
        frames = getattr(picture, "n_frames", 1)
        if form in ("PNG", "WEBP") and frames > 1:  # what else a JPEG or HEIC holds is no motion
            raise PhotoRefused("animated", frames=frames)
        if form == "JPEG":
            picture.draft(None, _fitted(original, PHOTO_BOX))
        with _reading(unreadable, too_large=unreadable):
            picture.load()
        if form == "HEIF":  # its reader learns the true size only now
            original = _allowed(picture.size, limit)
        fitted = _fitted(original, PHOTO_BOX)
        photo = _srgb(picture, fitted)
    return photo, original if photo.size == fitted else original[::-1]


def _form(upload: bytes) -> str:
    """What the bytes are, by how they begin and never by a file's name."""
    if upload.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if upload.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if upload.startswith(b"RIFF") and upload[8:12] == b"WEBP":
        return "WEBP"
    if upload[4:12] in _HEIC_BRANDS:
        return "HEIF"
    raise PhotoRefused("not_a_picture")


def _allowed(size: Size, limit: int) -> Size:
    if size[0] * size[1] > limit * MEGAPIXEL:
        raise PhotoRefused("too_many_pixels", limit=limit)
    if min(_fitted(size, PHOTO_BOX)) < LEAST_SIDE:
        raise PhotoRefused("too_small", width=size[0], height=size[1])
    return size


def _result(picture_bytes: bytes) -> Image.Image:
    broken = PictureBroken("not one whole picture of a size asked for")
    with _reading(broken, too_large=broken):
        picture = Image.open(BytesIO(picture_bytes), formats=RESULT_FORMATS)
    with picture:
        size, frames = picture.size, getattr(picture, "n_frames", 1)
        if size[0] * size[1] > RESULT_PIXELS or max(size) > RESULT_SIDE or frames > 1:
            raise broken
        with _reading(broken, too_large=broken):
            picture.load()
        return _srgb(picture, picture.size)


@contextmanager
def _reading(unreadable: Exception, *, too_large: Exception) -> Iterator[None]:
    """Around Pillow's readers only, so that a mistake of ours is never called a bad picture."""
    try:
        yield
    except _TOO_LARGE as error:
        raise too_large from error
    except _UNREADABLE as error:
        raise unreadable from error


def _srgb(picture: Image.Image, size: Size) -> Image.Image:
    """New upright RGB pixels without any metadata, `size` before the turn, white where the picture
    is transparent."""
    profile = picture.info.get("icc_profile")
    if picture.mode == "I;16":
        picture = picture.point(lambda value: value * (1 / 256)).convert("L")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    with suppress(*_UNREADABLE):  # a broken EXIF block turns nothing; the pixels are whole
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "RGBA":
        paper = Image.new("RGB", picture.size, "white")
        paper.paste(picture, mask=picture.getchannel("A"))
        picture = paper
    if profile:
        picture = _converted(picture, profile)
    picture = picture.convert("RGB")
    picture.info.clear()
    return picture


def _converted(picture: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.getOpenProfile(BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
    except ImageCms.PyCMSError:
        return picture  # a broken profile, or one for other colours than these: what viewers do
    return cast("Image.Image", converted)  # None only when asked to work in place


def _fitted(size: Size, box: Size) -> Size:
    """Within the box, same shape, never enlarged."""
    scale = min(1, box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _squared(picture: Image.Image) -> Image.Image:
    """The square about the upper third, where a portrait has its face."""
    side = min(picture.size)
    left = (picture.width - side) // 2
    top = min(max(0, picture.height // 3 - side // 2), picture.height - side)
    square = picture.crop((left, top, left + side, top + side))
    return square.resize(_fitted(square.size, SQUARE_BOX), Image.Resampling.LANCZOS)


def _encoded(picture: Image.Image, form: str, **options: int | bytes | PngInfo) -> bytes:
    target = BytesIO()
    picture.save(target, form, **options)
    return target.getvalue()


def _mark(mark_id: str) -> bytes:
    if not _MARK_ID.fullmatch(mark_id):
        raise ValueError("a mark id has 1 to 64 letters, digits, - or _")
    return _XMP.format(mark_id=mark_id, source=DIGITAL_SOURCE).encode()


def _dominant_colour(picture: Image.Image) -> int:
    """The palette colour nearest to most of the picture, judged on 96 patches."""
    small = picture.resize((8, 12), Image.Resampling.BOX).tobytes()
    patches = zip(small[::3], small[1::3], small[2::3], strict=True)
    return Counter(map(_nearest_colour, patches)).most_common(1)[0][0]


def _nearest_colour(pixel: tuple[int, ...]) -> int:
    def distance(index: int) -> float:  # "redmean": differences by the eye's weights
        colour = bytes.fromhex(PALETTE[index][1:])
        red, green, blue = (mine - its for mine, its in zip(pixel, colour, strict=True))
        mean = (pixel[0] + colour[0]) / 2
        return (2 + mean / 256) * red**2 + 4 * green**2 + (3 - mean / 256) * blue**2

    return min(range(len(PALETTE)), key=distance)


def _near_hash(picture: Image.Image) -> str:
    grey = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return near_hash(grey.tobytes())
