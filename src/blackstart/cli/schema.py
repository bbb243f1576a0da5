"""`blackstart schema`: JSON Schemas of the content files and of the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated

import click
from pydantic import Field

from blackstart.schema.errors import BlackstartError, shown
from blackstart.schema.jsonschema import EXPERIMENT, Schema, json_schema


@click.command()
@click.argument("name", required=False, type=click.Choice(["drill", "fleet", "probe", "experiment", "result"]))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write NAME.json here instead.")
def command(name: str | None, out: Path | None) -> None:
    """Print the JSON Schema of NAME, or write all of them.

    Editors check and complete content files with them, by a first line such as
    `# yaml-language-server: $schema=schemas/drill.json`.
    """
    names = [name] if name else list(SCHEMAS)
    if out is None and name is None:
        raise click.UsageError(f"name one of {', '.join(SCHEMAS)}, or give --out DIR for all of them")
    for each in names:
        text = schema_text(each)
        if out is None:
            click.echo(text, nl=False)
            continue
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{each}.json").write_text(text, "utf-8")
        except OSError as error:
            raise BlackstartError(f"{shown(out)}: cannot be written: {error.strerror}") from None


def schema_text(name: str) -> str:
    """The schema as it is shipped in blackstart/schema/json."""
    return json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n"


def _drill() -> Schema:
    from blackstart.schema.drill import Drill

    return json_schema(Drill)


def _fleet() -> Schema:
    from blackstart.fleet.model import Fleet

    return json_schema(Fleet)


def _probe() -> Schema:
    from blackstart.probes import kinds

    return json_schema(Annotated[reduce(or_, kinds().values()), Field(discriminator="kind")])


def _result() -> Schema:
    from blackstart.schema.result import Result

    return json_schema(Result, mode="serialization")


SCHEMAS: dict[str, Callable[[], Schema]] = {
    "drill": _drill,
    "fleet": _fleet,
    "probe": _probe,
    "experiment": lambda: EXPERIMENT,
    "result": _result,
}
"""What makes each schema; the models are imported only when asked for."""
