"""Every code of the house has its words for people, and they say true numbers.

Knows words, the nouns and the verbs' errors.
"""

from datetime import UTC, datetime
from string import ascii_letters

import pytest
from django.template.loader import get_template
from django.urls import reverse

from accounts.models import Kind, NotEnoughCredits
from avatars import generation, scenes, screening, words
from avatars.face_check import Verdict
from avatars.imaging import PhotoRefused
from avatars.models import Category, Pace, Quality, Reason, State, Style
from avatars.models.avatar_requests import PROMPT_LIMIT
from tests import factories

RULES = screening.Rules(screening.shipped_rules())
KNOWN = Pace(known=True, p50=20.0, p80=24.0, p90=30.0, p95=41.0)
UNKNOWN = Pace(known=False, p50=60.0, p80=60.0, p90=60.0, p95=60.0)


def verdict(*warnings: str, blocks: str | None = None, faces: int = 1) -> Verdict:
    return Verdict(faces, None, blocks, warnings, 380, 600)


def test_every_state_has_word_icon_and_tone():
    assert set(words.STATUS) == set(State)
    for status in words.STATUS.values():
        assert str(status.word)
        assert status.tone in {"info", "muted", "accent", "ok", "bad"}
        get_template(f"components/icons/{status.icon}.html")


def test_the_eight_status_words_are_the_agreed_ones():
    assert {str(status.word) for status in words.STATUS.values()} == {
        "In review",
        "In line",
        "Drawing",
        "Saving",
        "Ready",
        "Failed, credits returned",
        "Cancelled",
        "Removed",
    }


def test_every_reason_has_a_sentence_and_a_way_on_that_exists():
    assert set(words.ENDINGS) == set(Reason)
    for reason in Reason:
        assert words.reason_sentence(reason).endswith(".")
        assert reverse(words.next_step(reason).address).startswith("/")


def test_no_sentence_exclaims_or_says_oops():
    said = [words.reason_sentence(reason) for reason in Reason]
    said += [str(sentence) for sentence in (*words.WARNINGS.values(), *words.BLOCKS.values())]
    assert not [sentence for sentence in said if "!" in sentence or "oops" in sentence.lower()]


@pytest.mark.parametrize(
    "code", ["shoulders", "face_cut", "small_face", "small_picture", "blurred", "dark"]
)
def test_every_warning_of_a_photo_is_one_amber_sentence(code):
    judged = words.judgement(verdict(code))
    assert (judged.tone, judged.word) == ("warn", "Usable")
    assert judged.sentence.endswith(".")
    assert "%" not in judged.sentence


def test_every_code_of_the_face_check_has_words():
    documented = Verdict.__doc__ or ""
    for code in (*words.WARNINGS, *words.BLOCKS):
        assert code in documented
    named = documented.split("`blocks`:")[1].translate(str.maketrans(",.:", "   ")).split()
    codes = {name for name in named if "_" in name or name in words.WARNINGS}
    assert codes == {*words.WARNINGS, *words.BLOCKS}


def test_the_most_important_warning_is_the_one_that_is_said():
    assert words.judgement(verdict("shoulders", "dark")).sentence == (
        "The shoulders are cut off; the likeness may suffer."
    )


def test_a_small_picture_is_told_its_size():
    assert words.judgement(verdict("small_picture")).sentence == (
        "It is 380 pixels wide; 512 or more looks much better."
    )


def test_two_faces_are_counted_in_words_and_many_in_figures():
    def said(faces: int) -> str:
        return words.judgement(verdict(blocks="many_faces", faces=faces)).sentence

    assert said(2) == "We found two faces. Crop to just yours."
    assert said(9) == "We found 9 faces. Crop to just yours."


def test_a_photo_without_faults_is_simply_great():
    judged = words.judgement(verdict())
    assert (judged.tone, judged.sentence) == ("ok", "Great photo.")


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [
        (
            PhotoRefused("too_big", bytes=14 * 1024 * 1024, limit=10 * 1024 * 1024),
            "This file is 14 MB; the limit is 10 MB. A smaller copy works just as well.",
        ),
        (
            PhotoRefused("too_big", bytes=10 * 1024 * 1024 + 1, limit=10 * 1024 * 1024),
            "This file is 10.1 MB; the limit is 10 MB. A smaller copy works just as well.",
        ),
        (
            PhotoRefused("not_a_picture"),
            "This file isn't a picture we can read. JPEG, PNG, WebP and HEIC work.",
        ),
        (PhotoRefused("animated", frames=12), "This picture moves. Choose a still one."),
        (
            PhotoRefused("too_many_pixels", limit=50),
            "This picture has more than 50 megapixels. A smaller copy works just as well.",
        ),
        (
            PhotoRefused("too_small", width=40, height=50),
            "This picture is only 40 × 50 pixels. Choose a larger one.",
        ),
    ],
)
def test_a_refused_upload_is_told_why_and_what_works(refused, sentence):
    assert words.photo_refusal(refused) == sentence


def test_every_code_of_a_refused_upload_has_words():
    documented = PhotoRefused.__doc__ or ""
    assert {code for code in words.PHOTO_REFUSALS if code in documented} == set(
        words.PHOTO_REFUSALS
    )
    named = documented.split("sentence:")[1]
    codes = {part.split("(")[0].strip(" ·.\n") for part in named.split("·")}
    assert codes == set(words.PHOTO_REFUSALS)


REFUSALS = [
    (generation.WordsMissing(), f"Describe the scene in 1 to {PROMPT_LIMIT} characters."),
    (
        generation.WordsRefused("hate"),
        "This description can't be used because it asks for hate. No credits were used.",
    ),
    (
        generation.WordsRefused("a category of tomorrow"),
        "This description can't be used because it asks for something our rules exclude. "
        "No credits were used.",
    ),
    (generation.PhotoGone(), "That photo is deleted. Choose another."),
    (
        generation.ConsentMissing(),
        "Before the next avatar, please read how your face photo is used.",
    ),
    (generation.PriceMoved(2), "The price is now 2 credits. Press again if that is fine."),
    (
        generation.TooManyOpen(10),
        "10 avatars are in the making, which is your limit. The next can start when one is done.",
    ),
    (
        generation.TooManyToday(100, datetime(2026, 11, 23, tzinfo=UTC)),
        "100 avatars a day is your limit. The next can start at 00:00.",
    ),
    (
        generation.TooManyToday(1, datetime(2026, 11, 23, tzinfo=UTC)),
        "1 avatar a day is your limit. The next can start at 00:00.",
    ),
    (
        generation.LineTooLong(),
        "The wait is over 45 minutes now, longer than we can promise anything for. "
        "No credits were used.",
    ),
    (
        generation.Suspended(),
        "Your account is suspended: you can look and leave, but not make.",
    ),
]


@pytest.mark.parametrize(("error", "sentence"), REFUSALS)
def test_every_refusal_of_a_wish_has_its_sentence(error, sentence):
    assert words.refusal(error, Quality.FAST) == sentence


def test_no_refusal_of_a_wish_is_without_a_sentence():
    told = {type(error) for error, _sentence in REFUSALS}
    assert told == set(generation.SubmitRefused.__subclasses__())


def test_every_category_of_the_screening_has_words():
    assert set(words.CATEGORIES) == {*Category, "rules"}
    assert set(screening.ORDER) <= set(words.CATEGORIES)
    assert set(words.REASONS) == set(Category)
    assert len({words.rejected(category) for category in ("", *Category)}) == len(Category) + 1
    assert len({words.removed(category) for category in ("", *Category)}) == len(Category) + 1


def test_whoever_has_too_little_is_told_both_numbers(ben):
    factories.give(ben, 1)
    error = NotEnoughCredits(ben.wallet, 2)
    assert words.refusal(error, Quality.FINE) == "Fine needs 2, you have 1."


def test_whoever_owes_is_told_so_plainly(ben):
    ben.wallet.owed = 12
    assert words.refusal(NotEnoughCredits(ben.wallet, 1), Quality.FAST) == (
        "You owe 12 credits because a payment was reversed. Buying a pack settles it first."
    )


def test_a_frozen_wallet_is_not_blamed_on_the_person(ben):
    ben.wallet.frozen = True
    assert words.refusal(NotEnoughCredits(ben.wallet, 1), Quality.FAST) == (
        "Your credits are being checked by our staff. Nothing was charged."
    )


def test_an_error_without_words_is_a_fault_of_ours():
    with pytest.raises(TypeError):
        words.refusal(KeyError("x"), Quality.FAST)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "about 5 seconds"),
        (21, "about 25 seconds"),
        (119, "about 2 minutes"),
        (121, "about 3 minutes"),
        (600, "about 10 minutes"),
    ],
)
def test_waits_are_rounded_up_to_five_seconds_or_a_minute(seconds, said):
    assert words.about(seconds) == said


def test_before_ten_were_drawn_it_is_about_a_minute():
    assert words.about(60, known=False) == "about a minute"


def test_time_that_passed_is_never_overstated():
    assert words.so_far(104.9) == "1 min 40 s"
    assert words.so_far(59.9) == "55 seconds"


def test_the_line_says_place_wait_and_how_sure_that_is():
    assert words.wait_in_line(3, 20.0, KNOWN) == (
        "3rd in line, about 40 seconds; 95 % are done within 65 seconds."
    )
    assert words.wait_in_line(1, 0.0, UNKNOWN) == "1st in line, about a minute."
    assert (
        words.wait_in_line(101, 700.0, KNOWN) == "More than 100 are before you: about 12 minutes."
    )


def test_a_place_names_the_whole_line_as_far_as_it_is_counted():
    assert words.place(3, 9) == "3rd of 9"
    assert words.place(3, 101) == "3rd of more than 100"
    assert words.place(101, 101) == "more than 100 before you"


def test_drawing_counts_down_and_then_says_that_it_is_slow():
    assert words.drawing(4.0, KNOWN) == "About 20 seconds left."
    assert words.drawing(25.0, KNOWN) == "About 5 seconds left."
    assert words.drawing(31.0, KNOWN) == (
        "Taking longer than usual, 30 seconds so far. You can leave; we'll e-mail you."
    )
    assert words.drawing(10.0, UNKNOWN) == "It takes about a minute."


def test_credits_are_counted_in_the_right_number():
    assert words.credits_back(1, 14) == "Your credit is back (balance 14). You were not charged."
    assert words.credits_back(2, 0) == "Your 2 credits are back (balance 0). You were not charged."
    assert words.credits_charged(1, 13) == "1 credit charged. 13 left."
    assert words.credits_held(2) == "2 credits held"


def test_the_welcome_names_the_credits_only_while_they_are_there(settings):
    settings.WELCOME_CREDITS = 3
    assert words.welcome(3) == "3 free credits are yours."
    assert words.welcome(14) == "Three steps to your first avatar."


def test_ledger_words_of_a_request_are_held_charged_returned():
    assert [str(kind.label) for kind in (Kind.HOLD, Kind.CAPTURE, Kind.RELEASE)] == [
        "Held",
        "Charged",
        "Returned",
    ]


def test_every_style_has_words_and_suggestions_of_its_own():
    assert set(scenes.STYLE_WORDS) == set(scenes.PRESETS) == set(Style)
    keys = [preset.key for presets in scenes.PRESETS.values() for preset in presets]
    assert len(keys) == len(set(keys)) == len(scenes.PRESETS_BY_KEY)


def test_everything_we_suggest_may_be_drawn():
    for presets in scenes.PRESETS.values():
        for preset in presets:
            assert 1 <= len(str(preset.text)) <= PROMPT_LIMIT
            assert RULES.screen(str(preset.text), str(scenes.FIRST_AVOID)).outcome == "pass"
    for _label, additions in scenes.ADDITIONS.values():
        assert all(RULES.screen(str(words_)).outcome == "pass" for words_ in additions)
        assert all(str(words_)[0] in ascii_letters for words_ in additions)
