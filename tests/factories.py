"""Plain, typed makers of rows for tests. What can be made through the real verbs is.

Knows the models of both apps.
"""

import itertools
import uuid
from datetime import datetime, timedelta
from pathlib import Path

from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import Consent, CreditPack, Kind, Purchase, User
from accounts.models.payments import Payment
from avatars import generation, imaging, moderation, sharing, storage, takedowns
from avatars.face_check import Verdict
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Category,
    FacePhoto,
    Keep,
    Period,
    Quality,
    ReviewItem,
    ReviewKind,
    Share,
    State,
    StoredFile,
    Style,
    Takedown,
)
from avatars.models.attempts import Outcome, token_hash
from avatars.models.takedowns import new_number

numbers = itertools.count(1)

# The smallest real JPEG: 1×1, grey.
TINY_JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c"
    "1912130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc000"
    "0b080001000101011100ffc4001f0000010501010101010100000000000000000102030405060708090a0bffc400"
    "b5100002010303020403050504040000017d01020300041105122131410613516107227114328191a1082342b1c1"
    "1552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a63"
    "6465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6"
    "b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffda0008"
    "010100003f00fbfcffd9"
)


def create_user(email: str = "", *, credits: int = 0, verified: bool = True, **fields) -> User:
    user = User.objects.create_user(
        email or f"person{next(numbers)}@example.org",
        "correct horse battery",
        verified_at=timezone.now() if verified else None,
        **fields,
    )
    if verified:
        user.emailaddress_set.create(email=user.email, verified=True, primary=True)
    if credits:
        give(user, credits)
    return user


def give(user: User, amount: int) -> None:
    user.wallet.grant(
        Kind.ADJUST_UP, amount, f"adjust:test-{next(numbers)}", note="given by a test"
    )
    user.wallet.refresh_from_db()


def create_pack(**fields) -> CreditPack:
    return CreditPack.objects.create(
        **{"name": "Sixty", "credits": 60, "price_cents": 900, **fields}
    )


def create_purchase(user: User, pack: CreditPack | None = None) -> Purchase:
    """Paid and credited, without asking Stripe."""
    pack = pack or create_pack()
    purchase = Purchase.objects.begin(user, pack)
    number = next(numbers)
    assert purchase.credit(Payment(f"cs_test_{number}", f"pi_{number}", pack.price_cents))
    return purchase


def create_consent(user: User) -> Consent:
    standing = Consent.objects.standing().to(Consent.Kind.FACE, generation.FACE_CONSENT_VERSION)
    return standing.filter(user=user).first() or Consent.objects.create(
        user=user,
        kind=Consent.Kind.FACE,
        version=generation.FACE_CONSENT_VERSION,
        text_hash="0" * 64,
        address="127.0.0.1",
    )


def create_file(user: User, folder: str, suffix: str, content: bytes) -> StoredFile:
    file = StoredFile.objects.begin(folder, suffix, content, user=user, now=timezone.now())
    storage.put(file.key, content)
    StoredFile.objects.keep([file])
    file.refresh_from_db()
    return file


def create_photo(user: User, content: bytes = TINY_JPEG, **fields) -> FacePhoto:
    return FacePhoto.objects.create(
        **{
            "user": user,
            "consent": create_consent(user),
            "file": create_file(user, "photos", "jpg", content),
            "thumb": create_file(user, "photos", "thumb.jpg", content),
            "sha256": "0" * 64,
            "width": 512,
            "height": 512,
            "verdict": Verdict(1, (150, 90, 210, 260), None, (), 512, 512).as_dict(),
            "keep": Keep.MONTH,
            "delete_at": timezone.now() + timedelta(days=30),
            **fields,
        }
    )


def wish(photo: FacePhoto, **fields) -> generation.Wish:
    return generation.Wish(
        **{
            "photo": photo,
            "prompt": "as a lighthouse keeper, evening storm",
            "style": Style.ANIME,
            "quality": Quality.STANDARD,
            "number": uuid.uuid4(),
            **fields,
        }
    )


def create_request(user: User, photo: FacePhoto | None = None, **fields) -> AvatarRequest:
    """In line, through the real submit; one credit is given for it."""
    photo = photo or create_photo(user)
    asked = wish(photo, **fields)
    give(user, asked.quality.cost)
    return generation.submit(user, asked)


def create_attempt(avatar_request: AvatarRequest, **fields) -> Attempt:
    """The request's live attempt, sent a moment ago, with known secrets and the lowest slot."""
    taken = set(Attempt.objects.values_list("slot_no", flat=True))
    return Attempt.objects.create(
        **{
            "request": avatar_request,
            "number": 1,
            "slot_no": next(n for n in itertools.count(1) if n not in taken),
            "sent_at": timezone.now(),
            "doorbell_hash": token_hash(f"doorbell-{avatar_request.pk}"),
            "face_hash": token_hash(f"face-{avatar_request.pk}"),
            "face_open": True,
            **fields,
        }
    )


ROADS_TO = {
    State.QUEUED: (),
    State.SENDING: (State.SENDING,),
    State.UNCERTAIN: (State.SENDING, State.UNCERTAIN),
    State.GENERATING: (State.SENDING, State.GENERATING),
    State.STORING: (State.SENDING, State.GENERATING, State.STORING),
}


def create_request_in(state: State, user: User, **fields) -> AvatarRequest:
    """A request that has come as far as `state` the legal way, due now."""
    avatar_request = create_request(user, **fields)
    now = timezone.now()
    if state not in ROADS_TO:
        endings = {State.READY: State.STORING, State.FAILED: State.QUEUED}
        for step in ROADS_TO[endings.get(state, State.QUEUED)]:
            assert avatar_request.move(step, due_at=now)
        reason = "" if state == State.READY else "late"
        assert avatar_request.finish(state, reason, now=now)
        return avatar_request
    for step in ROADS_TO[state]:
        assert avatar_request.move(step, due_at=now)
    if state in (State.SENDING, State.UNCERTAIN):
        create_attempt(avatar_request)
    elif state == State.GENERATING:
        create_attempt(
            avatar_request,
            provider_job_id=f"9175{avatar_request.pk}",
            accepted_at=now,
            eta=5.0,
        )
    elif state == State.STORING:
        create_attempt(
            avatar_request,
            slot_no=None,
            face_open=False,
            ended_at=now,
            outcome=Outcome.DONE,
            provider_job_id=f"9175{avatar_request.pk}",
            outputs=[["http://127.0.0.1:9/temp/x-0.png"]],
        )
    return avatar_request


def create_avatar(user: User, avatar_request: AvatarRequest | None = None, **fields) -> Avatar:
    avatar_request = avatar_request or create_request_in(State.READY, user)
    return Avatar.objects.create(
        **{
            "user": user,
            "request": avatar_request,
            "file": create_file(user, "avatars", "webp", b"master"),
            "thumb": create_file(user, "avatars", "webp", b"thumb"),
            "style": avatar_request.style,
            "alt": f"Anime avatar: {avatar_request.prompt}",
            "width": 512,
            "height": 768,
            "colour": 3,
            "mark_id": uuid.uuid4().hex,
            "near_hash": "0" * 64,
            **fields,
        }
    )


def create_held(user: User, prompt: str = "as Taylor Swift on stage", **fields) -> ReviewItem:
    """A description that the first rules hold for a person, through the real submit."""
    return ReviewItem.objects.get(request=create_request(user, prompt=prompt, **fields))


def create_reported(user: User, why: str = "This is me and I did not agree", **fields):
    """A finished picture that somebody has reported."""
    avatar = create_avatar(user)
    return moderation.put_on_desk(ReviewKind.REPORT, avatar=avatar, why=why, **fields)


def create_moderator(email: str = "sam@example.org", *, lead: bool = False) -> User:
    """Staff with the right to decide at the desk, and nothing else."""
    rights = ["moderate", "lead"] if lead else ["moderate"]
    user = create_user(email, is_staff=True, display_name=email.partition("@")[0].capitalize())
    user.user_permissions.set(
        Permission.objects.filter(codename__in=rights, content_type__model="reviewitem")
    )
    return user


def create_share(avatar: Avatar, **fields) -> Share:
    """A link to it, through the real verb; `fields` are then written over."""
    made = sharing.share(avatar, period=Period.WEEK, with_words=False, now=timezone.now())
    Share.objects.filter(pk=made.pk).update(**fields)
    made.refresh_from_db()
    return made


def create_takedown(*avatars: Avatar, now: datetime | None = None, **fields) -> Takedown:
    """A notice about these pictures, through the real verb."""
    notice = takedowns.Notice(
        **{
            "number": new_number(),
            "kind": Takedown.Kind.ME,
            "links": "http://127.0.0.1:8000/s/one/",
            "what": "This is my face. I never agreed.",
            "name": "Cleo Doe",
            "contact": "cleo@example.org",
            **fields,
        }
    )
    return takedowns.receive(notice, avatars, now or timezone.now())


def take_down(avatar: Avatar, actor: User, category: Category = Category.PEOPLE) -> bool:
    """Through the real verb: a notice about it is right."""
    return bool(
        takedowns.accept(
            create_takedown(avatar),
            actor=actor,
            category=category,
            reason="",
            give_back=False,
            checked=[],
            now=timezone.now(),
        )
    )


def portrait() -> bytes:
    """A real face: the public-domain portrait of tests/photos/SOURCES.md, as it would be kept."""
    return imaging.clean_photo(
        (Path(__file__).parent / "photos" / "portrait_astronaut.png").read_bytes()
    ).jpeg
