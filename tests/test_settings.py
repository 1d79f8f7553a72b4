"""The settings stop loudly when a deployment lacks something, and name everything it lacks.

Runs the settings in processes of their own, with an environment of their own.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DEPLOYMENT = {
    "DEBUG": "0",
    "SECRET_KEY": "x" * 60,
    "ALLOWED_HOSTS": "likeness.example",
    "PUBLIC_BASE_URL": "https://likeness.example",
    "DATABASE_URL": "postgres://u:p@db.example/likeness",
    "CACHE_URL": "redis://cache.example/1",
    "CELERY_BROKER_URL": "redis://broker.example/0",
    "S3_BUCKET": "faces",
    "MODELSLAB_API_KEY": "k" * 40,
    "STRIPE_SECRET_KEY": "sk_live_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
    "EMAIL_URL": "smtp+tls://u:p@mail.example:587",
    "DEFAULT_FROM_EMAIL": "Likeness <hello@likeness.example>",
}
READ = "from config import settings as s; print({name: getattr(s, name) for name in %r})"


def load(tmp_path: Path, environment: dict[str, str], *names: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", READ % (names,)],
        env={"PATH": os.environ["PATH"], "LOCAL_DIR": str(tmp_path), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_clone_needs_no_variable(tmp_path):
    loaded = load(tmp_path, {}, "DEBUG", "STAND_IN", "EMBEDDED", "ALLOWED_HOSTS")
    assert loaded.returncode == 0, loaded.stderr
    assert "'DEBUG': True, 'STAND_IN': True, 'EMBEDDED': True" in loaded.stdout


def test_a_deployment_starts_when_all_is_there(tmp_path):
    loaded = load(tmp_path, DEPLOYMENT, "STAND_IN", "SECURE_SSL_REDIRECT", "FACE_GEN_URL")
    assert loaded.returncode == 0, loaded.stderr
    assert "'STAND_IN': False, 'SECURE_SSL_REDIRECT': True" in loaded.stdout


def test_a_deployment_has_nothing_that_django_would_warn_of(tmp_path):
    """`check --deploy`, all its findings counted, with one proxy in front that ends HTTPS."""
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "DEBUG"],
        env={
            "PATH": os.environ["PATH"],
            "LOCAL_DIR": str(tmp_path),
            **DEPLOYMENT,
            "SECRET_KEY": "fZ8_kq2-Wc9vT4xLm0sRbN7yHd3JgP6uXa1eQo5iYzUtKwVnCrBl-EhDjGf",
            "PROXY_COUNT": "1",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
    assert checked.stdout == "System check identified no issues (0 silenced).\n"


COOKIES = {
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "CSRF_COOKIE_SECURE": True,
    "CSRF_COOKIE_HTTPONLY": True,
    "CSRF_COOKIE_SAMESITE": "Lax",
    "SECURE_HSTS_SECONDS": 31_536_000,
    "SECURE_SSL_REDIRECT": True,
}


def test_cookies_of_a_deployment_travel_encrypted_and_no_script_reads_them(tmp_path):
    assert ast.literal_eval(load(tmp_path, DEPLOYMENT, *COOKIES).stdout) == COOKIES


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [({}, (0, None)), ({"PROXY_COUNT": "1"}, (1, ("HTTP_X_FORWARDED_PROTO", "https")))],
)
def test_what_is_forwarded_is_believed_of_known_proxies_alone(tmp_path, proxies, expected):
    names = ("ALLAUTH_TRUSTED_PROXY_COUNT", "SECURE_PROXY_SSL_HEADER")
    loaded = load(tmp_path, DEPLOYMENT | proxies, *names)
    assert tuple(ast.literal_eval(loaded.stdout).values()) == expected


def test_a_cache_that_hangs_costs_a_request_a_second(tmp_path):
    (cache,) = ast.literal_eval(load(tmp_path, DEPLOYMENT, "CACHES").stdout)["CACHES"].values()
    assert cache["BACKEND"] == "django.core.cache.backends.redis.RedisCache"
    assert cache["OPTIONS"] == {"socket_connect_timeout": 0.5, "socket_timeout": 1}


@pytest.mark.parametrize("name", [name for name in DEPLOYMENT if name != "DEBUG"])
def test_a_deployment_that_lacks_a_variable_does_not_start_and_names_it(tmp_path, name):
    environment = {key: value for key, value in DEPLOYMENT.items() if key != name}
    loaded = load(tmp_path, environment, "DEBUG")
    assert loaded.returncode != 0
    assert name in loaded.stderr.splitlines()[-1]


def test_everything_missing_is_named_in_one_sentence(tmp_path):
    last_line = load(tmp_path, {"DEBUG": "0"}, "DEBUG").stderr.splitlines()[-1]
    assert all(name in last_line for name in DEPLOYMENT if name != "DEBUG")


@pytest.mark.parametrize(
    "unsafe",
    [
        {"FACE_GEN_URL": "http://127.0.0.1:9/api/"},
        {"STRIPE_API_URL": "http://localhost:9"},
        {"CELERY_BROKER_URL": "memory://localhost/"},
        {"ALLOWED_HOSTS": "likeness.example,*"},
        {"CACHE_URL": "locmemcache://likeness"},
        {"CACHE_URL": "dummycache://"},
        {"CACHE_URL": "filecache:///tmp/cache"},
    ],
)
def test_a_deployment_refuses_stand_ins_any_host_and_what_only_one_process_can_reach(
    tmp_path, unsafe
):
    assert load(tmp_path, {**DEPLOYMENT, **unsafe}, "DEBUG").returncode != 0


def test_only_a_clone_may_leave_the_staffs_door_open(tmp_path):
    assert load(tmp_path, {}, "STAFF_SECOND_FACTOR").stdout == "{'STAFF_SECOND_FACTOR': True}\n"
    opened = {"STAFF_SECOND_FACTOR": "0"}
    assert load(tmp_path, opened, "DEBUG").returncode == 0
    refused = load(tmp_path, {**DEPLOYMENT, **opened}, "DEBUG")
    assert "STAFF_SECOND_FACTOR may be off on a clone only" in refused.stderr


def test_production_names_no_environment(tmp_path):
    assert load(tmp_path, DEPLOYMENT, "ENVIRONMENT").stdout == "{'ENVIRONMENT': ''}\n"


def test_a_live_stripe_key_beside_a_drawing_stand_in_is_refused(tmp_path):
    assert load(tmp_path, {"STRIPE_SECRET_KEY": "sk_live_x"}, "DEBUG").returncode != 0


def test_a_real_key_on_a_laptop_means_the_face_travels_inside_the_order(tmp_path):
    loaded = load(tmp_path, {"MODELSLAB_API_KEY": "k" * 40}, "PUBLIC_BASE_URL", "FACE_GEN_STANDIN")
    assert loaded.stdout.strip() == "{'PUBLIC_BASE_URL': '', 'FACE_GEN_STANDIN': False}"


def test_a_real_key_with_a_public_address_means_a_counted_link(tmp_path):
    environment = {"MODELSLAB_API_KEY": "k" * 40, "PUBLIC_BASE_URL": "https://likeness.example"}
    loaded = load(tmp_path, environment, "PUBLIC_BASE_URL")
    assert loaded.stdout.strip() == "{'PUBLIC_BASE_URL': 'https://likeness.example'}"


def test_the_local_secret_key_is_made_once_and_kept(tmp_path):
    first, second = (load(tmp_path, {}, "SECRET_KEY").stdout for _ in range(2))
    assert first == second
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


SIGN_IN_PAGE = """
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
answer = Client().get("/accounts/login/", headers={"host": "localhost"})
print(answer.status_code, "Google" in answer.content.decode(), "GitHub" in answer.content.decode())
print(answer.headers["Content-Security-Policy"])
"""


def test_a_button_for_social_sign_in_appears_with_its_keys(tmp_path):
    keys = {
        f"{name}_CLIENT_{part}": "x" for name in ("GOOGLE", "GITHUB") for part in ("ID", "SECRET")
    }
    shown = subprocess.run(
        [sys.executable, "-c", SIGN_IN_PAGE],
        env={
            "PATH": os.environ["PATH"],
            "LOCAL_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            **keys,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    status, policy = (shown.stdout.splitlines() or [shown.stderr, ""])[:2]
    assert status == "200 True True"
    assert "https://accounts.google.com https://github.com" in policy


def test_a_deployment_opens_no_stand_in_of_stripe(tmp_path):
    refused = subprocess.run(
        [sys.executable, "manage.py", "standin", "stripe", "--port", "10"],
        env={"PATH": os.environ["PATH"], "LOCAL_DIR": str(tmp_path), **DEPLOYMENT},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "The settings name the real stripe" in refused.stderr.splitlines()[-1]
