"""What every change must pass, where it decides something itself: the audit of what is pinned.

Knows .ci/audit, and the words of the tool it asks.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parent.parent / ".ci" / "audit"
SKIPPED = "thing  Dependency not found on PyPI and could not be audited: thing (1.0)"
FOUND = "Found 2 known vulnerabilities in 1 package"


def audited(folder: Path, code: int, *said: str, seconds: str = "20", sleeps: int = 0):
    """The step's exit code and words, when the tool says this and ends so."""
    tool = folder / "tool.py"
    tool.write_text(
        f"import sys, time\ntime.sleep({sleeps})\nsys.stderr.write({chr(10).join(said)!r})\n"
        f"sys.exit({code})\n"
    )
    return subprocess.run(
        [AUDIT],
        env={
            "PATH": os.environ["PATH"],
            "AUDIT": f"{sys.executable} {shlex.quote(str(tool))}",
            "AUDIT_SECONDS": seconds,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("beside", [(), (SKIPPED,)])
def test_a_known_vulnerability_fails_and_is_told(tmp_path, beside):
    done = audited(tmp_path, 1, FOUND, "thing 1.0 GHSA-x 1.1", *beside)
    assert done.returncode == 1
    assert "thing 1.0 GHSA-x 1.1" in done.stdout


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (0, ("No known vulnerabilities found",), "none"),
        (1, ("requests.exceptions.ConnectionError: no route",), "not audited: the service"),
        (2, ("error: failed to fetch pip-audit",), "not audited: the service"),
        (0, (SKIPPED, SKIPPED, SKIPPED), "not audited: 3 packages"),
    ],
)
def test_without_a_network_it_says_so_and_goes_on(tmp_path, code, said, told):
    done = audited(tmp_path, code, *said)
    assert (done.returncode, done.stdout.startswith(told)) == (0, True)


def test_a_service_that_hangs_is_not_waited_for(tmp_path):
    done = audited(tmp_path, 0, seconds="0.3", sleeps=30)
    assert done.returncode == 0
    assert done.stdout.startswith("not audited")


def test_the_tool_is_pinned_and_the_step_is_run():
    assert re.search(r"--with pip-audit==\d+\.\d+\.\d+ ", AUDIT.read_text())
    assert "\n.ci/audit\n" in (AUDIT.parent / "run").read_text()
