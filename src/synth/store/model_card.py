"""What a reverse model is -> its card on the Hub."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from synth.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the card tells; `gaps` are the merge's largest logit differences, way by way."""

    repo: str
    recipe: Recipe
    pairs: int
    merged: bool
    gaps: Mapping[str, float]
    evaluation: Mapping[str, Any] | None


def model_card(facts: ModelFacts) -> str:
    """The card: YAML metadata, then Markdown."""
    recipe = facts.recipe
    datasets = [s.dataset for s in recipe.pairs.sources if s.dataset is not None]
    metadata: dict[str, Any] = {
        "library_name": "transformers" if facts.merged else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["synth", "instruction-backtranslation", *([] if facts.merged else ["lora"])],
    }
    base = recipe.model.base
    if not base.startswith(("bundled:", "/", ".")) and not Path(base).is_dir():
        metadata["base_model"] = base
        metadata["base_model_relation"] = "finetune" if facts.merged else "adapter"
    if datasets:
        metadata["datasets"] = datasets
    head = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n{_body(facts)}"


def _body(facts: ModelFacts) -> str:
    recipe = facts.recipe
    what = "A model" if facts.merged else "A LoRA adapter"
    sources = "\n".join(f"- `{source.name}`" for source in recipe.pairs.sources)
    return f"""# {facts.repo.rpartition("/")[2]}

{what} that works backwards: given a text, it writes an instruction that could have led to it. It
was made with synth, to turn text nobody labelled into an instruction dataset.

| | |
| --- | --- |
| base | `{recipe.model.base}` |
| quantization while learning | {recipe.model.quantization} |
| rank, alpha | {recipe.finetune.lora.r}, {recipe.finetune.lora.alpha} |
| pairs learnt from | {facts.pairs} |
| prompt | `{recipe.prompt.style}`; `recipe.yaml` has its task sentence and every other setting |

The pairs came from:

{sources}
{_merge(facts.gaps)}
## Report card

{_report(facts.evaluation)}
"""


def _merge(gaps: Mapping[str, float]) -> str:
    if not gaps:
        return ""
    way = min(gaps, key=lambda name: gaps[name])
    told = ", ".join(f"{name} {gap:g}" for name, gap in gaps.items())
    return f"\nThe adapter was merged onto the {way} (largest logit difference: {told}).\n"


def _report(evaluation: Mapping[str, Any] | None) -> str:
    if evaluation is None:
        return "This adapter was not evaluated."
    rows = [
        f"| {name} | {value:g} | {evaluation['after'][name]:g} |"
        for name, value in evaluation["before"].items()
    ]
    verdict = "go" if evaluation["go"] else "no-go"
    table = "\n".join(["| metric | base | this |", "| --- | --- | --- |", *rows])
    return f"On {evaluation['held_out']} held-out pairs; verdict: **{verdict}**.\n\n{table}"
