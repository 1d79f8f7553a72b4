"""The hostile corpus through the page itself: each file refused with its sentence, or cleaned to
the last byte; and what reading it may cost.

Knows the upload page, the storage as bytes, and pictures made by code.
"""

import os
import subprocess
import sys

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from avatars import storage
from avatars.models import FacePhoto, StoredFile
from tests import factories
from tests.avatars.pictures import (
    BOMBS,
    FRAMES,
    HOSTILE,
    MOVING,
    PHOTOS,
    camera_exif,
    deviation,
    display_p3,
    encoded,
    opened,
    png_by_header,
)
from tests.avatars.test_imaging import markers
from tests.lives import traces
from tests.site import ROOT

pytestmark = pytest.mark.django_db

NEW = "/faces/new/"
NO_PICTURE = "This file isn't a picture we can read. JPEG, PNG, WebP and HEIC work."
TOO_MANY = "This picture has more than {} megapixels. A smaller copy works just as well."
MOVES = "This picture moves. Choose a still one."
HOME = b"canary-lane-7"
ZIP = b"PK\x03\x04" + HOME + b"PK\x05\x06" + bytes(18)
HTML = b"<!doctype html><script>/*" + HOME + b"*/</script>"
PHP = b"<?php /*" + HOME + b"*/ ?>"


def face() -> Image.Image:
    return Image.open(PHOTOS / "portrait_astronaut.png").convert("RGB")


def send(client, content: bytes, name: str = "me.jpg", kind: str = "image/jpeg"):
    photo = SimpleUploadedFile(name, content, content_type=kind)
    return client.post(NEW, {"photo": photo, "keep": "30d"})


def sentence_of(answer) -> str:
    return answer.text.replace("&#x27;", "'")


@pytest.fixture
def signed_in(client, ada):
    client.force_login(ada)
    factories.create_consent(ada)
    return client


# ── Refused ─────────────────────────────────────────────────────────────────────────────────────

REFUSED = {
    **{name: (content, NO_PICTURE) for name, content in HOSTILE.items()},
    **{name: (content, TOO_MANY.format(limit)) for name, (content, limit) in BOMBS.items()},
    "png 20000 x 20000": (png_by_header(20_000, 20_000), TOO_MANY.format(16)),
    "1 x 65535": (
        encoded(Image.new("L", (1, 65_535)), "PNG"),
        "This picture is only 1 × 65535 pixels. Choose a larger one.",
    ),
    "png of two frames": (encoded(FRAMES[0], "PNG", **MOVING), MOVES),
    "webp of two frames": (encoded(FRAMES[0], "WEBP", **MOVING), MOVES),
    "a page before a face": (HTML + encoded(face(), "JPEG"), NO_PICTURE),
    "an archive before a face": (ZIP + encoded(face(), "PNG"), NO_PICTURE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_gets_its_sentence_and_leaves_nothing(signed_in, name):
    content, sentence = REFUSED[name]
    answer = send(signed_in, content)
    assert answer.status_code == 422
    assert sentence in sentence_of(answer)
    assert (FacePhoto.objects.count(), StoredFile.objects.count()) == (0, 0)


# ── Cleaned ─────────────────────────────────────────────────────────────────────────────────────


def noted(picture: Image.Image, form: str, **options) -> bytes:
    """The face with its owner's street in every place that a file of this kind has for words."""
    exif = camera_exif(options.pop("orientation", 1))
    exif[0x010E] = HOME.decode()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + HOME + b"</x:xmpmeta>"
    notes = PngInfo()
    notes.add_text("Comment", HOME.decode())
    notes.add_itxt("XML:com.adobe.xmp", xmp.decode())
    more = {
        "JPEG": {"comment": HOME, "xmp": xmp, "quality": 95},
        "MPO": {"quality": 95},
        "PNG": {"pnginfo": notes},
        "WEBP": {"xmp": xmp, "quality": 95},
        "HEIF": {"xmp": xmp, "quality": 95},
    }[form]
    return encoded(picture, form, exif=exif.tobytes(), **more, **options)


def sixteen_bits(picture: Image.Image) -> bytes:
    grey = picture.convert("L").convert("I").point(lambda value: value * 257)
    return encoded(grey.convert("I;16"), "PNG")


TAKEN = {
    "jpeg": lambda: noted(face(), "JPEG"),
    "png": lambda: noted(face(), "PNG"),
    "webp": lambda: noted(face(), "WEBP"),
    "heic": lambda: noted(face(), "HEIF"),
    "jpeg and an archive": lambda: noted(face(), "JPEG") + ZIP,
    "jpeg and a page": lambda: noted(face(), "JPEG") + HTML,
    "jpeg with a page for a comment": lambda: encoded(face(), "JPEG", comment=HTML),
    "png and a program": lambda: noted(face(), "PNG") + PHP,
    "png with a program for a comment": lambda: with_program(face()),
    "webp and an archive": lambda: noted(face(), "WEBP") + ZIP,
    "two pictures of a camera": lambda: noted(
        face(), "MPO", save_all=True, append_images=[Image.new("RGB", (512, 512), "red")]
    ),
    "cmyk": lambda: noted(face().convert("CMYK"), "JPEG"),
    "sixteen bits": lambda: sixteen_bits(face()),
    "wide colours": lambda: noted(face(), "JPEG", icc_profile=display_p3()),
    "progressive": lambda: noted(face(), "JPEG", progressive=True),
}


def with_program(picture: Image.Image) -> bytes:
    notes = PngInfo()
    notes.add_text("Comment", PHP.decode())
    return encoded(picture, "PNG", pnginfo=notes)


def assert_clean(original: Image.Image) -> None:
    """Photo and thumb are pixels and nothing else; the file that came is nowhere."""
    photo = FacePhoto.objects.get()
    assert StoredFile.objects.count() == 2
    for file in (photo.file, photo.thumb):
        content = storage.read(file.key)
        assert HOME not in content
        assert set(markers(content)) <= {0xE0, 0xDB, 0xC0, 0xC4}
        assert (content[:3], content[-2:]) == (b"\xff\xd8\xff", b"\xff\xd9")
        kept = opened(content)
        assert (kept.format, kept.mode, dict(kept.getexif())) == ("JPEG", "RGB", {})
        assert set(kept.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert deviation(kept, original.resize(kept.size)) < 14
    assert traces(HOME.decode(), "canary camera", "canary-card") == []


@pytest.mark.parametrize("name", TAKEN)
def test_a_taken_file_is_clean_to_the_last_byte(signed_in, name):
    content = TAKEN[name]()
    grey = name == "sixteen bits"
    assert grey or HOME in content
    answer = send(signed_in, content, name="canary-card of Ada.php", kind="text/html")
    assert answer.status_code == 302, sentence_of(answer)
    assert_clean(face().convert("L").convert("RGB") if grey else face())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_way_a_camera_was_held_ends_upright(signed_in, orientation):
    turned_by = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = face() if turned_by is None else face().transpose(turned_by)
    answer = send(signed_in, noted(stored, "JPEG", orientation=orientation))
    assert answer.status_code == 302, sentence_of(answer)
    assert_clean(face())


# ── What reading costs ──────────────────────────────────────────────────────────────────────────

# In a process of its own: the most memory it ever held, before and after one upload.
READ = """
import resource, sys
from avatars.imaging import PhotoRefused, clean_photo
from PIL import Image
from io import BytesIO
def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
small = BytesIO()
Image.new("RGB", (99, 99), "teal").save(small, "PNG")
clean_photo(small)
before = most()
try:
    with open(sys.argv[1], "rb") as upload:
        clean_photo(upload)
    said = "taken"
except PhotoRefused as refused:
    said = refused.code
print(said, most() - before)
"""
LARGEST = {
    "jpeg of 48 MP": (lambda: encoded(Image.new("RGB", (8_000, 6_000), "teal"), "JPEG"), 40),
    "png of 16 MP": (lambda: encoded(Image.new("RGB", (4_000, 4_000), "teal"), "PNG"), 300),
    "webp of 16 MP": (
        lambda: encoded(Image.new("RGB", (4_000, 4_000), "teal"), "WEBP", method=0),
        300,
    ),
    "heic of 24 MP": (lambda: encoded(Image.new("RGB", (6_000, 4_000), "teal"), "HEIF"), 300),
}


def cost(folder, upload: bytes) -> tuple[str, int]:
    """What became of it, and the megabytes it took at most."""
    path = folder / "upload"
    path.write_bytes(upload)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    said, megabytes = done.stdout.split()
    return said, int(megabytes)


@pytest.mark.parametrize("name", [*BOMBS, "png 20000 x 20000"])
def test_a_bomb_is_refused_before_it_costs_anything(tmp_path, name):
    content = BOMBS[name][0] if name in BOMBS else REFUSED[name][0]
    said, megabytes = cost(tmp_path, content)
    assert (said, megabytes <= 5) == ("too_many_pixels", True)


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_photo_of_a_kind_stays_within_its_memory(tmp_path, name):
    make, most = LARGEST[name]
    said, megabytes = cost(tmp_path, make())
    assert (said, megabytes <= most) == ("taken", True)
