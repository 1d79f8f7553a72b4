"""Prices for templates: `{{ cents|money:currency }}`, `{% price_each cents currency number %}`.

Knows money.
"""

from django import template

from accounts.money import amount, for_each

register = template.Library()
register.filter("money", amount)
register.simple_tag(for_each, name="price_each")
