"""Results in, marked renditions and downloads out.
It knows avatars.imaging, and Pillow to make and read back pictures."""

import colorsys
import re

import pytest
from PIL import Image

from avatars.imaging import (
    PALETTE,
    PictureBlocked,
    PictureBroken,
    download_as,
    read_mark,
    render_avatar,
)
from tests.avatars.pictures import (
    FRAMES,
    MOVING,
    PHOTOS,
    avatar,
    camera_exif,
    deviation,
    display_p3,
    encoded,
    noise,
    opened,
    png_by_header,
)

MARK_ID = "3f0c6b1e-52a7_x"
SOURCE = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP_WITHOUT_SOURCE = b'<x xmpMM:DocumentID="abc"/>'


def test_a_result_becomes_a_master_of_its_size_and_a_small_thumb():
    renditions = render_avatar(encoded(avatar(), "PNG"), mark_id=MARK_ID)
    assert (renditions.width, renditions.height) == (512, 768)
    master, thumb = opened(renditions.master), opened(renditions.thumb)
    assert (master.format, master.size) == ("WEBP", (512, 768))
    assert (thumb.format, thumb.size) == ("WEBP", (256, 384))
    assert len(renditions.thumb) <= 525 * 1024 / 48
    assert deviation(master, avatar()) < 4


@pytest.mark.parametrize(("size", "thumb"), [((1024, 1024), (256, 256)), ((200, 300), (200, 300))])
def test_a_thumb_keeps_the_shape_and_is_never_enlarged(size, thumb):
    assert opened(render_avatar(encoded(avatar(*size), "PNG"), mark_id="m").thumb).size == thumb


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_results_are_known_by_content_and_lose_what_they_carried(form):
    options = {"exif": camera_exif(1), "icc_profile": display_p3()}
    renditions = render_avatar(encoded(avatar(), form, **options), mark_id=MARK_ID)
    for stored in (renditions.master, renditions.thumb):
        assert b"Canary" not in stored
        assert {"exif", "icc_profile"} & set(opened(stored).info) == set()


BROKEN = {
    "heic": encoded(avatar(), "HEIF"),
    "two in one": encoded(FRAMES[0], "MPO", **MOVING),
    "4.3 MP": encoded(Image.effect_noise((2_050, 2_100), 60), "JPEG"),
    "longer than what we keep can be": encoded(Image.effect_noise((40, 16_400), 60), "JPEG"),
    "bomb": png_by_header(30_000, 30_000),
    "base64 text": b"iVBORw0KGgoAAAANSUhEUg==",
    "half": encoded(avatar(), "PNG")[:100_000],
}


@pytest.mark.parametrize("result", BROKEN.values(), ids=BROKEN)
def test_a_result_that_is_not_one_picture_is_broken(result):
    with pytest.raises(PictureBroken):
        render_avatar(result, mark_id=MARK_ID)


def test_black_and_flat_results_are_blocked_and_dark_drawings_are_not():
    nearly_black = noise(512, 768).point(lambda value: value // 64)
    for flat in (Image.new("RGB", (512, 768)), Image.new("RGB", (512, 768), "teal"), nearly_black):
        with pytest.raises(PictureBlocked):
            render_avatar(encoded(flat, "PNG"), mark_id=MARK_ID)
    night = avatar().point(lambda value: value // 12)
    assert render_avatar(encoded(night, "PNG"), mark_id=MARK_ID).height == 768


@pytest.mark.parametrize("index", range(24))
def test_a_placeholder_has_the_colour_of_most_of_the_picture(index):
    picture = Image.new("RGB", (512, 768), PALETTE[index])
    picture.paste(noise(200, 200), (10, 10))
    assert render_avatar(encoded(picture, "PNG"), mark_id="m").colour == index


def test_the_palette_is_that_of_the_style_sheet():
    sheet = (PHOTOS.parents[1] / "static/css/tokens.css").read_text()
    colours = {}
    for index, *hsl in re.findall(r"\.lq-(\d+) { --lq: hsl\((\d+) (\d+)% (\d+)%\)", sheet):
        hue, saturation, lightness = map(int, hsl)
        rgb = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
        colours[int(index)] = "#" + bytes(round(255 * part) for part in rgb).hex()
    assert colours == dict(enumerate(PALETTE))


def test_near_hashes_are_near_for_one_picture_and_far_for_two():
    def near_hash(picture, form="PNG", **options):
        digits = render_avatar(encoded(picture, form, **options), mark_id="m").near_hash
        assert len(digits) == 64
        return int(digits, 16)

    first = near_hash(avatar())
    same = near_hash(avatar().resize((400, 600)), "JPEG", quality=50)
    other = near_hash(Image.open(PHOTOS / "cat.png").resize((512, 768)))
    assert (first ^ same).bit_count() <= 4
    assert (first ^ other).bit_count() >= 64


def test_every_file_that_leaves_says_it_was_made_by_ai():
    renditions = render_avatar(encoded(avatar(), "PNG"), mark_id=MARK_ID)
    forms = {
        form: download_as(renditions.master, form) for form in ("jpeg", "webp", "png", "square")
    }
    for leaving in (renditions.master, renditions.thumb, *forms.values()):
        assert read_mark(leaving) == MARK_ID
        assert leaving.count(b'Iptc4xmpExt:DigitalSourceType="' + SOURCE + b'"') == 1
    assert b"iTXtXML:com.adobe.xmp\0" in forms["png"]
    pictures = {form: opened(leaving) for form, leaving in forms.items()}
    assert {form: (picture.format, picture.size) for form, picture in pictures.items()} == {
        "jpeg": ("JPEG", (512, 768)),
        "webp": ("WEBP", (512, 768)),
        "png": ("PNG", (512, 768)),
        "square": ("JPEG", (512, 512)),
    }
    assert forms["webp"] == renditions.master
    assert deviation(pictures["png"], opened(renditions.master)) == 0
    assert deviation(pictures["square"], pictures["jpeg"].crop((0, 0, 512, 512))) < 3


def test_a_square_is_never_enlarged():
    master = render_avatar(encoded(avatar(300, 900), "PNG"), mark_id="m").master
    square = opened(download_as(master, "square"))
    assert square.size == (300, 300)
    assert deviation(square, opened(master).crop((0, 150, 300, 450))) < 3


def test_nothing_unmarked_or_unknown_is_handed_out():
    master = render_avatar(encoded(avatar(), "PNG"), mark_id="m").master
    with pytest.raises(ValueError, match="form"):
        download_as(master, "tiff")
    for unmarked in (
        encoded(avatar(), "WEBP"),
        b"",
        encoded(avatar(), "WEBP", xmp=XMP_WITHOUT_SOURCE),
    ):
        assert read_mark(unmarked) is None
        with pytest.raises(PictureBroken):
            download_as(unmarked, "webp")


def test_a_mark_rewritten_by_an_editor_is_still_read():
    element = b"<x><xmpMM:DocumentID>abc-1</xmpMM:DocumentID><i>" + SOURCE + b"</i></x>"
    assert read_mark(encoded(avatar(), "JPEG", xmp=element)) == "abc-1"


@pytest.mark.parametrize("mark_id", ["", "a b", 'a"/><x y="', "é", "a" * 65])
def test_a_mark_id_cannot_break_out_of_the_mark(mark_id):
    with pytest.raises(ValueError, match="mark id"):
        render_avatar(encoded(avatar(), "PNG"), mark_id=mark_id)


def test_a_result_longer_than_a_webp_can_be_is_broken():
    raw = encoded(Image.new("RGB", (16_384, 64), "red"), "PNG")
    with pytest.raises(PictureBroken):
        render_avatar(raw, mark_id="m")
