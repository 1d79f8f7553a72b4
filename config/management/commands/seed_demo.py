"""`seed_demo`: Ada, Ben and Mo, Ada's gallery and three packs, through the real verbs.

Knows the demo and the engine beside us.
"""

import time
from typing import Any

from django.core.management.base import BaseCommand

from avatars.models import AvatarRequest
from config import demo, running

DRAWING_SECONDS = 300


class Command(BaseCommand):
    help = "Make the demo's people, Ada's gallery and three packs; what is there already stays."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - Django's contract
        running.prepare()
        ada = demo.people()["ada"]
        demo.packs()
        with running.engine():
            asked = demo.gallery(ada)
            give_up_at = time.monotonic() + DRAWING_SECONDS
            wanted = [avatar_request.pk for avatar_request in asked]
            rows = AvatarRequest.objects.filter(pk__in=wanted)
            while rows.open().exists() and time.monotonic() < give_up_at:
                time.sleep(0.5)
        rows.update(mail_due_at=None)
        self.stdout.write(
            f"{demo.ADA}, {demo.BEN} and {demo.MO} are here, password {demo.PASSWORD!r}. "
            f"Ada has {ada.avatars.count()} avatars."
        )
