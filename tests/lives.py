"""A whole life on the site, for whoever exports or closes it; and the traces that are left of one.

Knows the factories, the models and, for traces, nothing but the database's own catalogue.
"""

from dataclasses import dataclass, field
from datetime import timedelta

import time_machine
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import closing
from accounts.models import Closing, Purchase, User, decide
from accounts.models.closings import Step
from avatars import erasing, exporting, leaving, moderation, safekeeping, storage
from avatars.models import (
    Avatar,
    AvatarRequest,
    Export,
    FacePhoto,
    Keep,
    KeepDefault,
    ReviewKind,
    State,
)
from avatars.models.avatar_requests import OPEN
from tests import factories

EMAIL = "grace.hopper@example.org"
NAME = "Rear Admiral Grace"
WORDS = "as the admiral of a paper fleet"
ADDRESS = "203.0.113.77"
# Beyond the provider's longest drawing, and the rest of a writer that was asleep.
DRAWING_IS_OVER = timedelta(minutes=11)
MARKS = (
    *(EMAIL, NAME, WORDS, ADDRESS),
    *("gh-at-the-service", "hopper.other@example.org", "Knitted/1", "A key of brass"),
)


@dataclass
class Life:
    """Somebody who has used everything there is."""

    user: User
    browsers: list[Client] = field(default_factory=list)

    @property
    def photos(self):
        return FacePhoto.objects.filter(user=self.user)

    @property
    def avatars(self):
        return Avatar.objects.filter(user=self.user)

    @property
    def requests(self):
        return AvatarRequest.objects.filter(user=self.user)


def live(*, states=OPEN, email: str = EMAIL, exported: bool = True) -> Life:
    """Photos (one deleted), requests in each of `states` and each ending, pictures shown, shared,
    in the trash, deleted, removed, and a gift; purchases paid, refunded and open; an export,
    decisions, an appeal, devices.
    """
    user = factories.create_user(email, credits=20, time_zone="Europe/London")
    if email == EMAIL:
        mark(user)
    words = WORDS if email == EMAIL else "as somebody beside"
    photo = factories.create_photo(user)
    safekeeping.erase(factories.create_photo(user))
    for state in sorted({*states} - {State.HELD}):
        factories.create_request_in(state, user, photo=photo, prompt=f"{words}, {state}")
    if State.HELD in states:
        factories.create_held(user, photo=photo, prompt=f"{words}, with Taylor Swift")
    for state in (State.READY, State.CANCELLED):
        factories.create_request_in(state, user, photo=photo, prompt=words)
    failed = factories.create_request_in(State.FAILED, user, photo=photo, prompt=words)
    ready = list(AvatarRequest.objects.filter(user=user, state=State.READY))
    shown = factories.create_avatar(user, ready[0], alt=f"Anime avatar: {words}", favourite=True)
    if email == EMAIL:
        mark_what_is_shown(shown)
    for fields in ({"trashed_at": timezone.now()}, {}):
        done = factories.create_request_in(State.READY, user, photo=photo, prompt=words)
        avatar = factories.create_avatar(user, done, alt=f"Anime avatar: {words}", **fields)
    safekeeping.purge(avatar)
    factories.create_avatar(user, failed, gift=True, alt=f"Anime avatar: {words}")
    pack = factories.create_pack()
    purchase = factories.create_purchase(user, pack)
    purchase.open_refund(timezone.now())
    factories.create_purchase(user, pack)
    Purchase.objects.create(user=user, pack=pack, credits=60, amount_cents=900, currency="usd")
    staff = factories.create_user(is_staff=True)
    decide(staff, "credits_given", person=user, category="goodwill", subject=("user", user.pk))
    LogEntry.objects.create(
        user=staff,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(user.pk),
        object_repr=str(user),
        action_flag=CHANGE,
        change_message="limits",
    )
    if exported:
        exporting.ask(user, timezone.now())
        exporting.prepare_due()
    life = Life(user)
    for _browser in range(2):
        browser = Client()
        browser.force_login(user)
        life.browsers.append(browser)
    user.refresh_from_db()
    return life


def mark(user: User) -> None:
    """Words that are nobody else's, wherever a person can leave some."""
    User.objects.filter(pk=user.pk).update(display_name=NAME)
    user.emailaddress_set.create(email="hopper.other@example.org", verified=False)
    SocialAccount.objects.create(user=user, provider="github", uid="gh-at-the-service")
    factories.create_consent(user)
    user.consents.update(address=ADDRESS)
    KeepDefault.objects.create(user=user, keep=Keep.DAY)
    UserSession.objects.create(user=user, ip=ADDRESS, session_key="x" * 32, user_agent="Knitted/1")
    Authenticator.objects.create(user=user, type="webauthn", data={"name": "A key of brass"})


def mark_what_is_shown(avatar: Avatar) -> None:
    """A link to it, which a moderator looks at, a report of it, and an appeal."""
    user = avatar.user
    factories.create_share(avatar)
    factories.create_takedown(avatar)
    moderation.put_on_desk(ReviewKind.APPEAL, person=user, why=f"I sail {WORDS}", deadline_at=None)


def leave_for_good(*, rounds: int = 4, after: timedelta = DRAWING_IS_OVER) -> None:
    """Sweeps of both rooms, as if all waits of closings were over, until nothing is left to do."""
    with time_machine.travel(timezone.now() + after):
        for _round in range(rounds):
            hurry_closings()
            closing.go_on(timezone.now())
            leaving.go_on()
            erasing.ask_due()


def hurry_closings() -> None:
    """The days are over, and whoever had a claim has lost it."""
    now = timezone.now()
    Closing.objects.open().filter(step=Step.WAITING).update(start_at=now)
    Closing.objects.filter(due_at__gt=now).update(due_at=now)


def traces(*marks: str) -> list[str]:
    """Every column of every table that says one of these, wherever it stands."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    if name == "session_data":
                        value = Session(session_data=value).get_decoded()
                    found += [
                        f"{table}.{name}: {mark}" for mark in marks if mark.lower() in said(value)
                    ]
    return sorted(set(found))


def said(value: object) -> str:
    if isinstance(value, memoryview | bytes):
        value = bytes(value).decode(errors="replace")
    return str(value).lower()


def references(pk: int) -> list[str]:
    """Every foreign key that still points at that person, read from the database's catalogue."""
    found = []
    table_of_users = User._meta.db_table
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            relations = connection.introspection.get_relations(cursor, table)
            for column, told in relations.items():
                if told[1] != table_of_users:
                    continue
                cursor.execute(f'SELECT COUNT(*) FROM "{table}" WHERE "{column}" = %s', [pk])
                if cursor.fetchone()[0]:
                    found.append(f"{table}.{column}")
    return found


def objects() -> set[str]:
    return storage.keys("photos") | storage.keys("avatars") | storage.keys("exports")


def ready_export(user: User) -> Export:
    return Export.objects.get(user=user, state=Export.State.READY)
