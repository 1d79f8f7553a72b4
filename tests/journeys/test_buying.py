"""Buying with everything real but the money: gunicorn, the embedded engine, and the stand-in of
Stripe, which tells our webhook by itself.

Knows the site over HTTP, its commands and its database file. Pages for buying have their own tests.
"""

from tests.standin_stripe import send

BEGIN = """
from accounts import billing
from accounts.models import CreditPack, User
eve = User.objects.create_user("eve@example.org", "correct horse battery")
pack = CreditPack.objects.create(name="Sixty", credits=60, price_cents=900)
print(billing.start_checkout(eve, pack))
"""


def test_a_pack_paid_at_the_checkout_is_credited_by_its_webhook(site):
    begun = site.command("shell", "-v", "0", "-c", BEGIN)
    assert begun.returncode == 0, begun.stderr
    url = begun.stdout.split()[-1]
    status, headers, _ = send("POST", url, {"how": "card"})
    assert (status, headers["location"].startswith(f"{site.url}/credits/return/")) == (303, True)
    bought = """
        select p.state, w.available from accounts_purchase p join accounts_wallet w using (user_id)
    """
    site.wait_for(lambda: site.rows(bought) == [("paid", 60)], 20)
    assert site.command("reconcile_stripe").stdout == "Stripe agrees.\n"
    assert site.command("audit").returncode == 0
