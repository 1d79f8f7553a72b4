"""Every address × nobody, Ben, staff without rights. A new address without a row fails here.

Knows the URL patterns, the factories, and nothing of the views.
"""

from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts import staff_people
from avatars import exporting
from avatars.models import State
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
    "export": ADAS,
    "credits_return": ADAS,
    "credits_receipt": ADAS,
    "credits_refund": ADAS,
    "job": ADAS,
    "job_receipt": ADAS,
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
    "desk_suspend": STAFF,
    "takedowns": STAFF,
    "takedown": STAFF,
    "media_signed": TOKEN,
    "face_link": TOKEN,
    "doorbell": TOKEN,
}


def patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    """Ours: allauth and Django's admin are asked as a whole below."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            if pattern.name != "not_found":  # whatever has no address of its own
                yield pattern
        elif str(pattern.pattern) not in ("accounts/", "admin/"):
            yield from patterns(pattern)


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
        **{name: [adas["desk"].public_id] for name in ("desk_item", "desk_undo", "desk_suspend")},
    }
    guess = ["guess"] if ROWS[name] == TOKEN else []
    return reverse(name, args=arguments.get(name, guess))


def ask(client, name: str, path: str) -> int:
    return (client.post if name in POST else client.get)(path).status_code


def test_every_address_has_a_row():
    names = {pattern.name for pattern in patterns(get_resolver())}
    assert names == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_nobody_sees_only_what_is_open(name, client, ada, adas):
    status = ask(client, name, address(name, adas, ada))
    expected = {OPEN: {200, 405, 503}, TOKEN: {404, 405, 410}}.get(ROWS[name], {302})
    assert status in expected


@pytest.mark.parametrize("name", ROWS)
def test_ben_sees_his_own_and_nothing_of_adas(name, client, ada, adas, ben):
    client.force_login(ben)
    status = ask(client, name, address(name, adas, ada))
    expected = {
        OPEN: {200, 405, 503},
        OWN: {200, 204, 302, 303},
        ADAS: {404},
        STAFF: {302, 403, 404},
        TOKEN: {404, 405, 410},
    }
    assert status in expected[ROWS[name]]
    assert not (ROWS[name] == STAFF and status == 200)


@pytest.mark.parametrize("name", [n for n, kind in ROWS.items() if kind in (ADAS, STAFF)])
def test_staff_without_the_right_are_strangers(name, client, ada, adas):
    client.force_login(factories.create_user(is_staff=True))
    assert ask(client, name, address(name, adas, ada)) in (403, 404)


@pytest.mark.parametrize("name", [n for n, kind in ROWS.items() if kind == ADAS])
def test_ada_reaches_what_is_hers(name, client, ada, adas):
    client.force_login(ada)
    assert ask(client, name, address(name, adas, ada)) in (200, 204, 302, 404)
    if name not in ("avatar_restore", "avatar_purge", "avatar_download", "face_record"):
        assert ask(client, name, address(name, adas, ada)) != 404


def admin_addresses() -> list[str]:
    names = ["admin:index"]
    for app, model in (
        ("accounts", "user"),
        ("accounts", "wallet"),
        ("accounts", "transfer"),
        ("accounts", "creditpack"),
        ("accounts", "purchase"),
        ("accounts", "refund"),
        ("accounts", "decision"),
        ("accounts", "closing"),
        ("avatars", "avatarrequest"),
        ("avatars", "facephoto"),
        ("avatars", "avatar"),
    ):
        names.append(f"admin:{app}_{model}_changelist")
    names.append("admin:decisions_sheet")
    return names


@pytest.mark.parametrize("name", admin_addresses())
def test_the_admin_is_closed_to_everybody_else(name, client, ben):
    path = reverse(name)
    assert client.get(path).status_code in (302, 403, 404)
    client.force_login(ben)
    assert client.get(path, follow=True).status_code in (403, 404)
    client.force_login(factories.create_user(is_staff=True))
    assert client.get(path).status_code == 403
