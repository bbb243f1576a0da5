"""The watchdog: `python -m blackstart.safety.watchdog`, beside every run, for when it dies or stands still.

The first line on stdin is the job; then come lines of the supervisor: `beat`
(it lives), `child PID START` (who injects), `quit` (all is well). When stdin
ends, or nothing comes for the time to live, the watchdog kills the child, so
that a stopped one cannot wake up and inject, and puts the run back, again and
again until nothing is left or its deadline is over.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

from pydantic import ValidationError

from blackstart.evidence import failpoints
from blackstart.evidence.failpoints import failpoint
from blackstart.fleet.load import load_fleet
from blackstart.safety.silence import Lines, watch
from blackstart.safety.strike import LEFT, end_child, put_back, say
from blackstart.safety.watched import Job
from blackstart.schema.errors import BlackstartError

READY = b"ready\n"

_USAGE = 2


def main() -> int:
    """Watch until told to quit; 14 when something is left that could not be put back."""
    failpoints.role("watchdog")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # Not SIG_IGN: what is started from here would inherit that.
        signal.signal(number, lambda *_: None)
    stdin = Lines(0)
    try:
        job = Job.model_validate_json(stdin.first())
    except ValidationError as error:
        say(f"the first line on stdin is no job: {error.error_count()} errors")
        return _USAGE
    os.environ["BLACKSTART_STATE"] = str(job.state)
    _warm_up(job)
    failpoint("watchdog.ready")
    # Whoever started this may be dead by now; then there is work to do.
    with contextlib.suppress(OSError):
        os.write(1, READY)
    _let_go_of_stdout()
    silence = watch(stdin, job.ttl)
    if silence is None:
        return 0
    # A supervisor that wakes up again learns from this that it was taken for dead.
    os.close(0)
    say(silence.reason)
    failpoint("watchdog.strikes")
    if silence.child:
        end_child(silence.child)
    failpoint("watchdog.killed")
    done = put_back(job)
    failpoint("watchdog.recovered")
    return 0 if done else LEFT


def _warm_up(job: Job) -> None:
    """Import now what will be needed then: the Kubernetes client alone costs half a second."""
    import kubernetes.client  # noqa: F401 - for its side effect of being loaded

    with contextlib.suppress(BlackstartError):
        load_fleet(job.fleet)


def _let_go_of_stdout() -> None:
    fd = os.open(os.devnull, os.O_RDWR)
    os.dup2(fd, 1)
    os.close(fd)


if __name__ == "__main__":
    # Under its own name, so that a forked attempt meets the same module.
    from blackstart.safety.watchdog import main as entry

    sys.exit(entry())
