"""When two near hashes are of one picture, and when they are not.

Knows nothing. A match is a guess of software: what is decided by it alone must be told and must not
cost anybody anything; else a person looks (see `sharing`).

Measured with tests/avatars/test_near_pictures.py (distances in bits of 256): 60 drawings of the
stand-in (three persons, five styles, four of each) and 7 photos, each against what is blocked of a
removed picture: its hashes, whole and trimmed by 1 to 4 % all round or 2 and 4 % on one side.

    brought back                             farthest      known again
    JPEG of quality 30 or 90, WebP of 50         7            100 %
    half the size / a third, as JPEG of 50    9 / 15          100 %
    darker or brighter by 15 %, gamma 0.8       13            100 %
    trimmed all round by 1 to 4 %               14            100 %
    that, half the size and JPEG of 60          16            100 %
    trimmed on one side by 1, 2 or 4 %          19             98 %
    trimmed on one side by 3 %                  24             95 %

    another picture                          nearest       taken for it
    of another person                           87              0 %
    of the same person, another style           22              0 %
    a photo and any other                      102              0 %
    same photo, same style, drawn again          2             24 %

The last is why a match is no verdict: drawn twice in one style of one photo, pictures may differ
in the colour of a wall only, and no hash that knows a picture saved anew tells such two apart. (64
bits of brightness, within 6 of them, took 49 % of the last and 3 % of the other styles.)
"""

NEAR_BITS = 18
HEX_DIGITS = 64
# A hash of almost only zeros is that of a plain wall: it tells no picture from another.
TELLING_BITS = range(64, 193)


def distance(one: str, other: str) -> int:
    """In how many bits two near hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def is_near(one: str, other: str) -> bool:
    """One picture, saved anew, resized or slightly trimmed; never two plain walls, nor hashes of
    two kinds.
    """
    if {len(one), len(other)} != {HEX_DIGITS}:
        return False
    tell = all(int(each, 16).bit_count() in TELLING_BITS for each in (one, other))
    return tell and distance(one, other) <= NEAR_BITS
