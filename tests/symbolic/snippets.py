"""Small functions in LLVM IR, executed."""

from typing import Any

import z3

from ringproof.proofs.symbolic.environment import Environment
from ringproof.proofs.symbolic.execution import Outcome, execute
from ringproof.proofs.symbolic.llvm import LAYOUT, TRIPLE, read_ir
from ringproof.proofs.symbolic.state import Obligation, State

HEAD = f'target datalayout = "{LAYOUT}"\ntarget triple = "{TRIPLE}"\n'
TAIL = '\n!llvm.ident = !{!0}\n!0 = !{!"clang version 14.0.6"}\n'
INTRINSICS = """
declare void @llvm.memset.p0i8.i64(i8*, i8, i64, i1)
declare void @llvm.memcpy.p0i8.p0i8.i64(i8*, i8*, i64, i1)
declare void @llvm.lifetime.start.p0i8(i64, i8*)
declare void @llvm.lifetime.end.p0i8(i64, i8*)
declare void @outside(i8*)
declare i8* @fetch()
"""


def run(
    text: str, arguments: list[Any], state: State, environment: Environment | None = None
) -> tuple[list[Outcome], list[Obligation]]:
    """Execute the function f of a text: the ends of its paths, and what is owed."""
    surroundings = environment or Environment()
    module = read_ir(HEAD + text + INTRINSICS + TAIL)
    return list(execute(module, "f", arguments, state, surroundings)), surroundings.obligations


def f(parameters: str, body: str, result: str = "void") -> str:
    """A function f of one block."""
    return f"define {result} @f({parameters}) {{\n{body}\n}}\n"


def holds(goal: Any, *facts: Any) -> bool:
    """Whether a goal follows from facts."""
    solver = z3.Solver()
    solver.add(*facts, z3.Not(goal) if isinstance(goal, z3.BoolRef) else not goal)
    return bool(solver.check() == z3.unsat)


def failing(text: str, arguments: list[Any], state: State, environment: Environment | None = None) -> str:
    """Execute what can only fail: no path is left; return what is owed, which is false."""
    outcomes, owed = run(text, arguments, state, environment)
    assert not outcomes
    assert holds(z3.Not(z3.And(*owed[-1].path, owed[-1].goal)), *owed[-1].facts)
    return str(owed[-1])
