"""What people see of the Stripe stand-in: the pay page, receipts, the first page.

Knows the shapes alone. HTML without script or inline style, so that any content policy fits.
"""

from html import escape
from pathlib import Path
from string import Template

from config.standins.stripe_shapes import Record, money

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"

STYLE = Path(__file__).with_name("stripe.css").read_text()

SHELL = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · Stand-in: play money</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header class="banner"><strong>Stand-in: play money.</strong> This is not Stripe; no card is asked
for and nothing is charged.</header>
$main
</body>
</html>
""")


def _shell(title: str, main: str) -> str:
    return SHELL.substitute(title=escape(title), main=main)


def message_page(title: str, sentence: str) -> str:
    card = f'<h1>{escape(title)}</h1>\n<p class="total">{escape(sentence)}</p>'
    return _shell(title, f'<main><div class="card">{card}</div></main>')


def _lines(session: Record) -> str:
    rows = []
    for line, words in zip(session["_line_items"]["data"], session["_descriptions"], strict=True):
        quantity = f" × {line['quantity']}" if line["quantity"] > 1 else ""
        more = f'<br><span class="quiet">{escape(words)}</span>' if words else ""
        price = money(line["amount_total"], line["currency"])
        rows.append(
            f'<tr><th scope="row">{escape(line["description"])}{quantity}{more}</th>'
            f'<td class="figure">{price}</td></tr>'
        )
    return "".join(rows)


def pay_page(session: Record, total: int, off: int, refusal: str) -> str:
    """The checkout of an open session; `refusal` says why the last try failed, or is empty."""
    price = money(total, session["currency"])
    rows = _lines(session)
    if off:
        code = f'<td class="figure">−{money(off, session["currency"])}</td>'
        rows += f'<tr><th scope="row">Promotion code</th>{code}</tr>'
    if session["customer_email"]:
        address = f"<p>Receipt to <strong>{escape(session['customer_email'])}</strong></p>"
    else:
        address = (
            '<label for="email">Email for the receipt</label>'
            '<input id="email" name="email" type="email" autocomplete="email" required>'
        )
    refused = f'<p class="refused" role="alert">{escape(refusal)}</p>' if refusal else ""
    back = (
        '<button name="how" value="back" formnovalidate>Go back</button>'
        if session["cancel_url"]
        else ""
    )
    return _shell(
        f"Pay {price}",
        f"""<main><div class="card">
<h1>To pay</h1>
<p class="total">{price}</p>
<table>
<thead><tr><th scope="col">What you buy</th><th scope="col" class="figure">Price</th></tr></thead>
<tbody>{rows}</tbody></table>
{refused}
<form method="post" class="choices">
{address}
<button class="go" name="how" value="card">Pay {price}</button>
<button name="how" value="bank">Pay later by bank</button>
<button name="how" value="decline" formnovalidate>Decline card</button>
{back}
</form>
</div>
<p class="quiet">Pay later by bank: you go on at once, and the bank's answer is given on
<a href="/">this stand-in's first page</a>.</p>
</main>""",
    )


def receipt_page(charge: Record) -> str:
    """Stripe's receipt for one charge."""
    money_back = charge["amount_refunded"]
    rows = [
        ("Amount", money(charge["amount"], charge["currency"])),
        ("Refunded", money(money_back, charge["currency"])) if money_back else None,
        ("Status", charge["status"]),
        ("Description", charge["description"]) if charge["description"] else None,
        ("Email", charge["billing_details"]["email"]),
        ("Number", charge["id"]),
    ]
    table = "".join(
        f'<tr><th scope="row">{row[0]}</th><td class="words">{escape(row[1])}</td></tr>'
        for row in rows
        if row
    )
    return _shell(
        "Receipt", f'<main><div class="card"><h1>Receipt</h1><table>{table}</table></div></main>'
    )


def _button(action: str, label: str, **hidden: str) -> str:
    inputs = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    form = f'<form method="post" action="/__standin__/{action}">'
    return f"{form}{inputs}<button>{label}</button></form>"


def _state(session: Record, charge: Record | None, dispute: Record | None) -> str:
    parts = [session["status"], session["payment_status"]]
    if charge and charge["amount_refunded"]:
        parts.append(f"refunded {money(charge['amount_refunded'], charge['currency'])}")
    if dispute:
        parts.append(f"dispute {dispute['status'].replace('_', ' ')}")
    return ", ".join(parts)


def _acts(session: Record, charge: Record | None, dispute: Record | None) -> str:
    number = session["id"]
    if session["url"]:
        return f'<a href="/c/pay/{number}">Open the pay page</a>'
    if charge and charge["status"] == "pending":
        return _button(f"sessions/{number}/settle", "The bank pays", outcome="succeeded") + _button(
            f"sessions/{number}/settle", "The bank refuses", outcome="failed"
        )
    if dispute and dispute["status"] == "needs_response":
        return _button(f"disputes/{dispute['id']}/close", "Dispute won", outcome="won") + _button(
            f"disputes/{dispute['id']}/close", "Dispute lost", outcome="lost"
        )
    if charge and charge["paid"] and not charge["disputed"]:
        return _button("disputes", "Dispute it", charge=charge["id"])
    return ""


def first_page(
    rows: list[tuple[Record, Record | None, Record | None]], switches: dict[str, str]
) -> str:
    """The newest sessions, each with its charge and dispute, and what can be done to them."""
    table = "".join(
        f'<tr><th scope="row">{escape(session["_line_items"]["data"][0]["description"])}<br>'
        f"<code>{session['id']}</code></th>"
        f'<td class="figure">{money(session["amount_total"], session["currency"])}</td>'
        f"<td>{_state(session, charge, dispute)}</td>"
        f'<td><div class="row">{_acts(session, charge, dispute)}</div></td></tr>'
        for session, charge, dispute in rows
    )
    if table:
        heads = (
            '<tr><th scope="col">Checkout</th><th scope="col" class="figure">Price</th>'
            '<th scope="col">State</th><th scope="col">What happens next</th></tr>'
        )
        table = f"<table><thead>{heads}</thead><tbody>{table}</tbody></table>"
    else:
        table = "<p>No checkout yet.</p>"
    ways = "".join(
        f'<tr><th scope="row">{name}</th><td>{escape(value)}</td></tr>'
        for name, value in switches.items()
    )
    return _shell(
        "Checkouts",
        f"""<main class="wide"><div class="card">
<h1>A local understudy of Stripe</h1>
<h2>Checkouts, newest first</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Checkouts">{table}</div>
<h2>Switches</h2>
<table><tbody>{ways}</tbody></table>
<p class="quiet">Set with <code>STANDIN_STRIPE="hook=twice"</code> or
<code>POST /__standin__/switches</code>.</p>
</div></main>""",
    )
