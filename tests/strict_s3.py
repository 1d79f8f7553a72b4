"""A strict S3 on loopback: every request's signature is recomputed with botocore's own signer,
and only then moto answers, which alone would believe anybody.

Knows the stand-ins' server, botocore and moto; nothing of the product.
"""

import hashlib
import hmac
import io
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

import boto3
from botocore.auth import UNSIGNED_PAYLOAD, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends

from config import standins

ACCESS_KEY, SECRET_KEY = "AKIAIOSFODNN7EXAMPLE", "test-secret-0123456789"
REGION = "eu-central-1"
# S3's own limits: how far a clock may be off and how long a link may live.
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
SKEW = timedelta(minutes=15)
LONGEST_LINK = 7 * 24 * 3600  # seconds
LARGEST = 10_000_000  # bytes of an object, where S3 takes 5 GB
# Services beside AWS refuse what newer SDKs add unasked (boto/s3transfer#327).
UNSUPPORTED = "x-amz-sdk-checksum-algorithm"


class Refused(Exception):
    """Arguments: status line, S3's code, a sentence."""


class Claim(NamedTuple):
    signer: type[S3SigV4Auth] | type[S3SigV4QueryAuth]
    credential: str
    signed: frozenset[str]
    stamp: str
    made: datetime
    seconds: int | None  # a link's life; None for a signature in the headers
    signature: str


class StrictS3:
    """Answers on `url` from the moment it is made until `close()`. `asked` says what came;
    `trouble`, a WSGI app, answers signed requests in moto's place.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.trouble: standins.App | None = None
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = standins.serve(self)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()
        s3_backends.reset()

    def client(self, secret_key: str = SECRET_KEY) -> Any:
        """The official client, with the true keys unless told otherwise."""
        once = Config(
            retries={"total_max_attempts": 1}, request_checksum_calculation="when_required"
        )
        session = boto3.Session(ACCESS_KEY, secret_key, region_name=REGION)
        return session.client("s3", endpoint_url=self.url, config=once)

    def environment(self, bucket: str) -> dict[str, str]:
        """Make an empty bucket; returns the variables of a deployment that uses it."""
        place = {"LocationConstraint": REGION}
        self.client().create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        return {
            "S3_BUCKET": bucket,
            "S3_ENDPOINT_URL": self.url,
            "S3_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def __call__(self, environ: standins.Environ, start: standins.StartResponse) -> Any:
        self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            check(environ, body)
        except Refused as refused:
            return refuse(start, *refused.args)
        return (self.trouble or self._moto)(environ, start)


def refuse(start: standins.StartResponse, status: str, code: str, message: str) -> list[bytes]:
    """S3's kind of error."""
    start(status, [("Content-Type", "application/xml")])
    return [f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()]


def check(environ: standins.Environ, body: bytes) -> None:
    """Raises Refused unless the request is signed, in time, whole and small enough."""
    heads = {n[5:].replace("_", "-").lower(): v for n, v in environ.items() if n[:5] == "HTTP_"}
    claim = claimed(heads, dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)))
    check_scope(claim)
    check_clock(claim)
    if {"host", *(n for n in heads if n.startswith("x-amz-"))} - claim.signed:
        raise Refused("403 Forbidden", "AccessDenied", "Some headers were not signed.")
    if not hmac.compare_digest(recomputed(claim, environ, heads), claim.signature):
        raise Refused("403 Forbidden", "SignatureDoesNotMatch", "The signatures differ.")
    told = heads.get("x-amz-content-sha256", UNSIGNED_PAYLOAD)
    if told not in (UNSIGNED_PAYLOAD, hashlib.sha256(body).hexdigest()):
        raise Refused("400 Bad Request", "XAmzContentSHA256Mismatch", "Another body was signed.")
    if UNSUPPORTED in heads:
        raise Refused("400 Bad Request", "InvalidArgument", f"Unsupported header {UNSUPPORTED}")
    if len(body) > LARGEST:
        raise Refused("400 Bad Request", "EntityTooLarge", "Larger than an object may be.")


def claimed(heads: dict[str, str], query: dict[str, str]) -> Claim:
    """What the request says of its own signature. Raises Refused for one without."""
    try:
        if "X-Amz-Signature" in query:
            stamp, seconds = query["X-Amz-Date"], int(query["X-Amz-Expires"])
            signer, parts = S3SigV4QueryAuth, {n.removeprefix("X-Amz-"): query[n] for n in query}
        else:
            _must_be_there = heads["x-amz-content-sha256"]
            rest = heads["authorization"].removeprefix("AWS4-HMAC-SHA256 ")
            parts = dict(part.strip().split("=", 1) for part in rest.split(","))
            signer, stamp, seconds = S3SigV4Auth, heads["x-amz-date"], None
        signed, signature = frozenset(parts["SignedHeaders"].split(";")), parts["Signature"]
        made = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return Claim(signer, parts["Credential"], signed, stamp, made, seconds, signature)
    except (KeyError, ValueError) as error:
        raise Refused("403 Forbidden", "AccessDenied", "Access Denied") from error


def check_scope(claim: Claim) -> None:
    key, _, scope = claim.credential.partition("/")
    if key != ACCESS_KEY:
        raise Refused("403 Forbidden", "InvalidAccessKeyId", "That key is not known.")
    if scope != f"{claim.stamp[:8]}/{REGION}/s3/aws4_request":
        raise Refused("400 Bad Request", "AuthorizationHeaderMalformed", f"Expecting '{REGION}'")


def check_clock(claim: Claim) -> None:
    now = datetime.now(UTC)
    if claim.seconds is None:
        if abs(now - claim.made) > SKEW:
            raise Refused("403 Forbidden", "RequestTimeTooSkewed", "The clocks differ too much.")
    elif not 0 < claim.seconds <= LONGEST_LINK:
        raise Refused("400 Bad Request", "AuthorizationQueryParametersError", "At most a week.")
    elif not claim.made - SKEW <= now < claim.made + timedelta(seconds=claim.seconds):
        raise Refused("403 Forbidden", "AccessDenied", "Request has expired")


def recomputed(claim: Claim, environ: standins.Environ, heads: dict[str, str]) -> str:
    """The signature this request should bear."""
    path = quote(environ["PATH_INFO"].encode("iso-8859-1"), safe="/-._~")
    pairs = [p for p in environ["QUERY_STRING"].split("&") if not p.startswith("X-Amz-Signature=")]
    request = AWSRequest(
        method=environ["REQUEST_METHOD"],
        url=f"http://{heads['host']}{path}?{'&'.join(pairs)}",
        headers={name: value for name, value in heads.items() if name in claim.signed},
    )
    request.context["timestamp"] = claim.stamp
    signer = claim.signer(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
    asked = signer.canonical_request(request)
    return signer.signature(signer.string_to_sign(request, asked), request)
