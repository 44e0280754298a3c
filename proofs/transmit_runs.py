"""Runs of Linux 3.11's transmit queue that end badly: what refutes a finding, from probe on.

Chains come back in the order in which they were added, each with its length, so that what is found can
happen: the proofs leave lengths open.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..model.term import Flag, Number, both, no, one_of, symbols
from ..model.transmit import Choice, State, Transmit
from .stepwise import ask, modelled, readable
from .theorem import Obligation, Query, Stage
from .transmit_claims import is_stuck


def run(
    label: str,
    script: str,
    setting: Callable[[Transmit], Flag],
    goal: Callable[[Transmit, State, Choice], Flag],
) -> Obligation:
    """Return the claim that the goal holds after these steps, whatever frames are sent.

    ``script`` names steps. No indirect table is used. The goal is also given a choice: the frame to be sent
    next.
    """

    def build(stage: Stage) -> Query:
        model = modelled(stage, Transmit)
        s = model.initial()
        hypotheses: dict[str, Flag] = {"setting": setting(model)}
        states = {"0: probe": readable(model, s)}
        values: dict[str, Any] = {}
        lengths: list[Number] = []
        for number, name in enumerate(script.split(), 1):
            choice = _frame(f"_{number}")
            if name == "get":
                choice = replace(choice, length=lengths.pop(0))
            step = model.take(name, s, choice)
            if name == "xmit":
                lengths.append(model.taken(choice))
                values[f"segments of frame {len(values) + 1}"] = model.segments(choice)
                hypotheses[f"data of {number}"] = choice.pieces >= 1
            hypotheses[f"{number}: {name}"] = step.guard
            s = step.after
            states[f"{number}: {name}"] = readable(model, s)
        choice = _frame("")
        values[f"segments of frame {len(values) + 1}"] = model.segments(choice)
        hypotheses["the next frame"] = both(model.may_be_sent(choice), choice.pieces >= 1)
        return ask(model, hypotheses, goal(model, s, choice), states, values)

    return Obligation(label, label, build, every_size=False)


def _frame(mark: str) -> Choice:
    return replace(symbols(Choice, mark), mine=False, unfit=False, indirect=False)


def large_linux(model: Transmit) -> Flag:
    """Return the linux-3.11 profile on a queue that has room for the longest frame."""
    return both(model.linux, one_of(model.queue_size, *(1 << power for power in range(5, 16))))


def small_linux(model: Transmit) -> Flag:
    """Return the linux-3.11 profile on a queue that has no room for the longest frame."""
    return both(model.linux, one_of(model.queue_size, *(1 << power for power in range(1, 5))))


SEND = "begin got_all xmit kick test_room"
STOP = f"{SEND} enable delay look"
WAKE = "answer ask silence wake_blindly"
AGAIN = "begin get rearm got_all"
SCRIPTS = {
    "early-interrupt": f"{SEND} {STOP} complete test {WAKE} {AGAIN}",
    "interrupt-without-news": f"{SEND} {STOP} complete test interrupt_without_news {WAKE} {AGAIN}",
    "delayed-interrupt": (
        f"{SEND} {SEND} complete test {AGAIN} xmit kick test_room enable delay look "
        f"complete test {WAKE} {AGAIN}"
    ),
    "small-queue": "begin got_all",
    "small-queue-stuck": (
        "begin got_all xmit kick complete test test_room enable delay look "
        "get rearm got_all restart answer ask"
    ),
}
"""The steps of each finding, as the explicit search finds them; the frame to be dropped is sent next."""


def _next_fits(model: Transmit, s: State, choice: Choice) -> Flag:
    return model.fits(s, choice)


def _moves_on(model: Transmit, s: State, choice: Choice) -> Flag:
    del choice
    return no(is_stuck(model, s))


def _without_event_idx(model: Transmit) -> Flag:
    return both(large_linux(model), no(model.event_idx))


def _with_event_idx(model: Transmit) -> Flag:
    return both(large_linux(model), model.event_idx)


FRAME_FITS_LINUX = (
    run("the first completion interrupts: the next frame fits", SCRIPTS["early-interrupt"],
        _without_event_idx, _next_fits),
    run("an interrupt without news: the next frame fits", SCRIPTS["interrupt-without-news"],
        _with_event_idx, _next_fits),
    run("an interrupt asked for before the stop: the next frame fits", SCRIPTS["delayed-interrupt"],
        _with_event_idx, _next_fits),
)  # fmt: skip
FRAME_FITS_SMALL = (run("the first frame fits", SCRIPTS["small-queue"], small_linux, _next_fits),)
WOKEN_SMALL = (
    run(
        "completed as soon as it was kicked: the queue moves on",
        SCRIPTS["small-queue-stuck"],
        small_linux,
        _moves_on,
    ),
)
