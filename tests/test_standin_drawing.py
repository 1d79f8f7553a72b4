"""The stand-in's pictures: five styles that differ, keep the person and say what they are.

Knows config.standins.drawing, the treatments it chooses from, the samples and the test photos.
"""

import dataclasses
import functools
import io
import itertools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from config.standins import drawing, sitting
from config.standins.treatments import TREATMENTS
from tests import samples

PHOTOS = Path(__file__).parent / "photos"
PORTRAITS = ("portrait_astronaut.png", "portrait_official.jpg", "two_people.jpg")
ORDER = {"prompt": "portrait in soft window light", "steps": 21, "seed": 7, "job": "91753437"}

each_portrait = pytest.mark.parametrize("portrait", PORTRAITS)


@functools.cache
def photo_of(portrait):
    """The photo as it is sent: a JPEG of at most 1024 pixels; of the two people the left one."""
    with Image.open(PHOTOS / portrait) as image:
        if portrait == "two_people.jpg":
            image = image.crop((0, 0, 900, 900))
        return encoded(image)


def encoded(image, kind="JPEG", **options):
    image.thumbnail((1024, 1024))
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@functools.cache
def drawn(portrait, style, seed=7, steps=21):
    return drawing.draw(photo_of(portrait), style=style, **{**ORDER, "seed": seed, "steps": steps})


def pixels(picture):
    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(image.convert("RGB"), np.float32)


def difference(first, second):
    return float(np.abs(pixels(first) - pixels(second)).mean())


def face_lightness(picture):
    """Mean L of the face's box, 0…255."""
    photo = sitting.read(picture)
    (face,) = sitting.find_faces(photo)
    return float(sitting.as_lab(photo[face.box()] / 255)[..., 0].mean()) * 2.55


@each_portrait
def test_every_drawing_is_a_png_of_the_ordered_size_and_the_usual_weight(portrait):
    for style in drawing.STYLES:
        picture = drawn(portrait, style)
        with Image.open(io.BytesIO(picture)) as image:
            assert (image.format, image.size, image.mode) == ("PNG", (512, 768), "RGB")
        assert 600_000 <= len(picture) <= 800_000


@each_portrait
def test_any_two_styles_differ_at_a_glance(portrait):
    for first, second in itertools.combinations(drawing.STYLES, 2):
        assert difference(drawn(portrait, first), drawn(portrait, second)) >= 20


@each_portrait
def test_every_style_is_more_than_a_crop_of_the_photo(portrait, monkeypatch):
    for style in drawing.STYLES:
        untreated = dataclasses.replace(
            TREATMENTS[style], draw=lambda seat, brush: (seat.picture, seat.picture)
        )
        with monkeypatch.context() as patch:
            patch.setitem(TREATMENTS, style, untreated)
            crop = drawing.draw(photo_of(portrait), style=style, **ORDER)
        assert difference(drawn(portrait, style), crop) >= 10


@each_portrait
def test_another_seed_gives_another_picture(portrait):
    for style in drawing.STYLES:
        assert difference(drawn(portrait, style), drawn(portrait, style, seed=8)) >= 8


@each_portrait
def test_the_one_face_of_the_photo_is_found_in_every_style(portrait):
    assert drawing.count_faces(photo_of(portrait)) == 1
    assert [drawing.count_faces(drawn(portrait, style)) for style in drawing.STYLES] == [1] * 5


@each_portrait
def test_no_style_lightens_or_darkens_the_face(portrait):
    in_photo = face_lightness(photo_of(portrait))
    for style in drawing.STYLES:
        assert face_lightness(drawn(portrait, style)) == pytest.approx(in_photo, abs=15)


def test_a_dark_photo_stays_dark():
    with Image.open(PHOTOS / "portrait_official.jpg") as image:
        dark = encoded(image.point(lambda value: value * 0.55))
    in_photo = face_lightness(dark)
    for style in drawing.STYLES:
        picture = drawing.draw(dark, style=style, **ORDER)
        assert face_lightness(picture) == pytest.approx(in_photo, abs=15)


def test_equal_orders_give_equal_bytes_also_when_drawn_side_by_side():
    photo = photo_of("portrait_astronaut.png")
    with ThreadPoolExecutor(2) as hands:
        again = hands.map(lambda style: drawing.draw(photo, style=style, **ORDER), drawing.STYLES)
    assert list(again) == [drawn("portrait_astronaut.png", style) for style in drawing.STYLES]


@pytest.mark.parametrize(("field", "other"), [("prompt", "at sea"), ("steps", 31), ("seed", 1)])
def test_prompt_steps_and_seed_each_change_the_picture(field, other):
    photo = photo_of("portrait_astronaut.png")
    picture = drawing.draw(photo, style="anime", **{**ORDER, field: other})
    assert difference(picture, drawn("portrait_astronaut.png", "anime")) > 1


def test_more_steps_leave_less_grain():
    sizes = [len(drawn("portrait_astronaut.png", "3d", steps=steps)) for steps in (21, 31, 41)]
    assert sizes == sorted(sizes, reverse=True)


def test_the_text_entry_says_what_the_picture_is():
    with Image.open(io.BytesIO(drawn("portrait_astronaut.png", "comic"))) as image:
        assert image.text == {"Comment": "LOCAL STAND-IN · comic · seed 7 · job 91753437"}


def test_the_plate_covers_the_lower_left_corner_and_nothing_else():
    photo = photo_of("portrait_astronaut.png")
    picture = pixels(drawn("portrait_astronaut.png", "comic"))
    for corner in ((-1, 0), (-24, 0), (-1, 200)):
        assert tuple(picture[corner]) == drawing.INK
    assert (picture[-24:, :200] == drawing.PAPER).all(axis=2).sum() > 100  # letters
    other = pixels(drawing.draw(photo, style="comic", **{**ORDER, "job": "91753438"}))
    rows, columns = np.nonzero((picture != other).any(axis=2))
    assert rows.min() >= 768 - 25
    assert columns.max() < 512 * 3 / 4


def test_the_plate_fits_a_narrow_picture():
    photo = photo_of("portrait_astronaut.png")
    picture = pixels(drawing.draw(photo, style="realistic", width=256, height=384, **ORDER))
    plate = np.flatnonzero((picture[-1] == drawing.INK).all(axis=1))
    assert plate[0] == 0
    assert 128 < plate[-1] < 255


def test_the_built_in_portrait_is_a_jpeg_with_one_face_in_every_style():
    portrait = drawing.portrait()
    with Image.open(io.BytesIO(portrait)) as image:
        assert (image.format, image.size) == ("JPEG", (640, 800))
    assert portrait == drawing.portrait()
    assert drawing.count_faces(portrait) == 1
    pictures = [drawing.draw(portrait, style=style, **ORDER) for style in drawing.STYLES]
    assert [drawing.count_faces(picture) for picture in pictures] == [1] * 5


@pytest.mark.parametrize(
    ("name", "faces"),
    [("two_people.jpg", 2), ("cat.png", 0), ("coffee.png", 0), ("portrait_official.jpg", 1)],
)
def test_faces_are_counted(name, faces):
    assert drawing.count_faces((PHOTOS / name).read_bytes()) == faces


def test_a_photo_turned_by_its_camera_is_drawn_upright():
    orientation = Image.Exif()
    orientation[0x0112] = 6  # "turn a quarter clockwise to show"
    with Image.open(PHOTOS / "portrait_astronaut.png") as image:
        lying = encoded(image.transpose(Image.Transpose.ROTATE_90), exif=orientation)
    assert drawing.count_faces(drawing.draw(lying, style="realistic", **ORDER)) == 1


@pytest.mark.parametrize(
    ("mode", "size"),
    [("RGB", (1, 1)), ("L", (8, 8)), ("RGBA", (1024, 40)), ("P", (40, 1024)), ("CMYK", (9, 3000))],
)
def test_a_photo_of_any_kind_and_shape_is_drawn(mode, size):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    picture = drawing.draw(encoded(Image.new(mode, size), kind), style="chibi", **ORDER)
    assert pixels(picture).shape == (768, 512, 3)


@pytest.mark.parametrize("style", drawing.STYLES)
def test_a_small_or_square_picture_is_drawn(style):
    for width, height in ((64, 64), (320, 320)):
        picture = drawing.draw(
            photo_of("portrait_astronaut.png"), style=style, width=width, height=height, **ORDER
        )
        assert pixels(picture).shape == (height, width, 3)


@pytest.mark.parametrize(
    "spoil", [lambda photo: b"", lambda photo: b"GIF89a?", lambda photo: photo[:999]]
)
def test_what_is_no_picture_is_refused_in_a_sentence(spoil):
    spoiled = spoil(photo_of("portrait_official.jpg"))
    with pytest.raises(drawing.NotAPicture, match="not a picture that can be read"):
        drawing.count_faces(spoiled)
    with pytest.raises(drawing.NotAPicture, match="not a picture that can be read"):
        drawing.draw(spoiled, style="anime", **ORDER)


def test_the_sample_pictures_keep_the_budget_of_the_landing_page():
    names = ("original", *drawing.STYLES)
    weights = {}
    for suffix, size, most in (("", (512, 768), 45_000), ("-256", (256, 384), 15_000)):
        for name in names:
            path = samples.IMAGES / "samples" / f"{name}{suffix}.webp"
            with Image.open(path) as image:
                assert (image.format, image.size) == ("WEBP", size)
            weights[name + suffix] = path.stat().st_size
            assert weights[name + suffix] <= most
    assert weights["original"] + weights["realistic"] <= 60_000
    assert weights["original"] + weights["anime"] <= 60_000


def test_the_time_a_drawing_takes_is_told(capsys):
    started = time.process_time()
    picture = drawing.draw(photo_of("portrait_official.jpg"), style="3d", **ORDER)
    seconds = time.process_time() - started
    assert picture == drawn("portrait_official.jpg", "3d")
    with capsys.disabled():
        sys.stdout.write(f"\none drawing: {seconds:.2f} s of one core (wanted: at most 0.5)\n")
