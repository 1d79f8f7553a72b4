"""Money in words: whole cents and Stripe's name of the currency become “$6.15”.

Knows Django's number formats.
"""

from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _

CENTS = 100
# Stripe counts these in whole units (docs.stripe.com/currencies, “Zero-decimal currencies”).
# fmt: off
WHOLE = frozenset({
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga",
    "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf",
})
# fmt: on
SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}
SMALL_SIGNS = {"usd": "¢"}


def amount(cents: int, currency: str) -> str:
    """`cents` in the smallest unit of `currency`; no decimals where they would be zeros."""
    if currency in WHOLE:
        figures = number_format(cents, 0, use_l10n=True, force_grouping=True)
    else:
        figures = number_format(
            decimal(cents, currency), 2 if cents % CENTS else 0, force_grouping=True
        )
    sign = SIGNS.get(currency)
    return f"{sign}{figures}" if sign else f"{figures} {currency.upper()}"


def decimal(cents: int, currency: str) -> str:
    """A bare number for machines: “6.15”."""
    return str(cents) if currency in WHOLE else f"{cents // CENTS}.{cents % CENTS:02}"


def cents(amount: Decimal, currency: str) -> int:
    """The other way round: “6.15” in the smallest unit of its currency."""
    return int(amount * (1 if currency in WHOLE else CENTS))


def for_each(cents: int, currency: str, number: int) -> str:
    """What one of `number` costs, rounded up to a tenth of the smallest unit: “12.7¢”."""
    tenths = -(-10 * cents // number)
    small = SMALL_SIGNS.get(currency)
    if small and tenths < 10 * CENTS:
        return f"{number_format(tenths / 10, 1 if tenths % 10 else 0)}{small}"
    return amount(-(-cents // number), currency)


def tax_words(*, is_added: bool) -> str:
    return _("plus the tax of where you live") if is_added else _("no tax is added")
