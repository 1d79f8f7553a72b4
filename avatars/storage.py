"""The private storage: putting, reading and removing objects, and links that expire.

Knows Django's storages and the settings; none of our rows. The only importer of storages.
"""

import io
import time
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from storages.backends.s3 import S3Storage

# One put or read is over within 2 × 13 s, so that a step stays inside its lease.
S3_PATIENCE = Config(
    signature_version="s3v4", connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2}
)
LINK_SALT = "avatars.storage.link"


class StorageAway(Exception):
    """The storage did not answer as it should; trying again later may work."""


class Missing(Exception):
    """There is no object of that key."""


def window() -> int:
    """The number of the current link window. Links made in one window are equal, so a reload
    fetches nothing that the browser already has.
    """
    return int(time.time() // settings.MEDIA_LINK_SECONDS)


class PrivateFileStorage(FileSystemStorage):
    """A clone's storage: plain files, and links of ours that the media view checks."""

    def url(self, name: str | None) -> str:
        signature = signing.Signer(salt=LINK_SALT).signature(f"{name}:{window()}")
        return f"{reverse('media_signed', args=[name])}?w={window()}&s={signature}"


class PrivateS3Storage(S3Storage):
    """A private bucket. A signed link is made once per window and kept in the cache."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's contract
        super().__init__(client_config=S3_PATIENCE, **options)

    def url(self, name: str, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - the library's contract
        if args or kwargs:
            return super().url(name, *args, **kwargs)
        key = f"media-link:{window()}:{name}"
        link = cache.get(key)
        if link is None:
            link = super().url(name)
            cache.set(key, link, settings.MEDIA_LINK_SECONDS)
        return link


def is_valid_link(name: str, made_in: str, signature: str) -> bool:
    """Whether a signed link of the clone's storage was made in this window or the one before."""
    if made_in not in (str(window()), str(window() - 1)):
        return False
    expected = signing.Signer(salt=LINK_SALT).signature(f"{name}:{made_in}")
    return constant_time_compare(expected, signature)


def link(key: str) -> str:
    """An address under which the object can be fetched for one to two hours. Give it only to
    somebody whose right to the object was just checked.
    """
    return storages["private"].url(key)


def put(key: str, content: bytes) -> None:
    """Write one object. Raises StorageAway."""
    try:
        written = storages["private"].save(key, ContentFile(content))
    except (OSError, BotoCoreError, ClientError) as error:
        raise StorageAway(type(error).__name__) from error
    if written != key:
        raise StorageAway("an object of that key was already there")


def read(key: str) -> bytes:
    """The whole object. Raises Missing or StorageAway."""
    try:
        with storages["private"].open(key, "rb") as stored:
            buffer = io.BytesIO()
            for chunk in stored.chunks():
                buffer.write(chunk)
            return buffer.getvalue()
    except FileNotFoundError as error:
        raise Missing(key) from error
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
            raise Missing(key) from error
        raise StorageAway(type(error).__name__) from error
    except (OSError, BotoCoreError) as error:
        raise StorageAway(type(error).__name__) from error


def remove(key: str) -> None:
    """Delete the object; one that is already gone is fine. Raises StorageAway."""
    try:
        storages["private"].delete(key)
    except FileNotFoundError:
        return
    except (OSError, BotoCoreError, ClientError) as error:
        raise StorageAway(type(error).__name__) from error


def keys(folder: str) -> set[str]:
    """Every object below `folder` (the audit's own listing). Raises StorageAway."""
    try:
        _folders, names = storages["private"].listdir(folder)
    except FileNotFoundError:
        return set()
    except (OSError, BotoCoreError, ClientError) as error:
        raise StorageAway(type(error).__name__) from error
    return {f"{folder}/{name}" for name in names}
