"""Headers that a service's clients send: plain text, or references to secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Tag

from blackstart.schema.secret import Secret, SecretError, is_reference

Pairs = tuple[tuple[str, str], ...]
"""Headers as they are sent: names and values, in the order of the file."""

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRETIVE = re.compile(r"auth(?!or(?!i[sz]))|cookie|token|secret|password|api-?key", re.IGNORECASE)
_FRAMING = {"connection", "content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer"}


_NOT_ONE_LINE = "is not one line of printable ASCII, as a header's value has to be"


def _can_be_sent(value: str) -> bool:
    """Nothing in it would end the header and begin another."""
    return all(" " <= c <= "~" or c == "\t" for c in value)


def _plain(value: str) -> str:
    if not _can_be_sent(value):
        raise ValueError(f"{value!r} {_NOT_ONE_LINE}")
    return value


def _kind(value: object) -> str:
    return "secret" if isinstance(value, Secret) or (isinstance(value, str) and is_reference(value)) else "text"


def _names(headers: dict[str, Secret | str]) -> dict[str, Secret | str]:
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header")
        if name.lower() in _FRAMING:
            raise ValueError(f"{name} is the client's own: it frames the message; remove it")
        if _SECRETIVE.search(name) and not isinstance(value, Secret):
            raise ValueError(f"{name} carries a secret, which does not belong here: ${{env:NAME}} or ${{file:PATH}}")
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("a header is there twice: names are the same in capitals and small letters")
    return headers


Headers = Annotated[
    dict[
        str,
        Annotated[
            Annotated[Secret, Tag("secret")] | Annotated[str, AfterValidator(_plain), Tag("text")],
            Discriminator(_kind),
        ],
    ],
    AfterValidator(_names),
]


def revealed(headers: Mapping[str, Secret | str]) -> Pairs:
    """The headers with their secrets, read now. Raises SecretError."""
    found = tuple((name, v.reveal() if isinstance(v, Secret) else v) for name, v in headers.items())
    for name, value in found:
        if not _can_be_sent(value):
            raise SecretError(f"header {name}: {headers[name]} {_NOT_ONE_LINE}")
    return found
