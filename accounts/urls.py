"""Addresses of accounts: credits, pricing, appearance, what staff do to one person, Stripe's calls.

Knows the views and the webhook.
"""

from django.urls import path

from accounts import staff, views, webhooks

urlpatterns = [
    path("pricing/", views.pricing, name="pricing"),
    path("credits/", views.credits_page, name="credits"),
    path("settings/appearance/", views.appearance, name="appearance"),
    path("admin/people/<int:pk>/credits/", staff.give_credits, name="give_credits"),
    path("webhooks/stripe/", webhooks.stripe_events, name="stripe_events"),
]
