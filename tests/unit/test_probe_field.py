"""Paths into JSON documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.evidence.records import Reason
from blackstart.probes.base import NoData
from blackstart.probes.field import field

POD = {
    "status": {
        "readyReplicas": 3,
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}],
        "text": "2.5",
    },
    "metadata": {"labels": {"app.kubernetes.io/name": "7"}},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status.readyReplicas", 3),
        ("$.status.readyReplicas", 3),
        ("status.text", 2.5),
        ('status.conditions[?(@.type=="Ready")].status', 1),
        ("status.conditions[?(@.type=='Other')].status", 0),
        ("status.conditions[-1].status", 0),
        ("metadata.labels['app.kubernetes.io/name']", 7),
    ],
)
def test_paths(path: str, value: float) -> None:
    assert field(POD, path) == value


@pytest.mark.parametrize("path", ["status.replicas", "status.conditions[7].status", "a.b.c", "status[0]"])
def test_what_is_not_there_is_empty_or_what_it_stands_for(path: str) -> None:
    with pytest.raises(NoData) as caught:
        field(POD, path)
    assert caught.value.reason is Reason.EMPTY
    assert field(POD, path, absent=0) == 0


@pytest.mark.parametrize("path", ["status", "status.conditions", "metadata.labels"])
def test_what_is_no_number(path: str) -> None:
    with pytest.raises(NoData) as caught:
        field(POD, path)
    assert caught.value.reason is Reason.MALFORMED


@given(st.floats())
def test_only_finite_numbers_are_values(value: float) -> None:
    try:
        assert field({"a": value}, "a") == value
    except NoData:
        assert value - value != 0
