"""Reading YAML: what it guesses is refused, and everything has a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blackstart.schema.base import LocalPath, Model, Seconds
from blackstart.schema.errors import ContentError
from blackstart.schema.source import load, override, read, read_text

FILE = Path("x.yaml")


def refused(text: str) -> str:
    with pytest.raises(ContentError) as caught:
        read_text(text, FILE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.yaml: the file is empty"),
        ("# only a comment\n", "x.yaml: the file is empty"),
        ("a: 1\nb: 2\na: 3\n", 'x.yaml:3: a: duplicate key "a"; first in line 1'),
        ("a: 1\nb: on\n", 'x.yaml:2: b: YAML reads on as a boolean; write true or false, or "on"'),
        ("a: [yes]\n", 'x.yaml:1: a[0]: YAML reads yes as a boolean; write true or false, or "yes"'),
        ("a: True\n", 'x.yaml:1: a: YAML reads True as a boolean; write true or false, or "True"'),
        ("a: 012\n", 'x.yaml:1: a: YAML reads 012 as an unusual number; write it plainly, or "012"'),
        ("a: 1:30\n", 'x.yaml:1: a: YAML reads 1:30 as an unusual number; write it plainly, or "1:30"'),
        ("a: .nan\n", 'x.yaml:1: a: YAML reads .nan as an unusual number; write it plainly, or ".nan"'),
        ("a: 1_000\n", 'x.yaml:1: a: YAML reads 1_000 as an unusual number; write it plainly, or "1_000"'),
        ("on: 1\n", "x.yaml:1: key on is not text; put it in quotes"),
        ("8080: 1\n", "x.yaml:1: key 8080 is not text; put it in quotes"),
        ("? [a]\n: 1\n", "x.yaml:1: key not a scalar is not text; put it in quotes"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2: a second document (---); a file holds one"),
        ("a:\n\tb: 1\n", "x.yaml:2: a tab; YAML is indented by spaces"),
        ("a: [1\n", "x.yaml:2: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: \x01\n", "x.yaml:1: a character that YAML does not allow: '\\x01'"),
        ("a: !!python/name:os.system\n", "tag tag:yaml.org,2002:python/name:os.system is not supported"),
        ("a: &a [*a]\n", "an alias to something that contains it"),
        ("[" * 5000, "x.yaml: is nested too deep"),
    ],
)
def test_refused(text: str, said: str) -> None:
    assert said in refused(text)


def test_everything_wrong_is_said_at_once() -> None:
    assert len(refused("a: on\nb: off\nb: 1\n").splitlines()) == 3


def test_aliases_that_multiply_are_stopped() -> None:
    layers = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "are aliases nested?" in refused("\n".join(layers))


def test_anchors_and_merges() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\nboth: {<<: [{z: 1}, *b]}\n"
    assert read_text(text, FILE).data == {
        "base": {"x": 1, "y": 2},
        "more": {"x": 1, "y": 3},
        "both": {"x": 1, "y": 2, "z": 1},
    }


def test_dates_stay_text() -> None:
    assert read_text("a: 2026-11-23\n", FILE).data == {"a": "2026-11-23"}


def test_places() -> None:
    document = read_text("a:\n  - b: 1\n    c: 2\n", FILE)
    assert str(document.place(("a", 0, "c"))) == "x.yaml:3"
    assert document.place(("a", 0, "c")).column == 5
    assert str(document.place(("a", 0, "missing", 3))) == "x.yaml:2"


def test_unreadable_files(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: caf\xe9\n")
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (1 << 21))
    for path, said in (
        (latin, "latin.yaml:2: is not UTF-8"),
        (big, "larger than 1 MiB"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none.yaml", "No such file"),
    ):
        with pytest.raises(ContentError, match=said):
            read(path)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(file).data == {"a": 1}


class Inner(Model):
    length: Seconds = 1.0
    names: list[str] = []


class Outer(Model):
    inner: Inner = Inner()
    path: LocalPath = Path("beside.txt")


def outer(tmp_path: Path, text: str, overrides: dict[str, str] | None = None) -> Outer:
    (tmp_path / "o.yaml").write_text(text)
    return load(tmp_path / "o.yaml", Outer, overrides)


def test_overrides(tmp_path: Path) -> None:
    text = "inner: {length: 5s, names: [a, b]}\npath: p\n"
    loaded = outer(tmp_path, text, {"inner.length": "20s", "inner.names.1": "c"})
    assert (loaded.inner.length, loaded.inner.names) == (20.0, ["a", "c"])
    assert outer(tmp_path, "path: p\n", {"inner.names": "[x]"}).inner.names == ["x"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("inner.length", "20", "--set inner.length: inner.length: 20 has no unit"),
        ("inner.lenght", "20s", "--set inner.lenght: inner.lenght: unknown key"),
        ("inner.length", "on", "--set inner.length: inner.length: YAML reads on"),
        ("inner.length", "[", "--set inner.length: not valid YAML"),
        ("inner.names.7", "x", "--set inner.names.7: inner.names: no entry '7'; there are 2"),
        ("inner.names.x", "x", "no entry 'x'"),
        ("inner.length.deeper", "x", "no key 'deeper' here"),
        ("", "x", "no key '' here"),
    ],
)
def test_wrong_overrides(tmp_path: Path, key: str, value: str, said: str) -> None:
    with pytest.raises(ContentError) as caught:
        outer(tmp_path, "inner: {length: 5s, names: [a, b]}\n", {key: value})
    assert said in str(caught.value)


def test_an_override_mends_what_the_file_has_wrong(tmp_path: Path) -> None:
    assert outer(tmp_path, "inner: {length: 5}\n", {"inner.length": "5s"}).inner.length == 5.0


def test_overriding_a_branch_forgets_the_lines_below(tmp_path: Path) -> None:
    document = override(read_text("a:\n  b: 1\n", FILE), {"a": "{c: 2}"})
    assert document.data == {"a": {"c": 2}}
    assert str(document.place(("a", "c"))) == "--set a"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert outer(tmp_path, "path: sub/k.yaml\n").path == tmp_path / "sub/k.yaml"
    assert outer(tmp_path, "path: /etc/k.yaml\n").path == Path("/etc/k.yaml")


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(exclude_categories=["C"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcde", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(json_like)
def test_plain_data_is_read_as_it_was_written(data: Any) -> None:
    assert read_text(yaml.safe_dump({"root": data}, allow_unicode=True), FILE).data == {"root": data}


@given(st.text(st.sampled_from(list("ab:-[]{}&*!|>%@`\"'#? \n\t0.~<yesno"))))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_text(text, FILE)
    except ContentError as error:
        assert all(finding.place.file == "x.yaml" for finding in error.findings)  # noqa: PT017 - not raising is fine too
