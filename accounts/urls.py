"""Addresses of accounts: credits, pricing, appearance, what staff do to one person, Stripe's calls.

Knows the views and the webhook.
"""

from django.urls import path

from accounts import staff, staff_people, webhooks
from accounts.views import buying, credits, leaving, looks, refunds, statements

urlpatterns = [
    path("pricing/", credits.pricing, name="pricing"),
    path("credits/", credits.credits_page, name="credits"),
    path("credits/buy/<int:pack>/", buying.buy, name="credits_buy"),
    path("credits/return/", buying.returned, name="credits_return"),
    path("credits/receipt/<uuid:public_id>/", buying.receipt, name="credits_receipt"),
    path("credits/refund/", refunds.offers, name="credits_refunds"),
    path("credits/refund/<uuid:public_id>/", refunds.refund, name="credits_refund"),
    path("credits/statement/", statements.page, name="credits_statement"),
    path("credits/statement.csv", statements.sheet, name="credits_sheet"),
    path("settings/appearance/", looks.appearance, name="appearance"),
    path("settings/data/close/", leaving.close, name="account_close"),
    path("settings/data/keep/", leaving.keep, name="account_keep"),
    path("admin/people/<int:pk>/", staff_people.person_page, name="person"),
    path("admin/people/<int:pk>/credits/", staff.give_credits, name="give_credits"),
    path("admin/purchases/<uuid:public_id>/refund/", staff.refund_purchase, name="refund_purchase"),
    path("admin/purchases/<uuid:public_id>/accept/", staff.accept_purchase, name="accept_purchase"),
    *(
        path(
            f"admin/people/<int:pk>/{act}/",
            staff_people.act_on_person,
            {"name": act},
            name=f"person_{act}",
        )
        for act in staff_people.ACTS
    ),
    path("webhooks/stripe/", webhooks.stripe_events, name="stripe_events"),
]
