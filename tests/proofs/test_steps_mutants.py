"""The mutants of the step-wise model: which there are, and that runs break what the proofs say."""

import random
from itertools import combinations

import pytest

from ringproof.model.ring import Ring
from ringproof.model.steps.invariants import INVARIANTS
from ringproof.model.steps.queue import Steps
from ringproof.proofs.mutants import steps_events, steps_ring
from ringproof.proofs.mutants.catalog import CATALOG
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG
from ringproof.proofs.mutants.mutation import breaks, together
from ringproof.proofs.mutants.registry import DESCRIBED, MUTANTS, NOT_OF_THE_QUEUE, STEPS_ONLY
from ringproof.proofs.mutants.steps_catalog import STEPS_CATALOG
from ringproof.proofs.mutants.steps_events_catalog import STEPS_EVENTS_CATALOG
from ringproof.proofs.search.steps import plain
from ringproof.proofs.search.steps_past import NONE, NoSuchPastError, Past
from ringproof.proofs.search.steps_runs import wander, watch
from ringproof.proofs.theorems import THEOREMS

COLLECTED = {
    "A": (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22),
    "B": (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19),
    "D": (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23),
    "F": (1, 2, 3, 5, 6, 7, 9, 10, 11),
}
"""Real defects of transmit drivers: A free lists, B rings and indices, D suppression, F indirect tables."""

SEEDED = {**steps_ring.MUTANTS, **steps_events.MUTANTS}
OF_STEPS = [name for name, theorem in THEOREMS.items() if theorem.subject is Steps]
PROVED = [name for name in OF_STEPS if THEOREMS[name].expected == "proved"]


def test_every_collected_defect_is_seeded_or_has_a_reason() -> None:
    """Each real defect of these kinds is a mutant, or it is said why it is none; and not both."""
    ids = {f"{letter}{number}" for letter, numbers in COLLECTED.items() for number in numbers}
    assert ids <= MUTANTS.keys() | NOT_OF_THE_QUEUE.keys()
    assert not MUTANTS.keys() & NOT_OF_THE_QUEUE.keys()
    assert all(reason.endswith(".") and len(reason) > 20 for reason in NOT_OF_THE_QUEUE.values())
    assert NOT_OF_THE_QUEUE.keys() <= ids


def test_catalogs_agree() -> None:
    """No id is described twice, and all that is seeded here is described, and the other way round."""
    catalogs = (CATALOG, FRAME_CATALOG, STEPS_CATALOG, STEPS_EVENTS_CATALOG)
    for one, other in combinations(catalogs, 2):
        assert not one.keys() & other.keys()
    assert set(DESCRIBED) == set().union(*catalogs)
    assert set(STEPS_ONLY) <= set(SEEDED) <= set(DESCRIBED)
    assert not steps_ring.MUTANTS.keys() & steps_events.MUTANTS.keys()


def test_a_model_has_one_mutation_of_an_id() -> None:
    """Of the models that an id is seeded into no two are of the same subject."""
    subjects = {theorem.subject for theorem in THEOREMS.values()}
    for mutant in MUTANTS.values():
        for subject in subjects:
            assert sum(issubclass(model, subject) for model in mutant.models) == mutant.concerns(subject)


def test_a_defect_in_two_models_breaks_what_either_breaks() -> None:
    """Its theorems are those of both models, each with its own mutated model."""

    class One(Ring):
        pass

    class Two(Steps):
        pass

    (both,) = together({"Y1": breaks(One, "free-list-sound")}, {"Y1": breaks(Two, "walks-end")}).values()
    assert both.kills == {"free-list-sound", "walks-end"}
    assert (both.model_of(Ring), both.model_of(Steps), both.model) == (One, Two, One)
    assert both.concerns(Ring)
    assert both.concerns(Steps)
    with pytest.raises(LookupError, match="Steps"):
        breaks(One).model_of(Steps)


@pytest.mark.parametrize("name", PROVED)
def test_every_step_wise_theorem_is_broken_by_some_mutant(name: str) -> None:
    """There is a mutant of the step-wise model that it kills; those it names break none of the others."""
    killed = [mutant for mutant, seeded in SEEDED.items() if name in seeded.kills]
    assert killed
    for mutant in THEOREMS[name].broken_by:
        assert SEEDED[mutant].kills == {name}


@pytest.mark.parametrize("mutant", [each for each in SEEDED if SEEDED[each].concerns(Steps)])
def test_runs_break_what_the_proofs_say(mutant: str) -> None:
    """What a random run of the mutant breaks first is said by theorems that the kill table names.

    Up to there everything held, so the last step of the run is a counterexample to induction.
    """
    sought = watch(*(THEOREMS[name] for name in PROVED))
    theorems = {entry: name for name in PROVED for entry in _entries(name)}
    broken = set()
    for seed in range(16):
        rng = random.Random(seed)
        setting = {name: rng.random() < 0.6 for name in ("event_idx", "indirect_desc", "mended")}
        queue = plain(rng.choice((1, 2, 4)), MUTANTS[mutant].model_of(Steps), **setting)
        try:
            run = wander(queue, PASTS[seed % len(PASTS)], rng, 150, sought)
        except NoSuchPastError:
            continue
        # Claims about any moment rest on its invariants.
        lost = run is not None and any(entry in INVARIANTS for entry in run.broken)
        for entry in run.broken if run is not None else ():
            if not (lost and entry.startswith("always: ")):
                broken.add(theorems[entry])
        if broken:
            break
    assert broken <= SEEDED[mutant].kills
    # One that breaks nothing is there to show that what is harmless stands.
    assert broken or mutant in RARE or not SEEDED[mutant].kills


def _entries(name: str) -> list[str]:
    return [*THEOREMS[name].owns, *(entry.label for entry in THEOREMS[name].obligations)]


PASTS = (NONE, Past(kicked=65533), NONE, Past(quiet=65534))
"""How many chains there were before, kicked or not: up to a wrap of indices, or of num_added."""

RARE = ("X9", "X29")
"""What so few and short runs do not show."""
