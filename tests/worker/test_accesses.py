"""The order of an instrumented driver's accesses: what is found, what is clean, and what cannot be judged."""

import shutil
from functools import cache
from pathlib import Path

import pytest

from ringproof.building import CompilerMissing, build_driver, c_sources, find_compiler
from ringproof.impl.harness.operations import Code, Op
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.validation import ordering
from ringproof.validation.variants import build_accesses
from ringproof.validation.verdicts import VERDICTS, FindingCode
from ringproof.validation.worker import Finding, Instrumented, Worker

from .conftest import Tour

ORDERED = Path(__file__).parent / "drivers" / "ordered"
INDIRECT, EVENT_IDX, VERSION_1 = 1 << 28, 1 << 29, 1 << 32
FEATURES = (0, INDIRECT, EVENT_IDX, INDIRECT | EVENT_IDX | VERSION_1)
ORDER = {FindingCode.ORDER_PUBLISH, FindingCode.ORDER_KICK, FindingCode.ORDER_USED, FindingCode.ORDER_ARM}
COMPILERS = ("gcc", pytest.param("clang", marks=pytest.mark.slow))

# what is changed in the driver that is right, negotiated features, what is found: this, whatever else
FAULTS: tuple[tuple[str, int, FindingCode], ...] = (
    ("NO_RELEASE", 0, FindingCode.ORDER_PUBLISH),
    ("NO_RELEASE BY_MEMCPY", 0, FindingCode.ORDER_PUBLISH),
    ("MANNER_RELEASE_STORE NO_RELEASE_ORDER", INDIRECT, FindingCode.ORDER_PUBLISH),
    ("FAULT_DESCRIPTOR_LATE", 0, FindingCode.ORDER_PUBLISH),
    ("FAULT_TABLE_LATE", INDIRECT, FindingCode.ORDER_PUBLISH),
    ("FAULT_SLOT_LATE", 0, FindingCode.ORDER_PUBLISH),
    ("NO_FULL_FLAGS", 0, FindingCode.ORDER_KICK),
    ("NO_FULL_EVENT", EVENT_IDX, FindingCode.ORDER_KICK),
    ("NO_FULL NO_TRAIT", EVENT_IDX, FindingCode.ORDER_KICK),
    ("MANNER_RELEASE_STORE NO_FULL", 0, FindingCode.ORDER_KICK),
    ("MANNER_X86 NO_FULL", 0, FindingCode.ORDER_KICK),
    ("FAULT_WORD_FIRST", 0, FindingCode.ORDER_KICK),
    ("FAULT_WORD_FIRST", EVENT_IDX, FindingCode.ORDER_KICK),
    ("FAULT_WORD_FIRST NO_TRAIT", EVENT_IDX, FindingCode.ORDER_KICK),
    ("NO_FULL_ARM", 0, FindingCode.ORDER_ARM),
    ("NO_FULL_ARM", EVENT_IDX, FindingCode.ORDER_ARM),
    ("NO_FULL_ARM NO_TRAIT", EVENT_IDX, FindingCode.ORDER_ARM),
    ("MANNER_RELEASE_STORE NO_FULL_ARM", 0, FindingCode.ORDER_ARM),
    ("MANNER_SYNC NO_FULL_ARM", EVENT_IDX, FindingCode.ORDER_ARM),
    ("NO_FULL_REARM", EVENT_IDX, FindingCode.ORDER_ARM),
    ("MANNER_EXCHANGE NO_FULL_REARM", EVENT_IDX, FindingCode.ORDER_ARM),
    ("FAULT_LOOK_FIRST", 0, FindingCode.ORDER_ARM),
    ("FAULT_LOOK_FIRST", EVENT_IDX, FindingCode.ORDER_ARM),
    ("PUSHES FAULT_LOOK_FIRST", EVENT_IDX, FindingCode.ORDER_ARM),
    ("PUSHES NO_FULL_ARM NO_FULL_REARM", EVENT_IDX, FindingCode.ORDER_ARM),
    ("NO_ACQUIRE", 0, FindingCode.ORDER_USED),
    ("MANNER_RELEASE_STORE NO_ACQUIRE", 0, FindingCode.ORDER_USED),
    ("FAULT_ENTRY_FIRST", 0, FindingCode.ORDER_USED),
    ("FAULT_ENTRY_FIRST NO_TRAIT", 0, FindingCode.ORDER_USED),
    ("FAULT_INDEX_TOO_SELDOM", 0, FindingCode.TOKEN_WRONG),
    ("FAULT_KICK_FIRST", 0, FindingCode.KICK_LOST_FLAGS),
    ("FAULT_KICK_FIRST", EVENT_IDX, FindingCode.KICK_LOST_EVENT),
    ("FAULT_INDEX_FIRST", 0, FindingCode.CHAIN_CHANGED),
    ("FAULT_BACKWARDS_FOR_A_MOMENT", 0, FindingCode.AVAIL_BACKWARDS),
    ("FAULT_FLAGS_FOR_A_MOMENT", 0, FindingCode.AVAIL_FLAGS),
    ("FAULT_FLAGS_FOR_A_MOMENT", EVENT_IDX, FindingCode.AVAIL_FLAGS_EVENT),
    ("FAULT_OWNED_FOR_A_MOMENT", 0, FindingCode.CHAIN_CHANGED),
    ("FAULT_SLOT_FOR_A_MOMENT", 0, FindingCode.CHAIN_CHANGED),
    ("FAULT_USED_FOR_A_MOMENT", 0, FindingCode.USED_WRITTEN),
)

# manners of ordering that are right, and which of the four rules can be judged of them
MANNERS: tuple[tuple[str, set[FindingCode]], ...] = (
    ("", ORDER),
    ("MANNER_SEQ_CST", ORDER),
    ("MANNER_RELEASE_STORE", ORDER),
    ("MANNER_SYNC", ORDER),
    ("MANNER_EXCHANGE", ORDER),
    ("BY_MEMCPY", ORDER),
    ("PUSHES", ORDER),
    ("NO_TRAIT", {FindingCode.ORDER_KICK, FindingCode.ORDER_ARM}),
    ("NO_TRAIT NO_RELEASE NO_ACQUIRE", {FindingCode.ORDER_KICK, FindingCode.ORDER_ARM}),
    ("MANNER_X86", set()),
    ("MANNER_X86_LOCK", set()),
    ("ALWAYS_KICK NO_FULL_FLAGS NO_FULL_EVENT", ORDER),  # other fences lie between at times
)


@cache
def _build(changes: str, compiler: str, *, instrumented: bool = True) -> Path:
    """Build the ordered driver with macros defined, as the variant of the accesses is built."""
    try:
        found = find_compiler(compiler)
    except CompilerMissing:
        pytest.skip(f"no {compiler}")
    return build_driver(
        ORDERED,
        defines=dict.fromkeys(changes.split(), ""),
        extra_flags=[f"-Wl,--wrap={name}" for name in ("memcpy", "memmove", "memset")]
        if instrumented
        else (),
        compile_flags=("-fsanitize=thread",) if instrumented else (),
        compiler=found,
    )


def _config(features: int, layout: str = "modern") -> QueueConfig:
    return QueueConfig(16, features, layout=layout, profile="virtio-1.x")


def _findings(worker: Worker, config: QueueConfig, tour: Tour, seeds: int = 2) -> list[Finding]:
    """Take a queue through its life; every check made, those that held too."""
    assert worker.create(config)
    for seed in range(seeds):
        worker.run(tour(config.features, seed))
    worker.destroy()
    return worker.findings()


def _failed(findings: list[Finding]) -> set[FindingCode]:
    """Return what fails; warnings are no more than that."""
    return {
        FindingCode(one.code)
        for one in findings
        if one.failed and VERDICTS[FindingCode(one.code)].level == "fail"
    }


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("changes", "features", "code"), FAULTS)
def test_each_fault_of_order_is_found(
    changes: str, features: int, code: FindingCode, compiler: str, tour: Tour
) -> None:
    """One fence left out, or one access displaced or made for a moment only, gets the finding of that."""
    with Worker(_build(changes, compiler), stop_on_finding=False) as worker:
        findings = _findings(worker, _config(features), tour)
    assert code in _failed(findings)
    if code in ORDER:  # nothing else is wrong with it, so nothing else may be found
        besides = {FindingCode.ORDER_ARM} if "NO_FULL" in changes.split() else set[FindingCode]()
        assert _failed(findings) == {code} | besides
    one = next(one for one in findings if one.code == code)
    line = VERDICTS[code].describe(one.a, one.b)
    assert line
    assert "\n" not in line


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("changes", "judged"), MANNERS)
def test_a_lawful_manner_has_no_findings(
    changes: str, judged: set[FindingCode], compiler: str, tour: Tour
) -> None:
    """Whatever means a driver orders by, it is judged by what these show, and by no more."""
    made: set[FindingCode] = set()
    with Worker(_build(changes, compiler), stop_on_finding=False) as worker:
        for features in FEATURES:
            layout = "modern" if features & INDIRECT else "legacy"
            findings = _findings(worker, _config(features, layout), tour)
            assert _failed(findings) == set()
            made |= {FindingCode(one.code) for one in findings} & ORDER
    assert made == judged


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("profile", ["virtio-1.x", "linux-3.11"])
def test_the_shipped_driver_is_ordered_by_c11_means(
    profile: str, compiler: str, tour: Tour, tmp_path: Path
) -> None:
    """The C implementation, made to declare it, is judged by all rules and breaks none."""
    try:
        found = find_compiler(compiler)
    except CompilerMissing:
        pytest.skip(f"no {compiler}")
    sources = tmp_path / "sources"
    shutil.copytree(c_sources(), sources)
    adapter = sources / "adapter.c"
    text = adapter.read_text().replace(".traits = TRAITS", ".traits = TRAITS | RP_TRAIT_C11_ORDER")
    if profile == "linux-3.11":
        text = "#define RP_ADAPTER_LINUX_3_11\n" + text
    adapter.write_text(text)
    made: set[FindingCode] = set()
    with Worker(build_accesses(sources, compiler=found).library, stop_on_finding=False) as worker:
        for features in FEATURES:
            findings = _findings(worker, QueueConfig(16, features, profile=profile, layout="legacy"), tour)
            made |= {FindingCode(one.code) for one in findings} & ORDER
            assert _failed(findings) & ORDER == set()
    assert made == ORDER


def test_a_driver_that_is_not_instrumented_is_not_judged(tour: Tour) -> None:
    """Without the compiler's calls no rule of order is checked, though the driver breaks them all."""
    library = _build("NO_RELEASE NO_FULL NO_ACQUIRE", "gcc", instrumented=False)
    with Worker(library) as worker:
        assert Instrumented.ACCESSES not in worker.instrumented
        findings = _findings(worker, _config(0), tour)
        reasons = ordering.why_not(library, worker.traits, worker.instrumented)
    assert _failed(findings) == set()
    assert {FindingCode(one.code) for one in findings} & ORDER == set()
    assert set(reasons.values()) == {"built without instrumentation of its accesses"}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_hostile_queue_is_not_judged(compiler: str, tour: Tour) -> None:
    """Where the device breaks the rules, the order of accesses has no meaning that could be judged."""
    config = QueueConfig(16, 0, layout="modern", profile="virtio-1.x", hostile=True)
    with Worker(_build("NO_RELEASE", compiler), stop_on_finding=False) as worker:
        findings = _findings(worker, config, tour)
    assert {FindingCode(one.code) for one in findings} & ORDER == set()


def test_each_queue_is_judged_anew() -> None:
    """After the end of one queue the next one is judged from its own first access on."""
    with Worker(_build("NO_RELEASE", "gcc"), stop_on_finding=False) as worker:
        for _ in range(3):
            assert worker.create(_config(0))
            worker.run(Op(Code.ADD, a=1).pack())
            worker.destroy()
            counted = {one.code: one for one in worker.findings()}
            assert (
                counted[FindingCode.ORDER_PUBLISH].checked,
                counted[FindingCode.ORDER_PUBLISH].failed,
            ) == (1, 1)


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("changes", "fences"), [("", None), ("MANNER_X86", "mfence"), ("MANNER_X86_LOCK", "lock")]
)
def test_fences_by_assembly_are_seen_in_the_code(changes: str, fences: str | None, compiler: str) -> None:
    """A library with fences that no instrumentation shows is told from one without."""
    said = ordering.own_fences(_build(changes, compiler))
    assert said == (None if fences is None else f"orders by inline assembly ({fences})")


def test_reasons_name_what_is_missing(tmp_path: Path) -> None:
    """Each rule that could not be judged has a reason of one line."""
    plain, assembly = _build("", "gcc"), _build("MANNER_X86", "gcc")
    keys = {ordering.PUBLISH, ordering.KICK, ordering.USED, ordering.ARM}
    for library, traits, instrumented in [(plain, 0, 2), (plain, 1 << 7, 2), (assembly, 0, 2), (plain, 0, 0)]:
        reasons = ordering.why_not(library, traits, instrumented)
        assert set(reasons) == keys
        assert all(reason and "\n" not in reason for reason in reasons.values())
    assert ordering.why_not(assembly, 0, 2)[ordering.KICK] == "orders by inline assembly (mfence)"
    assert ordering.why_not(assembly, 0, 2)[ordering.ARM] == "orders by inline assembly (mfence)"
    assert "C11" in ordering.why_not(plain, 0, 2)[ordering.USED]
    assert ordering.own_fences(tmp_path / "none.so") is not None
    (tmp_path / "text.so").write_text("no library")
    assert ordering.own_fences(tmp_path / "text.so") is not None


def test_without_objdump_nothing_is_sure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose code cannot be searched may have fences: its kicks are not judged."""
    library = tmp_path / "copy.so"
    shutil.copy(_build("", "gcc"), library)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = ordering.own_fences(library)
    assert said is not None
    assert "objdump" in said


def test_a_function_that_may_order_is_a_doubt(tmp_path: Path) -> None:
    """A driver that calls, say, pthread_mutex_lock may be ordered by it."""
    source = tmp_path / "lock"
    source.mkdir()
    (source / "lock.c").write_text(
        "int pthread_mutex_lock(void *lock);\nint take(void *lock) { return pthread_mutex_lock(lock); }\n"
    )
    assert ordering.own_fences(build_driver(source)) == "may order by a call of pthread_mutex_lock"
