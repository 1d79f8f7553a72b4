"""Pictures of every page: `uv run python -m tests.browser.screens OUT [--only NAME]`.

Starts a site with the demo's people in a folder of its own and writes
`page--theme--width.png`, for somebody to look at.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import pages
from tests.browser.conftest import ARGUMENTS
from tests.site import Site

WIDTHS = (360, 1280)
THEMES = ("light", "dark")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="", help="pages whose name begins so")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), switches="delay=0.2")
        site.start()
        try:
            site.command("seed_demo")
            take(site, pages.visits(site), wanted.out, wanted.only)
            site.command("shell", "--verbosity", "0", "-c", pages.SCENE)
            take(site, pages.busy(site), wanted.out, wanted.only)
        finally:
            site.stop()


def take(site: Site, visits: list[pages.Visit], out: Path, only: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        for theme in THEMES:
            for width in WIDTHS:
                signed_in = {}
                for visit in visits:
                    if not visit.name.startswith(only):
                        continue
                    if visit.who not in signed_in:
                        context = browser.new_context(
                            viewport={"width": width, "height": 800}, color_scheme=theme
                        )
                        signed_in[visit.who] = (
                            pages.sign_in(context, site, visit.who)
                            if visit.who
                            else context.new_page()
                        )
                    page = signed_in[visit.who]
                    page.goto(site.url + visit.path, wait_until="networkidle")
                    page.screenshot(
                        path=out / f"{visit.name}--{theme}--{width}.png", full_page=True
                    )
        browser.close()


if __name__ == "__main__":
    main()
