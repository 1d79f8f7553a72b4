"""A busy evening for the staff's pages: what waits at the desk, notices whose hours run out, and
drawing that fails and pauses. Played inside a site (`pages.SCENE`).

Knows the factories and the verbs: everything here goes through them, but the clock of one review.
"""

from datetime import timedelta

from django.utils import timezone

from accounts.models import User
from avatars import intervening, moderation
from avatars.models import Avatar, AvatarRequest, FacePhoto, Reason, ReviewItem, ReviewKind, State
from config.demo import ADA, MO
from tests.factories import create_held, create_request, create_share, create_takedown

AGES = (46, 30, 2)  # hours since each notice came; 48 are promised


def play() -> None:
    now = timezone.now()
    ada, mo = (User.objects.get(email=email) for email in (ADA, MO))
    photo = FacePhoto.objects.filter(user=ada).first()
    hung = list(Avatar.objects.shown().filter(user=ada).order_by("pk"))
    urgent = create_held(ada, "as Taylor Swift on stage, singing", photo=photo)
    soon = {"deadline_at": now + timedelta(minutes=40)}
    AvatarRequest.objects.filter(pk=urgent.request_id).update(**soon)
    ReviewItem.objects.filter(pk=urgent.pk).update(**soon)
    create_held(ada, "as Emma Watson in a library", photo=photo)
    moderation.put_on_desk(
        ReviewKind.REPORT, avatar=hung[0], why="This is me and I did not agree", category="people"
    )
    create_share(hung[1])
    for avatar, hours in zip(hung[2:], AGES, strict=False):
        create_takedown(avatar, now=now - timedelta(hours=hours))
    for number in range(4):
        failing = create_request(ada, photo, prompt=f"lighthouse in fog {number}")
        failing.finish(State.FAILED, (Reason.LATE, Reason.PROVIDER_FAILED)[number % 2], now=now)
    intervening.pause(30, actor=mo, reason="Every second order fails since 18:10.", now=now)
