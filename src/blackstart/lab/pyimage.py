"""The guardian's container image without Docker: this Python, what the guardian imports, and the C libraries of both.

Modules lie in it compiled, without their sources: a pod with a read-only file
system could not keep what it compiles, and would take seconds to start.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import blackstart
from blackstart import __version__
from blackstart.lab.images import Entry, Runtime, write_image
from blackstart.lab.shell import LabError, run
from blackstart.lab.toolchain import cache_dir

IMAGE = f"blackstart.local/guardian:{__version__}"

_ROOT = "/python"
_NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"
_STDLIB, _SITE = f"{_ROOT}/lib/{_NAME}", f"{_ROOT}/lib/{_NAME}/site-packages"
_RUNTIME = Runtime(
    entrypoint=(f"{_ROOT}/bin/{_NAME}", "-m", "blackstart"),
    env=("PATH=/python/bin", f"PYTHONHOME={_ROOT}", f"LD_LIBRARY_PATH={_ROOT}/lib", "PYTHONUNBUFFERED=1"),
)
_TRACE = """
import importlib, json, pkgutil, sys
before = set(sys.modules)
for name in ("cli.guardian", "safety.guardian", "fleet.incluster", "faults"):
    importlib.import_module(f"blackstart.{name}")
for module in pkgutil.iter_modules(sys.modules["blackstart.faults"].__path__):
    importlib.import_module(f"blackstart.faults.{module.name}")
from kubernetes import client, config
client.ApiClient, client.ApiException, config.new_client_from_config
found = {name: m for name, m in sys.modules.items() if name not in before and getattr(m, "__file__", None)}
print(json.dumps({name: [m.__file__, *getattr(m, "__path__", [])] for name, m in found.items()}))
"""
"""Loads all that a guardian may load, and prints of each module its file, and of a package its folder."""

_NOT_OF_STDLIB = re.compile(
    r"(test|idlelib|tkinter|turtledemo|ensurepip|pydoc_data|site-packages|venv|config-.*)/"
    r"|lib-dynload/(_test|_ctypes_test|xx|_tkinter|_curses|readline|_gdbm|_dbm)|.*/tests?/"
)
_HEAVY = ("kubernetes/aio/", "kubernetes/client/api/", "kubernetes/client/models/")
"""Left out where the guardian does not load them: three quarters of all modules."""

_CODE, _BINARY = ".py", ".so"
_DATA = {".pem", ".typed"}
_KEPT = 3


def guardian_image() -> Path:
    """The archive of the image; made when Python, the packages or this project have changed. Raises LabError."""
    archive = cache_dir() / f"guardian-{_digest()}" / "guardian.tar"
    if not archive.exists():
        try:
            files = _compiled([*_interpreter(), *_packages()])
            write_image(IMAGE, [[*files, *_libraries([source for _, source in files])]], archive, _RUNTIME)
        except (OSError, py_compile.PyCompileError) as error:
            raise LabError(f"cannot make the guardian's image: {error}") from error
        _forget_old_ones()
    return archive


def _digest() -> str:
    """What goes into the image, in 12 hex digits."""
    packages = sorted(f"{d.name}=={d.version}" for d in importlib.metadata.distributions())
    hashed = hashlib.sha256("\n".join([sys.version, platform.machine(), *packages]).encode())
    for path in sorted(_own().rglob("*.py")):
        hashed.update(f"\n{path.relative_to(_own())}\n".encode() + path.read_bytes())
    return hashed.hexdigest()[:12]


def _own() -> Path:
    return Path(blackstart.__file__).parent


def _interpreter() -> Iterator[Entry]:
    """Python and its standard library."""
    yield f"{_ROOT}/bin/{_NAME}", Path(os.path.realpath(sys.executable))
    lib = Path(sysconfig.get_path("stdlib"))
    for path in _files(lib):
        relative = path.relative_to(lib).as_posix()
        if not _NOT_OF_STDLIB.match(relative):
            yield f"{_STDLIB}/{relative}", path


def _packages() -> Iterator[Entry]:
    """The packages that the guardian imports, and the metadata of this one, which knows its version."""
    modules: dict[str, list[str]] = json.loads(run([sys.executable, "-c", _TRACE]))
    loaded = {files[0] for files in modules.values()}
    for name in sorted({name.partition(".")[0] for name in modules} - sys.stdlib_module_names):
        top = Path(modules[name][-1])
        for path in [top] if top.is_file() else _files(top):
            relative = path.relative_to(top.parent).as_posix()
            if str(path) in loaded or not relative.startswith(_HEAVY):
                yield f"{_SITE}/{relative}", path
    metadata = next(f for f in importlib.metadata.files("blackstart") or [] if f.name == "METADATA")
    yield f"{_SITE}/{metadata}", Path(str(metadata.locate()))


def _files(folder: Path) -> list[Path]:
    """Code, libraries and the data that they read, below a folder."""
    wanted = {_CODE, _BINARY, *_DATA}
    return sorted(path for path in folder.rglob("*") if path.suffix in wanted and path.is_file())


def _compiled(entries: Iterable[Entry]) -> list[Entry]:
    """The entries with the code compiled; what was compiled once is not again."""
    folder = cache_dir() / f"pyc-{sys.implementation.cache_tag}"
    folder.mkdir(parents=True, exist_ok=True)
    return [
        (f"{target}c", _compile(target, source, folder)) if source.suffix == _CODE else (target, source)
        for target, source in entries
    ]


def _compile(target: str, source: Path, folder: Path) -> Path:
    compiled = folder / f"{hashlib.sha256(target.encode() + source.read_bytes()).hexdigest()}.pyc"
    if not compiled.exists():
        # Nothing to compare with: the source stays behind.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(source), str(compiled), target, doraise=True, invalidation_mode=mode)
    return compiled


def _libraries(sources: Iterable[Path]) -> list[Entry]:
    """The shared libraries that programs and extension modules need, and the loader. Raises LabError."""
    plain = {".pyc", *_DATA}
    binaries = [str(path) for path in sources if path.suffix not in plain and path.name != "METADATA"]
    # It fails for what is linked statically, and prints the rest all the same.
    said = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    if missing := re.findall(r"^\s+(\S+) => not found", said, re.MULTILINE):
        raise LabError(f"cannot make the guardian's image: no library {', '.join(sorted(set(missing)))}")
    found = {f"{_ROOT}/lib/{name}": path for name, path in re.findall(r"^\s+(\S+) => (/\S+)", said, re.MULTILINE)}
    found |= {path: path for path in re.findall(r"^\s+(/\S+) \(", said, re.MULTILINE)}
    return [(target, Path(os.path.realpath(path))) for target, path in sorted(found.items())]


def _forget_old_ones() -> None:
    """Keep the newest archives: others may still be reading them."""
    made = sorted(cache_dir().glob("guardian-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in made[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
