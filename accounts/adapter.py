"""The hook into allauth: what happens when an address is proved, and what its errors say.

Knows gifts and the models. The rest of sign-up and sign-in is allauth's own.
"""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import gifts
from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):
    # Allauth's own limits in words: 3 tries a code (ACCOUNT_*_BY_CODE_MAX_ATTEMPTS), 5 failed
    # sign-ins in 300 seconds (ACCOUNT_RATE_LIMITS, login_failed).
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "incorrect_code": _("That code isn't right. After 3 tries we send a new one."),
        "too_many_login_attempts": _(
            "Too many tries. Wait 5 minutes; signing in then sends a new code."
        ),
        "email_password_mismatch": _("The e-mail address or the password is not right."),
    }

    def send_account_already_exists_mail(self, email: str) -> None:
        """A new address costs one password hash; a known one must take as long, or the clock
        tells a stranger who has an account.
        """
        make_password("nobody's")
        super().send_account_already_exists_mail(email)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """The address is proved: the welcome credits come with it, in one transaction."""
        with transaction.atomic():
            confirmed = bool(super().confirm_email(request, email_address))
            if confirmed:
                gifts.welcome(email_address.user)
        return confirmed


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:  # noqa: ANN401 - allauth's contract
        """An address that the sign-in service has proved needs no code of ours."""
        with transaction.atomic():
            user = super().save_user(request, sociallogin, form)
            if EmailAddress.objects.filter(user=user, verified=True).exists():
                gifts.welcome(user)
        return user
