"""What counts as one picture brought back, and what must never: measured on our photos.

Knows imaging, the digests that are blocked, the stand-in's drawing, and Pillow.
"""

import io
import itertools
from pathlib import Path

import pytest
from PIL import Image

from avatars import imaging
from avatars.models import BlockedPicture
from avatars.models.takedowns import NEAR_BITS, distance, is_near
from config.standins import drawing
from tests.avatars.pictures import encoded

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "tests" / "photos"
# One of each motif: two of these show the same people in other files.
MOTIFS = (
    *("cat.png", "coffee.png", "cut_at_chin.jpg", "head_only_small.jpg"),
    *("portrait_astronaut.png", "portrait_official.jpg", "two_people.jpg"),
)
STYLES = ("realistic", "anime", "3d", "chibi", "comic")


def drawn(photo: str, style: str, seed: int) -> Image.Image:
    """A picture as the provider's stand-in draws it of a photo."""
    picture = drawing.draw(
        (PHOTOS / photo).read_bytes(), prompt="pirate", style=style, steps=21, seed=seed, job="x"
    )
    return Image.open(io.BytesIO(picture)).convert("RGB")


@pytest.fixture(scope="module")
def people() -> dict[str, list[Image.Image]]:
    """Two persons, each in five styles twice."""
    return {
        photo: [drawn(photo, style, seed) for style in STYLES for seed in (5, 102)]
        for photo in ("portrait_astronaut.png", "portrait_official.jpg")
    }


def photos() -> list[Image.Image]:
    return [Image.open(PHOTOS / name).convert("RGB") for name in MOTIFS]


def trimmed(picture: Image.Image, per_cent: int) -> Image.Image:
    x, y = (side * per_cent // 100 for side in picture.size)
    return picture.crop((x, y, picture.width - x, picture.height - y))


def hash_of(picture: Image.Image, form: str = "PNG", **options) -> str:
    return imaging.near_hashes(encoded(picture, form, **options))[0]


def nearest(picture: Image.Image, other: str) -> int:
    """How far the nearest of what would be blocked of a picture is from another's hash."""
    return min(distance(own, other) for own in imaging.near_hashes(encoded(picture, "PNG")))


WAYS_BACK = {
    "jpeg of quality 30": lambda picture: hash_of(picture, "JPEG", quality=30),
    "webp of quality 50": lambda picture: hash_of(picture, "WEBP", quality=50),
    "half the size": lambda picture: hash_of(picture.resize([n // 2 for n in picture.size])),
    "a third, as jpeg": lambda picture: hash_of(
        picture.resize([n // 3 for n in picture.size]), "JPEG", quality=50
    ),
    "darker": lambda picture: hash_of(picture.point(lambda value: value * 85 // 100)),
    "trimmed by 1 %": lambda picture: hash_of(trimmed(picture, 1)),
    "trimmed by 2 %": lambda picture: hash_of(trimmed(picture, 2)),
    "trimmed by 3 %": lambda picture: hash_of(trimmed(picture, 3)),
    "trimmed by 4 %": lambda picture: hash_of(trimmed(picture, 4)),
}


@pytest.mark.parametrize("way", WAYS_BACK)
def test_a_picture_brought_back_is_known_again(people, way):
    pictures = [*photos(), *itertools.chain(*people.values())]
    far = [nearest(picture, WAYS_BACK[way](picture)) for picture in pictures]
    assert max(far) <= NEAR_BITS, sorted(far)


def test_no_photo_blocks_another(people):
    far = [nearest(one, hash_of(other)) for one, other in itertools.permutations(photos(), 2)]
    assert min(far) > 2 * NEAR_BITS, sorted(far)[:10]


def test_no_persons_picture_blocks_another_persons(people):
    one, other = people.values()
    far = [nearest(a, hash_of(b)) for a, b in itertools.product(one, other)]
    far += [nearest(b, hash_of(a)) for a, b in itertools.product(one, other)]
    assert min(far) > 2 * NEAR_BITS, sorted(far)[:10]


def test_plain_walls_are_never_taken_for_each_other():
    assert not is_near("0" * 16, "0" * 16)
    assert not is_near("f" * 16, "f" * 15 + "e")


@pytest.mark.django_db
def test_what_is_blocked_is_a_digest_and_nothing_else():
    columns = {field.name for field in BlockedPicture._meta.get_fields()}
    assert columns == {"id", "kind", "digest", "created_at"}


@pytest.mark.django_db
def test_a_digest_is_blocked_once_and_matches_exactly_or_nearly():
    near = "0f1e2d3c4b5a6978"
    for _twice in range(2):
        BlockedPicture.objects.block(exact=["a" * 64], near=[near])
    assert BlockedPicture.objects.count() == 2
    match = BlockedPicture.objects.match
    assert match(exact=["a" * 64], near="0" * 16)
    assert match(exact=["b" * 64], near=f"{int(near, 16) ^ 0b111111:016x}")
    assert not match(exact=["b" * 64], near=f"{int(near, 16) ^ 0b1111111:016x}")
    assert not match(exact=[], near="0" * 16)
