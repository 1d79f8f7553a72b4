"""What may be relied upon: books, restarts, the cap, switches, and the page for people.

Knows the stand-ins alone.
"""

import base64
import shutil
import threading

import pytest

from config.standins import serve
from config.standins.books import Books
from config.standins.face_gen import FaceGen
from config.standins.outgoing import Outgoing
from config.standins.switches import SWITCHES, UnknownSwitch
from tests.standins.callers import SUBMIT, TINY_JPEG, Caller, eventually


def test_a_restart_forgets_nothing(tmp_path):
    place = tmp_path / "face_gen"
    stand_in = FaceGen(place, delay=5, draw="plain")
    first_server = serve(stand_in)
    caller = Caller(stand_in, first_server)
    ready, failed, deleted = caller.accepted(), caller.accepted("[[fail]]"), caller.accepted()
    stand_in.advance(5)
    caller.post("/api/v3/delete_image", request_id=deleted)
    stand_in.switch(eta="float", strict=True)
    waiting = caller.accepted(track_id=9, seed=4)
    link = caller.look(ready)["output"][0]
    picture = caller.get(link).content
    # As after a power cut: nothing was closed, and the last line was cut in the middle.
    copy = tmp_path / "copy"
    shutil.copytree(place, copy)
    with (copy / "log.jsonl").open("a") as log:
        log.write('{"seq": 99, "event": "acc')
    first_server.close()
    stand_in.close()

    again = FaceGen(copy, delay=5, draw="plain")
    with serve(again) as server:
        caller = Caller(again, server)
        assert caller.get("/temp/" + link.rpartition("/")[2]).content == picture
        assert caller.look(failed)["message"] == "Failed, Try Again"
        assert caller.get(caller.look(deleted)["output"][0]).status_code == 404
        assert caller.look(waiting)["status"] == "processing"
        assert again.switches.scenario() == {
            "delay": "5",
            "draw": "plain",
            "eta": "float",
            "strict": "on",
        }
        assert caller.post("/api/wallet_balance").json()["data"]["balance"] == 49.92
        again.advance(5)
        assert caller.look(waiting)["status"] == "success"
        assert caller.accepted() == waiting + 1
        assert [again.books.generated(9), again.books.accepted()] == [1, 5]
        again.advance(24 * 3600)
        assert caller.get("/temp/" + link.rpartition("/")[2]).status_code == 404
    again.close()


def test_a_reset_forgets_everything_but_the_log_and_the_numbers(caller, stand_in):
    job = caller.accepted()
    link = caller.ended(job)["output"][0]
    assert caller.post("/__standin__/reset").json()["status"] == "success"
    assert caller.look(job)["message"] == "Request not found"
    assert caller.get(link).status_code == 404
    assert stand_in.books.accepted() == 0
    assert caller.accepted() == job + 1


def test_never_more_jobs_than_the_cap_are_in_flight(caller, stand_in, server):
    stand_in.switch(delay=0.3)
    statuses = []

    def hurry():
        mine = Caller(stand_in, server)
        statuses.extend(mine.submit().status_code for _ in range(6))

    threads = [threading.Thread(target=hurry) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 48
    assert set(statuses) <= {200, 429}
    assert stand_in.books.most_in_flight() == 5
    assert stand_in.books.accepted() == statuses.count(200)


@pytest.mark.parametrize(("key", "places"), [("test-slots-10", 10), ("test-slots-15", 15)])
def test_a_larger_plan_has_a_larger_queue(stand_in, server, key, places):
    stand_in.switch(delay=60)
    caller = Caller(stand_in, server, key)
    assert [caller.submit().status_code for _ in range(places + 1)] == [200] * places + [429]
    message = f"Rate limit exceeded. Maximum {places} queued requests allowed."
    assert caller.submit().json()["message"] == message
    assert Caller(stand_in, server, "somebody-else").submit().status_code == 200


def test_jobs_are_drawn_in_the_order_they_came(caller, stand_in):
    stand_in.switch(delay=10, parallel=1)
    first, second = caller.accepted(), caller.accepted()
    stand_in.advance(10)
    assert [caller.look(job)["status"] for job in (first, second)] == ["success", "processing"]
    stand_in.advance(10)
    assert caller.look(second)["status"] == "success"


def test_key_and_image_never_stand_in_the_log(caller, stand_in):
    secret = "key-CANARY-5f3a"
    caller.key = secret
    face = base64.b64encode(TINY_JPEG + b"CANARY" * 50).decode()
    job = caller.accepted(face_image=f"data:image/jpeg;base64,{face}", base64=True)
    picture = caller.get(caller.ended(job)["output"][0]).text
    caller.submit(face_image=face)
    caller.submit("[[nothing-like-it]]")
    caller.post(SUBMIT, prompt=None)
    log = stand_in.books.path.read_text()
    assert [text in log for text in (secret, face, face[:60], picture[30:90])] == [False] * 4
    records = stand_in.books.jobs()
    assert (records[0].generated, records[0].delivered) == (1, 1)
    assert records[0].account == stand_in.books.lines("accepted")[0]["account"]


def test_the_books_tell_jobs_apart_by_track_id(caller, stand_in, server):
    caller.ended(caller.accepted(track_id=1))
    caller.get(caller.output("a keeper", track_id=2))
    caller.accepted("[[fail]]", track_id="2")
    eventually(lambda: stand_in.books.jobs(2)[1].failed)
    books = Books(stand_in.books.path.parent)
    assert [books.accepted(1), books.generated(1), books.delivered(1)] == [1, 1, 0]
    assert [books.accepted(2), books.generated(2), books.delivered(2)] == [2, 1, 1]
    assert [books.accepted(), books.most_in_flight("nobody")] == [3, 0]


def test_the_control_routes_do_what_their_methods_do(caller, stand_in):
    assert (
        caller.session.post(
            f"{caller.url}/__standin__/switches", json={"delay": 30, "sync": False}, timeout=5
        ).json()["status"]
        == "success"
    )
    job = caller.accepted()
    assert caller.look(job)["status"] == "processing"
    clock = caller.session.post(f"{caller.url}/__standin__/clock", json={"advance": 30}, timeout=5)
    assert clock.status_code == 200
    assert caller.look(job)["status"] == "success"
    lines = caller.get("/__standin__/log").json()["lines"]
    assert [line["event"] for line in lines][:2] == ["switched", "received"]
    after = caller.get(f"/__standin__/log?since={lines[-1]['seq']}").json()["lines"]
    assert after == []
    assert caller.get("/__standin__/jobs").json()["jobs"][0]["state"] == "ready"


def test_a_page_of_another_site_cannot_steer_it(caller, stand_in):
    """A browser sends plain text anywhere without asking; JSON it does not."""
    answer = caller.session.post(f"{caller.url}/__standin__/reset", data="{}", timeout=5)
    assert answer.status_code == 400
    assert stand_in.books.lines("switched") == []


def test_an_unknown_switch_is_refused_wherever_it_comes_from(caller, tmp_path, monkeypatch):
    with pytest.raises(UnknownSwitch, match="stuk"):
        FaceGen(tmp_path / "other", stuk=True)
    monkeypatch.setenv("STANDIN_FACE_GEN", "delay=fast")
    with pytest.raises(UnknownSwitch, match=r"delay.*fast"):
        FaceGen(tmp_path / "other")
    route = f"{caller.url}/__standin__/switches"
    answer = caller.session.post(route, json={"stuck": True, "hok": "never"}, timeout=5)
    assert (answer.status_code, "hok" in answer.json()["message"]) == (400, True)
    answer = caller.submit("a keeper [[stuck]] [[late404=soon]]")
    assert (answer.status_code, "late404" in answer.json()["message"]) == (400, True)
    assert caller.stand_in.books.accepted() == 0


def test_later_places_of_a_switch_beat_earlier_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_FACE_GEN", "cap=2 strict=on")
    stand_in = FaceGen(tmp_path, cap=1, delay=60, draw="plain", strict=False)
    with serve(stand_in) as server:
        caller = Caller(stand_in, server)
        assert [stand_in.switches["cap"], stand_in.switches["strict"]] == ["2", "on"]
        stand_in.switch(cap=3)
        assert [caller.submit().status_code for _ in range(4)] == [200, 200, 200, 429]
        assert caller.submit("[[cap=4]]").status_code == 200
        large = Caller(stand_in, server, "test-slots-10")
        assert [large.submit("[[cap=1]]").status_code for _ in range(2)] == [200, 429]
        assert large.submit().status_code == 200
    stand_in.close()


def test_the_page_for_people_shows_the_last_jobs_and_escapes_their_words(caller):
    caller.ended(caller.accepted("<script>alert(1)</script> [[eta=float]]"))
    answer = caller.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert [
        text in answer.text for text in ("<script", "style=", "&lt;script&gt;", "eta=float")
    ] == [
        False,
        False,
        True,
        True,
    ]
    picture = answer.text.partition('<img src="')[2].partition('"')[0]
    assert caller.get(picture).headers["Content-Type"] == "image/png"
    assert caller.get("/shown/none.png").status_code == 404
    assert caller.stand_in.books.delivered() == 0  # people looking are not the product fetching
    assert caller.get("/style.css").headers["Content-Type"].startswith("text/css")


def test_every_switch_has_a_default_it_allows(stand_in):
    defaults = {name: default for name, (default, _) in SWITCHES.items()}
    assert dict(stand_in.switches.over(defaults)) == defaults


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("http://127.0.0.1:8000/p/face/x/", True),
        ("http://[::1]:8000/", True),
        ("http://localhost/", True),
        ("https://faces.example.org/a", True),
        ("https://sub.faces.example.org/a", False),
        ("http://169.254.169.254/latest/", False),
        ("http://10.0.0.1/", False),
        ("http://127.0.0.1.example.org/", False),
        ("file:///etc/passwd", False),
        ("http://127.0.0.1:port/", False),
    ],
)
def test_it_calls_this_machine_and_the_named_hosts_only(url, may):
    assert Outgoing(["Faces.example.org"]).may_reach(url) is may
