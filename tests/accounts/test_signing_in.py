"""Sign-up, sign-in and reset by code; welcome credits once, when the address is proved.

Knows allauth's addresses and the mails it sends.
"""

import re

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.urls import reverse

from accounts.models import (
    TERMS_VERSION,
    Consent,
    ConsentText,
    Quota,
    Transfer,
    User,
    Wallet,
)
from tests import factories

pytestmark = pytest.mark.django_db
PASSWORD = "a long and honest phrase"


def code() -> str:
    """The code of the newest letter."""
    found = re.search(r"\b(\d{6})\b", mail.outbox[-1].body)
    assert found, mail.outbox[-1].body
    return found.group(1)


def sign_up(client, email: str = "new@example.org"):
    return client.post(reverse("account_signup"), {"email": email, "password1": PASSWORD})


def test_signing_up_sends_a_code_and_gives_nothing_yet(client):
    answer = sign_up(client)
    user = User.objects.get(email="new@example.org")
    assert answer.url == reverse("account_email_verification_sent")
    assert (user.verified_at, user.wallet.available) == (None, 0)
    assert code() in mail.outbox[0].subject


def test_proving_the_address_brings_three_credits_once(client):
    sign_up(client)
    page = reverse("account_email_verification_sent")
    answer = client.post(page, {"code": code()})
    assert answer.status_code == 302
    user = User.objects.get(email="new@example.org")
    assert user.verified_at is not None
    assert (user.wallet.available, Transfer.objects.count()) == (3, 1)
    assert client.get(reverse("credits")).status_code == 200


def test_the_page_names_the_age_and_signing_up_accepts_the_terms_it_links(client):
    page = client.get(reverse("account_signup")).content.decode()
    assert "you confirm you are 18 or older" in page
    assert f'href="{reverse("terms")}"' in page
    sign_up(client)
    accepted = Consent.objects.get()
    assert (accepted.user.email, accepted.kind) == ("new@example.org", Consent.Kind.TERMS)
    assert (accepted.version, accepted.address) == (TERMS_VERSION, "127.0.0.1")
    kept = ConsentText.objects.get(sha256=accepted.text_hash).text
    terms = client.get(reverse("terms")).content.decode()
    assert "are 18 or older;" in kept
    assert kept.splitlines()[0] in terms
    assert f"Version {TERMS_VERSION}" in terms


def test_a_wrong_code_proves_nothing(client):
    sign_up(client)
    answer = client.post(reverse("account_email_verification_sent"), {"code": "000000"})
    assert answer.status_code == 200
    assert User.objects.get(email="new@example.org").wallet.available == 0


def test_a_known_address_gets_the_same_answer_as_a_new_one(client, ada):
    known, new = sign_up(client, ada.email), sign_up(client, "other@example.org")
    assert (known.status_code, known.url) == (new.status_code, new.url)
    assert User.objects.filter(email=ada.email).count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "", "password1": PASSWORD},
        {"email": "no address", "password1": PASSWORD},
        {"email": "new@example.org", "password1": "short"},
        {"email": "new@example.org", "password1": "password123"},
        {"email": "new@example.org", "password1": PASSWORD, "website": "http://spam.example"},
    ],
)
def test_bad_input_makes_nobody(client, fields):
    client.post(reverse("account_signup"), fields)
    assert not User.objects.filter(email="new@example.org").exists()


def test_signing_in_by_password(client, ada):
    answer = client.post(
        reverse("account_login"), {"login": "ADA@example.org", "password": "correct horse battery"}
    )
    assert (answer.status_code, answer.url) == (302, reverse("create"))


def test_signing_in_by_code(client, ada):
    client.post(reverse("account_request_login_code"), {"email": ada.email})
    answer = client.post(reverse("account_confirm_login_code"), {"code": code()})
    assert (answer.status_code, answer.url) == (302, reverse("create"))


def test_a_code_for_an_unknown_address_gets_the_same_answer(client, ada):
    answers = [
        client.post(reverse("account_request_login_code"), {"email": email})
        for email in (ada.email, "nobody@example.org")
    ]
    assert [(a.status_code, a.url) for a in answers] == [
        (302, reverse("account_confirm_login_code"))
    ] * 2


def test_resetting_the_password_by_code(client, ada):
    client.post(reverse("account_reset_password"), {"email": ada.email})
    answer = client.post(reverse("account_confirm_password_reset_code"), {"code": code()})
    client.post(answer.url, {"password1": PASSWORD, "password2": PASSWORD})
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_an_address_names_one_person_in_any_case(db):
    factories.create_user("ada@example.org")
    with pytest.raises(Exception, match=r"(?i)unique"):
        User.objects.create(email="ADA@example.org")


def test_a_person_comes_with_a_wallet_and_a_quota_or_not_at_all(ben):
    assert (Wallet.objects.get(user=ben).available, Quota.objects.get(user=ben).max_open) == (0, 10)


def test_a_second_address_brings_no_second_welcome(client, ben):
    client.force_login(ben)
    client.post(reverse("account_email"), {"action_add": "", "email": "ben2@example.org"})
    client.post(reverse("account_email_verification_sent"), {"code": code()})
    assert EmailAddress.objects.filter(email="ben2@example.org", verified=True).exists()
    ben.wallet.refresh_from_db()
    granted = Transfer.objects.filter(wallet=ben.wallet, kind="welcome").count()
    assert granted <= 1
    assert ben.wallet.available == 3 * granted


def test_buttons_for_social_sign_in_are_absent_without_their_keys(client):
    page = client.get(reverse("account_login")).content
    assert b"Google" not in page
    assert b"GitHub" not in page


def test_the_code_page_offers_the_same_for_a_known_address_as_for_a_new_one(client, ada):
    pages = []
    for email in (ada.email, "other@example.org"):
        sign_up(client, email)
        page = client.get(reverse("account_email_verification_sent")).text
        assert "Use another address" in page
        pages.append(re.sub(r'value="[^"]{64}"', "", page).replace(email, ""))
        client.cookies.clear()
    assert pages[0] == pages[1]


def test_a_known_address_costs_as_many_password_hashes_as_a_new_one(client, ada, monkeypatch):
    hashed = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(
        MD5PasswordHasher,
        "encode",
        lambda hasher, password, salt: hashed.append(password) or encode(hasher, password, salt),
    )
    counts = []
    for email in (ada.email, "other@example.org"):
        hashed.clear()
        sign_up(client, email)
        client.cookies.clear()
        counts.append(len(hashed))
    assert counts == [1, 1]


def test_a_wrong_code_is_told_with_the_way_on(client):
    sign_up(client)
    page = client.post(reverse("account_email_verification_sent"), {"code": "000000"})
    [error] = page.context["verify_form"].errors["code"]
    assert error == "That code isn't right. After 3 tries we send a new one."


def test_a_wrong_password_is_told_without_saying_which_half_is_wrong(client, ada):
    fields = {"login": ada.email, "password": "not mine"}
    page = client.post(reverse("account_login"), fields).text
    assert "The e-mail address or the password is not right." in page
