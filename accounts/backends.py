"""Signing in by e-mail, and loading wallet and quota with the person.

Knows the models and allauth's own backend. So the credits in the header cost no query.
"""

from allauth.account.auth_backends import AuthenticationBackend

from accounts.models import User


class WalletBackend(AuthenticationBackend):
    def get_user(self, user_id: int) -> User | None:
        user = User.objects.select_related("wallet", "quota").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
