"""Requests no page of ours would send, and old ones: each gets a page, and nothing is lost.

Knows addresses and the clients of the tests; a clone (DEBUG) and a deployment answer alike.
"""

import logging

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest
from django.test import Client

from accounts.models import Consent
from avatars.views.drafts import Draft
from config.logs import JsonFormatter
from config.middleware import LARGEST_BODY
from tests import factories

pytestmark = pytest.mark.django_db
UNREADABLE = "That couldn't be read."
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(params=[True, False], ids=["clone", "deployment"])
def visitor(request, settings) -> Client:
    settings.DEBUG = request.param
    return Client(raise_request_exception=False)


@pytest.fixture
def strict() -> Client:
    return Client(enforce_csrf_checks=True)


# ── Size and shape ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/nowhere/"])
def test_a_body_that_would_fill_the_disk_is_refused_unread(visitor, path):
    answer = visitor.post(path, b"a=1", content_type=FORM, CONTENT_LENGTH=str(LARGEST_BODY + 1))
    assert answer.status_code == 413
    assert "That file is too big" in answer.text


def test_a_body_of_the_largest_size_is_read(client):
    photo = SimpleUploadedFile("face.jpg", b"x" * 100_000)
    assert client.post("/accounts/login/", {"photo": photo}).status_code == 200


def test_more_fields_than_any_form_has_are_told_plainly(visitor):
    query = "&".join(f"a{number}=1" for number in range(300))
    answer = visitor.get(f"/create/?{query}")
    assert (answer.status_code, UNREADABLE in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"a=" + b"x" * 3_000_000, FORM),
        ("&".join(f"a{number}=1" for number in range(300)).encode(), FORM),
        (b"x", "multipart/form-data; boundary="),
    ],
)
def test_a_form_that_cannot_be_read_gets_our_page(body, kind):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.get("/accounts/login/")
    answer = client.post("/accounts/login/", body, content_type=kind)
    assert (answer.status_code, "no credits were used" in answer.text) == (400, True)


# ── NULs ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "zone", "theme", "messages"])
def test_a_cookie_that_spells_a_nul_is_no_cookie(client, name):
    answer = client.get("/accounts/login/", headers={"Cookie": f'{name}="a\\000b"'})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "avatars/avatarrequest/?state=%00",
        "avatars/avatar/?style__exact=%00",
        "accounts/user/?q=%00",
    ],
)
def test_a_nul_in_the_admin_is_not_found(client, mo, asked):
    client.force_login(mo)
    assert client.get(f"/admin/{asked}").status_code == 404


def test_a_state_that_is_none_shows_no_fault(client, mo):
    client.force_login(mo)
    assert client.get("/admin/avatars/avatarrequest/?state=dancing").status_code == 200


# ── Slashes and addresses ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/gallery", "/nowhere", "/nowhere/", "/foo%0abar/", "//x//"])
def test_a_form_sent_nowhere_gets_our_own_page(visitor, path):
    assert "That page isn" in visitor.post(path).text
    assert visitor.post(path).status_code == 404


@pytest.mark.parametrize("path", ["/foo%0abar/", "/nowhere", "/nowhere/"])
def test_an_address_of_nothing_gets_our_own_page(visitor, path):
    answer = visitor.get(path)
    assert (answer.status_code, "That page isn" in answer.text) == (404, True)


@pytest.mark.parametrize("path", ["/gallery", "/admin", "/accounts/login"])
def test_a_reader_without_a_slash_is_sent_on(visitor, path):
    answer = visitor.get(f"{path}?a=1")
    assert (answer.status_code, answer["Location"]) == (301, f"{path}/?a=1")


# ── The number of a request ─────────────────────────────────────────────────────────────────────


def fail(request: HttpRequest) -> None:
    raise ZeroDivisionError


def test_every_answer_has_a_number_of_its_own(client):
    numbers = {client.get(path)["X-Request-ID"] for path in ("/", "/nowhere/", "/livez")}
    assert [len(number) for number in numbers] == [12, 12, 12]


def test_the_page_of_a_fault_and_the_log_name_one_number(monkeypatch, caplog):
    monkeypatch.setattr("config.middleware.render", fail)
    with caplog.at_level(logging.ERROR, "django.request"):
        answer = Client(raise_request_exception=False).get("/nowhere/")
    number = answer["X-Request-ID"]
    assert (answer.status_code, f"<code>{number}</code>" in answer.text) == (500, True)
    assert f'"request_id": "{number}"' in JsonFormatter().format(caplog.records[-1])


# ── Forms that grew old ─────────────────────────────────────────────────────────────────────────


def test_the_words_of_an_expired_form_wait_on_the_fresh_page(strict, ada):
    strict.force_login(ada)
    answer = strict.post("/create/", {"prompt": "a pirate at dusk", "style": "anime"})
    assert answer.status_code == 403
    assert "Your text is kept" in answer.text
    assert 'href="/create/"' in answer.text
    kept = Draft.of(strict.session)
    assert kept is not None
    assert (kept.prompt, kept.style) == ("a pirate at dusk", "anime")


def test_another_site_leaves_no_words_behind(strict, ada):
    strict.force_login(ada)
    answer = strict.post("/create/", {"prompt": "x"}, headers={"Sec-Fetch-Site": "same-site"})
    assert "Your text is kept" not in answer.text
    assert Draft.of(strict.session) is None


def test_an_expired_act_leads_back_to_the_page_it_stood_on(strict, ada):
    strict.force_login(ada)
    path = f"/gallery/{factories.create_avatar(ada).public_id}/delete/"
    page = "http://testserver/gallery/?style=anime"
    assert f'href="{page}"' in strict.post(path, headers={"Referer": page}).text
    foreign = strict.post(path, headers={"Referer": "https://evil.example/"}).text
    assert "evil.example" not in foreign
    assert path not in foreign


def test_a_control_that_grew_old_loads_its_page_anew(strict, ada):
    strict.force_login(ada)
    answer = strict.post("/create/", {"prompt": "x"}, headers={"HX-Request": "true"})
    assert answer["HX-Refresh"] == "true"


def test_an_act_of_somebody_signed_out_leads_to_the_gallery(client, ada):
    path = f"/gallery/{factories.create_avatar(ada).public_id}/favourite/"
    assert client.post(path)["Location"] == "/accounts/login/?next=/gallery/"
    assert client.post("/create/")["Location"] == "/accounts/login/?next=/create/"


# ── Who asks ────────────────────────────────────────────────────────────────────────────────────


def test_a_consent_keeps_the_address_of_the_person_and_not_of_the_proxy(client, ben, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    client.force_login(ben)
    form = {"agree": "on", "person": "on"}
    client.post("/faces/consent/", form, headers={"X-Forwarded-For": "203.0.113.9"})
    assert Consent.objects.get(user=ben).address == "203.0.113.9"


def test_the_admin_shows_no_words_of_people(client, mo, ada):
    avatar = factories.create_avatar(ada)
    client.force_login(mo)
    avatar_page = client.get(f"/admin/avatars/avatar/{avatar.pk}/change/").text
    request_page = client.get(f"/admin/avatars/avatarrequest/{avatar.request.pk}/change/").text
    assert str(avatar) == str(avatar.public_id)
    assert avatar.alt not in avatar_page
    assert avatar.request.prompt not in request_page


def test_a_page_of_a_clone_loads_no_script_of_developers(client, ada, settings):
    settings.DEBUG = True
    client.force_login(ada)
    page = client.get("/create/").text
    assert "django_htmx/htmx-2.min.js" in page
    assert "django-htmx.js" not in page


@pytest.mark.parametrize("path", ["/gallery/", "/faces/"])
def test_a_dialog_of_somebody_signed_out_is_told_to_load_anew(client, path):
    assert client.get(path, headers={"HX-Request": "true"})["HX-Refresh"] == "true"
