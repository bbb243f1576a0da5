"""How many rows an SQL dump of mysqldump or mariadb-dump holds, table by table. Pure: bytes in, counts out."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from blackstart.procedures.archive import Damaged

_GZIP = b"\x1f\x8b"
_LITERAL = re.compile(rb"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_NAME = rb"(?:`(?:[^`]|``)+`|[\w$]+)"
_INSERT = re.compile(
    rb"(?:INSERT|REPLACE)(?: +IGNORE)? +INTO +(?P<table>" + _NAME + rb"(?: *\. *" + _NAME + rb")?)"
    rb" *(?:\([^()]*\))? *VALUES?\b",
    re.IGNORECASE,
)
_USE = re.compile(rb"USE +(?P<name>" + _NAME + rb") *;", re.IGNORECASE)
_DELIMITER = re.compile(rb"DELIMITER +(?P<mark>\S+)", re.IGNORECASE)
_DONE = re.compile(rb"-- Dump completed\b")
LONGEST = 64 << 20
"""Bytes of one line; mysqldump's are as long as a packet of the server may be."""


@dataclass(frozen=True)
class Dumped:
    """Rows by table, `DATABASE.TABLE` where the dump names the database; `whole`: it says that it was completed."""

    rows: dict[str, int]
    whole: bool

    def of(self, table: str) -> int | None:
        """The rows of `DATABASE.TABLE`, from a dump that may name no database; None: no row of it is there."""
        return self.rows.get(table, self.rows.get(table.rpartition(".")[2]))


def count(chunks: Iterable[bytes]) -> Dumped:
    """Count the rows of all INSERTs, gzipped or not. Raises Damaged when it is cut, or no text of that kind.

    Neither tool writes a line break into a row: strings have `\\n` for it.
    """
    rows: dict[str, int] = {}
    database, table, whole, program = "", "", False, False
    for line in _lines(_unpacked(chunks)):
        values = line
        if not table:
            if line.startswith(b"--"):
                whole = whole or bool(_DONE.match(line))
                continue
            if found := _DELIMITER.match(line):
                program = found["mark"] != b";"
            if program:
                continue  # What triggers and procedures will insert one day is no row.
            if found := _USE.match(line):
                database = _plain(found["name"])
            if (begun := _INSERT.match(line)) is None:
                continue
            table = _full(begun["table"], database)
            values = line[begun.end() :]
        bare = _LITERAL.sub(b"", values)
        if b"'" in bare:
            raise Damaged(f"a row of {table} has a string without an end")
        # Without strings, brackets are only around rows.
        if bare.count(b"(") != bare.count(b")"):
            raise Damaged(f"a row of {table} has no end")
        rows[table] = rows.get(table, 0) + bare.count(b"(")
        if bare.rstrip().endswith(b";"):
            table = ""
    if table:
        raise Damaged(f"it ends amid the rows of {table}")
    return Dumped(rows, whole)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    length = 0
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for part in whole:
            yield b"".join([*rest, part])
            rest, length = [], 0
        rest.append(last)
        length += len(last)
        if length > LONGEST:
            raise Damaged(f"it has a line of more than {LONGEST} bytes: is it an SQL dump?")
    if length:
        yield b"".join(rest)


def _unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What is in the chunks, whether they are gzipped (in one piece or several) or not."""
    parts = iter(chunks)
    head = b""
    while len(head) < len(_GZIP) and (more := next(parts, None)) is not None:
        head += more
    if not head.startswith(_GZIP):
        yield head
        yield from parts
        return
    unpacker = zlib.decompressobj(wbits=31)
    try:
        for chunk in chain([head], parts):
            left = chunk
            while left:
                if unpacker.eof:
                    unpacker = zlib.decompressobj(wbits=31)
                yield unpacker.decompress(left)
                left = unpacker.unused_data
    except zlib.error as error:
        raise Damaged(f"it is no whole gzip file: {error}") from error
    if not unpacker.eof:
        raise Damaged("it is no whole gzip file: its end is missing")


def _full(name: bytes, database: str) -> str:
    parts = [_plain(part) for part in re.findall(_NAME, name)]
    return ".".join(parts if len(parts) > 1 or not database else [database, *parts])


def _plain(name: bytes) -> str:
    text = name.decode(errors="replace")
    return text[1:-1].replace("``", "`") if text.startswith("`") else text
