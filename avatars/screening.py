"""What a rule thinks of a prompt: pure functions and their word lists.
Ground: it knows nothing of ours."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# Words and phrases in lower case without accents, parted by commas, in English and Spanish.
# They match whole words only; a trailing * takes any ending.
_SEXUAL = """
    nude, nudes, nudist*, nudity, naked, nakedness, topless, undressed, undressing, unclothed,
    no clothes, without clothes, without clothing, wearing nothing, sex, sexy, sexual*, sexting,
    porn*, nsfw, xxx, hentai, ecchi, erotic*, fetish*, bdsm, orgasm*, orgy, masturbat*,
    blowjob*, handjob*, cumshot*, fuck*, horny, upskirt, camgirl*, striptease*, stripper*,
    dominatrix, milf, boobs, tits, breasts, bare breast*, nipple*, genitals, genitalia, penis*,
    vagina*, vulva*, clitoris, dildo*, rape, raped, raping, rapist*, desnuda, desnudas, desnudo,
    desnudos, desnudez, sin ropa, sexo, sexi, pezon*, tetas, follando, violacion
"""
# Harmless by themselves, refused beside a minor.
_SUGGESTIVE = """
    lingerie, underwear, panties, bikini*, bra, provocative*, seductive*, sensual*, lewd, lustful,
    bare chested, shirtless, see through, lenceria, bragas, provocativ*, seductor*
"""
_MINOR = """
    child, children, childlike, kid, kids, toddler*, baby, babies, infant*, newborn*, preteen*,
    tween*, teen, teens, teenage*, adolescen*, underage, minor, minors, juvenile, schoolgirl*,
    schoolboy*, little girl*, little boy*, young girl*, young boy*, lolita*, niño*, niña*, bebe,
    bebes, menor de edad, menores, colegial*
"""
_AGE = (
    r"(?:1[0-7]|[1-9]|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif"
    r"|six|seven)teen) ?(?:(?:years?|yrs?|y) ?o(?:ld)?|años)|aged? (?:1[0-7]|[1-9])"
)
_ABUSE = """
    loli, lolis, lolicon*, shota*, jailbait, pedo, pedos, pedophil*, paedophil*, pedofil*,
    pederast*
"""
_HATE = """
    nazi, nazis, neonazi*, hitler*, third reich, heil, swastika*, ku klux klan, kkk hood*,
    kkk robe*, kkk rally, klansman, klansmen, white power, white supremac*, blackface,
    minstrel show*, nigger*, nigga*, faggot*, kike, kikes, spic, spics, chink, chinks, gook, gooks,
    wetback*, tranny, trannies, raghead*, towelhead*, subhuman*, untermensch*, esvastica*,
    supremacia blanca, sudaca*, maricon*
"""
_VIOLENCE = """
    gore, gory, behead*, decapita*, dismember*, disembowel*, mutilat*, mutilad*, torture,
    torturing, tortura*, genocid*, mass shooting*, mass shooter*, school shooting*,
    school shooter*, terrorist*, suicide, suicides, suicidal, suicidio*, suicidarse, self harm*,
    selfharm*, snuff film*, hanging himself, hanging herself, slit wrist*, slitting wrist*,
    cutting wrist*, slit throat*, lynching*, lynched, isis flag*, isis fighter*, islamic state,
    descuartiza*
"""
_DECEPTION = """
    passport*, id card*, id photo*, id picture*, id badge*, identity card*, identity document*,
    identification card*, fake id, fake ids, national id, driver licen*, drivers licen*,
    driver s licen*, driving licen*, visa photo*, residence permit*, birth certificate*,
    social security card*, fake document*, forged document*, deepfake*, deep fake*, pasaporte*,
    mi dni, foto de dni, foto del dni, foto dni, carnet de identidad, documento de identidad,
    licencia de conducir, carnet de conducir
"""
# Everyday phrases around a listed word.
_HARMLESS = """
    same sex, sex pistols, sex and the city, to the naked eye, with the naked eye, naked mole rat*,
    nude lip*, nude tone*, nude shade*, nude color*, nude colour*, nude makeup, nude make up,
    nude heels, nude palette, blue tits, great tits, chicken breasts, wire stripper*,
    paint stripper*, super bowl xxx, gore tex, al gore, anti nazi*, hindu swastika*,
    buddhist swastika*, jain swastika*, spic and span, chink in, suicide squad,
    suicide prevention, passport stamp*, baby blue, baby pink, baby s breath, inner child,
    karate kid, billy the kid, teen titans, minor key
"""
# To avoid clothes is to ask for none; to avoid torn or baggy ones is not.
_UNDRESSED = re.compile(
    r"(?:(?:all|any|the|her|his|my|wearing|toda|la) )*(?:clothes|clothing|clothed|garments|ropa)"
)


def _any_of(words: str, *patterns: str) -> re.Pattern[str]:
    listed = (re.escape(word.strip()).replace(r"\*", r"\w*") for word in words.split(","))
    return re.compile(rf"(?<!\w)(?:{'|'.join((*listed, *patterns))})(?!\w)")


_SEXUAL_WORDS = _any_of(_SEXUAL)
_SUGGESTIVE_WORDS = _any_of(_SUGGESTIVE)
_MINOR_WORDS = _any_of(_MINOR, _AGE)
_ABUSE_WORDS = _any_of(_ABUSE)
_HARMLESS_WORDS = _any_of(_HARMLESS)
_REFUSED_IN_PROMPT = {
    "sexual": _SEXUAL_WORDS,
    "hate": _any_of(_HATE),
    "violence": _any_of(_VIOLENCE),
    "deception": _any_of(_DECEPTION),
}

# Letters of other alphabets that look like Latin ones, and digits and signs read as letters.
# The underline is a letter to `re` only.
_LOOKALIKES = str.maketrans("авекмнорстухіѕјԁαβεικνορτυχ_", "abekmhopctyxisjdabeikvoptux-")
_LEET = str.maketrans("0345789@$€+", "oeastbgaset")
_INVISIBLE = "\u115f\u1160\u2800"  # fillers that are letters or signs by Unicode's table
# Letters written one by one: n u d e, n.u.d.e, n - u - d - e.
_SPELLED = tuple(re.compile(rf"(?<!\w)\w(?:\W{{1,{gap}}}\w(?!\w)){{2,}}") for gap in (1, 3))
# Found even where the letters of several words run on; long enough to mean nothing else.
_RUN_ON = re.compile("(nude|naked|nudity|porn|hentai|topless|nigger|faggot|swastika|passport)")


@dataclass(frozen=True)
class Opinion:
    """`outcome` is "pass" or "refuse"; `category` says of what kind: minors, sexual, hate,
    violence or deception. It never repeats the words that led to it."""

    outcome: str
    category: str | None = None


def screen(prompt: str, avoid: str = "") -> Opinion:
    """What the rules think of a wish. What is to be avoided may name what nobody wants to see
    ("nsfw, gore"), with one exception: a minor beside anything sexual is refused in whichever
    field, for the provider's filter on such prompts may suspend the whole account."""
    wished, avoided = set(_readings(prompt)), set(_readings(avoid))
    either = wished | avoided
    undressed = any(_UNDRESSED.fullmatch(_words(part)) for part in re.split(r"[,;.\n]", avoid))
    sexual = undressed or _found(_SEXUAL_WORDS, either)
    if (
        _found(_ABUSE_WORDS, either)
        or (sexual and _found(_MINOR_WORDS, either))
        or (_found(_SUGGESTIVE_WORDS, wished) and _found(_MINOR_WORDS, wished))
    ):
        return Opinion("refuse", "minors")
    if undressed:
        return Opinion("refuse", "sexual")
    for category, words in _REFUSED_IN_PROMPT.items():
        if _found(words, wished):
            return Opinion("refuse", category)
    return Opinion("pass")


def clean_words(text: str) -> str:
    """The text without control and invisible steering characters, its white space single and
    trimmed. Joiners stay: emoji and several scripts need them."""
    kept = (
        " " if letter.isspace() else letter
        for letter in text
        if letter.isspace() or letter in "\u200c\u200d" or unicodedata.category(letter)[0] != "C"
    )
    return " ".join("".join(kept).split())


def _found(words: re.Pattern[str], readings: set[str]) -> bool:
    return any(words.search(reading) for reading in readings)


def _readings(text: str) -> Iterator[str]:
    """The text as plain words, and as what tricks with letters may be meant to say."""
    plain = _plain(text)
    leet = re.sub(r"!(?=\w)", "i", plain).translate(_LEET)
    for letters in (plain, leet.replace("1", "i"), leet.replace("1", "l")):
        for spelled in _SPELLED:
            yield from _drawls(spelled.sub(_joined, letters))
        yield from _drawls(letters)
        yield from _drawls(re.sub(r"(?<=\w)[^\w\s]+(?=\w)", "", letters))  # por-n


def _drawls(letters: str) -> Iterator[str]:
    for kept in (r"\1\1\1", r"\1\1", r"\1"):  # nuuude
        yield _HARMLESS_WORDS.sub("…", _words(re.sub(r"(.)\1{2,}", kept, letters)))


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
