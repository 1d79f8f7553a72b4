"""Closing an account, accounts' half: the window, the end, the money, the sessions, the letters.

Knows the verbs, the till and a whole life.
"""

import smtplib
from datetime import timedelta
from email.utils import parseaddr

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user
from django.contrib.sessions.models import Session
from django.core.mail.backends.base import BaseEmailBackend
from django.db import IntegrityError, models, transaction
from django.test import Client, RequestFactory
from django.utils import formats, timezone

from accounts import auditing, billing, closing, devices, notices
from accounts.models import Closing, Kind, Purchase, Transfer, User
from accounts.models.closings import CANCEL_WINDOW, LETTER_PERIOD, Step, key_hash
from accounts.signals import account_closing
from tests import factories, lives
from tests.till import pockets

pytestmark = pytest.mark.django_db

# What becomes of whatever points at a person when they close their account. A new foreign key to
# User fails here until somebody has decided.
GOES_BEFORE = "deleted by avatars.leaving, before the person"
GOES_WITH = "goes with the person"
LOSES_ITS_PERSON = "stays without a person"
DECIDED = {
    "accounts.Wallet.user": LOSES_ITS_PERSON,
    "accounts.Purchase.user": LOSES_ITS_PERSON,
    "accounts.Transfer.actor": LOSES_ITS_PERSON,
    "accounts.Decision.actor": LOSES_ITS_PERSON,
    "accounts.Decision.person": LOSES_ITS_PERSON,
    "accounts.Closing.user": LOSES_ITS_PERSON,
    "accounts.Quota.user": GOES_WITH,
    "accounts.Consent.user": GOES_WITH,
    "accounts.User_groups.user": GOES_WITH,
    "accounts.User_user_permissions.user": GOES_WITH,
    "admin.LogEntry.user": GOES_WITH,
    "account.EmailAddress.user": GOES_WITH,
    "socialaccount.SocialAccount.user": GOES_WITH,
    "mfa.Authenticator.user": GOES_WITH,
    "usersessions.UserSession.user": GOES_WITH,
    "avatars.KeepDefault.user": GOES_WITH,
    "avatars.Share.user": GOES_WITH,
    "avatars.ReviewItem.person": GOES_WITH,
    "avatars.ReviewItem.not_for": LOSES_ITS_PERSON,
    "avatars.ReviewItem.claimed_by": LOSES_ITS_PERSON,
    "avatars.ReviewItem.decided_by": LOSES_ITS_PERSON,
    "avatars.FacePhoto.user": GOES_BEFORE,
    "avatars.AvatarRequest.user": GOES_BEFORE,
    "avatars.Avatar.user": GOES_BEFORE,
    "avatars.Export.user": GOES_BEFORE,
    "avatars.StoredFile.user": GOES_BEFORE,
}
MANNERS = {
    GOES_BEFORE: models.PROTECT,
    GOES_WITH: models.CASCADE,
    LOSES_ITS_PERSON: models.SET_NULL,
}


def test_whoever_points_at_a_person_has_decided_what_becomes_of_it():
    found = {
        f"{field.related_model._meta.label}.{field.field.name}": field.field.remote_field.on_delete
        for field in User._meta.get_fields(include_hidden=True)
        if isinstance(field, models.ManyToOneRel)
    }
    assert found == {name: MANNERS[decision] for name, decision in DECIDED.items()}


def reload(closing_row: Closing) -> Closing:
    return Closing.objects.get(pk=closing_row.pk)


# ── The window ──────────────────────────────────────────────────────────────────────────────────


def test_a_closing_waits_seven_days_and_is_asked_for_once(ada):
    now = timezone.now()
    first = closing.close(ada, now)
    start_at = now + CANCEL_WINDOW
    assert (first.step, first.start_at, first.due_at) == (Step.WAITING, start_at, start_at)
    assert closing.close(ada, now + timedelta(hours=1), at_once=True) == first
    ada.refresh_from_db()
    assert (ada.closes_at, ada.is_active) == (now + CANCEL_WINDOW, True)
    with time_machine.travel(now + CANCEL_WINDOW - timedelta(seconds=1)):
        closing.go_on(timezone.now())
    assert reload(first).step == Step.WAITING
    with time_machine.travel(now + CANCEL_WINDOW + timedelta(seconds=1)):
        closing.go_on(timezone.now())
    assert reload(first).step == Step.EMPTYING
    ada.refresh_from_db()
    assert not ada.is_active


def test_what_was_kept_stays_kept_and_can_be_closed_anew(ada):
    first = closing.close(ada, timezone.now())
    assert closing.keep(ada)
    assert not closing.keep(ada)
    ada.refresh_from_db()
    assert (ada.closes_at, ada.is_active) == (None, True)
    assert (reload(first).step, reload(first).due_at) == (Step.CALLED_OFF, None)
    with time_machine.travel(timezone.now() + timedelta(days=30)):
        closing.go_on(timezone.now())
    assert User.objects.filter(pk=ada.pk, is_active=True).exists()
    assert closing.close(ada, timezone.now()) != first
    assert auditing.findings() == []


def test_once_it_has_begun_it_is_too_late_to_keep(ada):
    begun = closing.close(ada, timezone.now(), at_once=True)
    closing.go_on(timezone.now())
    assert not closing.keep(ada)
    ada.refresh_from_db()
    assert (reload(begun).step, ada.is_active) == (Step.EMPTYING, False)


def test_every_device_is_signed_out_at_once_and_keeping_brings_none_back(ada):
    browsers = [Client(), Client()]
    for browser in browsers:
        browser.force_login(ada)
        assert browser.get("/credits/").status_code == 200
    closing.close(ada, timezone.now())
    request = RequestFactory().get("/")
    request.session = browsers[0].session
    assert not get_user(request).is_authenticated
    closing.keep(User.objects.get(pk=ada.pk))
    assert browsers[1].get("/credits/").status_code == 302


def test_a_password_changed_before_any_sign_out_works_as_ever(ada):
    """Sessions of people who never were signed out stay valid: the count is not in their hash."""
    browser = Client()
    browser.force_login(ada)
    assert ada.sign_outs == 0
    assert browser.get("/credits/").status_code == 200


def test_a_listener_that_fails_undoes_the_whole_closing(ada):
    def fail(**_signal: object) -> None:
        raise IntegrityError("somebody trips")

    account_closing.connect(fail)
    try:
        with pytest.raises(IntegrityError), transaction.atomic():
            closing.close(ada, timezone.now())
    finally:
        account_closing.disconnect(fail)
    ada.refresh_from_db()
    assert (ada.closes_at, ada.sign_outs, Closing.objects.count()) == (None, 0, 0)


# ── The end ─────────────────────────────────────────────────────────────────────────────────────


def gone(user: User) -> Closing:
    begun = closing.close(user, timezone.now(), at_once=True)
    lives.leave_for_good()
    return reload(begun)


def test_what_could_be_spent_lapses_and_debts_are_set_against_it(ada, till):
    purchase = factories.create_purchase(ada)  # 60, besides the 10 she has
    purchase.open_refund(timezone.now())  # 60 owed against them
    wallet = ada.wallet
    assert pockets(ada) == (70, 0, 60)
    begun = gone(ada)
    lapse = Transfer.objects.get(kind=Kind.LAPSE)
    assert (lapse.amount, lapse.reference, begun.counts["credits"]) == (
        10,
        f"close:{wallet.pk}",
        10,
    )
    wallet.refresh_from_db()
    assert (wallet.available, wallet.owed, wallet.user) == (60, 60, None)
    assert auditing.findings() == []


def test_nothing_lapses_where_nothing_was_left(ben):
    assert gone(ben).counts["credits"] == 0
    assert not Transfer.objects.filter(kind=Kind.LAPSE).exists()


def test_a_payment_that_comes_after_the_account_is_odd_and_credits_nobody(ada, till, pack):
    purchase = till.pay(ada, pack)
    wallet = ada.wallet
    gone(ada)
    before = Transfer.objects.count()
    assert billing.fulfil(str(purchase.session_id)).state == Purchase.State.ODD
    assert Transfer.objects.count() == before
    wallet.refresh_from_db()
    assert wallet.spendable == 0


def test_a_payment_that_meets_the_end_itself_is_odd_too(ada, till, pack, monkeypatch):
    """Read while the account was there, credited when it was not."""
    purchase = till.pay(ada, pack)
    credit = Purchase.credit

    def closed_meanwhile(self, payment):
        Purchase.objects.filter(pk=self.pk).update(user=None)
        return credit(self, payment)

    monkeypatch.setattr(Purchase, "credit", closed_meanwhile)
    assert billing.fulfil(str(purchase.session_id)).state == Purchase.State.ODD
    assert not Transfer.objects.filter(kind=Kind.PURCHASE).exists()


def test_money_that_came_after_the_wish_to_go_is_told_to_staff(ada, till, pack, caplog):
    purchase = till.pay(ada, pack)
    begun = closing.close(ada, timezone.now())
    billing.fulfil(str(purchase.session_id))
    lives.leave_for_good()
    assert reload(begun).step == Step.GONE
    assert f"paid while its account closed, to be refunded: {purchase.public_id}" in caplog.text


def test_the_rows_of_their_sessions_go_and_those_of_others_stay(ada, ben):
    for person in (ada, ada, ben):
        Client().force_login(person)
    assert Session.objects.count() == 3
    gone(ada)
    [left] = Session.objects.all()
    assert left.get_decoded()["_auth_user_id"] == str(ben.pk)


def test_a_code_somebody_asked_for_and_never_typed_names_nobody_afterwards(ada, ben):
    for person in (ada, ben):
        person.emailaddress_set.create(email=f"other.{person.email}", verified=True)
        for address in (person.email, f"other.{person.email}"):
            stranger = Client()
            stranger.post("/accounts/login/code/", {"email": address})
            assert address in str(stranger.session.items())
    signed_in = Client()
    signed_in.force_login(ben)
    session = signed_in.session
    session["draft"] = {"prompt": "as ada@example.org at dusk"}
    session.save()
    gone(ada)
    kept = [str(session.get_decoded()) for session in Session.objects.all()]
    assert len(kept) == 3
    assert all("ben@example.org" in each or "_auth_user_id" in each for each in kept)


def test_sessions_nobody_can_come_back_to_are_not_kept(ada, ben):
    for person in (ada, ben):
        browser = Client()
        browser.force_login(person)
        key = browser.session.session_key
        UserSession.objects.create(user=person, ip="192.0.2.1", session_key=key, user_agent="x")
    Session.objects.filter(session_key=UserSession.objects.get(user=ada).session_key).update(
        expire_date=timezone.now()
    )
    assert devices.forget_expired(timezone.now()) == 1
    assert [session.user for session in UserSession.objects.all()] == [ben]
    assert Session.objects.count() == 1


def test_a_closed_account_can_be_opened_anew_with_the_same_address(ada):
    gone(ada)
    again = factories.create_user("ada@example.org")
    assert (again.wallet.available, again.closes_at) == (0, None)


# ── Letters ─────────────────────────────────────────────────────────────────────────────────────


def tell(after: timedelta = timedelta(hours=1)) -> int:
    return notices.tell_of_closings(timezone.now() + after)


def test_a_letter_says_once_when_it_closes_and_how_to_keep_it(ada, mailoutbox):
    User.objects.filter(pk=ada.pk).update(time_zone="Pacific/Kiritimati")
    ada.refresh_from_db()
    begun = closing.close(ada, timezone.now())
    assert [tell(timedelta()), tell(timedelta())] == [1, 0]
    [letter] = mailoutbox
    assert letter.to == ["ada@example.org"]
    assert letter.subject.startswith("Your account closes on ")
    assert "/settings/data/close/" in letter.body
    local = timezone.localtime(begun.start_at, ada.zone())
    assert f"On {formats.date_format(local, 'DATETIME_FORMAT')} (Pacific/Kiritimati) your" in (
        letter.body
    )
    assert closing.keep(ada)
    assert [tell(), reload(begun).letter_due] == [0, False]


def test_the_last_letter_is_the_receipt_and_the_address_goes_with_it(ada, mailoutbox):
    photo = factories.create_photo(ada)
    key = photo.file.key
    begun = gone(ada)
    assert [tell(), tell()] == [1, 0]
    [letter] = mailoutbox
    assert letter.to == ["ada@example.org"]
    assert letter.subject == "Your account is closed"
    assert str(begun.public_id) in letter.body
    assert "1 face photo\n" in letter.body
    assert "2 files in our storage" in letter.body
    assert key_hash(key) in letter.body
    assert len(letter.body.encode()) < 30_000
    assert (reload(begun).letter_to, reload(begun).due_at) == ("", None)
    assert lives.traces("ada@example.org") == []


def test_a_receipt_of_many_files_stays_a_letter(ada, mailoutbox):
    begun = gone(ada)
    Closing.objects.filter(pk=begun.pk).update(key_hashes=[f"{n:064x}" for n in range(5000)])
    assert tell() == 1
    assert "and 4800 more" in mailoutbox[0].body
    assert len(mailoutbox[0].body.encode()) < 30_000


class ShutOffice(BaseEmailBackend):
    """A post office that takes nothing."""

    def open(self) -> None:
        raise smtplib.SMTPConnectError(421, "later")

    def __enter__(self) -> "ShutOffice":
        self.open()
        return self

    def send_messages(self, _letters: object) -> int:
        raise AssertionError("nobody may come as far")


def test_a_post_office_that_is_shut_keeps_the_address_a_day_and_no_longer(
    ada, settings, mailoutbox
):
    begun = gone(ada)
    settings.EMAIL_BACKEND = f"{__name__}.ShutOffice"
    assert tell() == 0
    assert parseaddr(reload(begun).letter_to)[1] == "ada@example.org"
    assert tell(LETTER_PERIOD + timedelta(hours=1)) == 0
    assert (reload(begun).letter_to, reload(begun).due_at) == ("", None)
    assert mailoutbox == []


# ── The books ───────────────────────────────────────────────────────────────────────────────────


def test_the_audit_tells_of_a_closing_that_stopped_and_of_an_address_that_stayed(ada, ben):
    begun = gone(ben)
    late = closing.close(ada, timezone.now(), at_once=True)
    assert auditing.findings() == []
    long_ago = timezone.now() - timedelta(days=3)
    Closing.objects.filter(pk=late.pk).update(start_at=long_ago)
    Closing.objects.filter(pk=begun.pk).update(gone_at=long_ago)
    told = [(found.invariant, found.rows) for found in auditing.findings()]
    assert ("I13", [late.pk]) in told
    assert ("I13", [begun.pk]) in told


@pytest.mark.parametrize(
    "fields",
    [
        {"step": Step.GONE},  # names somebody
        {"letter_to": "ada@example.org"},  # an address before the end
        {"due_at": None},  # nobody would look again
        {"user": None},  # nobody's
    ],
)
def test_the_database_refuses_a_closing_that_says_what_cannot_be(ada, fields):
    begun = closing.close(ada, timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        Closing.objects.filter(pk=begun.pk).update(**fields)
