"""Every sample photo gets its listed verdict, and keeps it under the accidents of real photos.
It knows avatars.face_check, imaging for the stored form, and Pillow to vary pictures."""

import json
import threading

import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from avatars.face_check import Verdict, check
from avatars.imaging import clean_photo
from tests.avatars.pictures import PHOTOS, encoded, noise

LISTED = {  # tests/photos/SOURCES.md
    "portrait_astronaut.png": ("good", None, ()),
    "portrait_official.jpg": ("good", None, ()),
    "cut_at_chin.jpg": ("warn", None, ("shoulders", "face_cut", "small_picture")),
    "head_only_small.jpg": ("warn", None, ("shoulders", "small_picture")),
    "blurred.jpg": ("warn", None, ("blurred",)),
    "two_people.jpg": ("block", "many_faces", ()),
    "cat.png": ("block", "no_face", ()),
    "coffee.png": ("block", "no_face", ()),
}


def sample(name):
    return Image.open(PHOTOS / name).convert("RGB")


def judged(picture, *, original=None, quality=92):
    photo = clean_photo(encoded(picture, "JPEG", quality=quality))
    return check(photo.jpeg, original=original or (photo.original_width, photo.original_height))


def said(verdict):
    return verdict.level, verdict.blocks, verdict.warnings


@pytest.mark.parametrize(("name", "listed"), LISTED.items(), ids=LISTED)
def test_each_sample_photo_gets_its_listed_verdict(name, listed):
    photo = clean_photo((PHOTOS / name).read_bytes())
    verdict = check(photo.jpeg, original=(photo.original_width, photo.original_height))
    assert said(verdict) == listed


def smaller(picture):
    return ImageOps.contain(picture, (512, 512))


ACCIDENTS = {
    "turned left": lambda picture: picture.rotate(10, fillcolor="grey"),
    "turned right": lambda picture: picture.rotate(-10, fillcolor="grey"),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.6),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.35),
    "pale": lambda picture: ImageEnhance.Contrast(picture).enhance(0.6),
    "smaller": smaller,
    "mirrored": ImageOps.mirror,
    "with a white margin": lambda picture: ImageOps.expand(picture, picture.width // 4, "white"),
    "black and white": lambda picture: picture.convert("L"),
    "grainy": lambda picture: Image.blend(picture, noise(*picture.size), 0.08),
    "slightly soft": lambda picture: picture.filter(ImageFilter.GaussianBlur(0.7)),
}


@pytest.mark.parametrize("name", [name for name in LISTED if name != "cut_at_chin.jpg"])
@pytest.mark.parametrize("accident", ACCIDENTS.values(), ids=ACCIDENTS)
def test_a_verdict_survives_the_accidents_of_real_photos(name, accident):
    verdict = judged(accident(sample(name)), original=sample(name).size)
    assert said(verdict) == LISTED[name]


@pytest.mark.parametrize("name", ["portrait_astronaut.png", "portrait_official.jpg"])
@pytest.mark.parametrize("quality", [75, 50, 35])
def test_a_good_portrait_stays_good_when_sent_through_a_messenger(name, quality):
    assert judged(sample(name), quality=quality).level == "good"


def test_the_box_lies_around_the_face_in_pixels_of_the_checked_picture():
    left, top, width, height = judged(sample("portrait_official.jpg")).box
    assert left + width / 2 == pytest.approx(447, abs=15)  # of 820 × 1024 pixels
    assert top + height / 2 == pytest.approx(232, abs=15)
    assert (width, height) == (pytest.approx(218, abs=15), pytest.approx(305, abs=20))


@pytest.mark.parametrize(
    "cut", [(0, 0, 530, 1137), (430, 0, 910, 1137), (0, 150, 910, 1137), (0, 0, 910, 400)]
)
def test_a_face_cut_by_the_frame_is_said_and_its_box_stays_inside(cut):
    picture = sample("portrait_official.jpg").crop(cut)
    verdict = judged(picture)
    left, top, width, height = verdict.box
    assert "face_cut" in verdict.warnings
    assert left >= 0
    assert top >= 0
    assert (left + width <= picture.width, top + height <= picture.height) == (True, True)


def test_a_false_second_face_and_people_far_behind_do_not_count():
    assert judged(sample("portrait_official.jpg")).faces == 1  # a pattern is a face at 0.9
    crowd = sample("portrait_official.jpg")
    crowd.paste(sample("head_only_small.jpg").resize((120, 120)), (30, 30))
    assert judged(crowd).faces == 1
    crowd.paste(sample("head_only_small.jpg").resize((330, 330)), (0, 0))
    assert (judged(crowd).faces, judged(crowd).blocks) == (2, "many_faces")


@pytest.mark.parametrize(("side", "across"), [(340, 700), (460, 1024)])
def test_a_face_far_away_is_small(side, across):
    """In pixels (58 of 700) or in share (78 of 1024)."""
    far = Image.new("RGB", (across, across), "grey")
    far.paste(sample("portrait_astronaut.png").resize((side, side)), (200, 300))
    assert judged(far).warnings == ("small_face",)


def test_a_room_without_light_is_dark_and_a_dark_face_in_light_is_not():
    portrait = sample("portrait_official.jpg")
    assert judged(ImageEnhance.Brightness(portrait).enhance(0.25)).warnings == ("dark",)
    assert judged(ImageEnhance.Brightness(portrait).enhance(0.45)).warnings == ()


@pytest.mark.parametrize(("radius", "warnings"), [(2, ()), (12, ("blurred",))])
def test_blur_is_judged_by_the_size_of_the_face(radius, warnings):
    soft = sample("portrait_official.jpg").filter(ImageFilter.GaussianBlur(radius))
    assert judged(soft).warnings == warnings
    half = soft.resize((soft.width // 2, soft.height // 2))
    assert judged(half, original=soft.size).warnings == warnings


def test_a_head_without_room_beside_or_below_has_no_shoulders():
    portrait = sample("portrait_official.jpg")
    narrow = judged(portrait.crop((320, 0, 680, 1137)), original=portrait.size)
    low = judged(portrait.crop((0, 0, 910, 540)))
    assert (narrow.warnings, low.warnings) == (("shoulders",), ("shoulders",))
    assert judged(portrait.crop((180, 0, 820, 960))).level == "good"


def test_the_size_that_counts_is_the_uploaded_one():
    photo = clean_photo(encoded(smaller(sample("portrait_official.jpg")), "JPEG"))
    as_it_is, shrunk_by_us = check(photo.jpeg), check(photo.jpeg, original=(910, 1137))
    assert (as_it_is.warnings, as_it_is.width, as_it_is.height) == (("small_picture",), 410, 512)
    assert (shrunk_by_us.warnings, shrunk_by_us.width) == ((), 910)


def test_a_verdict_can_be_kept_as_json():
    for name in LISTED:
        verdict = judged(sample(name))
        assert Verdict.from_dict(json.loads(json.dumps(verdict.as_dict()))) == verdict


@pytest.mark.parametrize("size", [(1024, 64), (64, 1024), (64, 64), (300, 1024)])
def test_patterns_of_any_shape_have_no_face(size):
    assert said(judged(noise(*size))) == ("block", "no_face", ())


def test_what_is_no_picture_is_the_caller_s_mistake():
    with pytest.raises(ValueError, match="cleaned photo"):
        check(b"<html>")


def test_people_may_be_checked_at_the_same_time():
    photos = {name: clean_photo((PHOTOS / name).read_bytes()).jpeg for name in LISTED}
    alone = {name: check(jpeg) for name, jpeg in photos.items()}
    together = {}

    def check_one(name):
        together[name] = check(photos[name])

    people = [threading.Thread(target=check_one, args=(name,)) for name in photos]
    for person in people:
        person.start()
    for person in people:
        person.join(30)
    assert together == alone
