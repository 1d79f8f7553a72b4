"""The staff's view of people and their credits. Everything is read here.

Knows the nouns. Acts have pages of their own, with a reason: money in `accounts.staff`, the rest in
`accounts.staff_people`.
"""

from typing import Any, cast

from allauth.account import admin as allauth_addresses
from allauth.account.decorators import secure_admin_login
from allauth.mfa import admin as allauth_factors
from allauth.socialaccount import admin as allauth_doors
from allauth.usersessions import admin as allauth_devices
from django.contrib import admin
from django.contrib.auth import admin as _registers_groups  # noqa: F401 - so that it has, before us
from django.contrib.auth.models import Group
from django.db import models, transaction
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from accounts import money, person_page, trail
from accounts.models import (
    Closing,
    Consent,
    CreditPack,
    Decision,
    Purchase,
    Refund,
    Transfer,
    User,
    Wallet,
    decide,
)
from accounts.staff_forms import PACK_FIELDS, PackForm
from accounts.staff_people import offered


def to_our_password_page(
    request: HttpRequest, extra_context: dict[str, Any] | None = None
) -> HttpResponse:
    return redirect("account_change_password")


# The site's own way in, with its codes and limits, is the only one; the same with the password,
# whose change a letter tells.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.password_change = to_our_password_page  # type: ignore[method-assign, assignment]

# A proved address is money (the welcome credits), tokens and keys of sign-in services are secrets:
# none of them is for typing into a form. What a role may do stands in config/roles.py.
admin.site.unregister(
    [
        allauth_factors.Authenticator,
        allauth_devices.UserSession,
        Group,
        allauth_addresses.EmailAddress,
        allauth_doors.SocialAccount,
        allauth_doors.SocialApp,
        allauth_doors.SocialToken,
    ]
)

PER_PAGE = 50


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows are looked at, never touched."""

    list_per_page = PER_PAGE
    ordering = ("-pk",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """One person: who they are, what they have, and what staff may do about it, on pages of its
    own. Nothing is written here.
    """

    list_display = (
        "email",
        "available",
        "reserved",
        "owed",
        "verified_at",
        "suspended_at",
        "is_staff",
    )
    list_filter = ("is_staff", "is_active")
    list_select_related = ("wallet",)
    search_fields = ("email",)
    fields = ("display_name", "time_zone", "date_joined", "verified_at", "last_login")

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[User], search_term: str
    ) -> tuple[models.QuerySet[User], bool]:
        found = person_page.by_number(search_term)
        if found is None:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(pk__in=found), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A number leads straight to its person."""
        found = person_page.by_number(request.GET.get("q", ""))
        if found and len(found) == 1 and self.has_view_permission(request):
            return redirect("admin:accounts_user_change", found[0])
        return super().changelist_view(request, extra_context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        actor = cast("User", request.user)  # the admin's door lets nobody else in
        person = self.get_object(request, object_id)
        shown = (
            {
                "acts": offered(actor, person),
                "is_theirs": actor.may_act_on(person),
                **person_page.panels(person),
            }
            if person
            else {}
        )
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    @admin.display(description=_("Available"), ordering="wallet__available")
    def available(self, user: User) -> int:
        return user.wallet.available

    @admin.display(description=_("Held"), ordering="wallet__reserved")
    def reserved(self, user: User) -> int:
        return user.wallet.reserved

    @admin.display(description=_("Owed"), ordering="wallet__owed")
    def owed(self, user: User) -> int:
        return user.wallet.owed


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin):
    list_display = ("user", "available", "reserved", "owed", "frozen")
    list_filter = ("frozen",)
    list_select_related = ("user",)
    search_fields = ("user__email",)


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "person", "kind", "amount", "reference", "actor", "note")
    list_filter = ("kind",)
    list_select_related = ("wallet__user", "actor")
    search_fields = ("=reference", "wallet__user__email")

    @admin.display(description=_("Person"), ordering="wallet__user__email")
    def person(self, transfer: Transfer) -> User | None:
        return transfer.wallet.user


@admin.register(CreditPack)
class CreditPackAdmin(admin.ModelAdmin):
    """A pack is changed while nobody has bought it; afterwards it is retired and a new one made."""

    form = PackForm
    fields = (*PACK_FIELDS[:4], "each", *PACK_FIELDS[4:], "why")
    list_display = ("name", "credits", "price", "each", "active", "position")
    list_per_page = PER_PAGE
    show_full_result_count = False

    class Media:
        js = [Script("js/pack.js", type="module")]

    @admin.display(description=_("Price"), ordering="price_cents")
    def price(self, pack: CreditPack) -> str:
        return money.amount(pack.price_cents, pack.currency)

    @admin.display(description=_("A credit"))
    def each(self, pack: CreditPack) -> str:
        """The form's own script says it anew while somebody types."""
        if not pack.credits:
            return "–"
        return money.for_each(pack.price_cents, pack.currency, pack.credits)

    def get_readonly_fields(
        self, request: HttpRequest, obj: CreditPack | None = None
    ) -> tuple[str, ...]:
        return (*PACK_FIELDS[:4], "each") if obj and obj.is_sold else ("each",)

    def save_model(
        self,
        request: HttpRequest,
        obj: CreditPack,
        form: PackForm,
        change: bool,  # noqa: FBT001 - Django's contract
    ) -> None:
        """The row and the record of it, together."""
        changed = [name for name in PACK_FIELDS if not change or name in form.changed_data]
        with transaction.atomic():
            obj.save()
            decide(
                request.user,
                "pack_changed" if change else "pack_added",
                subject=("pack", obj.pk),
                reason=form.cleaned_data["why"],
                before={name: form.initial.get(name) for name in changed} if change else None,
                after={name: form.cleaned_data[name] for name in changed},
            )

    def has_delete_permission(self, request: HttpRequest, obj: CreditPack | None = None) -> bool:
        return False


@admin.register(Purchase)
class PurchaseAdmin(ReadOnlyAdmin):
    """What was paid and does not fit comes first, until it is none."""

    list_display = (
        "created_at",
        "user",
        "state",
        "credits",
        "credits_back",
        "paid",
        "returned",
        "public_id",
    )
    fields = (
        "user",
        "pack",
        "credits",
        "price",
        "state",
        "paid",
        "returned",
        "credits_back",
        "transfer",
        "public_id",
        "session_id",
        "payment_intent",
        "created_at",
        "decisions",
    )
    list_filter = ("state",)
    list_select_related = ("user",)
    search_fields = ("=public_id", "=session_id", "=payment_intent", "user__email")

    def get_ordering(self, request: HttpRequest) -> tuple[models.Case, str]:
        return models.Case(models.When(state=Purchase.State.ODD, then=0), default=1), "-pk"

    @admin.display(description=_("Price"))
    def price(self, purchase: Purchase) -> str:
        return money.amount(purchase.amount_cents, purchase.currency)

    @admin.display(description=_("Decisions"))
    def decisions(self, purchase: Purchase) -> str:
        """What staff did about it, oldest first."""
        rows = Decision.objects.about("purchase", purchase.public_id).select_related("actor")
        return format_html_join(
            "",
            "<div>{}, {}: {}</div>",
            ((date_format(row.created_at), row.actor or "–", row.reason) for row in rows),
        )

    @admin.display(description=_("Paid"), ordering="paid_cents")
    def paid(self, purchase: Purchase) -> str:
        return money.amount(purchase.paid_cents, purchase.currency)

    @admin.display(description=_("Sent back"), ordering="returned_cents")
    def returned(self, purchase: Purchase) -> str:
        return money.amount(purchase.returned_cents, purchase.currency)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "purchase", "state", "credits", "money", "reason", "refund_id")
    list_filter = ("state",)
    list_select_related = ("purchase",)
    search_fields = ("=public_id", "=refund_id", "=purchase__public_id")

    @admin.display(description=_("Money"), ordering="amount_cents")
    def money(self, refund: Refund) -> str:
        return money.amount(refund.amount_cents, refund.purchase.currency)


@admin.register(Closing)
class ClosingAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "step", "wanted_at", "start_at", "gone_at")
    list_filter = ("step",)
    search_fields = ("=public_id",)


@admin.register(Consent)
class ConsentAdmin(ReadOnlyAdmin):
    list_display = ("user", "kind", "version", "given_at", "withdrawn_at")
    list_filter = ("kind", "version")
    list_select_related = ("user",)
    search_fields = ("user__email",)


@admin.register(Decision)
class DecisionAdmin(trail.Exported, ReadOnlyAdmin):
    """Who did what, to whom, and why. Nobody rewrites it, the database neither."""

    list_display = ("created_at", "actor", "act", "person", "reason", "category", "subject")
    list_filter = ("act", trail.CategoryFilter, ("created_at", admin.DateFieldListFilter))
    list_select_related = ("actor", "person")
    search_fields = ("actor__email", "person__email", "=subject")
