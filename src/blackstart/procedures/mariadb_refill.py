"""Salvages what only one MariaDB server has, and fills it anew from the primary, over the network."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from blackstart.fleet.stores import Login
from blackstart.procedures.base import StepError
from blackstart.procedures.gtids import Origin, told
from blackstart.procedures.mariadb import Server
from blackstart.procedures.secrets import hide
from blackstart.procedures.site import Site

_SYSTEM = ("mysql", "information_schema", "performance_schema", "sys")
_DUMP = (
    "--all-databases",
    "--flush-privileges",
    "--single-transaction",
    "--master-data=1",
    "--gtid",
    "--routines",
    "--events",
)
_OUTPUT = 1000


def salvage(site: Site, server: Server, primary: Server, extra: Mapping[Origin, tuple[int, int]]) -> str:
    """Keep what only this server has, as its binary log has it: the run's folder, `salvage/`, for its owner only.

    The list of transactions is always written; raises StepError when they
    themselves cannot be had, and nothing was discarded then.
    """
    if not extra:
        return "nothing to salvage"
    name = f"{site.name}-{server.region}"
    site.keep(name, ".gtids", f"{told(extra)}\n".encode())
    start = ",".join(f"{domain}-{origin}-{first - 1}" for (domain, origin), (first, _) in extra.items() if first > 1)
    with server.session() as sql:
        logs = [str(row["Log_name"]) for row in sql.rows("SHOW BINARY LOGS")]
    with ExitStack() as stack:
        options = stack.enter_context(_options(site, server))
        command = [
            *_program(site, server, "mariadb-binlog", options),
            "--read-from-remote-server",
            "--to-last-log",
            "--verbose",
            # With a GTID the server finds the file itself, and the name must be that of any.
            *([f"--start-position={start}"] if start else []),
            logs[0],
        ]
        out = stack.enter_context(tempfile.TemporaryFile())
        _run(site, [command], out.fileno(), [options])
        out.seek(0)
        return f"salvaged {told(extra)} into {site.keep(name, '.sql', out.read())}"


def refill(site: Site, server: Server, primary: Server) -> None:
    """Replace everything by a dump of the primary. Its own history goes: what only it had must be salvaged by now."""
    with server.session() as sql:
        sql.run("STOP SLAVE")
        sql.run("RESET SLAVE ALL")
        sql.run("SET GLOBAL read_only = 1")
        sql.run("SET SESSION sql_log_bin = 0")
        for row in sql.rows("SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA"):
            if row["name"] not in _SYSTEM:
                quoted = str(row["name"]).replace("`", "``")
                sql.run(f"DROP DATABASE `{quoted}`")
        sql.run("RESET MASTER")
        sql.run("SET GLOBAL gtid_slave_pos = ''")
    with _options(site, primary) as source, _options(site, server) as sink:
        dump = [*_program(site, primary, "mariadb-dump", source), *_DUMP]
        load = [*_program(site, server, "mariadb", sink), "--init-command=SET SESSION sql_log_bin = 0"]
        _run(site, [dump, load], subprocess.DEVNULL, [source, sink])


def _program(site: Site, server: Server, name: str, options: int) -> list[str]:
    netns = site.fleet.places[server.member.place].netns
    enter = [] if netns is None else ["nsenter", f"--net={netns}"]
    return [*enter, name, f"--defaults-extra-file=/proc/self/fd/{options}"]


@contextmanager
def _options(site: Site, server: Server) -> Iterator[int]:
    """A file of options for one server, in memory: arguments are seen by everybody, and files outlive a kill."""
    host, _, port = server.member.address.rpartition(":")
    lines = ["[client]", f"host={host}", f"port={port}", "protocol=tcp", *_login(site.admin)]
    if tls := site.store.tls:
        lines += [f"ssl-ca={tls.ca}", *([f"ssl-cert={tls.cert}", f"ssl-key={tls.key}"] if tls.cert else [])]
        lines += ["ssl-verify-server-cert"] if tls.server_name else []
    with open(os.memfd_create("options", 0), "wb") as file:
        # What others could write is not read.
        os.fchmod(file.fileno(), 0o600)
        file.write("\n".join([*lines, ""]).encode())
        file.flush()
        yield file.fileno()


def _login(login: Login) -> list[str]:
    password = login.password.reveal() if login.password else ""
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    return [f"user={login.user}", f'password="{quoted}"']


def _run(site: Site, pipeline: list[list[str]], out: int, kept: Sequence[int]) -> None:
    """Run programs with these files open, each reading what the one before writes. Raises StepError; none stays."""
    with ExitStack() as stack:
        err = stack.enter_context(tempfile.TemporaryFile())
        running: list[subprocess.Popen[bytes]] = []
        stack.callback(_end, running)
        for number, command in enumerate(pipeline):
            source = running[-1].stdout if running else subprocess.DEVNULL
            last = number == len(pipeline) - 1
            try:
                running.append(
                    subprocess.Popen(
                        command,
                        stdin=source,
                        stdout=out if last else subprocess.PIPE,
                        stderr=err,
                        pass_fds=kept,
                    )
                )
            except OSError as error:
                raise StepError(
                    f"{command[0]} cannot be run: {error.strerror}; install MariaDB's client programs"
                ) from error
            if running[1:]:
                stream = running[-2].stdout
                assert stream is not None  # noqa: S101 - made as a pipe above
                # So that the writer hears of the reader's end.
                stream.close()
        codes = [_wait(site, process) for process in running]
        err.seek(0)
        said = hide(site.fleet, " ".join(err.read().decode(errors="replace").split()))[-_OUTPUT:]
    if any(codes):
        names = " | ".join(Path(command[command.index(_named(command))]).name for command in pipeline)
        raise StepError(
            f"`{names}` ended with {', '.join(map(str, codes))}: {said}; mend that and run the step again"
        )


def _named(command: list[str]) -> str:
    return next(part for part in command if Path(part).name.startswith("mariadb"))


def _wait(site: Site, process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(site.deadline.left)
    except subprocess.TimeoutExpired:
        site.deadline.check("copying the data")
        return 1


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
