"""The hook into allauth: what happens when an address is proved.

Knows gifts and the models. The rest of sign-up and sign-in is allauth's own.
"""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.db import transaction
from django.http import HttpRequest

from accounts import gifts
from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):
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
