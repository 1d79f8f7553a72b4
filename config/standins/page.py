"""The face_gen stand-in's page for people: what it is, what it drew lately, its scenarios.

Knows jobs and the table of switches.
"""

from collections.abc import Sequence
from html import escape

from config.standins.jobs import READY, Job
from config.standins.switches import KEYS, SWITCHES, Switches

SHOWN = 50  # jobs
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'"
)

STYLE = """\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .25rem; }
h2 { font-size: 1.15rem; margin-top: 2.5rem; }
ul.jobs { list-style: none; padding: 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
.jobs li { border: 1px solid color-mix(in srgb, currentColor 25%, transparent);
  border-radius: .5rem; overflow: hidden; }
.jobs img, .jobs .blank { display: block; width: 100%; aspect-ratio: 2 / 3; object-fit: cover;
  background: color-mix(in srgb, currentColor 8%, transparent); }
.jobs p { margin: .5rem .75rem; overflow-wrap: anywhere; font-size: .875rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: start; padding: .25rem .75rem .25rem 0; vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
code { overflow-wrap: anywhere; }
"""


def render(jobs: Sequence[Job], switches: Switches) -> str:
    """The page; `jobs` oldest first. Every word that came from a caller is escaped."""
    cards = "".join(_card(job) for job in reversed(jobs[-SHOWN:])) or "<li><p>None yet.</p></li>"
    set_now = _words(switches) or "all at their defaults"
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(default)}</td>"
        f"<td><code>{escape(allowed)}</code></td></tr>"
        for name, (default, allowed) in SWITCHES.items()
    )
    keys = "".join(
        f"<tr><td><code>{escape(key)}</code></td><td>{escape(setting)}</td></tr>"
        for key, setting in KEYS.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>face_gen, a local stand-in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"></head><body>
<h1>face_gen, a local stand-in</h1>
<p>This program plays the picture service on this machine. Nothing here leaves it, nothing costs
money, and no picture below was made by the real service.</p>
<p>Switches set now: {set_now}.</p>
<h2>The last jobs</h2><ul class="jobs">{cards}</ul>
<h2>Scenarios</h2>
<p>Put one into a prompt, as <code>[[stuck]]</code> or <code>[[late404=20]]</code>; several may
stand together. n is a whole number, n.n any; spans are seconds.</p>
<table><thead><tr><th>Switch</th><th>Default</th><th>May be</th></tr></thead><tbody>{rows}</tbody>
</table>
<h2>Keys that behave</h2>
<table><thead><tr><th>Key</th><th>Sets</th></tr></thead><tbody>{keys}</tbody></table>
</body></html>"""


def _card(job: Job) -> str:
    name = job.names[0]
    picture = '<div class="blank"></div>'
    if job.state == READY and name.endswith(".png") and not job.deleted:
        told = f"The picture of job {job.number}"
        picture = f'<img src="/shown/{escape(name)}" alt="{told}" loading="lazy">'
    return (
        f"<li>{picture}<p><strong>{job.number}</strong> {escape(job.state)}</p>"
        f"<p>{escape(str(job.order['style']))}, {job.order['num_inference_steps']} steps, "
        f"seed {job.seed}</p><p>{escape(job.order['prompt'])}</p>"
        f"<p>{_words(job.switches)}</p></li>"
    )


def _words(switches: Switches) -> str:
    return ", ".join(
        f"<code>{escape(name)}={escape(word)}</code>" for name, word in switches.scenario().items()
    )
