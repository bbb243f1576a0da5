"""One question to a Prometheus or Thanos: its answer read whole, bounded, within a deadline, never asked twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from math import isfinite
from typing import Any

import requests
import urllib3
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Prometheus
from blackstart.probes.base import NoData
from blackstart.probes.errors import status_reason

_MAX_BODY = 4 << 20

Labels = dict[str, str]


@dataclass(frozen=True)
class Result:
    """What was answered to a query: labels and value of each series, and what was said besides."""

    series: list[tuple[Labels, str]]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()

    @property
    def plain(self) -> float | None:
        """What somebody takes from the answer who asks for no more than HTTP 200 and the first value."""
        with suppress(IndexError, ValueError):
            value = float(self.series[0][1])
            return value if isfinite(value) else None
        return None


@dataclass(frozen=True)
class Answer:
    """Any other answer: the JSON below `data`, and when it was given, by the server's own clock if it said."""

    data: Any
    at: datetime | None


def query(prometheus: Prometheus, text: str, ends: float) -> Result:
    """The answer to an instant query, by `ends` (seconds of the monotonic clock); blocking. Raises NoData."""
    with _session(ends) as (session, heard):
        # retry=0: its default is three more attempts with a pause between them.
        client: Any = PrometheusConnect(prometheus.url.rstrip("/"), _headers(prometheus), retry=0, session=session)
        client.custom_query(text, timeout=_left(ends))
        return heard.result()


def get(prometheus: Prometheus, path: str, ends: float) -> Answer:
    """The answer at another path of the API, such as `/api/v1/stores`; blocking. Raises NoData."""
    with _session(ends) as (session, heard):
        url = f"{prometheus.url.rstrip('/')}{path}"
        answer = session.get(url, headers=_headers(prometheus), timeout=_left(ends))
        if answer.status_code != 200:
            raise NoData(_reason(heard.status), f"{path}: HTTP {heard.status}: {heard.error}")
        return Answer(heard.document()["data"], heard.at)


@contextmanager
def _session(ends: float) -> Iterator[tuple[requests.Session, _Hook]]:
    """A session, and the ear at it; whatever goes wrong in the block becomes NoData."""
    heard = _Hook(ends)
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.max_redirects = 0
            session.hooks["response"] = [heard]
            yield session, heard
    except PrometheusApiClientException:
        raise NoData(_reason(heard.status), f"HTTP {heard.status}: {heard.error}") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise NoData(Reason.TIMEOUT, type(error).__name__) from None
    except requests.exceptions.SSLError as error:
        raise NoData(Reason.MALFORMED, str(error)) from None
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        raise NoData(Reason.REFUSED, str(error)) from None
    except (requests.RequestException, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise NoData(Reason.MALFORMED, f"not an answer of Prometheus: {error!r}") from None


def _headers(prometheus: Prometheus) -> dict[str, str]:
    return {"Authorization": f"Bearer {prometheus.token.reveal()}"} if prometheus.token else {}


def _left(ends: float) -> float:
    return max(ends - time.monotonic(), 0.001)


class _Hook:
    """Reads an answer for a requests session, bounded, and keeps what prometheus-api-client drops of it."""

    def __init__(self, ends: float) -> None:
        self._ends = ends
        self.status = 0
        self.at: datetime | None = None
        self._body = b""

    def __call__(self, response: requests.Response, *_: Any, **__: Any) -> requests.Response:
        self.status = response.status_code
        with suppress(ValueError, TypeError):
            self.at = parsedate_to_datetime(response.headers.get("Date", ""))
        with response:
            self._body = self._read(response)
        whole = requests.Response()
        whole.status_code, whole.headers, whole.url = response.status_code, response.headers, response.url
        whole.headers.pop("Content-Encoding", None)
        whole.raw = BytesIO(self._body)
        return whole

    def _read(self, response: requests.Response) -> bytes:
        body = b""
        while part := response.raw.read1(1 << 16, decode_content=True):
            body += part
            if len(body) > _MAX_BODY:
                raise NoData(Reason.MALFORMED, f"the answer is longer than {_MAX_BODY} bytes; narrow the query")
            if time.monotonic() > self._ends:
                raise NoData(Reason.TIMEOUT, "the answer did not end in time")
        return body

    @property
    def error(self) -> str:
        """What Prometheus says went wrong, or the beginning of whatever answered in its place."""
        with suppress(ValueError, TypeError, KeyError):
            return str(json.loads(self._body)["error"])
        return self._body[:200].decode(errors="replace")

    def document(self) -> Any:
        """The answer as JSON. Raises ValueError."""
        return json.loads(self._body)

    def result(self) -> Result:
        """The answer to a query. Raises KeyError, TypeError and the like when it is none."""
        answer = self.document()
        return Result(_series(answer["data"]), tuple(answer.get("warnings") or ()), tuple(answer.get("infos") or ()))


def _series(data: Any) -> list[tuple[Labels, str]]:
    if data["resultType"] in ("scalar", "string"):
        return [({}, str(data["result"][1]))]
    return [(dict(s["metric"]), str(s["value"][1])) for s in data["result"]]


def _reason(status: int) -> Reason:
    # 422: understood and not answered, as by a Thanos that may not be partial and has lost a store.
    return Reason.REFUSED if status == 422 else status_reason(status)
