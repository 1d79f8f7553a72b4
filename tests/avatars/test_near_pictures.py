"""What counts as one picture brought back, and what must never: measured on our photos. The table
in avatars/models/near.py is of these and more drawings.

Knows imaging, the digests that are blocked, the stand-in's drawing, and Pillow.
"""

import io
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from avatars import imaging
from avatars.models import BlockedPicture
from avatars.models.near import NEAR_BITS, distance, is_near
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
SEEDS = 2


def drawn(photo: str, style: str, seed: int) -> Image.Image:
    """A picture as the provider's stand-in draws it of a photo."""
    picture = drawing.draw(
        (PHOTOS / photo).read_bytes(), prompt="pirate", style=style, steps=21, seed=seed, job="x"
    )
    return Image.open(io.BytesIO(picture)).convert("RGB")


@dataclass(frozen=True)
class Removed:
    """A picture and what would be blocked of it."""

    picture: Image.Image
    hashes: list[str]

    @classmethod
    def of(cls, picture: Image.Image) -> "Removed":
        return cls(picture, imaging.near_hashes(png(picture)))

    def nearest(self, other: str) -> int:
        return min(distance(own, other) for own in self.hashes)


@pytest.fixture(scope="module")
def people() -> dict[str, list[Removed]]:
    """Two persons, each in five styles twice."""
    return {
        photo: [Removed.of(drawn(photo, style, seed)) for style in STYLES for seed in (5, 102)]
        for photo in ("portrait_astronaut.png", "portrait_official.jpg")
    }


@pytest.fixture(scope="module")
def photos() -> list[Removed]:
    return [Removed.of(Image.open(PHOTOS / name).convert("RGB")) for name in MOTIFS]


@pytest.fixture(scope="module")
def pictures(people, photos) -> list[Removed]:
    """Every photo, and of both persons one in each style."""
    return [*photos, *itertools.chain(*(drawings[::SEEDS] for drawings in people.values()))]


def png(picture: Image.Image) -> bytes:
    return encoded(picture, "PNG", compress_level=1)


def trimmed(picture: Image.Image, *per_cent: float) -> Image.Image:
    """Off left, top, right and bottom; one number: off each."""
    left, top, right, bottom = per_cent * 4 if len(per_cent) == 1 else per_cent
    width, height = picture.size
    box = (left * width, top * height, (100 - right) * width, (100 - bottom) * height)
    return picture.crop([round(side / 100) for side in box])


def shrunk(picture: Image.Image, times: int) -> Image.Image:
    return picture.resize([side // times for side in picture.size])


def gamma(value: int) -> int:
    return round(255 * (value / 255) ** 0.8)


def hash_of(picture: Image.Image, form: str = "", **options) -> str:
    """That of a picture which comes back in this form."""
    return imaging.near_hashes(encoded(picture, form, **options) if form else png(picture))[0]


WAYS_BACK = {
    "jpeg of quality 90": lambda picture: hash_of(picture, "JPEG", quality=90),
    "jpeg of quality 30": lambda picture: hash_of(picture, "JPEG", quality=30),
    "webp of quality 50": lambda picture: hash_of(picture, "WEBP", quality=50),
    "half the size": lambda picture: hash_of(shrunk(picture, 2)),
    "a third, as jpeg": lambda picture: hash_of(shrunk(picture, 3), "JPEG", quality=50),
    "darker": lambda picture: hash_of(picture.point(lambda value: value * 85 // 100)),
    "brighter": lambda picture: hash_of(picture.point(lambda value: min(255, value * 115 // 100))),
    "other gamma": lambda picture: hash_of(picture.point(gamma)),
    **{
        f"trimmed by {cut} %": lambda picture, cut=cut: hash_of(trimmed(picture, cut))
        for cut in (1, 2, 2.5, 3, 4)
    },
    "trimmed by 2.5 %, half the size, as jpeg": lambda picture: hash_of(
        shrunk(trimmed(picture, 2.5), 2), "JPEG", quality=60
    ),
}


@pytest.mark.parametrize("way", WAYS_BACK)
def test_a_picture_brought_back_is_known_again(pictures, way):
    far = [removed.nearest(WAYS_BACK[way](removed.picture)) for removed in pictures]
    assert max(far) <= NEAR_BITS, sorted(far)


def test_trimmed_on_one_side_nearly_all_are_known_again(pictures):
    """By 3 %, which lies between what is blocked."""
    cuts = [[3 * (each == side) for each in range(4)] for side in range(4)]
    ways = itertools.product(pictures, cuts)
    far = [removed.nearest(hash_of(trimmed(removed.picture, *cut))) for removed, cut in ways]
    known = sum(bits <= NEAR_BITS for bits in far) / len(far)
    assert known >= 0.9, sorted(far)


def between(some: Iterable[Removed], others: Iterable[Removed]) -> list[int]:
    """How far what is blocked of some is from others, the nearest first; itself apart."""
    pairs = itertools.product(some, others)
    return sorted(one.nearest(other.hashes[0]) for one, other in pairs if one is not other)


def test_no_photo_blocks_another(photos):
    assert between(photos, photos)[0] > 4 * NEAR_BITS


def test_no_persons_picture_blocks_another_persons(people):
    one, other = people.values()
    assert min(between(one, other)[0], between(other, one)[0]) > 4 * NEAR_BITS


def test_no_style_blocks_another_style_of_the_same_person(people):
    for drawings in people.values():
        for at in range(0, len(drawings), SEEDS):
            style, others = drawings[at : at + SEEDS], drawings[:at] + drawings[at + SEEDS :]
            assert between(style, others)[0] > NEAR_BITS


def test_drawn_twice_alike_software_cannot_tell_and_so_a_person_must(people):
    """Why a match is no verdict: if this ever fails, a link need not wait for a person."""
    twice = [
        between(drawings[at : at + SEEDS], drawings[at : at + SEEDS])[0]
        for drawings in people.values()
        for at in range(0, len(drawings), SEEDS)
    ]
    assert min(twice) <= NEAR_BITS < max(twice), twice


def test_plain_walls_are_never_taken_for_each_other():
    wall = Image.new("RGB", (512, 768), "#777777")
    fade = Image.linear_gradient("L").resize((512, 768)).convert("RGB")
    for one, other in itertools.product((wall, fade), repeat=2):
        assert not is_near(hash_of(one), hash_of(other))


def test_hashes_of_another_kind_are_never_near():
    near = "0f1e2d3c4b5a6978" * 4
    assert is_near(near, near)
    assert not is_near(near, near[:16])
    assert not is_near(near[:16], near[:16])


@pytest.mark.django_db
def test_what_is_blocked_is_a_digest_and_nothing_else():
    columns = {field.name for field in BlockedPicture._meta.get_fields()}
    assert columns == {"id", "kind", "digest", "created_at"}


@pytest.mark.django_db
def test_a_digest_is_blocked_once_and_matches_exactly_or_nearly():
    near = "0f1e2d3c4b5a6978" * 4

    def other_in(bits: int) -> str:
        return f"{int(near, 16) ^ (2**bits - 1):064x}"

    for _twice in range(2):
        BlockedPicture.objects.block(exact=["a" * 64], near=[near])
    blocked = BlockedPicture.objects
    assert blocked.count() == 2
    assert (blocked.has(["a" * 64]), blocked.has(["b" * 64]), blocked.has([])) == (
        True,
        False,
        False,
    )
    assert blocked.has_like(other_in(NEAR_BITS))
    assert not blocked.has_like(other_in(NEAR_BITS + 1))
