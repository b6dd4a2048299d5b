"""Every command that a README shows exists: it is parsed as the shell and synth would."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
import yaml

from synth.cli import app
from synth.recipe import Recipe, load_recipe
from tests.conftest import ROOT

READMES = [ROOT / "README.md", ROOT / "recipes" / "README.md", ROOT / "data" / "README.md"]
BLOCK = re.compile(r"```(?:sh|bash|console)\n(.*?)```", re.DOTALL)


def commands(path: Path) -> list[str]:
    """The lines of the README's shell blocks, without comments."""
    blocks = "\n".join(BLOCK.findall(path.read_text(encoding="utf-8")))
    joined = blocks.replace("\\\n", " ")
    return [line.split(" #")[0].strip() for line in joined.splitlines() if line.strip()]


ALL = [(path, command) for path in READMES for command in commands(path)]


def test_the_sweep_finds_commands() -> None:
    found = [command for _, command in ALL]
    assert {"make demo", "make test"} <= set(found)
    assert {c.split()[1] for c in found if c.startswith("synth ")} >= {
        "finetune", "evaluate", "backtranslate", "curate", "export", "run",
    }  # fmt: skip


@pytest.mark.parametrize(("path", "command"), ALL, ids=[c for _, c in ALL])
def test_every_command_shown_is_one_that_works(path: Path, command: str) -> None:
    words = shlex.split(command)
    match words[0]:
        case "make":
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in words[1:])
        case "python":
            assert (ROOT / words[1]).is_file()
        case "accelerate":
            assert words[1] == "launch"
            assert words[words.index("-m") + 1] == "synth"
            assert words[words.index("synth") + 1] in {"finetune"}
        case "hf":
            assert words[1:] == ["auth", "login"]
        case "pip":
            assert words[1] == "install"
        case "synth":
            group = typer.main.get_command(app)
            name, *arguments = words[1:]
            parsed = group.commands[name].make_context(name, arguments).params  # type: ignore[attr-defined]
            assert load_recipe(parsed.get("recipe") or "nano", parsed.get("set_") or [])
        case other:
            pytest.fail(f"{path.name}: do not know how to check {other!r}")


SETTINGS = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
SHOWN = SETTINGS.findall((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_sweep_finds_settings() -> None:
    assert {key for block in SHOWN for key in yaml.safe_load(block)} >= {"pairs", "curate"}


@pytest.mark.parametrize("block", SHOWN, ids=[block.splitlines()[1].strip() for block in SHOWN])
def test_all_settings_shown_are_those_of_a_recipe(block: str) -> None:
    shown = yaml.safe_load(block)
    recipe = yaml.safe_load(load_recipe("nano").to_yaml())
    for section, values in shown.items():
        assert values
        recipe[section] |= values
    Recipe.model_validate(recipe)
