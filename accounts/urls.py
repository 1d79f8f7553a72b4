"""Addresses of accounts: credits, pricing, appearance, and what staff do to one person.

Knows the views.
"""

from django.urls import path

from accounts import staff, views

urlpatterns = [
    path("pricing/", views.pricing, name="pricing"),
    path("credits/", views.credits_page, name="credits"),
    path("settings/appearance/", views.appearance, name="appearance"),
    path("admin/people/<int:pk>/credits/", staff.give_credits, name="give_credits"),
]
