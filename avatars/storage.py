"""The private storage: putting, reading and removing objects, and links that expire.

Knows Django's storages and the settings; none of our rows. The only importer of storages.
"""

import os
import time
from collections.abc import Iterator
from io import BufferedRandom
from typing import Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, storages
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from storages.backends.s3 import S3Storage

CONNECT_SECONDS = 1.5  # each of TCP, TLS and sending: a megabyte at 6 Mbit/s
CONTINUE_SECONDS = 1.0  # botocore waits so long for "100 Continue" before it sends
ANSWER_SECONDS = 4.0
TRIES = 2
BACKOFF_SECONDS = 1.0  # botocore's longest before a second try
# After so long every call has been answered or given up, name lookup and a body that drips
# aside. Two puts fit into what the fetch leaves of delivery.STORE_SECONDS.
CALL_SECONDS = TRIES * (3 * CONNECT_SECONDS + CONTINUE_SECONDS + ANSWER_SECONDS) + BACKOFF_SECONDS
S3_PATIENCE = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=ANSWER_SECONDS,
    retries={"total_max_attempts": TRIES, "mode": "standard"},
    signature_version="s3v4",
    # Services beside AWS refuse the checksums newer clients add unasked (boto/boto3#4392).
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
LINK_SALT = "avatars.storage.link"
CONTENT_TYPES = {"webp": "image/webp", "jpg": "image/jpeg", "zip": "application/zip"}
PIECE_BYTES = 64 * 1024
AWAY = (OSError, BotoCoreError, ClientError)


class StorageAway(Exception):
    """The storage did not answer as it should; trying again later may work."""


class Missing(Exception):
    """There is no object of that key."""


def window() -> int:
    """The number of the current link window. Links made in one window are equal, so a reload
    fetches nothing that the browser already has.
    """
    return int(time.time() // settings.MEDIA_LINK_SECONDS)


def cache_control() -> str:
    """What a browser is told of a picture: one link always gives the same bytes."""
    return f"private, max-age={settings.MEDIA_LINK_SECONDS}, immutable"


class PrivateFileStorage(FileSystemStorage):
    """A clone's storage: plain files, and links of ours that the media view checks."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's contract
        super().__init__(allow_overwrite=True, **options)

    def _save(self, name: str, content: File) -> str:
        """On the disk before it is called kept: the rows survive a power cut, so must the file."""
        name = super()._save(name, content)  # type: ignore[misc] # private, hence not in the stubs
        with self.open(name) as written:
            os.fsync(written.fileno())
        return name

    def url(self, name: str | None) -> str:
        made_in = window()
        signature = signing.Signer(salt=LINK_SALT).signature(f"{name}:{made_in}")
        return f"{reverse('media_signed', args=[name])}?w={made_in}&s={signature}"

    def pieces(self, name: str) -> Iterator[bytes]:
        """The file a piece at a time. Raises FileNotFoundError before the first."""
        return self.open(name).chunks(PIECE_BYTES)

    def keys(self, below: str = "") -> set[str]:
        """Every file below that path (empty or with its last slash), at any depth. Raises
        OSError.
        """
        try:
            folders, names = self.listdir(below)
        except FileNotFoundError:
            return set()
        found = {f"{below}{name}" for name in names}
        return found.union(*(self.keys(f"{below}{inner}/") for inner in folders))


class PrivateS3Storage(S3Storage):
    """A private bucket. Every verb is one call, so that S3_PATIENCE bounds it: the library's own
    would ask and send in parts. Only NoSuchKey means absent; a bucket that is not there is a 404
    too, and believing that one would end deletions that never happened.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's contract
        # On AWS a link must name the region's own host: the global one, the default for links,
        # redirects elsewhere, where the signature is wrong (boto/boto3#4768). Other services
        # are addressed by path, because not all have a host name for each bucket.
        style = "path" if options.get("endpoint_url") else "virtual"
        places = {"addressing_style": style, "us_east_1_regional_endpoint": "regional"}
        super().__init__(client_config=S3_PATIENCE.merge(Config(s3=places)), **options)
        # Clients are safe to share. The library makes one a thread: 13 MB and 0.1 s each.
        self.client = self.connection.meta.client
        parts = (
            self.client.meta.endpoint_url,
            self.client.meta.region_name,
            self.bucket_name,
            self.access_key,
            self.secret_key,
        )
        self.signed_with = salted_hmac(LINK_SALT, repr(parts), algorithm="sha256").hexdigest()

    def _save(self, name: str, content: File) -> str:
        self.client.put_object(
            Bucket=self.bucket_name, Key=name, Body=body_of(content), ContentType=content_type(name)
        )
        return name

    def pieces(self, name: str) -> Iterator[bytes]:
        """The object as it comes, never as a whole. Raises FileNotFoundError before the first."""
        try:
            answer = self.client.get_object(Bucket=self.bucket_name, Key=name)
        except self.client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(name) from error
        return answer["Body"].iter_chunks(PIECE_BYTES)

    def _open(self, name: str, mode: str = "rb") -> File:
        try:
            answer = self.client.get_object(Bucket=self.bucket_name, Key=name)
        except self.client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(name) from error
        return ContentFile(answer["Body"].read(), name=name)

    def delete(self, name: str) -> None:
        try:
            self.client.delete_object(Bucket=self.bucket_name, Key=name)
        except self.client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(name) from error

    def keys(self, below: str = "") -> set[str]:
        """Every object whose key begins so, page by page. Raises ClientError or BotoCoreError."""
        listing = self.client.get_paginator("list_objects_v2")
        pages = listing.paginate(Bucket=self.bucket_name, Prefix=below)
        return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

    def url(self, name: str) -> str:
        """Made once per window and kept in the cache for all processes that would sign it alike.
        What the bucket will say of the object is part of the signature.
        """
        key = f"media-link:{self.signed_with}:{window()}:{name}"
        return cast("str", cache.get_or_set(key, lambda: self.sign(name), self.querystring_expire))

    def sign(self, name: str) -> str:
        return self.client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket_name,
                "Key": name,
                "ResponseContentType": content_type(name),
                "ResponseContentDisposition": "inline",
                "ResponseCacheControl": cache_control(),
            },
            ExpiresIn=self.querystring_expire,
        )


def body_of(content: File) -> Any:  # noqa: ANN401 - bytes, or an open file of the disk
    """What is in memory as bytes; what is on the disk as the file it is, sent as it is read."""
    return content.read() if isinstance(content, ContentFile) else content.file


def private() -> PrivateFileStorage | PrivateS3Storage:
    return cast("PrivateFileStorage | PrivateS3Storage", storages["private"])


def content_type(key: str) -> str:
    """By our own table: the platform's knows no WebP before Python 3.13."""
    return CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")


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
    return private().url(key)


def put(key: str, content: bytes) -> None:
    """Write one object; one of that key, left by an unanswered try, is replaced. Raises
    StorageAway.
    """
    try:
        private().save(key, ContentFile(content))
    except AWAY as error:
        raise StorageAway(type(error).__name__) from error


def put_file(key: str, content: BufferedRandom) -> None:
    """The same for an open file of the disk, which may be larger than memory."""
    try:
        private().save(key, File(content))
    except AWAY as error:
        raise StorageAway(type(error).__name__) from error


def pieces(key: str) -> Iterator[bytes]:
    """The object a piece at a time. Raises Missing or StorageAway before the first piece; later
    ones raise what the connection does.
    """
    try:
        return private().pieces(key)
    except FileNotFoundError as error:
        raise Missing(key) from error
    except AWAY as error:
        raise StorageAway(type(error).__name__) from error


def read(key: str) -> bytes:
    """The whole object. Raises Missing or StorageAway."""
    try:
        with private().open(key) as stored:
            return stored.read()
    except FileNotFoundError as error:
        raise Missing(key) from error
    except AWAY as error:
        raise StorageAway(type(error).__name__) from error


def remove(key: str) -> None:
    """Delete the object; one that is already gone is fine. Raises StorageAway."""
    try:
        private().delete(key)
    except FileNotFoundError:
        return
    except AWAY as error:
        raise StorageAway(type(error).__name__) from error


def keys(folder: str = "") -> set[str]:
    """Every object there is, or below `folder` (the audit's own listing). Raises StorageAway."""
    try:
        return private().keys(f"{folder}/" if folder else "")
    except AWAY as error:
        raise StorageAway(type(error).__name__) from error
