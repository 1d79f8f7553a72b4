"""Uploads in, harmless photos out: a hostile corpus, and what phones and cameras really send.
It knows avatars.imaging, and Pillow to make and read back pictures."""

import hashlib
import struct
import threading
import zlib
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from avatars.imaging import PhotoRefused, PictureBroken, clean_photo, read_mark, render_avatar
from tests.avatars.pictures import (
    BOMBS,
    FRAMES,
    HOSTILE,
    MOVING,
    PHOTOS,
    WHOLE,
    avatar,
    camera_exif,
    close,
    corner,
    deviation,
    display_p3,
    encoded,
    noise,
    opened,
    png_of,
    portrait,
)


def refusal(upload):
    with pytest.raises(PhotoRefused) as refused:
        clean_photo(upload)
    return refused.value.code


@pytest.mark.parametrize("upload", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_picture_of_ours_is_refused(upload):
    assert refusal(upload) == "not_a_picture"
    assert refusal(BytesIO(upload)) == "not_a_picture"
    with pytest.raises(PictureBroken):
        render_avatar(upload, mark_id="m")
    assert read_mark(upload) is None


@pytest.mark.parametrize(("upload", "limit"), BOMBS.values(), ids=BOMBS)
def test_too_many_pixels_are_refused_by_the_header(upload, limit):
    with pytest.raises(PhotoRefused) as refused:
        clean_photo(upload)
    assert (refused.value.code, refused.value.facts) == ("too_many_pixels", {"limit": limit})


def test_a_progressive_jpeg_of_very_many_scans_is_refused():
    whole = encoded(portrait(), "JPEG", progressive=True)
    last_scan = whole[whole.rindex(b"\xff\xc4") : -2]
    assert refusal(whole[:-2] + last_scan * 60 + b"\xff\xd9") == "not_a_picture"
    assert clean_photo(whole).width == 240


def test_a_file_above_ten_megabytes_is_refused_with_its_size():
    with pytest.raises(PhotoRefused) as refused:
        clean_photo(BytesIO(WHOLE + bytes(10 * 1024 * 1024)))
    facts = {"bytes": len(WHOLE) + 10_485_760, "limit": 10_485_760}
    assert (refused.value.code, refused.value.facts) == ("too_big", facts)


@pytest.mark.parametrize("size", [(1, 65_535), (65_535, 1), (1, 1), (63, 400), (4_000, 200)])
def test_slivers_and_specks_are_too_small(size):
    with pytest.raises(PhotoRefused) as refused:
        clean_photo(encoded(Image.new("RGB", size), "PNG"))
    facts = {"width": size[0], "height": size[1]}
    assert (refused.value.code, refused.value.facts) == ("too_small", facts)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_moving_pictures_are_refused(form):
    moving = encoded(FRAMES[0], form, **MOVING)
    assert refusal(moving) == "animated"
    with pytest.raises(PictureBroken):
        render_avatar(moving, mark_id="m")


def test_a_camera_s_mpo_is_taken_by_its_first_picture():
    photo = clean_photo(encoded(FRAMES[0], "MPO", **MOVING))
    assert close(corner(opened(photo.jpeg), left=True, top=True), (200, 30, 30))


@pytest.mark.parametrize("trailer", [b"<script>alert(1)</script>", b"PK\x03\x04evil.jar" * 50])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_trailing_bytes_and_comments_never_reach_the_stored_file(form, trailer):
    picture = noise(100, 100)
    notes = PngInfo()
    notes.add_text("Comment", "<script>alert(1)</script>")
    options = {"JPEG": {"comment": trailer}, "PNG": {"pnginfo": notes}, "WEBP": {"xmp": trailer}}
    photo = clean_photo(encoded(picture, form, **options[form]) + trailer)
    for stored in (photo.jpeg, photo.thumb):
        assert stored.endswith(b"\xff\xd9")
        assert b"alert" not in stored
        assert b"PK\x03\x04evil" not in stored


def markers(jpeg):
    """The kinds of segments before the pixels, e.g. E1 for EXIF and XMP, FE for comments."""
    place, kinds = 2, []
    while jpeg[place + 1] != 0xDA:
        kinds.append(jpeg[place + 1])
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return kinds


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_phone_orientation_ends_upright_and_without_its_place(orientation):
    turned_by = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    upright = portrait()
    stored = upright if turned_by is None else upright.transpose(turned_by)
    upload = encoded(stored, "JPEG", exif=camera_exif(orientation), quality=95)
    assert b"Canary" in upload

    photo = clean_photo(upload)

    assert (photo.width, photo.height) == (240, 320)
    assert (photo.original_width, photo.original_height) == (240, 320)
    for kept in (photo.jpeg, photo.thumb):
        assert deviation(opened(kept), upright.resize(opened(kept).size)) < 6
        assert set(markers(kept)) <= {0xE0, 0xDB, 0xC0, 0xC4}
        assert dict(opened(kept).getexif()) == {}


@pytest.mark.parametrize("form", ["PNG", "WEBP", "HEIF"])
def test_orientation_counts_in_every_format(form):
    stored = portrait().transpose(Image.Transpose.ROTATE_90)
    stored.info["exif"] = camera_exif(6).tobytes()  # the HEIC writer turns it into its own box
    photo = clean_photo(encoded(stored, form, exif=stored.info["exif"]))
    assert (photo.width, photo.height, photo.original_width) == (240, 320, 240)
    assert close(corner(opened(photo.jpeg), left=True, top=True), (200, 30, 30), 20)
    assert set(markers(photo.jpeg)) <= {0xE0, 0xDB, 0xC0, 0xC4}


def test_a_broken_exif_block_does_not_cost_the_photo():
    assert clean_photo(encoded(portrait(), "JPEG", exif=b"Exif\0\0MM\0garbage")).width == 240


@pytest.mark.parametrize(
    ("mode", "form"),
    [("L", "JPEG"), ("CMYK", "JPEG"), ("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG")],
)
def test_every_kind_of_pixel_becomes_plain_rgb(mode, form):
    picture = portrait().quantize(8) if mode == "P" else portrait().convert(mode)
    stored = opened(clean_photo(encoded(picture, form)).jpeg)
    assert (stored.mode, stored.size) == ("RGB", picture.size)
    assert deviation(stored, picture.convert("RGB")) < 8


@pytest.mark.parametrize(
    ("colour_type", "samples", "expected"),
    [(0, (0xA000,), (0xA0,) * 3), (2, (0x2000, 0x8000, 0xE000), (0x20, 0x80, 0xE0))],
    ids=["grey", "colour"],
)
def test_sixteen_bits_a_channel_are_scaled_and_not_clipped(colour_type, samples, expected):
    row = b"\0" + struct.pack(f">{len(samples)}H", *samples) * 80
    header = struct.pack(">IIBBBBB", 80, 80, 16, colour_type, 0, 0, 0)
    photo = clean_photo(
        png_of((b"IHDR", header), (b"IDAT", zlib.compress(row * 80)), (b"IEND", b""))
    )
    assert close(opened(photo.jpeg).getpixel((40, 40)), expected, 3)


def test_transparent_parts_lie_on_white():
    ghost = portrait().convert("RGBA")
    ghost.putalpha(Image.new("L", ghost.size, 0))
    palette = portrait().quantize(8)
    palette.info["transparency"] = palette.getpixel((1, 1))
    assert close(opened(clean_photo(encoded(ghost, "PNG")).jpeg).getpixel((60, 80)), (255,) * 3, 2)
    stored = opened(clean_photo(encoded(palette, "PNG")).jpeg)
    assert close(corner(stored, left=True, top=True), (255, 255, 255), 3)
    assert close(corner(stored, left=False, top=True), (30, 160, 30))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_a_wide_gamut_photo_keeps_its_looks_in_srgb(form):
    p3_of_srgb_red = Image.new("RGB", (100, 100), (234, 51, 35))
    upload = encoded(p3_of_srgb_red, form, icc_profile=display_p3(), quality=100)
    stored = opened(clean_photo(upload).jpeg)
    assert close(stored.getpixel((50, 50)), (255, 0, 0), 14)
    assert "icc_profile" not in stored.info


def test_a_profile_for_other_colours_is_ignored():
    upload = encoded(portrait().convert("L"), "JPEG", icc_profile=display_p3())
    assert clean_photo(upload).width == 240
    assert clean_photo(encoded(portrait(), "JPEG", icc_profile=b"no profile")).width == 240


def test_the_stored_photo_is_small_named_by_its_hash_and_never_enlarged():
    photo = clean_photo(encoded(avatar(1_500, 2_250), "JPEG"))
    assert (photo.width, photo.height) == (683, 1_024)
    assert (photo.original_width, photo.original_height) == (1_500, 2_250)
    assert opened(photo.jpeg).size == (683, 1_024)
    assert opened(photo.thumb).size == (171, 256)
    assert photo.sha256 == hashlib.sha256(photo.jpeg).hexdigest()
    small = clean_photo((PHOTOS / "head_only_small.jpg").read_bytes())
    assert (small.width, small.height) == (180, 180)
    assert opened(small.thumb).size == (180, 180)


def test_even_noise_fits_one_megabyte():
    worst = noise(1024, 1024).point(lambda value: 255 * (value > 127))
    assert len(encoded(worst, "JPEG", quality=90)) > 1_000_000
    assert len(clean_photo(encoded(worst, "PNG")).jpeg) <= 1_000_000


def test_the_content_decides_and_not_the_name():
    upload = BytesIO(encoded(portrait(), "WEBP"))
    upload.name = "selfie.gif"
    upload.read(7)
    assert clean_photo(upload).width == 240


def test_no_more_than_two_photos_are_read_at_once(monkeypatch):
    entered, gate, read, pillow_open = threading.Semaphore(0), threading.Event(), [], Image.open

    def open_at_the_gate(*args, **options):
        entered.release()
        assert gate.wait(20)
        return pillow_open(*args, **options)

    monkeypatch.setattr(Image, "open", open_at_the_gate)
    people = [threading.Thread(target=lambda: read.append(clean_photo(WHOLE))) for _ in range(3)]
    for person in people:
        person.start()
    two, third = [entered.acquire(timeout=20) for _ in range(2)], entered.acquire(timeout=0.2)
    gate.set()
    for person in people:
        person.join(20)
    assert (two, third, len(read)) == ([True, True], False, 3)
