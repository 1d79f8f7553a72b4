"""Devices in words: `{{ session.user_agent|device }}` is “Firefox on Windows”.

Knows ua-parser.
"""

from django import template
from django.utils.translation import gettext as _
from ua_parser import parse

register = template.Library()


@register.filter
def device(user_agent: str) -> str:
    """Browser and system by the names people know; what is not told is not guessed."""
    told = parse(user_agent)
    browser = told.user_agent.family if told.user_agent else _("An unknown browser")
    if not told.os:
        return browser
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": told.os.family}
