"""Every address × nobody, Ben, staff without rights, by GET and by POST. A new address without a
row fails here.

Knows the URL patterns, the factories, and nothing of the views.
"""

from collections import Counter
from collections.abc import Iterator

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path, reverse
from django.urls.resolvers import RegexPattern
from django.utils import timezone

from accounts import staff_people
from avatars import exporting
from avatars.models import State
from avatars.models.attempts import Breaker, Service
from tests import factories

pytestmark = pytest.mark.django_db

OPEN = "open"  # for everybody
OWN = "own"  # sign in first; each sees their own
ADAS = "adas"  # sign in first; Ada's is a 404 for everybody else
STAFF = "staff"  # sign in first; 403 or 404 without the right
TOKEN = "token"

POST = {
    "job_cancel",
    "job_dismiss",
    "avatar_favourite",
    "avatar_delete",
    "avatar_restore",
    "avatar_purge",
    "avatar_share_stop",
    "face_delete",
    "face_keep",
    "keep_default",
    "credits_buy",
    "account_keep",
    "desk_next",
    "desk_clear",
    "desk_keys",
    "desk_undo",
}
ROWS = {
    "landing": OPEN,
    "styles": OPEN,
    "status": OPEN,
    "report": OPEN,
    "report_status": TOKEN,
    "shared": TOKEN,
    "shared_picture": TOKEN,
    "pricing": OPEN,
    "safety": OPEN,
    "privacy": OPEN,
    "face_data": OPEN,
    "terms": OPEN,
    "help": OPEN,
    "styleguide": OPEN,
    "dev_mail": OPEN,
    "livez": OPEN,
    "readyz": OPEN,
    "appearance": OPEN,
    "stripe_events": OPEN,
    "create": OWN,
    "jobs_tray": OWN,
    "gallery": OWN,
    "trash": OWN,
    "faces": OWN,
    "face_new": OWN,
    "face_consent": OWN,
    "credits": OWN,
    "credits_buy": OWN,
    "credits_refunds": OWN,
    "credits_statement": OWN,
    "credits_sheet": OWN,
    "data": OWN,
    "account_close": OWN,
    "account_keep": OWN,
    "appeal": OWN,
    "export": ADAS,
    "credits_return": ADAS,
    "credits_receipt": ADAS,
    "credits_refund": ADAS,
    "job": ADAS,
    "job_receipt": ADAS,
    "job_appeal": ADAS,
    "job_cancel": ADAS,
    "job_dismiss": ADAS,
    "avatar": ADAS,
    "avatar_favourite": ADAS,
    "avatar_delete": ADAS,
    "avatar_restore": ADAS,
    "avatar_purge": ADAS,
    "avatar_download": ADAS,
    "avatar_share": ADAS,
    "avatar_share_stop": ADAS,
    "face": ADAS,
    "face_delete": ADAS,
    "face_keep": ADAS,
    "face_download": ADAS,
    "face_record": ADAS,
    "privacy_settings": OWN,
    "keep_default": OWN,
    "consent_withdraw": OWN,
    "photo_open": STAFF,
    "photo_picture": STAFF,
    "give_credits": STAFF,
    "refund_purchase": STAFF,
    "accept_purchase": STAFF,
    "person": STAFF,
    "person_suspend": STAFF,
    "person_lift": STAFF,
    "person_sharing": STAFF,
    "person_devices": STAFF,
    "person_limits": STAFF,
    "person_roles": STAFF,
    "person_photos": STAFF,
    "person_letter": STAFF,
    "dashboard": STAFF,
    "provider": STAFF,
    "provider_pause": STAFF,
    "provider_resume": STAFF,
    "provider_look": STAFF,
    "provider_fail": STAFF,
    "desk": STAFF,
    "desk_next": STAFF,
    "desk_clear": STAFF,
    "desk_keys": STAFF,
    "desk_item": STAFF,
    "desk_undo": STAFF,
    "takedowns": STAFF,
    "takedown": STAFF,
    "media_signed": TOKEN,
    "face_link": TOKEN,
    "doorbell": TOKEN,
}


# Allauth's pages. Those of a sign-in that has not begun lead back to its beginning.
DOORS = {
    "account_login": OPEN,
    "account_logout": OPEN,
    "account_inactive": OPEN,
    "account_signup": OPEN,
    "account_reset_password": OPEN,
    "account_password_reset_completed": OPEN,
    "account_request_login_code": OPEN,
    "account_email_verification_sent": OPEN,
    "account_confirm_login_code": OPEN,
    "account_confirm_password_reset_code": OPEN,
    "account_complete_password_reset": OPEN,
    "mfa_authenticate": OPEN,
    "mfa_login_webauthn": OPEN,
    "socialaccount_login_cancelled": OPEN,
    "socialaccount_login_error": OPEN,
    "socialaccount_signup": OPEN,
    "account_reauthenticate": OWN,
    "account_email": OWN,
    "account_change_password": OWN,
    "account_set_password": OWN,
    "mfa_index": OWN,
    "mfa_reauthenticate": OWN,
    "mfa_activate_totp": OWN,
    "mfa_deactivate_totp": OWN,
    "mfa_view_recovery_codes": OWN,
    "mfa_generate_recovery_codes": OWN,
    "mfa_download_recovery_codes": OWN,
    "mfa_list_webauthn": OWN,
    "mfa_add_webauthn": OWN,
    "mfa_reauthenticate_webauthn": OWN,
    "mfa_remove_webauthn": OWN,
    "mfa_edit_webauthn": OWN,
    "socialaccount_connections": OWN,
    "usersessions_list": OWN,
}
METHODS = ("get", "post")


def patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    """Ours: allauth and Django's admin are asked as a whole below."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            if pattern.name != "not_found":  # whatever has no address of its own
                yield pattern
        elif str(pattern.pattern) not in ("accounts/", "admin/"):
            yield from patterns(pattern)


def all_patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        else:
            yield from all_patterns(pattern)


def without_a_row(resolver: URLResolver) -> Counter[str | None]:
    """The names of addresses beyond the table's, of second ones of a name too."""
    return Counter(pattern.name for pattern in patterns(resolver)) - Counter(list(ROWS))


@pytest.fixture
def adas(ada) -> dict[str, object]:
    """One of everything of Ada's."""
    waiting = factories.create_request_in(State.QUEUED, ada)
    return {
        "job": waiting,
        "avatar": factories.create_avatar(ada),
        "face": waiting.photo,
        "credits": factories.create_purchase(ada),
        "export": exporting.ask(ada, timezone.now()),
        "desk": factories.create_held(ada),
    }


def address(name: str, adas: dict[str, object], ada) -> str:
    if ROWS[name] == ADAS:
        row = adas[name.split("_")[0]]
        if name == "credits_return":
            return f"{reverse(name)}?session={row.session_id}"
        extra = ["jpeg"] if name == "avatar_download" else []
        return reverse(name, args=[row.public_id, *extra])
    arguments = {
        "give_credits": [ada.pk],
        "person": [ada.pk],
        "refund_purchase": [adas["credits"].public_id],
        "accept_purchase": [adas["credits"].public_id],
        **{f"person_{act}": [ada.pk] for act in (*staff_people.ACTS, "photos", "letter")},
        "provider_look": [adas["job"].public_id],
        "provider_fail": [adas["job"].public_id],
        "photo_open": [adas["face"].public_id],
        "photo_picture": [adas["face"].public_id],
        "takedown": [1],
        "media_signed": ["photos/x.jpg"],
        "credits_buy": [factories.create_pack(active=False).pk],
        **{name: [adas["desk"].public_id] for name in ("desk_item", "desk_undo")},
    }
    guess = ["guess"] if ROWS[name] == TOKEN else []
    return reverse(name, args=arguments.get(name, guess))


def ask(client: Client, name: str, path: str, method: str = "") -> HttpResponse:
    return getattr(client, method or ("post" if name in POST else "get"))(path)


def leads_to_the_door(answer: HttpResponse) -> bool:
    return answer.status_code == 302 and answer["Location"].startswith(reverse("account_login"))


def test_every_address_has_a_row():
    assert without_a_row(get_resolver()) == Counter()
    assert {pattern.name for pattern in patterns(get_resolver())} == set(ROWS)


def new_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


@pytest.mark.parametrize("name", ["new", None, "gallery"])
def test_a_new_address_is_missed_here(name):
    """The control of the test above: one without a name and one of a known name, too."""
    site = get_resolver().url_patterns
    more = URLResolver(RegexPattern(r"^/"), [*site, path("new/", new_page, name=name)])
    assert without_a_row(more) == Counter([name])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ROWS)
def test_nobody_sees_only_what_is_open(name, method, client, ada, adas):
    answer = ask(client, name, address(name, adas, ada), method)
    match ROWS[name]:
        case kind if kind == OPEN:
            assert answer.status_code in (200, 302, 400, 405, 422, 503)
            assert not leads_to_the_door(answer)
        case kind if kind == TOKEN:
            assert answer.status_code in (404, 405, 410)
        case kind if kind == STAFF:
            assert leads_to_the_staffs_door(answer) or answer.status_code == 405
        case _:
            assert leads_to_the_door(answer) or answer.status_code == 405


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ROWS)
def test_ben_sees_his_own_and_nothing_of_adas(name, method, client, ada, adas, ben):
    client.force_login(ben)
    answer = ask(client, name, address(name, adas, ada), method)
    match ROWS[name]:
        case kind if kind in (OPEN, OWN):
            assert answer.status_code < 500 or name == "readyz"
            assert not leads_to_the_door(answer)
        case kind if kind == ADAS:
            assert answer.status_code in (404, 405)
        case kind if kind == STAFF:
            assert leads_to_the_staffs_door(answer) or answer.status_code in (403, 404, 405)
        case _:
            assert answer.status_code in (404, 405, 410)
    assert ask(client, name, address(name, adas, ada)).status_code != 405 or ROWS[name] in (
        OPEN,
        TOKEN,
    )


def leads_to_the_staffs_door(answer: HttpResponse) -> bool:
    doors = (reverse("account_login"), reverse("admin:login"))
    return answer.status_code == 302 and answer["Location"].startswith(doors)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [n for n, kind in ROWS.items() if kind in (ADAS, STAFF)])
def test_staff_without_the_right_are_strangers(name, method, client, ada, adas):
    client.force_login(factories.create_user(is_staff=True))
    assert ask(client, name, address(name, adas, ada), method).status_code in (403, 404, 405)
    assert ask(client, name, address(name, adas, ada)).status_code in (403, 404)


@pytest.mark.parametrize("name", [n for n, kind in ROWS.items() if kind == ADAS])
def test_ada_reaches_what_is_hers(name, client, ada, adas):
    client.force_login(ada)
    answer = ask(client, name, address(name, adas, ada))
    # Of these there is nothing to give: not trashed, no bytes, not deleted.
    is_nothing = name in ("avatar_restore", "avatar_purge", "avatar_download", "face_record")
    assert answer.status_code in ((200, 302, 404) if is_nothing else (200, 204, 302))


# ── Allauth's pages ─────────────────────────────────────────────────────────────────────────────


def doors(resolver: URLResolver) -> Iterator[URLPattern]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver) and str(pattern.pattern) == "accounts/":
            yield from all_patterns(pattern)


def address_of_door(name: str) -> str:
    return reverse(name, args=[1] if name.endswith(("remove_webauthn", "edit_webauthn")) else [])


def test_every_page_of_sign_in_has_a_row():
    # The nameless ones are the old addresses of the social pages, which lead to the new.
    assert {pattern.name for pattern in doors(get_resolver()) if pattern.name} == set(DOORS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", DOORS)
def test_nobody_reaches_the_settings_of_a_person(name, method, client):
    answer = getattr(client, method)(address_of_door(name))
    if DOORS[name] == OPEN:
        assert answer.status_code in (200, 302, 400, 401, 405)
    else:
        assert leads_to_the_door(answer) or answer.status_code in (404, 405)


@pytest.mark.parametrize("name", [name for name, kind in DOORS.items() if kind == OWN])
def test_ben_sees_nothing_of_ada_on_his_pages(name, client, ada, ben):
    client.force_login(ben)
    answer = client.get(address_of_door(name), follow=True)
    assert answer.status_code in (200, 404)
    assert ada.email not in answer.text


# ── Django's admin ──────────────────────────────────────────────────────────────────────────────


def staff_rooms() -> list[str]:
    """Every address of the admin with a name, asked for a row that is there where one is needed."""
    (admin,) = [
        resolver
        for resolver in get_resolver().url_patterns
        if isinstance(resolver, URLResolver) and str(resolver.pattern) == "admin/"
    ]
    return sorted({pattern.name for pattern in all_patterns(admin) if pattern.name})


def address_of_room(name: str) -> str:
    arguments = {"view_on_site": ["1", "1"], "app_list": ["accounts"]}
    acts = ("_change", "_delete", "_history")
    row = ["1"] if name.endswith(acts) and name.count("_") == len(acts[0].split("_")) else []
    return reverse(f"admin:{name}", args=arguments.get(name, row))


def test_the_admin_has_rooms():
    assert len(staff_rooms()) > 80
    assert {"accounts_user_change", "avatars_takedown_delete"} < set(staff_rooms())


@pytest.mark.parametrize("name", staff_rooms())
def test_the_admin_is_closed_to_everybody_else(name, client, ada, ben):
    if name in ("login", "logout", "password_change", "password_change_done"):
        return  # one's own door
    path = address_of_room(name)
    weak = Client()
    weak.force_login(factories.create_user(is_staff=True))
    person = Client()
    person.force_login(ben)
    for method in METHODS:
        for stranger in (client, person):
            answer = getattr(stranger, method)(path)
            is_for_reading = (name, method) == ("index", "post") and answer.status_code == 405
            assert is_for_reading or leads_to_the_staffs_door(answer)
        answer = getattr(weak, method)(path)
        # A row that is not there leads to the index, which shows them nothing.
        is_nothing = answer.status_code == 302 and answer["Location"] == reverse("admin:index")
        is_script = name == "jsi18n"  # translations for the admin's own scripts
        assert is_nothing or is_script or answer.status_code in (403, 404, 405)


def admin_addresses() -> list[str]:
    """The lists, and what else there is to read."""
    return [f"admin:{name}" for name in staff_rooms() if name.endswith(("_changelist", "_sheet"))]


# ── CSRF ────────────────────────────────────────────────────────────────────────────────────────


def test_exactly_two_views_are_exempt_from_csrf():
    exempt = {
        pattern.name
        for pattern in all_patterns(get_resolver())
        if getattr(pattern.callback, "csrf_exempt", False)
    }
    assert exempt == {"doorbell", "stripe_events"}


@pytest.mark.parametrize("name", [*ROWS, *DOORS])
def test_a_form_without_its_token_is_refused(name, ada, adas, mo):
    """Also one that never was ours: what changes something is asked for by a form of this site."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(mo if ROWS.get(name) == STAFF else ada)
    path = address(name, adas, ada) if name in ROWS else address_of_door(name)
    answer = client.post(path, {"make": "1"})
    if name in ("doorbell", "stripe_events"):
        assert answer.status_code in (400, 404)
    else:
        assert answer.status_code == 403


# ── Looking changes nothing ─────────────────────────────────────────────────────────────────────

# What a GET may write, and why.
LOOKING_WRITES = {
    # Whoever has seen the ending needs no letter of it.
    "job": {"avatars_avatarrequest"},
    "gallery": {"avatars_avatarrequest"},
    "credits_return": {"accounts_purchase", "accounts_transfer", "accounts_wallet"},
    "takedown": {"avatars_takedown"},  # claimed by whoever reads it
}


def everything() -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but the sessions."""
    with connection.cursor() as cursor:
        found = {}
        for table in set(connection.introspection.table_names(cursor)) - {"django_session"}:
            cursor.execute(f'SELECT * FROM "{table}"')
            found[table] = sorted(cursor.fetchall(), key=repr)
    return found


@pytest.mark.parametrize("name", [*ROWS, *DOORS])
def test_looking_changes_nothing(name, client, ada, adas, mo):
    client.force_login(mo if ROWS.get(name) == STAFF else ada)
    path = address(name, adas, ada) if name in ROWS else address_of_door(name)
    client.get("/help/")  # now its session is among the devices
    for service in Service:
        Breaker.of(service)  # a row comes with the first look at it
    before = everything()
    client.get(path)
    after = everything()
    changed = {table for table in before if before[table] != after[table]}
    assert changed <= LOOKING_WRITES.get(name, set())
