"""All functions that are compared one by one, as a module of LLVM IR and as C."""

from collections.abc import Callable, Iterator

from ringproof.proofs.symbolic.llvm import LAYOUT, TRIPLE

from .translation_intrinsics import intrinsics, jumps
from .translation_numbers import bits, casts, comparisons, divisions, shifts, sums
from .translation_row import Row

KINDS: dict[str, Callable[[], Iterator[Row]]] = {
    "sums": sums,
    "divisions": divisions,
    "shifts": shifts,
    "bits": bits,
    "comparisons": comparisons,
    "casts": casts,
    "intrinsics": intrinsics,
    "jumps": jumps,
}


def rows() -> list[Row]:
    """All functions of the table."""
    return [row for kind in KINDS.values() for row in kind()]


def ir_text(table: list[Row]) -> str:
    """The table as a module."""
    declared: dict[str, str] = {}
    bodies = []
    for row in table:
        for line in row.body.split("\n"):
            if "@llvm." in line:
                head, _, rest = line.partition("@")
                name, _, arguments = rest.partition("(")
                kinds = ", ".join(each.split()[0] for each in arguments.rstrip(")").split(", "))
                if name.startswith(("llvm.abs", "llvm.ctlz", "llvm.cttz")):
                    kinds = kinds.rpartition(", ")[0] + ", i1 immarg"
                declared[name] = f"declare {head.split('call ')[1].strip()} @{name}({kinds})"
        named = ", ".join(f"i{bits} %{name}" for bits, name in zip(row.parameters, "abc", strict=False))
        head = f"define i{row.result} @{row.name}({named})"
        bodies.append(f"{head} {{\n  {row.body}\n  ret i{row.result} %r\n}}\n")
    ident = '!llvm.ident = !{!0}\n!0 = !{!"clang version 14.0.6"}\n'
    head = f'target datalayout = "{LAYOUT}"\ntarget triple = "{TRIPLE}"\n'
    return "\n".join([head, *declared.values(), *bodies, ident])


def c_text(table: list[Row]) -> str:
    """The table as C."""
    lines = ["#include <stdint.h>"]
    for row in table:
        parameters = ", ".join(
            f"uint{max(bits, 8)}_t {name}" for bits, name in zip(row.parameters, "abc", strict=False)
        )
        lines.append(f"uint{max(row.result, 8)}_t {row.name}({parameters}) {{ return {row.c}; }}")
    return "\n".join(lines) + "\n"
