"""``ringproof build``: the shipped C virtqueue as a shared library behind the driver ABI."""

from pathlib import Path

import click

from ..building import build_driver, c_sources
from ..errors import BadInputError, unknown_name
from ..patching import UnknownMutant, mutated_driver
from ..proofs.mutants.registry import STEPS_ONLY

PROFILES = ("virtio-1.x", "linux-3.11")


def build_shipped(output: Path | None, *, profile: str = "virtio-1.x", mutant: str | None = None) -> Path:
    """Build the C driver in ``profile``, with a defect seeded if ``mutant`` names one; return the library.

    Raises BuildError, PatchError, and BadInputError for a mutant nobody knows, or that no driver has.
    """
    faithful = profile == "linux-3.11"
    if mutant is None:
        defines = {"RP_ADAPTER_LINUX_3_11": ""} if faithful else None
        return build_driver(c_sources(), output, defines=defines)
    try:
        return mutated_driver(mutant, output, linux_3_11=faithful)
    except UnknownMutant as error:
        if error.mutant_id in STEPS_ONLY:
            title = STEPS_ONLY[error.mutant_id].title
            raise BadInputError(
                f"{error.mutant_id} ({title}) is in no driver: it is seeded into a model of the proofs only"
            ) from None
        raise unknown_name("mutant", error.mutant_id, error.known) from None


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to put it.")
@click.option("--profile", type=click.Choice(PROFILES), default=PROFILES[0], show_default=True)
@click.option("--mutant", metavar="ID", help="Seed this defect (see: ringproof explain).")
def build(output: Path | None, profile: str, mutant: str | None) -> int:
    """Build the shipped C driver, to be validated or linked; prints where the library is."""
    click.echo(build_shipped(output, profile=profile, mutant=mutant))
    return 0
