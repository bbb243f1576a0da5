"""Checks files and folders of content, whatever mix of drills, probes, experiments and fleets they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blackstart.fleet.model import Fleet
from blackstart.plan.content import Experiment, load_content, load_probe
from blackstart.plan.lint import in_order, lint_drill, lint_experiment, lint_probe
from blackstart.plan.rules import form
from blackstart.schema.errors import ContentError, Finding, Place, shown
from blackstart.schema.source import Document, parse, read

FOLDERS = ("drills", "probes", "experiments")
FORM = form("BS001", "The file is readable: its YAML, its keys, its values.")
"""The rule of every finding about a file's form."""

type _Check = Callable[[Document, Fleet | None], list[Finding]]


@dataclass(frozen=True)
class Report:
    """What a check looked at and what it found."""

    files: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing found is an error."""
        return all(finding.severity != "error" for finding in self.findings)


def check(paths: Sequence[Path], fleet: Fleet | None = None) -> Report:
    """Check files and folders; with a fleet, also that it has every role they name."""
    files = [file for path in paths for file in _files(path)]
    return Report(len(files), tuple(in_order(f for file in files for f in check_file(file, fleet))))


def check_file(file: Path, fleet: Fleet | None = None) -> list[Finding]:
    """Everything to say about one file, and about what it names."""
    try:
        document = read(file)
        check = _check_of(document)
        if check is None:
            text = "is no content file: none of the keys drill, probe, fleet, method is there"
            raise ContentError([document.finding((), text)])
        return check(document, fleet)
    except ContentError as error:
        return [f if f.rule else replace(f, rule=FORM.id) for f in error.findings]


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    folders = [path / name for name in FOLDERS if (path / name).is_dir()]
    for folder in folders or [path]:
        yield from sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    if folders and (path / "fleet.yaml").is_file():
        yield path / "fleet.yaml"


def _check_of(document: Document) -> _Check | None:
    """How to check a file: by the key that names its kind, else by the folder that it is in."""
    keys = document.data if isinstance(document.data, dict) else {}
    for key, _, check in _KINDS:
        if key in keys:
            return check
    return next((check for _, folder, check in _KINDS if folder == document.file.absolute().parent.name), None)


def _drill(document: Document, fleet: Fleet | None) -> list[Finding]:
    return lint_drill(load_content(document.file, fleet))


def _probe(document: Document, fleet: Fleet | None) -> list[Finding]:
    return lint_probe(load_probe(document.file, fleet))


def _experiment(document: Document, fleet: Fleet | None) -> list[Finding]:
    return lint_experiment(Experiment(document, fleet))


def _fleet(document: Document, _: Fleet | None) -> list[Finding]:
    parse(document, Fleet)
    return []


_KINDS: tuple[tuple[str, str, _Check], ...] = (
    ("drill", "drills", _drill),
    ("probe", "probes", _probe),
    ("fleet", "fleets", _fleet),
    ("method", "experiments", _experiment),
)


def nothing_here(folder: Path) -> ContentError:
    """The error for a folder without content."""
    return ContentError(
        [Finding(Place(shown(folder)), (), "has no drills, probes or experiments", "run `blackstart init DIR` first")]
    )
