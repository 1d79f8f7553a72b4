"""How every form of the site is drawn: one field template for all.

Knows Django alone.
"""

from django.forms.renderers import TemplatesSetting


class SiteRenderer(TemplatesSetting):
    """Forms and fields from templates/django/forms/, allauth's included."""

    field_template_name = "django/forms/field.html"
