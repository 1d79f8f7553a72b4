"""One finished picture, from an allowed host, up to a size and a time.

May know the setting FACE_GEN_RESULT_HOSTS and `avatars.exchange`; no row of ours.
"""

import base64
import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

from django.conf import settings

from avatars.exchange import (
    Address,
    AddressRefused,
    Allowed,
    Limits,
    NoAnswer,
    NoConnection,
    exchange,
    is_loopback,
    names_loopback,
)

FETCH_SECONDS = 45.0  # one picture, from name lookup to last byte
GRACE_SECONDS = 5.0  # a store may wake slowly; after that the average counts
LEAST_BYTES_PER_SECOND = 8 * 1024
PICTURE_BYTES = 12 * 1024 * 1024  # the pictures we know have at most 0.8 MB
ENCODED_BYTES = PICTURE_BYTES * 3 // 2  # base64 takes 4/3; line breaks and prefix some more
LONGEST_URL = 4096

IPV6_GLOBAL = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all that is handed out; not mapped ones
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits


class NoPicture(Exception):
    """The picture did not come. Texts are for staff and never contain the address asked for."""


class NotThere(NoPicture):
    """Not there yet (404, 403, 5xx, HTML, a short body, silence, no connection): come back."""


class ForeignHost(NoPicture):
    """`host` is not in FACE_GEN_RESULT_HOSTS. Nothing was fetched; staff may add it."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is not a host we fetch from")
        self.host = host


class TooLarge(NoPicture):
    """More than PICTURE_BYTES. Asking again will not make it smaller."""


class Refused(NoPicture):
    """We will not go there: a redirect, a private address, user info, a wrong scheme or port."""


def fetch(url: str) -> bytes:
    """The bytes of one finished picture: they begin like PNG, JPEG or WebP, nothing else is known.

    `url` is an entry of the provider's `output`: an address, or the picture itself as a data URI.
    Raises NotThere, ForeignHost, TooLarge or Refused.
    """
    if url[:5].lower() == "data:":
        return _inline(url)
    path, allowed = _checked(url)
    encoded = path.endswith(".base64")
    size = ENCODED_BYTES if encoded else PICTURE_BYTES
    limits = Limits(FETCH_SECONDS, size, LEAST_BYTES_PER_SECOND, GRACE_SECONDS)
    try:
        reply = exchange("GET", url, limits, allowed)
    except AddressRefused as error:
        raise Refused(str(error)) from None
    except (NoConnection, NoAnswer) as error:
        raise NotThere(str(error)) from None
    if 300 <= reply.status < 400:
        raise Refused("redirect")
    if reply.status != 200:
        raise NotThere(f"HTTP {reply.status}")
    if reply.too_large:
        raise TooLarge(f"more than {size} bytes")
    if not reply.complete:
        raise NotThere(f"cut after {len(reply.body)} bytes")
    return _picture(reply.body, encoded=encoded)


def _checked(url: str) -> tuple[str, Allowed]:
    """The path of a permitted address, and the test its network addresses must pass."""
    # Other readers of addresses may take such characters differently from the one that judges here.
    if (
        len(url) > LONGEST_URL
        or not url.isascii()
        or not url.isprintable()
        or set(url) & set(' "\\')
    ):
        raise Refused("not a plain address")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("not an address") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise Refused("neither http nor https")
    if "@" in parts.netloc:
        raise Refused("user info")
    name = f"[{host}]" if ":" in host else host
    hosts = {entry.lower() for entry in settings.FACE_GEN_RESULT_HOSTS}
    if names_loopback(host) and f"{name}:{port}" in hosts:
        return parts.path, is_loopback
    if name not in hosts:
        raise ForeignHost(name if port in (None, 443) else f"{name}:{port}")
    if parts.scheme != "https" or port not in (None, 443):
        raise Refused("not https on port 443")
    return parts.path, is_public


def is_public(address: Address) -> bool:
    """Whether this address belongs to the open internet, also by what it may be translated to."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in IPV6_GLOBAL or address.sixtofour or address.teredo:
            return False
    return address.is_global and not address.is_multicast


def _inline(uri: str) -> bytes:
    if len(uri) > ENCODED_BYTES:
        raise TooLarge(f"more than {ENCODED_BYTES} characters")
    try:
        return _decoded(uri.encode())
    except ValueError:
        raise Refused("a data URI that holds no picture") from None


def _picture(body: bytes, *, encoded: bool) -> bytes:
    """A picture as it is, or decoded where the name or the body itself says that it is text."""
    if _begins_like_a_picture(body):  # neither content types nor names can be relied upon
        return body
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    if encoded or text[:5].lower() == b"data:":
        with suppress(ValueError):
            return _decoded(text)
    raise NotThere(f"no picture in {len(body)} bytes")


def _decoded(text: bytes) -> bytes:
    """Strict base64, with or without `data:image/…;base64,`; ValueError if it is no picture."""
    compact = b"".join(text.split())
    if compact[:5].lower() == b"data:":
        head, _, compact = compact.partition(b",")
        if not head.lower().startswith(b"data:image/") or not head.lower().endswith(b";base64"):
            raise ValueError("not a picture in base64")
    decoded = base64.b64decode(compact, validate=True)
    if len(decoded) > PICTURE_BYTES:
        raise TooLarge(f"more than {PICTURE_BYTES} bytes")
    if not _begins_like_a_picture(decoded):
        raise ValueError("not a picture")
    return decoded


def _begins_like_a_picture(body: bytes) -> bool:
    is_webp = (body[:4], body[8:12]) == (b"RIFF", b"WEBP")
    return is_webp or body.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))
