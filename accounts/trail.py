"""The trail of decisions as a file: what a filtered list shows, for a spreadsheet.

Knows the nouns and what makes a cell harmless.
"""

import csv
import json
from collections.abc import Iterator

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import Decision
from accounts.views.statements import Line, harmless

HEAD = (
    "Number",
    "Time (UTC)",
    "Who",
    "Act",
    "Person",
    "Subject",
    "Category",
    "Reason",
    "Before",
    "After",
)


class CategoryFilter(admin.SimpleListFilter):
    """Those in use; most decisions have none, and an empty name is no link."""

    title = _("category")
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        used = Decision.objects.exclude(category="").order_by("category")
        return [(name, name) for name in used.values_list("category", flat=True).distinct()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Decision]) -> QuerySet[Decision]:
        return queryset.filter(category=self.value()) if self.value() else queryset


class Exported(admin.ModelAdmin):
    """Adds `export.csv` beside the list; it has the list's own filters and search."""

    def get_urls(self) -> list[URLPattern]:
        sheet = self.admin_site.admin_view(require_safe(self.sheet))
        return [path("export.csv", sheet, name="decisions_sheet"), *super().get_urls()]

    def sheet(self, request: HttpRequest) -> HttpResponseBase:
        """A filter that means nothing leads to the list, which says so."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            shown = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return redirect("admin:accounts_decision_changelist")
        answer = StreamingHttpResponse(lines(shown), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="likeness-decisions.csv"'
        return answer


def lines(decisions: QuerySet[Decision]) -> Iterator[str]:
    writer = csv.writer(Line())
    yield "\ufeff" + writer.writerow(HEAD)  # the mark by which spreadsheets know UTF-8
    for decision in decisions.select_related("actor", "person").iterator(chunk_size=500):
        words = (
            decision.actor.email if decision.actor else "",
            decision.act,
            decision.person.email if decision.person else "",
            decision.subject,
            decision.category,
            decision.reason,
            json.dumps(decision.before) if decision.before else "",
            json.dumps(decision.after) if decision.after else "",
        )
        yield writer.writerow(
            (decision.pk, f"{decision.created_at:%Y-%m-%d %H:%M:%S}", *map(harmless, words))
        )
