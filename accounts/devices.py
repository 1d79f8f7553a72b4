"""Devices: rows that tell who was signed in where, and who was about to. They go with their person,
and all others once they are void.

Knows Django's sessions and allauth's, and none of our rows.
"""

import json
from collections.abc import Iterable
from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Exists, OuterRef

ROWS_AT_ONCE = 500


def forget(pk: int, addresses: Iterable[str]) -> None:
    """The sessions of this person, and those in which nobody is signed in and one of their
    addresses was typed: a code was asked for, or a sign-up begun.
    """
    typed = [json.dumps(address.lower())[1:-1] for address in addresses]
    found = []
    for session in Session.objects.iterator(chunk_size=ROWS_AT_ONCE):
        kept = session.get_decoded()
        whose = kept.get("_auth_user_id")
        if whose == str(pk) or (whose is None and says(kept, typed)):
            found.append(session.pk)
    for start in range(0, len(found), ROWS_AT_ONCE):
        Session.objects.filter(pk__in=found[start : start + ROWS_AT_ONCE]).delete()


def says(kept: dict[str, object], typed: list[str]) -> bool:
    said = json.dumps(kept, cls=DjangoJSONEncoder).lower()
    return any(address in said for address in typed)


def forget_expired(now: datetime) -> int:
    """Nobody comes back to these: what stands in them (who, from where, a draft) is kept for
    nothing. Returns how many sessions went.
    """
    gone, _of_each = Session.objects.filter(expire_date__lte=now).delete()
    standing = Session.objects.filter(session_key=OuterRef("session_key"))
    UserSession.objects.filter(~Exists(standing)).delete()
    return gone
