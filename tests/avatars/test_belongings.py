"""What is in an export, table by table and page by page.

Knows the verb, a whole life and the pages.
"""

import html
import re

import pytest
from django.apps import apps

from accounts.models import decide
from avatars.models import Share
from tests import lives
from tests.avatars.test_exporting import made, rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def grace(db):
    return lives.live(exported=False)


# What becomes of each table of ours, and allauth's, in an export. A new one fails here until
# somebody has decided.
NOT_THEIRS = "no row of it is about one person"
NO_NEWS = "how the engine works, told by other rows as far as it is about the person"
IN_EXPORT = {
    "accounts.User": "profile",
    "accounts.Wallet": "profile",
    "accounts.Quota": "profile",
    "accounts.Transfer": "transfers",
    "accounts.Purchase": "purchases",
    "accounts.Refund": "purchases",
    "accounts.Consent": "consents",
    "accounts.ConsentText": "consents",
    "accounts.Decision": "decisions",
    "accounts.Closing": "an account that closes exports nothing",
    "accounts.CreditPack": NOT_THEIRS,
    "accounts.BookCheck": NOT_THEIRS,
    "account.EmailAddress": "profile",
    "account.EmailConfirmation": "unused: codes live in the session",
    "socialaccount.SocialAccount": "profile",
    "socialaccount.SocialToken": "unused: none is kept",
    "socialaccount.SocialApp": NOT_THEIRS,
    "mfa.Authenticator": "profile",
    "usersessions.UserSession": "profile",
    "avatars.FacePhoto": "photos",
    "avatars.KeepDefault": "profile",
    "avatars.AvatarRequest": "requests",
    "avatars.Attempt": "photos",
    "avatars.Avatar": "avatars",
    "avatars.Removal": "avatars",
    "avatars.Share": "shares",
    "avatars.ReviewItem": "reviews",
    "avatars.Export": "exports",
    "avatars.Evidence": "begins when the account is gone",
    "avatars.StoredFile": NO_NEWS,
    "avatars.Takedown": "somebody else's words",
    "avatars.BlockedPicture": NOT_THEIRS,
    "avatars.ScreeningRule": NOT_THEIRS,
    "avatars.Breaker": NOT_THEIRS,
    "avatars.Heartbeat": NOT_THEIRS,
}


def test_of_every_table_somebody_has_decided_whether_it_is_in_the_export(grace):
    ours = ("accounts", "avatars", "account", "socialaccount", "mfa", "usersessions")
    found = {model._meta.label for app in ours for model in apps.get_app_config(app).get_models()}
    assert found == set(IN_EXPORT)
    names = {name.removesuffix(".json") for name in made(grace.user).namelist()}
    named = {name for name in IN_EXPORT.values() if " " not in name}
    assert named == {name for name in names if "/" not in name and name != "README.txt"}


PAGES = (
    *("/gallery/", "/gallery/trash/", "/faces/", "/credits/", "/credits/refund/"),
    *("/settings/privacy/", "/settings/data/", "/accounts/sessions/", "/accounts/email/"),
    *("/accounts/2fa/", "/accounts/3rdparty/"),
)
NUMBER = re.compile(r"/(?:gallery|jobs|faces|exports|s)/([0-9a-f-]{36}|[\w-]{32})/")


def test_whatever_number_address_or_name_a_page_shows_is_in_the_zip_too(client, grace):
    client.force_login(grace.user)
    client.post("/accounts/reauthenticate/", {"password": "correct horse battery"})
    box = made(grace.user)
    whole = "".join(box.read(name).decode(errors="replace") for name in box.namelist())
    pages = [client.get(path) for path in PAGES]
    assert [page.status_code for page in pages] == [200] * len(PAGES)
    pages += [
        client.get(f"/jobs/{pk}/") for pk in grace.requests.values_list("public_id", flat=True)
    ]
    pages += [
        client.get(f"/faces/{pk}/") for pk in grace.photos.values_list("public_id", flat=True)
    ]
    shared = Share.objects.get(user=grace.user)
    pages.append(client.get(f"/gallery/{shared.avatar.public_id}/share/"))
    text = "".join(html.unescape(page.text) for page in pages)
    numbers = set(NUMBER.findall(text))
    assert len(numbers) > 10
    assert {number for number in numbers if number not in whole} == set()
    shown = {mark for mark in (*lives.MARKS, shared.token) if mark in text}
    assert shown >= {lives.EMAIL, lives.WORDS, lives.ADDRESS, "A key of brass", shared.token}
    assert {mark for mark in shown if mark not in whole} == set()


def test_the_words_agreed_to_and_the_owners_own_appeal_are_in_it_and_staffs_notes_are_not(
    grace, ben
):
    text = "You may draw me."
    grace.user.consents.give(grace.user, "terms", "2020", text=text, address=None)
    decide(ben, "noted", person=grace.user, reason="seems to be a friend of Ben's")
    decide(ben, "photo_opened", person=grace.user, reason="a report", after={"role": "lead"})
    decide(ben, "picture_kept", person=grace.user, reason="known from school")
    box = made(grace.user)
    assert text in [row["text"] for row in rows(box, "consents")]
    words = {row["kind"]: row["your_words"] for row in rows(box, "reviews")}
    assert words == {"description": "", "first_share": "", "appeal": f"I sail {lives.WORDS}"}
    told = {row["act"]: row["reason"] for row in rows(box, "decisions")}
    assert told.keys() == {"credits_given", "photo_opened", "picture_kept"}
    assert (told["photo_opened"], told["picture_kept"]) == ("a report", "")
    [share] = rows(box, "shares")
    assert share["address"].endswith(f"/s/{Share.objects.get(user=grace.user).token}/")
