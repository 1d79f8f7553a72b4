"""The one process that runs a clone: started, killed, started again, stopped; the engine in it.

Real processes on loopback ports of their own, each with a `.local` of its own.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from avatars.models import Heartbeat
from config import embedded
from config.celery import app
from tests.site import ROOT, STOP_SECONDS, Site, is_free, three_free_ports

SWEEP_SECONDS = 20  # a loaded machine; the first comes within one


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def child_of(pid: int) -> int:
    """0 while there is none."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=False, text=True
    )
    return int(listed.stdout.strip() or 0)


def is_held(site: Site) -> bool:
    """Whether the engine there belongs to the last `up`."""
    return (site.folder / "engine.lock").read_text() == f"{site.process.pid} {site.url}"


def ports_are_free(site: Site) -> bool:
    return all(map(is_free, range(site.port, site.port + 3)))


def test_up_prints_one_address_and_stops_cleanly_on_ctrl_c(site: Site) -> None:
    site.start()
    site.wait_for(lambda: "Likeness is at" in site.log(), SWEEP_SECONDS)
    assert site.log().count("http://") == 1
    assert f"Likeness is at {site.url}/\n" in site.log()
    assert site.status("/livez") == 200
    assert not any(map(is_free, range(site.port, site.port + 3)))

    os.killpg(site.process.pid, signal.SIGINT)  # a terminal tells every process of the group

    assert site.process.wait(STOP_SECONDS) == 0
    assert site.log().endswith("\nStopped. What was under way goes on at the next start.\n")
    assert "Traceback" not in site.log()
    assert ports_are_free(site)


def test_a_killed_up_starts_again_where_it_was_and_ends_on_sigterm(site: Site) -> None:
    del site.environment["SITE_PORT"]
    site.start("--port", str(site.port))
    slow_browser = socket.create_connection((embedded.HOST, site.port))
    slow_browser.sendall(b"GET /livez HTTP/1.1\r\n")  # and no more: a page under way
    killed = site.process
    killed.kill()  # the master alone: its child has to notice, and not to linger

    site.start()  # no port named, no pause, and the dead master not even waited for

    assert (site.folder / "port").read_text() == str(site.port)
    assert killed.wait(STOP_SECONDS) == -signal.SIGKILL
    site.wait_for(lambda: is_held(site), SWEEP_SECONDS)
    slow_browser.close()
    site.wait_for(lambda: site.status("/readyz") == 200, SWEEP_SECONDS)
    site.process.terminate()
    assert site.process.wait(STOP_SECONDS) == 0
    assert "Traceback" not in site.log()
    assert ports_are_free(site)


def test_a_killed_child_is_replaced_with_its_engine(site: Site) -> None:
    site.start()
    site.wait_for(lambda: "Likeness is at" in site.log(), SWEEP_SECONDS)
    child = child_of(site.process.pid)

    os.kill(child, signal.SIGKILL)
    site.wait_for(lambda: child_of(site.process.pid) not in (child, 0), SWEEP_SECONDS)
    site.wait_for(lambda: not any(map(is_free, range(site.port, site.port + 3))), SWEEP_SECONDS)

    site.wait_for(lambda: site.status("/livez") == 200, SWEEP_SECONDS)
    assert is_held(site)
    assert site.stop() == 0
    assert site.log().count("Likeness is at") == 1


def test_ctrl_c_leaves_a_silent_provider_to_the_lease(tmp_path: Path) -> None:
    site = Site(tmp_path, switches="hang-after=90")
    site.start()
    photo = str(ROOT / "tests" / "photos" / "portrait_official.jpg")
    wish = ["make_avatar", photo, "--style", "anime", "--prompt", "a quiet harbour"]
    waiting = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), *wish],
        env=site.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    sent = "SELECT count(*) FROM avatars_attempt WHERE sent_at IS NOT NULL"
    try:
        site.wait_for(lambda: site.rows(sent) == [(1,)], STOP_SECONDS)
        assert site.stop() == 0
    finally:
        waiting.kill()
        waiting.wait()
    assert "SIGKILL" not in site.log()
    # Left to its lease; or the provider's stand-in, ending too, cut the line in time to be heard.
    [(state, resolution)] = site.rows("SELECT state, resolution_id FROM avatars_avatarrequest")
    assert state in ("sending", "uncertain", "generating")
    assert resolution is None


def test_a_closed_terminal_ends_it(site: Site) -> None:
    site.start()
    os.killpg(site.process.pid, signal.SIGHUP)
    assert site.process.wait(STOP_SECONDS) == 0
    site.wait_for(lambda: ports_are_free(site), STOP_SECONDS)


def test_a_second_up_names_the_address_of_the_first(site: Site) -> None:
    site.start()

    second = site.command("up", "--no-browser", "--port", str(three_free_ports()))

    assert second.returncode == 1
    named = f"Likeness already runs at {site.url}/ (process {site.process.pid})."
    assert named in second.stderr
    assert site.status("/livez") == 200


def test_up_names_the_port_that_is_taken_and_three_that_are_free(site: Site) -> None:
    with socket.create_server((embedded.HOST, site.port + 2)):
        refused = site.command("up", "--no-browser")
    assert refused.returncode == 1
    assert f"Cannot have port {site.port + 2} (for the stripe stand-in):" in refused.stderr
    offered = int(refused.stderr.rpartition("--port ")[2])
    assert all(map(is_free, range(offered, offered + 3)))
    assert not (site.folder / "port").exists()


def test_up_refuses_a_port_without_room_for_the_stand_ins(site: Site) -> None:
    refused = site.command("up", "--no-browser", "--port", "65534")
    assert refused.returncode == 1
    assert refused.stderr.endswith("--port must be between 1 and 65533; 65534 is not.\n")


def test_up_with_a_broker_says_what_to_start_instead(site: Site) -> None:
    site.environment["CELERY_BROKER_URL"] = "redis://127.0.0.1:9/0"
    refused = site.command("up", "--no-browser")
    assert refused.returncode == 1
    assert "CELERY_BROKER_URL names a broker" in refused.stderr


@pytest.mark.parametrize("name", ["face_gen", "stripe"])
def test_a_stand_in_runs_alone_until_ctrl_c(site: Site, name: str) -> None:
    port = three_free_ports()
    alone = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "standin", name, "--port", str(port)],
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    site.wait_for(lambda: not is_free(port), SWEEP_SECONDS)
    assert (site.folder / "standins" / f"{name}-{port}").is_dir()

    alone.send_signal(signal.SIGINT)

    said, complained = alone.communicate(timeout=STOP_SECONDS)
    assert alone.returncode == 0
    assert said == f"The {name} stand-in is at http://{embedded.HOST}:{port}/ (Ctrl-C stops it)\n"
    assert complained == ""
    assert is_free(port)


def test_a_stand_in_of_a_service_that_is_real_here_is_refused(site: Site) -> None:
    site.environment["MODELSLAB_API_KEY"] = "a-real-key"
    refused = site.command("standin", "face_gen", "--port", str(site.port))
    assert refused.returncode == 1
    assert "The settings name the real face_gen" in refused.stderr


# ── The engine itself, in this process ──────────────────────────────────────────────────────────


@pytest.fixture
def own_ports(settings, tmp_path: Path, monkeypatch) -> None:
    port = three_free_ports()
    settings.LOCAL_DIR = tmp_path
    settings.SITE_PORT = port
    settings.FACE_GEN_STANDIN_PORT, settings.STRIPE_STANDIN_PORT = port + 1, port + 2
    settings.FACE_GEN_URL = f"http://{embedded.HOST}:{port + 1}/api/"
    settings.STRIPE_API_URL = f"http://{embedded.HOST}:{port + 2}"
    monkeypatch.setitem(app.conf.beat_schedule["sweep"], "schedule", 3600)


@pytest.mark.usefixtures("own_ports")
def test_the_first_act_of_an_engine_is_a_sweep(transactional_db) -> None:
    engine = embedded.Engine(owner=os.getpid())
    try:
        give_up_at = time.monotonic() + SWEEP_SECONDS
        while not Heartbeat.objects.filter(name="sweep").exists():
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
    finally:
        engine.stop()


@pytest.mark.usefixtures("own_ports")
def test_a_stopped_engine_has_given_back_lock_and_ports(settings, transactional_db) -> None:
    engine = embedded.Engine(owner=4711)
    assert embedded.running() == (4711, f"http://{embedded.HOST}:{settings.SITE_PORT}")
    with pytest.raises(embedded.AlreadyRunning, match=r"^4711 "):
        embedded.take_lock(0.1)

    engine.stop()

    assert embedded.running() is None
    assert not {"worker", "Beat"} & {thread.name for thread in threading.enumerate()}
    ports = range(settings.SITE_PORT, settings.SITE_PORT + 3)
    assert all(map(is_free, ports))


def test_an_address_that_is_not_ours_starts_no_stand_in(settings) -> None:
    settings.SITE_PORT, settings.FACE_GEN_STANDIN_PORT, settings.STRIPE_STANDIN_PORT = 8, 9, 10
    settings.FACE_GEN_URL = "https://modelslab.com/api/"
    settings.STRIPE_API_URL = f"http://{embedded.HOST}:12111"
    assert embedded.standins() == {}
    settings.STRIPE_API_URL = f"http://{embedded.HOST}:10"
    assert embedded.standins() == {"stripe": 10}
