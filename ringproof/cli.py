"""The command line: one verb per module of ``commands``, and one place that turns errors into exit codes."""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from . import __version__
from .errors import EXIT_BAD_INPUT, EXIT_HELD, EXIT_INTERRUPTED, EXIT_UNKNOWN, BadInputError
from .outlet import ReaderGone

_EPILOG = (
    "Exit codes: 0 all held; 1 something was refuted or a driver failed; 2 usage or bad input; "
    "3 something is unknown; 4 two solvers or two monitors disagree; 130 interrupted."
)


class CannotStartError(Exception):
    """A verb needs a library that is not there or does not load; the message is one line."""


class _Verbs(click.Group):
    """Loads a verb when it is asked for: what one of them needs costs the others no time."""

    names = (
        "prove",
        "trace",
        "validate",
        "live",
        "clauses",
        "replay",
        "explain",
        "build",
        "new-adapter",
        "xmit",
        "demo",
    )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the alphabet."""
        del ctx
        return sorted(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name, from its module. Raises CannotStartError if that does not load."""
        del ctx
        if cmd_name not in self.names:
            return None
        try:
            name = cmd_name.replace("-", "_")
            module = import_module(f"{__package__}.commands.{name}")
        except Exception as error:  # A solver that is not there, or is damaged, says so in many ways.
            raise CannotStartError(f"cannot start: {error}") from error
        verb: click.Command = getattr(module, name)
        return verb


@click.group(
    cls=_Verbs,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ringproof")
def app() -> None:
    """Check virtio transmit drivers: prove, trace and validate."""


def _complain(message: str) -> None:
    """One line on standard error, however many the message had."""
    click.echo("ringproof: " + " ".join(message.split()), err=True)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (``sys.argv`` when None) and returns its exit code; prints errors as one line."""
    try:
        code = app.main(args=None if arguments is None else list(arguments), standalone_mode=False)
        sys.stdout.flush()  # a report that is lost is an error, and one to be told
    except (click.Abort, KeyboardInterrupt):  # the first of them is a RuntimeError
        _complain("interrupted")
        return EXIT_INTERRUPTED
    except click.UsageError as error:
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        _complain(error.format_message() + where)
        return EXIT_BAD_INPUT
    except click.ClickException as error:
        _complain(error.format_message())
        return EXIT_BAD_INPUT
    except BadInputError as error:
        _complain(str(error))
        return EXIT_BAD_INPUT
    except CannotStartError as error:
        _complain(str(error))
        return EXIT_UNKNOWN
    except RuntimeError as error:
        from .proofs.solver import SolverMismatch  # loaded by whoever raised it

        if not isinstance(error, SolverMismatch):
            raise
        _complain(str(error))
        return EXIT_UNKNOWN
    except ReaderGone:
        return EXIT_HELD  # nothing is left to say, and nothing is known to be wrong
    except OSError as error:
        _complain(f"{error.filename or 'system'}: {error.strerror or error}")
        return EXIT_BAD_INPUT
    return int(code or 0)
