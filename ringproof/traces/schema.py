"""The published JSON schema of a trace document, for tools that write or check documents of their own."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

FILE = "trace.schema.json"


@cache
def schema_text() -> str:
    """The schema as it is shipped, JSON of draft 2020-12."""
    return files(__package__ or "").joinpath(FILE).read_text("utf-8")


def schema() -> dict[str, Any]:
    """The schema as plain JSON values.

    Whatever a reader here accepts is valid; what a schema cannot say, a reader still refuses: see
    docs/trace.md.
    """
    value: dict[str, Any] = json.loads(schema_text())
    return value
