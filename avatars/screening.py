"""What a rule thinks of a prompt: pure functions and their word lists.
Ground: it knows nothing of ours."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

CATEGORIES = ("minors", "sexual", "hate", "violence", "deception")  # the gravest first

# Whole words and phrases, as `_plain` writes them: lower case, no accents, one blank between
# words. A trailing * takes any ending. English and Spanish, the languages of the site.
SEXUAL = """
    nude nudes nudist nudity naked nakedness topless undressed unclothed disrobed
    no clothes|without clothes|without clothing|no clothing|wearing nothing|birthday suit
    sex sexy sexual sexually sexting porn* nsfw xxx hentai ecchi erotic* fetish* bdsm
    orgasm* orgy masturbat* blowjob* handjob* cumshot* fuck* horny upskirt camgirl* striptease
    stripper* dominatrix milf boobs tits breasts nipple* areola* genital* penis* vagina* vulva
    clitoris dildo* rape raped raping rapist*
    desnud* en cueros sexo sexual* sexi* porno* erotic* pezon* tetas follando violacion
"""
# Harmless on its own, not beside a minor.
SUGGESTIVE = """
    lingerie underwear panties bikini* thong bra corset provocative* seductive* seducing sensual*
    lustful lewd bare chested|bare breasted|shirtless|see through
    lenceria bragas tanga provocativ* seductor* sensual*
"""
MINOR = """
    child children childlike kid kids toddler* baby babies infant* newborn* preteen* tween tweens
    teen teens teenage* adolescent* underage minor minors juvenile schoolgirl* schoolboy*
    little girl*|little boy*|young girl*|young boy*|small girl*|small boy*|lolita*
    nino ninos nina ninas bebe bebes menor menores adolescente* colegiala*
"""
ALWAYS_MINORS = "loli lolicon shota shotacon jailbait pedophil* paedophil* pedo pederast* pedofil*"
HATE = """
    nazi nazis neonazi* hitler fuhrer third reich|heil swastika* ku klux klan|kkk|klansman|klansmen
    white power|white supremac* blackface minstrel show
    nigger* nigga* faggot* kike kikes spic spics chink chinks gook gooks wetback* tranny trannies
    raghead* towelhead* subhuman* untermensch*
    supremacia blanca|esvastica sudaca* maricon*
"""
VIOLENCE = """
    gore gory behead* decapitat* dismember* disembowel* mutilat* torture torturing impaled
    massacre massacring genocid* mass shooting|school shooting|school shooter|mass shooter
    terrorist* suicide suicidal self harm*|selfharm*|snuff film|hanging himself|hanging herself
    slit wrist*|slitting wrist*|cut wrist*|cutting wrist*|slit throat|slitting throat
    killing a real person|lynch*|isis flag|isis fighter|islamic state
    decapitad* descuartizad* tortura mutilad* terrorista* suicid* masacre
"""
DECEPTION = """
    passport* id card*|id photo*|id picture*|id badge*|identity card*|identity document*|
    identification card*|fake id|fake ids|national id driver licen*|drivers licen*|driver s licen*|
    driving licen*|visa photo*|residence permit*|green card|birth certificate*|social security card
    mugshot of a real|deepfake* deep fake*|forged document*|fake document*|counterfeit*
    pasaporte* dni carnet de identidad|documento de identidad|licencia de conducir|permiso de conducir
"""
