"""Where the reports on drivers go beside the terminal: JSON, JUnit, a page; and the exit code they make."""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from ..errors import EXIT_BAD_INPUT, EXIT_HELD, EXIT_REFUTED, EXIT_UNKNOWN, BadInputError
from ..outlet import ReaderGone
from ..reporting.junit import junit
from ..reporting.page import page
from ..validation.report import ValidationReport


def exit_code(reports: Sequence[ValidationReport]) -> int:
    """2 if a driver could not be tested, else 1 if one failed, else 3 if the time was up first, else 0."""
    verdicts = {report.verdict for report in reports}
    if "error" in verdicts:
        return EXIT_BAD_INPUT
    if "fail" in verdicts:
        return EXIT_REFUTED
    return EXIT_UNKNOWN if "incomplete" in verdicts else EXIT_HELD


def told(
    reports: Sequence[ValidationReport], *, as_json: bool, junit_file: Path | None, html_file: Path | None
) -> int:
    """Print the reports as JSON if asked to, write the files asked for, and return the exit code.

    Raises BadInputError for a file that cannot be written.
    """
    if as_json:
        documents = [report.to_json() for report in reports]
        with suppress(ReaderGone):
            click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    if junit_file is not None:
        _write(junit_file, junit(reports))
    if html_file is not None:
        _write(html_file, page(reports))
    return exit_code(reports)


def _write(path: Path, text: str) -> None:
    """Write a report whole or not at all. Raises BadInputError when it cannot be written."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        part = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written: {error.strerror}") from None


def checked_places(*paths: Path | None) -> None:
    """Refuse to begin what could not be written down in the end."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir() or not path.parent.is_dir():
            raise BadInputError(f"{path}: cannot be written: {'a' if path.is_dir() else 'no such'} directory")
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise BadInputError(f"{path}: cannot be written: {error.strerror}") from None
