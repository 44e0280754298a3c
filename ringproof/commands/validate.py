"""``ringproof validate``: a verdict per clause for drivers behind the C ABI."""

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console

from ..building import BuildError, build_driver
from ..errors import BadInputError
from ..impl.harness.reference_runner import QueueConfig
from ..outlet import ReaderGone
from ..reporting.terminal import render
from ..validation.examination import examine
from ..validation.library import LibraryError, entries
from ..validation.options import Options
from ..validation.report import ValidationReport
from ..validation.variants import Variant, build_variants, check_variant
from .reported import checked_places, told
from .seconds import Seconds
from .symbolic import HELP as SYMBOLIC_HELP
from .symbolic import symbolic as explored

_PLACES = ("-I", "-L", "-iquote", "-isystem", "-idirafter", "-include", "-imacros")
"""Flags of the compiler that a path follows, in the same word or the next."""
_UNKNOWN_BUILD = "whether it has sanitizers is not known"


@dataclass(frozen=True, slots=True)
class _Target:
    """A library to be validated, the builds of it that tell more, and why some are missing."""

    library: Path
    variants: tuple[Variant, ...] = ()
    left_out: tuple[str, ...] = ()


def checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """The queue sizes asked for. Raises BadInputError for one no virtqueue has."""
    for size in sizes:
        try:
            QueueConfig(queue_size=size).placement()
        except ValueError as error:
            raise BadInputError(str(error)) from None
    return tuple(sizes)


def _failed(library: Path, error: Exception) -> ValidationReport:
    """The report on what could not be tested at all."""
    message = " ".join(str(error).split())
    return ValidationReport(str(library), "error", (), 0, 0.0, message=message, library=library)


def _flags(text: str | None, source: Path | None) -> tuple[str, ...]:
    """Split flags as a shell does; paths in them are made absolute, as the compiler runs elsewhere."""
    if text is None:
        return ()
    if source is None:
        raise BadInputError("--cflags is for what is built: give --source DIR with it")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInputError(f"--cflags {text!r}: {error}") from None
    flags, follows = list[str](), False
    for word in words:
        place = next((flag for flag in reversed(_PLACES) if word.startswith(flag)), None)
        if follows:
            flags.append(str(Path(word).absolute()))
        elif place is not None and word != place:
            flags.append(place + str(Path(word.removeprefix(place)).absolute()))
        else:
            flags.append(word)
        follows = not follows and word == place
    if follows:
        raise BadInputError(f"--cflags {text!r}: nothing follows {words[-1]}")
    return tuple(flags)


def _given(
    libraries: Sequence[Path],
    source: Path | None,
    accesses: Path | None,
    coverage: Path | None,
    timeout: float,
) -> tuple[Variant, ...]:
    """The builds that are given beside the library. Raises BadInputError, BuildError, LibraryError."""
    given = [Variant("accesses", accesses)] if accesses is not None else []
    given += [Variant("coverage", coverage, _UNKNOWN_BUILD)] if coverage is not None else []
    if given and (len(libraries) != 1 or source is not None):
        raise BadInputError("--accesses and --coverage are builds of one library: give it alone")
    if given:
        entries(libraries[0])  # the driver itself is the first to be complained of
    for variant in given:
        check_variant(variant, timeout=timeout)
    return tuple(given)


def _built(source: Path, plain: bool, flags: Sequence[str], timeout: float) -> _Target:
    """Build a driver and what tells more of it. Raises BuildError."""
    library = build_driver(source, extra_flags=flags)
    if plain:
        return _Target(library)
    missing: list[str] = []
    variants = []
    for each in build_variants(
        source, flags=flags,
        left_out=lambda kind, why: missing.append(f"the build that tells {kind}: {why}"),
    ):  # fmt: skip
        try:
            check_variant(each, timeout=timeout)
            variants.append(each)
        except LibraryError as error:
            missing.append(f"the build that tells {each.kind}: {error}")
    missing += [f"in the build that tells coverage: {each.remark}" for each in variants if each.remark]
    return _Target(library, tuple(variants), tuple(missing))


@click.command()
@click.argument("libraries", nargs=-1, metavar="[LIB]...", type=click.Path(path_type=Path))
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    help="Build every *.c of this folder first: plain, and so that accesses and coverage are told.",
)
@click.option("--plain", is_flag=True, help="Of --source, build no more than the plain library.")
@click.option(
    "--cflags", metavar="FLAGS", help="Of --source, more flags for the compiler, as for a shell: '-DX -Iy'."
)
@click.option(
    "--accesses",
    type=click.Path(path_type=Path),
    metavar="LIB",
    help="The same driver built with -fsanitize=thread.",
)
@click.option(
    "--coverage",
    type=click.Path(path_type=Path),
    metavar="LIB",
    help="The same driver built with -fsanitize-coverage.",
)
@click.option(
    "--quick", is_flag=True, help="A first answer in seconds: small rings, and one way past the wrap."
)
@click.option("--hostile", is_flag=True, help="Ask as well what it does when the device breaks the rules.")
@click.option("--queue-size", "sizes", type=int, multiple=True, metavar="N", help="Sizes of the long runs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failure.")
@click.option("--by-meaning", is_flag=True, help="Do not hold a driver to the reference's bytes.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Processes side by side.")
@click.option("--deadline", type=Seconds(), help="Seconds after which nothing new is begun.")
@click.option(
    "--traces",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("ringproof-traces"),
    show_default=True,
    help="Where traces of failures go.",
)
@click.option(
    "--timeout",
    type=Seconds(),
    default=10.0,
    show_default=True,
    help="Seconds after which a driver counts as hanging.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document (a list for several drivers).")
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a JUnit report for CI.",
)
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path), metavar="FILE", help="Write a page for a browser."
)
@click.option("--symbolic", type=click.IntRange(min=1), metavar="K", help=SYMBOLIC_HELP)
@click.option("-v", "--verbose", is_flag=True, help="Show the checks that passed, too, and every clause.")
def validate(
    libraries: tuple[Path, ...],
    source: Path | None,
    plain: bool,
    cflags: str | None,
    accesses: Path | None,
    coverage: Path | None,
    quick: bool,
    hostile: bool,
    sizes: tuple[int, ...],
    seed: int,
    fail_fast: bool,
    by_meaning: bool,
    jobs: int | None,
    deadline: float | None,
    traces: Path,
    timeout: float,
    as_json: bool,
    junit_file: Path | None,
    html_file: Path | None,
    symbolic: int | None,
    verbose: bool,
) -> int:  # fmt: skip
    """Drive a driver in a shared library, play the device, and give a verdict per clause of VIRTIO 1.3.

    Virtqueue code behind ringproof_driver.h, a whole network driver behind ringproof_net_driver.h, or both.
    """
    checked_places(junit_file, html_file)
    if not libraries and source is None:
        raise BadInputError(
            "nothing to validate: give a library, or --source DIR (see ringproof validate --help)"
        )
    flags = _flags(cflags, source)
    variants = _given(libraries, source, accesses, coverage, timeout)
    targets = [_Target(library, variants) for library in libraries]
    targets += [_built(source, plain or symbolic is not None, flags, timeout)] if source is not None else []
    narrate = sys.stderr.isatty() and not as_json
    options = Options(
        quick=quick, fail_fast=fail_fast, by_meaning=by_meaning, seed=seed, hang_seconds=timeout, jobs=jobs,
        deadline=deadline, sizes=checked_sizes(sizes) or None, traces=traces,
        progress=(lambda stage: click.echo(f"  {stage}", err=True)) if narrate else None,
    )  # fmt: skip
    if symbolic is not None:
        given = (("--quick", quick), ("--hostile", hostile), ("--junit", junit_file), ("--html", html_file))
        others = [
            name for name, value in (*given, ("--accesses", accesses), ("--coverage", coverage)) if value
        ]
        paths = [target.library for target in targets]
        return explored(paths, symbolic, options, as_json=as_json, others=others, verbose=verbose)
    console = Console(highlight=False, soft_wrap=True)
    show = None if as_json else lambda report: render(report, console, verbose=verbose)
    reports = [_validated(target, options, hostile, show) for target in targets]
    return told(reports, as_json=as_json, junit_file=junit_file, html_file=html_file)


def _validated(
    target: _Target, options: Options, hostile: bool, show: Callable[[ValidationReport], None] | None
) -> ValidationReport:
    """Validate one library; what one does is nothing to the next."""
    try:
        options = replace(options, variants=target.variants)
        report = examine(target.library, options=options, hostile=hostile)
    except (LibraryError, BuildError) as error:
        report = _failed(target.library, error)
        click.echo(f"ringproof: {report.message}", err=True)
        return report
    report = replace(report, left_out=(*report.left_out, *target.left_out))
    if show is not None:
        with suppress(ReaderGone):  # what was found out is still the verdict, and written to files
            show(report)
    return report
