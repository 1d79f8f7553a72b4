"""The hook into allauth: what signing up accepts, what a proved address brings, what errors say.

Knows gifts and the models. The rest of sign-up and sign-in is allauth's own.
"""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from accounts import gifts
from accounts.models import TERMS_VERSION, Consent, User


def accept_terms(request: HttpRequest, user: User) -> None:
    """Note which words this person accepted, when and from where."""
    text = render_to_string("pages/terms_text.html").strip()
    address = get_adapter(request).get_client_ip(request)
    Consent.objects.give(user, Consent.Kind.TERMS, TERMS_VERSION, text=text, address=address)


class AccountAdapter(DefaultAccountAdapter):
    # Allauth's own limits in words: 3 tries a code (ACCOUNT_*_BY_CODE_MAX_ATTEMPTS), 5 failed
    # sign-ins or 3 codes in SIGN_IN_MINUTES (ACCOUNT_RATE_LIMITS).
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "incorrect_code": _("That code isn't right. After 3 tries we send a new one."),
        "too_many_login_attempts": _(
            "Too many tries. Wait 5 minutes; signing in then sends a new code."
        ),
        "email_password_mismatch": _("The e-mail address or the password is not right."),
    }

    def save_user(
        self,
        request: HttpRequest,
        user: User,
        form: Any,  # noqa: ANN401 - allauth's contract
        commit: bool = True,  # noqa: FBT001, FBT002 - allauth's contract
    ) -> User:
        """A new person has accepted the terms that the page names, and is 18 or older by them."""
        with transaction.atomic():
            saved = super().save_user(request, user, form, commit=commit)
            if saved.pk:
                accept_terms(request, saved)
        return saved

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
            accept_terms(request, user)
            if EmailAddress.objects.filter(user=user, verified=True).exists():
                gifts.welcome(user)
        return user
