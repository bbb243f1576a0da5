"""What was in a backup against what is in a cluster: nothing that differs is proven, all that is the same is."""

from __future__ import annotations

import copy
import io
import json
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from restorekit import DIGEST, RESOURCES, an_object, production, tarball, zipped

from blackstart.evidence.restores import Tally
from blackstart.procedures.archive import Damaged, Kept, Listed, Said, contents, listed, said
from blackstart.procedures.likeness import differences, normal
from blackstart.procedures.proof import Scope, digests, expected, objections, other_images, prove
from blackstart.schema.restore import DERIVED

Json = dict[str, Any]
MAPPED = {"production": "production-dr"}
SCOPE = Scope(MAPPED, exclude=DERIVED, workloads={"production": [("deployments.apps", "web")]})
KEPT = [Kept(kind, body) for kind, body in production()]


def restored(kept: list[Kept] = KEPT) -> dict[tuple[str, str], dict[str, Json]]:
    """As a sound restore leaves it: other UIDs and addresses, Velero's labels."""
    found: dict[tuple[str, str], dict[str, Json]] = {}
    for each in kept:
        body = copy.deepcopy(each.body)
        body["metadata"] |= {"namespace": "production-dr", "uid": "other", "resourceVersion": "99"}
        body["metadata"]["labels"] = {**(body["metadata"].get("labels") or {}), "velero.io/restore-name": "r"}
        body["metadata"]["managedFields"] = [{"manager": "velero"}]
        if each.kind == "services":
            body["spec"] |= {"clusterIP": "10.1.0.1", "clusterIPs": ["10.1.0.1"]}
            body["spec"]["ports"][0]["nodePort"] = 31999
        found.setdefault((each.kind, "production-dr"), {})[each.name] = body
    return found


def test_a_sound_restore_is_proven() -> None:
    proof = prove(KEPT, restored(), SCOPE)
    assert proof.whole
    assert {kind: tally.proven for kind, tally in proof.tallies.items()} == {
        "configmaps": 1,
        "secrets": 1,
        "services": 1,
        "deployments.apps": 1,
    }
    assert (proof.objects, proof.objections, proof.left_out) == ([], [], {"pods": 1})


def test_what_is_missing_is_named() -> None:
    found = restored()
    del found["secrets", "production-dr"]["login"]
    proof = prove(KEPT, found, SCOPE)
    assert not proof.whole
    assert [(o.kind, o.name, o.outcome) for o in proof.objects] == [("secrets", "production-dr/login", "missing")]


def test_what_was_there_and_differs_is_no_restore() -> None:
    found = restored()
    found["configmaps", "production-dr"]["settings"]["data"]["mode"] = "slow"
    found["deployments.apps", "production-dr"]["web"]["spec"]["replicas"] = 2
    proof = prove(KEPT, found, SCOPE)
    assert not proof.whole
    assert [(o.name, o.detail) for o in proof.objects] == [
        ("production-dr/settings", "data.mode"),
        ("production-dr/web", "spec.replicas"),
    ]


def test_a_secret_that_differs_is_told_without_its_content() -> None:
    found = restored()
    found["secrets", "production-dr"]["login"]["data"]["password"] = "Y29ycmVjdGhvcnNl"
    proof = prove(KEPT, found, SCOPE)
    assert [o.detail for o in proof.objects] == ["data"]
    told = json.dumps([o.model_dump() for o in proof.objects]) + repr(proof)
    assert "aHVudGVyMg" not in told
    assert "Y29ycmVj" not in told


@pytest.mark.parametrize("kept", [[], KEPT[:2], [KEPT[0]]], ids=["nothing", "what every namespace has", "itself"])
def test_an_empty_backup_proves_nothing(kept: list[Kept]) -> None:
    proof = prove(kept, restored(kept), Scope(MAPPED, exclude=DERIVED))
    assert not proof.whole
    assert "nothing of namespace 'production'" in proof.objections[0]


def test_a_backup_without_the_workload_of_the_fleet_is_not_whole() -> None:
    kept = [each for each in KEPT if each.kind != "deployments.apps"]
    proof = prove(kept, restored(kept), SCOPE)
    assert not proof.whole
    assert [(o.outcome, o.detail) for o in proof.objects] == [
        ("missing", "runs there by fleet.yaml, is not in the backup")
    ]


def test_the_wrong_namespace_is_missing_everything() -> None:
    found = {(kind, "production"): bodies for (kind, _), bodies in restored().items()}
    proof = prove(KEPT, found, SCOPE)
    assert {o.outcome for o in proof.objects} == {"missing"}
    lines = [Listed("v1/ConfigMap", "production", "settings", "created")]
    (told,) = objections(lines, Said((), ()), SCOPE)
    assert "into 'production', another namespace" in told


def test_a_volume_is_not_proven_by_its_claim() -> None:
    claim = Kept("persistentvolumeclaims", an_object("persistentvolumeclaims", "data", spec={"volumeName": "pv-1"}))
    kept = [*KEPT, claim]
    proof = prove(kept, restored(kept), SCOPE)
    assert proof.whole
    assert proof.tallies["persistentvolumeclaims"] == Tally(unproven=1)
    assert "volume" in proof.objects[0].detail


def test_objects_that_were_not_in_the_backup_are_counted() -> None:
    found = restored()
    found["configmaps", "production-dr"]["left"] = an_object("configmaps", "left", "production-dr")
    assert prove(KEPT, found, SCOPE).tallies["configmaps"].extra == 1


def test_only_the_cluster_s_own_certificate_may_be_warned_of() -> None:
    root = (
        "could not restore, ConfigMap:kube-root-ca.crt already exists. Warning: the in-cluster version is different"
    )
    assert objections([], Said((), (root,)), SCOPE) == []
    other = root.replace("kube-root-ca.crt", "settings")
    assert objections([], Said((), (root, other)), SCOPE) == [f"Velero warns: {other}"]
    assert objections([], Said(("boom",), ()), SCOPE) == ["Velero: boom"]
    # What was there already and differs is `failed` in Velero's list, too.
    listed_root = Listed("v1/ConfigMap", "production-dr", "kube-root-ca.crt", "failed")
    assert objections([listed_root], Said((), ()), SCOPE) == []
    failed = Listed("v1/Service", "production-dr", "web", "failed")
    assert "could not restore" in objections([failed], Said((), ()), SCOPE)[0]


def test_filters_leave_kinds_out() -> None:
    wanted, left = expected(KEPT, Scope(MAPPED, include=["secrets", "deployments"]))
    assert {each.kind for each in wanted} == {"secrets", "deployments.apps"}
    assert left == {"configmaps": 2, "services": 1, "pods": 1}


def test_accounts_of_the_namespace_move_with_it() -> None:
    subject = {"kind": "ServiceAccount", "name": "web", "namespace": "production"}
    kind = "rolebindings.rbac.authorization.k8s.io"
    old = an_object(kind, "web", subjects=[subject])
    new = an_object(kind, "web", "production-dr", subjects=[{**subject, "namespace": "production-dr"}])
    assert differences(old, new, MAPPED, kind) == []
    assert differences(old, old, MAPPED, kind) == ["subjects[0].namespace"]


def test_a_headless_service_must_be_headless_again() -> None:
    old = an_object("services", "db", spec={"type": "ClusterIP", "clusterIP": "None"})
    new = an_object("services", "db", "production-dr", spec={"type": "ClusterIP", "clusterIP": "10.1.2.3"})
    assert differences(old, new, MAPPED, "services") == ["spec.clusterIP"]


def test_images_are_the_same_by_digest() -> None:
    before = digests(KEPT)["production"]
    pod = KEPT[-1].body
    assert other_images(before, [pod]) == ([], [])
    other = copy.deepcopy(pod)
    other["status"]["containerStatuses"][0]["imageID"] = "web@sha256:" + "b" * 64
    wrong, unknown = other_images(before, [other])
    assert "web:v1 runs as sha256:bbb" in wrong[0]
    assert unknown == []
    assert other_images({}, [pod]) == ([], ["web:v1"])
    pinned = copy.deepcopy(pod)
    pinned["spec"]["containers"][0]["image"] = f"web@{DIGEST}"
    assert other_images({}, [pinned]) == ([], [])


def test_the_tarball_is_read_once_for_each_object() -> None:
    found = contents(tarball(production()))
    assert [(each.kind, each.name) for each in found] == [
        (kind, body["metadata"]["name"]) for kind, body in production()
    ]


@pytest.mark.parametrize("cut", [0, 10, 400, -1])
def test_a_cut_tarball_is_damaged(cut: int) -> None:
    data = tarball(production())
    with pytest.raises(Damaged):
        contents(data[:cut])


def test_a_tarball_of_something_else_is_damaged() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("resources/configmaps/namespaces/production/x.json")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"[]"))
    with pytest.raises(Damaged, match="no object"):
        contents(out.getvalue())


def test_velero_s_own_words_are_read() -> None:
    lines = listed(zipped({"v1/Secret": ["production-dr/login(created)"], "v1/PersistentVolume": ["pv(skipped)"]}))
    assert lines == [
        Listed("v1/Secret", "production-dr", "login", "created"),
        Listed("v1/PersistentVolume", "", "pv", "skipped"),
    ]
    told = said(zipped({"errors": {"cluster": ["a"], "namespaces": {"n": ["b"]}}, "warnings": {}}))
    assert told == Said(("a", "b"), ())
    for damaged in (b"", zipped([])[:-3], zipped([])):
        with pytest.raises(Damaged):
            listed(damaged)


VALUES = st.recursive(
    st.text("ab", min_size=1) | st.integers(1, 3) | st.booleans(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, min_size=1)
    ),
    max_leaves=6,
)
BODIES = st.dictionaries(st.sampled_from(["data", "spec", "rules"]), st.dictionaries(st.sampled_from("pqr"), VALUES))


@given(BODIES, st.sampled_from(sorted(RESOURCES)))
def test_an_object_is_like_itself_and_like_nothing_else(body: Json, kind: str) -> None:
    kept, same = an_object(kind, "x", **copy.deepcopy(body)), an_object(kind, "x", "production-dr", **body)
    assert differences(kept, same, MAPPED, kind) == []
    if kind == "configmaps":
        changed = copy.deepcopy(same)
        changed.setdefault("data", {})["one more"] = "1"
        assert differences(kept, changed, MAPPED, kind)
        assert differences(changed, kept, MAPPED, kind)


@given(BODIES, st.sampled_from(sorted(RESOURCES)))
def test_what_is_normal_stays_so_and_the_object_is_left_alone(body: Json, kind: str) -> None:
    kept = an_object(kind, "x", **body)
    before = copy.deepcopy(kept)
    normal(kept, kind, {})
    assert kept == before


@given(st.sets(st.integers(0, len(KEPT) - 1)), st.sets(st.integers(0, len(KEPT) - 1)))
def test_every_object_is_counted_once(gone: set[int], spoilt: set[int]) -> None:
    found = restored()
    for number in spoilt:
        found[KEPT[number].kind, "production-dr"][KEPT[number].name]["extra"] = "field"
    for number in gone:
        del found[KEPT[number].kind, "production-dr"][KEPT[number].name]
    proof = prove(KEPT, found, SCOPE)
    wanted = expected(KEPT, SCOPE)[0]
    names = {(each.kind, each.name) for each in wanted}
    bad = {(KEPT[n].kind, KEPT[n].name) for n in gone | spoilt} & names
    assert sum(t.proven + t.missing + t.differs + t.unproven for t in proof.tallies.values()) == len(wanted)
    assert sum(t.proven for t in proof.tallies.values()) == len(wanted) - len(bad)
    assert proof.whole is not bool(bad)
