"""The second factor: how its secrets are kept, and the door of the staff's pages that asks for it.

Knows the models and allauth. The door is one middleware, so that no staff page can forget it.
"""

import base64
import hashlib
import time
from collections.abc import Callable
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.utils import is_mfa_enabled
from allauth.usersessions.internal.flows.sessions import end_other_sessions
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User

STAFF_ROOM = "/admin/"
# Recovery codes stand in for one of these two and are never the only one.
FACTORS = (Authenticator.Type.WEBAUTHN, Authenticator.Type.TOTP)
HOUR = 3600


class Adapter(DefaultMFAAdapter):
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": gettext_lazy("That code isn't right, or it has ended. Enter the next."),
        "add_email_blocked": gettext_lazy(
            "Two-step sign-in guards this address. Remove its passkeys and app first, then change."
        ),
        "unverified_email": gettext_lazy("Confirm your e-mail address first, then come back."),
    }

    def encrypt(self, text: str) -> str:
        """Secrets lie encrypted: whoever reads a copy of the database cannot make codes of them."""
        return lock().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return lock().decrypt(encrypted_text.encode()).decode()

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return _("Passkey %(number)d") % {"number": number}

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Likeness"}


def lock() -> MultiFernet:
    """Made of the site's own keys: old ones go on opening while SECRET_KEY rotates."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    hashes = (hashlib.sha256(b"second factor:" + key.encode()).digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(each)) for each in hashes])


@receiver(authenticator_added)
def first_factor(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:  # noqa: ANN401 - a signal's arguments
    """Whoever adds their first has just shown it. Sessions that never did end: with the password
    alone, one of them could add a factor of its own.
    """
    factors = Authenticator.objects.filter(user=user, type__in=FACTORS)
    if authenticator.type in FACTORS and factors.count() == 1:
        shown = {"id": authenticator.pk, "type": authenticator.type, "reauthenticated": True}
        record_authentication(request, user, "mfa", **shown)
        end_other_sessions(request, user)


# ── The staff's door ────────────────────────────────────────────────────────────────────────────


def staff_door(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Below /admin/ staff have shown a second factor in this sign-in, which lasts some hours."""

    def middleware(request: HttpRequest) -> HttpResponse:
        is_asked = settings.STAFF_SECOND_FACTOR and request.path_info.startswith(STAFF_ROOM)
        if not is_asked or not request.user.is_authenticated or not request.user.is_staff:
            return get_response(request)
        return stopped(request) or get_response(request)

    return middleware


def stopped(request: HttpRequest) -> HttpResponse | None:
    """Where this member of staff has to go first; None: come in."""
    records = get_authentication_records(request, request.user)
    page = request.get_full_path() if request.method in ("GET", "HEAD") else STAFF_ROOM
    if is_over(records):
        logout(request)
        hours = {"hours": settings.STAFF_SIGN_IN_HOURS}
        messages.info(request, _("Staff sign in again after %(hours)d hours.") % hours)
        return redirect_to_login(page)
    if not is_mfa_enabled(request.user, FACTORS):
        told = _("Staff sign in with a second step. Set up a passkey or an app, then come back.")
        messages.warning(request, told)
        return redirect("mfa_index")
    if not any(record["method"] == "mfa" for record in records):
        return redirect_to_login(page, reverse("mfa_reauthenticate"))
    return None


def is_over(records: list[dict[str, Any]]) -> bool:
    """Whether the sign-in is older than staff's may be; unknown is older. Proving again who one is
    lengthens nothing.
    """
    began = [record["at"] for record in records if not record.get("reauthenticated")]
    return not began or time.time() - max(began) > settings.STAFF_SIGN_IN_HOURS * HOUR
