"""A whole configuration as documents on multi-cluster meshes show it, what is wrong with it, and a better one."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from blackstart.plan.mesh.check import lint_mesh
from blackstart.plan.mesh.files import read_files
from blackstart.plan.mesh.model import Said
from blackstart.schema.errors import path_text

FOLDER = Path(__file__).parent / "mesh_examples"
REGIONS = ("us-east-1", "eu-west-1")

ENTRY, MULTI, GEO, GSLB, FAILOVER = range(1, 22), range(21, 41), range(41, 77), range(77, 94), range(94, 200)
"""The lines of the five objects."""


def found(name: str, said: Said = Said()) -> dict[str, list[tuple[int, str, str]]]:  # noqa: B008 - frozen
    """Line, path and message of the findings, by rule."""
    result = defaultdict(list)
    for finding in lint_mesh(read_files([FOLDER / name], said).mesh):
        result[finding.rule].append((finding.place.line or 0, path_text(finding.path), finding.message))
    return result


def test_the_entry_for_one_other_cluster_leads_nowhere() -> None:
    rules = found("seed.yaml")
    assert [path for _, path, _ in rules["BSM401"]] == ["spec.endpoints"]
    assert [path for _, path, _ in rules["BSM402"]] == ["spec.endpoints[0]"]
    ((line, path, message),) = rules["BSM403"]
    assert (line in ENTRY, path) == (True, "spec.endpoints[0].address")
    assert "user-service.production.svc.cluster2.local" in message


def test_two_rules_have_no_outlier_detection_and_cannot_fail_over() -> None:
    lines = [line for line, _, _ in found("seed.yaml")["BSM101"]]
    assert [(a in MULTI, b in GSLB) for a, b in [lines]] == [(True, True)]


def test_the_third_cannot_eject_a_region() -> None:
    ((line, _, message),) = found("seed.yaml")["BSM201"]
    assert line in FAILOVER
    assert message.startswith("10 % (the default) is less than the share of a region, 50 % (assuming 2 regions")
    ((_, _, message),) = found("seed.yaml", Said(replicas={"us-east-1": 3, "eu-west-1": 3}))["BSM201"]
    assert message == "10 % (the default) of 6 hosts ejects none; the loss of us-east-1 takes 3"


def test_the_third_is_late() -> None:
    rules = found("seed.yaml")
    assert [line in FAILOVER for rule in ("BSM204", "BSM205") for line, _, _ in rules[rule]] == [True, True]
    assert "BSM204" not in found("seed.yaml", Said(rto=100))


def test_the_regions_have_three_sets_of_names() -> None:
    first, second = found("seed.yaml")["BSM112"]
    assert (first[0] in GSLB, second[0] in FAILOVER) == (True, True)
    rules = found("seed.yaml", Said(regions=REGIONS))
    strangers = {message.split('"')[1] for _, _, message in rules["BSM111"]}
    assert strangers == {"us-east", "eu-west", "us-west-2", "cluster1", "cluster2"}


def test_two_rules_are_for_one_host() -> None:
    ((line, _, message),) = found("seed.yaml")["BSM501"]
    assert line in FAILOVER
    assert message.startswith("user-service-multi-cluster (")


def test_the_geo_routes_lead_to_subsets_that_nobody_has_and_mask_a_dead_one() -> None:
    rules = found("seed.yaml")
    assert [line in GEO for line, _, _ in rules["BSM301"]] == [True] * 4
    assert [line in GEO for line, _, _ in rules["BSM302"]] == [True] * 4
    assert [path for _, path, _ in rules["BSM311"]] == ["spec.http[0]", "spec.http[1]"]
    assert [path for _, path, _ in rules["BSM312"]] == ["spec.http[2].route"]
    assert [path for _, path, _ in rules["BSM322"]] == [
        f"spec.http[{i}].retries.retryRemoteLocalities" for i in range(3)
    ]


def test_nothing_else_is_said_of_it() -> None:
    said = {*found("seed.yaml")} - {"BSM331", "BSM115"}
    wanted = "101 112 201 204 205 301 302 311 312 322 401 402 403 501"
    assert said == {f"BSM{number}" for number in wanted.split()}


def test_the_corrected_one_has_only_a_note() -> None:
    for said in (Said(), Said(regions=REGIONS), Said(replicas={"us-east-1": 3, "eu-west-1": 5}, rto=10)):
        assert {*found("corrected.yaml", said)} == {"BSM323"}
