"""Closing by the pages: the honest list, the word, the only page there is then, and keeping.

Knows the verb and the pages' addresses.
"""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import closing
from accounts.models import Closing, User
from accounts.models.closings import Step
from tests import factories, lives

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
CLOSE, KEEP = "/settings/data/close/", "/settings/data/keep/"


@pytest.fixture
def adas(client, ada):
    """Ada's browser, who has just said once more who she is."""
    client.force_login(ada)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def sign_in(client, person) -> None:
    client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})


def test_the_page_says_what_goes_when_and_what_stays(adas):
    page = adas.get(CLOSE).text
    for told in (
        "your face photos, shared links and exports; every device is signed out",
        "After 7 days",
        "the invoices, at our card processor",
        "Without your name",
        "10 credits lapse",
        "Type CLOSE",
    ):
        assert told in page
    assert "Get money back first" not in page


def test_money_that_can_go_back_is_offered_first(adas, ada):
    factories.create_purchase(ada)
    page = adas.get(CLOSE).text
    assert "First: you have 70 credits left" in page
    assert page.index("Get money back first") < page.index("What goes, and when")
    assert 'href="/credits/refund/"' in page


def test_whoever_closes_proves_once_more_who_they_are(client, ada):
    client.force_login(ada)
    answer = client.post(CLOSE, {"word": "CLOSE", "when": "now"})
    assert answer.status_code == 302
    assert answer.url.startswith("/accounts/reauthenticate/")
    assert not Closing.objects.exists()


@pytest.mark.parametrize("word", ["", "close it", "yes", "ＣＬＯＳＥ"])
def test_another_word_closes_nothing_and_says_what_to_type(adas, word):
    answer = adas.post(CLOSE, {"word": word, "when": "later"})
    assert answer.status_code == 422
    assert "Type CLOSE to go on." in answer.text
    assert not Closing.objects.exists()


@pytest.mark.parametrize("word", ["CLOSE", "close", " Close "])
def test_the_word_closes_in_any_case(adas, ada, word):
    page = adas.post(CLOSE, {"word": word, "when": "later"}, follow=True)
    assert re.search(r"Your account closes on \d+ \w+ \d{4}", page.text)
    assert page.redirect_chain == [("/", 302)]
    assert "_auth_user_id" not in adas.session
    assert Closing.objects.get(user=ada).step == Step.WAITING


def test_a_choice_that_is_none_closes_nothing(adas):
    assert adas.post(CLOSE, {"word": "CLOSE", "when": "never"}).status_code == 422
    assert not Closing.objects.exists()


def test_now_means_now(adas, ada):
    page = adas.post(CLOSE, {"word": "CLOSE", "when": "now"}, follow=True)
    assert "is being closed" in page.text
    closing.go_on(timezone.now())
    assert not User.objects.get(pk=ada.pk).is_active
    sign_in(adas, ada)
    assert "_auth_user_id" not in adas.session


# ── The days between ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def leaving(client, ada):
    """Ada, who has asked to go and signed in again."""
    closing.close(ada, timezone.now())
    sign_in(client, ada)
    return client


@pytest.mark.parametrize(
    "path",
    ["/create/", "/gallery/", "/faces/", "/credits/", "/settings/data/", "/accounts/email/", "/"],
)
def test_signing_in_leads_only_to_keeping_the_account(leaving, path):
    page = leaving.get(path, follow=True)
    assert page.redirect_chain[-1][0] == CLOSE
    assert "Keep my account" in page.text
    assert leaving.post(path).status_code == 302


def test_a_page_that_polls_loads_itself_anew(leaving):
    answer = leaving.get("/jobs/tray/", headers={"HX-Request": "true"})
    assert answer["HX-Refresh"] == "true"


@pytest.mark.parametrize(
    "path", ["/privacy/", "/help/", "/terms/", "/livez", "/safety/", "/safety/report/"]
)
def test_what_everybody_may_read_they_may_too(leaving, path):
    assert leaving.get(path).status_code == 200


def test_a_link_somebody_sent_them_opens_as_for_any_stranger(leaving, ben):
    shared = factories.create_share(factories.create_avatar(ben))
    assert leaving.get(f"/s/{shared.token}/").status_code == 200


def test_whoever_is_suspended_can_close_and_keep(client, ada):
    assert ada.suspend(timezone.now())
    sign_in(client, ada)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.post(CLOSE, {"word": "CLOSE", "when": "later"}, follow=True)
    assert "Your account closes on" in page.text
    sign_in(client, ada)
    assert "Your account stays." in client.post(KEEP, follow=True).text
    ada.refresh_from_db()
    assert (ada.closes_at, ada.suspended_at is None) == (None, False)


def test_the_same_address_may_sign_up_again_once_all_is_gone_and_not_before(
    client, ada, mailoutbox
):
    form = {"email": ada.email, "password1": "a paper boat at dawn", "terms": "on"}
    closing.close(ada, timezone.now(), at_once=True)
    closing.go_on(timezone.now())
    client.post("/accounts/signup/", form)
    assert User.objects.filter(email=ada.email).get() == ada
    lives.leave_for_good()
    assert not User.objects.filter(email=ada.email).exists()
    client.post("/accounts/signup/", form)
    again = User.objects.get(email=ada.email)
    assert (again.pk == ada.pk, again.wallet.available, again.verified_at) == (False, 0, None)


def test_keeping_gives_everything_back_but_the_photos(leaving, ada):
    page = leaving.post(KEEP, follow=True)
    assert "Your account stays." in page.text
    ada.refresh_from_db()
    assert (ada.closes_at, Closing.objects.get(user=ada).step) == (None, Step.CALLED_OFF)
    assert leaving.get("/gallery/").status_code == 200


def test_signing_out_stays_possible(leaving):
    assert leaving.post("/accounts/logout/").status_code == 302
    assert "_auth_user_id" not in leaving.session


def test_too_late_to_keep_is_said(leaving, ada):
    Closing.objects.update(step=Step.EMPTYING)
    page = leaving.post(KEEP, follow=True)
    assert "cannot be kept any more" in page.text
    assert "Keep my account" not in page.text


def test_keeping_what_is_not_closing_changes_nothing(client, ben):
    client.force_login(ben)
    assert client.post(KEEP).url == "/credits/"
    assert client.get(KEEP).status_code == 405


def test_bens_pages_are_as_ever_while_ada_leaves(client, ada, ben, django_assert_num_queries):
    closing.close(ada, timezone.now())
    client.force_login(ben)
    assert client.get("/gallery/").status_code == 200
    client.cookies.clear()
    with django_assert_num_queries(0):
        client.get("/privacy/")


def test_the_page_asks_a_bounded_number_of_questions(adas, ada, django_assert_max_num_queries):
    for _purchase in range(5):
        factories.create_purchase(ada)
    with django_assert_max_num_queries(8):
        adas.get(CLOSE)


def test_the_day_is_told_by_their_own_clock(adas, ada):
    User.objects.filter(pk=ada.pk).update(time_zone="Pacific/Kiritimati")
    now = timezone.now()
    page = adas.post(CLOSE, {"word": "CLOSE", "when": "later"}, follow=True)
    date = (now + timedelta(days=7, hours=14)).strftime("%-d %B %Y")
    assert f"Your account closes on {date}" in page.text
