"""Webhooks and face reads of the face_gen stand-in: when, how often, where to, and what they say.

Knows the stand-ins alone.
"""

import json

import pytest

from tests.standins.callers import TINY_JPEG, eventually

# Webhook


def rung(site, stand_in, caller, token, **body):
    """The bodies a webhook got, once the stand-in has noted them all."""
    count = 2 if token == "hook=twice" else 1
    caller.accepted(f"[[{token}]]", webhook=f"{site.url}/bell/token-1/", **body)
    eventually(lambda: len(stand_in.books.lines("webhook")) == count)
    return [content for _, _, content in site.visits]


def test_the_bell_rings_once_with_the_track_id_as_it_came(caller, stand_in, site):
    site.pages["/bell/token-1/"] = ("200 OK", [], b"")
    body = json.loads(rung(site, stand_in, caller, "hook=once", track_id=12)[0])
    assert (body["status"], body["track_id"]) == ("success", 12)
    line = stand_in.books.lines("webhook")[0]
    assert (line["status"], line["number"], line["error"]) == (200, 1, "")


@pytest.mark.parametrize(
    ("token", "field", "value"),
    [
        ("hook=failed", "status", "failed"),
        ("hook=string-track", "track_id", "12"),
        ("hook=foreign-id", "id", 91_753_437 + 7_000_000),
    ],
)
def test_the_bell_may_lie(caller, stand_in, site, token, field, value):
    body = json.loads(rung(site, stand_in, caller, token, track_id=12)[0])
    assert body[field] == value
    assert stand_in.books.generated(12) == 1


def test_the_bell_may_ring_twice_or_speak_nonsense_or_at_a_wrong_door(caller, stand_in, site):
    first, second = rung(site, stand_in, caller, "hook=twice")
    assert first == second
    site.visits.clear()
    caller.accepted("[[hook=garbage]]", webhook=f"{site.url}/bell/token-1/")
    eventually(lambda: site.visits)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(site.visits[0][2])
    site.visits.clear()
    caller.accepted("[[hook=forged]]", webhook=f"{site.url}/bell/token-1/")
    eventually(lambda: site.visits)
    assert site.visits[0][1] == "/bell/1-nekot/"


def test_the_bell_may_ring_before_the_answer_has_left(caller, stand_in, site):
    stand_in.switch(delay=60)
    job = caller.accepted("[[hook=early]]", webhook=f"{site.url}/bell/", track_id=3)
    assert [json.loads(body)["id"] for _, _, body in site.visits] == [job]
    events = [line["event"] for line in stand_in.books.lines()]
    assert events.index("webhook") < events.index("answered")


def test_the_bell_may_ring_late_or_never(caller, stand_in, site):
    webhook = f"{site.url}/bell/"
    caller.accepted("[[hook=never]]", webhook=webhook)
    caller.accepted("[[hook=late=30]]", webhook=webhook, track_id=8)
    eventually(lambda: stand_in.books.generated() == 2)
    stand_in.advance(29)
    assert site.visits == []
    stand_in.advance(1)
    eventually(lambda: site.visits)
    assert json.loads(site.visits[0][2])["track_id"] == 8


def test_an_instant_success_rings_unless_switched_off(caller, stand_in, site):
    caller.submit("[[sync]] [[hook-on-sync=off]]", webhook=f"{site.url}/off/")
    caller.submit("[[sync]]", webhook=f"{site.url}/on/")
    eventually(lambda: stand_in.books.lines("webhook"))
    assert [path for _, path, _ in site.visits] == ["/on/"]


def test_no_webhook_leaves_this_machine(caller, stand_in):
    caller.accepted(webhook="https://bells.example.org/bell/")
    eventually(lambda: stand_in.books.lines("webhook"))
    line = stand_in.books.lines("webhook")[0]
    assert (line["status"], "may call" in line["error"]) == (None, True)


# Face fetch


def test_a_face_is_read_once_at_submit_and_its_reading_is_in_the_books(caller, stand_in, site):
    site.pages["/face"] = ("200 OK", [("Content-Type", "image/jpeg")], TINY_JPEG)
    stand_in.switch(delay=60)
    caller.accepted(face_image=f"{site.url}/face", track_id=1)
    assert [visit[:2] for visit in site.visits] == [("GET", "/face")]
    record = stand_in.books.jobs(1)[0]
    (line,) = stand_in.books.lines("face_fetched", job=record.number)
    assert (record.face_reads, line["status"], line["bytes"]) == (1, 200, len(TINY_JPEG))


@pytest.mark.parametrize(
    ("token", "at_submit", "in_all"),
    [("face=at-start", 1, 1), ("face=never", 0, 0), ("face-fetches=2", 2, 2)],
)
def test_a_face_may_be_read_later_never_or_twice(caller, stand_in, site, token, at_submit, in_all):
    site.pages["/face"] = ("200 OK", [], TINY_JPEG)
    job = caller.accepted(f"[[{token}]]", face_image=f"{site.url}/face")
    assert caller.ended(job)["status"] == "success"
    assert len(site.visits) == in_all
    accepted = stand_in.books.lines("accepted")[0]["seq"]
    reads = [line["seq"] < accepted for line in stand_in.books.lines("face_fetched")]
    assert reads == [token != "face=at-start"] * in_all


def test_a_job_fails_when_its_face_is_gone_at_its_start(caller, stand_in, site):
    job = caller.accepted("[[face=at-start]]", face_image=f"{site.url}/revoked")
    assert caller.ended(job)["status"] == "failed"
    assert stand_in.books.jobs()[0].failed == "Unable to fetch image from provided URL"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        ("410 Gone", [], b""),
        ("302 Found", [("Location", "/face")], b""),
        ("200 OK", [], b"<html>please sign in</html>"),
    ],
)
def test_a_face_that_cannot_be_read_refuses_the_submit(
    caller, stand_in, site, status, headers, body
):
    site.pages["/face"] = ("200 OK", [], TINY_JPEG)
    site.pages["/odd"] = (status, headers, body)
    answer = caller.submit(face_image=f"{site.url}/odd")
    assert answer.json()["message"] == "Unable to fetch image from provided URL"
    assert stand_in.books.accepted() == 0
    assert caller.post("/api/v6/processing/request_count").json()["processing_count"] == 0
    followed = caller.submit("[[face-follows]]", face_image=f"{site.url}/odd")
    assert (followed.status_code == 200) is status.startswith("302")


def test_strict_urls_take_only_https_and_a_name(caller, stand_in, site):
    stand_in.switch(strict_urls=True)
    site.pages["/face"] = ("200 OK", [], TINY_JPEG)
    for address in (f"{site.url}/face", "https://203.0.113.9/face", "http://faces.example.org/a"):
        assert caller.submit(face_image=address).status_code == 400
    caller.accepted(webhook=f"{site.url}/bell/")
    eventually(lambda: stand_in.books.lines("webhook"))
    assert stand_in.books.lines("webhook")[0]["status"] is None
    assert site.visits == []
