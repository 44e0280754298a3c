"""The command line of the tools beside ``ringproof prove``: theorems by name, and a number of processes."""

import argparse
from collections.abc import Sequence

from .theorems import THEOREMS


def parser(module: str, description: str | None, does: str) -> argparse.ArgumentParser:
    """Return a parser for ``ringproof.proofs.MODULE``; ``does`` is the verb for the theorems named."""
    made = argparse.ArgumentParser(prog=f"python -m ringproof.proofs.{module}", description=description)
    made.add_argument("theorems", nargs="*", metavar="THEOREM", help=f"{does} only these")
    made.add_argument("-j", "--jobs", type=int, default=0, help="processes; one per core if not given")
    return made


def parsed(made: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; ends with exit code 2 if a name is no theorem's, or processes are below 0."""
    chosen = made.parse_args(arguments)
    unknown = [name for name in chosen.theorems if name not in THEOREMS]
    if unknown:
        made.error(f"no theorem is named {', '.join(unknown)}")
    if chosen.jobs < 0:
        made.error(f"{chosen.jobs} processes: none or more are needed")
    return chosen
