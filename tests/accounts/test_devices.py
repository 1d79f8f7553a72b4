"""What a device is called on the pages that list them."""

import pytest

from accounts.templatetags.devices import device

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0"


@pytest.mark.parametrize(
    ("user_agent", "called"),
    [
        (IPHONE, "Mobile Safari on iOS"),
        (FIREFOX, "Firefox on Windows"),
        ("python-requests/2.33", "Python Requests"),
        ("", "An unknown browser"),
        ("<script>", "An unknown browser"),
    ],
)
def test_a_device_is_called_what_people_call_it(user_agent, called):
    assert device(user_agent) == called


def test_the_list_of_devices_names_this_one(client, ada):
    ada.set_password("a long good word")
    ada.save()
    typed = {"login": ada.email, "password": "a long good word"}
    client.post("/accounts/login/", typed, headers={"user-agent": FIREFOX})
    page = client.get("/accounts/sessions/", headers={"user-agent": FIREFOX})
    assert "Firefox on Windows" in page.content.decode()
