"""An emitted C file fails on the driver with the defect, passes on the one without, and says where."""

import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from bench.seeded import kill, seeded
from ringproof.building import c_sources
from ringproof.emitting.c_file import UNSEEN, emit_c
from ringproof.errors import BadInputError
from ringproof.impl.harness.net_operations import NetConfig
from ringproof.impl.harness.operations import Code, Op, OpFlag
from ringproof.impl.harness.reference_runner import QueueConfig
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC
from ringproof.journey.document import NetTrace
from ringproof.patching import patched_copy
from ringproof.traces.document import TraceDocument, load
from ringproof.validation.verdicts import VERDICTS

from .runs import ADD, COMPLETE, GET, KICK, LONG_RUNS, NASTY, READ, RUNS, document, hostile

EXAMPLES = Path(__file__).parents[2] / "examples"
STRICT = ("-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O0")
OWN = ("adapter.c", "virtqueue.c")
LINUX = "-DRP_ADAPTER_LINUX_3_11"


def compiled(source: Path, output: Path, *flags: str, compiler: str = "cc") -> Path:
    """Compile one file, every warning an error."""
    command = [compiler, *STRICT, *flags, f"-I{c_sources()}", "-c", str(source), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return output


class Bench:
    """Compiles drivers and tests, each once, and runs one on the other."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.count = 0
        self.own = cache(self._own)

    def _own(self, mutant: str | None = None, *flags: str) -> tuple[Path, ...]:
        source = c_sources()
        if mutant is not None and not (self.place / mutant).exists():
            patched_copy(source, source / "mutants" / f"{mutant}.patch", self.place / mutant)
        folder = source if mutant is None else self.place / mutant
        return tuple(compiled(folder / name, self._fresh(".o"), *flags, f"-I{folder}") for name in OWN)

    def test(self, text: str, *flags: str) -> Path:
        """Compile an emitted file."""
        source = self._fresh(".c")
        source.write_text(text)
        return compiled(source, source.with_suffix(".o"), *flags)

    def run(self, test: Path, driver: tuple[Path, ...], *arguments: str) -> tuple[int, str]:
        """Link a test with a driver and run it: its exit status, and what it said."""
        program = self._fresh("")
        subprocess.run(["cc", str(test), *map(str, driver), "-o", str(program)], check=True, timeout=60)
        done = subprocess.run(
            [str(program), *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    def _fresh(self, suffix: str) -> Path:
        self.count += 1
        return self.place / f"{self.count}{suffix}"


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One bench for all tests."""
    return Bench(tmp_path_factory.mktemp("emitted"))


@pytest.mark.parametrize(
    "mutant", [*RUNS, *(pytest.param(each, marks=pytest.mark.slow) for each in LONG_RUNS)]
)
def test_every_mutant_fails_and_the_mended_driver_passes(bench: Bench, mutant: str) -> None:
    """One line that says at which step, exit status 1; without the defect ok, exit status 0."""
    test = bench.test(emit_c(document(mutant), f"test_{mutant}"))
    code, said = bench.run(test, bench.own(mutant))
    assert code == 1, said
    assert said.count("\n") == 1
    assert said.startswith(("step ", "then "))
    code, said = bench.run(test, bench.own())
    assert (code, said) == (0, f"ok: {len(document(mutant).operations)} steps on ringproof virtio-1.x\n")


def test_it_says_what_is_wrong_at_which_step(bench: Bench) -> None:
    """The step in words and both numbers; told more, every step before it is done."""
    test = bench.test(emit_c(document("A2"), "test_a2"))
    told = "step 4 (get_buf): num_free is 1, the reference has 2\n"
    assert bench.run(test, bench.own("A2")) == (1, told)
    code, said = bench.run(test, bench.own("A2"), "-v")
    assert (code, said.count("\n")) == (1, 5)
    assert said.startswith("step 1 (add 2 out, 0 in): \n")


def test_each_profile_has_its_own_numbers(bench: Bench) -> None:
    """Linux 3.11 writes avail.flags where the mended profile does not; each is held to its own reference."""
    run = (Op(Code.DISABLE_CB), ADD, KICK, READ, COMPLETE, GET, Op(Code.ENABLE_CB))
    text = emit_c(document(operations=run), "test")
    assert "as_in_linux_3_11[] =" in text
    assert "as_in_virtio_1[] =" in text
    test = bench.test(text)
    for flags in ((), (LINUX,)):
        assert bench.run(test, bench.own(None, *flags))[0] == 0


def test_by_meaning_a_defect_still_shows(bench: Bench) -> None:
    """Without the reference's numbers a leak shows in what the empty queue takes, a bad link in a chain."""
    for mutant in ("A2", "X3", "A6", "A13", "B1"):
        text = emit_c(document(mutant, extra={"compared": "by meaning"}), "test")
        assert "as_in_" not in text
        test = bench.test(text)
        code, said = bench.run(test, bench.own(mutant))
        assert code == 1, (mutant, said)
        assert bench.run(test, bench.own())[0] == 0


def test_all_kinds_of_steps_pass_on_a_driver_without_defect(bench: Bench) -> None:
    """Every operation there is, tables, failing allocations, batches, odd orders, a reset at the end."""
    run = (
        *(Op(Code.ADD, in_=1, a=2, b=7), Op(Code.ADD, a=3, b=99), Op(Code.ADD, OpFlag.NULL_TOKEN, a=1)),
        *(Op(Code.ADD), Op(Code.ADD, a=9), Op(Code.ADD, OpFlag.FAIL_ALLOC, a=2), KICK),
        *(Op(Code.ENABLE_CB_DELAYED), Op(Code.READ), Op(Code.COMPLETE, a=1, b=1, c=2), Op(Code.INTERRUPT)),
        *(GET, GET, GET, Op(Code.DISABLE_CB), Op(Code.ENABLE_CB_PREPARE), ADD, KICK, Op(Code.READ), COMPLETE),
        *(Op(Code.POLL), GET, Op(Code.ENABLE_CB), Op(Code.SET_AVAIL_EVENT, OpFlag.RELATIVE, a=1), ADD, KICK),
        *(Op(Code.SET_FLAGS, a=1), Op(Code.ROUNDS, a=9, b=3), Op(Code.READ)),
        *(Op(Code.COMPLETE, OpFlag.TOTAL_LENGTH, c=0xFFFF_FFFF), GET, ADD),
        *(Op(Code.DETACH_UNUSED), Op(Code.DETACH_UNUSED), Op(Code.DETACH_UNUSED), Op(Code.DETACH_UNUSED)),
    )
    for features in (0, F_EVENT_IDX, F_INDIRECT_DESC, F_EVENT_IDX | F_INDIRECT_DESC):
        config = QueueConfig(8, features, queue_index=3)
        test = bench.test(emit_c(document(config=config, operations=run), "test"))
        assert bench.run(test, bench.own()) == (0, f"ok: {len(run)} steps on ringproof virtio-1.x\n")
    for layout in ("legacy", "modern"):
        for operations in ((), (KICK,)):
            config = QueueConfig(1, layout=layout, has_callback=False)
            test = bench.test(emit_c(document(config=config, operations=operations), "test"))
            assert bench.run(test, bench.own())[0] == 0


@pytest.mark.parametrize("example", ["minimal", "lifo", "fifo", "bitmap"])
def test_drivers_of_other_hands_pass(bench: Bench, example: str) -> None:
    """Drivers with a policy of their own: what pushes, maps, publishes at the kick or polls is no fault."""
    driver = (compiled(EXAMPLES / example / "driver.c", bench.place / f"{example}.o"),)
    run = (ADD, KICK, Op(Code.ADD, a=2), KICK, Op(Code.READ), Op(Code.COMPLETE, a=1, c=1), GET, COMPLETE, GET)
    test = bench.test(emit_c(document(config=QueueConfig(8), operations=(*run, Op(Code.ROUNDS, a=99))), "t"))
    assert bench.run(test, driver) == (0, f"ok: 10 steps on {example}\n")


@pytest.mark.parametrize(
    "name",
    [
        "fifo-B14",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in (
                "lifo-A13",
                "bitmap-A7",
                "bitmap-D3",
                "bitmap-F10",
                "bitmap-G5",
                "fifo-A19",
                "fifo-B17",
                "lifo-A22",
            )
        ),
    ],
)
def test_what_validate_finds_in_an_example_shows_in_c(bench: Bench, name: str, tmp_path: Path) -> None:
    """Each trace of a defect seeded into an example fails on it, and passes on the example without."""
    driver, _, id = name.partition("-")
    defect = next(row for row in seeded(driver) if row.id == id)
    assert kill(defect, traces=tmp_path / "traces").died
    bad = (compiled(defect.copy(tmp_path) / "driver.c", tmp_path / "bad.o", "-Wno-error"),)
    good = (compiled(defect.source / "driver.c", tmp_path / "good.o"),)
    traces = sorted((tmp_path / "traces").glob("*.json"))
    assert traces
    for trace in traces:
        test = bench.test(emit_c(load(trace), "test"))
        assert bench.run(test, bad)[0] == 1
        assert bench.run(test, good)[0] == 0


def test_a_driver_that_cannot_be_asked_is_told(bench: Bench) -> None:
    """A feature it lacks, an operation it lacks, a queue it declines: one line, exit status 2."""
    driver = (compiled(EXAMPLES / "minimal" / "driver.c", bench.place / "least.o"),)
    for changed, line in (
        (
            {"config": QueueConfig(2, F_EVENT_IDX)},
            "not judged: the driver does not offer the features 0x20000000\n",
        ),
        (
            {"config": QueueConfig(2), "operations": (Op(Code.ENABLE_CB_PREPARE),)},
            "step 1 (enable_cb_prepare): not judged: the driver has no such operation\n",
        ),
    ):
        test = bench.test(emit_c(document(**changed), "test"))
        assert bench.run(test, driver) == (2, line)
    test = bench.test(emit_c(document(config=QueueConfig(3, layout="modern")), "test"))
    assert bench.run(test, bench.own()) == (
        2,
        "not judged: the driver declines this queue: create returned RP_EINVAL\n",
    )


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers_have_no_complaint(bench: Bench, compiler: str) -> None:
    """No warning from either, trigraphs on or off."""
    if shutil.which(compiler) is None:
        pytest.skip(f"NOT SHOWN: there is no {compiler} here")
    nasty = document("X9", description=NASTY, violated=NASTY, property=NASTY)
    for number, text in enumerate((emit_c(document(), "test"), emit_c(nasty, NASTY))):
        source = bench.place / f"{compiler}{number}.c"
        source.write_text(text)
        for flags in ((), ("-trigraphs", "-Wshadow")):
            compiled(source, source.with_suffix(".o"), *flags, compiler=compiler)


def test_text_of_a_document_cannot_become_code() -> None:
    """Whatever it holds, the file is the same behind the comment at its head, which is plain ASCII."""
    plain = emit_c(document(), "test")
    nasty = emit_c(
        document(description=NASTY, violated=NASTY, property=NASTY, extra={"clause": NASTY}), NASTY
    )
    assert nasty.isascii()
    head, _, rest = nasty.partition("*/")
    assert rest == plain.partition("*/")[2]
    assert head.count("/*") == 1
    assert "??" not in head
    assert "\\" not in head


def test_steps_read_as_words_and_numbers() -> None:
    """The table of steps and of what the reference gives, as a reader sees it."""
    text = emit_c(document(), "test_a2")
    assert (
        """
static const struct step steps[] = {
    {ADD, .words = "add 2 out, 0 in", .out = 2u},
    {READ, .words = "device reads up to 1 chain", .count = 1},
    {COMPLETE, .words = "device completes 1 chain", .count = 1},
    {GET, .words = "get_buf"},
};

/* What the reference gives: status, token, length, notifies, callbacks,
 * avail_idx, used_idx, avail_flags, used_event, num_free. */
static const struct result as_in_linux_3_11[] = {
    {0, 1, 0, 0, 0, 1, 0, 0, 0, 0},
    {1, 0, 0, 0, 0, 1, 0, 0, 0, 0},
    {1, 0, 1, 0, 0, 1, 1, 0, 0, 0},
    {1, 1, 0, 0, 0, 1, 1, 0, 1, 2},
};
#define LINUX_3_11 as_in_linux_3_11
#define VIRTIO_1 as_in_linux_3_11
"""
        in text
    )
    assert " * It breaks num-free-exact: num_free is 1, but the descriptors in no chain are 2\n" in text
    assert text == emit_c(document(), "test_a2")
    assert str(Path.cwd()) not in text


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (hostile(), "its device breaks the rules"),
        (document(config=QueueConfig(2, fail_allocation=1)), "an allocation fails in create"),
        (document(extra={"check": "content-before-index"}), "no C file shows content-before-index"),
        (document(violated="desc[1].next holds 0x0, the reference has 0x2"), "the bytes of the ring"),
        (NetTrace(NetConfig(), (), (), ()), "a device with registers"),
    ],
)
def test_what_a_c_file_cannot_show_is_refused(given: TraceDocument | NetTrace, reason: str) -> None:
    """One line that says why, and what to use instead."""
    with pytest.raises(BadInputError, match=reason) as refused:
        emit_c(given, "test")
    assert "\n" not in str(refused.value)
    assert "--emit pytest" in str(refused.value)


def test_checks_that_are_not_made_are_checks() -> None:
    """The table of what a C file does not look at names checks of validate."""
    assert set(UNSEEN) <= {verdict.name for verdict in VERDICTS.values()}
    assert replace(document(), extra={"check": "all-released"}).extra["check"] not in UNSEEN
