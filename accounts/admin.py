"""The staff's view of people and their credits. Everything is read here but limits and roles.

Knows the nouns. Money moves through `accounts.staff` alone, with a reason.
"""

from typing import Any

from allauth.account import admin as allauth_addresses
from allauth.account.decorators import secure_admin_login
from allauth.socialaccount import admin as allauth_doors
from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import (
    Closing,
    Consent,
    CreditPack,
    Purchase,
    Quota,
    Refund,
    Transfer,
    User,
    Wallet,
)

# The site's own way in, with its codes and limits, is the only one.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

# A proved address is money (the welcome credits), tokens and keys of sign-in services are secrets:
# none of them is for typing into a form.
admin.site.unregister(
    [
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


class QuotaForm(forms.ModelForm):
    """Limits change with a word about why."""

    class Meta:
        model = Quota
        fields = ("max_open", "max_per_day", "monthly_free", "note")

    def clean(self) -> dict[str, Any]:
        fields = super().clean() or self.cleaned_data
        if self.has_changed() and ("note" not in self.changed_data or not fields.get("note")):
            self.add_error("note", _("Say here why the limits change."))
        return fields


class QuotaInline(admin.StackedInline):
    model = Quota
    form = QuotaForm
    verbose_name = _("Limits")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    """One person: who they are, what they have; limits may be changed, roles by superusers."""

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
    list_per_page = PER_PAGE
    search_fields = ("email",)
    ordering = ("-pk",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    inlines = (QuotaInline,)
    fieldsets = (
        (None, {"fields": ("email", "display_name", "time_zone")}),
        (_("Credits"), {"fields": (("available", "reserved", "owed", "frozen"),)}),
        (
            _("Life"),
            {"fields": (("date_joined", "verified_at"), "suspended_at", "closes_at", "last_login")},
        ),
        (_("Role"), {"fields": ("is_active", "is_superuser", "is_staff", "groups")}),
    )
    formfield_overrides = {models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Everything but the role, and that too for all but superusers."""
        roles = {"is_staff", "groups"} if request.user.is_superuser else set()
        shown = [
            name
            for _title, options in self.fieldsets
            for line in options["fields"]
            for name in ([line] if isinstance(line, str) else line)
        ]
        return [name for name in shown if name not in roles]

    def save_model(
        self,
        request: HttpRequest,
        obj: User,
        form: forms.ModelForm,
        change: bool,  # noqa: FBT001 - Django's contract
    ) -> None:
        """Only what was changed here is written; the rest of the row may have moved meanwhile."""
        obj.save(update_fields=[name for name in form.changed_data if name == "is_staff"])

    @admin.display(description=_("Available"), ordering="wallet__available")
    def available(self, user: User) -> int:
        return user.wallet.available

    @admin.display(description=_("Held"), ordering="wallet__reserved")
    def reserved(self, user: User) -> int:
        return user.wallet.reserved

    @admin.display(description=_("Owed"), ordering="wallet__owed")
    def owed(self, user: User) -> int:
        return user.wallet.owed

    @admin.display(description=_("Frozen"), boolean=True)
    def frozen(self, user: User) -> bool:
        return user.wallet.frozen


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

    list_display = ("name", "credits", "price_cents", "currency", "active", "position")
    list_per_page = PER_PAGE
    show_full_result_count = False

    def get_readonly_fields(
        self, request: HttpRequest, obj: CreditPack | None = None
    ) -> tuple[str, ...]:
        return ("name", "credits", "price_cents", "currency") if obj and obj.is_sold else ()

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
        "paid_cents",
        "currency",
        "public_id",
    )
    list_filter = ("state",)
    list_select_related = ("user",)
    search_fields = ("=public_id", "=session_id", "=payment_intent", "user__email")

    def get_ordering(self, request: HttpRequest) -> tuple[models.Case, str]:
        return models.Case(models.When(state=Purchase.State.ODD, then=0), default=1), "-pk"


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "purchase", "state", "credits", "amount_cents", "refund_id")
    list_filter = ("state",)
    list_select_related = ("purchase",)
    search_fields = ("=public_id", "=refund_id", "=purchase__public_id")


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
