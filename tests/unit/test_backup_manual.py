"""docs/backup.md says of every rule, kind and option what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from blackstart.plan.backup.check import FORM, RULES
from blackstart.plan.backup.commands import KINDS as COMMANDS
from blackstart.plan.backup.files import SHELL
from blackstart.plan.backup.live import KINDS as LISTED
from blackstart.plan.backup.model import KINDS

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "backup.md").read_text()
ROW = re.compile(r"^\| (BSB\d+) \| (\w+) \| (.+?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def test_every_rule_is_listed() -> None:
    wanted = [
        (rule.id, rule.severity, rule.title, f"{rule.why} [More]({rule.link})" if rule.link else rule.why, rule.fix)
        for rule in (FORM, *RULES)
    ]
    assert ROW.findall(MANUAL) == wanted


def test_every_kind_of_object_file_and_command_is_explained() -> None:
    assert all(re.search(rf"\b{kind}\b", MANUAL) for kind in KINDS)
    assert all(f"`{suffix}`" in MANUAL for suffix in SHELL)
    assert all(f"`velero {command} create`" in MANUAL for command in COMMANDS)
    assert "`--rpo 1h`" in MANUAL


def test_every_kind_that_rules_know_is_listed_in_live_clusters() -> None:
    assert sorted(LISTED) == sorted(KINDS)
