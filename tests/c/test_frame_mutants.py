"""The seeded defects of the C network driver: each patch compiles and does what its title says."""

import re
from pathlib import Path

import pytest

from ringproof.building import build_driver, c_sources
from ringproof.patching import mutated_driver, patched_copy
from ringproof.proofs.mutants.frame_catalog import FRAME_CATALOG

from .programs import PROFILES, WARNINGS, loading_program, run, warned

# For each mutant a case of the C program that fails, and what the program says: the log of what the driver
# did (tests/c/net/bench.h), the header it wrote, or what does not hold.
KILLED_BY = {
    "E2": ("plain_header", r"does not hold: the device reads header and frame, and no more"),
    "E3": ("plain_header", r"^header: 0{20}1e00$"),  # wanted are two zero bytes more, not the frame's first
    "E6": ("plain_header", r"^header: 0000a5a5a5a5a5a5a5a5$"),
    "E10": ("stop", r"^wanted: O22 S0\n.*\nlog: O22$"),
    "E11": ("shapes", r"num_free == bench\.size - segments\nlog: .* O3$"),
    "E19": ("counts", r"does not hold: now\.tx_bytes == 60 \+ 60 \+ 10 \+ 11"),
    "D9": ("stop", r"does not hold: used_event\(\) == 17"),
    "G3": ("refused", r"^wanted: Wi16=1 F2\n.*\nlog: Wi16=1 Wi16=1 O2 S0$"),
    "X11": ("shapes", r"does not hold: the device reads header and frame, and no more\nlog: .* O1$"),
    "X12": (
        "shapes",
        r"does not hold: bench\.sent\[number\]\.freed == 0\nlog: .* F4 F5$",
    ),  # cannot be mapped
    "X13": ("stale_list", r"does not hold: statistics\(0\)\.num_free == .*\nlog: .* O1$"),
    "X14": ("second_look", r"\nlog: Wi16=1 O22 S0$"),
    "X15": ("offload_headers", r"^header: 0100000000002c001001$"),
    "X16": ("offload_headers", r"^header: 01013600a80522001001$"),
    "X17": ("probe_legacy", r"^log: .* Wi4=0 Ri18=3 Wi18=7 Wi14=0 .* Wi14=1 Ri12=4 Ri8=0 Wi8=102$"),
    "X18": ("probe_legacy", r"^log: .* Ri0=0 Wi4=3043f821 "),
    "X19": ("probe_modern", r"^log: .* Wc24=4 Wc28=1 Wc32=100000 "),
    "X20": ("probe_legacy", r"^log: Wi18=0 Ri18=0 Ri18=0 Wi18=1 Ri18=1 Wi18=2 "),
    "X21": ("probe_legacy", r"^log: .* Wi8=102 Wi16=1 Ri18=3 Wi18=7$"),
    "X22": ("select", r"does not hold: selected\(0, 3\) == 0"),
    "X23": ("dropped", r"does not hold: .*now\.tx_dropped == 2 && now\.tx_fifo_errors == 2"),
    "X24": ("dropped", r"does not hold: sent->freed == 1\nlog: F0 F0$"),
    "X25": ("wake_later", r"^wanted: Ri19=1 F0\n.*\nlog: Ri19=1 K0$"),
    "X26": ("declined", r"^log: .* Wc20=b Wc22=0 .* Wc20=7$"),
}
ORIGINAL = ("E3", "X25")  # what linux-3.11 does anyway


def test_every_mutant_of_the_frame_catalog_has_its_case() -> None:
    """The catalog's ids are those below."""
    assert list(KILLED_BY) == list(FRAME_CATALOG)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mutant_id", KILLED_BY)
def test_patch_applies_and_changes_what_it_says(mutant_id: str, profile: str, tmp_path: Path) -> None:
    """Each patch applies exactly and compiles without warnings, and its case fails for the reason told."""
    patch = c_sources() / "mutants" / f"{mutant_id}.patch"
    copy = patched_copy(c_sources(), patch, tmp_path / "c")
    assert warned(copy, PROFILES[profile]) == ""
    library = mutated_driver(mutant_id, linux_3_11=profile == "linux-3.11")  # which other tests build, too
    case, told = KILLED_BY[mutant_id]
    done = run(loading_program("net"), case, timeout=20, driver=library)
    if profile == "linux-3.11" and mutant_id in ORIGINAL:
        assert done.returncode == 0, done.stdout
    else:
        assert done.returncode == 1
        assert re.search(told, done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("profile", PROFILES)
def test_shipped_driver_passes_those_cases(profile: str) -> None:
    """The cases that kill mutants hold for the driver as shipped, loaded in the same way."""
    library = build_driver(c_sources(), defines=PROFILES[profile], extra_flags=WARNINGS)
    for case in sorted({case for case, _ in KILLED_BY.values()}):
        done = run(loading_program("net"), case, driver=library)
        assert done.returncode == 0, done.stdout
