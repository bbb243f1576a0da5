"""One numbered write through a service's entry, and what its answer means."""

from __future__ import annotations

import asyncio
import json
import time

from blackstart.fleet.web import Answer, BadAnswer, Session, post
from blackstart.ledger.book import Outcome, Result

_WHY = 80


async def send(session: Session, url: str, write: str, patience: float) -> Outcome:
    """POST the write once and wait for its answer, at most `patience` seconds in all. No network error is raised."""
    request = post(url, json.dumps({"id": write}).encode(), (("Idempotency-Key", write),))
    sent = time.monotonic()
    try:
        async with asyncio.timeout(patience):
            answer = await session.ask(request)
    except TimeoutError:
        return Outcome("indeterminate", sent, time.monotonic(), why="timeout")
    except (BadAnswer, OSError) as error:
        return Outcome("indeterminate", sent, time.monotonic(), why=f"{type(error).__name__}: {error}"[:_WHY])
    result, by, why = meaning(answer)
    return Outcome(result, sent, time.monotonic(), by, why)


def meaning(answer: Answer) -> tuple[Result, str, str]:
    """What an answer says of a write: the result, who answered (`region/pod`), and why it is not ok.

    2xx acknowledges, unless its body is something else than an object without
    `committed` or with `"committed": true`. Any other status with
    `"committed": false` says that nothing was written. All else says nothing.
    """
    body = _body(answer.body)
    by = "/".join(str(body[key]) for key in ("region", "pod") if body and isinstance(body.get(key), str))
    committed = (body or {}).get("committed", True if answer.good else None)
    if answer.good and committed is True and (body is not None or not answer.body.strip()):
        return "ok", by, ""
    if not answer.good and committed is False:
        return "failed", by, f"{answer.status}: not committed"
    if body is None:
        return "indeterminate", by, f"{answer.status} with {answer.body[:40]!r}"
    return "indeterminate", by, f"{answer.status} with committed: {json.dumps(committed)}"[:_WHY]


def _body(raw: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
