from collections.abc import Iterator
from pathlib import Path

import pytest
from kubeapi import NAMESPACE, UID, KubeApi

from blackstart.fleet import lease as leases
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import GUARDIAN, Lost, check_fence, run_lease
from blackstart.fleet.model import Cluster

REF = run_lease(NAMESPACE, "run-1")


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as found:
        yield found


@pytest.fixture
def kube(api: KubeApi, tmp_path: Path) -> Iterator[Kube]:
    with Kube(Cluster(kubeconfig=api.kubeconfig(tmp_path), context="here", uid=UID)) as found:
        yield found


def test_a_lease_is_made_renewed_and_released(api: KubeApi, kube: Kube) -> None:
    made = leases.create(kube, REF, "run-1", 14.2)
    assert (made.holder, made.seconds, made.labels) == ("run-1", 15.0, {"blackstart.dev/run": "run-1"})
    renewed = leases.renew(kube, made)
    assert renewed.mark != made.mark
    assert leases.find(kube, REF) == renewed
    assert leases.release(kube, REF, "run-1") is False
    assert leases.find(kube, REF) is None
    assert leases.release(kube, REF, "run-1") is False


def test_a_second_one_of_the_name_is_refused(kube: Kube) -> None:
    leases.create(kube, REF, "run-1", 15)
    with pytest.raises(KubeError) as caught:
        leases.create(kube, REF, "run-2", 15)
    assert caught.value.status == 409


def test_an_annotation_is_no_renewal_and_no_loss(kube: Kube) -> None:
    made = leases.create(kube, REF, "run-1", 15)
    leases.annotate(kube, made, {"a": "b"})
    found = leases.find(kube, REF)
    assert found
    assert found.mark == made.mark
    assert found.version != made.version
    # Based on the version from before the annotation.
    assert leases.renew(kube, made).annotations == {"a": "b"}


def test_who_lost_it_learns_it(kube: Kube) -> None:
    made = leases.create(kube, REF, "run-1", 15)
    check_fence(kube, NAMESPACE, "run-1")
    taken = leases.take_over(kube, made, GUARDIAN)
    assert taken.holder == GUARDIAN
    with pytest.raises(Lost, match="guardian has taken it, so run-1 may not change anything"):
        leases.renew(kube, made)
    with pytest.raises(Lost):
        check_fence(kube, NAMESPACE, "run-1")
    assert leases.release(kube, REF, "run-1") is True
    kube.delete(REF)
    with pytest.raises(Lost, match="is gone"):
        leases.renew(kube, made)


def test_a_lease_that_was_renewed_cannot_be_taken(kube: Kube) -> None:
    seen = leases.create(kube, REF, "run-1", 15)
    leases.renew(kube, seen)
    with pytest.raises(Lost, match="just now"):
        leases.take_over(kube, seen, GUARDIAN)
    check_fence(kube, NAMESPACE, "run-1")


def test_taking_over_for_another_run_changes_the_label(kube: Kube) -> None:
    seen = leases.create(kube, REF, "run-1", 15)
    assert leases.take_over(kube, seen, "run-2", "run-2").labels == {"blackstart.dev/run": "run-2"}


def test_no_answer_is_no_loss(api: KubeApi, kube: Kube) -> None:
    made = leases.create(kube, REF, "run-1", 15)
    api.fail = lambda method, path: (503, "starting")
    with pytest.raises(KubeError) as caught:
        leases.renew(kube, made)
    assert not isinstance(caught.value, Lost)
