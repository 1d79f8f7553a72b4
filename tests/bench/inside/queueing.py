"""A line in virtual time: the real submit and dispatch, with drawing played by a clock.

Knows generation, sending and the models; moves this process's time.
"""

import heapq
import random
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import User
from avatars import generation, sending
from avatars.face_gen import Answer
from avatars.face_gen import Outcome as Seen
from avatars.models import Attempt, AvatarRequest, FacePhoto, State
from tests import factories
from tests.bench.inside import making

MEAN_SECONDS = 15.0
SPREAD = 0.5  # drawing takes 7.5 to 22.5 seconds
BEGINNING = datetime(2026, 1, 5, tzinfo=UTC)
# So many pictures must be known before the line is promised anything but "about a minute".
KNOWN_PICTURES = 10
LAST_ARRIVAL = 0.9  # of the time that the long line takes


@dataclass
class Wish:
    arrived_at: float
    drawing: float
    started_at: float = 0.0


class Line:
    """The engine's rows, and a studio of `slots` places that finishes jobs at their time."""

    def __init__(self, traveller: Any, chance: random.Random) -> None:
        self.traveller, self.chance = traveller, chance
        self.now = 0.0
        self.wishes: dict[int, Wish] = {}
        self.drawing: list[tuple[float, int]] = []

    def go_to(self, moment: float) -> None:
        self.traveller.move_to(BEGINNING + timedelta(seconds=moment))
        self.now = moment

    def arrive(self, user_pk: int, moment: float) -> int:
        while self.drawing and self.drawing[0][0] <= moment:
            self.finish_next()
        self.go_to(moment)
        return self.join(user_pk)

    def join(self, user_pk: int) -> int:
        user = User.objects.select_related("wallet", "quota").get(pk=user_pk)
        photo = FacePhoto.objects.get(user=user)
        wish = Wish(self.now, MEAN_SECONDS * self.chance.uniform(1 - SPREAD, 1 + SPREAD))
        pk = generation.submit(user, factories.wish(photo)).pk
        self.wishes[pk] = wish
        self.fill()
        return pk

    def fill(self) -> None:
        """What dispatch starts is accepted by the provider at once."""
        for pk in sending.dispatch():
            wish = self.wishes[pk]
            wish.started_at = self.now
            avatar_request = AvatarRequest.objects.get(pk=pk)
            attempt = avatar_request.attempts.get()
            Attempt.objects.filter(pk=attempt.pk).update(sent_at=timezone.now())
            accepted = Answer(Seen.ACCEPTED, job_id=str(pk), eta=MEAN_SECONDS)
            sending.record(avatar_request, attempt, accepted)
            heapq.heappush(self.drawing, (self.now + wish.drawing, pk))

    def finish_next(self) -> None:
        """The next picture is done: brought home, kept, and its place given on."""
        moment, pk = heapq.heappop(self.drawing)
        self.go_to(moment)
        avatar_request = AvatarRequest.objects.select_related("hold__wallet").get(pk=pk)
        attempt = avatar_request.attempts.get()
        done = Answer(Seen.DONE, job_id=str(pk), outputs=("http://127.0.0.1:9/0.png",))
        sending.record(avatar_request, attempt, done)
        assert avatar_request.finish(State.READY, now=timezone.now())
        self.fill()


def newcomers_behind(waiting: int, newcomers: int, seed: int) -> dict[str, float]:
    """Mean turnovers that newcomers wait who come one by one, at chance moments, behind somebody
    with so many requests; and what arrival order would have made of the very same wishes.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:  # time is virtual here; the disk's is not measured
            cursor.execute("PRAGMA synchronous=OFF")
    chance = random.Random(seed)
    with time_machine.travel(BEGINNING, tick=False) as traveller:
        first, crowd, *others = making.people(2 + newcomers, credits=waiting)
        line = Line(traveller, chance)
        for _ in range(KNOWN_PICTURES):
            line.join(first)
        while line.drawing:
            line.finish_next()
        line.wishes.clear()
        began_at = line.now
        for _ in range(waiting):
            line.join(crowd)
        turnover = MEAN_SECONDS / settings.FACE_GEN_SLOTS
        apart = LAST_ARRIVAL * waiting * turnover / newcomers
        arrivals = [began_at + apart * (number + chance.random()) for number in range(newcomers)]
        new = [line.arrive(who, at) for who, at in zip(others, arrivals, strict=True)]
        while not all(line.wishes[pk].started_at for pk in new):
            line.finish_next()
    delays = [line.wishes[pk].started_at - line.wishes[pk].arrived_at for pk in new]
    return {
        "turnovers": statistics.mean(delays) / turnover,
        "arrival_order": by_arrival(line.wishes, new) / turnover,
    }


def by_arrival(wishes: dict[int, Wish], new: list[int]) -> float:
    """Mean delay in seconds of the same newcomers if whoever came first were drawn first."""
    order = sorted(wishes, key=lambda pk: (wishes[pk].arrived_at, pk))
    places = [0.0] * settings.FACE_GEN_SLOTS
    delays = {}
    for pk in order:
        wish = wishes[pk]
        start = max(wish.arrived_at, heapq.heappop(places))
        delays[pk] = start - wish.arrived_at
        heapq.heappush(places, start + wish.drawing)
    return statistics.mean(delays[pk] for pk in new)
