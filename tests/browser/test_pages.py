"""Every page at every width and in both themes: accessible, no sideways scroll, within its budget.

Knows the pages, axe and the browser.
"""

import gzip
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser import pages
from tests.site import ROOT

STATIC = ROOT / "static"
KILOBYTE = 1024
CSS_BUDGET = 16 * KILOBYTE
# Scripts a page may load, gzipped: htmx 16.5 kB and ours (experience.md §10).
SCRIPT_BUDGETS = {"landing": 2, "create": 26, "gallery": 24, "viewer": 24}
OTHER_SCRIPT_BUDGET = 20


def each(site, open_context, **options):
    """Every page, signed in as whoever it belongs to."""
    contexts: dict[str, Page] = {}
    for visit in pages.visits(site):
        if visit.who not in contexts:
            context = open_context(**options)
            contexts[visit.who] = (
                pages.sign_in(context, site, visit.who) if visit.who else context.new_page()
            )
        page = contexts[visit.who]
        page.goto(site.url + visit.path)
        yield visit, page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(demo_site, open_context, scheme):
    found = {}
    axe = Axe()
    # axe is put into the page as a script of its own, which our policy forbids: bypassed here.
    for visit, page in each(demo_site, open_context, color_scheme=scheme, bypass_csp=True):
        result = axe.run(page)
        serious = [
            (violation["id"], [node["html"][:120] for node in violation["nodes"]][:3])
            for violation in result.response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        if serious:
            found[visit.name] = serious
    assert found == {}


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_no_page_scrolls_sideways(demo_site, open_context, width):
    wide = {}
    for visit, page in each(demo_site, open_context, viewport={"width": width, "height": 800}):
        over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if over > 0:
            wide[visit.name] = over
    assert wide == {}


def test_no_page_breaks_the_content_policy_and_all_carry_it(demo_site, open_context):
    loose = {}
    for visit, page in each(demo_site, open_context):
        headers = page.request.get(demo_site.url + visit.path).headers
        policy = headers.get("content-security-policy", "")
        if "unsafe" in policy or "default-src 'none'" not in policy:
            loose[visit.name] = policy
    assert loose == {}


def test_the_price_of_a_credit_is_told_while_a_pack_is_typed(demo_site, open_context):
    page = pages.sign_in(open_context(), demo_site, pages.MO)
    page.goto(f"{demo_site.url}/admin/accounts/creditpack/add/")
    told = page.locator(".field-each .readonly")
    page.get_by_label("Credits").fill("60")
    page.get_by_label("Price cents").fill("900")
    expect(told).to_have_text("$0.15")
    page.get_by_label("Credits").fill("")
    expect(told).to_have_text("$0.15")


def test_pages_stay_within_their_budget_of_scripts_and_styles(demo_site, open_context):
    heavy = {}
    for visit, page in each(demo_site, open_context):
        if visit.path.startswith("/admin/"):
            continue
        names = page.evaluate(
            "[...document.querySelectorAll('script[src], link[rel=stylesheet]')]"
            ".map(e => e.src || e.href)"
        )
        weight = {"js": 0, "css": 0}
        for name in names:
            body = page.request.get(name).body()
            weight[Path(name.split("?")[0]).suffix[1:]] += len(gzip.compress(body, 9))
        budget = SCRIPT_BUDGETS.get(visit.name.split("--")[0], OTHER_SCRIPT_BUDGET) * KILOBYTE
        if weight["css"] > CSS_BUDGET or weight["js"] > budget:
            heavy[visit.name] = weight
    assert heavy == {}


def test_nothing_comes_from_anywhere_else(demo_site, open_context):
    foreign = set()
    context = open_context()
    context.on(
        "request",
        lambda request: (
            foreign.add(request.url)
            if not request.url.startswith((demo_site.url, "data:", "blob:"))
            else None
        ),
    )
    page = pages.sign_in(context, demo_site, "ada@example.org")
    for path in ("/", "/create/", "/gallery/", "/credits/"):
        page.goto(demo_site.url + path)
    assert foreign == set()


def test_the_gallery_shows_no_more_bytes_than_it_needs(demo_site, open_context):
    sizes = []
    page = pages.sign_in(open_context(), demo_site, "ada@example.org")
    page.on(
        "response",
        lambda response: (
            sizes.append(int(response.headers.get("content-length", 0)))
            if "/m/signed/" in response.url
            else None
        ),
    )
    page.goto(f"{demo_site.url}/gallery/", wait_until="networkidle")
    assert sizes
    # 24 tiles in 270 kB; a comic's dots cost twice what the others do.
    assert sum(sizes) / len(sizes) <= 12 * KILOBYTE
