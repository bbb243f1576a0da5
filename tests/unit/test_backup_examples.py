"""Backups as documents on multi-cluster platforms show them, what is wrong with them, and better ones."""

from __future__ import annotations

from pathlib import Path

from blackstart.plan.backup.check import lint_backups
from blackstart.plan.backup.files import read_files
from blackstart.plan.backup.model import Said
from blackstart.schema.errors import path_text

FOLDER = Path(__file__).parent / "backup_examples"
RPO = 3600.0


def found(name: str, rpo: float | None = RPO) -> dict[str, tuple[int | None, str, str]]:
    """Line, path and message of each rule's finding."""
    findings = lint_backups(read_files([FOLDER / name], Said(rpo)).backups)
    assert len({finding.rule for finding in findings}) == len(findings)
    return {f.rule: (f.place.line, path_text(f.path), f.message) for f in findings}


def test_a_daily_backup_has_an_rpo_of_a_day() -> None:
    line, path, message = found("seed.sh")["BSB101"]
    assert (line, path) == (10, "spec.schedule")
    assert message == "the newest backup can be 1d2m old and more; the RPO is 1h"
    assert "BSB101" not in found("seed.sh", None)
    assert "BSB101" in found("seed.sh", 86400.0)
    assert "BSB101" not in found("seed.sh", 86520.0)


def test_its_bucket_is_in_the_region_that_dies() -> None:
    line, path, message = found("seed.sh")["BSB201"]
    assert (line, path) == (6, "spec.config.region")
    assert message.startswith("bucket velero-backups is in us-east-1, like the cluster")


def test_the_mapped_namespace_changes_the_names_of_services() -> None:
    line, path, message = found("seed.sh")["BSB401"]
    assert (line, path) == (14, "spec.namespaceMapping.production")
    assert "services of production are called name.production-restored.svc there" in message


def test_the_second_cluster_has_no_velero_and_the_backup_no_such_name() -> None:
    rules = found("seed.sh")
    assert rules["BSB205"][2] == "cluster2 has no location for bucket velero-backups"
    assert rules["BSB405"][2].startswith("no backup is called daily-backup-20231020: ")
    assert rules["BSB501"][2] == "cluster2 has no Deployment velero"


def test_nothing_else_is_said_of_it() -> None:
    assert {*found("seed.sh")} == {"BSB101", "BSB201", "BSB205", "BSB401", "BSB405", "BSB501"}


def test_the_corrected_one_has_nothing_to_say() -> None:
    assert found("corrected.sh") == {}


def test_a_whole_fleet_that_is_in_order_has_nothing_to_say() -> None:
    source = read_files([FOLDER / "fleet"], Said(RPO))
    assert [str(finding) for finding in lint_backups(source.backups)] == []
    assert [cluster.name for cluster in source.backups.clusters] == ["eu", "us"]
