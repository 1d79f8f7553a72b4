"""How a result looks that the provider's safety check withheld: black, of one colour, or blurred.
Ground: it may know Pillow, none of our rows and no settings. `avatars.imaging` opens and asks."""

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

# Of 255. One colour, mostly black; also what a black picture becomes in a JPEG.
FLAT_DEVIATION = 2.0

# How sharp the sharpest thousandth of a picture is: its difference from a copy blurred by
# SOFTENING, of 255, after contrast and size were made equal. Measured on the test photos and the
# stand-in's drawings of three people in five styles, with Gaussian blurs in pixels of a width
# of 512 (tests/avatars/test_blocked.py measures again):
#   as drawn, at night, in fog, in soft focus (radius 2)     38 to 119
#   a sharp face before a background out of focus            29 to 74
#   heavily blurred, radius 12 and more, also as a JPEG       2 to 9, at night up to 15
# Nothing above radius 8 passes, nothing below 4 is withheld. A safety blur must leave no face to be
# known, which takes more than the first; a picture anybody wants has less than the second.
LEAST_SHARPNESS = 16
SOFTENING = 2  # pixels of BOX
BOX = (256, 384)
SHARPEST_SHARE = 0.001
CONTRAST_CUT = 0.5  # per cent of the darkest and of the lightest pixels


def is_blocked(picture: Image.Image) -> bool:
    """Whether nothing can be seen in this result. `picture` is RGB and upright.

    The provider says success all the same and sets no flag (contract §8). A blocked picture that
    was covered by blocks or words has sharp edges and is not told from a drawing."""
    return max(ImageStat.Stat(picture).stddev) < FLAT_DEVIATION or sharpness(picture) < (
        LEAST_SHARPNESS
    )


def sharpness(picture: Image.Image) -> int:
    """0 (a cloud) to 255, by the sharpest edges alone: most of a comic is flat and most of a
    portrait out of focus, but eyes, ink and hair are not."""
    grey = ImageOps.autocontrast(picture.convert("L"), cutoff=CONTRAST_CUT)
    grey.thumbnail(BOX, Image.Resampling.BOX)
    edges = ImageChops.difference(grey, grey.filter(ImageFilter.GaussianBlur(SOFTENING)))
    counts = edges.histogram()
    left = SHARPEST_SHARE * sum(counts)
    for level in range(255, 0, -1):
        left -= counts[level]
        if left < 0:
            return level
    return 0
