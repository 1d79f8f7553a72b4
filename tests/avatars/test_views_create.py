"""The price on the button, everything typed kept, and one double click is one avatar.

Knows the page, the factories and the ledger.
"""

import gzip
import re
import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from accounts.models import Kind, Transfer, Wallet
from avatars import forms, generation, safekeeping, tasks, words
from avatars.models import AvatarRequest, Pace, Quality, State, Style
from avatars.models.attempts import Breaker, Service
from tests import factories

CREATE = "/create/"
WORDS = "pirate captain at dusk, <b>my own</b> words"


def text(response) -> str:
    return response.content.decode().replace("&#x27;", "'")


def number_on(response) -> str:
    return re.search(r'name="number" value="([^"]+)"', text(response))[1]


def form(user, photo=None, **changed) -> dict[str, str]:
    photo = photo or user.photos.last() or factories.create_photo(user)
    return {
        "photo": str(photo.public_id),
        "style": "comic",
        "prompt": WORDS,
        "avoid": "hats",
        "quality": "fast",
        "number": forms.new_number(user),
        "shown_cost": "1",
    } | changed


def assert_kept(response) -> None:
    """Whatever was refused, the page holds what was typed and chosen."""
    page = text(response)
    assert escape(WORDS) in page
    assert "<b>my own</b>" not in page
    assert re.search(r'name="style" value="comic" required checked', page)


@pytest.fixture
def rung(monkeypatch) -> list[int]:
    """The ids for which a doorbell was rung."""
    ids: list[int] = []
    monkeypatch.setattr(tasks, "ring_one", lambda pk, *, queue: ids.append(pk))
    return ids


# ── Submitting ──────────────────────────────────────────────────────────────────────────────────


def test_making_an_avatar_holds_its_price_and_leads_to_its_page(client, ada, rung):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    response = client.post(CREATE, form(ada, photo, quality="fine", shown_cost="2"))
    made = AvatarRequest.objects.get()
    assert response.url == reverse("job", args=[made.public_id])
    assert (made.user, made.photo, made.style, made.quality) == (ada, photo, "comic", "fine")
    assert (made.prompt, made.avoid, made.cost, made.state) == (WORDS, "hats", 2, State.QUEUED)
    assert Transfer.objects.get(kind=Kind.HOLD).amount == 2
    assert rung == [made.pk]


def test_a_double_click_is_one_request_and_one_hold(client, ada, rung):
    client.force_login(ada)
    wish = form(ada)
    first, second = client.post(CREATE, wish), client.post(CREATE, wish)
    assert first.url == second.url
    assert AvatarRequest.objects.count() == 1
    assert Transfer.objects.filter(kind=Kind.HOLD).count() == 1


def test_each_page_carries_a_number_of_its_own_for_this_person(client, ada):
    client.force_login(ada)
    first, second = number_on(client.get(CREATE)), number_on(client.get(CREATE))
    assert forms.read_number(ada, first) != forms.read_number(ada, second)


@pytest.mark.parametrize("number", ["", "6f1c0d3e-8f0f-4a53-9a6b-0d6c4ad0c1aa", "a:b"])
def test_a_number_that_is_not_ours_asks_to_press_again(client, ada, number):
    client.force_login(ada)
    response = client.post(CREATE, form(ada, number=number))
    assert response.status_code == 409
    assert "This page was open a long time. Your text is kept; press again." in text(response)
    assert_kept(response)
    assert AvatarRequest.objects.count() == 0
    again = client.post(CREATE, form(ada, number=number_on(response)))
    assert again.status_code == 302


def test_bens_number_is_of_no_use_to_ada(client, ada, ben):
    client.force_login(ada)
    response = client.post(CREATE, form(ada, number=forms.new_number(ben)))
    assert (response.status_code, AvatarRequest.objects.count()) == (409, 0)


def test_bens_photo_cannot_be_chosen(client, ada, ben):
    factories.create_photo(ada)
    photo = factories.create_photo(ben)
    client.force_login(ada)
    response = client.post(CREATE, form(ada, photo))
    assert response.status_code == 422
    assert "That photo is deleted. Choose another." in text(response)
    assert AvatarRequest.objects.count() == 0


@pytest.mark.parametrize("letters", [0, 501])
def test_a_description_has_one_to_five_hundred_letters(client, ada, letters):
    client.force_login(ada)
    response = client.post(CREATE, form(ada, prompt="x" * letters))
    assert response.status_code == 422
    said = words.words_missing() if not letters else "This text is too long: 501 characters"
    assert said in text(response)
    assert ("x" * letters) in text(response)


def test_a_line_end_counts_as_one_letter_as_it_does_in_the_browser(client, ada, rung):
    client.force_login(ada)
    client.post(CREATE, form(ada, prompt="blue\r\n" * 100))
    assert AvatarRequest.objects.count() == 1


def test_a_refused_description_names_the_category_and_not_the_words(client, ada):
    client.force_login(ada)
    response = client.post(CREATE, form(ada, prompt="a nazi parade"))
    assert response.status_code == 422
    page = text(response)
    assert "This description can't be used because it asks for hate." in page
    assert "No credits were used." in page
    assert Transfer.objects.filter(kind=Kind.HOLD).count() == 0


def test_one_fault_is_said_at_the_top_and_leads_to_its_field(client, ada):
    client.force_login(ada)
    page = text(client.post(CREATE, form(ada, prompt="")))
    top = page[page.index("<h1>") : page.index("<form class=")]
    assert f'{words.words_missing()} <a href="#id_prompt">Change it</a>' in top
    assert 'role="alert"' in top


def test_several_faults_are_listed_and_take_the_focus(client, ada):
    client.force_login(ada)
    page = text(client.post(CREATE, form(ada, prompt="") | {"photo": "none"}))
    top = page[page.index("<h1>") : page.index("<form class=")]
    assert re.findall(r'href="(#\w+)"', top) == ["#id_photo", "#id_prompt"]
    assert "autofocus" in top


def test_too_few_credits_offer_credits_and_the_quality_that_would_do(client, ben):
    factories.give(ben, 1)
    client.force_login(ben)
    response = client.post(CREATE, form(ben, quality="fine", shown_cost="2"))
    assert response.status_code == 409
    assert_kept(response)
    page = text(response)
    assert "Fine needs 2, you have 1." in page
    assert f'href="{reverse("credits")}"><span>Get credits</span>' in page
    assert 'value="quality:standard"' in page
    assert "<span>Use Standard · 1 credit</span>" in page


def test_the_quality_that_would_do_is_taken_without_spending(client, ben):
    factories.give(ben, 1)
    client.force_login(ben)
    wish = form(ben, quality="fine") | {"go": "quality:standard"}
    response = client.post(CREATE, wish)
    assert response.status_code == 200
    assert_kept(response)
    assert 'value="standard" checked' in text(response)
    assert AvatarRequest.objects.count() == 0


def test_a_price_that_moved_is_said_and_nothing_is_lost(client, ada):
    client.force_login(ada)
    response = client.post(CREATE, form(ada, quality="fine", shown_cost="1"))
    assert response.status_code == 409
    assert "The price is now 2 credits." in text(response)
    assert_kept(response)
    again = client.post(
        CREATE, form(ada, quality="fine", shown_cost="2", number=number_on(response))
    )
    assert again.status_code == 302


def test_the_limit_of_open_avatars_says_when_the_next_can_start(client, ada):
    ada.quota.max_open = 1
    ada.quota.save(update_fields=["max_open"])
    factories.create_request(ada)
    client.force_login(ada)
    response = client.post(CREATE, form(ada))
    assert response.status_code == 429
    assert "1 avatar is in the making, which is your limit." in text(response)
    assert_kept(response)


def test_the_daily_limit_is_told_in_the_persons_own_time(client, ada):
    ada.quota.max_per_day = 0
    ada.quota.save(update_fields=["max_per_day"])
    ada.time_zone = "Asia/Tokyo"
    ada.save(update_fields=["time_zone"])
    client.force_login(ada)
    response = client.post(CREATE, form(ada))
    assert response.status_code == 429
    assert "The next can start at 09:00." in text(response)
    assert_kept(response)


def test_the_eleventh_press_of_a_minute_keeps_everything(client, ada, rung):
    client.force_login(ada)
    for _press in range(10):
        client.post(CREATE, form(ada, prompt=""))
    response = client.post(CREATE, form(ada))
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert "That was a little too fast. Try again in" in text(response)
    assert_kept(response)
    assert AvatarRequest.objects.count() == 0


def test_a_withdrawn_consent_is_asked_for_before_the_next_avatar(client, ada):
    photo = factories.create_photo(ada)
    photo.consent.withdraw(timezone.now())
    client.force_login(ada)
    response = client.post(CREATE, form(ada, photo))
    assert response.status_code == 409
    assert f'href="{reverse("face_consent")}?next=create">Read and decide</a>' in text(response)
    assert_kept(response)


def test_a_suspended_person_may_look_but_not_make(client, ada):
    ada.suspended_at = timezone.now()
    ada.save(update_fields=["suspended_at"])
    client.force_login(ada)
    response = client.post(CREATE, form(ada))
    assert response.status_code == 409
    assert "Your account is suspended" in text(response)
    assert_kept(response)


def test_a_line_too_long_to_promise_anything_takes_nothing(client, ada, monkeypatch):
    monkeypatch.setattr(generation, "wait_behind", lambda *_turn: 46 * 60.0)
    client.force_login(ada)
    response = client.post(CREATE, form(ada))
    assert response.status_code == 409
    assert "The wait is over 45 minutes now" in text(response)
    assert_kept(response)
    assert Transfer.objects.filter(kind=Kind.HOLD).count() == 0


def test_a_photo_deleted_in_another_tab_is_said_to_be_gone(client, ada):
    photo = factories.create_photo(ada)
    wish = form(ada, photo)
    safekeeping.erase(photo)
    client.force_login(ada)
    response = client.post(CREATE, wish)
    assert response.status_code == 422
    assert "That photo is deleted. Choose another." in text(response)
    assert_kept(response)


def test_what_is_no_style_or_quality_is_refused(client, ada):
    client.force_login(ada)
    response = client.post(CREATE, form(ada, style="vector", quality="ultra"))
    assert (response.status_code, AvatarRequest.objects.count()) == (422, 0)


def test_a_price_that_is_no_number_asks_to_press_again(client, ada):
    client.force_login(ada)
    response = client.post(CREATE, form(ada, shown_cost="abc"))
    assert (response.status_code, AvatarRequest.objects.count()) == (409, 0)
    assert str(words.FORM_TOO_OLD) in text(response)
    assert "Enter a whole number" not in text(response)
    assert_kept(response)


# ── The page ────────────────────────────────────────────────────────────────────────────────────


def buttons(page: str) -> dict[str, str]:
    """What stands on the button and under it, for each quality."""
    parts = re.split(r'<div class="p-summary__make[^>]*data-for-quality="(\w+)">', page)[1:]
    plain = [re.sub(r"<[^>]+>|\s+", " ", part.split("</div>")[0]) for part in parts[1::2]]
    return dict(zip(parts[::2], (" ".join(part.split()) for part in plain), strict=True))


def test_the_price_stands_on_the_button_of_every_quality(client, ada):
    factories.create_photo(ada)
    client.force_login(ada)
    shown = buttons(text(client.get(CREATE)))
    assert shown == {
        "fast": "Make avatar · 1 credit 10 → becomes 9 credits",
        "standard": "Make avatar · 1 credit 10 → becomes 9 credits",
        "fine": "Make avatar · 2 credits 10 → becomes 8 credits",
    }


def test_the_price_stands_on_the_button_without_a_photo_too(client, ada):
    client.force_login(ada)
    page = text(client.get(CREATE))
    assert buttons(page)["standard"].startswith("Make avatar · 1 credit Add a photo first.")
    assert page.count("c-button--filled") == 1


def test_only_the_chosen_quality_shows_its_button_at_first(client, ada):
    client.force_login(ada)
    page = text(client.get(CREATE, {"quality": "fine"}))
    assert re.findall(r'__make( is-chosen)?" data-for-quality="(\w+)"', page) == [
        ("", "fast"),
        ("", "standard"),
        (" is-chosen", "fine"),
    ]


def test_the_length_of_the_promise_is_printed_before_the_press(client, ada):
    client.force_login(ada)
    page = text(client.get(CREATE))
    assert "Picture or credits back within 15 minutes</span>" in page
    assert "back by" not in page


def test_the_length_holds_for_every_style_and_quality(client, ada, rung):
    slow = Pace(known=True, p50=400.2, p80=500.0, p90=600.0, p95=700.0)
    cache.set(f"board:pace:{Style.CHIBI}:{Quality.FINE}", slow, 60)
    client.force_login(ada)
    assert "Picture or credits back within 21 minutes</span>" in text(client.get(CREATE))
    client.post(CREATE, form(ada))
    made = AvatarRequest.objects.get()
    assert made.deadline_at - made.created_at <= timedelta(minutes=21)


def test_the_length_counts_those_who_stand_before_this_person(client, ada, ben, settings):
    settings.FACE_GEN_SLOTS = 1
    for _wish in range(6):
        factories.create_request(ada)
    client.force_login(ben)
    # Round by round: one of Ada's stands before Ben's first, all six before her own seventh.
    assert "back within 15 minutes" in text(client.get(CREATE))
    client.force_login(ada)
    assert "back within 24 minutes" in text(client.get(CREATE))


def test_the_last_used_photo_is_chosen(client, ada):
    used = factories.create_photo(ada, last_used_at=timezone.now())
    factories.create_photo(ada)
    client.force_login(ada)
    assert f'value="{used.public_id}" required checked' in text(client.get(CREATE))


def test_the_photo_of_the_address_is_chosen(client, ada):
    factories.create_photo(ada, last_used_at=timezone.now())
    other = factories.create_photo(ada)
    client.force_login(ada)
    page = text(client.get(CREATE, {"photo": other.public_id}))
    assert f'value="{other.public_id}" required checked' in page


def test_a_chosen_photo_is_shown_however_many_there_are(client, ada):
    oldest = factories.create_photo(ada)
    for _photo in range(9):
        factories.create_photo(ada)
    client.force_login(ada)
    page = text(client.get(CREATE, {"photo": oldest.public_id}))
    assert f'value="{oldest.public_id}" required checked' in page
    assert page.count('name="photo"') == 8
    assert "All my photos" in page


def test_a_deleted_photo_of_the_address_is_said_to_be_gone(client, ada):
    photo = factories.create_photo(ada)
    safekeeping.erase(photo)
    client.force_login(ada)
    page = text(client.get(CREATE, {"photo": photo.public_id}))
    assert "That photo is deleted. Choose another." in page


def picked(page: str) -> list[str]:
    return re.findall(r'name="photo" value="([^"]+)" required checked', page)


@pytest.mark.parametrize("left", [True, False])
def test_an_earlier_wish_whose_photo_is_gone_takes_no_other_face(client, ada, rung, left):
    photo, other = factories.create_photo(ada), factories.create_photo(ada)
    made = factories.create_request_in(State.READY, ada, photo=photo, prompt=WORDS, style="comic")
    safekeeping.erase(photo)
    if not left:
        AvatarRequest.objects.update(photo=None)
    client.force_login(ada)
    for address in (f"{CREATE}?from={made.public_id}", CREATE):
        response = client.get(address)
        page = text(response)
        assert "That photo is deleted. Choose another." in page
        assert picked(page) == []
        assert_kept(response)
    gone = re.search(r'type="hidden" name="photo" value="([^"]+)"', page)[1]
    step = text(client.post(CREATE, form(ada) | {"photo": gone, "go": "preset:detective"}))
    assert picked(step) == []
    refused = client.post(CREATE, form(ada) | {"photo": gone})
    assert refused.status_code == 422
    assert "That photo is deleted. Choose another." in text(refused)
    assert client.post(CREATE, form(ada) | {"photo": [gone, str(other.public_id)]}).url
    assert AvatarRequest.objects.latest("pk").photo == other


def test_whoever_has_no_photo_left_is_asked_for_one_and_not_told_twice(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    client.get(CREATE, {"photo": photo.public_id})
    safekeeping.erase(photo)
    page = text(client.get(CREATE))
    assert "That photo is deleted." not in page
    assert "Add a photo first." in page


def test_a_photo_that_never_was_hers_does_not_get_into_the_draft(client, ada):
    photo = factories.create_photo(ada)
    client.force_login(ada)
    assert client.get(CREATE, {"photo": uuid.uuid4()}).status_code == 404
    assert picked(text(client.get(CREATE))) == [str(photo.public_id)]


@pytest.mark.parametrize("name", ["photo", "from"])
def test_what_was_never_adas_is_a_404(client, ada, ben, name):
    photo, made = factories.create_photo(ben), factories.create_request(ben)
    client.force_login(ada)
    for value in (photo.public_id, made.public_id, uuid.uuid4(), "no id"):
        assert client.get(CREATE, {name: value}).status_code == 404


@pytest.mark.parametrize("what", ["request", "avatar"])
def test_more_like_this_fills_everything_in_and_spends_nothing(client, ada, what):
    photo = factories.create_photo(ada)
    made = factories.create_request_in(
        State.READY, ada, photo=photo, prompt=WORDS, style=Style.COMIC, quality=Quality.FINE
    )
    avatar = factories.create_avatar(ada, made)
    factories.create_photo(ada)
    client.force_login(ada)
    public_id = made.public_id if what == "request" else avatar.public_id
    response = client.get(CREATE, {"from": public_id})
    assert_kept(response)
    page = text(response)
    assert f'value="{photo.public_id}" required checked' in page
    assert 'value="fine" checked' in page
    assert AvatarRequest.objects.count() == 1


def test_a_preset_fills_in_its_visible_words(client, ada):
    client.force_login(ada)
    page = text(client.get(CREATE, {"style": "anime", "preset": "pirate"}))
    assert ">Pirate captain at dusk, long coat, harbour lanterns, sea wind</textarea>" in page
    assert 'value="anime" required checked' in page


def test_a_preset_pressed_without_a_script_keeps_the_rest(client, ada):
    client.force_login(ada)
    page = text(client.post(CREATE, form(ada) | {"go": "preset:detective"}))
    assert ">Detective in the rain, grey trench coat, street lamp, deep shadows</textarea>" in page
    assert 'value="comic" required checked' in page
    assert ">hats</textarea>" in page


def test_enter_in_a_radio_spends_nothing(client, ada):
    client.force_login(ada)
    page = text(client.get(CREATE))
    first = re.search(r"<button[^>]*>", page.split("data-create>")[1])[0]
    assert 'name="go" value="stay"' in first
    response = client.post(CREATE, form(ada) | {"go": "stay"})
    assert_kept(response)
    assert AvatarRequest.objects.count() == 0


def test_the_way_to_a_new_photo_keeps_the_draft(client, ada):
    client.force_login(ada)
    response = client.post(CREATE, form(ada) | {"go": "photo"})
    assert response.url == reverse("face_new")
    assert_kept(client.get(CREATE))


def test_the_draft_survives_an_ended_session_and_signing_in(client, ada):
    photo = factories.create_photo(ada)
    response = client.post(CREATE, form(ada, photo))
    assert response.url == f"{reverse('account_login')}?next={CREATE}"
    client.post(reverse("account_login"), {"login": ada.email, "password": "correct horse battery"})
    assert client.session["_auth_user_id"] == str(ada.pk)
    assert_kept(client.get(CREATE))
    assert AvatarRequest.objects.count() == 0


def test_the_draft_stays_after_the_avatar_was_made(client, ada, rung):
    client.force_login(ada)
    client.post(CREATE, form(ada))
    assert_kept(client.get(CREATE))


def test_the_first_visit_has_words_in_the_box_and_three_steps(client, ben, settings):
    settings.WELCOME_CREDITS = 3
    factories.give(ben, 3)
    client.force_login(ben)
    page = text(client.get(CREATE))
    assert "3 free credits are yours." in page
    assert ">Portrait in soft window light</textarea>" in page
    assert "Sunglasses" in page


def test_the_three_steps_go_after_the_first_wish_or_when_closed(client, ada, ben):
    factories.give(ben, 3)
    client.force_login(ben)
    assert "p-welcome" in text(client.get(CREATE))
    assert "p-welcome" not in text(client.post(CREATE, {"go": "welcome"}))
    assert "p-welcome" not in text(client.get(CREATE))
    factories.create_request(ada)
    client.force_login(ada)
    assert "p-welcome" not in text(client.get(CREATE))


def test_whoever_owes_reads_it_where_the_button_was(client, ben):
    factories.give(ben, 5)
    ben.wallet.owed = 17
    ben.wallet.save(update_fields=["owed"])
    factories.create_photo(ben)
    client.force_login(ben)
    shown = buttons(text(client.get(CREATE)))
    assert shown["fast"] == (
        "You owe 12 credits because a payment was reversed. "
        "Buying a pack settles it first. Get credits"
    )


def test_whose_credits_are_checked_reads_so_and_is_sold_none(client, ada):
    Wallet.objects.filter(pk=ada.wallet.pk).update(frozen=True)
    factories.create_photo(ada)
    client.force_login(ada)
    page = text(client.get(CREATE))
    assert "Your credits are being checked by our staff." in page
    assert "Get credits" not in page
    assert buttons(page) == {}
    assert "back within" not in page


def test_a_suspended_person_is_told_before_any_press(client, ada):
    ada.suspended_at = timezone.now()
    ada.save(update_fields=["suspended_at"])
    factories.create_photo(ada)
    client.force_login(ada)
    page = text(client.get(CREATE))
    assert "Your account is suspended: you can look and leave, but not make." in page
    assert buttons(page) == {}


def test_a_pause_and_a_slow_day_are_announced(client, ada):
    client.force_login(ada)
    assert "Drawing is" not in text(client.get(CREATE))
    cache.set(f"board:expected:{Style.REALISTIC}:{Quality.STANDARD}", 235.0, 60)
    slow = text(client.get(CREATE))
    assert "Drawing is slow right now," in slow
    assert "about 4 minutes. Your place is kept." in slow
    Breaker.of(Service.FACE_GEN).pause(timezone.now() + timedelta(minutes=5), "a test")
    cache.clear()
    assert "Drawing is paused for a moment." in text(client.get(CREATE))


@pytest.mark.parametrize("count", [1, 30])
def test_create_costs_eight_queries_at_most_however_many_photos(
    client, ada, count, django_assert_num_queries
):
    for _photo in range(count):
        factories.create_photo(ada)
    client.force_login(ada)
    client.get(CREATE)  # the draft is in the session and the board is read
    with django_assert_num_queries(5):  # session, person, photos, any wish yet, tray
        response = client.get(CREATE)
    assert len(gzip.compress(response.content)) <= 16_000


def test_create_never_prints_a_style_or_an_event_attribute(client, ada):
    factories.create_photo(ada)
    client.force_login(ada)
    assert not re.findall(r"\sstyle=|\son\w+=", text(client.get(CREATE)))
