"""Removing: staff take a picture down, and think better of it.

Knows the nouns. What both desks do alike, each inside its own transaction: the moderators' removal
(`moderation.remove`) can be undone and appealed against, so the files stay for the trash's period;
a takedown (`takedowns.accept`) makes it final. Locks are taken wallet, avatar, and the rest after.
"""

from datetime import datetime

from django.utils.translation import gettext as _

from accounts.models import Kind, Transfer, User
from avatars.models import (
    Attempt,
    Avatar,
    AvatarRequest,
    Category,
    Export,
    Removal,
    Share,
    State,
)
from avatars.models.takedowns import is_held


def take_down(
    avatar: Avatar,
    category: Category,
    *,
    actor: User,
    gives_back: bool,
    tell_at: datetime,
    now: datetime,
) -> bool:
    """Nobody but staff sees it any more, its link is dead, no export holds it, the provider is
    asked to delete what it has; its owner is owed a letter at `tell_at` and, with `gives_back`, has
    what it cost as a gift. Call inside a transaction. False when it was taken down before: then
    only the gift may be new.
    """
    wish = avatar.request
    if gives_back:
        wish.hold.wallet.lock()
    is_new = avatar.take_down(now, as_evidence=category == Category.MINORS)
    if gives_back and wish.state == State.READY:  # what came as a gift cost nothing
        give_back(wish, actor, category)
    Share.objects.filter(avatar=avatar).remove(now)
    Export.objects.filter(user=avatar.user_id).void(now)  # it would be in the zip
    Attempt.objects.filter(request=wish).owe_erasure(now)
    Removal.objects.get_or_create(
        avatar=avatar, defaults={"category": category, "mail_due_at": tell_at, "created_at": now}
    )
    given = Transfer.objects.filter(reference=goodwill_for(wish)).first()
    Removal.objects.filter(avatar=avatar).update(credits_back=given.amount if given else 0)
    return is_new


def give_back(wish: AvatarRequest, actor: User, category: Category | str) -> bool:
    """What the request cost, as a gift, once however often it is said; nothing for what was never
    charged.
    """
    if wish.state != State.READY:
        return False
    known = category in Category
    reason = Category(category).label if known else _("the first decision was wrong")
    note = _("Given back by our staff: %(reason)s") % {"reason": reason}
    wish.hold.wallet.grant(Kind.GOODWILL, wish.cost, goodwill_for(wish), actor=actor, note=note)
    return True


def goodwill_for(wish: AvatarRequest) -> str:
    return f"goodwill:{wish.reference}"


def put_back(
    avatar: Avatar, *, trashed_at: datetime | None, taken_down_at: datetime | None = None
) -> bool:
    """It hangs where it hung before; with `taken_down_at` its link lives again too. Call inside a
    transaction. False when it is gone for good: its files are deleted, or a takedown was accepted.
    """
    Avatar.objects.filter(pk=avatar.pk).lock()
    is_final = Removal.objects.filter(avatar=avatar, is_final=True).exists()
    if is_final or not avatar.put_up_again(trashed_at):
        return False
    Removal.objects.filter(avatar=avatar).delete()
    if taken_down_at:
        Share.objects.filter(avatar=avatar).bring_back(taken_down_at, held=is_held(avatar))
    return True
