"""Administration ports, which answer with long JSON: one GET a page, bounded, all under one deadline; blocking.

`blackstart.fleet.web` is for the short answers of a service, thousands a second.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Endpoint
from blackstart.probes.base import NoData
from blackstart.probes.errors import status_reason

MAX_BODY = 16 << 20
"""Bytes of one page; a longer one is refused. A mesh of thousands of services fits in."""


@dataclass(frozen=True)
class Page:
    """One answer, whatever its status; `date` is its server's clock, to a second."""

    url: str
    status: int
    body: bytes
    date: datetime

    def document(self) -> Any:
        """The JSON of a 2xx answer. Raises NoData."""
        if not 200 <= self.status < 300:
            raise NoData(status_reason(self.status), f"{self.url}: HTTP {self.status}")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise NoData(Reason.MALFORMED, f"{self.url} did not answer JSON: {error}") from None


def ask(
    endpoint: Endpoint, paths: Sequence[str], deadline: float, headers: Mapping[str, str] | None = None
) -> list[Page]:
    """The pages at `paths`, each asked once, within about `deadline` seconds. Raises NoData."""
    ends = time.monotonic() + deadline
    try:
        with urllib3.PoolManager(retries=False, headers=headers) as pool:
            return [_page(pool, endpoint.url.rstrip("/") + path, ends) for path in paths]
    except urllib3.exceptions.NewConnectionError as error:
        raise NoData(Reason.REFUSED, str(error)) from error
    except urllib3.exceptions.TimeoutError as error:
        raise NoData(Reason.TIMEOUT, str(error)) from error
    except (urllib3.exceptions.LocationValueError, urllib3.exceptions.SSLError) as error:
        raise NoData(Reason.MALFORMED, str(error)) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NoData(Reason.REFUSED, str(error)) from error


def _page(pool: urllib3.PoolManager, url: str, ends: float) -> Page:
    left = max(ends - time.monotonic(), 0.001)
    with closing(pool.request("GET", url, redirect=False, preload_content=False, timeout=left)) as response:
        return Page(url, response.status, _body(response, ends), _date(response.headers.get("Date")))


def _body(response: urllib3.BaseHTTPResponse, ends: float) -> bytes:
    body = b""
    while part := response.read1(1 << 16):
        body += part
        if len(body) > MAX_BODY:
            raise NoData(Reason.MALFORMED, f"the answer is longer than {MAX_BODY} bytes")
        if time.monotonic() > ends:
            raise NoData(Reason.TIMEOUT, "the answer did not end in time")
    return body


def _date(header: str | None) -> datetime:
    """The clock of the one who answered, since ages are told by it; ours when it does not say."""
    try:
        return parsedate_to_datetime(header or "")
    except ValueError:
        return datetime.now(UTC)
