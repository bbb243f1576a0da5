"""Secrets: files name them, only `reveal` reads them, nothing prints them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from blackstart.schema.errors import BlackstartError

_REFERENCE = re.compile(r"\$\{(env|file):([^{}]+)\}")


class SecretError(BlackstartError):
    """A reference that leads nowhere; says where the reference stands, never the secret."""


def is_reference(text: str) -> bool:
    """Whether the text holds `${env:NAME}` or `${file:PATH}` anywhere."""
    return _REFERENCE.search(text) is not None


class Secret:
    """A reference to a secret: `${env:NAME}` or `${file:PATH}`, relative to the file that names it.

    Shown, dumped and hashed it is its reference.
    """

    def __init__(self, reference: str, place: str = "", folder: Path | None = None) -> None:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            # Never the text itself: it may be the secret.
            raise ValueError("a secret does not belong in this file; refer to it: ${env:NAME} or ${file:PATH}")
        self._kind, self._name = match.groups()
        self._place, self._folder = place, folder or Path()

    def reveal(self) -> str:
        """The secret itself, read now, without surrounding white space. Raises SecretError."""
        text = self._env() if self._kind == "env" else self._file()
        if not text.strip():
            raise SecretError(self._error("is empty"))
        return text.strip()

    def _env(self) -> str:
        text = os.environ.get(self._name)
        if text is None:
            raise SecretError(self._error(f"is not set; export {self._name} and run again"))
        return text

    def _file(self) -> str:
        try:
            return (self._folder / self._name).read_text()
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "not text"
            raise SecretError(self._error(f"cannot be read: {cause}")) from None

    def _error(self, cause: str) -> str:
        return f"{self._place}: {self} {cause}" if self._place else f"{self} {cause}"

    def __str__(self) -> str:
        return f"${{{self._kind}:{self._name}}}"

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and str(other) == str(self)

    def __hash__(self) -> int:
        return hash(str(self))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate, serialization=core_schema.to_string_ser_schema(when_used="always")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_REFERENCE.pattern}$", "examples": ["${env:TOKEN}"]}

    @classmethod
    def _validate(cls, value: object, info: core_schema.ValidationInfo) -> Secret:
        if isinstance(value, Secret):
            return value
        context = info.context or {}
        text = value if isinstance(value, str) else ""
        return cls(text, context.get("places", {}).get(text, ""), context.get("folder"))
