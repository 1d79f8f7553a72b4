"""Every shape the provider and its stand-in are known to speak, mangled; and what it then says.

Knows the recorded bodies and the functions that make the stand-in's.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from hypothesis import strategies as st

from config.standins import answers as drawn
from config.standins.jobs import Job
from config.standins.switches import Switches
from tests.avatars.scripted import RECORDED

# ── Shapes ──────────────────────────────────────────────────────────────────────────────────────


def job(**switches: object) -> Job:
    """A finished order of the stand-in, bent by these switches."""
    order = {
        "prompt": "a lighthouse keeper",
        "face_image": "https://likeness.example/p/face/x/",
        "webhook": "https://likeness.example/webhooks/provider/x/",
        "width": 512,
        "height": 768,
        "samples": 1,
        "num_inference_steps": 31,
        "base64": False,
        "safety_checker": True,
        "track_id": 48121,
        "style": "anime",
    }
    bent = Switches().over(switches)
    times = {"accepted_at": 0.0, "start_at": 0.0, "ready_at": 4.0, "ended_at": 4.0}
    facts = {"origin": "http://127.0.0.1:9", "face_mode": "url", "charged": 0.02}
    return Job(91753437, "0" * 8, order, bent, **facts, **times, seed=7, prefix="8c3e")


BENDS = (
    *({}, {"id": "string"}, {"no-id": True}, {"no-status": True}, {"no-fetch-result": True}),
    *({"eta": kind} for kind in ("float", "0", "absent", "huge", "nan")),
    *({"proxy-links": kind} for kind in ("empty", "null", "absent", "object")),
    {"output": "empty-string"},
)
LINKS = ["http://127.0.0.1:9/temp/8c3e-0.png"]


def standin_shapes() -> list[tuple[int, bytes]]:
    """Every answer and doorbell of the stand-in, by the functions that make them."""
    bodies = [drawn.failed(), drawn.failed("Request not found"), drawn.still_running()]
    for bent in (job(**bend) for bend in BENDS):
        bodies += [
            drawn.processing(bent, "http://127.0.0.1:9/api/v6/image_editing/fetch/91753437", LINKS),
            *(drawn.done(bent, LINKS, LINKS), drawn.fetched(bent, LINKS, LINKS)),
            *(drawn.success_hook(bent, LINKS), drawn.failure_hook(bent, "Failed, Try Again")),
        ]
    shapes = [(200, drawn.encoded(body)) for body in bodies]
    for kind in drawn.ERRORS:
        for bend in ({}, {"errors": "always200"}, {"message-key": "messege", "codes": "on"}):
            no = drawn.Refused(kind, "The prompt field is required.", field="prompt")
            for refused in (drawn.Refused(kind), no):
                answer = drawn.refusal(refused, Switches().over({"validation": "object", **bend}))
                shapes.append((answer.status, answer.body))
    shapes += [(status, drawn.page(status, "Bad gateway").body) for status in (200, 403, 502, 524)]
    return list(dict.fromkeys(shapes))


SHAPES = [
    *((200, path.read_bytes()) for path in sorted(RECORDED.glob("face_gen_*.json"))),
    *standin_shapes(),
]

# ── Mangling ────────────────────────────────────────────────────────────────────────────────────

# What JSON can say and Python's encoder cannot be made to: put in for these words afterwards.
RAW = {
    b'"@many digits@"': b"9" * 5_000,
    b'"@ten thousand deep@"': b"[" * 10_000 + b"1" + b"]" * 10_000,
    b'"@three hundred deep@"': b'{"a":[' * 150 + b'"u"' + b"]}" * 150,
    b'"@infinity@"': b"-Infinity",
    b'"@one over@"': b"1e999",
}
WORDS = ("success", "Failed ", "error", "processing", "queued", "ready", "pondering", "null", "ok")
VALUES = (
    *(None, True, False, 0, -1, 1.5, 10**400, float("nan"), "", " ", "0", "7", "1e9", [], {}, [[]]),
    *("Rate limit exceeded", "Request not found", "Invalid API key", "is required", "try again"),
    *("https://decoy.example/a.png", "data:image/png;base64,AAAA", "\ud800", "a\x00b", "é" * 70),
    *("validation_error", "provider_error", {"code": "rate_limited"}, {"message": [1, "?"]}),
    *(["a", None, {"b": "c"}], "../../etc", 91753437, 917534370000000000000, *WORDS),
    *(word.decode().strip('"') for word in RAW),
)
NAMES = (
    *("status", "id", "output", "message", "messege", "error", "code", "eta", "fetch_result"),
    *("proxy_links", "retry_after", "current_queue", "track_id", "Status", "request_id", "data"),
)
STATUSES = (
    200,
    201,
    204,
    302,
    400,
    401,
    402,
    403,
    404,
    405,
    408,
    409,
    413,
    422,
    429,
    500,
    502,
    524,
)
HEADERS = (
    *({}, {"Content-Type": "text/html"}, {"content-type": "application/json; charset=utf-16"}),
    *({"Retry-After": "9"}, {"RETRY-AFTER": "Wed, 21 Oct 2026 07:28:00 GMT"}, {"Retry-After": "∞"}),
)


def nested(value: object, depth: int, *, named: bool) -> object:
    for _level in range(depth):
        value = {"0": value} if named else [value]
    return value


@st.composite
def bent_trees(draw: st.DrawFn, tree: object) -> object:
    """The same body with a few fields dropped, renamed, retyped, nested, added or replaced."""
    for _change in range(draw(st.integers(0, 3))):
        if not isinstance(tree, dict):
            return tree
        name = draw(st.sampled_from([*tree, *NAMES]))
        value = tree.get(name)
        match draw(
            st.sampled_from(["drop", "odd", "odd", "word", "rename", "nest", "type", "wrap"])
        ):
            case "drop":
                tree.pop(name, None)
            case "odd":
                tree[name] = draw(st.sampled_from(VALUES))
            case "word":
                tree["status"] = draw(st.sampled_from(WORDS))
            case "rename":
                tree[draw(st.sampled_from(NAMES))] = tree.pop(name, None)
            case "nest":
                depth = draw(st.sampled_from([1, 2, 40, 200]))
                tree[name] = nested(value, depth, named=draw(st.booleans()))
            case "type":
                tree[name] = value if isinstance(value, str) else json.dumps(value)
                tree[name] = int(value) if str(value).isdecimal() else tree[name]
            case "wrap":
                tree = draw(st.sampled_from([[tree], {"data": tree}, {"error": tree}, [tree, 1]]))
    return tree


@st.composite
def mangled(draw: st.DrawFn) -> tuple[int, bytes]:
    """An HTTP status and a body that was a known one."""
    status, body = draw(st.sampled_from(SHAPES))
    if body.startswith(b"{"):
        tree = draw(bent_trees(json.loads(body)))
        body = json.dumps(tree, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
        for word, raw in RAW.items():
            body = body.replace(word, raw)
    body = draw(broken(body))
    return draw(st.one_of(st.just(status), st.sampled_from(STATUSES))), body


@st.composite
def broken(draw: st.DrawFn, body: bytes) -> bytes:
    """These bytes as some proxy, disk or encoding may leave them, or whole."""
    place = draw(st.integers(0, len(body)))
    treatments: dict[str, Callable[[], bytes]] = {
        "cut": lambda: body[:place],
        "begun late": lambda: body[place:],
        "no utf-8": lambda: body[:place] + b"\xff\xfe\xc3" + body[place:],
        "one bit": lambda: (
            body[:place] + bytes(b ^ 4 for b in body[place : place + 1]) + body[place + 1 :]
        ),
        "said twice": lambda: body + body,
        "named twice": lambda: body.replace(b"{", b'{"status": "failed", "id": "", ', 1),
        "utf-16": lambda: body.decode("utf-8", "replace").encode("utf-16"),
        "in a page": lambda: b"<!DOCTYPE html><html><body><pre>" + body + b"</pre></body></html>",
        "in a string": lambda: json.dumps(body.decode("utf-8", "replace")).encode(),
        "after a mark": lambda: b"\xef\xbb\xbf \r\n" + body,
        "behind a guard": lambda: b")]}',\n" + body,
    }
    treatment = draw(st.sampled_from(["", "", "", "", "cut", *treatments]))
    return treatments[treatment]() if treatment else body


# ── What may be believed ────────────────────────────────────────────────────────────────────────


# The contract's words for an order that was made, and for one that came to nothing.
MADE = ("success", "processing", "queued", "pending", "ready")
ENDED = ("error", "failed")


@dataclass(frozen=True)
class Told:
    """What anybody reads in an answer, by the words of the contract alone."""

    status: int
    body: bytes

    @cached_property
    def fields(self) -> dict[str, object] | None:
        try:
            found = json.loads(self.body.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def word(self) -> str:
        word = (self.fields or {}).get("status")
        return word.strip().casefold() if isinstance(word, str) else ""

    @property
    def complains(self) -> bool:
        """Somebody, the service or its edge, says that something is wrong."""
        names = {"error", "code", "current_queue"} & set(self.fields or ())
        return self.word in ENDED or self.status >= 300 or bool(names)

    @property
    def is_unknown(self) -> bool:
        """No object and no telling HTTP status; or an object without a word of the contract."""
        if self.fields is None:
            return self.status < 300 or self.status == 408 or self.status >= 500
        return not self.complains and self.word not in MADE
