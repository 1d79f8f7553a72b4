"""Results that the provider's safety check withheld are told from drawings, and cost nothing.

Knows avatars.blocked, the stand-in's own drawings, the test photos, and the page of a request.
"""

import functools

import pytest
from PIL import Image, ImageDraw, ImageFilter

from accounts.models import Kind, Transfer
from avatars.blocked import LEAST_SHARPNESS, is_blocked, sharpness
from avatars.models import Avatar, AvatarRequest, Reason, State
from config.standins import drawing
from tests import engine, factories
from tests.avatars.pictures import PHOTOS, encoded, opened
from tests.avatars.test_views_create import CREATE, form

PEOPLE = ("portrait_astronaut.png", "portrait_official.jpg", "two_people.jpg")
NIGHT, FOG = (lambda value: value // 12), (lambda value: 200 + value // 8)


@functools.cache
def photo(name: str) -> Image.Image:
    picture = Image.open(PHOTOS / name).convert("RGB")
    return picture.crop((0, 0, 900, 900)) if name == "two_people.jpg" else picture


@functools.cache
def drawn(name: str, style: str) -> Image.Image:
    sent = photo(name).copy()
    sent.thumbnail((1024, 1024))
    order = {"prompt": "in soft window light", "steps": 41, "seed": 7, "job": "1"}
    return opened(drawing.draw(encoded(sent, "JPEG"), style=style, **order)).convert("RGB")


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    """By a Gaussian of so many pixels of a width of 512."""
    return picture.filter(ImageFilter.GaussianBlur(radius * picture.width / 512))


def before_a_background_out_of_focus(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    face = Image.new("L", picture.size)
    ImageDraw.Draw(face).ellipse((width * 0.3, height * 0.2, width * 0.7, height * 0.55), fill=255)
    return Image.composite(picture, blurred(picture, 14), blurred(face, 12))


WANTED = {
    "as drawn": lambda picture: picture,
    "in soft focus": lambda picture: blurred(picture, 2),
    "before a background out of focus": before_a_background_out_of_focus,
    "at night": lambda picture: blurred(picture, 1).point(NIGHT),
    "in fog": lambda picture: blurred(picture, 1).point(FOG),
    "large": lambda picture: picture.resize((1024, 1536)),
    "as a poor jpeg": lambda picture: opened(encoded(picture, "JPEG", quality=30)),
}
WITHHELD = {
    "blurred by 12": lambda picture: blurred(picture, 12),
    "blurred by 20": lambda picture: blurred(picture, 20),
    "blurred by 40": lambda picture: blurred(picture, 40),
    "blurred at night": lambda picture: blurred(picture, 16).point(NIGHT),
    "blurred in fog": lambda picture: blurred(picture, 16).point(FOG),
    "blurred and large": lambda picture: blurred(picture.resize((1024, 1536)), 12),
    "blurred as a jpeg": lambda picture: opened(encoded(blurred(picture, 12), "JPEG", quality=50)),
    "blurred as a webp": lambda picture: opened(encoded(blurred(picture, 16), "WEBP", quality=50)),
}


@pytest.mark.parametrize("style", drawing.STYLES)
@pytest.mark.parametrize("name", PEOPLE)
def test_a_drawing_is_never_called_blocked(name, style):
    seen = {how: sharpness(change(drawn(name, style))) for how, change in WANTED.items()}
    assert {how: value for how, value in seen.items() if value < 1.5 * LEAST_SHARPNESS} == {}
    assert not is_blocked(drawn(name, style))


@pytest.mark.parametrize("style", [*drawing.STYLES, None])
@pytest.mark.parametrize("name", PEOPLE)
def test_a_heavily_blurred_picture_is_blocked(name, style):
    picture = drawn(name, style) if style else photo(name)
    seen = {how: sharpness(change(picture)) for how, change in WITHHELD.items()}
    assert {how: value for how, value in seen.items() if value >= LEAST_SHARPNESS} == {}
    by_day = {how: value for how, value in seen.items() if "night" not in how}
    assert {how: value for how, value in by_day.items() if value > 0.75 * LEAST_SHARPNESS} == {}
    assert is_blocked(WITHHELD["blurred by 12"](picture))


@pytest.mark.parametrize("name", sorted(path.name for path in PHOTOS.glob("*.*g")))
def test_no_photograph_is_called_blocked(name):
    assert sharpness(photo(name)) >= 1.5 * LEAST_SHARPNESS


@pytest.mark.parametrize("flat", ["black", "white", "teal"])
def test_one_colour_is_blocked(flat):
    assert is_blocked(Image.new("RGB", (512, 768), flat))
    assert is_blocked(Image.new("RGB", (1, 1), flat))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scenario", ["[[blur]]", "[[blur]] [[draw=full]]", "[[black]]"])
def test_a_withheld_picture_costs_nothing_and_says_so(client, ada, provider, settings, scenario):
    settings.PUBLIC_BASE_URL = ""
    client.force_login(ada)
    picked = factories.create_photo(ada, factories.portrait())
    made = client.post(CREATE, form(ada, picked, prompt=f"a lighthouse keeper {scenario}"))
    engine.finish()
    page = client.get(made.url).text.replace("&#x27;", "'")
    assert "The picture didn't pass our safety check, so we can't show it." in page
    assert "Your credit is back (balance 10). You were not charged." in page
    ended = AvatarRequest.objects.get()
    assert (ended.state, ended.reason) == (State.FAILED, Reason.BLOCKED)
    assert Transfer.objects.filter(wallet=ada.wallet, kind=Kind.RELEASE).count() == 1
    assert Transfer.objects.filter(wallet=ada.wallet, kind=Kind.CAPTURE).count() == 0
    ada.wallet.refresh_from_db()
    assert (ada.wallet.available, ada.wallet.reserved) == (10, 0)
    assert (provider.books.generated(), Avatar.objects.count()) == (1, 0)
