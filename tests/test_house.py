"""The closed doors and the manners of the house (architecture.md §4 and §6), executable.

Reads the source as text and trees; imports of ours are only what a rule speaks about.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from avatars import delivery, exchange, face_gen
from avatars.models.avatar_requests import LEASES, State

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("config", "accounts", "avatars")
DRAWERS = ("services", "utils", "helpers", "common", "core", "misc")
VERBS = {
    "accounts": {"billing", "refunding", "reconciling", "gifts", "closing", "auditing", "people"},
    "avatars": {
        "generation",
        "sending",
        "delivery",
        "safekeeping",
        "erasing",
        "moderation",
        "reviewing",
        "rules",
        "exporting",
        "belongings",
        "opening",
        "leaving",
        "journal",
        "reconciling",
        "auditing",
        "watching",
        "measuring",
        "counting",
        "intervening",
        "attending",
        "sharing",
        "takedowns",
        "appealing",
        "removing",
    },
}
GROUND = {
    "accounts": {"signals", "devices"},
    "avatars": {
        "face_gen",
        "answers",
        "exchange",
        "download",
        "imaging",
        "blocked",
        "near_hash",
        "face_check",
        "screening",
        "storage",
    },
}
# Which verb may know which other one (section 2 of the design).
VERB_KNOWS = {
    "avatars.generation": {"avatars.rules", "avatars.sending", "avatars.delivery"},
    "avatars.delivery": {"avatars.journal", "avatars.sending"},
    "avatars.safekeeping": {"avatars.journal"},
    "avatars.leaving": {"avatars.safekeeping"},
    "avatars.sharing": {"avatars.reviewing"},
    "avatars.appealing": {"avatars.reviewing"},
    "avatars.exporting": {"avatars.journal", "avatars.belongings"},
    "avatars.belongings": {"avatars.opening", "avatars.reviewing"},
    "avatars.moderation": {
        "avatars.generation",
        "avatars.removing",
        "avatars.reviewing",
        "avatars.safekeeping",
    },
    "avatars.takedowns": {"avatars.removing", "avatars.reviewing"},
    "avatars.watching": {"avatars.measuring", "avatars.reconciling"},
    "avatars.counting": {"avatars.measuring", "avatars.reconciling"},
    "avatars.attending": {"avatars.safekeeping"},
    "avatars.intervening": {"avatars.generation", "avatars.sending"},
    "accounts.refunding": {"accounts.billing"},
    "accounts.reconciling": {"accounts.billing", "accounts.refunding"},
    "accounts.closing": {"accounts.billing"},
}
NOUN_MAY_KNOW_BELOW = {"avatars.storage"}


def modules() -> dict[str, Path]:
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def imported(name: str) -> set[str]:
    """Every module a module imports, `from a import b` as a.b where that is a module of ours."""
    names = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute (rule 3)"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in MODULES:
                    names.add(whole)
                else:
                    ours = node.module in MODULES
                    names |= {str(node.module)} if ours else {str(node.module), whole}
    return names


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


def floor(name: str) -> str:
    """noun, verb, ground or edge."""
    room, _, rest = name.partition(".")
    if rest == "models" or rest.startswith("models."):
        return "noun"
    if rest in VERBS.get(room, ()):
        return "verb"
    return "ground" if rest in GROUND.get(room, ()) else "edge"


def breaches(forbidden) -> list[str]:
    return [
        f"{name} imports {target}"
        for name in MODULES
        for target in sorted(imported(name))
        if forbidden(name, target)
    ]


def test_nobody_imports_config():
    assert not breaches(lambda n, t: not within(n, "config") and within(t, "config"))


def test_settings_name_the_apps_by_strings_only():
    assert not breaches(
        lambda n, t: n == "config.settings" and (within(t, "accounts") or within(t, "avatars"))
    )


def test_stand_ins_import_nothing_of_ours_and_no_django():
    assert not breaches(
        lambda n, t: (
            within(n, "config.standins")
            and (
                t.split(".")[0] in (*ROOMS, "django", "stripe") and not within(t, "config.standins")
            )
        )
    )


def test_accounts_never_knows_avatars():
    assert not breaches(lambda n, t: within(n, "accounts") and within(t, "avatars"))


def test_avatars_knows_only_the_public_part_of_accounts():
    def forbidden(name: str, target: str) -> bool:
        if not within(name, "avatars") or not within(target, "accounts"):
            return False
        if within(target, "accounts.models"):
            return False
        if target == "accounts.limits":
            return floor(name) != "edge"
        return not (target == "accounts.signals" and name == "avatars.leaving")

    assert not breaches(forbidden)


def test_nouns_know_no_verbs_no_edges_and_of_the_ground_only_storage():
    def forbidden(name: str, target: str) -> bool:
        ours = target in MODULES and not within(target, "config")
        return (
            floor(name) == "noun"
            and ours
            and floor(target) != "noun"
            and target not in NOUN_MAY_KNOW_BELOW
            and target not in ROOMS
        )

    assert not breaches(forbidden)


def test_the_ground_knows_none_of_our_rows():
    def forbidden(name: str, target: str) -> bool:
        ours = target in MODULES and target not in ROOMS
        return floor(name) == "ground" and ours and floor(target) != "ground"

    assert not breaches(forbidden)


def test_verbs_know_no_edges_and_other_verbs_only_as_designed():
    def forbidden(name: str, target: str) -> bool:
        if floor(name) != "verb" or target not in MODULES or target in ROOMS:
            return False
        if floor(target) == "verb":
            return target != name and target not in VERB_KNOWS.get(name, ())
        return floor(target) == "edge"

    assert not breaches(forbidden)


@pytest.mark.parametrize("room", ["accounts", "avatars"])
def test_tasks_and_webhooks_know_no_pages(room):
    pages = {f"{room}.{edge}" for edge in ("views", "forms", "admin", "desk", "staff")}
    closed = {f"{room}.tasks": pages | {f"{room}.webhooks"}, f"{room}.webhooks": pages}
    assert not breaches(lambda n, t: n in closed and any(within(t, page) for page in closed[n]))


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("requests", {"avatars.exchange"}),
        ("urllib3", {"avatars.exchange"}),
        ("http.client", {"config"}),
        ("urllib.request", {"config"}),
        ("stripe", {"accounts.billing"}),
        ("boto3", {"avatars.storage"}),
        ("storages", {"avatars.storage"}),
        ("PIL", {"avatars.imaging", "avatars.blocked", "config.standins"}),
        ("cv2", {"avatars.face_check", "config.standins"}),
        ("celery", {"accounts.tasks", "avatars.tasks", "config"}),
    ],
)
def test_a_library_stays_in_its_room(library, rooms):
    assert not breaches(
        lambda n, t: within(t, library) and not any(within(n, room) for room in rooms)
    )


def test_no_import_stands_inside_a_function():
    inside = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inside


def test_no_file_is_longer_than_four_hundred_lines():
    long = {
        n: len(p.read_text().splitlines()) for n, p in MODULES.items() if n != "config.settings"
    }
    assert not {name: lines for name, lines in long.items() if lines > 400}


def test_there_are_no_drawers():
    assert not [n for n in MODULES if n.split(".")[-1] in DRAWERS]


def test_every_module_says_what_lives_there():
    silent = [
        name
        for name, tree in TREES.items()
        if MODULES[name].read_text().strip() and not ast.get_docstring(tree)
    ]
    assert not silent


def lines_with(pattern: str, *, but: tuple[str, ...] = ()) -> list[str]:
    expression = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()}"
        for name, path in MODULES.items()
        if not any(within(name, room) for room in but)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if expression.search(line)
    ]


def test_no_exception_is_swallowed_whole():
    assert not lines_with(r"except (Exception|BaseException)\b|except:")


def test_no_time_is_kept_in_the_broker():
    assert not lines_with(
        r"countdown=|\beta=|autoretry_for|always_eager",
        but=("avatars.face_gen", "avatars.answers", "avatars.sending", "config.standins"),
    )


def test_the_environment_is_read_in_settings_alone():
    assert not lines_with(
        r"os\.environ\b(?!\.(update|setdefault))|os\.getenv|environ\.Env",
        but=("config.settings", "config.standins"),
    )


def test_debug_is_asked_in_settings_alone():
    assert not lines_with(r"settings\.DEBUG", but=("config.settings",))


def test_pockets_are_written_in_wallets_alone():
    written = lines_with(
        r"update\([^)]*\b(available|reserved|owed)\s*=|\.(available|reserved|owed)\s*[-+]?=[^=]",
        but=("accounts.models.wallets",),
    )
    assert not written


def test_a_state_is_assigned_in_models_alone():
    assert not [
        line
        for line in lines_with(r"\.state\s*=[^=]")
        if not line.startswith(("avatars.models", "accounts.models", "config.standins"))
    ]


def test_at_most_two_views_are_exempt_from_csrf():
    assert len(lines_with(r"^@csrf_exempt")) <= 2


def test_every_lease_outlasts_its_step():
    steps = {
        State.SENDING: face_gen.SUBMIT_SECONDS,
        State.GENERATING: face_gen.LOOK_SECONDS,
        State.STORING: delivery.STORE_SECONDS,
        State.FAILED: delivery.STORE_SECONDS,
    }
    too_short = {s: n for s, n in steps.items() if LEASES[s].total_seconds() < 1.25 * n}
    assert not too_short
    assert exchange.CONNECT_SECONDS <= 3


def test_celery_ends_a_step_after_its_own_deadline_and_before_its_lease(settings):
    looks = (settings.CELERY_TASK_SOFT_TIME_LIMIT, settings.CELERY_TASK_TIME_LIMIT)
    stores = (
        settings.STORE_TIME_LIMITS["soft_time_limit"],
        settings.STORE_TIME_LIMITS["time_limit"],
    )
    assert face_gen.SUBMIT_SECONDS < looks[0] < looks[1] < LEASES[State.SENDING].total_seconds()
    assert delivery.STORE_SECONDS < stores[0] < stores[1] < LEASES[State.STORING].total_seconds()


def templates() -> Iterator[Path]:
    yield from (ROOT / "templates").rglob("*.html")


@pytest.mark.parametrize(
    "pattern",
    [
        r"\sstyle\s*=\s*[\"']",
        r"\son[a-z]+\s*=\s*[\"']",
        r"hx-on",
        r"hx-vars",
        r"\|\s*safe\b",
        r"javascript:",
        r"<style",
        r"hx-trigger=\"[^\"]*\[",
        r"\{%\s*autoescape off",
    ],
)
def test_templates_hold_nothing_the_policy_forbids(pattern):
    expression = re.compile(pattern)
    found = [
        str(path.relative_to(ROOT)) for path in templates() if expression.search(path.read_text())
    ]
    assert not found


def test_templates_hold_no_inline_script():
    expression = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", re.IGNORECASE)
    assert not [str(p.relative_to(ROOT)) for p in templates() if expression.search(p.read_text())]


def test_every_component_is_on_the_style_guide():
    guide = (ROOT / "templates" / "styleguide.html").read_text()
    components = {path.name for path in (ROOT / "templates" / "components").glob("*.html")}
    assert not {name for name in components if f"components/{name}" not in guide}


def test_every_variable_stands_in_the_example():
    settings = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r"env\.\w+\(\s*\"([A-Z0-9_]+)\"", settings))
    read |= {f"{p}_CLIENT_{part}" for p in ("GOOGLE", "GITHUB") for part in ("ID", "SECRET")}
    example = (ROOT / "config" / "env.example").read_text()
    told = set(re.findall(r"^#?\s?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    assert read <= told, read - told
    assert told - read <= {"STANDIN_FACE_GEN", "STANDIN_STRIPE", "STANDIN_HOSTS"}


def test_the_lock_file_and_the_constraints_agree_and_name_no_host():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pin = re.compile(r"([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
    pinned = {pin.match(line).groups() for line in lock.splitlines() if pin.match(line)}
    uv = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
    assert pinned == {pin.match(line).groups() for line in uv["constraint-dependencies"]}


def test_nothing_is_put_off_or_skipped():
    expression = re.compile(r"\b(TODO|FIXME|XXX)\b|pytest\.mark\.(skip|xfail)|pytest\.skip\(")
    found = [
        str(path.relative_to(ROOT))
        for room in (*ROOMS, "tests")
        for path in (ROOT / room).rglob("*.py")
        if path != Path(__file__).resolve() and expression.search(path.read_text())
    ]
    assert not found
