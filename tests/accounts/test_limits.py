"""Rate limits: who is counted, and when the next try is.

Knows the decorator alone.
"""

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.limits import Limit, limited, who

ONCE = Limit("once", 1, 300)


@limited(ONCE)
def press(request) -> HttpResponse:
    return HttpResponse("pressed")


def request_of(**meta):
    request = RequestFactory().post("/", **meta)
    request.user = AnonymousUser()
    return request


@pytest.mark.django_db
def test_too_many_presses_are_told_from_when_it_works_again():
    with time_machine.travel("2026-11-22T10:02:10Z", tick=False):
        assert press(request_of()).status_code == 200
        answer = press(request_of())
    assert (answer.status_code, answer["Retry-After"]) == (429, "170")
    assert "Try again at 10:05." in answer.text


def test_strangers_behind_a_proxy_are_counted_one_by_one(settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert who(request_of(HTTP_X_FORWARDED_FOR="6.6.6.6, 203.0.113.9")) == "address:203.0.113.9"


def test_without_a_proxy_nobody_chooses_their_own_address(settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 0
    assert who(request_of(HTTP_X_FORWARDED_FOR="6.6.6.6")) == "address:127.0.0.1"
