"""What the report says in its own words: verdicts, objectives, advice, controls."""

from __future__ import annotations

from typing import NamedTuple

from blackstart.schema.result import Verdict


class Look(NamedTuple):
    """A verdict on the banner: tone (a class of the style sheet), meaning, and the path of its icon (24 x 24)."""

    tone: str
    meaning: str
    icon: str


_CHECK = "M5 12.5 10 17.5 19 7"
_CROSS = "M6.5 6.5 17.5 17.5 M17.5 6.5 6.5 17.5"
_QUESTION = "M8.5 9a3.5 3.5 0 1 1 5.2 3.1c-1.2.7-1.7 1.3-1.7 2.6 M12 18.4v.2"
_BAR = "M6 12H18"
_STOP = "M8 7V17 M16 7V17"
_ALARM = "M12 5.5V14 M12 18v.3"
_LOCK = "M7.5 11V8.5a4.5 4.5 0 0 1 9 0V11 M6 11H18V18.5H6Z"

VERDICTS = {
    Verdict.PASS: Look("good", "Every objective was kept, and the evidence proves it.", _CHECK),
    Verdict.FAIL: Look("bad", "The fault was real, the evidence is sound, and an objective was missed.", _CROSS),
    Verdict.INCONCLUSIVE: Look("unsure", "The evidence is not enough to say. This is not a pass.", _QUESTION),
    Verdict.INVALID: Look("unsure", "The fault or the baseline was not real, so nothing was tested.", _BAR),
    Verdict.ABORTED: Look("unsure", "The drill ended early; everything was put back.", _STOP),
    Verdict.UNSAFE: Look("bad", "It is not proven that everything was put back. Someone must look now.", _ALARM),
    Verdict.BLOCKED: Look("unsure", "A lock, a freeze or a missing approval; nothing was injected.", _LOCK),
}

KINDS = {
    "rto": "Recovery time (RTO)",
    "failback": "Fail-back time",
    "availability": "Availability",
    "completeness": "Completeness",
    "reading": "Probe",
    "honest": "Honest view",
    "rpo": "Data loss (RPO)",
    "lost-writes": "Lost writes",
    "order": "Order of writes",
    "convergence": "Convergence",
    "restored": "Restored and proven",
    "backup-rpo": "Age of the backup (RPO)",
    "restore-rto": "Time to restore (RTO)",
    "loss": "Data loss",
    "detection": "Detection",
    "readings": "Probes",
}

_ADVICE = {
    "rto": "Look at the timeline. A long time to detect: health checks or outlier detection are too slow or cannot "
    "eject. Detected but not moved: no other region is configured or it lacks capacity. Moved but not steady: the "
    "survivor is overloaded.",
    "failback": "Check that the load balancer takes the region back without an operator, and how long its endpoints "
    "stay ejected.",
    "availability": "Count where the failures lie in the timeline: retries on another region and shorter connect "
    "timeouts save requests in the first seconds.",
    "completeness": "Compare what the checks name with its state before the drill; put it back by hand before the "
    "next one.",
    "rpo": "Open the lost writes: those acknowledged just before the fault were not replicated yet. Semi-synchronous "
    "replication, or min-replicas-to-write, bounds or ends that at the price of waiting.",
    "lost-writes": "Open the lost writes. All from just before the fault: replication is asynchronous. Some "
    "after it: two sides took writes, or the fail-back discarded what only one of them had.",
    "convergence": "Open the writes that differ, and what replication says: an error 1062 is one key written on both "
    "sides. Late, but the same in the end: the link was slow to come back, or a replica slow to apply.",
    "order": "Find who sends a write again under the same id, or applies them side by side.",
    "honest": "Open the seconds in which the view was wrong: an answer that lacks a region, or is of before, was "
    "taken for whole. Ask for warnings, for every expected store, and for the age of the samples.",
    "restored": "Open the table of the restore. Not the same: something was there already, or a webhook changed it. "
    "Missing: the backup, or the filters, leave it out. A restore that says Completed proves none of it.",
    "backup-rpo": "Take backups more often: the newest is as old as the schedule's interval, plus what a backup "
    "takes, plus up to a minute until another region has noticed it.",
    "restore-rto": "Look at the split: waiting for the region to notice the backup, Velero itself, pods that become "
    "ready, services that answer.",
    "reading": "Open the readings below: the value left its bound while the fault was in place.",
}

_UNKNOWN = "The evidence does not say. Mend the observation named here and run the drill again; no data never passes."


class Control(NamedTuple):
    """A control of a standard, and what of this report speaks to it."""

    name: str
    asks: str
    shows: str


CONTROLS = (
    Control("SOC 2 A1.3", "Recovery plan procedures are tested.", "Verdict, objectives, steps carried out."),
    Control("ISO 22301:2019 8.5", "Exercises with scope, aims and a report.", "Scope, objectives, findings."),
    Control(
        "DORA, RTS 2024/1774 Art. 25",
        "Continuity plans are tested with scenarios such as the loss of a site; deficiencies are reported.",
        "The fault and its proof, timings, return to normal, findings.",
    ),
    Control(
        "AWS Well-Architected REL13",
        "Disaster recovery is tested against recovery objectives.",
        "Measured recovery time against its objective, with its resolution.",
    ),
)


def advice(kind: str, met: bool | None) -> str:
    """What to do about an objective that was not met, or not known to be."""
    return _UNKNOWN if met is None else _ADVICE.get(kind, "")
