"""The recipes by name: ways to start drivers that are known to run here, from what is installed."""

from pathlib import Path

from ...errors import BadInputError, unknown_name
from .dpdk import Dpdk
from .front_end import FrontEnd
from .linux import Linux
from .missing import Missing
from .ovmf import Ovmf
from .qemu import qemu_options
from .round import DRIVER_MAC, PARTNER_MAC, Recipe, Round

__all__ = [
    "DRIVER_MAC",
    "PARTNER_MAC",
    "RECIPES",
    "FrontEnd",
    "Missing",
    "Recipe",
    "Round",
    "qemu_options",
    "recipe",
]

RECIPES = ("dpdk", "linux", "ovmf")


def recipe(name: str, *, kernel: Path | None = None, modules: Path | None = None) -> Recipe:
    """The recipe called ``name``; nothing is looked for yet. ``kernel``, ``modules``: of ``linux`` only.

    Raises BadInputError for a name nobody knows, or a kernel given to a recipe that has none.
    """
    if name == "linux":
        return Linux(kernel, modules)
    if name in RECIPES and (kernel is not None or modules is not None):
        raise BadInputError(
            f"the recipe {name} boots no kernel of yours: --kernel and --modules are for linux"
        )
    if name == "dpdk":
        return Dpdk()
    if name == "ovmf":
        return Ovmf()
    raise unknown_name("recipe", name, RECIPES)
