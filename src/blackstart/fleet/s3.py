"""The bucket of a fleet's backups, read only: whether an object is there, and what is in it. Nothing is retried."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import requests
import urllib3
from requests_aws4auth import AWS4Auth

from blackstart.fleet.backups import Bucket
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet
from blackstart.fleet.places import inside

MOST = 16 << 20
"""Bytes of the largest object that is read."""

_AMAZON = re.compile(r"\bs3[.-]([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")
_CODE = re.compile(rb"<Code>(\w+)</Code>")


class S3Error(FleetError):
    """The bucket did not answer as it should; `kind` is `refused`, `timeout`, `unauthorised` or `malformed`."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def size(fleet: Fleet, key: str, deadline: float = 2.0) -> int | None:
    """Bytes of an object (its key without the bucket's prefix); None when there is no such object, or no bucket.

    Raises S3Error, and SecretError for a key that cannot be read.
    """
    with _answer(fleet, "HEAD", key, time.monotonic() + deadline) as answer:
        return None if answer is None else int(answer.headers.get("Content-Length", 0))


def read(fleet: Fleet, key: str, deadline: float = 5.0) -> bytes | None:
    """An object of at most MOST bytes; None, and raises, as `size`."""
    ends = time.monotonic() + deadline
    with _answer(fleet, "GET", key, ends) as answer:
        return None if answer is None else _body(answer, ends)


@contextmanager
def _answer(fleet: Fleet, method: str, key: str, ends: float) -> Iterator[requests.Response | None]:
    bucket = fleet.backups
    if bucket is None:
        raise S3Error(f"fleet {fleet.fleet!r} has no `backups` in fleet.yaml", "malformed")
    url = f"{bucket.url}/{quote(bucket.bucket)}/{quote(_whole(bucket, key))}"
    left = max(ends - time.monotonic(), 0.001)
    try:
        with inside(fleet.places[bucket.place]), requests.Session() as session:
            # Neither proxies nor ~/.netrc of this machine.
            session.trust_env = False
            with session.request(
                method,
                url,
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
        raise S3Error(f"{url}: {_said(error)}", "refused") from None
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
    for part in answer.iter_content(1 << 16):
        body += part
        if len(body) > MOST:
            raise S3Error(f"{answer.url}: longer than {MOST} bytes", "malformed")
        if time.monotonic() > ends:
            raise S3Error(f"{answer.url}: the answer did not end in time", "timeout")
    return body


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
