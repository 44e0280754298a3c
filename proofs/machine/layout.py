"""Where the fields of structs lie, as the compiler says in the debug information of what it built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from .errors import BadImage

Fields = dict[str, tuple[int, int]]
"""Field to offset and size in bytes; "" is the whole struct, at 0."""


def layouts(path: Path, wanted: dict[str, tuple[str, ...]]) -> dict[str, Fields]:
    """Return the layout of structs by name; ``wanted`` names fields that each must have.

    Raises BadImage where debug information is missing, or a struct or one of its fields.
    """
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            if not elf.has_dwarf_info():
                raise BadImage(f"{path}: built without -g, so where fields lie is not known")
            found = _structs(elf.get_dwarf_info(), wanted)
    except OSError as error:
        raise BadImage(f"{path}: {error.strerror or error}") from None
    except (ELFError, KeyError, ValueError) as error:
        raise BadImage(f"{path}: debug information that cannot be read: {error}") from None
    for name, fields in wanted.items():
        lacking = [field for field in fields if field not in found.get(name, {})]
        if lacking:
            raise BadImage(f"{path}: struct {name} has no field {lacking[0]}")
    return found


def _structs(information: Any, wanted: dict[str, tuple[str, ...]]) -> dict[str, Fields]:
    found: dict[str, Fields] = {}
    for unit in information.iter_CUs():
        for entry in unit.iter_DIEs():
            name = _name(entry)
            if entry.tag != "DW_TAG_structure_type" or name not in wanted or name in found:
                continue
            if "DW_AT_byte_size" not in entry.attributes:
                continue
            fields: Fields = {"": (0, entry.attributes["DW_AT_byte_size"].value)}
            for member in entry.iter_children():
                if member.tag == "DW_TAG_member":
                    offset = member.attributes["DW_AT_data_member_location"].value
                    fields[_name(member)] = (offset, _size(member.get_DIE_from_attribute("DW_AT_type")))
            found[name] = fields
    return found


def _name(entry: Any) -> str:
    found = entry.attributes.get("DW_AT_name")
    return found.value.decode(errors="replace") if found is not None else ""


def _size(entry: Any) -> int:
    """Return the size of a type; of an array or a function, which no field here is, 0."""
    while "DW_AT_byte_size" not in entry.attributes:
        if entry.tag in ("DW_TAG_pointer_type", "DW_TAG_reference_type"):
            return 8
        if "DW_AT_type" not in entry.attributes:
            return 0
        entry = entry.get_DIE_from_attribute("DW_AT_type")
    return int(entry.attributes["DW_AT_byte_size"].value)
