"""Canaries: marked keys, tokens, words and faces go through everything a person does, with every
logger at DEBUG; then all that the site wrote down or said is searched for them.

Knows the site over HTTP, the stand-ins, and the files of the site's folder as bytes.
"""

import base64
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from config import demo, standins
from config.standins.face_gen import FaceGen
from config.standins.stripe import StripeStandIn
from tests.journeys.reader import Visitor
from tests.site import Site
from tests.standin_stripe import send

EVE = "eve@example.org"
BEGIN = f"from config import demo; demo.person({EVE!r})"
PORTRAIT = Path(__file__).parent.parent / "photos" / "portrait_astronaut.png"
# What a deployment keeps secret, each with a bird in it.
KEYS = {
    "SECRET_KEY": "canary-of-the-site-0123456789-0123456789-0123456789",
    "MODELSLAB_API_KEY": "canaryoftheprovider0123456789",
    "STRIPE_SECRET_KEY": "sk_test_canaryofthetill0123456789",
    "STRIPE_WEBHOOK_SECRET": "whsec_canaryofthebell0123456789",
}
HOME = "canary-lane-7"  # in the photo's own notes, beside where it was taken
WORDS = "canarybird at dusk"


class Overheard:
    """The provider's stand-in, and every body that was posted to it."""

    def __init__(self, directory: Path) -> None:
        self.app = FaceGen(directory, delay=0.05, draw="plain")
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.bodies.append(body)
        return self.app({**environ, "wsgi.input": io.BytesIO(body)}, start)

    def tokens(self) -> set[str]:
        """The last parts of our own addresses in the orders: whoever has one is the provider."""
        orders = [json.loads(body) for body in self.bodies if b"face_image" in body]
        addresses = [order[name] for order in orders for name in ("webhook", "face_image")]
        return {address.rstrip("/").rpartition("/")[2] for address in addresses}


@pytest.fixture
def provider(tmp_path) -> Iterator[tuple[Overheard, str]]:
    overheard = Overheard(tmp_path / "provider")
    server = standins.serve(overheard)
    yield overheard, server.url
    server.close()
    overheard.app.close()


@pytest.fixture
def site(tmp_path, provider) -> Iterator[Site]:
    """A whole site with marked keys, talkative to the utmost."""
    folder = tmp_path / "site"
    folder.mkdir()
    running = Site(folder)
    till = StripeStandIn(
        tmp_path / "till",
        webhook_url=f"{running.url}/webhooks/stripe/",
        webhook_secret=KEYS["STRIPE_WEBHOOK_SECRET"],
        key=KEYS["STRIPE_SECRET_KEY"],
    )
    server = standins.serve(till)
    running.environment |= {
        **KEYS,
        "FACE_GEN_URL": f"{provider[1]}/api/",
        "STRIPE_API_URL": server.url,
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        "STAFF_EMAILS": "staff@example.org",
    }
    running.start()
    yield running
    running.stop()
    server.close()
    till.close()


def marked_photo() -> bytes:
    """A face that carries where it was taken and its owner's address, in three places."""
    picture = Image.open(PORTRAIT).convert("RGB")
    notes = PngInfo()
    notes.add_text("Comment", HOME)
    exif = Image.Exif()
    exif[0x010E] = HOME
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    kept = io.BytesIO()
    picture.save(kept, "PNG", pnginfo=notes, exif=exif)
    return kept.getvalue() + HOME.encode()


def live(site: Site, eve: Visitor, bell: Overheard) -> None:
    """Sign in, agree, upload, make, look at everything, buy, get money back, and knock on doors
    that are none of hers.
    """
    eve.press("/accounts/login/", "/accounts/login/", login=EVE, password=demo.PASSWORD)
    eve.press("/faces/consent/", "/faces/consent/", agree="on", person="on")
    eve.press("/faces/new/", "/faces/new/", {"photo": ("me.png", marked_photo())}, keep="30d")
    create = eve.open("/create/")
    photo = re.search(r'name="photo" value="([0-9a-f-]{36})"', create)[1]
    number = re.search(r'name="number" value="([^"]+)"', create)[1]
    form = {"style": "anime", "quality": "standard", "shown_cost": "1", "make": "1", "avoid": ""}
    made = eve.press("/create/", "/create/", photo=photo, number=number, prompt=WORDS, **form)
    job = made.headers["Location"]
    ready = "select count(*) from avatars_avatarrequest where state = 'ready'"
    site.wait_for(lambda: site.rows(ready) == [(1,)], 30)
    avatar = re.search(r"/gallery/[0-9a-f-]{36}/", eve.open("/gallery/"))[0]
    for path in (job, f"{job}receipt/", avatar, f"/faces/{photo}/", "/faces/", "/create/"):
        eve.open(path)
    pack = re.search(r'action="(/credits/buy/\d+/)"', eve.open("/credits/"))[1]
    to_checkout = eve.press("/credits/", pack)
    _status, headers, _body = send("POST", to_checkout.headers["Location"], {"how": "card"})
    eve.open(headers["location"].removeprefix(site.url))
    offered = re.search(r'href="(/credits/refund/[0-9a-f-]+/)"', eve.open("/credits/refund/"))[1]
    eve.press("/accounts/reauthenticate/", "/accounts/reauthenticate/", password=demo.PASSWORD)
    cents = re.search(r'name="cents" value="(\d+)"', eve.open(offered))[1]
    eve.press(offered, offered, cents=cents)
    eve.press("/accounts/password/reset/", "/accounts/password/reset/", email=EVE)
    for path in ("/credits/statement/", "/credits/statement.csv", "/dev/mail/", "/admin/"):
        eve.open(path)
    for token in bell.tokens():
        eve.open(f"/p/face/{token}/")
        send("POST", f"{site.url}/webhooks/provider/{token}/", {"id": "1"})
    send("POST", f"{site.url}/webhooks/stripe/", {"forged": "yes"})


def found_in(birds: Iterable[str | bytes], places: dict[str, bytes]) -> list[tuple[str, str]]:
    sought = {bird if isinstance(bird, bytes) else bird.encode() for bird in birds}
    return [
        (bird.decode(errors="replace"), name)
        for name, text in places.items()
        for bird in sorted(sought)
        if bird in text
    ]


def places_of(site: Site, eve: Visitor) -> dict[str, bytes]:
    """All that the site wrote down or said: its folder, log, pages and letters. Left out are the
    files that are the secrets: a clone's own key, and what the terminal shows of its letters.
    """
    log = re.sub(r"^── mail to .*?^──$", "", site.log(), flags=re.MULTILINE | re.DOTALL)
    written = {
        str(path.relative_to(site.folder)): path.read_bytes()
        for path in site.folder.rglob("*")
        if path.is_file() and not path.name.startswith(("secret", "up.log"))
    }
    return written | {
        "log": log.encode(),
        "pages": "\n".join(eve.seen).encode(),
        "letters": "\n".join(site.letters()).encode(),
    }


def face_of(site: Site) -> set[bytes]:
    """Pieces of the stored photo, as bytes and as text would carry them."""
    (photo, _thumb) = sorted((site.folder / "media" / "photos").iterdir(), key=size, reverse=True)
    pixels = photo.read_bytes()
    middle = len(pixels) // 2 // 3 * 3
    piece = pixels[middle : middle + 48]
    return {piece, base64.b64encode(piece), piece.hex().encode(), repr(piece).encode()[2:60]}


def size(path: Path) -> int:
    return path.stat().st_size


def test_no_canary_is_ever_seen_again(site, provider):
    overheard, _url = provider
    begun = site.command("shell", "-v", "0", "-c", BEGIN)
    assert begun.returncode == 0, begun.stderr
    eve = Visitor(site.url)
    live(site, eve, overheard)
    site.wait_for(lambda: bool(site.letters()), 10)
    session = eve.browser.cookies["sessionid"]
    places = places_of(site, eve)
    log, letters = ({name: places[name]} for name in ("log", "letters"))

    tokens = overheard.tokens()
    assert len(tokens) == 2
    secret = {*KEYS.values(), *tokens, demo.PASSWORD}
    assert found_in(secret, places) == []
    # The session stands in its table, as Django keeps it; words in their row and on pages.
    assert found_in([session, WORDS, EVE, HOME, "data:image"], log) == []
    assert found_in([HOME], places) == []
    assert found_in([WORDS, session], letters) == []
    # The face is in its own file and nowhere else.
    face = face_of(site)
    holders = {name.split("/")[0] for _piece, name in found_in(face, places)}
    assert holders == {"media"}
    # The search is no blind one: what was really there is found, and talked was a lot.
    assert found_in([WORDS], {"pages": places["pages"]}) == [(WORDS, "pages")]
    assert b"canaryoftheprovider" in b"".join(overheard.bodies)
    assert places["log"].count(b'"logger": "likeness.') > 3
    the_search_misses_nothing(site, eve, {*secret, HOME})


def the_search_misses_nothing(site: Site, eve: Visitor, secret: set[str]) -> None:
    """The control: each secret planted in each kind of place, one at a time, is found there."""
    for bird in sorted(secret):
        for plant, name in (
            (into_log, "log"),
            (into_database, "likeness.sqlite3"),
            (into_a_file, "leak.txt"),
            (into_a_page, "pages"),
            (into_a_letter, "letters"),
        ):
            plant(site, eve, bird)
            found = {
                place.removesuffix("-wal") for _b, place in found_in([bird], places_of(site, eve))
            }
            assert name in found, (bird, name)


def into_log(site: Site, eve: Visitor, bird: str) -> None:
    with (site.folder / "up.log").open("a") as log:
        log.write(f"{bird}\n")


def into_database(site: Site, eve: Visitor, bird: str) -> None:
    with sqlite3.connect(site.folder / "likeness.sqlite3", timeout=20) as database:
        database.execute("update accounts_user set display_name = ?", [bird])


def into_a_file(site: Site, eve: Visitor, bird: str) -> None:
    (site.folder / "leak.txt").write_text(bird)


def into_a_page(site: Site, eve: Visitor, bird: str) -> None:
    eve.seen.append(bird)


def into_a_letter(site: Site, eve: Visitor, bird: str) -> None:
    (site.folder / "mail" / "leak.eml").write_text(f"Subject: {bird}")
