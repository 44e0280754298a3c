"""Natural loops of a control flow graph: headers, the blocks of each, and whether that is all cycles."""

from collections.abc import Mapping, Sequence


def _reverse_postorder(successors: Mapping[str, Sequence[str]], entry: str) -> list[str]:
    order: list[str] = []
    seen = {entry}
    stack = [(entry, iter(successors[entry]))]
    while stack:
        block, ahead = stack[-1]
        for following in ahead:
            if following not in seen:
                seen.add(following)
                stack.append((following, iter(successors[following])))
                break
        else:
            order.append(block)
            stack.pop()
    return order[::-1]


def natural_loops(
    successors: Mapping[str, Sequence[str]], entry: str
) -> tuple[dict[str, frozenset[str]], bool]:
    """Blocks of each natural loop by header, in reverse postorder; and whether there are other cycles, too.

    A back edge leads to a block that dominates where it starts; loops that share a header are one. Blocks
    that the entry doesn't reach are in none.
    """
    order = _reverse_postorder(successors, entry)
    number = {block: index for index, block in enumerate(order)}
    predecessors: dict[str, list[str]] = {block: [] for block in order}
    for block in order:
        for following in successors[block]:
            predecessors[following].append(block)

    dominator = {
        entry: entry
    }  # immediate ones, by the intersection of two walks up (Cooper, Harvey, Kennedy)
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            known = [before for before in predecessors[block] if before in dominator]
            nearest = known[0]
            for other in known[1:]:
                while nearest != other:
                    if number[nearest] > number[other]:
                        nearest = dominator[nearest]
                    else:
                        other = dominator[other]
            if dominator.get(block) != nearest:
                dominator[block] = nearest
                changed = True

    def dominates(above: str, block: str) -> bool:
        while number[block] > number[above]:
            block = dominator[block]
        return block == above

    loops: dict[str, set[str]] = {}
    irreducible = False
    for block in order:
        for following in successors[block]:
            if dominates(following, block):
                body = loops.setdefault(following, {following})
                ahead = [block]
                while ahead:
                    current = ahead.pop()
                    if current not in body:
                        body.add(current)
                        ahead += predecessors[current]
            elif number[following] <= number[block]:
                irreducible = True
    return {header: frozenset(loops[header]) for header in order if header in loops}, irreducible
