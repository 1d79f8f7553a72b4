"""Making rows: people one by one through the factories, crowds in bulk and as legal as any.

Knows the models, the factories and SQL that both databases read.
"""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.models import Quota, Transfer, User, Wallet
from avatars.models import AvatarRequest, FacePhoto, State
from tests import factories

# More than anybody has; limits are not what is measured, but they are counted all the same.
NO_LIMIT = {"max_open": 32_767, "max_per_day": 1_000_000}
PEOPLE = 10
# 0, 1, 2 … below %(number)s, in both databases.
SERIES = (
    "WITH RECURSIVE series(n) AS "
    "(SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < %(number)s) "
)
NUMBER = {
    "sqlite": "printf('%%032x', n + %(salt)s)",
    "postgresql": "CAST(lpad(to_hex(n + %(salt)s), 32, '0') AS uuid)",
}
HOLD, RELEASE = "'available', 'reserved'", "'reserved', 'available'"


def migrate() -> None:
    call_command("migrate", verbosity=0, interactive=False)


def person(credits: int = 0, photo: bytes = factories.TINY_JPEG) -> int:
    """Somebody with a photo and without limits. Returns their id."""
    user = factories.create_user(credits=credits)
    Quota.objects.filter(user=user).update(**NO_LIMIT)
    factories.create_photo(user, photo)
    return user.pk


def people(number: int, credits: int = 0, *, with_faces: bool = False) -> list[int]:
    """`with_faces`: their photos are portraits, for whoever really has them drawn."""
    photo = factories.portrait() if with_faces else factories.TINY_JPEG
    return [person(credits, photo) for _ in range(number)]


def cookie_of(user: User) -> str:
    """A session of theirs, as a browser would send it."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def waiting(number: int) -> None:
    """So many in line, their credits held, of PEOPLE people."""
    now = timezone.now()
    row = {"state": State.QUEUED, "deadline": now + timedelta(minutes=55), "reason": ""}
    requests(number, row, ended=False)


def ended(number: int) -> None:
    """So many that have ended without a picture, their credits returned."""
    requests(number, {"state": State.FAILED, "deadline": timezone.now(), "reason": "late"})


def crowd(credits: int) -> dict[str, int]:
    """PEOPLE people, each with a wallet and a photo: the first id of each of the three. The others
    follow without a gap, so that a number of a series names somebody.
    """
    owners = people(PEOPLE, credits)
    wallets = Wallet.objects.filter(user__in=owners).values_list("pk", flat=True)
    photos = FacePhoto.objects.filter(user__in=owners).values_list("pk", flat=True)
    ids = {"user": owners, "wallet": sorted(wallets), "photo": sorted(photos)}
    assert all(pks == list(range(pks[0], pks[0] + PEOPLE)) for pks in ids.values())
    return {name: pks[0] for name, pks in ids.items()}


def requests(number: int, row: dict[str, Any], *, ended: bool = True) -> None:
    """One hold each, and one release each for those that have ended."""
    each = -(-number // PEOPLE)
    known = {
        **row,
        **crowd(credits=each),
        "number": number,
        "people": PEOPLE,
        "salt": uuid.uuid4().int >> 96,
        "moment": connection.ops.adapt_datetimefield_value(timezone.now()),
        "deadline": connection.ops.adapt_datetimefield_value(row["deadline"]),
        "first_request": _next(AvatarRequest),
    }
    known["first_hold"] = _next(Transfer)
    known["first_release"] = known["first_hold"] + number
    _transfers("hold", HOLD, "first_hold", known)
    if ended:
        _transfers("release", RELEASE, "first_release", known)
    number_sql = NUMBER[connection.vendor]
    due = "NULL" if ended else "%(deadline)s"
    end = "%(moment)s" if ended else "NULL"
    resolution = "%(first_release)s + n" if ended else "NULL"
    _run(
        "INSERT INTO avatars_avatarrequest (id, public_id, user_id, photo_id, prompt, avoid, style,"
        " quality, cost, batch, state, turn, due_at, deadline_at, lease_no, tries, setbacks,"
        " reason, hold_id, resolution_id, queued_at, ended_at, mail_due_at, dismissed_at,"
        f" created_at) {SERIES}"
        f"SELECT %(first_request)s + n, {number_sql}, %(user)s + n %% %(people)s,"
        " %(photo)s + n %% %(people)s, 'as a lighthouse keeper', '', 'anime', 'standard', 1, NULL,"
        f" %(state)s, n / %(people)s, {due}, %(deadline)s, 0, 0, 0, %(reason)s,"
        f" %(first_hold)s + n, {resolution}, %(moment)s, {end}, NULL, NULL, %(moment)s FROM series",
        known,
    )
    if not ended:
        for index in range(PEOPLE):
            held = len(range(index, number, PEOPLE))
            wallet = Wallet.objects.filter(pk=known["wallet"] + index)
            wallet.update(available=each - held, reserved=held)
    settle(Transfer, AvatarRequest)


def _transfers(kind: str, road: str, first: str, known: dict[str, Any]) -> None:
    _run(
        "INSERT INTO accounts_transfer (id, wallet_id, kind, source, target, amount, reference,"
        f" actor_id, note, created_at) {SERIES}"
        f"SELECT %({first})s + n, %(wallet)s + n %% %(people)s, '{kind}', {road}, 1,"
        f" '{kind}:bench-' || (n + %(salt)s), NULL, '', %(moment)s FROM series",
        known,
    )


LEDGER_PEOPLE = 1000
# Four movements in turn, that leave three credits available and nothing held.
LEDGER = (
    ("purchase", "sold", "available", 4),
    ("hold", "available", "reserved", 2),
    ("capture", "reserved", "spent", 1),
    ("release", "reserved", "available", 1),
)


def ledger(number: int) -> None:
    """So many transfers of LEDGER_PEOPLE closed accounts, whose books add up."""
    assert number % (LEDGER_PEOPLE * len(LEDGER)) == 0
    first_wallet = _next(Wallet)
    left = 3 * number // (LEDGER_PEOPLE * len(LEDGER))
    Wallet.objects.bulk_create(
        [Wallet(pk=first_wallet + index, available=left) for index in range(LEDGER_PEOPLE)]
    )
    which = f"(n / {LEDGER_PEOPLE}) %% {len(LEDGER)}"

    def column(place: int) -> str:
        cases = " ".join(f"WHEN {i} THEN {row[place]!r}" for i, row in enumerate(LEDGER))
        return f"CASE {which} {cases} END"

    _run(
        "INSERT INTO accounts_transfer (id, wallet_id, kind, source, target, amount, reference,"
        f" actor_id, note, created_at) {SERIES}"
        f"SELECT %(first)s + n, %(wallet)s + n %% {LEDGER_PEOPLE}, {column(0)}, {column(1)},"
        f" {column(2)}, {column(3)}, 'bench:' || n, NULL, '', %(moment)s FROM series",
        {
            "number": number,
            "first": _next(Transfer),
            "wallet": first_wallet,
            "moment": connection.ops.adapt_datetimefield_value(timezone.now()),
        },
    )
    settle(Transfer, Wallet)


def settle(*models: Any) -> None:
    """Next ids and the planner's statistics, as they would be had the rows come one by one."""
    with connection.cursor() as cursor:
        for model in models:
            table = model._meta.db_table
            if connection.vendor == "postgresql":
                top = f"(SELECT max(id) FROM {table})"
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {top})")
                cursor.execute(f"VACUUM ANALYZE {table}")


def _next(model: Any) -> int:
    newest = model.objects.order_by("-pk").values_list("pk", flat=True).first()
    return (newest or 0) + 1


def _run(sql: str, known: dict[str, Any]) -> None:
    """Loading is not what is measured: on PostgreSQL it may take longer than a statement may, and
    millions of references need not be looked up one by one that are right by their making.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET statement_timeout = 0; SET session_replication_role = replica")
            cursor.execute(sql, known)
            cursor.execute("RESET statement_timeout; RESET session_replication_role")
            return
        named = sql.replace("%%", "%")
        for name in known:
            named = named.replace(f"%({name})s", f":{name}")
        connection.connection.execute(named, known)
