"""Which queues a campaign tries: their numbers, and what a kick with a wrong one comes to."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest

from ringproof.building import build_library, c_sources
from ringproof.impl.reference.profile import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1
from ringproof.validation.campaign import Options, validate
from ringproof.validation.configurations import feature_sets, long_run_configs, search_configs

_MINIMAL = Path(__file__).parents[2] / "examples" / "minimal" / "driver.c"
_INDICES = {0, 1, 2, 0x7FFF, 0x8000, 0xFFFF}
_EVERY = F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1
_OPTIONS = Options(quick=True, shrink_seconds=3.0, traces=None)


@pytest.mark.parametrize("claimed", feature_sets(_EVERY))
def test_queues_of_all_numbers_are_tried(claimed: int) -> None:
    """Whatever a driver claims, its kicks name all of the numbers, and a queue's is always the same."""
    searched = search_configs(claimed, "virtio-1.x")
    assert {config.queue_index for config in searched} == _INDICES
    numbers: dict[tuple[int, int, str, bool], int] = {}
    for config in chain(searched, long_run_configs(claimed, "virtio-1.x")):
        key = config.queue_size, config.features, config.layout, config.has_callback
        assert numbers.setdefault(key, config.queue_index) == config.queue_index


@pytest.mark.parametrize(
    "number", ["1", "(uint32_t)(int16_t)queue->env->queue_index", "(uint8_t)queue->env->queue_index"]
)
def test_a_kick_with_a_number_of_its_own_fails(number: str, build: Callable[[str], Path]) -> None:
    """A driver that always names queue 1, or takes a large number for a negative or a short one, is found."""
    report = validate(build(number), options=_OPTIONS)
    assert report.verdict == "fail"
    failed = {check.name for check in report.checks if check.verdict == "fail"}
    assert "kick-names-the-queue" in failed


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Path]:
    """Builds the minimal driver with another number in its kicks."""

    def made(number: str) -> Path:
        source = _MINIMAL.read_text()
        usual = "queue->env->notify(queue->env->context, queue->env->queue_index)"
        assert source.count(usual) == 1
        driver = tmp_path / "driver.c"
        driver.write_text(source.replace(usual, f"queue->env->notify(queue->env->context, {number})"))
        return build_library([driver], include=[c_sources()])

    return made
