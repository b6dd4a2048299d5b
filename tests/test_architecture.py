"""The layers of the house: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "synth"
FILES = sorted(SRC.rglob("*.py"))
LAYERS = (
    ("__main__",),
    ("cli",),
    ("stages",),
    ("models", "tables", "text", "store", "report"),
    ("recipe", "prompt"),
    ("settings",),
    ("records", "errors"),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MODEL_LIBRARIES = {"torch", "transformers", "peft", "bitsandbytes", "trl", "vllm", "accelerate"}


def room(path: Path) -> str:
    """`cli`, `stages`, `models`...: the first part of the module below `synth`."""
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Full names of what the file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_sweep_finds_the_house() -> None:
    assert {room(path) for path in FILES} == {*RANK, "__init__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_down_or_stay_in_the_folder(path: Path) -> None:
    here = room(path)
    for name in imported(path):
        if not name.startswith("synth.") or name == "synth.__version__":
            continue
        there = name.split(".")[1]
        assert there == here or RANK[there] > RANK[here], f"{here} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_only_models_imports_model_libraries(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imported(path)} & MODEL_LIBRARIES
    assert not libraries or room(path) == "models"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_only_the_command_line_speaks(path: Path) -> None:
    speaks = {name.split(".")[0] for name in imported(path)} & {"rich", "typer", "tqdm"}
    assert not speaks or room(path) == "cli"


def test_tables_and_text_touch_no_files() -> None:
    for path in FILES:
        if room(path) in {"tables", "text"}:
            assert not {n.split(".")[0] for n in imported(path)} & {"os", "pathlib", "io", "shutil"}


def test_the_command_line_loads_neither_torch_nor_polars() -> None:
    code = (
        "import sys, synth.cli; print(sorted({'torch', 'polars', 'pydantic'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
