"""The staff's view of photos, requests, attempts, pictures and machinery. Nothing is written here.

Knows the nouns, storage, reconciling, reviewing and `rule_admin`. No list shows a picture, no page
shows a face; only evidence is seen, by leads, blurred.
"""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from avatars import rule_admin, storage
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Breaker,
    Evidence,
    FacePhoto,
    Heartbeat,
    State,
    StoredFile,
    Takedown,
)
from avatars.reconciling import undelivered
from avatars.reviewing import LEAD
from avatars.takedown_desk import RIGHT

PER_PAGE = 50
# Hashes of secrets, and addresses under which the provider shows a result: for nobody's eyes.
# Nobody reads descriptions unasked, as /safety/ promises: neither the words nor what names them.
WORDS_OF_REQUEST = ("prompt", "avoid")
SECRETS_OF_ATTEMPT = ("doorbell_hash", "face_hash", "outputs")


class Untouchable:
    """Rows are looked at, never touched."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ReadOnlyAdmin(Untouchable, admin.ModelAdmin):
    list_per_page = PER_PAGE
    ordering = ("-pk",)
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER


class StateFilter(admin.SimpleListFilter):
    """By the engine's own names: three of them are “Drawing” to people."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(state.value, state.value) for state in State]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AvatarRequest]
    ) -> QuerySet[AvatarRequest]:
        return queryset.filter(state=self.value()) if self.value() else queryset


class DeliveryFilter(admin.SimpleListFilter):
    """What we paid the provider for and nobody got: the aim is an empty list."""

    title = _("delivery")
    parameter_name = "delivery"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("missing", str(_("paid at the provider, not delivered")))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AvatarRequest]
    ) -> QuerySet[AvatarRequest]:
        return queryset & undelivered(timezone.now()) if self.value() else queryset


class AttemptInline(Untouchable, admin.StackedInline):
    model = Attempt
    exclude = SECRETS_OF_ATTEMPT
    extra = 0
    ordering = ("pk",)


@admin.register(AvatarRequest)
class AvatarRequestAdmin(ReadOnlyAdmin):
    list_display = (
        "public_id",
        "user",
        "stands_at",
        "style",
        "quality",
        "cost",
        "reason",
        "created_at",
        "deadline_at",
    )
    list_filter = (StateFilter, DeliveryFilter, "reason", "style", "quality")
    list_select_related = ("user",)
    search_fields = ("=public_id", "user__email")
    inlines = (AttemptInline,)
    exclude = WORDS_OF_REQUEST

    @admin.display(description=_("State"), ordering="state")
    def stands_at(self, avatar_request: AvatarRequest) -> str:
        return avatar_request.state


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = ("pk", "request", "number", "slot_no", "outcome", "sent_at", "ended_at")
    list_filter = ("outcome",)
    list_select_related = ("request",)
    search_fields = ("=provider_job_id", "=request__public_id")
    exclude = SECRETS_OF_ATTEMPT


@admin.register(FacePhoto)
class FacePhotoAdmin(ReadOnlyAdmin):
    """What is known about a photo. The photo itself opens on a page of its own, with a reason."""

    list_display = ("public_id", "user", "keep", "created_at", "delete_at", "deleted_at")
    list_filter = ("keep",)
    list_select_related = ("user",)
    search_fields = ("=public_id", "user__email")
    exclude = ("file", "thumb", "objects_gone")
    readonly_fields = ("opened",)

    @admin.display(description=_("Photo"))
    def opened(self, photo: FacePhoto) -> str:
        if photo.deleted_at:
            return "–"
        address = reverse("photo_open", args=[photo.public_id])
        return format_html('<a href="{}">{}</a>', address, _("Open, with a reason"))


@admin.register(Avatar)
class AvatarAdmin(ReadOnlyAdmin):
    """What is known about a picture. Nobody looks at it here: private avatars are never sampled,
    and what was reported or shared is looked at on the desk.
    """

    list_display = ("public_id", "user", "style", "created_at", "gift", "hidden", "trashed_at")
    list_filter = ("style", "gift", "hidden")
    list_select_related = ("user",)
    search_fields = ("=public_id", "=mark_id", "user__email")
    exclude = ("file", "thumb", "alt")


@admin.register(Evidence)
class EvidenceAdmin(ReadOnlyAdmin):
    """Pictures that outlived their account, for leads alone. Their decisions stand in the trail."""

    list_display = ("number", "made_at", "keep_until")
    search_fields = ("=number", "address")
    exclude = ("file",)
    readonly_fields = ("blurred",)

    class Media:
        css = {"all": ["css/keep.css"]}

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm(LEAD)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or request.user.has_perm(LEAD)

    @admin.display(description=_("Picture, blurred"))
    def blurred(self, evidence: Evidence) -> str:
        return format_html(
            '<img class="p-blurred" src="{}" alt="" width="256" height="384">',
            storage.link(evidence.file.key),
        )


@admin.register(StoredFile)
class StoredFileAdmin(ReadOnlyAdmin):
    list_display = ("key", "user", "state", "bytes", "due_at", "created_at")
    list_filter = ("state",)
    list_select_related = ("user",)
    search_fields = ("=key", "user__email")


@admin.register(Breaker)
class BreakerAdmin(ReadOnlyAdmin):
    list_display = ("service", "width", "paused_until", "strikes", "narrowed_at", "reason")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "seen_at")


@admin.register(Takedown)
class TakedownAdmin(ReadOnlyAdmin):
    """The way from the admin's index to the desk, for those who may decide there."""

    list_display = ("desk", "kind", "state", "deadline_at", "decided_at")
    list_display_links = None
    list_filter = ("state", "kind")
    exclude = ("number", "pictures")  # the number opens the reporter's own page

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm(RIGHT)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) or request.user.has_perm(RIGHT)

    @admin.display(description=_("Desk"), ordering="pk")
    def desk(self, takedown: Takedown) -> str:
        return format_html('<a href="{}">{}</a>', reverse("takedown", args=[takedown.pk]), takedown)


# Registers itself; named here, because Django looks into this file alone.
__all__ = ["rule_admin"]
