"""Secrets are named in files and never shown."""

from __future__ import annotations

from pathlib import Path

import contentkit
import pytest
import yaml

from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet, Prometheus
from blackstart.schema.errors import ContentError
from blackstart.schema.secret import Secret, SecretError

PROMETHEUS = {"url": "http://p", "place": "operator"}


def fleet(tmp_path: Path, **prometheus: object) -> Fleet:
    data = contentkit.changed(contentkit.FLEET, {"regions.us.prometheus": {**PROMETHEUS, **prometheus}})
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return load_fleet(tmp_path / "fleet.yaml")


def token(loaded: Fleet) -> Secret:
    prometheus = loaded.regions["us"].prometheus
    assert prometheus is not None
    assert prometheus.token is not None
    return prometheus.token


def test_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BS_TOKEN", " hunter2\n")
    secret = token(fleet(tmp_path, token="${env:BS_TOKEN}"))
    assert secret.reveal() == "hunter2"


def test_from_a_file_beside_the_fleet(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    assert token(fleet(tmp_path, token="${file:token}")).reveal() == "hunter2"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${env:BS_NONE}", r"fleet.yaml:\d+: \$\{env:BS_NONE\} is not set; export BS_NONE"),
        ("${file:none}", r"fleet.yaml:\d+: \$\{file:none\} cannot be read: No such file"),
        ("${file:fleet.yaml/x}", r"cannot be read"),
        ("${file:empty}", r"\$\{file:empty\} is empty"),
        ("${file:binary}", r"cannot be read: not text"),
    ],
)
def test_a_reference_that_leads_nowhere(tmp_path: Path, reference: str, said: str) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    secret = token(fleet(tmp_path, token=reference))
    with pytest.raises(SecretError, match=said):
        secret.reveal()


@pytest.mark.parametrize("text", ["hunter2", "Bearer ${env:X}", 5, ["hunter2"], None])
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: object) -> None:
    if text is None:
        assert fleet(tmp_path, token=None)
        return
    with pytest.raises(ContentError, match="a secret does not belong in this file") as caught:
        fleet(tmp_path, token=text)
    assert "hunter2" not in str(caught.value)


def test_nothing_shows_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BS_TOKEN", "hunter2")
    loaded = fleet(tmp_path, token="${env:BS_TOKEN}")
    token(loaded).reveal()
    shown = [str(token(loaded)), repr(loaded), loaded.model_dump_json(), str(loaded.model_dump())]
    assert not any("hunter2" in text for text in shown)
    again = Fleet.model_validate(loaded.model_dump(mode="json"))
    assert token(again) == token(loaded)
    assert token(again).reveal() == "hunter2"


def test_a_reference_where_no_secret_belongs(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"prometheus.url: this key takes no \$\{...\} reference"):
        fleet(tmp_path, url="http://u:${env:PASSWORD}@p")


def test_equal_by_reference() -> None:
    assert Prometheus(**PROMETHEUS, token="${env:A}") == Prometheus(**PROMETHEUS, token="${env:A}")  # type: ignore[arg-type]
    assert len({Secret("${env:A}"), Secret("${env:A}"), Secret("${env:B}")}) == 2


def test_a_missing_fleet_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="no such file; `blackstart lab up` writes the lab's"):
        load_fleet(tmp_path / "fleet.yaml")
