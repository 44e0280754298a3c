"""The entry point: starts the command line, or says in one line what it cannot start without."""

import sys
from typing import NoReturn

from .outlet import prepare_streams


def main() -> NoReturn:
    """Runs ``sys.argv`` and exits with its code; 3 when a library it needs (Z3 above all) is not there."""
    prepare_streams()
    try:
        from .cli import run

        code = run()
    except ImportError as error:
        print(f"ringproof: cannot start: {error}", file=sys.stderr)  # noqa: T201 - perhaps nothing else is loaded
        code = 3
    except KeyboardInterrupt:  # while it is still being loaded
        code = 130
    sys.exit(code)
