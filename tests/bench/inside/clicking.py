"""People at a running site: their click on Create, the moment they see READY; and the straight
script that makes the same picture without any of our promises.

Knows the site over HTTP, its rows, the provider's client, and Pillow.
"""

import base64
import http.client
import io
import json
import re
import threading
import time
import uuid
from collections import deque
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

from django.conf import settings
from django.db import connection
from PIL import Image

from accounts.models import User
from avatars import download, face_gen, generation, imaging, storage
from avatars.face_gen import Order, Outcome
from avatars.models import Attempt, AvatarRequest, Heartbeat, Quality, State, Style
from tests import factories
from tests.bench.inside import making

# The rate limit lets a person press ten times a minute.
PEOPLE = 12
PROMPT = "as a lighthouse keeper, evening storm"
READY_SECONDS = 60
POLL_SECONDS = 0.004
NAIVE_POLL_SECONDS = 2

visitors: deque[tuple[User, str]] = deque()


def arrive() -> None:
    """People with portraits and credits, signed in."""
    owners = User.objects.in_bulk(making.people(PEOPLE, credits=200, with_faces=True))
    visitors.extend((user, making.cookie_of(user)) for user in owners.values())


def click() -> dict[str, Any]:
    """One press on Create and what came of it: the attempt's number, and by the wall clock when
    it was pressed, taken and sent, and when the picture was seen to be READY.
    """
    user, cookie = visitors[0]
    visitors.rotate(-1)
    page, cookies = _asked("GET", "/create/", cookie)
    form = {
        "csrfmiddlewaretoken": _hidden(page, "csrfmiddlewaretoken"),
        "number": _hidden(page, "number"),
        "photo": str(user.photos.get().public_id),
        "style": Style.ANIME.value,
        "quality": Quality.STANDARD.value,
        "prompt": PROMPT,
        "avoid": "",
        "shown_cost": str(Quality.STANDARD.cost),
    }
    before = set(AvatarRequest.objects.filter(user=user).values_list("pk", flat=True))
    pressed_at = time.time()
    _asked("POST", "/create/", f"{cookie}; {cookies}", urlencode(form))
    (made,) = AvatarRequest.objects.filter(user=user).exclude(pk__in=before)
    ready_at = _await_end(made.pk)
    attempt = Attempt.objects.get(request=made)
    return {
        "attempt": attempt.pk,
        "pressed_at": pressed_at,
        "taken_at": made.created_at.timestamp(),
        "sent_at": attempt.sent_at.timestamp(),
        "ready_at": ready_at,
    }


def _asked(method: str, path: str, cookie: str, form: str = "") -> tuple[str, str]:
    """The page, and the cookies it set; a form must lead on to a request's page."""
    site = http.client.HTTPConnection("127.0.0.1", settings.SITE_PORT, timeout=READY_SECONDS)
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    site.request(method, path, form, headers)
    answer = site.getresponse()
    page = answer.read().decode()
    assert answer.status == (302 if method == "POST" else 200), (answer.status, page[:500])
    assert method == "GET" or "/jobs/" in answer.headers["Location"], answer.headers["Location"]
    set_cookies = [one.split(";")[0] for one in answer.headers.get_all("Set-Cookie", [])]
    site.close()
    return page, "; ".join(one for one in set_cookies if one.startswith("csrftoken="))


def _hidden(page: str, name: str) -> str:
    field = next(tag for tag in re.findall(r"<input[^>]*>", page) if f'name="{name}"' in tag)
    return re.findall(r'value="([^"]*)"', field)[0]


def _await_end(pk: int) -> float:
    give_up_at = time.monotonic() + READY_SECONDS
    mine = AvatarRequest.objects.filter(pk=pk)
    while (state := mine.values_list("state", flat=True)[0]) != State.READY:
        assert state not in (State.FAILED, State.CANCELLED), state
        assert time.monotonic() < give_up_at, state
        time.sleep(POLL_SECONDS)
    return time.time()


# ── The straight script ─────────────────────────────────────────────────────────────────────────


class Faces(SimpleHTTPRequestHandler):
    """Shows the provider the face, and keeps quiet about it."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


faces = deque[str](maxlen=1)


def prepare_script() -> None:
    """The script's table, and the address at which the provider reads its face."""
    folder = Path(settings.LOCAL_DIR) / "script"
    folder.mkdir()
    (folder / "face.jpg").write_bytes(factories.portrait())
    shown = ThreadingHTTPServer(("127.0.0.1", 0), partial(Faces, directory=folder))
    threading.Thread(target=shown.serve_forever, daemon=True).start()
    faces.append(f"http://127.0.0.1:{shown.server_port}/face.jpg")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_script (id varchar(32), step integer)")


def script() -> dict[str, Any]:
    """POST, GET, decode, two WebP, two files, four commits, and nothing else: the same order, but
    answered when it is drawn, so that nobody has to wait for news.
    """
    mark = uuid.uuid4().hex
    folder = Path(settings.LOCAL_DIR) / "script"
    began_at = time.time()
    _commit(mark, 1)
    job_id, address = _order()
    _commit(mark, 2)
    with urlopen(address) as answer:
        picture = Image.open(io.BytesIO(answer.read())).convert("RGB")
    thumb = picture.resize(imaging.THUMB_BOX, Image.Resampling.LANCZOS)
    _commit(mark, 3)
    for name, image, quality in (
        ("master", picture, imaging.MASTER_QUALITY),
        ("thumb", thumb, imaging.THUMB_QUALITY),
    ):
        encoded = io.BytesIO()
        image.save(encoded, "WEBP", quality=quality)
        (folder / f"{mark}-{name}.webp").write_bytes(encoded.getvalue())
    _commit(mark, 4)
    return {"job": job_id, "pressed_at": began_at, "ready_at": time.time()}


def _order() -> tuple[str, str]:
    """The order's job and the address of its picture, by the plainest client there is."""
    order = Order(
        prompt=f"{PROMPT} [[sync]]",
        avoid="",
        style=Style.ANIME,
        steps=Quality.STANDARD.steps,
        seed=int(time.time()),
        face=faces[0],
        inline=False,
        webhook=None,
        track_id=None,
    )
    target = urlsplit(settings.FACE_GEN_URL)
    service = http.client.HTTPConnection(target.netloc, timeout=READY_SECONDS)
    body = json.dumps({"key": settings.MODELSLAB_API_KEY, **order.fields()})
    headers = {"Content-Type": "application/json"}
    service.request("POST", f"{target.path}v6/image_editing/face_gen", body, headers)
    reply = service.getresponse()
    answer = face_gen.read_submit(reply.status, dict(reply.headers), reply.read())
    service.close()
    assert answer.outcome is Outcome.DONE, answer
    return answer.job_id, answer.outputs[0]


def _commit(mark: str, step: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_script VALUES (%s, %s)", [mark, step])


# ── Lines and states, for utilisation and recovery ──────────────────────────────────────────────


def join(prompts: list[str]) -> list[int]:
    """One person's requests in line, unrung: as if the process had died right after the commit."""
    user = User.objects.get(pk=making.person(len(prompts), factories.portrait()))
    photo = user.photos.get()
    asked = (factories.wish(photo, prompt=prompt) for prompt in prompts)
    return [generation.submit(user, wish).pk for wish in asked]


def states(pks: list[int]) -> dict[str, Any]:
    """State and claims of each of these."""
    rows = AvatarRequest.objects.filter(pk__in=pks).values_list("pk", "state", "lease_no")
    return {str(pk): [state, lease_no] for pk, state, lease_no in rows}


def is_sweeping() -> bool:
    return Heartbeat.objects.filter(name="sweep").exists()


def draw_naively(prompts: list[str], threads: int, seconds: float) -> None:
    """The naive worker: each task orders, sleeps between looks, fetches and stores, and only then
    is there room for the next one.
    """
    over_at = time.monotonic() + seconds
    wanted = iter(prompts)
    order = Order(
        prompt=PROMPT,
        avoid="",
        style=Style.ANIME,
        steps=Quality.STANDARD.steps,
        seed=1,
        face="data:image/jpeg;base64," + base64.b64encode(factories.portrait()).decode(),
        inline=True,
        webhook=None,
        track_id=None,
    )

    def work() -> None:
        while time.monotonic() < over_at:
            answer = face_gen.submit(replace(order, prompt=next(wanted)))
            while answer.outcome in (Outcome.ACCEPTED, Outcome.PROCESSING):
                time.sleep(NAIVE_POLL_SECONDS)
                answer = face_gen.look(answer.job_id)
            renditions = imaging.render_avatar(download.fetch(answer.outputs[0]), mark_id="naive")
            storage.put(f"avatars/{uuid.uuid4().hex}.webp", renditions.master)

    working = [threading.Thread(target=work) for _ in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
