"""The style guide: every component in every state, fed with plain data that is true to life.

Knows avatars' words and styles, so that it shows what people see; reads no row and writes none.
"""

import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django import forms
from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils import timezone

from avatars.models import State, Style
from avatars.views.pages import style_choices
from avatars.words import STATUS

Data = dict[str, Any]

COLOURS = "bg surface sunken text muted accent ok warn bad info edge hairline"
ICONS = (
    "scan-eye clock brush save check rotate-ccw x shield-x heart download user-round images coins "
    "trash-2 settings log-out menu search copy camera info triangle-alert circle-alert "
    "circle-check gift share-2 shield-check lock image-plus scan-face shuffle"
)
PLACEHOLDERS = 24  # the classes lq-0 to lq-23 of tokens.css
SHAPE = {"width": 512, "height": 768}
SMALL_SHAPE = {"width": 256, "height": 384}


class ExampleForm(forms.Form):
    """One field of every kind that components/field.html draws."""

    email = forms.EmailField(label="E-mail", help_text="We write only about your avatars.")
    password1 = forms.CharField(
        label="Password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 8 letters.",
    )
    keep = forms.ChoiceField(
        label="Delete the photo",
        widget=forms.RadioSelect,
        choices=[
            ("month", "30 days after I last use it"),
            ("day", "24 hours after I last use it"),
            ("ready", "When my avatar is ready (then it can't be compared later)"),
        ],
    )
    news = forms.BooleanField(label="Send me news, seldom", required=False)


class ExampleCreateForm(forms.Form):
    """Fields that a component of their own draws."""

    words = forms.CharField(
        label="Describe the scene",
        max_length=500,
        widget=forms.Textarea,
        help_text="Outfit, place, light, mood",
    )
    photo = forms.FileField(label="Photo")
    agree = forms.BooleanField(label="I agree to this use of my face photo")
    person = forms.BooleanField(
        label="This is me, or I have this person's permission, and they are 18 or older"
    )


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "styleguide.html", {"examples": examples()})


def examples() -> Data:
    """One key per component that takes data; times are near now."""
    now = timezone.localtime()
    return {
        "colours": COLOURS.split(),
        "icons": ICONS.split(),
        "placeholders": range(PLACEHOLDERS),
        "tray": {"count": 2, "revision": "guide"},
        "link_tabs": link_tabs(),
        "messages": [
            Message(constants.SUCCESS, "60 credits added."),
            Message(constants.INFO, "Deleted."),
            Message(constants.ERROR, "That photo is deleted. Choose another."),
        ],
        **filled_forms(),
        "options": [
            {"value": "", "label": "Add…", "selected": True},
            {"value": "soft window light", "label": "Soft window light"},
            {"value": "by the sea at night", "label": "By the sea at night"},
        ],
        "styles": style_choices(selected=Style.ANIME),
        "compare": {"before": sample("original"), "after": sample(Style.ANIME)},
        "consent": "To draw you, we send this photo to our image provider.\n\nWe delete it 30 days "
        "after you last use it, or sooner if you choose.",
        "verdicts": verdicts(),
        "photos": photos(now),
        "statuses": list(dict.fromkeys(STATUS.values())),
        "tiles": tiles(),
        "stages": stages(),
        "started": int(time.time()) - 20,
        "deadline": now + timedelta(minutes=22),
        "charged": [
            {"at": now, "word": "Held", "amount_text": "−1", "number": 1041},
            {"at": now, "word": "Charged", "amount_text": "1", "number": 1042},
        ],
        "returned": [
            {"at": now, "word": "Held", "amount_text": "−1", "number": 1043},
            {"at": now, "word": "Returned", "amount_text": "+1", "note": "no clear face"},
        ],
        "events": events(now),
        "transfers": transfers(now),
        "packs": [
            {"credits": 20, "price": "$4", "each": "20¢ an avatar", "tax": "tax included"},
            {"credits": 60, "price": "$9", "each": "15¢ an avatar", "tax": "tax included"},
            {"credits": 150, "price": "$19", "each": "13¢ an avatar", "tax": "tax included"},
        ],
    }


def sample(name: str, size: str = "") -> str:
    return static(f"img/samples/{name}{size}.webp")


def link_tabs() -> list[Data]:
    groups = {"tokens": "Tokens", "button": "Controls", "tile": "Pictures", "receipt": "Money"}
    return [
        {"href": f"#guide-{name}", "label": label, "current": name == "tokens"}
        for name, label in groups.items()
    ]


def filled_forms() -> Data:
    wrong = ExampleForm({"email": "ada@example", "keep": "never"}, auto_id="wrong_%s")
    wrong.add_error(None, "The e-mail address or the password is not right.")
    wrong_create = ExampleCreateForm({}, auto_id="wrong_%s")
    wrong_create.full_clean()
    return {
        "form": wrong,
        "fresh_form": ExampleForm(auto_id="guide_%s"),
        "create_form": ExampleCreateForm(auto_id="guide_%s"),
        "wrong_create_form": wrong_create,
    }


def verdicts() -> list[Data]:
    photo = {"url": sample("original"), "alt": "The photo you chose", **SHAPE}
    face = {"x": 175, "y": 190, "width": 170, "height": 220}
    sentences = {
        "ok": "Great photo.",
        "warn": "The shoulders are cut off; the likeness may suffer.",
        "bad": "We couldn't find a face in this photo.",
    }
    return [
        {
            "tone": tone,
            "sentence": words,
            "photo": photo,
            "face": face if tone != "bad" else None,
        }
        for tone, words in sentences.items()
    ]


def photos(now: datetime) -> list[Data]:
    photo = {"thumb_url": sample("original", "-256"), "alt": "Your photo", **SMALL_SHAPE}
    good = {"word": "Great photo", "tone": "ok", "icon": "circle-check"}
    blurred = {"word": "Blurred", "tone": "warn", "icon": "triangle-alert"}
    return [
        {**photo, **good, "deletes_at": now + timedelta(days=30), "used": 4},
        {**photo, **blurred, "deletes_at": None, "used": 1},
    ]


def tiles() -> list[Data]:
    waiting = {
        State.QUEUED: "3rd in line, about 40 s",
        State.GENERATING: "Picture or credits back by 10:25",
        State.FAILED: "This took too long, so we stopped.",
    }
    drawn = {
        Style.ANIME: {"favourite": True},
        Style.REALISTIC: {},
        Style.THREE_D: {"gift": True},
        Style.CHIBI: {},
        Style.COMIC: {},
    }
    unfinished = [
        {"avatar": {"public_id": f"guide-{state}"}, "status": STATUS[state], "note": note}
        for state, note in waiting.items()
    ]
    finished = [
        {
            "avatar": SimpleNamespace(
                public_id=f"guide-{style.value}",
                thumb_url=sample(style, "-256"),
                full_url=sample(style),
                alt=f"{style.label} avatar: pirate at dusk",
                colour=number * 5,
                **SHAPE,
                **traits,
            ),
            "favourite_url": "#guide-tile",
            "select": style == Style.COMIC,
        }
        for number, (style, traits) in enumerate(drawn.items())
    ]
    return unfinished + finished


def stages() -> list[list[Data]]:
    held = {"label": "1 credit held", "status": "done"}
    road = [STATUS[state].word for state in (State.QUEUED, State.GENERATING, State.STORING)]
    ready, failed = STATUS[State.READY].word, STATUS[State.FAILED].word
    waiting = [
        {"label": road[0], "status": "now", "note": "3rd of 9, about 40 s"},
        *({"label": word, "status": "next"} for word in (*road[1:], ready)),
    ]
    finished = [{"label": word, "status": "done"} for word in (*road, ready)]
    stopped = [
        {"label": road[0], "status": "done"},
        {"label": failed, "status": "bad", "note": "This took too long, so we stopped."},
    ]
    return [[held, *waiting], [held, *finished], [held, *stopped]]


def events(now: datetime) -> list[Data]:
    done = {
        "camera": "Uploaded from this browser.",
        "shield-check": "Cleaned: location data removed, re-encoded. Kept in our private storage.",
        "share-2": "Sent to ModelsLab by a private link, fetched once, closed at 10:03.",
    }
    ahead = {"at": now + timedelta(days=30), "icon": "trash-2", "text": "Will be deleted."}
    return [
        *({"at": now, "icon": icon, "text": text} for icon, text in done.items()),
        {**ahead, "coming": True},
    ]


def transfers(now: datetime) -> list[Data]:
    rows = [
        ("Charged", "Anime: pirate at dusk", "−1", 63, "#guide-receipt"),
        ("Returned", "no clear face in the photo", "+1", 64, "#guide-receipt"),
        ("Purchase", "", "+60", 63, "#guide-receipt"),
        ("Welcome", "", "+3", 3, ""),
    ]
    return [
        {
            "created_at": now - timedelta(days=number),
            "word": word,
            "note": note,
            "amount_text": amount,
            "balance": balance,
            "href": href,
        }
        for number, (word, note, amount, balance, href) in enumerate(rows)
    ]
