"""Cents in words.

Knows money alone.
"""

import pytest

from accounts import money


@pytest.mark.parametrize(
    ("cents", "currency", "expected"),
    [
        (900, "usd", "$9"),
        (615, "usd", "$6.15"),
        (12, "usd", "$0.12"),
        (610, "usd", "$6.10"),
        (123456700, "usd", "$1,234,567"),
        (999, "eur", "€9.99"),
        (999, "chf", "9.99 CHF"),
        (1500, "jpy", "1,500 JPY"),
    ],
)
def test_an_amount_is_written_as_people_write_it(cents, currency, expected):
    assert money.amount(cents, currency) == expected


@pytest.mark.parametrize(
    ("cents", "currency", "number", "expected"),
    [
        (400, "usd", 20, "20¢"),
        (900, "usd", 60, "15¢"),
        (1900, "usd", 150, "12.7¢"),
        (20000, "usd", 100, "$2"),
        (9990, "usd", 100, "99.9¢"),
        (999, "eur", 60, "€0.17"),
        (1500, "jpy", 60, "25 JPY"),
    ],
)
def test_what_one_costs_is_never_told_too_low(cents, currency, number, expected):
    assert money.for_each(cents, currency, number) == expected


@pytest.mark.parametrize(
    ("cents", "currency", "expected"), [(615, "usd", "6.15"), (5, "usd", "0.05"), (15, "jpy", "15")]
)
def test_a_machine_reads_a_bare_number(cents, currency, expected):
    assert money.decimal(cents, currency) == expected
