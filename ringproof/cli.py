"""The command line: one verb per module of ``commands``, and one place that turns errors into exit codes."""

import os
import sys
from collections.abc import Sequence

import click

from . import __version__
from .building import BuildError
from .commands.build import build
from .commands.demo import demo
from .commands.explain import explain
from .commands.prove import prove
from .commands.replay import replay
from .commands.trace import trace
from .commands.validate import validate
from .commands.xmit import xmit
from .errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_UNKNOWN, BadInputError
from .patching import PatchError
from .proofs.engine import SolverMismatch
from .traces.document import TraceError
from .validation.library import LibraryError

_EPILOG = (
    "Exit codes: 0 all held; 1 something was refuted or a driver failed; 2 usage or bad input; "
    "3 something is unknown; 130 interrupted."
)


@click.group(
    epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="ringproof")
def app() -> None:
    """Check virtio transmit drivers: prove, trace and validate."""


for _verb in (prove, trace, validate, replay, explain, build, xmit, demo):
    app.add_command(_verb)


def _complain(message: str) -> None:
    """One line on standard error, however many the message had."""
    click.echo("ringproof: " + " ".join(message.split()), err=True)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (``sys.argv`` when None) and returns its exit code; prints errors as one line."""
    try:
        code = app.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.UsageError as error:
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        _complain(error.format_message() + where)
        return EXIT_BAD_INPUT
    except click.ClickException as error:
        _complain(error.format_message())
        return EXIT_BAD_INPUT
    except (BadInputError, BuildError, LibraryError, PatchError, TraceError) as error:
        _complain(str(error))
        return EXIT_BAD_INPUT
    except SolverMismatch as error:
        _complain(str(error))
        return EXIT_UNKNOWN
    except BrokenPipeError:
        # The reader (head, a pager) has what it wanted; nothing is left to say to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _complain(f"{error.filename or 'system'}: {error.strerror or error}")
        return EXIT_BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted")
        return EXIT_INTERRUPTED
    return int(code or 0)
