"""Create: photo, style, words, quality and the price on the button; the draft survives everything.

Knows `generation.submit`, the board and words. Whatever is refused, what was typed is kept.
"""

from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from django.db.models import F, Q
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.limits import MAKING, who
from accounts.models import NotEnoughCredits, User
from avatars import generation, scenes, tasks, words
from avatars.forms import CreateForm, new_number
from avatars.models import AvatarRequest, FacePhoto, Keep, Quality, Style
from avatars.views import board
from avatars.views.drafts import FIRST_DRAFT, KEPT_ID_LETTERS, Draft
from avatars.views.guards import PersonRequest, signed_in
from avatars.views.pages import style_choices
from avatars.views.photos import link_to, own_photo, thumb_size

WELCOMED = "welcomed"
PHOTOS_SHOWN = 8
PHOTOS_READ = 200  # far above PHOTOS_KEPT, which two uploads at once may pass a little

STATUS_OF: dict[type[Exception], int] = {
    generation.WordsRefused: 422,
    generation.WordsMissing: 422,
    generation.PhotoGone: 422,
    generation.TooManyOpen: 429,
    generation.TooManyToday: 429,
}
FIELD_OF: dict[type[Exception], str] = {
    generation.WordsRefused: "prompt",
    generation.WordsMissing: "prompt",
    generation.PhotoGone: "photo",
}
CONFLICT = 409  # nothing wrong with the form: prices, credits, consent or the line have moved


def create(request: PersonRequest) -> HttpResponseBase:
    """The draft is kept before anybody asks who is there: a session may have ended meanwhile."""
    if request.method == "POST":
        Draft.from_form(request.POST).keep(request.session)
    return make(request)


@signed_in
def make(request: PersonRequest) -> HttpResponse:
    """GET fills the form in; POST makes an avatar, or is a small step of the form itself."""
    photos = saved_photos(request.user)
    if request.method != "POST":
        draft = prefilled(request)
        refused = gone_photo(request, draft, photos)
        draft.keep(request.session)
        return page(request, draft, photos, refused=refused)
    draft = Draft.from_form(request.POST)
    if "go" in request.POST:
        return go(request, request.POST["go"], draft, photos)
    return submit(request, draft, photos)


def saved_photos(user: User) -> list[FacePhoto]:
    """The photos that are there, the last used first."""
    present = FacePhoto.objects.filter(user=user).present(timezone.now()).select_related("thumb")
    return list(present.order_by(F("last_used_at").desc(nulls_last=True), "-pk")[:PHOTOS_READ])


def prefilled(request: PersonRequest) -> Draft:
    """The kept draft, changed by what the address asks for."""
    draft = Draft.of(request.session) or FIRST_DRAFT
    asked = request.GET
    if "from" in asked:
        draft = Draft.like(earlier_request(request.user, asked["from"]))
    if "photo" in asked:
        draft = replace(draft, photo=asked["photo"][:KEPT_ID_LETTERS])
    if asked.get("style") in Style:
        draft = replace(draft, style=asked["style"])
    if asked.get("quality") in Quality:
        draft = replace(draft, quality=asked["quality"])
    if preset := scenes.PRESETS_BY_KEY.get(asked.get("preset", "")):
        draft = replace(draft, prompt=str(preset.text))
    return draft


def earlier_request(user: User, public_id: str) -> AvatarRequest:
    """What one of this person's requests or avatars was made from; 404 for anybody else's."""
    try:
        number = UUID(public_id)
    except ValueError as error:
        raise Http404 from error
    own = AvatarRequest.objects.filter(user=user).select_related("photo")
    found = own.filter(Q(public_id=number) | Q(avatars__public_id=number)).first()
    if found is None:
        raise Http404
    return found


def gone_photo(request: PersonRequest, draft: Draft, photos: list[FacePhoto]) -> str:
    """A sentence when the wish is for a photo that is gone; 404 when the address names one that
    was never theirs. Whoever has no photo left and asks for none in particular is only asked for
    a first one.
    """
    present = {str(photo.public_id) for photo in photos}
    named = request.GET.get("photo")
    if named is not None and named not in present:
        own_photo(request, named)
        return str(words.PHOTO_GONE)
    if not draft.photo or draft.photo in present:
        return ""
    return str(words.PHOTO_GONE) if photos or "from" in request.GET else ""


# ── Small steps of the form, without a script ───────────────────────────────────────────────────


def go(request: PersonRequest, step: str, draft: Draft, photos: list[FacePhoto]) -> HttpResponse:
    """A button of the form that spends nothing: to the photo, a preset, another quality."""
    name, _colon, value = step.partition(":")
    if name == "photo":
        return redirect("face_new")
    if name == "welcome":
        request.session[WELCOMED] = True
    elif name == "preset" and value in scenes.PRESETS_BY_KEY:
        draft = replace(draft, prompt=str(scenes.PRESETS_BY_KEY[value].text))
    elif name == "quality" and value in Quality:
        draft = replace(draft, quality=value)
    draft.keep(request.session)
    return page(request, draft, photos, number=request.POST.get("number", ""))


# ── Submit ──────────────────────────────────────────────────────────────────────────────────────


def submit(request: PersonRequest, draft: Draft, photos: list[FacePhoto]) -> HttpResponse:
    if wait := MAKING.spend(who(request)):
        number = request.POST.get("number", "")
        sentence = words.too_fast(wait)
        refused = page(request, draft, photos, number=number, refused=sentence, status=429)
        refused.headers["Retry-After"] = str(wait)
        return refused
    form = CreateForm(request.POST, user=request.user, photos=photos)
    if not form.is_valid():
        # Neither is typed by anybody: a page that sends them wrong is to be sent afresh.
        hidden = [form.errors.pop(name, None) for name in ("number", "shown_cost")]
        if any(hidden):
            return page(
                request, draft, photos, form=form, refused=str(words.FORM_TOO_OLD), status=CONFLICT
            )
        return page(request, draft, photos, form=form, number=form.data["number"], status=422)
    wish = generation.Wish(
        photo=form.cleaned_data["photo"],
        prompt=form.cleaned_data["prompt"],
        style=Style(form.cleaned_data["style"]),
        quality=Quality(form.cleaned_data["quality"]),
        avoid=form.cleaned_data["avoid"],
        number=form.cleaned_data["number"],
        shown_cost=form.cleaned_data["shown_cost"],
    )
    try:
        avatar_request = generation.submit(request.user, wish)
    except (generation.SubmitRefused, NotEnoughCredits) as error:
        return refusal(request, draft, form, error)
    tasks.ring_one(avatar_request.pk, queue="look")
    return redirect("job", avatar_request.public_id)


def refusal(
    request: PersonRequest,
    draft: Draft,
    form: CreateForm,
    error: generation.SubmitRefused | NotEnoughCredits,
) -> HttpResponse:
    """The same page with everything kept, and the sentence where it belongs."""
    sentence = words.refusal(error, Quality(draft.quality))
    photos = saved_photos(request.user)  # one of them may just have gone
    field = FIELD_OF.get(type(error))
    if field:
        form.add_error(field, sentence)
    return page(
        request,
        draft,
        photos,
        form=form,
        number=form.data["number"],
        refused="" if field else sentence,
        way_out=way_out(error),
        status=STATUS_OF.get(type(error), CONFLICT),
    )


def way_out(error: generation.SubmitRefused | NotEnoughCredits) -> tuple[str, str] | None:
    """Address and words of the link beside a refusal, where there is one."""
    match error:
        case generation.ConsentMissing():
            return f"{reverse('face_consent')}?next=create", _("Read and decide")
        case NotEnoughCredits(wallet=wallet) if not wallet.frozen:
            return reverse("credits"), _("Get credits")
        case generation.TooManyOpen():
            return reverse("gallery"), _("See them")
    return None


# ── The page ────────────────────────────────────────────────────────────────────────────────────


def page(
    request: PersonRequest,
    draft: Draft,
    photos: list[FacePhoto],
    *,
    form: CreateForm | None = None,
    number: str = "",
    refused: str = "",
    way_out: tuple[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    user = request.user
    if form is None:
        form = CreateForm(None, user=user, photos=photos, initial=asdict(draft))
    if len(form.errors) == 1 and not refused:
        # One fault is said at the top too: its field may lie below the fold.
        name, sentences = next(iter(form.errors.items()))
        refused, way_out = str(sentences[0]), (f"#id_{name}", _("Change it"))
    if draft.photo:
        chosen = next((p for p in photos if str(p.public_id) == draft.photo), None)
    else:
        chosen = next(iter(photos), None)
    context = {
        "form": form,
        "number": number or new_number(user),
        "photos": [photo_choice(p, selected=p is chosen) for p in shown_first(photos, chosen)],
        "chosen": chosen and photo_choice(chosen, selected=True),
        "gone_photo": "" if chosen else draft.photo,
        "more_photos": len(photos) > PHOTOS_SHOWN,
        "styles": style_choices(draft.style),
        "preset_groups": [
            {"style": style.value, "presets": presets, "shown": style == draft.style}
            for style, presets in scenes.PRESETS.items()
        ],
        "additions": additions(),
        "qualities": quality_choices(user, draft),
        "barred": words.barred(user),
        "minutes": board.promised_minutes(user),
        "weather": board.weather(),
        "expected": board.expected_words(draft.style, draft.quality),
        "welcome": welcome(request, photos),
        "refused": refused,
        "way_out": way_out and {"href": way_out[0], "label": way_out[1]},
    }
    return render(request, "avatars/create.html", context, status=status)


def shown_first(photos: list[FacePhoto], chosen: FacePhoto | None) -> list[FacePhoto]:
    """As many as the page has room for, the chosen one always among them."""
    shown = photos[:PHOTOS_SHOWN]
    return shown if chosen is None or chosen in shown else [chosen, *shown[:-1]]


def photo_choice(photo: FacePhoto, *, selected: bool) -> dict[str, Any]:
    width, height = thumb_size(photo)
    return {
        "value": str(photo.public_id),
        "url": link_to(photo.thumb),
        "width": width,
        "height": height,
        "deletes_at": None if photo.keep == Keep.READY else photo.delete_at,
        "selected": selected,
    }


def additions() -> list[dict[str, Any]]:
    """The four small selects; the first option is only a name and adds nothing."""
    return [
        {
            "id": f"add-{key}",
            "label": label,
            "options": [
                {"value": "", "label": _("Add…")},
                *({"value": word, "label": word} for word in choices),
            ],
        }
        for key, (label, choices) in scenes.ADDITIONS.items()
    ]


def quality_choices(user: User, draft: Draft) -> list[dict[str, Any]]:
    """Each quality with its price, its pace, and what pressing the button would leave."""
    balance = user.wallet.spendable
    return [quality_choice(user, quality, draft, balance) for quality in Quality]


def quality_choice(user: User, quality: Quality, draft: Draft, balance: int) -> dict[str, Any]:
    drawing = board.drawing(draft.style, quality)
    affordable = [q for q in Quality if q.cost <= balance and q.cost < quality.cost]
    instead = affordable[-1] if affordable else None
    is_enough = quality.cost <= balance
    return {
        "value": quality.value,
        "label": quality.label,
        "note": words.about(drawing.p50) if drawing.known else "",
        "cost": quality.cost,
        "credits": words.credits(quality.cost),
        "selected": quality.value == draft.quality,
        "is_enough": is_enough,
        "after": balance - quality.cost,
        "missing": "" if is_enough else words.not_enough(user.wallet, quality),
        "instead": instead
        and {
            "value": instead.value,
            "label": instead.label,
            "credits": words.credits(instead.cost),
        },
    }


def welcome(request: PersonRequest, photos: list[FacePhoto]) -> dict[str, Any] | None:
    """The strip of the first visit; it goes after the first wish, or when it is closed."""
    if request.session.get(WELCOMED) or not request.user.wallet.spendable:
        return None
    if AvatarRequest.objects.filter(user=request.user).exists():
        return None
    return {"words": words.welcome(request.user.wallet.spendable), "has_photo": bool(photos)}
