"""Scenarios of files do what the contract says; so does a drawing in earnest.

Knows the stand-ins; decodes pictures with Pillow to judge them.
"""

import base64
import io
import socket

import pytest
import requests
from PIL import Image, ImageStat

from config.standins.faults import METADATA_URL
from tests.standins.callers import TINY_JPEG, eventually


def decoded(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_a_file_may_come_later_than_the_success(caller, stand_in):
    missing, closed = caller.output("[[late404=20]]"), caller.output("[[late403=20]]")
    slow, half = caller.output("[[file-delay=20]]"), caller.output("[[short=20]]")
    before = [caller.get(link) for link in (missing, closed, slow, half)]
    assert [answer.status_code for answer in before] == [404, 403, 404, 200]
    assert before[0].headers["Content-Type"].startswith("text/html")
    stand_in.advance(20)
    after = [caller.get(link) for link in (missing, closed, slow, half)]
    assert [answer.status_code for answer in after] == [200] * 4
    assert len(before[3].content) == len(after[3].content) // 2
    assert stand_in.books.delivered() == 4
    served = stand_in.books.lines("served")
    assert [line["whole"] for line in served] == [False] * 4 + [True] * 4


def test_a_file_may_never_come_or_only_by_the_other_address(caller):
    assert caller.get(caller.output("[[gone]]")).status_code == 404
    answer = caller.ended(caller.accepted("[[proxy-only]]"))
    assert caller.get(answer["output"][0]).status_code == 404
    assert caller.get(answer["proxy_links"][0]).status_code == 200


def test_a_file_may_be_a_page(caller):
    answer = caller.get(caller.output("[[html-file]]"))
    assert (answer.status_code, answer.text.startswith("<!DOCTYPE html>")) == (200, True)


@pytest.mark.parametrize(
    ("token", "content_type", "kind"),
    [
        ("sync=off", "image/png", "PNG"),
        ("jpeg-as-png", "image/png", "JPEG"),
        ("webp", "image/webp", "WEBP"),
        ("text-plain", "text/plain", "PNG"),
    ],
)
def test_a_file_may_be_of_another_kind_than_it_says(caller, token, content_type, kind):
    answer = caller.get(caller.output(f"[[{token}]]"))
    image = decoded(answer.content)
    assert (answer.headers["Content-Type"], image.format) == (content_type, kind)
    assert image.size == (512, 768)
    assert max(ImageStat.Stat(image.convert("RGB")).stddev) > 20


def test_a_picture_may_be_black_of_another_size_or_two(caller):
    black = decoded(caller.get(caller.output("[[black]]")).content)
    assert (black.size, black.getextrema()) == ((512, 768), (0, 0))
    assert decoded(caller.get(caller.output("[[wrong-size]]")).content).size == (640, 640)
    two = caller.ended(caller.accepted("[[two]]"))["output"]
    assert [caller.get(link).status_code for link in two] == [200, 200]
    assert len(caller.ended(caller.accepted(samples=2))["output"]) == 1
    assert len(caller.ended(caller.accepted(samples=2, height=512))["output"]) == 2


def test_a_bomb_is_small_and_claims_thirty_thousand_pixels_a_side(caller):
    content = caller.get(caller.output("[[bomb]]")).content
    assert (len(content) < 1000, content[16:24]) == (True, (30_000).to_bytes(4) * 2)


def test_a_huge_file_is_as_long_as_it_says(caller, stand_in):
    link = caller.output("[[huge=3]]")
    assert len(caller.get(link).content) == 3_000_000
    with requests.get(link, stream=True, timeout=5) as answer:
        assert answer.headers["Content-Length"] == "3000000"


def test_a_file_whose_reader_leaves_in_the_middle_was_not_delivered(caller, stand_in):
    link = caller.output("a keeper")
    files = stand_in.books.path.parent / "files"
    (files / link.rpartition("/")[2]).write_bytes(bytes(50_000_000))
    host, _, port = caller.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(f"GET {link.removeprefix(caller.url)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        line.recv(10)
    eventually(lambda: stand_in.books.lines("unsent"))
    assert stand_in.books.delivered() == 0
    assert len(caller.get(link).content) == 50_000_000
    assert stand_in.books.delivered() == 1


def test_a_dripping_file_comes_byte_by_byte(caller, stand_in):
    link = caller.output("[[drip]]")
    host, _, port = caller.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(f"GET {link.removeprefix(caller.url)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert line.recv(65536).endswith(b"\r\n\r\n")
        stand_in.advance(1)
        assert line.recv(65536) == b"\x89"
        stand_in.advance(1)
        assert line.recv(65536) == b"P"


def test_a_file_may_lead_elsewhere(caller, stand_in):
    to_decoy = caller.get(caller.output("[[redirect=decoy]]"))
    to_metadata = caller.get(caller.output("[[redirect=metadata]]"))
    assert [to_decoy.status_code, to_metadata.headers["Location"]] == [302, METADATA_URL]
    assert to_decoy.headers["Location"].startswith(stand_in.decoy_url)
    assert stand_in.books.strays() == []
    link = caller.output("[[foreign-host]]")
    assert link.startswith(stand_in.decoy_url)
    assert decoded(caller.get(link).content).size == (512, 768)
    assert [line["key_seen"] for line in stand_in.books.strays()] == [False]


@pytest.mark.parametrize("form", ["prefixed", "bare", "inline"])
def test_base64_results_come_as_asked(caller, stand_in, form):
    face = "data:image/jpeg;base64," + base64.b64encode(TINY_JPEG).decode()
    link = caller.output(f"[[base64={form}]]", face_image=face, base64=True)
    text = link
    if form != "inline":
        assert link.endswith("-0.base64")
        answer = caller.get(link)
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.text
    prefix, _, packed = text.rpartition(",")
    assert prefix == ("" if form == "bare" else "data:image/png;base64")
    assert decoded(base64.b64decode(packed)).size == (512, 768)


def test_bare_base64_is_taken_when_switched_on(caller, stand_in):
    stand_in.switch(bare_base64=True)
    face = base64.b64encode(TINY_JPEG).decode()
    assert caller.submit(face_image=face, base64=True).json()["status"] == "processing"


def test_files_vanish_after_a_day(caller, stand_in):
    link = caller.output("a keeper")
    head = caller.session.head(link, timeout=5)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(caller.get(link).content)
    stand_in.advance(24 * 3600)
    assert caller.get(link).status_code == 404
    assert stand_in.books.delivered() == 1


# Drawn in earnest


def test_a_full_drawing_is_labelled_and_the_same_for_the_same_order(caller, stand_in):
    stand_in.switch(draw="full", sync=True)
    answer = caller.submit(seed=5, style="comic").json()
    image = decoded(caller.get(answer["output"][0]).content)
    assert (image.format, image.size) == ("PNG", (512, 768))
    assert any("LOCAL STAND-IN" in text for text in image.text.values())


@pytest.mark.parametrize("noface", ["picture", "fail", "error"])
def test_a_photo_without_a_face_is_drawn_failed_or_refused(caller, stand_in, site, noface):
    blank = io.BytesIO()
    Image.new("RGB", (200, 300), "tan").save(blank, "JPEG")
    site.pages["/face"] = ("200 OK", [], blank.getvalue())
    answer = caller.submit(f"[[noface={noface}]]", face_image=f"{site.url}/face").json()
    if noface == "error":
        assert "No face was detected" in answer["message"]
        assert stand_in.books.accepted() == 0
    else:
        ended = caller.ended(answer["id"])
        assert ended["status"] == {"picture": "success", "fail": "failed"}[noface]
