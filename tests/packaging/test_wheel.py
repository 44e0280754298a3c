"""The wheel and the sdist hold what the tool needs outside a checkout."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel built from it."""
    out = tmp_path_factory.mktemp("dist")
    copy = tmp_path_factory.mktemp("checkout") / "ringproof"
    # Built from a copy of what git tracks: a build leaves folders behind, and no stray file may help it.
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)],
        check=True,
        capture_output=True,
    )
    return out


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the wheel, not the checkout, is what gets imported."""
    (wheel,) = distributions.glob("*.whl")
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)],
        check=True,
        capture_output=True,
    )
    return {**os.environ, "PYTHONPATH": str(target)}


def _ringproof(environment: dict[str, str], cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ringproof", *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def test_sdist_has_sources_and_patches(distributions: Path) -> None:
    """The sdist carries the C sources, the header, the patches and the licence."""
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"impl/c/virtqueue.c", "impl/c/ringproof_driver.h", "impl/c/mutants/A1.patch", "LICENSE"}
    assert wanted <= names


def test_installed_wheel_is_not_the_checkout(installed: dict[str, str], tmp_path: Path) -> None:
    """The tests below really import the installed wheel, all of its rooms."""
    code = "import ringproof, ringproof.impl, ringproof.proofs; print(ringproof.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=installed, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(installed["PYTHONPATH"])


def test_installed_wheel_builds_and_validates(installed: dict[str, str], tmp_path: Path) -> None:
    """Outside the checkout the installed wheel builds its C driver, and the quick validation passes it."""
    library = tmp_path / "driver.so"
    built = _ringproof(installed, tmp_path, "build", "--output", str(library))
    assert built.returncode == 0, built.stderr
    validated = _ringproof(installed, tmp_path, "validate", "--quick", str(library))
    assert validated.returncode == 0, validated.stdout + validated.stderr


def test_installed_wheel_proves_and_traces(installed: dict[str, str], tmp_path: Path) -> None:
    """Outside the checkout the installed wheel proves a theorem and shows a replayed counterexample."""
    proved = _ringproof(installed, tmp_path, "prove", "need-event-exact")
    assert proved.returncode == 0, proved.stdout + proved.stderr
    traced = _ringproof(installed, tmp_path, "trace", "A6")
    assert traced.returncode == 0, traced.stdout + traced.stderr
