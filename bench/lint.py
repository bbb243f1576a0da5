"""How good lint of a mesh is, and how fast: rules with a bad and a good example, false findings, time per file.

The time is a ratio to plain YAML parsing of the same files in the same run.
`python bench/lint.py [FILES]`, 400 by default. Exit code 1 for a false or a
missing finding.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from blackstart.cli import invoke
from blackstart.plan.mesh.check import RULES, lint_mesh
from blackstart.plan.mesh.files import read_files
from blackstart.plan.mesh.model import Said

EXAMPLES = Path(__file__).resolve().parents[1] / "tests/unit/mesh"
ROUNDS = 5


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    ids = [rule.id for rule in RULES]
    missing = [rule for rule in ids if not any(f["rule"] == rule for f in findings(rule, "bad"))]
    false = [f"{rule}: {f['rule']}" for rule in ids for f in findings(rule, "good") if counts(f, rule)]
    print(f"rules {len(ids)}, found in their bad example {len(ids) - len(missing)}, false in good ones {len(false)}")
    for line in [*(f"not found: {rule}" for rule in missing), *false]:
        print(f"  {line}")
    with tempfile.TemporaryDirectory(prefix="blackstart-lint-") as folder:
        files = copies(Path(folder), number)
        parsed = best(lambda: [list(yaml.load_all(f.read_bytes(), yaml.CSafeLoader)) for f in files])
        linted = best(lambda: lint_mesh(read_files([Path(folder)], Said()).mesh))
    print(f"{number} files: lint {linted:.2f} s, plain YAML {parsed:.2f} s, ratio {linted / parsed:.1f}")
    return 1 if missing or false else 0


def findings(rule: str, which: str) -> list[dict[str, str]]:
    """What lint says of an example; a comment on its top has the options."""
    file = EXAMPLES / rule / f"{which}.yaml"
    path = file if file.exists() else file.with_suffix("")
    options = re.match(r"# lint --mesh (.+)", file.read_text()) if file.exists() else None
    with contextlib.redirect_stdout(io.StringIO()) as said:
        invoke(["lint", "--mesh", str(path), "-o", "json", *shlex.split(options[1] if options else "")])
    found: list[dict[str, str]] = json.loads(said.getvalue())
    return found


def counts(finding: dict[str, str], rule: str) -> bool:
    """Whether it is false in a good example: infos are for the reader, unless the example is about one."""
    return finding["severity"] != "info" or finding["rule"] == rule


def copies(folder: Path, number: int) -> list[Path]:
    """So many files, each in a namespace of its own: the same examples again and again."""
    examples = sorted(EXAMPLES.glob("BSM[1-9]*/*.yaml"))
    made = []
    for n in range(number):
        path = folder / f"{n:05}.yaml"
        shutil.copyfile(examples[n % len(examples)], path)
        path.write_text(re.sub(r"namespace: \S+", f"namespace: n{n}", path.read_text()))
        made.append(path)
    return made


def best(work: Callable[[], object]) -> float:
    """Seconds of processor time that the fastest of some rounds took: others use this machine, too."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
