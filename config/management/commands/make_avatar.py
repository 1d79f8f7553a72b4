"""`make_avatar PHOTO --style … --prompt …`: photo in, avatar out, in a terminal.

Knows the verbs that the pages call. Progress goes to stderr, the finished file's path to stdout;
a refusal is one sentence and a non-zero exit.
"""

import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import NotEnoughCredits, User
from avatars import generation, imaging, safekeeping, storage, words
from avatars.face_check import Verdict
from avatars.models import AvatarRequest, FacePhoto, Quality, State, Style
from avatars.tasks import ring
from config import demo, running

POLL_SECONDS = 0.25
ENGINE_SECONDS = 5  # how often to see that somebody still draws
FORMS = {".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}


# On a clone the person who reads it is whoever runs it.
IN_REVIEW_HERE = (
    "Decide it yourself at /admin/moderation/ (on a clone: `up`, then sign in as mo@example.org); "
    "the credits come back by themselves if nobody does."
)


class Command(BaseCommand):
    help = "Make one avatar from a photo: the same road as the pages, without a browser."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("photo", type=Path, help="JPEG, PNG, WebP or HEIC, up to 10 MB")
        parser.add_argument("--style", required=True, choices=Style.values)
        parser.add_argument("--prompt", required=True, help="the scene, up to 500 characters")
        parser.add_argument("--quality", default=Quality.STANDARD, choices=Quality.values)
        parser.add_argument("--avoid", default="", help="what should not be in the picture")
        parser.add_argument("--user", default=demo.ADA, help="whose credits and gallery (e-mail)")
        parser.add_argument("--out", type=Path, help="where to write it: .webp, .jpg or .png")
        parser.add_argument("--json", action="store_true", help="print facts instead of the path")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's contract
        started = time.monotonic()
        out: Path | None = options["out"]
        if out is not None and out.suffix.lower() not in FORMS:
            raise CommandError(f"{out}: the file is made as .webp, .jpg or .png.")
        running.prepare()
        user = self.person(options["user"])
        photo = self.keep(user, options["photo"])
        avatar_request = self.submit(user, photo, options)
        with running.engine():
            self.follow(avatar_request)
        avatar = avatar_request.avatars.select_related("file", "request").get()
        path = out or Path(avatar.download_name("webp"))
        content = imaging.download_as(storage.read(avatar.master_key), FORMS[path.suffix.lower()])
        path.write_bytes(content)
        user.wallet.refresh_from_db()
        facts = {
            "path": str(path),
            "id": str(avatar.public_id),
            "style": avatar.style,
            "width": avatar.width,
            "height": avatar.height,
            "seconds": round(time.monotonic() - started, 1),
            "credits_charged": avatar_request.cost,
            "credits_left": user.wallet.spendable,
        }
        self.stdout.write(json.dumps(facts) if options["json"] else str(path))

    def person(self, email: str) -> User:
        if email == demo.ADA:
            return demo.people()["ada"]
        user = User.objects.select_related("wallet", "quota").filter(email__iexact=email).first()
        if user is None:
            raise CommandError(f"There is no account for {email}.")
        return user

    def keep(self, user: User, path: Path) -> FacePhoto:
        self.stderr.write("By passing this photo you agree to its use as /privacy/face-data/ says.")
        try:
            with path.open("rb") as file:
                photo = safekeeping.accept(user, file, consent=demo.consent(user))
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}.") from error
        except imaging.PhotoRefused as refusal:
            raise CommandError(words.photo_refusal(refusal)) from refusal
        except safekeeping.PhotoBlocked as refusal:
            raise CommandError(str(words.PHOTO_BLOCKED)) from refusal
        except safekeeping.NoClearFace as refusal:
            raise CommandError(words.judgement(refusal.verdict).sentence) from refusal
        except storage.StorageAway as error:
            raise CommandError(str(words.STORAGE_AWAY)) from error
        self.stderr.write(words.judgement(Verdict.from_dict(photo.verdict)).sentence)
        return photo

    def submit(self, user: User, photo: FacePhoto, options: dict[str, Any]) -> AvatarRequest:
        wish = generation.Wish(
            photo=photo,
            prompt=options["prompt"],
            avoid=options["avoid"],
            style=Style(options["style"]),
            quality=Quality(options["quality"]),
        )
        try:
            avatar_request = generation.submit(user, wish)
        except (generation.SubmitRefused, NotEnoughCredits) as refusal:
            safekeeping.erase(photo)
            raise CommandError(words.refusal(refusal, wish.quality)) from refusal
        ring([avatar_request.pk])
        return avatar_request

    def follow(self, avatar_request: AvatarRequest) -> None:
        """Say each new state until the end. CommandError when it ends without a picture."""
        said = None
        asked_at = time.monotonic()
        while True:
            avatar_request.refresh_from_db()
            if avatar_request.state != said:
                said = avatar_request.state
                self.stderr.write(str(State(said).label))
            if not avatar_request.is_open():
                break
            if avatar_request.state == State.HELD:
                # Hours, perhaps; a terminal that waits so long tells nobody anything.
                raise CommandError(f"{words.IN_REVIEW} {IN_REVIEW_HERE}")
            if time.monotonic() - asked_at > ENGINE_SECONDS:
                asked_at = time.monotonic()
                if not running.is_running():
                    raise CommandError(
                        "The engine has stopped. Your avatar goes on at the next start."
                    )
            time.sleep(POLL_SECONDS)
        AvatarRequest.objects.filter(pk=avatar_request.pk).update(mail_due_at=None)
        if avatar_request.state != State.READY:
            wallet = avatar_request.user.wallet
            wallet.refresh_from_db()
            returned = words.credits_back(avatar_request.cost, wallet.spendable)
            raise CommandError(f"{words.why_ended(avatar_request)} {returned}")
