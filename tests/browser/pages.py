"""The pages of the site and how to get there, for screens and checks.

Knows what a person sees, and what `up` prints.
"""

import re
import uuid
from dataclasses import dataclass

from playwright.sync_api import BrowserContext, Page

from tests.site import Site

# As `up` prints them: the browser knows no more than a person does.
ADA, BEN, MO = "ada@example.org", "ben@example.org", "mo@example.org"
PASSWORD = "likeness demo"
PUBLIC = {
    "landing": "/",
    "styles": "/styles/",
    "status": "/status/",
    "pricing": "/pricing/",
    "help": "/help/",
    "safety": "/safety/",
    "report": "/safety/report/",
    "privacy": "/privacy/",
    "face-data": "/privacy/face-data/",
    "terms": "/terms/",
    "sign-up": "/accounts/signup/",
    "sign-in": "/accounts/login/",
    "sign-in-code": "/accounts/login/code/",
    "reset": "/accounts/password/reset/",
    "mailbox": "/dev/mail/",
    "style-guide": "/styleguide/",
    "not-found": "/nowhere/",
}
OWN = {
    "create": "/create/",
    "gallery": "/gallery/",
    "gallery--filtered-empty": "/gallery/?style=chibi&favourite=1",
    "trash": "/gallery/trash/",
    "faces": "/faces/",
    "new-face": "/faces/new/",
    "credits": "/credits/",
    "refunds": "/credits/refund/",
    "statement": "/credits/statement/",
    "privacy-settings": "/settings/privacy/",
    "consent-withdraw": "/settings/privacy/withdraw/",
    "data": "/settings/data/",
    "close-account": "/settings/data/close/",
    "appeal--none": "/safety/appeal/",
    "email": "/accounts/email/",
    "password": "/accounts/password/change/",
    "two-step": "/accounts/2fa/",
    "devices": "/accounts/sessions/",
    "sign-out": "/accounts/logout/",
}
STAFF = {
    "dashboard": "/admin/",
    "provider": "/admin/provider/",
    "provider-pause": "/admin/provider/pause/",
    "decisions": "/admin/accounts/decision/",
    "admin--users": "/admin/accounts/user/",
    "admin--requests": "/admin/avatars/avatarrequest/",
    "admin--packs": "/admin/accounts/creditpack/",
    "admin--pack-new": "/admin/accounts/creditpack/add/",
    "admin--rule-popup": "/admin/avatars/screeningrule/add/?_popup=1",
    "admin--purchases": "/admin/accounts/purchase/",
    "admin--refunds": "/admin/accounts/refund/",
    "admin--transfers": "/admin/accounts/transfer/",
    "admin--photos": "/admin/avatars/facephoto/",
    "admin--rules": "/admin/avatars/screeningrule/",
    "admin--rules-try": "/admin/avatars/screeningrule/try/",
    "desk--empty": "/admin/moderation/",
    "takedowns": "/admin/takedowns/",
}
# For the site's own `manage.py shell -c`, and what is worth a look after it.
SCENE = "from tests.browser import scene; scene.play()"
BUSY = {
    "dashboard--alarming": "/admin/",
    "desk": "/admin/moderation/",
    "provider--paused": "/admin/provider/",
    "takedowns--red": "/admin/takedowns/",
    "decisions--some": "/admin/accounts/decision/",
}


ACTS = ("suspend", "limits", "roles", "photos", "letter")


@dataclass(frozen=True)
class Visit:
    name: str
    path: str
    who: str  # "" for a stranger


def visits(site: Site) -> list[Visit]:
    """Every page with something on it, Ada's own among them."""
    found = [Visit(name, path, "") for name, path in PUBLIC.items()]
    found += [Visit(name, path, ADA) for name, path in OWN.items()]
    for name, sql in {
        "viewer": "select public_id from avatars_avatar order by id limit 1",
        "job--ready": "select public_id from avatars_avatarrequest where state = 'ready' limit 1",
        "face": "select public_id from avatars_facephoto limit 1",
    }.items():
        folder = {"viewer": "gallery", "face": "faces"}.get(name, "jobs")
        public_id = uuid.UUID(site.rows(sql)[0][0])
        found.append(Visit(name, f"/{folder}/{public_id}/", ADA))
    receipt = next(visit for visit in found if visit.name == "job--ready")
    found.append(Visit("receipt", f"{receipt.path}receipt/", ADA))
    found += [
        Visit(f"{name}--empty", OWN[name], BEN)
        for name in (
            *("create", "gallery", "trash", "faces", "new-face", "credits"),
            "privacy-settings",
        )
    ]
    photo = next(visit for visit in found if visit.name == "face").path.split("/")[2]
    found.append(Visit("admin--photo-open", f"/admin/photos/{photo}/", MO))
    user = site.rows(f"select id from accounts_user where email = '{BEN}'")[0][0]
    found += [Visit(name, path, MO) for name, path in STAFF.items()]
    ada = site.rows(f"select id from accounts_user where email = '{ADA}'")[0][0]
    found.append(Visit("person", f"/admin/accounts/user/{ada}/change/", MO))
    found += [Visit(f"person-{act}", f"/admin/people/{user}/{act}/", MO) for act in ACTS]
    found.append(Visit("give-credits", f"/admin/people/{user}/credits/", MO))
    return found


def busy(site: Site) -> list[Visit]:
    """What the scene has put on the staff's pages, before its people and before strangers."""
    found = [Visit(name, path, MO) for name, path in BUSY.items()]
    items = "select kind, public_id from avatars_reviewitem group by kind"
    found += [
        Visit(f"desk--{kind}", f"/admin/moderation/{uuid.UUID(public_id)}/", MO)
        for kind, public_id in site.rows(items)
    ]
    [(notice, number)] = site.rows("select id, number from avatars_takedown order by id limit 1")
    found.append(Visit("takedown", f"/admin/takedowns/{notice}/", MO))
    found.append(Visit("report--status", f"/safety/report/{number}/", ""))
    shared = (
        "select token, public_id from avatars_share s join avatars_avatar a on a.id = avatar_id"
    )
    [(token, avatar)] = site.rows(shared)
    found.append(Visit("shared", f"/s/{token}/", ""))
    found.append(Visit("shared--gone", "/s/nothing/", ""))
    found.append(Visit("share", f"/gallery/{uuid.UUID(avatar)}/share/", ADA))
    [(job,)] = site.rows("select public_id from avatars_avatarrequest where state = 'held' limit 1")
    found.append(Visit("job--held", f"/jobs/{uuid.UUID(job)}/", ADA))
    return found


def sign_in(context: BrowserContext, site: Site, email: str) -> Page:
    page = context.new_page()
    page.goto(f"{site.url}/accounts/login/")
    page.get_by_label(re.compile("E-?mail")).fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("^Sign in$")).click()
    page.wait_for_url("**/create/**")
    return page
