"""User: a person with a login. The e-mail address is the login; there is no user name.

Knows wallets and quotas: nobody exists without both.
"""

import zoneinfo
from datetime import datetime, timedelta, tzinfo
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core import signing
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts.models.quotas import Quota
from accounts.models.wallets import Wallet

APPEAL_SALT = "accounts.users.appeal"
# The law on online platforms asks for six months in which a decision can be appealed.
APPEAL_PERIOD = timedelta(days=183)


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":  # noqa: ANN401 - Django's contract
        """A person with an empty wallet and the default limits. ValueError without an address."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":  # noqa: ANN401 - Django's contract
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)

    def by_appeal_key(self, key: str) -> "User | None":
        """Whose letter a key stands in; None for any other text, and after APPEAL_PERIOD."""
        try:
            pk = signing.loads(key, salt=APPEAL_SALT, max_age=APPEAL_PERIOD)
        except signing.BadSignature:
            return None
        return self.filter(pk=pk, is_active=True).first()


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(_("e-mail address"), unique=True)
    display_name = models.CharField(_("display name"), max_length=80, blank=True)
    # Empty: the browser's, which it tells us in a cookie.
    time_zone = models.CharField(max_length=64, blank=True)
    # Set once, when an address of this person was first proved; free credits wait for it.
    verified_at = models.DateTimeField(null=True, blank=True)
    suspended_at = models.DateTimeField(null=True, blank=True)
    # While the account is closing: when everything goes. Set and cleared with its Closing.
    closes_at = models.DateTimeField(null=True, blank=True)
    # How often every device was signed out; part of what makes a session valid.
    sign_outs = models.PositiveIntegerField(default=0)
    # May make and keep avatars, but not publish any; set and lifted by moderators.
    sharing_stopped_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        permissions = [
            ("suspend_user", "Can suspend a person and lift it"),
            ("end_devices", "Can sign a person out everywhere"),
            ("resend_letter", "Can send a person a letter again"),
        ]
        constraints = [
            models.UniqueConstraint(Lower("email"), name="one_user_per_address_in_any_case"),
        ]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Django's contract
        """A person, their wallet and their quota appear together or not at all."""
        if self.pk:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            super().save(*args, **kwargs)
            Wallet.objects.create(user=self)
            Quota.objects.create(user=self)

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """A session is valid while neither password nor count of sign-outs has changed: so every
        device is signed out by one UPDATE, however many sessions there are.
        """
        of_password = super()._get_session_auth_hash(secret)  # type: ignore[misc] # not in the stubs
        if not self.sign_outs:
            return of_password
        told = f"{of_password}:{self.sign_outs}"
        return salted_hmac(
            "accounts.sign_outs", told, secret=secret, algorithm="sha256"
        ).hexdigest()

    def suspend(self, now: datetime) -> bool:
        """They may look and leave, but not make. False: it was so already."""
        return bool(User.objects.filter(pk=self.pk, suspended_at=None).update(suspended_at=now))

    def may_act_on(self, person: "User | None") -> bool:
        """As a member of staff: nobody decides about themself, and about colleagues an admin alone.
        What belongs to nobody any more is anybody's.
        """
        if person is None:
            return True
        return self.pk != person.pk and (self.is_superuser or not person.is_staff)

    def sign_out(self) -> None:
        """Every device, also one that no list names: a session is as old as `sign_outs` says."""
        User.objects.filter(pk=self.pk).update(sign_outs=F("sign_outs") + 1)

    def stop_sharing(self, now: datetime) -> bool:
        """They publish nothing any more. False: it was so already."""
        sharing = User.objects.filter(pk=self.pk, sharing_stopped_at=None)
        return bool(sharing.update(sharing_stopped_at=now))

    def lift(self, *, suspension: bool = False) -> None:
        """They may publish again, and with `suspension` make again too."""
        lifted = {"sharing_stopped_at": None} | ({"suspended_at": None} if suspension else {})
        User.objects.filter(pk=self.pk).update(**lifted)

    def appeal_key(self) -> str:
        """Stands in a letter to this person: who has it may appeal in their name, and nothing else,
        without signing in.
        """
        return signing.dumps(self.pk, salt=APPEAL_SALT)

    def zone(self) -> tzinfo:
        """The zone this person chose, or the one the page is written in anyway."""
        try:
            return zoneinfo.ZoneInfo(self.time_zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            return timezone.get_current_timezone()
