"""A moderation desk with many reviews: half of them wait, half are decided; six look the same.

Knows the models, the factories and `making`.
"""

import random
from datetime import timedelta
from itertools import islice

from django.utils import timezone

from avatars.models import (
    Avatar,
    AvatarRequest,
    Category,
    ReviewItem,
    ReviewKind,
    ReviewOutcome,
    State,
)
from tests import factories
from tests.bench.inside import making

AT_ONCE = 2000
ALIKE = 6


def desk(number: int) -> dict[str, str]:
    """So many reported pictures of making.PEOPLE people. Returns a moderator's cookie and the path
    of the most urgent one that waits.
    """
    making.requests(number, {"state": State.FAILED, "deadline": timezone.now(), "reason": "late"})
    digits = Avatar._meta.get_field("near_hash").max_length or 0
    seeded = random.Random(number)
    hashes = [f"{seeded.getrandbits(4 * digits):0{digits}x}" for _ in range(number)]
    hashes[-ALIKE:] = [hashes[0]] * ALIKE
    requests = AvatarRequest.objects.order_by("pk").values_list("pk", "user_id")
    avatars = iter(
        Avatar(
            user_id=user,
            request_id=pk,
            style="anime",
            alt="Anime avatar",
            width=512,
            height=768,
            colour=3,
            mark_id=f"bench-{pk}",
            near_hash=near_hash,
        )
        for (pk, user), near_hash in zip(requests.iterator(), hashes, strict=True)
    )
    while made := Avatar.objects.bulk_create(list(islice(avatars, AT_ONCE))):
        ReviewItem.objects.bulk_create(review(avatar) for avatar in made)
    making.settle(Avatar, ReviewItem)
    first = ReviewItem.objects.waiting().in_order()[0]
    moderator = factories.create_moderator(f"sam{number}@example.org")
    return {
        "cookie": making.cookie_of(moderator),
        "item": f"/admin/moderation/{first.public_id}/",
    }


def review(avatar: Avatar) -> ReviewItem:
    now = timezone.now()
    decided = {"outcome": ReviewOutcome.KEPT, "decided_at": now}
    return ReviewItem(
        kind=ReviewKind.REPORT,
        person_id=avatar.user_id,
        avatar_id=avatar.pk,
        category=Category.PEOPLE,
        deadline_at=now + timedelta(hours=48),
        **(decided if avatar.pk % 2 else {}),
    )
