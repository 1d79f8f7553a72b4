"""Buying with everything real but the money: gunicorn, the embedded engine, and the stand-in of
Stripe, which tells our webhook by itself.

Knows the site over HTTP, as a browser without script sees it, its commands and its database file.
"""

import re

from config import demo
from tests.journeys.reader import Visitor
from tests.standin_stripe import send

EVE = "eve@example.org"
BEGIN = f"from config import demo; demo.person({EVE!r})"


def test_a_pack_is_paid_and_credited_and_the_unused_credits_go_back(site):
    begun = site.command("shell", "-v", "0", "-c", BEGIN)
    assert begun.returncode == 0, begun.stderr
    eve = Visitor(site.url)
    eve.press("/accounts/login/", "/accounts/login/", login=EVE, password=demo.PASSWORD)
    packs = re.findall(r'action="(/credits/buy/\d+/)"', eve.open("/credits/"))
    assert len(packs) == 3
    to_checkout = eve.press("/credits/", packs[1])
    assert to_checkout.status_code == 303
    status, headers, _ = send("POST", to_checkout.headers["Location"], {"how": "card"})
    assert (status, headers["location"].startswith(f"{site.url}/credits/return/")) == (303, True)
    bought = """
        select p.state, w.available from accounts_purchase p join accounts_wallet w using (user_id)
    """
    site.wait_for(lambda: site.rows(bought) == [("paid", 63)], 20)  # by the webhook
    assert "60 credits added" in eve.open(headers["location"].removeprefix(site.url))

    offered = re.search(r'href="(/credits/refund/[0-9a-f-]+/)"', eve.open("/credits/refund/"))[1]
    eve.press("/accounts/reauthenticate/", "/accounts/reauthenticate/", password=demo.PASSWORD)
    eve.press(offered, offered, cents="900")
    assert "$9 sent" in eve.open(offered)
    assert "Refunded" in eve.open("/credits/?show=purchases")
    assert site.command("reconcile_stripe").stdout == "Stripe agrees.\n"
    assert site.command("audit").returncode == 0
