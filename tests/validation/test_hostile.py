"""The hostile profile: a driver that believes nothing passes, each belief that was a bug once fails."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ringproof.building import build_library, c_sources
from ringproof.impl.harness.operations import EBROKEN, RESULT, Code, Mischief, Op, Result
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.traces.document import load
from ringproof.validation import hostile
from ringproof.validation.alone import Alone
from ringproof.validation.evidence import replay_on_driver
from ringproof.validation.hostile import ORACLES, validate_hostile
from ringproof.validation.hostile_course import reaction
from ringproof.validation.hostile_runs import INJECTIONS, configurations, possible, scenes
from ringproof.validation.hostile_sizes import SIZES, offer_sizes
from ringproof.validation.narration import in_words
from ringproof.validation.options import Options
from ringproof.validation.process import Process
from ringproof.validation.report import ValidationReport

HARDENED = Path(__file__).parent / "drivers" / "hardened.c"
EVENT_IDX, INDIRECT, VERSION_1, IN_ORDER = 1 << 29, 1 << 28, 1 << 32, 1 << 35
ALL = EVENT_IDX | INDIRECT | VERSION_1

Hardened = Callable[..., Path]


@pytest.fixture(scope="session")
def hardened() -> Hardened:
    """Builds the driver that believes nothing, but for what is named."""

    def build(*beliefs: str) -> Path:
        defines = {f"HARDENED_{belief}": "" for belief in beliefs}
        return build_library([HARDENED], include=[c_sources()], defines=defines)

    return build


def failing(report: ValidationReport) -> set[str]:
    """Name the checks that failed."""
    return {check.name for check in report.checks if check.verdict == "fail"}


def mischief(manner: Mischief, which: int = 0, number: int = 0) -> Op:
    """One act of the device."""
    return Op(Code.MISCHIEF, a=manner, b=which, c=number)


def run(library: Path, config: QueueConfig, *operations: Op) -> tuple[str, list[int]]:
    """Run operations alone: the check that failed, or nothing, and the statuses."""
    with Process(library, patience=3.0) as process:
        alone = Alone(process)
        failure = alone.attempt(config, operations)
        statuses = [Result(*values).status for values in RESULT.iter_unpack(alone.results)]
    return (failure.check if failure is not None else ""), statuses


ADD, READ, GET = Op(Code.ADD, a=1), Op(Code.READ), Op(Code.GET)
COMPLETE = Op(Code.COMPLETE, c=1)


def test_a_driver_that_believes_nothing_passes(hardened: Hardened) -> None:
    """Every injection was made, with every size and the mixtures, and nothing is held against it."""
    report = validate_hostile(hardened(), options=Options(quick=True, traces=None))
    assert failing(report) == set()
    assert report.verdict == "pass"
    assert {check.name for check in report.checks if check.verdict != "pass"} == set()
    assert {one.name for one in INJECTIONS} | set(ORACLES) < {check.name for check in report.checks}


def test_every_injection_has_its_occasion_on_a_slow_machine(
    hardened: Hardened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no time at all, each injection is made a few times nevertheless."""
    monkeypatch.setattr(hostile, "QUICK_SECONDS", 0.0)
    report = validate_hostile(hardened(), options=Options(quick=True, traces=None))
    assert {check.name: check.detail for check in report.checks if check.verdict != "pass"} == {}


@pytest.mark.parametrize(
    ("belief", "injection", "oracle"),
    [
        ("H1", "hostile-F1", "hostile-memory"),
        ("H2", "hostile-F5", "hostile-loops"),
        ("H3", "hostile-F2", "hostile-tokens"),
        ("H5", "hostile-F1", "hostile-memory"),
        ("H6", "hostile-F5", "hostile-memory"),
        ("H7", "hostile-F1", "hostile-tokens"),
        ("F6", "hostile-F6", "hostile-tokens"),
    ],
)
@pytest.mark.slow
def test_each_belief_fails(
    belief: str, injection: str, oracle: str, hardened: Hardened, tmp_path: Path
) -> None:
    """One thing believed that a driver should not fails under its injection, with a trace that replays."""
    library = hardened(belief)
    report = validate_hostile(library, options=Options(quick=True, traces=tmp_path))
    assert {injection, oracle} <= failing(report)
    assert report.trace is not None
    document = load(report.trace)
    assert document.alone()
    outcome = replay_on_driver(document.operations, document.config, library, hang_seconds=2.0)
    assert outcome.differs
    assert outcome.check == document.extra["check"]
    clean = replay_on_driver(document.operations, document.config, hardened(), hang_seconds=2.0)
    assert not clean.differs


def test_one_run_of_each_belief(hardened: Hardened) -> None:
    """The shortest runs that show them, without any search."""
    plain = QueueConfig(4, 0, "modern", hostile=True)
    id_range, not_head = Mischief.ID_RANGE, Mischief.ID_NOT_HEAD
    assert run(hardened("H7"), plain, ADD, READ, mischief(id_range, 2), GET)[0] == "no-wrong-token"
    assert run(hardened("H3"), plain, ADD, READ, mischief(not_head, 2), GET, GET)[0] == "no-wrong-token"
    rewritten = (ADD, READ, mischief(Mischief.REWRITE, 0), COMPLETE, GET)
    assert run(hardened("H6"), plain, *rewritten)[0] == "mapped-and-unmapped"
    flipped = (ADD, READ, mischief(Mischief.DOUBLE_FETCH, 0), GET)
    assert run(hardened("F6"), plain, *flipped)[0] in ("no-crash", "no-wrong-token")
    assert run(hardened(), plain, *flipped) == ("", [0, 1, 1, 1])
    assert run(hardened(), plain, ADD, READ, mischief(id_range, 2), GET) == ("", [0, 1, 1, EBROKEN])


def test_the_own_driver_checks_ids_but_believes_descriptors(own_driver: Path, linux_driver: Path) -> None:
    """Both profiles refuse bad ids, as Linux 3.11 does, and follow links that the device has bent."""
    for library in (own_driver, linux_driver):
        config = QueueConfig(4, 0, hostile=True)
        for which in (0, 1, 2, 3, 4):
            check, statuses = run(library, config, ADD, READ, mischief(Mischief.ID_RANGE, which), GET, GET)
            assert (check, statuses) == ("", [0, 1, 1, EBROKEN, EBROKEN])
        twice = (Op(Code.ADD, a=2), READ, mischief(Mischief.ID_NOT_HEAD, 2), GET, GET)
        assert run(library, config, *twice) == ("", [0, 1, 1, 1, EBROKEN])
        loop = (ADD, READ, mischief(Mischief.REWRITE, 3), COMPLETE, GET)
        assert run(library, config, *loop)[0] == "no-hang"


@pytest.mark.parametrize("name", ["hostile-F1", "hostile-F2", "hostile-F3", "hostile-F4", "hostile-F14"])
def test_the_own_driver_bears_what_is_no_rewriting(name: str, own_driver: Path) -> None:
    """A scene of every variant on two queues; wrong tokens would be this suite's own false alarm."""
    injection = next(one for one in INJECTIONS if one.name == name)
    with Process(own_driver, patience=3.0) as process:
        alone = Alone(process)
        for config in (QueueConfig(1, EVENT_IDX, hostile=True), QueueConfig(8, ALL, "modern", hostile=True)):
            for scene in list(scenes(injection, config, alone.offered))[::3]:
                failure = alone.attempt(config, scene)
                assert failure is None, (failure.detail, [in_words(op) for op in failure.operations])


def test_impossible_sizes_are_offered(own_driver: Path) -> None:
    """The driver declines them all."""
    assert offer_sizes(own_driver, 3.0).declined == SIZES


def test_honest_queues_know_no_mischief(own_driver: Path) -> None:
    """On a queue that is not hostile, the device cannot be made to break a rule."""
    config = QueueConfig(4)
    assert run(own_driver, config, ADD, READ, mischief(Mischief.ID_RANGE), GET)[1] == [0, 1, -1000, 0]


def test_an_injection_needs_its_features() -> None:
    """IN_ORDER is only broken where it was promised."""
    in_order = next(one for one in INJECTIONS if one.name == "hostile-F9")
    queues = configurations(ALL | IN_ORDER, "virtio-1.x")
    assert {possible(in_order, config) for config in queues} == {False, True}
    assert not any(possible(in_order, config) for config in configurations(ALL, "virtio-1.x"))


def test_reactions_are_told_apart() -> None:
    """To ignore, to refuse once and to be broken for good differ in what comes after."""
    bad = mischief(Mischief.ID_RANGE)

    def told(*statuses: int) -> str:
        results = [Result(status, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) for status in (1, *statuses)]
        return reaction([bad, *[GET] * len(statuses)], results)

    assert told(1, 0) == "ignored it"
    assert told(EBROKEN, 1) == "refused it"
    assert told(EBROKEN, EBROKEN) == "marked itself broken"
    assert reaction([bad, GET], [Result(*[0] * 11)] * 2) == ""


def test_every_injection_has_words() -> None:
    """Each variant is said in words of its own, none by number."""
    said = [in_words(op) for injection in INJECTIONS for op in injection.operations()]
    assert not [words for words in said if "number " in words or "manner" in words]
    assert "device uses id 0xffffffff" in said
    assert all(words.startswith("device ") for words in said)
