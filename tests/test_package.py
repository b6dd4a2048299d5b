"""The wheel: synth with its recipes, sample data and nano, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([sys.executable, "-m", *command, str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("synth-*.whl")
    zipfile.ZipFile(built).extractall(folder / "unpacked")
    return folder / "unpacked"


def test_recipes_data_and_nano_are_inside(wheel: Path) -> None:
    bundled = wheel / "synth" / "bundled"
    for kind in ("recipes/*.yaml", "data/sample/*.jsonl", "data/nano/*"):
        names = {path.name for path in ROOT.glob(kind)}
        assert names
        assert {path.name for path in bundled.glob(kind)} == names
    assert not list(wheel.rglob("__pycache__"))
    assert not list(wheel.rglob("test_*.py"))


def test_nano_is_small() -> None:
    (weights,) = (ROOT / "data" / "nano").glob("*.safetensors")
    assert weights.stat().st_size <= 12_000_000


def test_the_unpacked_wheel_finds_its_recipes(wheel: Path, tmp_path: Path) -> None:
    code = (
        "import synth.recipe as r; print(r.__file__); print(*r.recipe_names());"
        " print(r.resolve_path(r.load_recipe('nano').model.base))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=True,
    )
    file, names, base = result.stdout.splitlines()
    assert Path(file).is_relative_to(wheel)
    assert names.split() == sorted(p.stem for p in (ROOT / "recipes").glob("*.yaml"))
    assert Path(base).is_relative_to(wheel)
