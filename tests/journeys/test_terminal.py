"""The same job in a terminal: photo in, avatar out; and what happens when `up` is killed.

Nothing is replaced but the paid provider, by its stand-in over real HTTP.
"""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from avatars import imaging
from config.standins.books import Books
from tests.site import Site

PHOTOS = Path(__file__).parent.parent / "photos"


def test_a_photo_becomes_an_avatar_without_anything_running(tmp_path):
    site = Site(tmp_path)
    made = site.command(
        "make_avatar",
        str(PHOTOS / "portrait_official.jpg"),
        *("--style", "comic", "--prompt", "as a lighthouse keeper", "--out", "a.webp"),
    )
    assert (made.returncode, made.stdout.strip()) == (0, "a.webp"), made.stderr
    content = (tmp_path / "a.webp").read_bytes()
    image = Image.open(io.BytesIO(content))
    image.load()
    assert (image.format, image.size) == ("WEBP", (512, 768))
    assert imaging.read_mark(content)
    assert not image.getexif()
    assert site.command("audit", "--files").returncode == 0
    assert not site.status("/livez")


def test_the_terminal_uses_the_site_that_runs_and_prints_facts(site, tmp_path):
    made = site.command(
        "make_avatar",
        str(PHOTOS / "portrait_astronaut.png"),
        *("--style", "anime", "--prompt", "pirate at dusk", "--quality", "fine", "--json"),
    )
    assert made.returncode == 0, made.stderr
    facts = json.loads(made.stdout)
    assert (facts["style"], facts["width"], facts["height"]) == ("anime", 512, 768)
    assert facts["credits_charged"] == 2
    assert Path(tmp_path / facts["path"]).exists()
    assert site.status("/livez") == 200


@pytest.mark.parametrize(
    ("photo", "prompt", "sentence"),
    [
        ("cat.png", "a pirate", "We couldn't find a face in this photo."),
        ("two_people.jpg", "a pirate", "We found two faces. Crop to just yours."),
        ("SOURCES.md", "a pirate", "This file isn't a picture we can read."),
        ("portrait_astronaut.png", "x" * 501, "Describe the scene in 1 to 500 characters."),
        ("nobody.jpg", "a pirate", "No such file"),
    ],
)
def test_a_refusal_is_one_sentence_and_a_failing_exit(tmp_path, photo, prompt, sentence):
    site = Site(tmp_path)
    made = site.command("make_avatar", str(PHOTOS / photo), "--style", "comic", "--prompt", prompt)
    assert made.returncode != 0
    assert made.stdout == ""
    assert sentence in made.stderr
    assert "Traceback" not in made.stderr
    assert site.rows("select count(*) from avatars_avatarrequest") == [(0,)]
    assert site.rows("select count(*) from accounts_transfer where kind = 'hold'") == [(0,)]


ASK_FOR_FIVE = """
from avatars import generation
from avatars.models import Quality, Style
from config import demo
ada = demo.people()["ada"]
photo = demo.accept(ada, "astronaut.jpg")
behaviours = ["hang-after=8", "hang-after=8", "late=4", "late404=9", "late404=9"]
for number, behaviour in enumerate(behaviours):
    generation.submit(
        ada,
        generation.Wish(
            photo=photo,
            prompt=f"pirate at dusk [[{behaviour}]]",
            style=Style.values[number],
            quality=Quality.FAST,
        ),
    )
"""
STATES = "select state, count(*) from avatars_avatarrequest group by state order by state"


def test_what_a_person_must_read_first_does_not_keep_the_terminal_waiting(site):
    made = site.command(
        "make_avatar",
        str(PHOTOS / "portrait_official.jpg"),
        *("--style", "comic", "--prompt", "as Taylor Swift on stage"),
    )
    assert made.returncode == 1
    assert "A person reads this one first, usually within an hour." in made.stderr
    assert "/admin/moderation/" in made.stderr
    rows = site.rows("select state from avatars_avatarrequest where prompt like '%Swift%'")
    assert rows == [("held",)]


def test_killed_with_five_under_way_everything_ends_and_nobody_pays_twice(tmp_path):
    site = Site(tmp_path, switches="delay=1 draw=plain")
    site.start()
    asked = site.command("shell", "--verbosity", "0", "-c", ASK_FOR_FIVE)
    assert asked.returncode == 0, asked.stderr
    everywhere = [("generating", 1), ("sending", 2), ("storing", 2)]
    site.wait_for(lambda: site.rows(STATES) == everywhere, 20)
    site.kill()
    site.start()
    site.kill()  # once more, before the first has been made good
    site.start()
    still_open = "select count(*) from avatars_avatarrequest where resolution_id is null"
    site.wait_for(lambda: site.rows(still_open) == [(0,)], 120)
    assert site.rows(STATES) == [("ready", 5)]
    captured = site.rows("select count(*), sum(amount) from accounts_transfer where kind='capture'")
    assert captured == [(5, 5)]
    books = Books(tmp_path / "standins" / "face_gen")
    assert max(books.generated(job.track_id) for job in books.jobs()) == 1
    assert site.command("audit", "--files").returncode == 0
    assert site.stop() == 0
