"""Guards of the payments, beyond the twenty of the plan.

Knows the sources as text alone.
"""

from tests.faults.cuts import Cut, Mutant

BILLING = "tests/accounts/test_billing.py::test_"
REFUNDING = "tests/accounts/test_refunding.py::test_"

MUTANTS = (
    Mutant(
        "price taken from the form",
        Cut(
            "accounts/views/buying.py",
            "    try:\n        address = billing.start_checkout(request.user, get_object_or_404(",
            """\
    def get_object_or_404(kind, pk):
        row = kind.objects.get(pk=pk)
        row.price_cents = int(request.POST.get("price_cents", row.price_cents))
        return row

    try:
        address = billing.start_checkout(request.user, get_object_or_404(""",
        ),
        tests=["tests/accounts/test_views_buying.py::test_a_price_in_the_form_changes_nothing"],
    ),
    Mutant(
        "credited without reading the price",
        Cut("accounts/billing.py", "session.amount_subtotal == purchase.amount_cents", "True"),
        Cut(
            "accounts/billing.py",
            "total == purchase.amount_cents - discount + tax",
            "total == received",
        ),
        tests=[BILLING + "a_payment_of_another_price_credits_nothing_and_calls_staff"],
    ),
    Mutant(
        "webhook without signature",
        Cut(
            "accounts/billing.py",
            """\
        event = client().construct_event(
            body, signature, settings.STRIPE_WEBHOOK_SECRET, SIGNATURE_SECONDS
        )
""",
            """\
        event = stripe.Webhook.construct_event_without_verification(body)
""",
        ),
        tests=[BILLING + "forged_old_and_meaningless_calls_change_nothing"],
    ),
    Mutant(
        "settling by an old reading",
        Cut(
            "accounts/models/purchases.py",
            "_touch(state__in=SETTLED, touches=touches)",
            "_touch(state__in=SETTLED)",
        ),
        tests=[REFUNDING + "an_old_reading_of_stripe_is_not_believed"],
    ),
    Mutant(
        "refund sent without reading what stands there",
        Cut(
            "accounts/refunding.py",
            "    billing.claw_back(payment)\n    refund.refresh",
            "    refund.refresh",
        ),
        tests=[
            REFUNDING + "a_refund_whose_answer_was_lost_is_sent_once_even_when_its_key_is_forgotten"
        ],
    ),
    Mutant(
        "refused refund without the dispute",
        Cut(
            "accounts/refunding.py",
            "billing.claw_back(payment)  # what Stripe refused it for takes those credits now",
            "pass",
        ),
        tests=[REFUNDING + "a_refund_stripe_refuses_gives_the_credits_back_and_may_be_asked_again"],
    ),
    Mutant(
        "refund without a look at what is left",
        Cut("accounts/models/purchases.py", "if wallet.available < wallet.owed:", "if not wallet:"),
        Cut(
            "accounts/models/purchases.py",
            "credits = self.unused()\n",
            "credits = self.credits - self.credits_back\n",
        ),
        tests=[REFUNDING + "unused_credits_go_back_to_money_and_leave_the_wallet_first"],
    ),
)
