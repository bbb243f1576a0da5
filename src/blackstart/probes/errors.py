"""Why an attempt at the network failed, in the words of the evidence."""

from __future__ import annotations

import errno
import ssl

from blackstart.evidence.records import Reason
from blackstart.fleet.http1 import BadAnswer
from blackstart.probes.base import NoData

RESET = "reset"
"""The connection was closed before the whole answer had come. Readings call it `refused`."""

_RESET = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}


def why(error: BaseException) -> str:
    """`timeout`, `reset`, `malformed` or `refused`; raises any error that is not of the network."""
    if isinstance(error, TimeoutError) or _errno(error) == errno.ETIMEDOUT:
        return Reason.TIMEOUT
    if isinstance(error, ssl.SSLError | BadAnswer):
        return Reason.MALFORMED
    if _errno(error) in _RESET:
        return RESET
    if isinstance(error, OSError):
        return Reason.REFUSED
    raise error


def no_data(error: BaseException) -> NoData:
    """The same for a reading, with what the system said as its detail."""
    reason = why(error)
    return NoData(Reason.REFUSED if reason == RESET else Reason(reason), f"{type(error).__name__}: {error}")


def _errno(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def status_reason(status: int) -> Reason:
    """What an HTTP status other than 2xx means for a reading."""
    if status in (401, 403):
        return Reason.UNAUTHORISED
    if status in (408, 504):
        return Reason.TIMEOUT
    return Reason.REFUSED if status == 429 or status >= 500 else Reason.MALFORMED
