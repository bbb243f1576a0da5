"""The buckets of a fleet, read only: which objects are there, and what is in them. Nothing is retried."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import requests
import urllib3
from requests_aws4auth import AWS4Auth

from blackstart.fleet.backups import Bucket, Listing
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet
from blackstart.fleet.places import inside

MOST = 16 << 20
"""Bytes of the largest object that is read."""

MOST_KEYS = 20_000
"""Objects of the longest list that is read."""

_CHUNK = 1 << 16
_PAGE = 1000
_AMAZON = re.compile(r"\bs3[.-]([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")
_CODE = re.compile(rb"<Code>(\w+)</Code>")


class S3Error(FleetError):
    """The bucket did not answer as it should; `kind` is `refused`, `timeout`, `unauthorised` or `malformed`."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def size(fleet: Fleet, key: str, deadline: float = 2.0) -> int | None:
    """Bytes of an object of the backups' bucket (its key without the prefix); None: no such object, or no bucket.

    Raises S3Error, and SecretError for a key that cannot be read.
    """
    with _answer(fleet, _backups(fleet), "HEAD", key, time.monotonic() + deadline) as answer:
        return None if answer is None else int(answer.headers.get("Content-Length", 0))


def read(fleet: Fleet, key: str, deadline: float = 5.0) -> bytes | None:
    """An object of at most MOST bytes of the backups' bucket; None, and raises, as `size`."""
    ends = time.monotonic() + deadline
    with _answer(fleet, _backups(fleet), "GET", key, ends) as answer:
        return None if answer is None else _body(answer, ends)


@contextmanager
def opened(fleet: Fleet, bucket: Bucket, key: str, deadline: float) -> Iterator[Iterator[bytes]]:
    """An object of any length, piece by piece, for the length of the block, in which the thread is in its place.

    Raises S3Error when there is none, too, and SecretError.
    """
    ends = time.monotonic() + deadline
    with _answer(fleet, bucket, "GET", key, ends) as answer:
        if answer is None:
            raise S3Error(f"{bucket.url}/{bucket.bucket}: there is no {key}", "malformed")
        yield _parts(answer, ends)


def listing(fleet: Fleet, bucket: Bucket, prefix: str, deadline: float = 10.0) -> list[Listing]:
    """The objects whose key, without the bucket's prefix, begins so; none where there is no bucket.

    Raises S3Error, also for a list longer than MOST_KEYS, and SecretError.
    """
    ends = time.monotonic() + deadline
    cut = len(_whole(bucket, ""))
    found: list[Listing] = []
    token: str | None = ""
    while token is not None:
        query = {"list-type": "2", "max-keys": str(_PAGE), "prefix": _whole(bucket, prefix)}
        if token:
            query["continuation-token"] = token
        with _answer(fleet, bucket, "GET", None, ends, query) as answer:
            if answer is None:
                return []
            page, token = _page(_body(answer, ends), answer.url)
        found += [Listing(key[cut:], written, length) for key, written, length in page]
        if len(found) > MOST_KEYS:
            raise S3Error(f"{answer.url}: more than {MOST_KEYS} objects; name a longer prefix", "malformed")
    return found


def _page(body: bytes, url: str) -> tuple[list[tuple[str, datetime, int]], str | None]:
    """Key, time and size of each object of a page, and by what to ask for the next one."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - expat knows no external entities, and bounds the others
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        if root.tag != f"{space}ListBucketResult":
            raise S3Error(f"{url}: is no list of objects", "malformed")
        found = [
            (
                each.findtext(f"{space}Key", ""),
                datetime.fromisoformat(each.findtext(f"{space}LastModified", "")).astimezone(UTC),
                int(each.findtext(f"{space}Size", "")),
            )
            for each in root.iter(f"{space}Contents")
        ]
        more = root.findtext(f"{space}IsTruncated", "false") == "true"
        token = root.findtext(f"{space}NextContinuationToken") if more else None
    except (ElementTree.ParseError, ValueError) as error:
        raise S3Error(f"{url}: {error}", "malformed") from None
    if more and not token:
        raise S3Error(f"{url}: the list goes on, and does not say where", "malformed")
    return found, token


def _backups(fleet: Fleet) -> Bucket:
    if fleet.backups is None:
        raise S3Error(f"fleet {fleet.fleet!r} has no `backups` in fleet.yaml", "malformed")
    return fleet.backups


@contextmanager
def _answer(
    fleet: Fleet, bucket: Bucket, method: str, key: str | None, ends: float, query: dict[str, str] | None = None
) -> Iterator[requests.Response | None]:
    """The answer about an object, or with None about the bucket; None for 404."""
    url = f"{bucket.url}/{quote(bucket.bucket)}" + (f"/{quote(_whole(bucket, key))}" if key is not None else "")
    left = max(ends - time.monotonic(), 0.001)
    try:
        with inside(fleet.places[bucket.place]), requests.Session() as session:
            # Neither proxies nor ~/.netrc of this machine.
            session.trust_env = False
            with session.request(
                method,
                url,
                params=query,
                auth=AWS4Auth(bucket.access_key.reveal(), bucket.secret_key.reveal(), _region(bucket), "s3"),
                headers={"Accept-Encoding": "identity"},
                timeout=left,
                stream=True,
                allow_redirects=False,
            ) as answer:
                yield _checked(url, answer, ends)
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise S3Error(f"{url}: no answer in time", "timeout") from None
    except requests.exceptions.SSLError as error:
        raise S3Error(f"{url}: {error}", "malformed") from None
    except (requests.ConnectionError, urllib3.exceptions.HTTPError, OSError) as error:
        # So the client calls a body that stops coming.
        late = bool(error.args) and isinstance(error.args[0], urllib3.exceptions.TimeoutError)
        raise S3Error(f"{url}: {_said(error)}", "timeout" if late else "refused") from None
    except ValueError as error:
        raise S3Error(f"{url}: {error}", "malformed") from None


def _checked(url: str, answer: requests.Response, ends: float) -> requests.Response | None:
    """The answer; None for 404."""
    status = answer.status_code
    if status == 404:
        return None
    if status in (401, 403):
        raise S3Error(
            f"{url}: HTTP {status}{_code(answer, ends)}: the keys in fleet.yaml are refused", "unauthorised"
        )
    if status != 200:
        kind = "refused" if status >= 500 or status == 429 else "malformed"
        raise S3Error(f"{url}: HTTP {status}{_code(answer, ends)}", kind)
    return answer


def _body(answer: requests.Response, ends: float) -> bytes:
    body = b""
    for part in _parts(answer, ends):
        body += part
        if len(body) > MOST:
            raise S3Error(f"{answer.url}: longer than {MOST} bytes", "malformed")
    return body


def _parts(answer: requests.Response, ends: float) -> Iterator[bytes]:
    for part in answer.iter_content(_CHUNK):
        yield part
        if time.monotonic() > ends:
            raise S3Error(f"{answer.url}: the answer did not end in time", "timeout")


def _code(answer: requests.Response, ends: float) -> str:
    """S3's word for what is wrong; the rest of such an answer may name keys."""
    found = _CODE.search(_body(answer, ends))
    return f" {found[1].decode()}" if found else ""


def _whole(bucket: Bucket, key: str) -> str:
    prefix = bucket.prefix.strip("/")
    return f"{prefix}/{key}" if prefix else key


def _region(bucket: Bucket) -> str:
    """Amazon's servers want their own region in the signature; others take any."""
    found = _AMAZON.search(urlsplit(bucket.url).netloc)
    return found[1] if found else "us-east-1"


def _said(error: BaseException) -> str:
    """The innermost cause, for people: the client's own texts show its objects."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
