"""The demo of a clone: Ada with a gallery, Ben with nothing, Mo on the staff, packs to buy.

Knows both apps' verbs; everything here goes through them, as a person's own clicks would.
"""

from pathlib import Path

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management.base import CommandError
from django.db import IntegrityError, transaction

from accounts import gifts
from accounts.models import Consent, CreditPack, Kind, User
from avatars import generation, safekeeping, words
from avatars.models import AvatarRequest, FacePhoto, Quality, Style

ADA, BEN, MO = "ada@example.org", "ben@example.org", "mo@example.org"
PEOPLE = (ADA, BEN, MO)
# The demo runs on loopback with play credits; a password that can be printed is the point of it.
PASSWORD = "likeness demo"  # noqa: S105 - see above
ADAS_CREDITS = 60
PHOTOS = ("official.jpg", "astronaut.jpg")
WISHES = (
    (Style.REALISTIC, Quality.FAST, "portrait in soft window light"),
    (Style.ANIME, Quality.STANDARD, "pirate at dusk, ship's deck, warm lantern light"),
    (Style.THREE_D, Quality.STANDARD, "astronaut in a bright cabin, calm"),
    (Style.CHIBI, Quality.FAST, "baker with a tray of buns, cheerful"),
    (Style.COMIC, Quality.STANDARD, "lighthouse keeper, evening storm"),
    (Style.ANIME, Quality.FAST, "reading in a café, rainy afternoon"),
    (Style.REALISTIC, Quality.FINE, "office headshot, grey background"),
    (Style.COMIC, Quality.FAST, "detective under a street lamp"),
)
PACKS = ((20, 400), (60, 900), (150, 1900))  # credits, US cents


def packs() -> None:
    """Something to buy on a clone; once staff have packs of their own, nothing is added."""
    if CreditPack.objects.exists():
        return
    CreditPack.objects.bulk_create(
        CreditPack(name=f"{credits} credits", credits=credits, price_cents=cents, position=number)
        for number, (credits, cents) in enumerate(PACKS)
    )


def people() -> dict[str, User]:
    """The three, made once; whoever is there already is left as they are."""
    if not settings.DEMO_ALLOWED:
        raise CommandError("The demo's people have a printed password: they live on clones only.")
    ada, ben = person(ADA), person(BEN)
    mo = person(MO, is_staff=True, is_superuser=True)
    ada.wallet.grant(
        Kind.ADJUST_UP, ADAS_CREDITS, f"adjust:demo-{ada.pk}", note="Credits for the demo"
    )
    ada.wallet.refresh_from_db()
    return {"ada": ada, "ben": ben, "mo": mo}


def person(email: str, **fields: bool) -> User:
    """Two commands may want the same person at the same moment; one makes them."""
    try:
        with transaction.atomic():
            user = User.objects.filter(email=email).first()
            if user is None:
                user = User.objects.create_user(email, PASSWORD, **fields)
                EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
                gifts.welcome(user)
            return user
    except IntegrityError:
        return User.objects.get(email=email)


def consent(user: User) -> Consent:
    """The person's standing consent to the current face-photo text."""
    return Consent.objects.give(
        user,
        Consent.Kind.FACE,
        generation.FACE_CONSENT_VERSION,
        text=words.consent_text(),
        address="127.0.0.1",
    )


def gallery(ada: User) -> list[AvatarRequest]:
    """Ada's photos and wishes, once: her requests in line, for the engine to draw."""
    if not settings.FACE_GEN_STANDIN or AvatarRequest.objects.filter(user=ada).exists():
        return []
    photos = [accept(ada, name) for name in PHOTOS]
    return [
        generation.submit(
            ada,
            generation.Wish(
                photo=photos[number % len(photos)], prompt=prompt, style=style, quality=quality
            ),
        )
        for number, (style, quality, prompt) in enumerate(WISHES)
    ]


def accept(user: User, name: str) -> FacePhoto:
    content = (Path(__file__).parent / name).read_bytes()
    return safekeeping.accept(user, content, consent=consent(user))
