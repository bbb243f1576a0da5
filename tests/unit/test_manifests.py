"""Kubernetes manifests: many documents, places, and what Kubernetes reads differently from a careful person."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackstart.schema.manifests import Manifest, read_manifests


def read(tmp_path: Path, text: str | bytes) -> tuple[list[Manifest], list[str], list[str]]:
    file = tmp_path / "x.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    found, others, wrong = read_manifests(file, lambda version, kind: kind == "Service")
    return found, others, [str(finding).removeprefix(str(file)) for finding in wrong]


def test_documents_and_places(tmp_path: Path) -> None:
    text = "---\n# nothing\n---\nkind: Service\nspec:\n  a: [1, {b: 2}]\n---\nkind: Other\n---\njust text\n"
    (found,), others, wrong = read(tmp_path, text)
    assert found.data == {"kind": "Service", "spec": {"a": [1, {"b": 2}]}}
    assert found.place(("spec", "a", 1, "b")).line == 6
    assert found.place(("spec", "nothing", "there")).line == 5
    assert (others, wrong) == (["Other", ""], [])


def test_lists_are_what_they_hold(tmp_path: Path) -> None:
    text = "kind: List\nitems:\n- kind: Service\n- kind: Pod\n---\nkind: ServiceList\nitems: []\n---\nkind: List\n"
    found, others, wrong = read(tmp_path, text)
    assert [m.place(()).line for m in found] == [3]
    assert (others, wrong) == (["Pod", "List"], [])


def test_values_are_kubernetes_own(tmp_path: Path) -> None:
    text = "kind: Service\na: on\nb: 0644\nc: 1:30\nd: 2026-01-01\ne: ~\nf: .5\n1: x\ng: !x y\nh: !!int z\n"
    (found,), _, wrong = read(tmp_path, text)
    wanted = {"a": True, "b": 420, "c": 90, "d": "2026-01-01", "e": None, "f": 0.5, "1": "x", "g": "y", "h": "z"}
    assert {**found.data} == {"kind": "Service", **wanted}
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Service\nkind: Service\n", ':2: kind: duplicate key "kind"; first in line 1'),
        ("kind: Service\n? [a]\n: b\n", ":2: a key that is not text; is it a template? render it first"),
        ("kind: Service\na: &a [*a]\n", ":2: a[0]: an alias to something that contains it"),
        ("a: {{ .Values.x }}\nb: {{\n", "is it a template? render it first"),
        ("a: [\n", ":2: not valid YAML"),
        ("a: \x07\n", "YAML"),
        (b"\xff\xfe\xfa", ": is not UTF-8; save the file in that encoding"),
        (f"kind: Service\na: {'[' * 2000}{']' * 2000}\n", "is nested too deep"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str | bytes, said: str) -> None:
    _, _, wrong = read(tmp_path, text)
    assert said in "\n".join(wrong)


def test_what_comes_before_a_mistake_is_read(tmp_path: Path) -> None:
    found, _, wrong = read(tmp_path, "kind: Service\n---\na: [\n")
    assert (len(found), len(wrong)) == (1, 1)
