"""What rules think of a wish: pure functions. The words of the rules come from outside.
Ground: it knows nothing of ours but the file of the rules a site starts with.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path(__file__).with_name("screening_rules.toml")

# What a rule does when one of its words is found.
REFUSE, HOLD, MINOR, BESIDE_MINOR, ALLOW = "refuse", "hold", "minor", "beside_minor", "allow"
EFFECTS = (REFUSE, HOLD, MINOR, BESIDE_MINOR, ALLOW)
# Which kind is named first when several match.
ORDER = ("minors", "sexual", "people", "hate", "violence", "deception", "copyright", "rules")
SHORTEST_TERM = 2  # letters; a single one would stand in every second text

_AGE = (
    r"(?:1[0-7]|[1-9]|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif"
    r"|six|seven)teen) ?(?:(?:years?|yrs?|y) ?o(?:ld)?|años)|aged? (?:1[0-7]|[1-9])"
)
# To avoid clothes is to ask for none; to avoid torn or baggy ones is not.
_UNDRESSED = re.compile(
    r"(?:(?:all|any|the|her|his|my|their|wearing|being|toda|la|estar) )*"
    r"(?:clothes|clothing|clothed|dressed|garments?|underwear|bras?|panties|ropa(?: interior)?"
    r"|vestid[oa]s?)"
)
# Letters of other alphabets that look like Latin ones: Cyrillic, Greek, Armenian, small capitals,
# letters with a stroke; then letters in black discs and boxes, and those that flags are made of.
# The underline is a letter to `re` only.
_LOOKALIKES = str.maketrans(
    "авекмнорстухіѕјԁпигьһԛԝҽӏαβεηικνορτυχωσςγμζոսօհցզᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɑɡıłøđħŧ℮_",
    "abekmhopctyxisjdnurbhqwelabenikvoptuxwosyuznuohgqabcdefghijklmnoprstuvwyzagilodhte-",
) | {
    first + place: ord("a") + place for first in (0x1F150, 0x1F170, 0x1F1E6) for place in range(26)
}
# Digits and signs read as letters.
_LEET = str.maketrans("0345789@$€+", "oeastbgaset")
_INVISIBLE = "\u115f\u1160\u2800"  # fillers that are letters or signs by Unicode's table
# Letters written one by one: n u d e, n.u.d.e, n - u - d - e.
_SPELLED = tuple(re.compile(rf"(?<!\w)\w(?:\W{{1,{gap}}}\w(?!\w)){{2,}}") for gap in (1, 8))
# Found even where the letters of several words run on; long enough to mean nothing else.
_RUN_ON = re.compile("(nude|naked|nudity|porn|hentai|topless|nigger|faggot|swastika|passport)")
# The same within longer words (nudewoman), but for what these mean: denuded, snaked, sniggering.
_WITHIN = re.compile("((?<!de)nude|(?<!s)naked|nudity|hentai|(?<!s)nigger|faggot|swastika)")
# And those that are written apart or drawn out, for which there is no other reading: na ked.
_APART = re.compile(
    r"(?<!\w)(?:"
    + "|".join(r"+\W{0,3}".join(word) + "+" for word in ("nude", "naked", "nudity", "hentai"))
    + r")(?!\w)"
)


@dataclass(frozen=True)
class Rule:
    """Words and phrases, parted by commas or lines. They match whole words only, phrases also when
    they are written as one word; a trailing * takes any ending. `number` names the row it came
    from.
    """

    name: str
    category: str
    effect: str
    words: str
    number: int = 0


@dataclass(frozen=True)
class Opinion:
    """`outcome` is "pass", "hold" (a person reads it first) or "refuse"; `category` says of what
    kind. `rules` are the numbers of the rules that matched and `terms` what they found: for
    moderators, never for the person.
    """

    outcome: str
    category: str | None = None
    rules: tuple[int, ...] = ()
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Match:
    rule: Rule
    term: str


def shipped_rules() -> list[Rule]:
    """The rules a site starts with."""
    return [Rule(**rule) for rule in tomllib.loads(SHIPPED.read_text())["rule"]]


class Rules:
    """Rules made ready for reading, once for many texts. Nothing of it ever changes."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        sorted_rules = sorted(rules, key=_rank)
        self._patterns = {
            effect: [(rule, _any_of(rule)) for rule in sorted_rules if rule.effect == effect]
            for effect in EFFECTS
        }
        allowed = [term for rule in sorted_rules if rule.effect == ALLOW for term in terms(rule)]
        # The longest first: "blue tits and great tits" is more than "blue tits".
        self._harmless = _pattern(sorted(allowed, key=len, reverse=True)) if allowed else None

    def screen(self, prompt: str, avoid: str = "") -> Opinion:
        """What the rules think of a wish. What is to be avoided may name what nobody wants to see
        ("nsfw, gore"), with one exception: a minor beside anything sexual is refused in whichever
        field, for the provider's filter on such prompts may suspend the whole account.
        """
        wished = list(dict.fromkeys(self._readings(prompt)))
        either = [*wished, *dict.fromkeys(self._readings(avoid))]
        undressed = any(
            _UNDRESSED.fullmatch(_words(part))
            for letters in dict.fromkeys(_letters(avoid))
            for part in re.split(r"[,;.\n]", letters)
        )
        if found := self._about_minors(wished, either, undressed=undressed):
            return _opinion(REFUSE, "minors", found)
        if undressed:
            return Opinion(REFUSE, "sexual")
        for effect in (REFUSE, HOLD):
            if found := self._found(effect, wished):
                return _opinion(effect, found[0].rule.category, found)
        return Opinion("pass")

    def _about_minors(
        self, wished: list[str], either: list[str], *, undressed: bool
    ) -> list[Match]:
        abuse = self._found(REFUSE, either, category="minors")
        if abuse:
            return abuse
        sexual = [
            *self._found(REFUSE, either, category="sexual"),
            *self._found(HOLD, either, category="sexual"),
        ]
        if (sexual or undressed) and (minor := self._found(MINOR, either)):
            return [*sexual, *minor]
        suggestive = self._found(BESIDE_MINOR, wished)
        if suggestive and (minor := self._found(MINOR, wished)):
            return [*suggestive, *minor]
        return []

    def _found(self, effect: str, readings: list[str], category: str = "") -> list[Match]:
        """Of each rule that matches, what it found in the plainest reading that shows it."""
        return [
            Match(rule, term)
            for rule, pattern in self._patterns[effect]
            if not category or rule.category == category
            for term in next(filter(None, map(pattern.findall, readings)), [])
        ]

    def _readings(self, text: str) -> Iterator[str]:
        """The text as plain words, and as what tricks with letters may be meant to say."""
        for letters in _letters(text):
            words = _words(letters)
            yield self._harmless.sub("…", words) if self._harmless else words


def faults(words: str) -> list[str]:
    """Of a rule's words, those that no text could ever match or nearly every text would."""
    listed = _listed(words)
    short = [term for term in listed if len(re.sub(r"\W", "", _bare(term))) < SHORTEST_TERM]
    return short if listed else [words.strip()]


def terms(rule: Rule) -> list[str]:
    """The rule's words in the one spelling that texts are compared in, a trailing * kept."""
    known = (_bare(term) + ("*" if term.endswith("*") else "") for term in _listed(rule.words))
    return [term for term in dict.fromkeys(known) if term.strip("* ")]


def marked(text: str, found: Iterable[str]) -> list[tuple[str, bool]]:
    """The text in parts, each with whether it is one of the found terms as they were written.
    What was written in a trick's spelling is not marked; the terms themselves tell of it.
    """
    wanted = [r"\W+".join(map(re.escape, term.split())) for term in found if term.strip()]
    if not wanted:
        return [(text, False)]
    parts = re.split(rf"(?<!\w)({'|'.join(wanted)})(?!\w)", text, flags=re.IGNORECASE)
    return [(part, place % 2 == 1) for place, part in enumerate(parts) if part]


def clean_words(text: str) -> str:
    """The text without control and invisible steering characters, its white space single and
    trimmed. Joiners stay: emoji and several scripts need them."""
    kept = (
        " " if letter.isspace() else letter
        for letter in text
        if letter.isspace() or letter in "\u200c\u200d" or unicodedata.category(letter)[0] != "C"
    )
    return " ".join("".join(kept).split())


def _rank(rule: Rule) -> int:
    return ORDER.index(rule.category) if rule.category in ORDER else len(ORDER)


def _opinion(outcome: str, category: str, found: list[Match]) -> Opinion:
    numbers = dict.fromkeys(match.rule.number for match in found)
    return Opinion(
        outcome, category, tuple(numbers), tuple(dict.fromkeys(match.term for match in found))
    )


def _listed(words: str) -> list[str]:
    return [term.strip() for term in re.split(r"[,\n]", words) if term.strip()]


def _bare(term: str) -> str:
    return _words(_plain(term))


def _any_of(rule: Rule) -> re.Pattern[str]:
    return _pattern(terms(rule), *([_AGE] if rule.effect == MINOR else []))


def _pattern(listed: list[str], *patterns: str) -> re.Pattern[str]:
    words = (re.escape(term).replace(r"\*", r"\w*").replace(r"\ ", " ?") for term in listed)
    return re.compile(rf"(?<!\w)(?:{'|'.join((*words, *patterns)) or '(?!)'})(?!\w)")


def _letters(text: str) -> Iterator[str]:
    """The text as it stands, and with the tricks taken out that people play with letters."""
    plain = _plain(text)
    leet = re.sub(r"!(?=\w)", "i", plain).translate(_LEET)
    for letters in (plain, leet.replace("1", "i"), leet.replace("1", "l")):
        for spelled in _SPELLED:
            yield from _drawls(spelled.sub(_joined, letters))
        yield from _drawls(letters)
        yield _WITHIN.sub(r" \1 ", _APART.sub(_undrawn, letters))
        yield from _drawls(re.sub(r"(?<=\w)[^\w\s]+(?=\w)", "", letters))  # por-n


def _drawls(letters: str) -> Iterator[str]:
    for kept in (r"\1\1\1", r"\1\1", r"\1"):  # nuuude
        yield re.sub(r"(.)\1{2,}", kept, letters)


def _undrawn(apart: re.Match[str]) -> str:
    return re.sub(r"(\w)\1+", r"\1", re.sub(r"\W", "", apart[0]))


def _joined(spelled: re.Match[str]) -> str:
    return " ".join(_RUN_ON.split(re.sub(r"\W", "", spelled[0])))


def _words(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def _plain(text: str) -> str:
    """Lower case without accents (but ñ), fillers and look-alikes."""
    parts = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(
        letter
        for place, letter in enumerate(parts)
        if letter not in _INVISIBLE
        and (not unicodedata.combining(letter) or parts[place - 1 : place + 1] == "n\u0303")
    )
    return unicodedata.normalize("NFC", bare).translate(_LOOKALIKES)
