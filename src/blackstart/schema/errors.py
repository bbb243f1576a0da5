"""What can be wrong with a file that a person wrote, and how it is told."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

KeyPath = tuple[str | int, ...]
"""Where a value is inside a file: keys and list positions, outermost first."""

Severity = Literal["error", "warning", "info"]


class BlackstartError(Exception):
    """An error that a person can act on: it says place, cause and next step, and is shown without a traceback."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True)
class Place:
    """A place in a file, counted from 1; `line` None: the whole file, or not a file at all (`--set phases.hold`)."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Finding:
    """One thing wrong with the content: where, what, and what to do about it."""

    place: Place
    path: KeyPath
    message: str
    fix: str = ""
    rule: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        parts = [str(self.place)]
        if self.severity != "error":
            parts.append(self.severity)
        if self.path:
            parts.append(path_text(self.path))
        text = ": ".join([*parts, self.message])
        if self.fix:
            text += f"; {self.fix}"
        return f"{text} [{self.rule}]" if self.rule else text


class ContentError(BlackstartError):
    """Content files that cannot be used; `findings` has everything that is wrong, in the order of the files."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(f) for f in findings))
        self.findings = tuple(findings)


class Problems(ValueError):  # noqa: N818 - several, and pydantic wants a ValueError
    """Raised by a validator that looks at a whole model: each problem with its path below that model."""

    def __init__(self, problems: Sequence[tuple[KeyPath, str]]) -> None:
        super().__init__("; ".join(f"{path_text(path)}: {message}" for path, message in problems))
        self.problems = tuple(problems)


def path_text(path: KeyPath) -> str:
    """`objectives[1].kind` of ("objectives", 1, "kind")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def unknown(what: str, found: object, allowed: Iterable[str]) -> str:
    """`unknown probe "avail"; allowed: availability; did you mean "availability"?`"""
    names = list(dict.fromkeys(allowed))
    text = f"unknown {what} {quote(found)}; allowed: {', '.join(names) or 'none'}"
    close = difflib.get_close_matches(str(found), names, n=1)
    return f'{text}; did you mean "{close[0]}"?' if close else text


def quote(value: object) -> str:
    """A value as people write it, in double quotes if it is text, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def shown(path: Path) -> str:
    """A path relative to the working directory when it lies below it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
