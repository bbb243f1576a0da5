"""Finds and reads what belongs to a drill: the drill itself, its experiment, its probes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from blackstart import probes
from blackstart.fleet.model import Fleet
from blackstart.probes.base import ProbeSpec
from blackstart.schema.content import content_dir
from blackstart.schema.drill import Drill
from blackstart.schema.errors import ContentError, Finding, KeyPath, Place, unknown
from blackstart.schema.source import Document, override, parse, read

Kind = Literal["drills", "experiments", "probes"]


@dataclass(frozen=True)
class Loaded[M: BaseModel]:
    """A model and the file that it was read from."""

    model: M
    document: Document


@dataclass(frozen=True)
class Activity:
    """One activity of an experiment; `section` is where it stands: `method`, `rollbacks` or the hypothesis."""

    section: str
    path: KeyPath
    data: Mapping[str, Any]

    @property
    def provider(self) -> Mapping[str, Any]:
        return _mapping(self.data.get("provider"))

    @property
    def arguments(self) -> Mapping[str, Any]:
        return _mapping(self.provider.get("arguments"))

    @property
    def module(self) -> str:
        """The Python module that provides it; empty for other providers."""
        return str(self.provider.get("module", ""))

    @property
    def ours(self) -> bool:
        return self.module.split(".")[:2] == ["blackstart", "activities"]

    @property
    def injects(self) -> bool:
        return self.section == "method" and self.data.get("type") == "action"


@dataclass(frozen=True)
class Experiment:
    """A Chaos Toolkit experiment, with the fleet that it would run on if one is known."""

    document: Document
    fleet: Fleet | None = None

    def activities(self) -> Iterator[Activity]:
        """Every activity, in the order of the file; what is not shaped like one is left to Chaos Toolkit."""
        data = _mapping(self.document.data)
        hypothesis = _mapping(data.get("steady-state-hypothesis"))
        yield from _activities("hypothesis", ("steady-state-hypothesis", "probes"), hypothesis.get("probes"))
        for section in ("method", "rollbacks"):
            yield from _activities(section, (section,), data.get(section))


@dataclass(frozen=True)
class Probe:
    """A probe, with the fleet that it would look at if one is known."""

    spec: ProbeSpec
    document: Document
    fleet: Fleet | None = None


@dataclass(frozen=True)
class Content:
    """A drill with everything that it names. What could not be found is missing here, and lint says so."""

    drill: Drill
    document: Document
    experiment: Experiment | None
    probes: Mapping[str, Probe]
    fleet: Fleet | None = None


def find_drill(name: str) -> Path:
    """The file of a drill: a path, or a name for ./drills/NAME.yaml, else the shipped one. Raises ContentError."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    here = Path("drills")
    for folder in (here, content_dir("drills")):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = sorted({*_names(here), *_names(content_dir("drills"))})
    raise ContentError([Finding(Place("drills"), (), unknown("drill", name, known))])


def load_content(file: Path, fleet: Fleet | None = None, overrides: Mapping[str, str] | None = None) -> Content:
    """The drill in `file` with its experiment and probes. Raises ContentError with what is wrong in the files."""
    document = override(read(file), overrides or {})
    drill = parse(document, Drill)
    problems: list[Finding] = []
    experiment: Experiment | None = None
    found: dict[str, Probe] = {}
    if path := find("experiments", drill.experiment, file):
        with _collecting(problems):
            experiment = Experiment(read(path), fleet)
    for name in dict.fromkeys(drill.probes):
        if path := find("probes", name, file):
            with _collecting(problems):
                found[name] = load_probe(path, fleet)
    if problems:
        raise ContentError(problems)
    return Content(drill, document, experiment, found, fleet)


def load_probe(file: Path, fleet: Fleet | None = None) -> Probe:
    """The probe in `file`. Raises ContentError."""
    return Probe(probes.load_probe(file), read(file), fleet)


def find(kind: Kind, name: str, drill: Path) -> Path | None:
    """The file of an experiment or probe: in the folder beside the drill's, else the shipped one."""
    return next((f / f"{name}.yaml" for f in _folders(kind, drill) if (f / f"{name}.yaml").is_file()), None)


def known(kind: Kind, drill: Path) -> list[str]:
    """The names that `find` would find."""
    return sorted({name for folder in _folders(kind, drill) for name in _names(folder)})


def _folders(kind: Kind, drill: Path) -> tuple[Path, Path]:
    return drill.absolute().parent.parent / kind, content_dir(kind)


def _names(folder: Path) -> Iterable[str]:
    return (file.stem for file in folder.glob("*.yaml"))


@contextmanager
def _collecting(findings: list[Finding]) -> Iterator[None]:
    """Add the findings of a ContentError to a list and go on."""
    try:
        yield
    except ContentError as error:
        findings.extend(error.findings)


def _activities(section: str, path: KeyPath, items: Any) -> Iterator[Activity]:
    for i, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):
            yield Activity(section, (*path, i), item)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
